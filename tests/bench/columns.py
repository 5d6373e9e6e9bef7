"""The one list of the OCSF columns that every engine writes, so that all do the same job.

An expression is SQL over the columns of a version 2 flow (dashes are NULL), plus
`region`, from the file's path. Every peer's SQL understands all of it.
"""

ENUM = "CASE WHEN action = 'ACCEPT' THEN {} WHEN action = 'REJECT' THEN {} ELSE {} END"


def by_action(accept, reject, other):
    return ENUM.format(*(f"'{value}'" if isinstance(value, str) else value for value in (accept, reject, other)))


# Columns of the text, with their types: `long`, `int` or `text`.
INPUT = [
    ("version", "int"),
    ("account_id", "text"),
    ("interface_id", "text"),
    ("srcaddr", "text"),
    ("dstaddr", "text"),
    ("srcport", "int"),
    ("dstport", "int"),
    ("protocol", "int"),
    ("packets", "long"),
    ("bytes", "long"),
    ("start", "long"),
    ("end", "long"),
    ("action", "text"),
    ("log_status", "text"),
]

# Dotted attribute, type, expression. `start_s` and `end_s` stand for the columns
# `start` and `end`, whose names are words of SQL. `moment` is a timestamp in UTC
# with milliseconds, of an expression in epoch milliseconds.
LEAVES = [
    ("activity_id", "int", by_action(6, 5, 0)),
    ("activity_name", "text", by_action("Traffic", "Refuse", "Unknown")),
    ("action_id", "int", by_action(1, 2, 0)),
    ("action", "text", by_action("Allowed", "Denied", "Unknown")),
    ("disposition_id", "int", by_action(1, 2, 0)),
    ("disposition", "text", by_action("Allowed", "Blocked", "Unknown")),
    ("category_uid", "int", "4"),
    ("category_name", "text", "'Network Activity'"),
    ("class_uid", "int", "4001"),
    ("class_name", "text", "'Network Activity'"),
    ("type_uid", "long", by_action(400106, 400105, 400100)),
    ("type_name", "text", by_action("Network Activity: Traffic", "Network Activity: Refuse", "Network Activity: Unknown")),
    ("severity_id", "int", "1"),
    ("severity", "text", "'Informational'"),
    ("status_code", "text", "log_status"),
    ("time", "long", "start_s * 1000"),
    ("time_dt", "moment", "start_s * 1000"),
    ("start_time", "long", "start_s * 1000"),
    ("start_time_dt", "moment", "start_s * 1000"),
    ("end_time", "long", "end_s * 1000"),
    ("end_time_dt", "moment", "end_s * 1000"),
    ("metadata.product.name", "text", "'Amazon VPC'"),
    ("metadata.product.vendor_name", "text", "'AWS'"),
    ("metadata.product.version", "text", "CAST(version AS VARCHAR)"),
    ("metadata.product.feature.name", "text", "'Flowlogs'"),
    ("metadata.version", "text", "'1.1.0'"),
    ("metadata.profiles", "texts", ["cloud", "datetime", "security_control"]),
    ("cloud.provider", "text", "'AWS'"),
    ("cloud.region", "text", "region"),
    ("cloud.account.uid", "text", "account_id"),
    ("src_endpoint.ip", "text", "srcaddr"),
    ("src_endpoint.port", "int", "srcport"),
    ("dst_endpoint.ip", "text", "dstaddr"),
    ("dst_endpoint.port", "int", "dstport"),
    ("dst_endpoint.interface_uid", "text", "interface_id"),
    ("connection_info.protocol_num", "int", "protocol"),
    ("connection_info.protocol_name", "text", "CASE WHEN protocol = 6 THEN 'tcp' WHEN protocol = 17 THEN 'udp' WHEN protocol = 1 THEN 'icmp' ELSE NULL END"),
    ("connection_info.direction_id", "int", "0"),
    ("connection_info.direction", "text", "'Unknown'"),
    ("traffic.bytes", "long", "bytes"),
    ("traffic.packets", "long", "packets"),
    # Name, caption, type id and value; those without a value are left out.
    ("observables", "observables", [
        ("src_endpoint.ip", "IP Address", 2, "srcaddr"),
        ("dst_endpoint.ip", "IP Address", 2, "dstaddr"),
    ]),
    # Key and value, a map of texts; `None` is a map that is always NULL.
    ("unmapped", "map", None),
]

# Columns that two outputs must agree on, row for row.
COMPARED = [
    "time", "end_time", "src_endpoint.ip", "dst_endpoint.ip", "src_endpoint.port", "dst_endpoint.port",
    "traffic.bytes", "traffic.packets", "activity_id", "action", "status_code",
    "cloud.account.uid", "cloud.region",
]

PARTITIONS = ["region", "accountId", "eventDay"]


def tree():
    """The leaves as nested dictionaries; a leaf is its type and expression."""
    root = {}
    for path, kind, expression in LEAVES:
        *parents, name = path.split(".")
        node = root
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = (kind, expression)
    return root
