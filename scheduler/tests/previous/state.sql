BEGIN TRANSACTION;
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
INSERT INTO "loads" VALUES('06066e5fbf804edcbe33f4c246a38962','vpc_flow-default-7c408398','vpc_flow','done','{"account":null,"allow_empty":false,"config_digest":"c87e36a15de1fabe552b79dd05ae0dfafba52060356002daeca482c6c85d2b1d","cores":2,"full_load":false,"inputs":["file:///srv/logs/vpc_flow"],"lateness":{"nanos":0,"secs":172800},"margin":1,"max_attempts":3,"max_quarantine":100.0,"memory_bytes":134217728,"name":"default","on_stale":"report","output":"file:///srv/lake","parallel":2,"quarantine":"file:///srv/lake.quarantine/","range":"Everything","region":"eu-central-1","role":null,"shape":"ocsf","source":"vpc_flow","wait":{"nanos":0,"secs":0},"work":"file:///srv/lake/.lakebolt/"}','{"dataset":"vpc_flow-default-7c408398","ended_at":"2026-11-26T22:42:28.182Z","error":null,"exit_code":0,"input":{"bytes":6014,"objects":7},"load_id":"06066e5fbf804edcbe33f4c246a38962","output":{"bytes":56629,"objects":5},"periods":[{"attempts":1,"classes":[{"class_uid":4001,"objects":5,"rows":24}],"days":["2024-01-15","2024-01-16"],"error":null,"input":{"bytes":6014,"objects":7},"output":{"bytes":56629,"objects":5},"period":"2024-01","publish_seconds":0.005842733,"quarantine":"file:///srv/lake.quarantine/","reason":"never loaded: 2","reasons":{"invalid_value":3,"time_missing":1,"too_few_fields":1},"rows":{"duplicated":0,"elsewhere":0,"filtered":0,"quarantined":5,"read":29,"written":24},"seconds":0.272013475,"state":"done"}],"rows":{"duplicated":0,"elsewhere":0,"filtered":0,"quarantined":5,"read":29,"written":24},"schema_version":1,"source":"vpc_flow","started_at":"2026-11-26T22:42:27.890Z","state":"done","warnings":[]}','2026-11-26T22:42:27.890Z','2026-11-26T22:42:28.182Z');
INSERT INTO "loads" VALUES('f7d47494b5b84177b0b05627fc3fc0af','s3_access-default-0e1d1284','s3_access','done','{"account":null,"allow_empty":false,"config_digest":"6b9d6c81cbbadf8165c781436535b7ccb704de0df6222c36b362d30e88ea38db","cores":2,"full_load":false,"inputs":["file:///srv/logs/s3_access"],"lateness":{"nanos":0,"secs":172800},"margin":1,"max_attempts":3,"max_quarantine":100.0,"memory_bytes":134217728,"name":"default","on_stale":"report","output":"file:///srv/lake","parallel":2,"quarantine":"file:///srv/lake.quarantine/","range":"Everything","region":"eu-central-1","role":null,"shape":"ocsf","source":"s3_access","wait":{"nanos":0,"secs":0},"work":"file:///srv/lake/.lakebolt/"}','{"dataset":"s3_access-default-0e1d1284","ended_at":"2026-11-26T22:42:28.315Z","error":null,"exit_code":0,"input":{"bytes":7707,"objects":4},"load_id":"f7d47494b5b84177b0b05627fc3fc0af","output":{"bytes":13430,"objects":1},"periods":[{"attempts":1,"classes":[{"class_uid":6003,"objects":1,"rows":17}],"days":["2024-01-15"],"error":null,"input":{"bytes":7707,"objects":4},"output":{"bytes":13430,"objects":1},"period":"2024-01","publish_seconds":0.029202387,"quarantine":"file:///srv/lake.quarantine/","reason":"never loaded: 1","reasons":{"invalid_value":2,"too_few_fields":1,"unclosed_quote":2},"rows":{"duplicated":0,"elsewhere":0,"filtered":0,"quarantined":5,"read":22,"written":17},"seconds":0.127908649,"state":"done"}],"rows":{"duplicated":0,"elsewhere":0,"filtered":0,"quarantined":5,"read":22,"written":17},"schema_version":1,"source":"s3_access","started_at":"2026-11-26T22:42:28.184Z","state":"done","warnings":[]}','2026-11-26T22:42:28.184Z','2026-11-26T22:42:28.315Z');
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
    nonce TEXT,
    rows_read INTEGER NOT NULL,
    rows_written INTEGER NOT NULL,
    rows_quarantined INTEGER NOT NULL,
    rows_filtered INTEGER NOT NULL,
    rows_duplicated INTEGER NOT NULL,
    rows_elsewhere INTEGER NOT NULL,
    objects INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    started_at TEXT,
    ended_at TEXT,
    error TEXT,
    schema_version INTEGER NOT NULL,
    PRIMARY KEY (dataset, period)
) WITHOUT ROWID;
INSERT INTO "run_status" VALUES('s3_access-default-0e1d1284','2024-01','s3_access','true','done','["2024-01-15"]','{"2024-01-15":{"config_digest":"6b9d6c81cbbadf8165c781436535b7ccb704de0df6222c36b362d30e88ea38db","input_digest":"4:5de42881df93adf1b38fcde4730a36e9fbd2aaca050790d649f7d5bc2deed44c","closed":true,"loaded_at":"2026-11-26T22:42:28.283Z"}}','6b9d6c81cbbadf8165c781436535b7ccb704de0df6222c36b362d30e88ea38db','4:5de42881df93adf1b38fcde4730a36e9fbd2aaca050790d649f7d5bc2deed44c','f7d47494b5b84177b0b05627fc3fc0af',1,NULL,NULL,4,'manifests/6a55790c/2024-01-f7d47494b5b84177b0b05627fc3fc0af-2024-01-1.json','d24ec9d44ef141afa7bcbde25201afdb',22,17,5,0,0,0,1,13430,'2026-11-26T22:42:28.187Z','2026-11-26T22:42:28.314Z',NULL,1);
INSERT INTO "run_status" VALUES('vpc_flow-default-7c408398','2024-01','vpc_flow','true','done','["2024-01-15","2024-01-16"]','{"2024-01-15":{"config_digest":"c87e36a15de1fabe552b79dd05ae0dfafba52060356002daeca482c6c85d2b1d","input_digest":"7:84df09b9b470d211c4a76b68b35e6963a678ab0301443085bf8d7921cc471710","closed":true,"loaded_at":"2026-11-26T22:42:28.169Z"},"2024-01-16":{"config_digest":"c87e36a15de1fabe552b79dd05ae0dfafba52060356002daeca482c6c85d2b1d","input_digest":"7:84df09b9b470d211c4a76b68b35e6963a678ab0301443085bf8d7921cc471710","closed":true,"loaded_at":"2026-11-26T22:42:28.169Z"}}','c87e36a15de1fabe552b79dd05ae0dfafba52060356002daeca482c6c85d2b1d','7:84df09b9b470d211c4a76b68b35e6963a678ab0301443085bf8d7921cc471710','06066e5fbf804edcbe33f4c246a38962',1,NULL,NULL,4,'manifests/f457c6ec/2024-01-06066e5fbf804edcbe33f4c246a38962-2024-01-1.json','d52a5efc23c54c879ae6d11912541f50',29,24,5,0,0,0,5,56629,'2026-11-26T22:42:27.911Z','2026-11-26T22:42:28.181Z',NULL,1);
CREATE INDEX loads_by_start ON loads (started_at);
INSERT INTO "loads" VALUES('3d7610cbae1b4c759951e6d365418e21','vpc_flow-default-2ac7a1cb','vpc_flow','failed','{"account":null,"allow_empty":false,"config_digest":"c87e36a15de1fabe552b79dd05ae0dfafba52060356002daeca482c6c85d2b1d","cores":1,"full_load":false,"inputs":["file:///srv/logs/vpc_flow"],"lateness":{"nanos":0,"secs":172800},"margin":1,"max_attempts":3,"max_quarantine":5.0,"memory_bytes":134217728,"name":"default","on_stale":"report","output":"file:///srv/other","parallel":0,"quarantine":"file:///srv/other.quarantine/","range":{"Between":{"from":"2024-01-15","to":"2024-01-16"}},"region":null,"role":null,"shape":"ocsf","source":"vpc_flow","submitted":{"retry_of":null,"source":{"config_digest":"c87e36a15de1fabe552b79dd05ae0dfafba52060356002daeca482c6c85d2b1d","files":{},"name":"vpc_flow","ocsf_version":"1.1.0"}},"wait":{"nanos":0,"secs":0},"work":"file:///srv/other/.lakebolt/"}','{"dataset":"vpc_flow-default-2ac7a1cb","ended_at":"2026-11-26T22:43:00.610Z","error":null,"exit_code":3,"input":{"bytes":0,"objects":0},"load_id":"3d7610cbae1b4c759951e6d365418e21","output":{"bytes":0,"objects":0},"periods":[{"attempts":1,"classes":[],"days":["2024-01-15","2024-01-16"],"error":{"code":"too_many_quarantined","message":"17.2 % of 29 rows would be quarantined, more than 5 % (invalid_value: 3, time_missing: 1, too_few_fields: 1)","remedy":"nothing was published: mend the source (`lakebolt map` shows rejected rows), or allow more with --max-quarantine"},"input":{"bytes":0,"objects":0},"output":{"bytes":0,"objects":0},"period":"2024-01","publish_seconds":0.0,"quarantine":null,"reason":"too_many_quarantined","reasons":{},"rows":{"duplicated":0,"elsewhere":0,"filtered":0,"quarantined":0,"read":0,"written":0},"seconds":0.218358317,"state":"failed"}],"rows":{"duplicated":0,"elsewhere":0,"filtered":0,"quarantined":0,"read":0,"written":0},"schema_version":1,"source":"vpc_flow","started_at":"2026-11-26T22:43:00.335Z","state":"failed","warnings":[]}','2026-11-26T22:43:00.335Z','2026-11-26T22:43:00.610Z');
INSERT INTO "run_status" VALUES('vpc_flow-default-2ac7a1cb','2024-01','vpc_flow','false','failed','["2024-01-15","2024-01-16"]','{}',NULL,NULL,'3d7610cbae1b4c759951e6d365418e21',1,NULL,NULL,2,NULL,NULL,0,0,0,0,0,0,0,0,'2026-11-26T22:43:00.392Z','2026-11-26T22:43:00.596Z','too_many_quarantined: 17.2 % of 29 rows would be quarantined, more than 5 % (invalid_value: 3, time_missing: 1, too_few_fields: 1)',1);
COMMIT;
PRAGMA user_version = 1;
