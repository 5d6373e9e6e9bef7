use std::io::Write;

use proptest::prelude::*;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// Returns text without repetitions, which compresses only a little.
fn text(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        b"0123456789 abcdef\n"[(state >> 33) as usize % 18]
    };
    (0..length).map(|_| next()).collect()
}

fn run(compressed: &[u8], chunk: usize) -> (Vec<u8>, Option<Broken>) {
    let mut decompressor = Decompressor::new();
    let mut out = Vec::new();
    for chunk in compressed.chunks(chunk) {
        decompressor.push(Bytes::copy_from_slice(chunk));
        while let Some(block) = decompressor.next_block() {
            assert!(block.len() <= BLOCK.max(chunk.len()));
            out.extend_from_slice(&block);
        }
    }
    decompressor.finish();
    while let Some(block) = decompressor.next_block() {
        out.extend_from_slice(&block);
    }
    assert_eq!(decompressor.next_block(), None);
    (out, decompressor.broken().cloned())
}

fn check(compressed: &[u8], expected: &[u8], reason: Option<&str>) {
    for chunk in [1, 7, 4096, usize::MAX] {
        if chunk == 1 && compressed.len() > 100_000 {
            continue;
        }
        let (out, broken) = run(compressed, chunk);
        assert!(out == expected, "{} of {} bytes", out.len(), expected.len());
        assert_eq!(broken.map(|broken| broken.reason), reason);
    }
}

#[test]
fn the_first_bytes_decide_the_compression() {
    let plain = text(300_000);
    check(&plain, &plain, None);
    check(&gzip(&plain), &plain, None);
    check(&zstd(&plain), &plain, None);
    check(b"", b"", None);
    check(b"\x1f", b"\x1f", None);
    check(&gzip(b""), b"", None);
}

#[test]
fn members_and_frames_are_read_to_the_end() {
    let (one, two) = (text(5000), text(700_000));
    let both = [one.as_slice(), &two].concat();
    check(&[gzip(&one), gzip(b""), gzip(&two)].concat(), &both, None);
    check(&[zstd(&one), zstd(&two)].concat(), &both, None);
}

#[test]
fn zeros_after_the_end_are_padding() {
    let plain = text(1000);
    check(&[gzip(&plain), vec![0; 700]].concat(), &plain, None);
    check(&[zstd(&plain), vec![0; 700]].concat(), &plain, None);
}

#[test]
fn a_header_with_every_optional_field_is_skipped() {
    let plain = text(1000);
    let mut encoder = flate2::GzBuilder::new()
        .filename("name")
        .comment("comment")
        .extra(vec![7; 300])
        .write(Vec::new(), flate2::Compression::default());
    encoder.write_all(&plain).unwrap();
    check(&encoder.finish().unwrap(), &plain, None);
}

#[test]
fn a_truncated_object_returns_its_data_and_an_error() {
    let plain = text(400_000);
    for (compressed, reason) in [
        (gzip(&plain), "truncated_gzip"),
        (zstd(&plain), "truncated_zstd"),
    ] {
        let half = &compressed[..compressed.len() / 2];
        let (out, broken) = run(half, 1000);
        assert!(!out.is_empty() && plain.starts_with(&out));
        assert_eq!(broken.map(|broken| broken.reason), Some(reason));
    }
    let mut whole = gzip(&plain);
    whole.truncate(whole.len() - 3);
    check(&whole, &plain, Some("truncated_gzip"));
    check(&whole[..2], b"", Some("truncated_gzip"));
}

#[test]
fn damage_is_reported_after_the_good_part() {
    let plain = text(2000);
    let mut wrong_sum = gzip(&plain);
    let at = wrong_sum.len() - 6;
    wrong_sum[at] ^= 1;
    check(&wrong_sum, &plain, Some("corrupt_gzip"));
    check(
        &[gzip(&plain), b"garbage".to_vec()].concat(),
        &plain,
        Some("corrupt_gzip"),
    );
    check(
        &[zstd(&plain), b"garbage".to_vec()].concat(),
        &plain,
        Some("corrupt_zstd"),
    );
}

/// Bytes that begin as an object that is not read, with a part of its name.
const FOREIGN: [(&[u8], &str); 9] = [
    (b"BZh91AY&SY\x63\x3e", "bzip2"),
    (b"\xfd7zXZ\0\0\x04", "xz"),
    (b"\x04\x22\x4d\x18\x64", "lz4"),
    (b"\x1f\x9d\x90a", ".Z"),
    (b"PK\x03\x04\x14\0", "zip"),
    (b"PAR1\x15\x04", "Parquet"),
    (b"\xff\xfea\0\n\0", "UTF-16"),
    (b"a\0b\0\n\0", "UTF-16"),
    (b"\0a\0b\0\n", "UTF-16"),
];

fn unsupported(bytes: &[u8]) -> String {
    let (out, broken) = run(bytes, usize::MAX);
    assert!(out.is_empty(), "{out:?}");
    let broken = broken.expect("it is not read");
    assert_eq!(broken.reason, "unsupported_compression");
    broken.detail
}

#[test]
fn what_is_packed_in_another_way_is_no_text() {
    for (bytes, name) in FOREIGN {
        for bytes in [bytes.to_vec(), gzip(bytes), zstd(bytes)] {
            let detail = unsupported(&bytes);
            assert!(detail.contains(name), "{detail}");
        }
    }
    let mut tar = vec![b'x'; 600];
    tar[257..262].copy_from_slice(b"ustar");
    assert!(unsupported(&gzip(&tar)).contains("tar"));
    assert!(unsupported(&gzip(&gzip(b"a\n"))).contains("gzip within"));
    for text in ["BZh9 is a line", "PK", "\u{feff}a\n", "LZIP", "Obj,ORC\n"] {
        check(text.as_bytes(), text.as_bytes(), None);
    }
}

#[test]
fn nothing_is_read_after_damage() {
    let mut decompressor = Decompressor::new();
    let broken = [gzip(&text(300_000)), b"garbage".to_vec()].concat();
    decompressor.push(Bytes::from(broken));
    let blocks = std::iter::from_fn(|| decompressor.next_block());
    assert_eq!(blocks.map(|block| block.len()).sum::<usize>(), 300_000);
    assert!(decompressor.broken().is_some());
    decompressor.push(Bytes::from_static(b"more"));
    assert_eq!(decompressor.next_block(), None);
}

#[test]
fn a_bomb_comes_out_in_bounded_blocks() {
    let bomb = gzip(&vec![b'x'; 50 << 20]);
    let mut decompressor = Decompressor::new();
    decompressor.push(Bytes::from(bomb));
    let mut length = 0;
    while let Some(block) = decompressor.next_block() {
        assert!(block.len() <= BLOCK);
        length += block.len();
    }
    decompressor.finish();
    length += decompressor.next_block().map_or(0, |block| block.len());
    assert_eq!(length, 50 << 20);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        head in prop::sample::select(vec![&b""[..], b"\x1f\x8b\x08\0", b"\x1f\x8b\x08\x1e", b"\x28\xb5\x2f\xfd"]),
        tail in prop::collection::vec(any::<u8>(), 0..300),
        chunk in 1_usize..50,
    ) {
        run(&[head, &tail].concat(), chunk);
    }

    #[test]
    fn a_flipped_bit_never_panics(at in 0_usize..600, bit in 0_u8..8, zip in any::<bool>()) {
        let mut compressed = if zip { gzip(&text(3000)) } else { zstd(&text(3000)) };
        let at = at % compressed.len();
        compressed[at] ^= 1 << bit;
        run(&compressed, 64);
    }
}

#[test]
#[ignore = "prints a speed"]
fn speed_of_decompression() {
    let plain = text(100 << 20);
    for (name, compressed) in [("gzip", gzip(&plain)), ("zstd", zstd(&plain))] {
        let start = std::time::Instant::now();
        let mut decompressor = Decompressor::new();
        let mut length = 0;
        for chunk in compressed.chunks(1 << 20) {
            decompressor.push(Bytes::copy_from_slice(chunk));
            length += std::iter::from_fn(|| decompressor.next_block())
                .map(|block| block.len())
                .sum::<usize>();
        }
        decompressor.finish();
        length += std::iter::from_fn(|| decompressor.next_block())
            .map(|block| block.len())
            .sum::<usize>();
        let speed = length as f64 / 1e6 / start.elapsed().as_secs_f64();
        println!("{name}: {speed:.0} MB/s of plain text");
    }
}
