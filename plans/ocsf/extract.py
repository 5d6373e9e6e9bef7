#!/usr/bin/env python3
"""Write one compact table for each compiled OCSF schema.

    extract.py COMPILED_SCHEMA.json[.gz]...

The table is written to `<version>.tsv` beside this script. A compiled schema is the
output of `ocsf-schema-compiler` (PyPI) for a tag of github.com/ocsf/ocsf-schema, or of
`/export/schema` of the public schema server. The output is reproducible.

Every line is a record with tab-separated fields. Empty fields at its end are omitted:

    version     version
    type        name, base type, observable type id
    enum        number, then `id=caption` for each member
    object      name, caption, profiles, constraints, observable type id
    class       name, caption, profiles, constraints, uid, category uid, category name
    -           attribute of the class or object above: name, type, requirement,
                enum number, sibling, profiles that add it, observable type id

The type of an attribute is the name of a scalar without `_t`, or `@` and the name of an
object. A list has the suffix `[]`. A requirement is its first letter, or `c` for recommended.
Lists are joined by commas. Constraints look like `at_least_one:a,b;just_one:c,d`.
"""

import gzip
import json
import pathlib
import sys

REQUIREMENTS = {"required": "r", "recommended": "c", "optional": "o"}
# Their members are computed from the class.
DERIVED_ENUMS = {"type_uid", "class_uid", "category_uid"}


def read(path):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return json.load(file)


def record(*fields):
    texts = ["" if field is None else str(field) for field in fields]
    if any("\t" in text or "\n" in text for text in texts):
        raise SystemExit(f"a field contains a separator: {texts}")
    return "\t".join(texts).rstrip("\t") + "\n"


def constraints(item):
    found = sorted((item.get("constraints") or {}).items())
    return ";".join(f"{kind}:{','.join(names)}" for kind, names in found)


def profiles(item):
    return ",".join(sorted(item.get("profiles") or []))


def id_order(member):
    key = member[0]
    return (0, int(key), "") if key.lstrip("-").isdigit() else (1, 0, key)


class Enums:
    """Numbers the distinct enumerations in order of appearance."""

    def __init__(self):
        self.numbers = {}

    def number(self, name, attribute):
        members = attribute.get("enum")
        if not members or name in DERIVED_ENUMS:
            return None
        ordered = sorted(members.items(), key=id_order)
        key = tuple(f"{number}={member['caption']}" for number, member in ordered)
        return self.numbers.setdefault(key, len(self.numbers))

    def records(self):
        return [record("enum", number, *members) for members, number in self.numbers.items()]


def type_of(attribute):
    name = attribute["type"]
    text = "@" + attribute["object_type"] if name == "object_t" else name.removesuffix("_t")
    return text + ("[]" if attribute.get("is_array") else "")


def attribute_records(item, enums):
    for name, attribute in sorted(item["attributes"].items()):
        yield record(
            "-",
            name,
            type_of(attribute),
            REQUIREMENTS[attribute["requirement"]],
            enums.number(name, attribute),
            attribute.get("sibling"),
            # Some attributes name profiles but exist without any.
            profiles(attribute) if attribute.get("profile") else None,
            attribute.get("observable"),
        )


def object_records(name, item, enums):
    yield record("object", name, item["caption"], profiles(item), constraints(item), item.get("observable"))
    yield from attribute_records(item, enums)


def class_records(name, item, enums):
    yield record(
        "class",
        name,
        item["caption"],
        profiles(item),
        constraints(item),
        item.get("uid", 0),
        item.get("category_uid", 0),
        item.get("category_name"),
    )
    yield from attribute_records(item, enums)


def table(schema):
    enums = Enums()
    body = []
    for name, item in sorted(schema["objects"].items()):
        body.extend(object_records(name, item, enums))
    for name, item in sorted(schema["classes"].items()):
        body.extend(class_records(name, item, enums))
    head = [record("version", schema["version"])]
    for name, kind in sorted(schema["types"].items()):
        base = (kind.get("type") or "").removesuffix("_t")
        head.append(record("type", name.removesuffix("_t"), base, kind.get("observable")))
    return "".join(head + enums.records() + body)


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    for argument in sys.argv[1:]:
        schema = read(pathlib.Path(argument))
        target = pathlib.Path(__file__).parent / f"{schema['version']}.tsv"
        target.write_text(table(schema), encoding="utf-8", newline="\n")
        print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
