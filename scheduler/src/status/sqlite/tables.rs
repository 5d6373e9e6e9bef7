//! The tables of the file, and all statements that read or write them.

/// The version of the tables. It is kept in the file's header.
pub(super) const USER_VERSION: i64 = 3;

pub(super) const TABLES: &str = "
CREATE TABLE run_status (
    dataset TEXT NOT NULL,
    period TEXT NOT NULL,
    source_log_type TEXT NOT NULL,
    load_completed TEXT NOT NULL,
    state TEXT NOT NULL,
    asked_days TEXT NOT NULL,
    covered_days TEXT NOT NULL,
    config_digest TEXT,
    input_digest TEXT,
    load_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    lease_owner TEXT,
    lease_until TEXT,
    revision INTEGER NOT NULL,
    manifest TEXT,
    manifest_digest TEXT,
    work TEXT,
    nonce TEXT,
    rows_read INTEGER NOT NULL,
    rows_written INTEGER NOT NULL,
    rows_quarantined INTEGER NOT NULL,
    rows_filtered INTEGER NOT NULL,
    rows_duplicated INTEGER NOT NULL,
    rows_other_period INTEGER NOT NULL,
    objects INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    started_at TEXT,
    ended_at TEXT,
    error TEXT,
    schema_version INTEGER NOT NULL,
    PRIMARY KEY (dataset, period)
) WITHOUT ROWID;
CREATE TABLE loads (
    load_id TEXT NOT NULL PRIMARY KEY,
    dataset TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    request TEXT NOT NULL,
    outcome TEXT,
    started_at TEXT NOT NULL,
    ended_at TEXT
) WITHOUT ROWID;
CREATE INDEX loads_by_start ON loads (started_at);
CREATE TABLE store (id TEXT NOT NULL);
INSERT INTO store VALUES (lower(hex(randomblob(16))));
PRAGMA user_version = 3;";

/// The statements that upgrade the tables of a version to the next one.
pub(super) const UPGRADES: &[(i64, &str)] = &[
    (
        1,
        "ALTER TABLE run_status RENAME COLUMN rows_elsewhere TO rows_other_period;
         PRAGMA user_version = 2;",
    ),
    (
        2,
        "CREATE TABLE store (id TEXT NOT NULL);
         INSERT INTO store VALUES (lower(hex(randomblob(16))));
         ALTER TABLE run_status ADD COLUMN manifest_digest TEXT;
         ALTER TABLE run_status ADD COLUMN work TEXT;
         PRAGMA user_version = 3;",
    ),
];

pub(super) const SELECT_ID: &str = "SELECT id FROM store";

pub(super) const SELECT_PERIOD: &str = "SELECT * FROM run_status WHERE dataset = ? AND period = ?";
pub(super) const SELECT_PERIODS: &str =
    "SELECT * FROM run_status WHERE dataset = ? ORDER BY period";
pub(super) const SELECT_DATASETS: &str = "SELECT DISTINCT dataset FROM run_status ORDER BY dataset";
pub(super) const SELECT_LOAD: &str = "SELECT * FROM loads WHERE load_id = ?";
pub(super) const SELECT_LOAD_IDS: &str = "SELECT load_id FROM loads";
pub(super) const SELECT_LOADS: &str =
    "SELECT * FROM loads ORDER BY started_at DESC, load_id DESC LIMIT ?";
pub(super) const REPLACE_PERIOD: &str = "INSERT OR REPLACE INTO run_status (
    dataset, period, source_log_type, load_completed, state, asked_days, covered_days,
    config_digest, input_digest, load_id, attempt, lease_owner, lease_until, revision, manifest,
    manifest_digest, work, nonce, rows_read, rows_written, rows_quarantined, rows_filtered,
    rows_duplicated, rows_other_period, objects, bytes, started_at, ended_at, error, schema_version)
    VALUES (?,?,?,?,?,?,?, ?,?,?,?,?,?,?,?, ?,?,?,?,?,?,?,?, ?,?,?,?,?,?,?)";
pub(super) const REPLACE_LOAD: &str = "INSERT OR REPLACE INTO loads (
    load_id, dataset, source, state, request, outcome, started_at, ended_at)
    VALUES (?,?,?,?,?,?,?,?)";
