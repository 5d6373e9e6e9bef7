//! Recognises what is neither gzip nor zstd nor text in UTF-8, by its first bytes. Decoded as
//! lines it would be a few rejected rows that look like any others.

use super::Broken;
use crate::decode::damage::UNSUPPORTED_COMPRESSION;

/// First bytes, and what begins with them. None of them begins a text.
static FOREIGN: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "gzip within another compression"),
    (b"\x28\xb5\x2f\xfd", "zstd within another compression"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\xff\x06\0\0sNaPpY", "snappy"),
    (b"\x1f\x9d", "compress (.Z)"),
    (b"LZIP\x01", "lzip"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"PAR1", "Parquet"),
    (b"Obj\x01", "Avro"),
    (b"\xff\xfe", "text in UTF-16"),
    (b"\xfe\xff", "text in UTF-16"),
    (b"\0\0\xfe\xff", "text in UTF-32"),
];

/// Where the header of a tar archive names its format.
const TAR: std::ops::Range<usize> = 257..262;

/// Returns why an object is not read that begins with this block, after decompression.
pub(super) fn find(block: &[u8]) -> Option<Broken> {
    let found = FOREIGN.iter().find(|(magic, _)| block.starts_with(magic));
    let found = found.map(|(_, name)| *name);
    let name = found.or_else(|| by_structure(block))?;
    Some(Broken {
        reason: UNSUPPORTED_COMPRESSION,
        detail: format!("the object is {name}; gzip, zstd and plain text in UTF-8 are read"),
    })
}

fn by_structure(block: &[u8]) -> Option<&'static str> {
    match block {
        // The size of its blocks, and the first digits of pi.
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => Some("bzip2"),
        // Letters of ASCII without a byte order mark.
        [1..=0xff, 0, 1..=0xff, 0, ..] | [0, 1..=0xff, 0, 1..=0xff, ..] => Some("text in UTF-16"),
        _ if block.get(TAR) == Some(b"ustar") => Some("a tar archive"),
        _ => None,
    }
}
