#!/usr/bin/env python3
"""Compares two outputs row by row: the columns that columns.py names, and the day.

    compare.py ONE OTHER

The order of rows does not matter, duplicates do. It compares the counts and hashes of each
day first, and shows the rows of days that differ.
"""

import sys

import duckdb

import columns


def compare(one, other):
    """The differences as lines; none if the outputs agree."""
    database = duckdb.connect()
    names = []
    for name, folder in [("one", one), ("other", other)]:
        selected = []
        for path in columns.COMPARED:
            alias = path.replace(".", "_")
            access = ".".join(f'"{part}"' for part in path.split("."))
            selected.append(f"{access} AS {alias}")
        names = [path.replace(".", "_") for path in columns.COMPARED] + ["day", "account", "place"]
        database.execute(f"""
            CREATE VIEW {name} AS
            SELECT {', '.join(selected)}, "eventDay" AS day, "accountId" AS account, region AS place
            FROM read_parquet('{folder.rstrip('/')}/**/*.parquet', hive_partitioning = true, hive_types_autocast = false)
        """)
    row = ", ".join(names)
    summary = f"SELECT day, count(*), sum(hash({row})::HUGEINT), bit_xor(hash({row})) FROM {{}} GROUP BY day ORDER BY day"
    left, right = (database.execute(summary.format(name)).fetchall() for name in ("one", "other"))
    if left == right:
        return []
    lines = []
    for day in sorted({row[0] for row in set(left) ^ set(right)})[:3]:
        for title, a, b in [("only in the first", "one", "other"), ("only in the second", "other", "one")]:
            difference = f"SELECT {row} FROM {a} WHERE day = '{day}' EXCEPT ALL SELECT {row} FROM {b} WHERE day = '{day}'"
            found = database.execute(f"SELECT count(*) FROM ({difference})").fetchone()[0]
            lines.append(f"{day}: {found:,} rows {title}")
            lines += [f"  {example}" for example in database.execute(f"{difference} LIMIT 2").fetchall()]
    return lines


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    different = compare(*sys.argv[1:])
    print("\n".join(different) or "the same rows")
    sys.exit(1 if different else 0)
