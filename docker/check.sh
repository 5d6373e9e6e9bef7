#!/usr/bin/env bash
# Tests the files of this folder. Each installed compose reads the compose files. Images are
# built. A cluster becomes healthy and loads generated logs through orchestrate.sh; an embedded
# load gives the same rows. Clients without a valid certificate are refused. On demand, loads
# survive killed containers. Nothing is left at the end. Without a container engine it says so
# and exits 0.
#   docker/check.sh [--config-only | --chaos]
set -euo pipefail
# shellcheck source=docker/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
    "" | --config-only | --chaos) ;;
    *) sed -n '/^# Tests/,/^#   /s/^# \?//p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
esac
unset LAKEBOLT_STATE
export LAKEBOLT_ALLOW=s3://logs,s3://lake,s3://many-logs,s3://many-lake-without-executor-1,s3://many-lake-without-scheduler
export LAKEBOLT_PROJECT=lakebolt-check
# Ports that no outgoing connection takes while a container is down.
export LAKEBOLT_PORT=${LAKEBOLT_PORT:-20950} LAKEBOLT_AWS_PORT=${LAKEBOLT_AWS_PORT:-20951}
work=$(mktemp -d)
export LAKEBOLT_SECRETS=$work/secrets
days=(--from 2024-01-30 --to 2024-02-02)
started="" killer=""
clean() {
    # It would start the cluster again, so its current step ends first.
    [[ -z $killer ]] || { kill "$killer" && wait "$killer"; } 2>/dev/null || true
    [[ -z $started ]] || compose --profile tools down -v >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean EXIT

read_by_each_compose() {
    local program read_by=0
    for program in "docker compose" docker-compose; do
        $program version >/dev/null 2>&1 || continue
        LAKEBOLT_COMPOSE=$program compose --profile tools config >/dev/null
        say "$program reads compose.yaml"
        read_by=$((read_by + 1))
    done
    ((read_by)) || { say "skipped: no compose is installed" && exit 0; }
}

# Uses existing images as they are; builds them if one is missing.
build_missing_images() {
    local image
    for image in scheduler executor lakebolt stand-in postgres mariadb; do
        docker image inspect "lakebolt/$image:${LAKEBOLT_TAG:-dev}" >/dev/null 2>&1 && continue
        compose --profile tools build
        break
    done
}

lakebolt() { compose run --rm -T lakebolt "$@" </dev/null 2>>"$work/lakebolt.log"; }

# logs LINES BUCKET LAKE…: puts logs of four days into BUCKET, in sixteen files of LINES lines,
# and creates the buckets to load them into.
logs() {
    rm -rf "$work/logs"
    python3 "$docker_folder/stand-in/vpc_logs.py" "$work/logs" "$1"
    tar -C "$work/logs" -c . | compose exec -T aws /opt/stand-in/bin/python /opt/stand-in/put.py "${@:2}"
}

# load NAME INPUT OUTPUT OPTION…: a load by orchestrate.sh; fails unless it is done.
load() {
    local name=$1 input=$2 output=$3
    shift 3
    "$docker_folder/orchestrate.sh" --folder "$work/$name" "$@" -- \
        vpc_flow --input "$input" --output "$output" "${days[@]}" ||
        { cat "$work/$name/report.md" >&2 && return 1; }
}

# rows_of LAKE FILE: every row of every column, sorted. No column of this source names a
# load or an object.
rows_of() { lakebolt show "$1" -n 100000000 | LC_ALL=C sort >"$2"; }

# same_rows NUMBER LAKE: checks the number of rows, and that an embedded load of the same logs
# wrote the same ones.
same_rows() {
    rows_of "$2" "$work/rows"
    [[ $(wc -l <"$work/rows") == "$1" ]] || fail "$(wc -l <"$work/rows") rows in $2 instead of $1"
    cmp "$work/embedded" "$work/rows"
}

# embedded BUCKET LAKE: runs the load without a cluster and keeps its rows.
embedded() {
    lakebolt run vpc_flow --input "s3://$1/AWSLogs" --output "$2" "${days[@]}" --state sqlite:/scratch/state.db >/dev/null
    rows_of "$2" "$work/embedded"
}

# refused WHO COMMAND…: checks that the cluster does not answer that client (exit code 4).
refused() {
    local code=0 who=$1
    shift
    "$@" status --cluster scheduler:50050 --plain-tcp </dev/null 2>>"$work/lakebolt.log" || code=$?
    ((code == 4)) || fail "a client $who ended with code $code instead of 4"
}

# A client without certificates, and one whose certificate another authority signed.
unknown_clients_are_refused() {
    refused "without certificates" compose run --rm -T --entrypoint /usr/bin/env lakebolt \
        -u LAKEBOLT_TLS_CA -u LAKEBOLT_TLS_CERT -u LAKEBOLT_TLS_KEY /usr/local/bin/lakebolt
    "$docker_folder/certificates.sh" "$work/strange/tls"
    cp "$LAKEBOLT_SECRETS"/*_* "$work/strange/"
    cp "$LAKEBOLT_SECRETS/tls/authority.pem" "$work/strange/tls/"
    LAKEBOLT_SECRETS=$work/strange refused "of another authority" \
        compose run --rm -T lakebolt
}

# killed SERVICE SECONDS: runs a load during which SIGKILL ends a service, which is started
# again after SECONDS.
killed() {
    local service=$1 lake=s3://many-lake-without-$1
    (
        trap 'exit 1' TERM
        until grep -qs 'Engine Choice' "$work/$service/steps.tsv"; do sleep 0.2; done
        sleep 1
        docker kill "$(compose ps -q "$service")" >/dev/null
        say "killed $service"
        sleep "$2"
        compose up -d >"$work/up.log" 2>&1 || { cat "$work/up.log" >&2 && exit 1; }
        say "started $service again"
    ) &
    killer=$!
    load "$service" s3://many-logs/AWSLogs "$lake" --retries 0
    wait "$killer" || fail "$service was not killed, or was not started again"
    killer=""
    python3 - "$work/$service/report.json" <<'END_OF_PROGRAM'
import json, sys

step = [step for step in json.load(open(sys.argv[1]))["steps"] if step["name"] == "Glue Map"]
assert len(step) == 1 and step[0]["seconds"] > 6, f"the load ended before the kill: {step}"
END_OF_PROGRAM
    same_rows 960000 "$lake"
    say "the load is complete although $service was killed"
}

make_secrets
read_by_each_compose
[[ ${1:-} != --config-only ]] || exit 0
docker info >/dev/null 2>&1 || { say "skipped: no Docker engine answers" && exit 0; }
build_missing_images

started=1
start_cluster
say "every service is healthy"
logs 500 logs lake lake-embedded

load first s3://logs/AWSLogs s3://lake
embedded logs s3://lake-embedded
same_rows 8000 s3://lake
say "8000 rows, the same as embedded"
unknown_clients_are_refused
say "unknown clients are refused"

if [[ ${1:-} == --chaos ]]; then
    start_cluster
    logs 60000 many-logs many-lake many-lake-without-executor-1 many-lake-without-scheduler
    embedded many-logs s3://many-lake
    killed executor-1 10
    killed scheduler 5
fi

# Everything is loaded already: this run does nothing and stops the cluster.
load last s3://logs/AWSLogs s3://lake --down-volumes
left=$(docker ps -aq --filter "label=com.docker.compose.project=$LAKEBOLT_PROJECT")
[[ -z $left ]] || fail "containers are left: $left"
say "nothing is left"
