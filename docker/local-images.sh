#!/usr/bin/env bash
# Builds every image of compose.yaml without an image registry: the base image with
# debootstrap, the others on top of it, and lakebolt's from programs that this host built.
set -euo pipefail
# shellcheck source=docker/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
    cat <<'END'
Usage: docker/local-images.sh [--bin FOLDER] [--only-ours] [--remove [--base]]

  --bin FOLDER   the folder with lakebolt, lakebolt-scheduler and lakebolt-executor
                 [default: release/, else debug/ of cargo's target folder]
  --only-ours    builds the three images of lakebolt again, but not the stand-ins
  --remove       removes the images; with --base the base image too

Environment: BASE_IMAGE [debian:bookworm-slim], DEBIAN_MIRROR [http://deb.debian.org/debian],
LAKEBOLT_TAG [dev]. An existing base image is used as it is.
Proxies (http_proxy, …) are passed to the builds and are kept in no image.
END
}

base=${BASE_IMAGE:-debian:bookworm-slim}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
tag=${LAKEBOLT_TAG:-dev}
bin="" only_ours="" remove="" with_base=""
while (($#)); do
    case $1 in
        --bin) bin=${2:?--bin needs a folder} && shift ;;
        --only-ours) only_ours=1 ;;
        --remove) remove=1 ;;
        --base) with_base=1 ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
    shift
done

remove_images() {
    local image
    for image in lakebolt scheduler executor postgres mariadb stand-in; do
        docker image rm "lakebolt/$image:$tag" 2>/dev/null || true
    done
    [[ -z $with_base ]] || docker image rm "$base" || true
    docker image prune -f --filter label=dev.lakebolt.local >/dev/null
}

# The folder with the programs: --bin, else cargo's release folder, else its debug folder.
find_programs() {
    if [[ -z $bin ]]; then
        local target=${CARGO_TARGET_DIR:-}
        [[ -n $target ]] || target=$(cd "$root_folder" && cargo metadata --no-deps --format-version 1 |
            sed -E 's/.*"target_directory":"([^"]*)".*/\1/')
        bin=$target/release
        [[ -x $bin/lakebolt ]] || bin=$target/debug
    fi
    local program
    for program in lakebolt lakebolt-scheduler lakebolt-executor; do
        [[ -x $bin/$program ]] || fail "no $program in $bin: build it as docs/cluster.md says, or name another --bin"
    done
}

make_base() {
    if docker image inspect "$base" >/dev/null 2>&1; then
        say "$base exists already"
        return
    fi
    need debootstrap "apt-get install debootstrap"
    ((EUID == 0)) || fail "debootstrap must be run by root"
    say "building $base from $mirror (1 to 2 minutes)"
    local tree=$staging/base
    debootstrap --variant=minbase --include=ca-certificates bookworm "$tree" "$mirror" >"$staging/log" 2>&1 ||
        { tail -5 "$staging/log" >&2 && fail "debootstrap failed"; }
    rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/*
    tar -C "$tree" -c . | docker import - "$base" >/dev/null
    rm -rf "$tree"
}

# build NAME CONTEXT ARGUMENT…: one image, with the legacy builder or BuildKit.
build() {
    local name=$1 context=$2
    shift 2
    say "building lakebolt/$name:$tag"
    local proxies=() variable
    for variable in http_proxy https_proxy no_proxy; do
        [[ -z ${!variable:-} ]] || proxies+=(--build-arg "$variable")
    done
    docker build --quiet --label dev.lakebolt.local=1 --build-arg "BASE_IMAGE=$base" \
        ${proxies[@]+"${proxies[@]}"} -t "lakebolt/$name:$tag" "$@" "$context" >/dev/null
}

build_ours() {
    local context=$staging/ours
    mkdir -p "$context/bin"
    cp -r "$docker_folder/health" "$docker_folder/Dockerfile.prebuilt" "$context/"
    local program
    for program in lakebolt lakebolt-scheduler lakebolt-executor; do
        # Without debug sections the images are half the size; backtraces keep their names.
        strip --strip-debug -o "$context/bin/$program" "$bin/$program" 2>/dev/null ||
            cp "$bin/$program" "$context/bin/$program"
    done
    local name
    for name in lakebolt scheduler executor; do
        build "$name" "$context" -f "$context/Dockerfile.prebuilt" --target "$name"
    done
}

# The wheels are fetched by this host's pip, with its settings and certificates.
build_stand_in() {
    local context=$staging/stand-in
    mkdir -p "$context/docker" "$context/tests/support"
    cp -r "$docker_folder/stand-in" "$context/docker/"
    cp "$root_folder/tests/support/moto_gate.py" "$context/tests/support/"
    python3 -m pip download --quiet --only-binary :all: --python-version 3.11 \
        -d "$context/docker/stand-in/wheels" 'moto[server]==5.2.5'
    build stand-in "$context" -f "$context/docker/stand-in/Dockerfile" --build-arg PIP_NO_INDEX=1
}

need docker
docker info >/dev/null 2>&1 || fail "no Docker engine answers"
if [[ -n $remove ]]; then
    remove_images
    exit 0
fi
find_programs
staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT
make_base
build_ours
if [[ -z $only_ours ]]; then
    need python3
    build postgres "$docker_folder/postgres"
    build mariadb "$docker_folder/mariadb"
    build_stand_in
fi
say "done: docker image ls 'lakebolt/*'"
