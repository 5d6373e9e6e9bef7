"""The list of OCSF columns that every engine writes, so that all do the same job.

An expression is SQL over the columns of a version 2 flow (dashes are NULL), and `region`
from the file's path. The SQL of every peer supports all expressions.
"""

ENUM = "CASE WHEN action = 'ACCEPT' THEN {} WHEN action = 'REJECT' THEN {} ELSE {} END"


def by_action(accept, reject, other):
    return ENUM.format(*(f"'{value}'" if isinstance(value, str) else value for value in (accept, reject, other)))


PROTOCOLS = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 58: "ipv6-icmp", 132: "sctp"}
PROTOCOL = "CASE " + " ".join(f"WHEN protocol = {number} THEN '{name}'" for number, name in PROTOCOLS.items()) + " ELSE NULL END"
VERSION = (
    "CASE WHEN srcaddr LIKE '%:%' THEN 'Internet Protocol version 6 (IPv6)' "
    "WHEN srcaddr LIKE '%.%' THEN 'Internet Protocol version 4 (IPv4)' ELSE 'Unknown' END"
)

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

# Dotted attribute, type, expression. `start_s` and `end_s` are the columns `start` and
# `end`, whose names are keywords of SQL. `moment` is a UTC timestamp with milliseconds,
# from an expression in epoch milliseconds; `texts` is a list.
LEAVES = [
    ("activity_id", "int", by_action(6, 5, 0)),
    ("activity_name", "text", by_action("Traffic", "Refuse", "Unknown")),
    ("action_id", "int", by_action(1, 2, 0)),
    ("action", "text", by_action("Allowed", "Denied", "Unknown")),
    # Without an action it is Other, with the text of the status.
    ("disposition_id", "int", by_action(1, 2, 99)),
    ("disposition", "text", "CASE WHEN action = 'ACCEPT' THEN 'Allowed' WHEN action = 'REJECT' THEN 'Blocked' ELSE log_status END"),
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
    # A field that version 2 lacks is NULL: lakebolt has one schema for all versions.
    ("cloud.region", "text", "NULL"),
    ("cloud.zone", "text", "NULL"),
    ("cloud.account.uid", "text", "account_id"),
    ("src_endpoint.ip", "text", "srcaddr"),
    ("src_endpoint.intermediate_ips", "texts", None),
    ("src_endpoint.port", "int", "srcport"),
    ("src_endpoint.svc_name", "text", "NULL"),
    ("src_endpoint.interface_uid", "text", "CASE WHEN log_status <> 'OK' THEN interface_id ELSE NULL END"),
    ("src_endpoint.vpc_uid", "text", "NULL"),
    ("src_endpoint.subnet_uid", "text", "NULL"),
    ("src_endpoint.instance_uid", "text", "NULL"),
    ("dst_endpoint.ip", "text", "dstaddr"),
    ("dst_endpoint.intermediate_ips", "texts", None),
    ("dst_endpoint.port", "int", "dstport"),
    ("dst_endpoint.svc_name", "text", "NULL"),
    ("dst_endpoint.interface_uid", "text", "interface_id"),
    ("dst_endpoint.vpc_uid", "text", "NULL"),
    ("dst_endpoint.subnet_uid", "text", "NULL"),
    ("dst_endpoint.instance_uid", "text", "NULL"),
    ("connection_info.protocol_num", "int", "protocol"),
    ("connection_info.protocol_name", "text", PROTOCOL),
    ("connection_info.protocol_ver_id", "int", "CASE WHEN srcaddr LIKE '%:%' THEN 6 WHEN srcaddr LIKE '%.%' THEN 4 ELSE 0 END"),
    ("connection_info.protocol_ver", "text", VERSION),
    ("connection_info.tcp_flags", "int", "NULL"),
    ("connection_info.boundary_id", "int", "NULL"),
    ("connection_info.boundary", "text", "NULL"),
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
    "cloud.account.uid",
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
