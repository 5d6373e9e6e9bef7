"""Shared by the acceptance scripts: finding objects and reporting findings."""

import pathlib
import re
import sys

PLACE = re.compile(r"/region=(?P<region>[a-z0-9-]+)/accountId=(?P<account>\d{12}|external(_[\w-]+)?)/eventDay=(?P<day>\d{8})/[^/]+\.parquet$")


def objects(folder):
    """Every Parquet object below a folder, sorted by path."""
    folder = pathlib.Path(folder)
    found = [folder] if folder.is_file() else sorted(folder.rglob("*.parquet"))
    if not found:
        sys.exit(f"{folder}: no Parquet object")
    return found


class Findings:
    """Counts the broken rules, and keeps a few examples of each."""

    def __init__(self):
        self.checked = {}
        self.examples = {}
        self.counts = {}

    def rule(self, name, holds, example):
        self.checked[name] = self.checked.get(name, 0) + 1
        if holds:
            return
        self.counts[name] = self.counts.get(name, 0) + 1
        examples = self.examples.setdefault(name, [])
        if len(examples) < 5:
            examples.append(str(example))

    def report(self):
        """Prints each rule and returns the exit code."""
        for name, times in self.checked.items():
            wrong = self.counts.get(name, 0)
            print(f"{'FAIL' if wrong else 'pass'}  {name}  ({wrong} of {times} wrong)" if wrong else f"pass  {name}  ({times} checked)")
            for example in self.examples.get(name, []):
                print(f"      {example}")
        return 1 if self.counts else 0
