"""Shared by the peers' scripts: the selected days and the files to read for them."""

import argparse
import datetime
import pathlib

DAY = 86_400


def parser(description):
    """Parses the arguments of a peer, INPUT OUTPUT FROM TO [--ordered], and finds its files."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("first", type=datetime.date.fromisoformat)
    parser.add_argument("last", type=datetime.date.fromisoformat)
    parser.add_argument("--ordered", action="store_true", help="sort the rows of a partition by time")
    parse = parser.parse_args

    def parse_args():
        arguments = parse()
        epoch = datetime.date(1970, 1, 1)
        arguments.start = (arguments.first - epoch).days * DAY
        arguments.end = ((arguments.last - epoch).days + 1) * DAY
        arguments.files = files(arguments.input, arguments.first, arguments.last)
        return arguments

    parser.parse_args = parse_args
    return parser


def files(folder, first, last):
    """The flow log files of these days and of the day on each side."""
    found = []
    day = first - datetime.timedelta(days=1)
    while day <= last + datetime.timedelta(days=1):
        found += sorted(map(str, pathlib.Path(folder).glob(f"AWSLogs/*/vpcflowlogs/*/{day:%Y/%m/%d}/*.log.gz")))
        day += datetime.timedelta(days=1)
    return found
