#!/usr/bin/env bash
# shellcheck disable=SC2317 # steps are called by name
# Runs a whole historical load, as an operations team does: starts the cluster, creates tables,
# plans, loads, retries failed periods, gathers results, and writes a report. Its exit code is
# the load's.
set -euo pipefail
# shellcheck source=docker/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
    cat <<'END'
Usage: docker/orchestrate.sh [OPTIONS] -- SOURCE --input URI --output URI --from DAY --to DAY …

Arguments after -- are passed to `lakebolt plan` and `lakebolt run` unchanged.

  --retries N     how often failed periods run again [default: 2]
  --pause N       seconds before the first retry, twice as many before the second,
                  and so on [default: 15]
  --folder DIR    where results and report are written [default: docker/runs/TIME]
  --down          stops the cluster at the end; --down-volumes also deletes the data of
                  the databases

Environment: LAKEBOLT_ALLOW [s3://logs,s3://lake] names what loads may read and write;
LAKEBOLT_STATE [dynamodb:lakebolt], LAKEBOLT_PROJECT, LAKEBOLT_COMPOSE and the variables of
compose.yaml. Exit code: the load's, or 6 if the load is done and verify failed.
END
}

state=${LAKEBOLT_STATE:-dynamodb:lakebolt}
retries=2 pause=15 folder="" down=""
while (($#)); do
    case $1 in
        --retries) retries=${2:?--retries needs a number} && shift ;;
        --pause) pause=${2:?--pause needs a number} && shift ;;
        --folder) folder=${2:?--folder needs a name} && shift ;;
        --down | --down-volumes) down=$1 ;;
        -h | --help) usage && exit 0 ;;
        --) shift && break ;;
        *) usage >&2 && exit 2 ;;
    esac
    shift
done
(($#)) || { usage >&2 && exit 2; }
[[ $retries =~ ^[0-9]+$ ]] || fail "--retries $retries is not a number"
[[ $pause =~ ^[0-9]+$ ]] || fail "--pause $pause is not a number"
load=("$@")
output=""
for ((at = 0; at < $#; at++)); do
    [[ ${load[at]} == --output ]] && output=${load[at + 1]:-}
    [[ ${load[at]} == --output=* ]] && output=${load[at]#--output=}
done
[[ -n $output ]] || fail "no --output after --"
need docker
need python3
folder=${folder:-$docker_folder/runs/$(date -u +%Y%m%dT%H%M%SZ)}
mkdir -p "$folder/logs"
# A folder may be used again: remove the results of an earlier run.
rm -f "$folder"/*.json "$folder"/report.md "$folder"/logs/*.log
: >"$folder/steps.tsv"

# record NAME STARTED CODE DETAIL: writes one line about a step.
record() {
    printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$(date -u +%FT%TZ)" "$3" "$4" >>"$folder/steps.tsv"
}

# step NAME DETAIL COMMAND…: runs the command and records how it ended. Returns its exit code.
step() {
    local name=$1 detail=$2 started code=0
    shift 2
    started=$(date -u +%FT%TZ)
    say "$name: $detail"
    "$@" || code=$?
    record "$name" "$started" "$code" "$detail"
    return "$code"
}

# lakebolt FILE ARGUMENT…: runs the command line in the cluster's network; its result goes to FILE.
lakebolt() {
    local file=$folder/$1
    shift
    compose run --rm -T lakebolt "$@" --format json </dev/null \
        >"$file" 2>>"$folder/logs/lakebolt.log"
}

# The load's id from a result, or nothing.
load_of() {
    python3 -c 'import json,sys; print(json.load(open(sys.argv[1])).get("load_id") or "")' \
        "$1" 2>/dev/null || true
}

checkpoint() {
    lakebolt tables.json config init --state "$state" &&
        lakebolt plan.json plan "${load[@]}" --state "$state"
}

# The newest load of the planned dataset that started after a time, or nothing.
started_since() {
    lakebolt loads.json status --cluster scheduler:50050 || return
    python3 - "$1" "$folder/plan.json" "$folder/loads.json" <<'END_OF_PROGRAM'
import datetime, json, sys

moment = lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
plan, status = (json.load(open(path)) for path in sys.argv[2:])
started = (load for load in status["loads"] if load["dataset"] == plan["dataset"])
started = (load for load in started if moment(load["started_at"]) >= moment(sys.argv[1]))
print(next((load["load_id"] for load in started), ""))
END_OF_PROGRAM
}

# again FILE STARTED: follows the load whose connection was lost to its end, or starts a new one.
# A second load beside the first would be refused the periods that the first holds.
again() {
    local id
    id=$(started_since "$2") || { : >"$folder/$1" && return 4; }
    if [[ -n $id ]]; then
        say "load $id goes on"
        lakebolt "$1" watch "$id" --cluster scheduler:50050
    else
        lakebolt "$1" run "${load[@]}" --state "$state" --cluster scheduler:50050
    fi
}

# Runs the load, then retries as often as allowed. After exit code 3 it retries the failed
# periods, after 4 everything that is not done. Both skip what is done.
map() {
    local try=1 code=0 id started
    started=$(date -u +%FT%TZ)
    step "Glue Map" "every period, attempt 1" \
        lakebolt "outcome-1.json" run "${load[@]}" --state "$state" --cluster scheduler:50050 || code=$?
    while [[ $code == 3 || $code == 4 ]] && ((try <= retries)); do
        id=$(load_of "$folder/outcome-$try.json")
        sleep $((pause * 2 ** (try - 1)))
        try=$((try + 1))
        if [[ $code == 3 && -n $id ]]; then
            code=0
            step "Glue Map" "failed periods of $id, attempt $try" \
                lakebolt "outcome-$try.json" retry "$id" --state "$state" --output "$output" \
                --cluster scheduler:50050 || code=$?
        elif [[ -n $id ]]; then
            # The load has ended, so another can start.
            code=0
            started=$(date -u +%FT%TZ)
            step "Glue Map" "everything that is not done, attempt $try" \
                lakebolt "outcome-$try.json" run "${load[@]}" --state "$state" \
                --cluster scheduler:50050 || code=$?
        else
            code=0
            step "Glue Map" "the load whose connection was lost, attempt $try" \
                again "outcome-$try.json" "$started" || code=$?
        fi
    done
    cp "$folder/outcome-$try.json" "$folder/outcome.json"
    return "$code"
}

gather() {
    local code=0
    lakebolt status.json status --state "$state" --output "$output" || code=$?
    lakebolt verify.json verify "$output" || code=$?
    return "$code"
}

service_logs() {
    local service
    for service in scheduler executor-1 executor-2 aws; do
        compose logs --no-color "$service" >"$folder/logs/$service.log" 2>/dev/null || true
    done
}

finish() {
    service_logs
    case $down in
        --down) compose --profile tools down >/dev/null 2>&1 || true ;;
        --down-volumes) compose --profile tools down -v >/dev/null 2>&1 || true ;;
    esac
}

drive() {
    step "Start Cluster" "every service is healthy" start_cluster || return
    step "Checkpointing" "tables exist; the load is planned" checkpoint || return
    step "Engine Choice" "ballista at scheduler:50050" true
    map || return
    step "Gather Map Results" "status, and objects read back" gather
}

make_secrets
trap finish EXIT
code=0
drive || code=$?
now=$(date -u +%FT%TZ)
if ((code)); then
    record "Capture Errors" "$now" 0 "exit code $code; see report.md and logs/"
    record "Choice" "$now" 0 "errors were captured"
    record "Fail" "$now" "$code" "the load's exit code"
else
    record "Choice" "$now" 0 "no errors were captured"
    record "Pass" "$now" 0 "the load is done"
fi
python3 "$docker_folder/report.py" "$folder" "$code"
say "report: $folder/report.md"
exit "$code"
