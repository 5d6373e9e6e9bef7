#!/usr/bin/env python3
"""Compares a lake with its raw VPC flow logs, row by row.

    compare_raw.py INPUT LAKE FROM TO

DuckDB reads both sides. Two rows are the same if time, end, addresses, ports, packets,
bytes, activity, status, account, region and day are the same, including NULLs. Each row
must occur equally often on both sides.
"""

import sys

import duckdb

COLUMNS = "time, end_time, src_ip, dst_ip, src_port, dst_port, packets, bytes, activity_id, status, account, region, day"

RAW = """
SELECT CAST(t[11] AS BIGINT) * 1000 AS time,
       CAST(t[12] AS BIGINT) * 1000 AS end_time,
       nullif(t[4], '-') AS src_ip,
       nullif(t[5], '-') AS dst_ip,
       TRY_CAST(t[6] AS INTEGER) AS src_port,
       TRY_CAST(t[7] AS INTEGER) AS dst_port,
       TRY_CAST(t[9] AS BIGINT) AS packets,
       TRY_CAST(t[10] AS BIGINT) AS bytes,
       CASE t[13] WHEN 'ACCEPT' THEN 6 WHEN 'REJECT' THEN 5 ELSE 0 END AS activity_id,
       t[14] AS status,
       t[2] AS account,
       regexp_extract(filename, '/vpcflowlogs/([^/]+)/', 1) AS region,
       strftime(make_timestamp(CAST(t[11] AS BIGINT) * 1000000), '%Y%m%d') AS day
FROM (SELECT string_split(line, ' ') AS t, filename
      FROM read_csv($input, columns = {'line': 'VARCHAR'}, delim = '\x01', quote = '', escape = '',
                    header = false, compression = 'gzip', filename = true, auto_detect = false)
      WHERE line NOT LIKE 'version %')
WHERE day BETWEEN $first AND $last
"""

LAKE = """
SELECT time, end_time, src_endpoint.ip AS src_ip, dst_endpoint.ip AS dst_ip,
       src_endpoint.port AS src_port, dst_endpoint.port AS dst_port,
       traffic.packets AS packets, traffic.bytes AS bytes, activity_id, status_code AS status,
       accountId AS account, region, eventDay AS day
FROM read_parquet($lake, hive_partitioning = true, hive_types_autocast = false)
"""


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    raw, lake, first, last = sys.argv[1:]
    database = duckdb.connect()
    database.execute(f"CREATE TABLE raw AS SELECT {COLUMNS} FROM ({RAW})", {
        "input": f"{raw.rstrip('/')}/**/*.log.gz",
        "first": first.replace("-", ""),
        "last": last.replace("-", ""),
    })
    database.execute(f"CREATE TABLE lake AS SELECT {COLUMNS} FROM ({LAKE})", {"lake": f"{lake.rstrip('/')}/**/*.parquet"})
    wrong = 0
    for name, left, right in [("missing in the lake", "raw", "lake"), ("not in the raw text", "lake", "raw")]:
        difference = f"SELECT * FROM {left} EXCEPT ALL SELECT * FROM {right}"
        count = database.execute(f"SELECT count(*) FROM ({difference})").fetchone()[0]
        wrong += count
        print(f"{count:,} rows {name}")
        for row in database.execute(f"{difference} LIMIT 3").fetchall() if count else []:
            print(f"  {row}")
    rows = database.execute("SELECT count(*), count(DISTINCT day) FROM raw").fetchone()
    print(f"{rows[0]:,} raw rows of {rows[1]} days compared")
    sys.exit(1 if wrong or not rows[0] else 0)


if __name__ == "__main__":
    main()
