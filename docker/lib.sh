# shellcheck shell=bash
# What the scripts of this folder share. Sourced, never run. Nothing here ends the shell: it
# returns a code, which ends a script that has set -e and leaves a terminal's shell alone.

docker_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # used by local-images.sh
root_folder=$(dirname "$docker_folder")

say() { printf '%s %s\n' "$(date -u +%H:%M:%S)" "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    return 2
}
need() { command -v "$1" >/dev/null || fail "$1 is not installed${2:+: $2}"; }

# Which compose there is: v2's plugin first, then 1.29.
compose_program() {
    if docker compose version >/dev/null 2>&1; then
        echo "docker compose"
    elif command -v docker-compose >/dev/null; then
        echo docker-compose
    else
        fail "neither docker compose (v2) nor docker-compose (1.29) is installed"
    fi
}

# Compose on our files: with TLS where LAKEBOLT_TLS is set. LAKEBOLT_PROJECT names the cluster.
compose() {
    local name program files=(-f "$docker_folder/compose.yaml")
    name=${LAKEBOLT_COMPOSE:-$(compose_program)} || return
    read -ra program <<<"$name"
    [[ -z ${LAKEBOLT_TLS:-} ]] || files+=(-f "$docker_folder/compose.tls.yaml")
    "${program[@]}" "${files[@]}" -p "${LAKEBOLT_PROJECT:-lakebolt}" "$@"
}

# Secrets as files, made once. Containers read them as users of their own, so the folder
# keeps others of this host out, not the files.
make_secrets() {
    # Compose reads a relative path from the folder of its files, and this from where it runs.
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
    [[ -z ${LAKEBOLT_TLS:-} ]] || "$docker_folder/certificates.sh"
}

# Starts the cluster and waits until every service is healthy, or has ended well where it is
# to end; LAKEBOLT_START_SECONDS at most.
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

# The containers that are neither healthy nor ended well, one a line.
not_ready() {
    local ids
    read -rd '' -a ids < <(compose ps -q) || true
    ((${#ids[@]})) || { echo "no container" && return; }
    docker inspect --format \
        '{{.Name}} {{with .State}}{{if .Health}}{{.Health.Status}}{{else}}{{.Status}} {{.ExitCode}}{{end}}{{end}}' \
        "${ids[@]}" | sed -E '/ healthy$| exited 0$/d; s/^\/?([^ ]*).*/\1/'
}
