//! A small source and its log, for the tests of this room.

use std::io::Write;

use tempfile::NamedTempFile;

use super::golden;
use super::preview::Request;
use crate::compiled::{Compiled, compile};
use crate::dialects;

const SOURCE: &str = r#"
format = "json_lines"
events = ["logins", "others"]
[columns]
at = "epoch_s"
user = "text"
peer = "json"
kind = "text"
tenant = "text"
[[filter]]
when = "kind = 'noise'"
reason = "noise"
[base.set]
metadata.product.name = "Door"
metadata.product.vendor_name = "Example"
severity_id = 1
service.name = "door"
"#;

const LOGINS: &str = r#"
class = "authentication"
when = "kind = 'login'"
[set]
activity_id = 1
[map]
time = "at"
user.name = "user"
src_endpoint.ip = "try_ip(peer.ip)"
"#;

const OTHERS: &str = r#"
class = "authentication"
[set]
activity_id = 99
[map]
time = "at"
user.name = "user"
"#;

/// A login, a record without a kind, noise, and a record without a time.
pub(super) const LOG: &str = r#"{"at": 1705881600, "user": "ann", "kind": "login", "peer": {"ip": "10.0.0.1", "door": 3}, "shade": "blue"}
{"at": 1705881601, "user": "bob"}
{"at": 1705881602, "kind": "noise"}
{"user": "eve", "kind": "login"}
"#;

/// The compiled source.
pub(super) fn door() -> Compiled {
    let files = [
        ("door/source.toml", SOURCE),
        ("door/logins.toml", LOGINS),
        ("door/others.toml", OTHERS),
    ];
    let loaded = dialects::load_embedded(&files, "1.1.0");
    let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}"));
    compile(loaded, "1.1.0", false).unwrap_or_else(|error| panic!("{error}"))
}

/// A request for a log with this text. The file is removed with the first value.
pub(super) fn request(log: &str) -> (NamedTempFile, Request) {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(log.as_bytes()).expect("writable");
    let object = golden::object(file.path()).expect("a file that exists");
    let request = Request {
        objects: vec![object],
        ..Request::default()
    };
    (file, request)
}
