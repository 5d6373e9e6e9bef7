"""Writes the report of one orchestrated load: report.json and report.md in its run folder.

Reads steps.tsv (name, start, end, exit code, detail) and the results of lakebolt.
Steps have the names of the state machine that orchestrate.sh replaces.
"""

import datetime
import json
import pathlib
import sys


def seconds(start, end):
    parse = datetime.datetime.fromisoformat
    return (parse(end.rstrip("Z")) - parse(start.rstrip("Z"))).total_seconds()


def steps_of(folder):
    steps = []
    for line in (folder / "steps.tsv").read_text().splitlines():
        name, start, end, code, detail = line.split("\t")
        steps.append(
            {
                "name": name,
                "state": "failed" if int(code) else "succeeded",
                "exit_code": int(code),
                "started_at": start,
                "ended_at": end,
                "seconds": seconds(start, end),
                "detail": detail,
            }
        )
    return steps


def result_of(path):
    """What lakebolt printed, or None if it printed nothing."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(cell, line))} |\n" for line in lines)


def cell(value):
    return str(value).replace("|", "\\|").replace("\n", " ")


def page(report):
    outcome = report["outcome"] or {}
    text = f"# Load {outcome.get('load_id') or '(none)'}\n\n"
    text += f"State **{outcome.get('state', 'not run')}**, exit code **{report['exit_code']}**.\n"
    for error in report["errors"]:
        text += f"\n**{error['of']}**: {error['message']}\n"
        if error["remedy"]:
            text += f"\nRemedy: {error['remedy']}\n"
    heads = ["step", "state", "exit", "started", "seconds", "detail"]
    names = ["name", "state", "exit_code", "started_at", "seconds", "detail"]
    text += "\n## Steps\n\n"
    text += table(heads, [[step[name] for name in names] for step in report["steps"]])
    text += "\n## Periods\n\n"
    rows = ["read", "written", "quarantined"]
    heads = ["period", "state", "attempts", *rows, "objects", "seconds", "error"]
    text += table(heads, [period_row(period) for period in report["periods"]])
    if report["failures"]:
        text += "\n## Failures of all attempts\n\n"
        names = ["attempt", "load", "period", "error"]
        text += table(names, [[failure[name] for name in names] for failure in report["failures"]])
    return text


def period_row(period):
    rows = period.get("rows") or {}
    error = period.get("error") or {}
    return [
        period.get("period"),
        period.get("state"),
        period.get("attempts", ""),
        *(rows.get(name, "") for name in ("read", "written", "quarantined")),
        (period.get("output") or {}).get("objects", ""),
        period.get("seconds", ""),
        error.get("message", ""),
    ]


def errors_of(results):
    """The error of each result that has one, as lakebolt printed it."""
    found = []
    for name, result in results.items():
        error = (result or {}).get("error")
        if not error:
            continue
        detail = error if isinstance(error, dict) else {"message": error}
        found.append(
            {
                "of": name,
                "code": detail.get("code", ""),
                "message": detail.get("message", str(error)),
                "remedy": detail.get("remedy", ""),
            }
        )
    return found


def periods_of(outcomes):
    """Each period as the last attempt that worked on it left it."""
    periods = {}
    for _, outcome in outcomes:
        for period in outcome.get("periods") or []:
            periods[period.get("period")] = period
    return [periods[name] for name in sorted(periods)]


def failures_of(outcomes):
    """Every failure of a period or load, also if a later attempt succeeded."""
    failures = []
    for attempt, outcome in outcomes:
        undone = [period for period in outcome.get("periods") or [] if period.get("error")]
        for at in undone or [outcome]:
            error = at.get("error")
            if error:
                failures.append(
                    {
                        "attempt": attempt,
                        "load": outcome.get("load_id") or "",
                        "period": at.get("period", ""),
                        "error": error.get("message", ""),
                    }
                )
    return failures


def main():
    folder, code = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    names = ("tables", "plan", "outcome", "status", "verify")
    results = {name: result_of(folder / f"{name}.json") for name in names}
    attempts = sorted((int(path.stem.split("-")[1]), path) for path in folder.glob("outcome-*.json"))
    outcomes = [(number, result_of(path) or {}) for number, path in attempts]
    report = {
        "schema_version": 1,
        "exit_code": code,
        "steps": steps_of(folder),
        "errors": errors_of(results),
        "periods": periods_of(outcomes),
        "failures": failures_of(outcomes),
        "outcome": results["outcome"],
        "verify": results["verify"],
    }
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    (folder / "report.md").write_text(page(report))


if __name__ == "__main__":
    main()
