//! Results larger than a page, and records larger than an item.

use serde_json::json;

use super::*;

/// Random text that does not compress.
fn noise(bytes: usize) -> String {
    let mut state = 0x9e37_79b9_u32;
    let letter = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        char::from(b'!' + u8::try_from(state % 90).unwrap_or_default())
    };
    (0..bytes).map(letter).collect()
}

#[tokio::test]
async fn periods_and_datasets_of_many_pages_are_complete() {
    let server = Server::start().await;
    let store = server.new_store().await;
    let error = noise(300 << 10);
    for year in 2014..2024 {
        let mut record = PeriodRecord::new("d", month(&format!("{year}-01")), "vpc_flow");
        record.error = Some(error.clone());
        store.put(&record, &Expected::Absent).await.expect("put");
        record.dataset = format!("d{year}");
        store.put(&record, &Expected::Absent).await.expect("put");
    }
    let found = store.periods("d").await.expect("periods");
    assert_eq!(found.len(), 10);
    assert!(found.iter().all(|item| item.error.as_ref() == Some(&error)));
    assert_eq!(store.datasets().await.expect("datasets").len(), 11);
}

#[tokio::test]
async fn loads_of_many_pages_are_sorted_newest_first() {
    let server = Server::start().await;
    let store = server.new_store().await;
    for number in 10..25 {
        let mut record = load(
            &format!("load-{}", (number * 7) % 15),
            &format!("2024-02-{number}T00:00:00Z"),
        );
        record.outcome = Some(json!({ "noise": noise(200 << 10) }));
        store.put_load(&record).await.expect("put");
    }
    for limit in [0, 1, 7, 15, usize::MAX] {
        let found = store.loads(limit).await.expect("loads");
        let days: Vec<String> = found
            .iter()
            .map(|load| load.started_at.to_string()[8..10].to_owned())
            .collect();
        let newest = (10..25).rev().map(|number| number.to_string());
        let newest: Vec<String> = newest.take(limit).collect();
        assert_eq!(days, newest, "{limit}");
    }
    assert_eq!(store.load_ids().await.expect("ids").len(), 15);
}

#[tokio::test]
async fn the_outcome_of_hundreds_of_periods_fits_into_an_item() {
    let server = Server::start().await;
    let store = server.new_store().await;
    let messages = noise(600 * 200);
    let period = |number: u32| {
        let days: Vec<String> = (1..=31)
            .map(|day| format!("{}-{:02}-{day:02}", 1990 + number / 12, number % 12 + 1))
            .collect();
        json!({
            "period": &days[0][..7], "days": days,
            "state": "done", "attempts": 1,
            "rows": {"read": 7_200_000 + number, "written": 7_199_000, "quarantined": number},
            "classes": [{"class_uid": 4001, "rows": 7_199_000, "objects": 31}],
            "quarantine": format!("s3://bucket/lakebolt-quarantine/{number}/"),
            "seconds": f64::from(number) / 4.0,
            "error": {"code": "lease_lost", "message": messages[number as usize * 200..][..200], "remedy": "wait"},
        })
    };
    let periods: Vec<_> = (0..600).map(period).collect();
    let mut record = load("long", "2024-02-01T00:00:00Z");
    record.outcome = Some(json!({ "periods": periods }));
    assert!(
        record
            .outcome
            .as_ref()
            .map_or(0, |json| json.to_string().len())
            > 400 << 10
    );
    store.put_load(&record).await.expect("put");
    let found = store.load("long").await.expect("load");
    assert!(found == Some(record), "it is unchanged");
}

#[tokio::test]
async fn a_record_larger_than_an_item_is_refused() {
    let server = Server::start().await;
    let store = server.new_store().await;
    let mut record = load("huge", "2024-02-01T00:00:00Z");
    record.outcome = Some(json!({ "noise": noise(600 << 10) }));
    let error = store.put_load(&record).await.expect_err("too large");
    assert!(matches!(error, StatusError::TooLarge { .. }), "{error:?}");
    assert!(!error.retryable());
    assert_eq!(store.load("huge").await.expect("load"), None);
}
