"""Writes VPC flow logs into FOLDER, always the same lines: four days of two months, four files
a day, LINES (500) lines a file."""

import datetime
import gzip
import pathlib
import random
import sys

HEAD = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol "
    "packets bytes start end action log-status"
)
ACCOUNT, REGION = "111122223333", "eu-central-1"
DAYS = ["2024-01-30", "2024-01-31", "2024-02-01", "2024-02-02"]


def line(numbers, second):
    address = f"10.0.{numbers.randrange(256)}.{numbers.randrange(256)}"
    count = numbers.randrange(1, 500)
    return (
        f"2 {ACCOUNT} eni-0a1b2c3d {address} 192.0.2.{numbers.randrange(256)} "
        f"{numbers.randrange(1024, 65536)} 443 6 {count} {count * 52} {second} {second + 59} "
        f"{numbers.choice(['ACCEPT', 'REJECT'])} OK"
    )


def main():
    folder, numbers = pathlib.Path(sys.argv[1]), random.Random(7)
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    for day in DAYS:
        start = datetime.datetime.fromisoformat(day + "T00:00:00+00:00")
        place = folder / f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/{day.replace('-', '/')}"
        place.mkdir(parents=True, exist_ok=True)
        for hour in range(0, 24, 6):
            begin = int(start.timestamp()) + hour * 3600
            lines = [line(numbers, begin + numbers.randrange(3000)) for _ in range(count)]
            stamp = f"{day.replace('-', '')}T{hour:02}00Z"
            name = f"{ACCOUNT}_vpcflowlogs_{REGION}_fl-0123456789abcdef0_{stamp}_{hour:08x}.log.gz"
            text = "\n".join([HEAD, *lines]) + "\n"
            (place / name).write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
