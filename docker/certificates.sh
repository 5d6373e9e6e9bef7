#!/usr/bin/env bash
# Creates what compose.yaml needs: an authority, and a certificate with key for the
# scheduler, the executors and the command line. Existing certificates that are valid for
# another day are kept.
set -euo pipefail
# shellcheck source=docker/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
    cat <<'END_OF_USAGE'
Usage: docker/certificates.sh [--days N] [--host NAME]… [--renew] [FOLDER]

  --days N      how long they are valid [default: 365]
  --host NAME   another name of the scheduler, beside scheduler, localhost and 127.0.0.1;
                creates all of them again
  --renew       creates all of them again, with a new authority
  FOLDER        where they are written [default: tls/ in docker/secrets or LAKEBOLT_SECRETS]

Needs OpenSSL 3. The authority's key stays in FOLDER, readable only by its owner, and no
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
        { cat "$staging/said" >&2 && fail "openssl created no certificate for $name"; }
}

# signed NAME USE [NAMES]: a certificate signed by the authority.
signed() {
    make "$1" "basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = $2
${3:+subjectAltName = $3}" -CA "$staging/authority.pem" -CAkey "$staging/authority.key"
}

are_valid() {
    local name
    for name in authority scheduler executor client; do
        [[ -s $folder/$name.pem && -s $folder/$name.key ]] || return 1
        openssl x509 -in "$folder/$name.pem" -noout -checkend 86400 >/dev/null || return 1
    done
}

need openssl
if [[ -z $renew ]] && are_valid; then
    say "the certificates in $folder are valid"
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
# Containers read these as other users; the folder keeps other users of this host out.
chmod 0644 "$staging"/*.pem "$staging"/{scheduler,executor,client}.key
mv "$staging"/*.pem "$staging"/*.key "$folder/"
say "certificates for $days days in $folder"
