#!/usr/bin/env python3
"""Runs lakebolt and its peers on the same job and prints one table.

    run.py --lakebolt PATH --input FOLDER [--from DAY --to DAY] [--runs 3]
           [--peers pyspark,duckdb,polars] [--readings plain,ordered] [--scratch FOLDER]

Each engine runs alone on the machine, and is measured from the start of its process to its
end. `plain`: peers as a user would write them, hive-partitioned and unsorted. `ordered`:
peers that sort by time, as lakebolt always does. The peers are installed from PyPI into a
virtual environment in the scratch folder. Results are also written to SCRATCH/results.json,
and the outputs are compared row by row.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent


def main():
    arguments = parser().parse_args()
    scratch = pathlib.Path(arguments.scratch).resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    python = environment(scratch)
    machine = describe(arguments)
    print("\n".join(f"{name}: {value}" for name, value in machine.items()), flush=True)
    results = [measure(arguments, scratch, python, *job) for job in jobs(arguments)]
    agree = compare(python, results) if arguments.compare else {}
    table(results, agree)
    report = {"machine": machine, "results": results, "agree": agree}
    (scratch / "results.json").write_text(json.dumps(report, indent=1) + "\n")
    sys.exit(1 if any(agree.values()) or any(result["failed"] for result in results) else 0)


def parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lakebolt", help="the binary; without it only the peers run")
    parser.add_argument("--input", required=True)
    parser.add_argument("--from", dest="first", default="2024-01-08")
    parser.add_argument("--to", dest="last", default="2024-03-07")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", default="pyspark,duckdb,polars")
    parser.add_argument("--readings", default="plain,ordered")
    parser.add_argument("--scratch", default="bench-scratch")
    parser.add_argument("--extra", default="", help="more arguments for lakebolt")
    parser.add_argument("--no-compare", dest="compare", action="store_false")
    return parser


def environment(scratch):
    """The interpreter of a virtual environment with the peers."""
    wanted = (HERE / "requirements.txt").read_text()
    venv, stamp = scratch / "venv", scratch / "venv/requirements.txt"
    python = venv / "bin/python"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt"], check=True)
        stamp.write_text(wanted)
    return str(python)


def describe(arguments):
    """The machine and the input, which the figures depend on."""
    path = pathlib.Path(arguments.input.rstrip("/") + ".json")
    description = json.loads(path.read_text()) if path.exists() else {}
    return {
        "machine": f"{cpu()}, {os.cpu_count()} cores, {meminfo('MemTotal') / 2**20:.1f} GiB, load {os.getloadavg()[0]:.2f} at the start",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "input": " ".join(f"{name}={value}" for name, value in description.items()) or arguments.input,
        "days": f"{arguments.first} to {arguments.last}",
    }


def cpu():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def meminfo(name):
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    return 0


def jobs(arguments):
    """The engine and the reading of each row of the table."""
    found = [("lakebolt", "ordered")] if arguments.lakebolt else []
    peers = [peer for peer in arguments.peers.split(",") if peer]
    return found + [(peer, reading) for reading in arguments.readings.split(",") for peer in peers]


def measure(arguments, scratch, python, engine, reading):
    """Runs an engine several times; times are medians, the memory is the maximum."""
    output = scratch / f"out-{engine}-{reading}"
    runs = []
    for number in range(arguments.runs):
        clean(output)
        log = scratch / f"{engine}-{reading}.log"
        run = watch(command(arguments, python, engine, reading, output), log)
        print(f"  {engine} {reading} {number + 1}/{arguments.runs}: {run['wall']:.2f} s, {run['peak'] / 2**20:,.0f} MiB", file=sys.stderr, flush=True)
        runs.append(run)
        if run["code"]:
            print(f"  failed with {run['code']}, see {log}", file=sys.stderr)
            break
    objects = [path for path in output.rglob("*.parquet")]
    return {
        "engine": engine,
        "reading": reading,
        "failed": runs[-1]["code"] != 0,
        "wall": statistics.median(run["wall"] for run in runs),
        "cpu": statistics.median(run["cpu"] for run in runs),
        "peak": max(run["peak"] for run in runs),
        "walls": [run["wall"] for run in runs],
        "objects": len(objects),
        "bytes": sum(path.stat().st_size for path in objects),
        "rows": rows(python, output) if objects else 0,
        "output": str(output),
    }


def clean(output):
    for path in (output, pathlib.Path(f"{output}.scratch"), pathlib.Path(f"{output}.quarantine")):
        shutil.rmtree(path, ignore_errors=True)
    os.sync()


def command(arguments, python, engine, reading, output):
    if engine == "lakebolt":
        return [
            arguments.lakebolt, "run", "vpc_flow", "--input", arguments.input, "--output", str(output),
            "--from", arguments.first, "--to", arguments.last, "--format", "json", *arguments.extra.split(),
        ]
    script = [python, str(HERE / f"peer_{engine}.py"), arguments.input, str(output), arguments.first, arguments.last]
    return script + (["--ordered"] if reading == "ordered" else [])


def watch(command, log):
    """Wall and CPU seconds of a process and its children, and the peak of their memory."""
    with open(log, "wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=output, stderr=output)
        peak, seconds = 0, {}
        while process.poll() is None:
            resident = 0
            for member in family(process.pid):
                resident += status(member, "VmRSS")
                seconds[member] = cpu_seconds(member) or seconds.get(member, 0)
            peak = max(peak, resident, status(process.pid, "VmHWM"))
            time.sleep(0.02)
        wall = time.monotonic() - started
    return {"wall": wall, "cpu": sum(seconds.values()), "peak": peak * 1024, "code": process.returncode}


def family(pid):
    """A process and all of its descendants."""
    members, pending = [], [pid]
    while pending:
        member = pending.pop()
        members.append(member)
        for task in pathlib.Path(f"/proc/{member}/task").glob("*/children"):
            try:
                pending += map(int, task.read_text().split())
            except OSError:
                pass
    return members


def status(pid, name):
    """A size of a process in KiB; 0 if it has ended."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def cpu_seconds(pid):
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rows(python, output):
    count = "import sys, duckdb; print(duckdb.execute('SELECT count(*) FROM read_parquet(?)', [sys.argv[1]]).fetchone()[0])"
    answer = subprocess.run([python, "-c", count, f"{output}/**/*.parquet"], check=True, capture_output=True, text=True)
    return int(answer.stdout)


def compare(python, results):
    """The differences of each output from the first, by engine and reading."""
    first, *others = [result for result in results if not result["failed"]]
    agree = {}
    for other in others:
        answer = subprocess.run([python, HERE / "compare.py", first["output"], other["output"]], capture_output=True, text=True)
        agree[f"{other['engine']} {other['reading']}"] = "" if answer.returncode == 0 else answer.stdout + answer.stderr
    return agree


def table(results, agree):
    base = results[0]
    heads = ["engine", "reading", "wall s", "rows/s", "CPU s", "peak MiB", "output MB", "objects", "× wall", "× CPU", "× memory", "rows agree"]
    lines = [heads, ["---"] * len(heads)]
    for result in results:
        key = f"{result['engine']} {result['reading']}"
        lines.append([
            result["engine"],
            result["reading"],
            "failed" if result["failed"] else f"{result['wall']:.2f}",
            f"{result['rows'] / result['wall']:,.0f}",
            f"{result['cpu']:.1f}",
            f"{result['peak'] / 2**20:,.0f}",
            f"{result['bytes'] / 1e6:,.1f}",
            f"{result['objects']:,}",
            f"{result['wall'] / base['wall']:.2f}",
            f"{result['cpu'] / base['cpu']:.2f}" if base["cpu"] else "-",
            f"{result['peak'] / base['peak']:.2f}",
            "-" if key not in agree else ("no" if agree[key] else "yes"),
        ])
    widths = [max(len(line[column]) for line in lines if line[column] != "---") for column in range(len(heads))]
    print()
    for line in lines:
        cells = ["-" * width if cell == "---" else cell.ljust(width) for cell, width in zip(line, widths)]
        print("| " + " | ".join(cells) + " |")
    for key, difference in agree.items():
        if difference:
            print(f"\n{key} differs from {base['engine']}:\n{difference}")


if __name__ == "__main__":
    main()
