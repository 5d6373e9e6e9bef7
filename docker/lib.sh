# shellcheck shell=bash
# Functions that the scripts of this folder share. Source it; do not run it. Nothing here exits
# the shell: a failure returns a code, which ends a script with set -e but not a terminal.

docker_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # used by local-images.sh
root_folder=$(dirname "$docker_folder")

say() { printf '%s %s\n' "$(date -u +%H:%M:%S)" "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    return 2
}
need() { command -v "$1" >/dev/null || fail "$1 is not installed${2:+: $2}"; }

# The installed compose: the plugin of v2 first, then 1.29.
compose_program() {
    if docker compose version >/dev/null 2>&1; then
        echo "docker compose"
    elif command -v docker-compose >/dev/null; then
        echo docker-compose
    else
        fail "neither docker compose (v2) nor docker-compose (1.29) is installed"
    fi
}

# Runs compose on our file. LAKEBOLT_PROJECT names the cluster.
compose() {
    local name program
    name=${LAKEBOLT_COMPOSE:-$(compose_program)} || return
    read -ra program <<<"$name"
    "${program[@]}" -f "$docker_folder/compose.yaml" -p "${LAKEBOLT_PROJECT:-lakebolt}" "$@"
}

# Creates secrets as files, once. Containers read them as other users, so the mode of the folder
# and not of the files keeps other users of this host out.
make_secrets() {
    # Compose resolves a relative path from the folder of its files, this script from where it runs.
    LAKEBOLT_SECRETS=$(realpath -m "${LAKEBOLT_SECRETS:-$docker_folder/secrets}")
    export LAKEBOLT_SECRETS
    install -d -m 0700 "$LAKEBOLT_SECRETS"
    local name
    for name in postgres_password mariadb_password; do
        [[ -s $LAKEBOLT_SECRETS/$name ]] && continue
        od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$LAKEBOLT_SECRETS/$name"
    done
    if [[ ! -s $LAKEBOLT_SECRETS/aws_credentials ]]; then
        printf '[default]\naws_access_key_id = stand-in\naws_secret_access_key = stand-in\n' \
            >"$LAKEBOLT_SECRETS/aws_credentials"
    fi
    chmod 0644 "$LAKEBOLT_SECRETS"/{postgres_password,mariadb_password,aws_credentials}
    "$docker_folder/certificates.sh"
}

# Starts the cluster and waits until every service is healthy or, if it is meant to exit, has
# exited with code 0. It waits LAKEBOLT_START_SECONDS at most.
start_cluster() {
    compose up -d >&2 || return 4
    local deadline=$((SECONDS + ${LAKEBOLT_START_SECONDS:-180})) waiting
    while :; do
        waiting=$(not_ready)
        [[ -n $waiting ]] || return 0
        if ((SECONDS >= deadline)); then
            say "not healthy: ${waiting//$'\n'/ }"
            return 4
        fi
        sleep 1
    done
}

# The containers that are neither healthy nor exited with code 0, one a line.
not_ready() {
    local ids
    read -rd '' -a ids < <(compose ps -q) || true
    ((${#ids[@]})) || { echo "no container" && return; }
    docker inspect --format \
        '{{.Name}} {{with .State}}{{if .Health}}{{.Health.Status}}{{else}}{{.Status}} {{.ExitCode}}{{end}}{{end}}' \
        "${ids[@]}" | sed -E '/ healthy$| exited 0$/d; s/^\/?([^ ]*).*/\1/'
}
