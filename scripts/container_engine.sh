#!/usr/bin/env bash
# A container engine for the container tests, on a bare Debian 12 machine, as root, without systemd and without an image
# registry. Needs apt, python3 with pip, and the docker client's packages from the machine's own Debian mirror.
#
#   eval "$(scripts/container_engine.sh up)"   start an engine unless one answers, build the simulator's image, and set
#                                              DOCKER_HOST and INFERENCE_SIMULATOR_IMAGE in the calling shell
#   scripts/container_engine.sh image          build the image again (after a change of the simulator)
#   scripts/container_engine.sh status         whether an engine answers; exit code 1 when none does
#   scripts/container_engine.sh down           end the engine that `up` started, with its containers, images and files
#
# Standard output holds shell assignments only; everything else goes to standard error. Each step may be repeated.
# Environment: INFERENCE_ENGINE_HOME (its files), INFERENCE_BASE_IMAGE (base of the image; a local one is made when
# neither this is set nor python:3.13-slim can be had), PYTHON (for its pip).
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin DEBIAN_FRONTEND=noninteractive

if [ "$(id -u)" = 0 ]; then state=/var/lib; else state=${XDG_CACHE_HOME:-$HOME/.cache}; fi
HOME_DIR=${INFERENCE_ENGINE_HOME:-$state/inference-container-engine}
RUN_DIR=/run/inference-container-engine
SOCKET=$RUN_DIR/docker.sock
PID_FILE=$RUN_DIR/dockerd.pid
IMAGE=inference-simulator:local
LOCAL_BASE=inference-base:local
PUBLIC_BASE=python:3.13-slim
PYTHON=${PYTHON:-$(command -v .venv/bin/python || command -v python3)}

say() { printf '[%4d s] %s\n' "$SECONDS" "$*" >&2; }
fail() { printf 'container engine: %s\n' "$*" >&2; exit 1; }
answers() { timeout 20 docker info >/dev/null 2>&1; }
ours_runs() { [ -s "$PID_FILE" ] && kill -0 "$(cat "$PID_FILE")" 2>/dev/null; }

# apt with lists of its own, so that the machine's package state is not touched: bookworm first, trixie for the few
# packages that are asked for by name. Its docker.io is recent, knows compose v2, and needs no newer libc than bookworm's.
private_apt() {
    local apt=$HOME_DIR/apt mirror
    export APT_CONFIG=$apt/apt.conf
    [ ! -e "$apt/ready" ] || return 0
    [ "$(id -u)" = 0 ] || fail "needs root to fetch packages. Hint: sudo $0 up, or name a base by INFERENCE_BASE_IMAGE"
    grep -q '^12' /etc/debian_version 2>/dev/null || fail "knows Debian 12 only. Hint: install Docker, then run this again"
    mirror=$(sed -n 's,^URIs: *\(.*/debian\)/*$,\1,p; s,^deb  *\(\[.*\]  *\)\?\([^ ]*/debian\)/* .*,\2,p' \
        /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | head -n 1 || true)
    mirror=${mirror:-http://deb.debian.org/debian}
    mkdir -p "$apt"/{sources,lists/partial,cache/archives/partial}
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' \
        "$mirror" "bookworm bookworm-updates trixie" /usr/share/keyrings/debian-archive-keyring.gpg \
        "$mirror-security" bookworm-security /usr/share/keyrings/debian-archive-keyring.gpg > "$apt/sources/all.sources"
    cat > "$APT_CONFIG" <<CONF
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$apt/sources";
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt/cache";
APT::Default-Release "/^bookworm(|-security|-updates)$/";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
DPkg::Lock::Timeout "120";
CONF
    apt-get -qq update >&2
    touch "$apt/ready"
    say "package lists of $mirror"
}

install_packages() {
    local wanted=()
    command -v dockerd >/dev/null || wanted+=(docker.io/trixie)
    command -v docker >/dev/null || wanted+=(docker-cli/trixie)
    docker compose version >/dev/null 2>&1 || wanted+=(docker-compose/trixie)
    command -v iptables >/dev/null || wanted+=(iptables)
    [ ${#wanted[@]} -gt 0 ] || return 0
    private_apt
    apt-get -qq -y install "${wanted[@]}" >"$HOME_DIR/install.log" 2>&1 || { tail -n 20 "$HOME_DIR/install.log" >&2; fail "cannot install ${wanted[*]}"; }
    say "installed ${wanted[*]}"
}

start_engine() {
    if ! ours_runs && answers; then
        say "an engine answers at ${DOCKER_HOST:-the default socket} already"
        return
    fi
    export DOCKER_HOST=unix://$SOCKET
    ! ours_runs || ! answers || { say "our engine answers already"; return; }
    [ "$(id -u)" = 0 ] || fail "no engine answers, and only root can start one. Hint: start Docker or Podman, or sudo $0 up"
    mkdir -p "$HOME_DIR" "$RUN_DIR"
    install_packages
    # What the engine changes in the machine's network, so that `down` can put it back.
    [ -e "$HOME_DIR/iptables" ] || iptables-save > "$HOME_DIR/iptables" 2>/dev/null || true
    [ -e "$HOME_DIR/ip_forward" ] || cat /proc/sys/net/ipv4/ip_forward > "$HOME_DIR/ip_forward"
    setsid nohup dockerd --data-root "$HOME_DIR/data" --exec-root "$RUN_DIR/exec" --pidfile "$PID_FILE" \
        --host "$DOCKER_HOST" >"$HOME_DIR/dockerd.log" 2>&1 </dev/null &
    starting=$!
    for _ in $(seq 300); do
        if answers; then
            say "engine $(docker version --format '{{.Server.Version}} (API {{.Server.APIVersion}})')"
            return
        fi
        kill -0 "$starting" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 20 "$HOME_DIR/dockerd.log" >&2
    fail "dockerd does not answer; its last lines stand above, all of them in $HOME_DIR/dockerd.log"
}

# A base without a registry: apt resolves what python3 needs against an empty package database, the packages are unpacked
# into a folder (no debootstrap, no maintainer scripts), busybox gives the shell, and pip comes as the wheel that it is.
# The wheels that the Dockerfile asks for lie in it, so that the build needs no network.
make_local_base() {
    local root=$HOME_DIR/rootfs packages=$HOME_DIR/packages name version arch
    if ! docker image inspect "$LOCAL_BASE" >/dev/null 2>&1 || [ "$(cat "$HOME_DIR/requirements" 2>/dev/null)" != "$(requirements)" ]; then
        private_apt
        rm -rf "$root" "$packages"
        mkdir -p "$root"/{bin,dev,etc,proc,sys,tmp,wheels} "$packages/partial"
        : > "$HOME_DIR/no-packages"
        apt-get -qq -y --download-only -o Dir::State::status="$HOME_DIR/no-packages" -o Dir::Cache::archives="$packages" \
            install python3 python3-distutils busybox-static >/dev/null
        for name in "$packages"/*.deb; do
            dpkg-deb --fsys-tarfile "$name" | tar -x -C "$root" --exclude='./usr/share/doc' --exclude='./usr/share/man' --exclude='./usr/share/locale'
        done
        "$root/bin/busybox" --list | while read -r name; do
            [ -e "$root/bin/$name" ] || [ -e "$root/usr/bin/$name" ] || [ -e "$root/sbin/$name" ] || ln -s busybox "$root/bin/$name"
        done
        printf 'root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532:nonroot:/:/bin/sh\n' > "$root/etc/passwd"
        chmod 1777 "$root/tmp"
        version=$(basename "$(ls -d "$root"/usr/lib/python3.[0-9]*)") version=${version#python} arch=$(uname -m)
        "$PYTHON" -m pip install --quiet --target "$root/usr/local/lib/python$version/dist-packages" pip >&2
        # shellcheck disable=SC2046 - one word a requirement
        "$PYTHON" -m pip download --quiet --dest "$root/wheels" --only-binary :all: --implementation cp --python-version "$version" \
            --platform "manylinux_2_28_$arch" --platform "manylinux_2_17_$arch" --platform "manylinux2014_$arch" $(requirements) >&2
        tar -C "$root" -c . | docker import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels PIP_ROOT_USER_ACTION=ignore PIP_BREAK_SYSTEM_PACKAGES=1' - "$LOCAL_BASE" >/dev/null
        requirements > "$HOME_DIR/requirements"
        say "made $LOCAL_BASE with Python $version"
    fi
}

# What the Dockerfile installs: its words in quotes on the line of pip.
requirements() { sed -n '/pip install/,/[^\\]$/p' Dockerfile | grep -o '"[^"]*"' | tr -d '"'; }

build_image() {
    local base=${INFERENCE_BASE_IMAGE:-}
    if [ -z "$base" ]; then
        base=$PUBLIC_BASE
        docker image inspect "$base" >/dev/null 2>&1 || timeout 180 docker pull --quiet "$base" >/dev/null 2>&1 || base=$LOCAL_BASE
    fi
    mkdir -p "$HOME_DIR"
    [ "$base" != "$LOCAL_BASE" ] || make_local_base
    # The classic builder where the plugin of the newer one is missing.
    docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
    docker build --quiet --build-arg BASE="$base" --tag "$IMAGE" . >/dev/null 2>"$HOME_DIR/build.log" || {
        cat "$HOME_DIR/build.log" >&2
        fail "the image cannot be built"
    }
    say "built $IMAGE on $base ($(docker image inspect --format '{{.Size}}' "$IMAGE" | awk '{printf "%.0f MB", $1 / 1e6}'))"
}

# The rules as they were before the engine; a table that did not exist then is emptied.
restore_firewall() {
    {
        cat "$HOME_DIR/iptables"
        grep -q '^\*filter' "$HOME_DIR/iptables" || printf '*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n'
        grep -q '^\*nat' "$HOME_DIR/iptables" ||
            printf '*nat\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\nCOMMIT\n'
    } | iptables-restore
}

stop_engine() {
    local pid containers
    export DOCKER_HOST=unix://$SOCKET
    if ours_runs; then
        pid=$(cat "$PID_FILE")
        containers=$(docker ps --all --quiet 2>/dev/null || true)
        # shellcheck disable=SC2086 - one word a container
        [ -z "$containers" ] || docker rm --force --volumes $containers >/dev/null
        docker network prune --force >/dev/null 2>&1 || true
        kill "$pid"
        for _ in $(seq 300); do
            kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null || break
            sleep 0.1
        done
        ip link delete docker0 2>/dev/null || true
        [ ! -e "$HOME_DIR/iptables" ] || restore_firewall || say "the rules of iptables could not be put back"
        [ ! -s "$HOME_DIR/ip_forward" ] || cat "$HOME_DIR/ip_forward" > /proc/sys/net/ipv4/ip_forward || true
        say "our engine is down"
    else
        say "no engine of ours runs"
    fi
    umount "$RUN_DIR"/exec/netns/* 2>/dev/null || true
    rm -rf "$HOME_DIR" "$RUN_DIR"
}

assignments() {
    [ -z "${DOCKER_HOST:-}" ] || echo "export DOCKER_HOST=$DOCKER_HOST"
    echo "export INFERENCE_SIMULATOR_IMAGE=$IMAGE"
}

case ${1:-up} in
    up) start_engine; build_image; assignments ;;
    image) ! ours_runs || export DOCKER_HOST=unix://$SOCKET; answers || fail "no engine answers. Hint: $0 up"; build_image; assignments ;;
    status) ! ours_runs || export DOCKER_HOST=unix://$SOCKET; answers || { say "no engine answers"; exit 1; }; assignments ;;
    down) stop_engine ;;
    *) fail "'$1' is none of up, image, status, down" ;;
esac
