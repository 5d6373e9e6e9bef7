//! Files of the work area that somebody else has changed.

use std::path::PathBuf;

use serde_json::Value;

use super::fakes::{Engine, Fault, World, noon};
use super::loads::full;
use crate::load::outcome::Outcome;
use crate::status::StatusStore;

fn world() -> World {
    let world = World::new();
    world.log("2024-02-01", "one.log", &["a", "b"]);
    std::fs::write(world.path("victim.txt"), "of the user").unwrap();
    world
}

#[track_caller]
fn refused(world: &World, outcome: &Outcome, code: &str) {
    assert_eq!(outcome.exit_code, 5, "{outcome:?}");
    let error = outcome.periods[0].error.as_ref().or(outcome.error.as_ref());
    assert_eq!(
        error.map(|error| error.code.as_str()),
        Some(code),
        "{outcome:?}"
    );
    let victim = std::fs::read_to_string(world.path("victim.txt"));
    assert_eq!(victim.unwrap(), "of the user");
}

/// Makes the period's manifest say that a file of the user is its part.
fn forge(world: &World) {
    let mut files: Vec<PathBuf> = vec![world.path("lake/.lakebolt/manifests")];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let objects = manifest["objects"].as_object_mut().unwrap();
        for object in objects.values_mut() {
            object[0]["uri"] = world.uri("victim.txt").into();
        }
        std::fs::write(&path, manifest.to_string()).unwrap();
    }
}

#[tokio::test]
async fn a_manifest_that_is_not_the_committed_one_is_refused() {
    let world = world();
    let request = full(&world.request("2024-02-01", "2024-02-01"));
    world.run(&request, &[]).await;
    forge(&world);
    let outcome = world.driver(&Engine::with(&[]), noon).run(&request).await;
    assert_eq!(outcome.exit_code, 5, "{outcome:?}");
    let error = outcome.error.expect("a failure of the load");
    assert_eq!(error.code, "manifest_altered");
    assert!(world.path("victim.txt").exists());
    assert_eq!(world.rows(), ["a", "b"]);
}

/// The records of older programs hold no digest.
#[tokio::test]
async fn a_forged_manifest_without_a_known_digest_deletes_nothing_outside() {
    let world = world();
    let request = full(&world.request("2024-02-01", "2024-02-01"));
    world.run(&request, &[]).await;
    forge(&world);
    for dataset in world.status.datasets().await.unwrap() {
        for record in world.status.periods(&dataset).await.unwrap() {
            assert!(record.manifest_digest.is_some() && record.work.is_some());
            let mut old = record.revised();
            old.manifest_digest = None;
            world.status.put(&old, &record.expected()).await.unwrap();
        }
    }
    let outcome = world.driver(&Engine::with(&[]), noon).run(&request).await;
    refused(&world, &outcome, "out_of_bounds");
    assert_eq!(world.rows(), ["a", "b"]);
}

#[tokio::test]
async fn a_receipt_that_names_a_part_outside_the_targets_is_refused() {
    let world = world();
    let request = world.request("2024-02-01", "2024-02-01");
    let driver = world.driver(&Engine::with(&[Fault::Forges]), noon);
    let outcome = driver.run(&request).await;
    refused(&world, &outcome, "out_of_bounds");
    assert!(world.rows().is_empty());
}
