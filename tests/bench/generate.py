#!/usr/bin/env python3
"""Generates months of VPC flow logs or CloudTrail as AWS delivers them.

    generate.py vpc FOLDER                      the reference input: 7.2 M rows, 120 files, 60 days
    generate.py vpc FOLDER --rows 1000000 --files 100000
    generate.py cloudtrail FOLDER --rows 400000

The same arguments and seed give the same bytes. FOLDER.json describes the result.
"""

import argparse
import datetime
import functools
import gzip
import hashlib
import json
import multiprocessing
import os
import pathlib
import sys
import time

import numpy as np

# Several processes run already, one for each core.
os.environ.setdefault("POLARS_MAX_THREADS", "1")

EPOCH = datetime.date(1970, 1, 1)
DAY = 86_400
REGIONS = ["us-east-1", "eu-central-1", "ap-southeast-2", "us-west-2", "eu-west-1"]
FLOW_COLUMNS = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes "
    "start end action log-status"
).split()


def main():
    arguments = parser().parse_args()
    out = pathlib.Path(arguments.folder)
    if out.exists() and any(out.iterdir()):
        sys.exit(f"{out} is not empty")
    groups = layout(arguments)
    jobs = [(arguments, group) for group in groups if group["rows"].sum()]
    started = time.monotonic()
    make = {"vpc": make_flows, "cloudtrail": make_trail}[arguments.kind]
    with multiprocessing.get_context("fork").Pool(arguments.processes) as pool:
        written = []
        for sizes in pool.imap_unordered(make, jobs, chunksize=1):
            written.append(sizes)
            if sys.stderr.isatty():
                print(f"\r{len(written)}/{len(jobs)} groups", end="", file=sys.stderr, flush=True)
    describe(arguments, out, written, time.monotonic() - started)


def parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["vpc", "cloudtrail"])
    parser.add_argument("folder")
    parser.add_argument("--rows", type=int, help="default 7,200,000 flows or 400,000 events")
    parser.add_argument("--files", type=int, default=120)
    parser.add_argument("--from", dest="first", type=datetime.date.fromisoformat, default="2024-01-08")
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--accounts", type=int, default=2)
    parser.add_argument("--regions", type=int, default=1)
    parser.add_argument("--skew", type=float, default=0.0, help="0: all files have one size; 1: the n-th file has 1/n of the rows of the first")
    parser.add_argument("--nodata", type=float, default=0.001, help="share of NODATA rows; SKIPDATA rows are a fifth of that")
    parser.add_argument("--ipv6", type=float, default=0.01, help="share of IPv6 flows")
    parser.add_argument("--straddle", type=float, default=0.0005, help="share of rows that start up to ten minutes before their file's window")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--level", type=int, default=6, help="compression level of gzip")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    return parser


def layout(arguments):
    """Spreads the rows over files, and the files over days, accounts and regions."""
    rows = arguments.rows or {"vpc": 7_200_000, "cloudtrail": 400_000}[arguments.kind]
    arguments.rows = rows
    weights = np.arange(1, arguments.files + 1, dtype=float) ** -arguments.skew
    np.random.default_rng([arguments.seed, 0]).shuffle(weights)
    bounds = np.round(np.cumsum(weights) / weights.sum() * rows).astype(np.int64)
    sizes = np.diff(bounds, prepend=0)
    places = [
        (day, account, region)
        for day in range(arguments.days)
        for account in range(arguments.accounts)
        for region in range(arguments.regions)
    ]
    groups = []
    for index, files in enumerate(np.array_split(sizes, len(places))):
        day, account, region = places[index]
        groups.append({
            "index": index + 1,
            "day": arguments.first + datetime.timedelta(days=day),
            "account": f"{210_000_000_000 + account * 1_111_111:012d}",
            "region": REGIONS[region % len(REGIONS)],
            "rows": files,
        })
    return groups


def windows(group, random, straddle):
    """The start of each row: in its file's window of the day, or shortly before it."""
    rows = group["rows"]
    length = DAY / len(rows)
    file = np.repeat(np.arange(len(rows)), rows)
    midnight = (group["day"] - EPOCH).days * DAY
    offset = (file + random.random(len(file))) * length
    # AWS delivers by capture window, so rows are only roughly in the order of time.
    order = np.argsort(offset + random.random(len(offset)) * 60, kind="stable")
    order = order[np.argsort(file[order], kind="stable")]
    offset = offset[order]
    early = random.random(len(file)) < straddle
    offset[early] = (file[early] * length) - random.integers(1, 600, early.sum())
    return midnight, length, (midnight + np.floor(offset)).astype(np.int64)


def make_flows(job):
    import polars as pl

    arguments, group = job
    random = np.random.default_rng([arguments.seed, group["index"]])
    midnight, length, start = windows(group, random, arguments.straddle)
    count = len(start)
    frame = flows(arguments, group, random, start, count)
    frame = frame.with_columns(pl.all().cast(pl.String)).with_columns(dashes(pl))
    frame = frame.select(FLOW_COLUMNS)
    return deliver(arguments, group, midnight, length, "vpcflowlogs", flow_name, lambda low, high: (
        frame.slice(low, high - low).write_csv(separator=" ", quote_style="never").encode()
    ))


@functools.lru_cache(maxsize=8)
def pools(seed, account):
    """An account's interfaces, their addresses, and the addresses of their peers."""
    random = np.random.default_rng([seed, account])
    interfaces = np.array([f"eni-0{random.integers(16**8):08x}{random.integers(16**8):08x}" for _ in range(240)])
    own = np.array([f"10.{i % 8}.{random.integers(256)}.{random.integers(1, 255)}" for i in range(240)])
    own6 = np.array([f"2001:db8:{i:x}::{random.integers(1, 65536):x}" for i in range(1, 241)])
    peers = np.array([".".join(map(str, random.integers([3, 0, 0, 1], [200, 256, 256, 255]))) for _ in range(10_000)])
    peers6 = np.array([f"2600:1f14:{random.integers(1, 65536):x}::{random.integers(1, 65536):x}" for _ in range(300)])
    return interfaces, own, own6, peers, peers6


def flows(arguments, group, random, start, count):
    """The columns of flows, as numbers and pool entries."""
    import polars as pl

    interfaces, own, own6, peers, peers6 = pools(arguments.seed, int(group["account"]))
    services = np.array([443, 443, 443, 443, 80, 53, 53, 22, 3306, 5432, 6379, 8080, 9092, 123, 3389, 25])

    interface = random.integers(0, 240, count)
    often = np.minimum(random.zipf(1.15, count) - 1, 9_999)
    peer = np.where(random.random(count) < 0.4, often, random.integers(0, 10_000, count))
    six = random.random(count) < arguments.ipv6
    mine = np.where(six, own6[interface], own[interface])
    other = np.where(six, peers6[peer % 300], peers[peer])
    inward = random.random(count) < 0.5
    service = services[random.integers(0, len(services), count)]
    ephemeral = 32_768 + random.integers(0, 28_000, count)
    protocol = np.where(np.isin(service, [53, 123]), 17, 6)
    ping = random.random(count) < 0.004
    packets = np.maximum(1, random.lognormal(2.2, 1.4, count)).astype(np.int64)
    size = np.array([40, 52, 60, 76, 120, 576, 1420, 1500])[random.integers(0, 8, count)]
    status = np.where(random.random(count) < arguments.nodata, "NODATA", "OK")
    status = np.where(random.random(count) < arguments.nodata / 5, "SKIPDATA", status)
    return pl.DataFrame({
        "version": np.full(count, 2),
        "account-id": np.full(count, group["account"]),
        "interface-id": interfaces[interface],
        "srcaddr": np.where(inward, other, mine),
        "dstaddr": np.where(inward, mine, other),
        "srcport": np.where(ping, 0, np.where(inward, ephemeral, service)),
        "dstport": np.where(ping, 0, np.where(inward, service, ephemeral)),
        "protocol": np.where(ping, 1, protocol),
        "packets": packets,
        "bytes": packets * size,
        "start": start,
        "end": start + np.minimum(random.integers(0, 12, count) * 5, 59),
        "action": np.where(random.random(count) < 0.06, "REJECT", "ACCEPT"),
        "log-status": status,
    })


def dashes(pl):
    """Writes dashes for the flow columns of NODATA and SKIPDATA rows."""
    empty = FLOW_COLUMNS[3:10] + ["action"]
    has = pl.col("log-status") == "OK"
    return [pl.when(has).then(pl.col(name)).otherwise(pl.lit("-")).alias(name) for name in empty]


def flow_name(group, at, digest):
    flow_log = hashlib.sha256(f"{group['account']} {group['region']}".encode()).hexdigest()[:16]
    return f"{group['account']}_vpcflowlogs_{group['region']}_fl-0{flow_log}_{at}_{digest[:8]}.log.gz"


def make_trail(job):
    arguments, group = job
    random = np.random.default_rng([arguments.seed, group["index"]])
    midnight, length, start = windows(group, random, arguments.straddle)
    events = trail(group, random, start)
    return deliver(arguments, group, midnight, length, "CloudTrail", trail_name, lambda low, high: (
        b'{"Records":[' + ",".join(events[low:high]).encode() + b"]}"
    ))


CALLS = [
    ("s3.amazonaws.com", "GetObject", True, '{"bucketName":"data-%d","key":"in/%d.json"}', "null"),
    ("s3.amazonaws.com", "PutObject", False, '{"bucketName":"data-%d","key":"out/%d.json"}', "null"),
    ("ec2.amazonaws.com", "DescribeInstances", True, '{"maxResults":%d,"filterSet":{"items":[{"name":"tag:n%d"}]}}', "null"),
    ("sts.amazonaws.com", "AssumeRole", True, '{"roleArn":"arn:aws:iam::210000000000:role/app-%d","roleSessionName":"s%d"}',
     '{"assumedRoleUser":{"arn":"arn:aws:sts::210000000000:assumed-role/app/s"},"credentials":{"accessKeyId":"ASIAEXAMPLE","sessionToken":"not-a-token","expiration":"Jan 1, 2024"}}'),
    ("iam.amazonaws.com", "CreateUser", False, '{"userName":"user-%d-%d"}', '{"user":{"path":"/","userName":"user"}}'),
    ("iam.amazonaws.com", "AttachRolePolicy", False, '{"roleName":"role-%d","policyArn":"arn:aws:iam::aws:policy/p%d"}', "null"),
    ("signin.amazonaws.com", "ConsoleLogin", False, "null", '{"ConsoleLogin":"Success"}'),
    ("kms.amazonaws.com", "Decrypt", True, '{"encryptionAlgorithm":"SYMMETRIC_DEFAULT","keyId":"k%d-%d"}', "null"),
    ("lambda.amazonaws.com", "UpdateFunctionCode20150331v2", False, '{"functionName":"f%d-%d"}', '{"runtime":"provided"}'),
    ("dynamodb.amazonaws.com", "DeleteTable", False, '{"tableName":"t%d-%d"}', '{"tableDescription":{"itemCount":0}}'),
]


def trail(group, random, start):
    """The events as JSON texts, with the shape of real events."""
    count = len(start)
    call = random.choice(len(CALLS), count, p=[0.3, 0.14, 0.2, 0.1, 0.01, 0.01, 0.02, 0.17, 0.02, 0.03])
    user, a, b, ip = (random.integers(0, top, count) for top in (40, 500, 100_000, 3000))
    denied = random.random(count) < 0.03
    ids = random.bytes(32 * count).hex()
    return [
        event(group, CALLS[call[i]], start[i], user[i], a[i], b[i], ip[i], denied[i], ids[64 * i:64 * i + 64])
        for i in range(count)
    ]


def event(group, call, start, user, a, b, ip, denied, ids):
    source, name, read_only, parameters, response = call
    parameters = parameters % (a, b) if "%d" in parameters else parameters
    at = datetime.datetime.fromtimestamp(int(start), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    account = group["account"]
    error = '"errorCode":"AccessDenied","errorMessage":"not authorized",' if denied else ""
    return (
        '{"eventVersion":"1.09","userIdentity":{"type":"IAMUser","principalId":"AIDAEXAMPLE%05d",'
        '"arn":"arn:aws:iam::%s:user/user-%d","accountId":"%s","accessKeyId":"AKIAEXAMPLE%05d","userName":"user-%d"},'
        '"eventTime":"%s","eventSource":"%s","eventName":"%s","awsRegion":"%s","sourceIPAddress":"198.51.%d.%d",'
        '"userAgent":"aws-cli/2.15.%d md/Botocore#1.34","%srequestParameters":%s,"responseElements":%s,'
        '"requestID":"%s-%s","eventID":"%s-%s-%s-%s-%s","readOnly":%s,"eventType":"AwsApiCall","managementEvent":true,'
        '"recipientAccountId":"%s","eventCategory":"Management",'
        '"tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256"}}'
    ).replace('"%srequest', '%s"request') % (
        user, account, user, account, user, user, at, source, name, group["region"], ip // 250, ip % 250 + 1,
        user, error, parameters, "null" if denied else response, ids[:8], ids[8:20],
        ids[20:28], ids[28:32], ids[32:36], ids[36:40], ids[40:52], str(read_only).lower(), account,
    )


def trail_name(group, at, digest):
    return f"{group['account']}_CloudTrail_{group['region']}_{at}_{digest[:16]}.json.gz"


def deliver(arguments, group, midnight, length, service, name, text):
    """Writes the files of a group; returns their rows and bytes."""
    day = group["day"]
    folder = pathlib.Path(arguments.folder, "AWSLogs", group["account"], service, group["region"], f"{day:%Y/%m/%d}")
    folder.mkdir(parents=True, exist_ok=True)
    low, sizes = 0, []
    for index, rows in enumerate(group["rows"]):
        moment = datetime.datetime.fromtimestamp(midnight + index * length, datetime.timezone.utc)
        digest = hashlib.sha256(f"{arguments.seed} {group['index']} {index}".encode()).hexdigest()
        packed = gzip.compress(text(low, low + int(rows)), arguments.level, mtime=0)
        (folder / name(group, f"{moment:%Y%m%dT%H%MZ}", digest)).write_bytes(packed)
        low += int(rows)
        sizes.append((int(rows), len(packed)))
    return sizes


def describe(arguments, out, groups, seconds):
    sizes = [size for group in groups for size in group]
    packed = sorted(size for _, size in sizes)
    description = {
        "kind": arguments.kind,
        "rows": sum(rows for rows, _ in sizes),
        "files": len(sizes),
        "bytes": sum(packed),
        "median_file_bytes": packed[len(packed) // 2],
        "largest_file_bytes": packed[-1],
        "first_day": str(arguments.first),
        "days": arguments.days,
        "accounts": arguments.accounts,
        "regions": arguments.regions,
        "skew": arguments.skew,
        "seed": arguments.seed,
    }
    out.with_name(out.name + ".json").write_text(json.dumps(description, indent=1) + "\n")
    print(
        f"{description['rows']:,} rows, {description['files']:,} files, "
        f"{description['bytes'] / 1e6:,.1f} MB in {seconds:.1f} s"
    )


if __name__ == "__main__":
    main()
