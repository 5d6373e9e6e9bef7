#!/usr/bin/env python3
"""Reads a lake back with pyarrow and DuckDB and checks Security Lake's rules.

    readback.py LAKE

Page headers are parsed from the bytes of the files, since no reader exposes them.
"""

import datetime
import sys

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake import PLACE, Findings, objects
from thrift import page_headers

PAGE_BYTES = 1 << 20
GROUP_BYTES = 256 << 20
DATA_PAGES = {0, 3}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = objects(sys.argv[1])
    findings = Findings()
    schemas = {}
    for path in found:
        check(path, findings, schemas)
    for source, seen in schemas.items():
        findings.rule("one schema for all objects of a class", len(seen) == 1, f"{source}: {len(seen)} schemas")
    with_duckdb(found, findings)
    print(f"{len(found)} objects, {sum(pq.read_metadata(path).num_rows for path in found):,} rows")
    sys.exit(findings.report())


def check(path, findings, schemas):
    """Checks every rule of a single object."""
    file = pq.ParquetFile(path)
    metadata, schema = file.metadata, file.schema_arrow
    schemas.setdefault(str(path).split("/region=")[0], set()).add(str(file.schema).split("\n", 1)[1])
    place = PLACE.search(str(path))
    findings.rule("region=, accountId= and eventDay= in the path", place, path)
    findings.rule("an object holds rows", metadata.num_rows > 0, path)
    findings.rule("time is int64", schema.field("time").type == pa.int64(), f"{path}: {schema.field('time').type}")
    footer(path, metadata, findings)
    pages(path, metadata, findings)
    table = file.read(columns=["time", "class_uid"])
    rows(path, table, place, findings)


def footer(path, metadata, findings):
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        columns = [group.column(number) for number in range(group.num_columns)]
        packed = sum(column.total_compressed_size for column in columns)
        findings.rule("row group of at most 256 MB", packed <= GROUP_BYTES, f"{path}: {packed:,} bytes")
        for column in columns:
            findings.rule("zstd", column.compression == "ZSTD", f"{path}: {column.path_in_schema} is {column.compression}")


def pages(path, metadata, findings):
    data = path.read_bytes()
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        for number in range(group.num_columns):
            column = group.column(number)
            start = column.dictionary_page_offset or column.data_page_offset
            start = min(start, column.data_page_offset)
            end = start + column.total_compressed_size
            for kind, size in page_headers(data, start, end):
                if kind in DATA_PAGES:
                    findings.rule("data page of at most 1 MB", size <= PAGE_BYTES, f"{path}: {column.path_in_schema}: {size:,} bytes")


def rows(path, table, place, findings):
    times = table["time"]
    findings.rule("time is never null", times.null_count == 0, path)
    findings.rule("one class for an object", len(pc.unique(table["class_uid"])) == 1, path)
    ordered = all(pc.all(pc.less_equal(chunk[:-1], chunk[1:])).as_py() in (True, None) for chunk in [times.combine_chunks()])
    findings.rule("rows in the order of time", ordered, path)
    if place and len(times):
        bounds = [pc.min(times).as_py(), pc.max(times).as_py()]
        days = {datetime.datetime.fromtimestamp(time / 1000, datetime.timezone.utc).strftime("%Y%m%d") for time in bounds}
        findings.rule("eventDay is the UTC day of time", days == {place["day"]}, f"{path}: {days}")


def with_duckdb(found, findings):
    """Checks that DuckDB reads all objects of a source together."""
    paths = [str(path) for path in found]
    database = duckdb.connect()
    roots = {}
    for path in paths:
        roots.setdefault(path.split("/region=")[0], []).append(path)
    for root, members in roots.items():
        lake = database.execute(
            "SELECT * FROM read_parquet($members, hive_partitioning = true, hive_types_autocast = false)", {"members": members}
        )
        seen = {column[0] for column in lake.description}
        findings.rule("DuckDB sees the partitions", {"region", "accountId", "eventDay"} <= seen, root)
        # Every row has a class, and its time is in its day; so DuckDB decodes these columns.
        count = database.execute(
            """SELECT count(*) FROM read_parquet($members, hive_partitioning = true, hive_types_autocast = false)
               WHERE class_uid IS NOT NULL AND strftime(make_timestamp(time * 1000), '%Y%m%d') = "eventDay" """,
            {"members": members},
        ).fetchone()[0]
        expected = sum(pq.read_metadata(path).num_rows for path in members)
        findings.rule("DuckDB reads every row", count == expected, f"{root}: {count} of {expected}")


if __name__ == "__main__":
    main()
