#!/usr/bin/env python3
"""Validates a lake's events against OCSF with an independent JSON-Schema library.

    validate_jsonschema.py LAKE SCHEMAS [--sample N] [--ocsf COMPILED]

SCHEMAS is a JSON file, gzipped or not, that maps the names of classes to JSON Schemas. The
name of a class uid comes from the compiled schema of --ocsf, else from the class_uid
constants and enums of SCHEMAS.
"""

import argparse
import collections
import datetime
import gzip
import json
import pathlib
import sys

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq

from lake import objects


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lake")
    parser.add_argument("schemas")
    parser.add_argument("--sample", type=int, default=0, help="validate at most N events of each object, evenly spread")
    parser.add_argument("--ocsf", help="compiled schema with the class uids")
    arguments = parser.parse_args()
    validators = Validators(load(arguments.schemas), arguments.ocsf and load(arguments.ocsf))
    events, wrong, messages = 0, 0, collections.Counter()
    for path in objects(arguments.lake):
        for event in read(path, arguments.sample):
            events += 1
            errors = validators.errors(event)
            wrong += bool(errors)
            messages.update(errors)
    for message, times in messages.most_common(20):
        print(f"{times:8,} × {message}")
    print(f"{events:,} events, {wrong:,} invalid")
    sys.exit(1 if wrong or not events else 0)


def load(path):
    data = pathlib.Path(path).read_bytes()
    return json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)


class Validators:
    """Compiles one validator for each class."""

    def __init__(self, schemas, ocsf):
        self.schemas = schemas
        self.names = {entry["uid"]: name for name, entry in ocsf["classes"].items()} if ocsf else uids(schemas)
        self.compiled = {}

    def errors(self, event):
        uid = event.get("class_uid")
        if uid not in self.compiled:
            schema = self.schemas.get(self.names.get(uid))
            if schema is None:
                return [f"class_uid {uid} has no schema"]
            kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft7Validator)
            kind.check_schema(schema)
            self.compiled[uid] = kind(schema)
        found = self.compiled[uid].iter_errors(event)
        return [f"{'.'.join(map(str, error.absolute_path)) or 'event'}: {error.message[:200]}" for error in found]


def uids(schemas):
    names = {}
    for name, schema in schemas.items():
        uid = schema.get("properties", {}).get("class_uid", {})
        for value in [uid["const"]] if "const" in uid else uid.get("enum", []):
            names[value] = name
    return names


def read(path, sample):
    """The events of an object as in JSON: without nulls and empty objects."""
    table = pq.ParquetFile(path).read()
    if sample and table.num_rows > sample:
        step = table.num_rows // sample
        table = table.take(pa.array(range(0, table.num_rows, step)))
    for batch in table.to_batches(max_chunksize=4096):
        for event in batch.to_pylist():
            yield prune(event)


def prune(value):
    if isinstance(value, dict):
        pruned = ((key, prune(item)) for key, item in value.items())
        return {key: item for key, item in pruned if item is not None and item != {}}
    if isinstance(value, list):
        # A map arrives as pairs. An empty list counts as null.
        if value and all(isinstance(item, tuple) for item in value):
            return prune(dict(value))
        return [prune(item) for item in value if item is not None] or None
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


if __name__ == "__main__":
    main()
