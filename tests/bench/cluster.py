#!/usr/bin/env python3
"""Measures the cost and the latencies of a cluster on one machine.

    cluster.py --bin target/release --input FOLDER [--from DAY --to DAY] [--runs 3]
               [--scratch FOLDER] [--only engines,first,death,cancel]

engines  the same load with plain DataFusion, with Ballista in one process, and on clusters:
         one executor with two task slots, one with one slot, two with one slot each
first    from the start of the client to the first part with rows, and to the first row that
         a reader sees
death    from kill -9 of a busy executor until the scheduler counts one executor less, and
         until the other one has finished the load; every timeout has its default
cancel   from `lakebolt cancel` until the client has ended, and until no work files are left;
         five seconds later there must still be none

Everything runs on loopback and local disk. Each figure includes the start of the processes.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import time
import urllib.request


def main():
    arguments = parser().parse_args()
    workspace = Workspace(arguments)
    for name in arguments.only.split(","):
        {"engines": engines, "first": first_row, "death": death, "cancel": cancel}[name](workspace)


def parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--from", dest="first", default="2024-01-08")
    parser.add_argument("--to", dest="last", default="2024-03-07")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scratch", default="bench-cluster")
    parser.add_argument("--only", default="engines,first,death,cancel")
    return parser


class Workspace:
    """A scratch folder, and the processes that run in it."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.bin = pathlib.Path(arguments.bin).resolve()
        self.input = pathlib.Path(arguments.input).resolve()
        self.scratch = pathlib.Path(arguments.scratch).resolve()
        os.environ["LAKEBOLT_TOKEN_FILE"] = str(self.scratch / "token")

    def clean(self):
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)

    def start(self, program, *flags, **environment):
        log = (self.scratch / "log").open("ab")
        command = [self.bin / program, *map(str, flags)]
        environment = {**os.environ, **environment}
        return subprocess.Popen(command, cwd=self.scratch, env=environment, stdout=log, stderr=log)

    def load(self, *flags):
        days = ["--from", self.arguments.first, "--to", self.arguments.last]
        return ["run", "vpc_flow", "--input", self.input, "--output", "lake", *days, "--progress", "none", *flags]

    @contextlib.contextmanager
    def cluster(self, executors, slots, **environment):
        """Starts a scheduler and executors; gives the scheduler's address and the executors."""
        self.clean()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        processes = [self.start("lakebolt-scheduler", "--listen", address, "--allow", self.input)]
        try:
            for number in range(executors):
                own = environment if number == 0 else {}
                flags = ["--scheduler", address, "--concurrent-tasks", slots, "--scratch", self.scratch]
                processes.append(self.start("lakebolt-executor", *flags, **own))
            wait(lambda: metric(address, "lakebolt_executors") == executors)
            yield address, processes[1:]
        finally:
            for process in reversed(processes):
                process.terminate()
            for process in processes:
                process.wait()

    def parts(self):
        return [path for path in (self.scratch / "lake/.lakebolt/staging").rglob("*") if path.is_file()]

    def objects(self):
        return [path for path in (self.scratch / "lake").rglob("*.parquet") if ".lakebolt" not in path.parts]

    def work(self):
        attempts = self.scratch / "lake/.lakebolt/attempts"
        return self.parts() + [path for path in attempts.rglob("*") if path.is_file()]


def metric(address, name):
    try:
        token = pathlib.Path(os.environ["LAKEBOLT_TOKEN_FILE"]).read_text().strip()
        request = urllib.request.Request(f"http://{address}/metrics", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=2) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return None
    values = [float(line.split()[-1]) for line in lines if line.split(" ")[0] == name]
    return sum(values) if values else None


def wait(holds, patience=300):
    """Seconds until it holds."""
    since = time.monotonic()
    while not holds():
        if time.monotonic() - since > patience:
            raise SystemExit("timed out; see SCRATCH/log")
        time.sleep(0.01)
    return time.monotonic() - since


def timed(process):
    since = time.monotonic()
    code = process.wait()
    if code != 0:
        raise SystemExit(f"exit code {code}; see SCRATCH/log")
    return time.monotonic() - since


def report(name, figures):
    figures = sorted(figures)
    middle = statistics.median(figures)
    print(f"{name:<44} median {middle:7.2f} s   min {figures[0]:.2f}   max {figures[-1]:.2f}", flush=True)
    return middle


def engines(workspace):
    """Runs the variants in turn, so that slow phases of the machine affect all of them."""
    variants = {
        "plain DataFusion": ("datafusion", 0, 0),
        "Ballista in one process": ("ballista", 0, 0),
        "cluster, one executor with two slots": ("cluster", 1, 2),
        "cluster, two executors with one slot": ("cluster", 2, 1),
        "cluster, one executor with one slot": ("cluster", 1, 1),
    }
    figures = {name: [] for name in variants}
    for _ in range(workspace.arguments.runs):
        for name, (engine, executors, slots) in variants.items():
            if executors:
                with workspace.cluster(executors, slots) as (address, _):
                    figures[name].append(timed(workspace.start("lakebolt", *workspace.load("--cluster", address))))
            else:
                workspace.clean()
                figures[name].append(timed(workspace.start("lakebolt", *workspace.load("--engine", engine))))
    middles = {name: report(name, seconds) for name, seconds in figures.items()}
    plain = middles["plain DataFusion"]
    for name, middle in middles.items():
        print(f"{name:<44} {100 * (middle / plain - 1):+.1f} % of plain DataFusion")


def first_row(workspace):
    written, visible = [], []
    for _ in range(workspace.arguments.runs):
        with workspace.cluster(2, 1) as (address, _):
            since = time.monotonic()
            client = workspace.start("lakebolt", *workspace.load("--cluster", address))
            wait(lambda: any(path.stat().st_size for path in workspace.parts()))
            written.append(time.monotonic() - since)
            wait(workspace.objects)
            visible.append(time.monotonic() - since)
            timed(client)
    report("submit to the first part with rows", written)
    report("submit to the first row that a reader sees", visible)


def death(workspace):
    noticed, done = [], []
    for _ in range(workspace.arguments.runs):
        # The executor dies after it has finished a split and before it reports that.
        with workspace.cluster(2, 1, LAKEBOLT_CRASH_AT="before-receipt:2") as (address, executors):
            client = workspace.start("lakebolt", *workspace.load("--cluster", address))
            if executors[0].wait() != -signal.SIGKILL:
                raise SystemExit("the executor was not killed")
            since = time.monotonic()
            wait(lambda: metric(address, "lakebolt_executors") == 1)
            noticed.append(time.monotonic() - since)
            client.wait()
            done.append(time.monotonic() - since)
    report("an executor's death until it is noticed", noticed)
    report("an executor's death until the load is done", done)


def cancel(workspace):
    ended, clean = [], []
    for _ in range(workspace.arguments.runs):
        with workspace.cluster(2, 1) as (address, _):
            client = workspace.start("lakebolt", *workspace.load("--cluster", address))
            wait(lambda: any(path.stat().st_size for path in workspace.parts()))
            status = [workspace.bin / "lakebolt", "status", "--cluster", address, "--format", "json"]
            load = json.loads(subprocess.run(status, stdout=subprocess.PIPE, check=True).stdout)["loads"][0]
            since = time.monotonic()
            subprocess.run([workspace.bin / "lakebolt", "cancel", load["load_id"], "--cluster", address], check=True)
            client.wait()
            ended.append(time.monotonic() - since)
            wait(lambda: not workspace.work())
            clean.append(time.monotonic() - since)
            time.sleep(max(0, 5 - clean[-1]))
            if workspace.work() or workspace.objects():
                raise SystemExit("five seconds after the cancel there were work files or objects")
    report("cancel until the client has ended", ended)
    report("cancel until no work is left", clean)


if __name__ == "__main__":
    main()
