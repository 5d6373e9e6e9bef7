#!/usr/bin/env bash
# Makes what compose.tls.yaml wants: an authority, and a certificate with key for the
# scheduler, the executors and the command line. What stands and holds for a day is kept.
set -euo pipefail
# shellcheck source=docker/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
    cat <<'END_OF_USAGE'
Usage: docker/certificates.sh [--days N] [--host NAME]… [--renew] [FOLDER]

  --days N      how long they hold [default: 365]
  --host NAME   a further name of the scheduler, beside scheduler, localhost and 127.0.0.1;
                makes all anew
  --renew       makes all of them anew, with a new authority
  FOLDER        where they go [default: tls/ in docker/secrets or LAKEBOLT_SECRETS]

Needs OpenSSL 3. The authority's key stays in FOLDER, readable by its owner only, and no
container sees it. Processes read their certificates when they start.
END_OF_USAGE
}

days=365 renew="" folder="" names=DNS:scheduler,DNS:localhost,IP:127.0.0.1
while (($#)); do
    case $1 in
        --days) days=${2:?--days needs a number} && shift ;;
        --host) names+=,DNS:${2:?--host needs a name} && renew=1 && shift ;;
        --renew) renew=1 ;;
        -h | --help) usage && exit 0 ;;
        -*) usage >&2 && exit 2 ;;
        *) folder=$1 ;;
    esac
    shift
done
folder=${folder:-${LAKEBOLT_SECRETS:-$docker_folder/secrets}/tls}

# make NAME EXTENSIONS ARGUMENT…: a key and its certificate.
make() {
    local name=$1 extensions=$2
    shift 2
    printf '[req]\ndistinguished_name = subject\n[subject]\n[extensions]\n%s\n' "$extensions" >"$staging/$name.cnf"
    openssl req -x509 -config "$staging/$name.cnf" -extensions extensions -subj "/CN=lakebolt $name" \
        -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days "$days" \
        -out "$staging/$name.pem" -keyout "$staging/$name.key" "$@" 2>"$staging/said" ||
        { cat "$staging/said" >&2 && fail "openssl made no certificate for $name"; }
}

# signed NAME USE [NAMES]: one that the authority signed.
signed() {
    make "$1" "basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = $2
${3:+subjectAltName = $3}" -CA "$staging/authority.pem" -CAkey "$staging/authority.key"
}

holds() {
    local name
    for name in authority scheduler executor client; do
        [[ -s $folder/$name.pem && -s $folder/$name.key ]] || return 1
        openssl x509 -in "$folder/$name.pem" -noout -checkend 86400 >/dev/null || return 1
    done
}

need openssl
if [[ -z $renew ]] && holds; then
    say "the certificates of $folder hold"
    exit 0
fi
umask 077
mkdir -p "$folder"
staging=$(mktemp -d "$folder/new.XXXXXX")
trap 'rm -rf "$staging"' EXIT
make authority 'basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign'
signed scheduler serverAuth "$names"
signed executor clientAuth
signed client clientAuth
# Containers read these as users of their own; the folder keeps others of this host out.
chmod 0644 "$staging"/*.pem "$staging"/{scheduler,executor,client}.key
mv "$staging"/*.pem "$staging"/*.key "$folder/"
say "certificates for $days days in $folder"
