"""VPC flow text → OCSF Parquet with DuckDB, as a user would write it."""

import argparse

import duckdb

import columns
import days

TYPES = {"int": "INTEGER", "long": "BIGINT", "text": "VARCHAR", "moment": "TIMESTAMP_MS"}


def main():
    arguments = days.parser(__doc__).parse_args()
    names = {"start": "start_s", "end": "end_s"}
    declared = {names.get(name, name): TYPES[kind] for name, kind in columns.INPUT}
    select = ",\n".join(f'{value(node)} AS "{name}"' for name, node in columns.tree().items())
    order = "ORDER BY region, accountId, eventDay, time" if arguments.ordered else ""
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    if not arguments.ordered:
        database.execute("SET preserve_insertion_order = false")
    database.execute(
        f"""
        COPY (
            SELECT {select}, region, account_id AS "accountId", strftime(make_timestamp(start_s * 1000000), '%Y%m%d') AS "eventDay"
            FROM (SELECT *, regexp_extract(filename, '/vpcflowlogs/([^/]+)/', 1) AS region
                  FROM read_csv($files, delim = ' ', header = true, nullstr = '-', filename = true,
                                compression = 'gzip', auto_detect = false, columns = {declared}))
            WHERE start_s >= {arguments.start} AND start_s < {arguments.end}
            {order}
        ) TO '{arguments.output}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (region, "accountId", "eventDay"))
        """,
        {"files": arguments.files},
    )


def value(node):
    """The DuckDB expression of a column or a struct."""
    if isinstance(node, dict):
        return "struct_pack(" + ", ".join(f'"{name}" := {value(child)}' for name, child in node.items()) + ")"
    kind, expression = node
    if kind == "texts" and expression is None:
        return "CAST(NULL AS VARCHAR[])"
    if kind == "texts":
        return "[" + ", ".join(f"'{text}'" for text in expression) + "]"
    if kind == "observables":
        items = ", ".join(
            f"struct_pack(name := '{name}', \"type\" := '{caption}', type_id := {number}, value := {item})"
            for name, caption, number, item in expression
        )
        return f"list_filter([{items}], lambda observable: observable.value IS NOT NULL)"
    if kind == "map":
        if expression is None:
            return "CAST(NULL AS MAP(VARCHAR, VARCHAR))"
        keys = ", ".join(f"'{key}'" for key, _ in expression)
        return f"map([{keys}], [{', '.join(f'CAST({item} AS VARCHAR)' for _, item in expression)}])"
    if kind == "moment":
        return f"CAST(make_timestamp(({expression}) * 1000) AS TIMESTAMP_MS)"
    return f"CAST({expression} AS {TYPES[kind]})"


if __name__ == "__main__":
    main()
