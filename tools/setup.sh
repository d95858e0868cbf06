# SPDX-License-Identifier: MIT
# setup.sh - sourced by tools/try and tools/check: packages, build, models.
# Everything it says goes to stderr; stdout belongs to the program that is run.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "error: $*"; exit 1; }

# What a job needs and the Debian package that has it: a command, a pkg-config module, or a file.
needs_build='cmd:cc:gcc cmd:cc:libc6-dev cmd:meson:meson cmd:ninja:ninja-build cmd:pkg-config:pkg-config
    pc:jansson:libjansson-dev pc:libedit:libedit-dev'
needs_model='pip:pip:python3-pip'
needs_check='cmd:clang:clang cmd:git:git cmd:xz:xz-utils cmd:nm:binutils pc:cunit:libcunit1-dev pc:libpcre2-8:libpcre2-dev pc:libutf8proc:libutf8proc-dev
    cmd:musl-gcc:musl-tools cmd:aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu
    file:/usr/aarch64-linux-gnu/lib/libc.so:libc6-dev-arm64-cross cmd:qemu-aarch64-static:qemu-user-static'

# missing NEEDS: the packages of what is not there.
missing() {
    local need kind what package
    for need in $1; do
        IFS=: read -r kind what package <<<"$need"
        case $kind in
            cmd) command -v "$what" >/dev/null ;;
            pc) pkg-config --exists "$what" 2>/dev/null ;;
            pip) python3 -m pip --version >/dev/null 2>&1 ;;
            file) [ -e "$what" ] ;;
        esac || echo "$package"
    done
}

# install_missing NEEDS: with apt, as root or through sudo.
install_missing() {
    local packages as_root=()
    mapfile -t packages < <(missing "$1")
    [ ${#packages[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null ||
        die "want what these Debian packages hold, and there is no apt-get: ${packages[*]}; install them by hand"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "want root or sudo to install: ${packages[*]}"
        as_root=(sudo)
    fi
    say "installing ${packages[*]}"
    local log
    log=$(mktemp)
    if ! { "${as_root[@]}" apt-get update -q &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
            "${packages[@]}"; } >"$log" 2>&1 </dev/null; then
        tail -n 5 "$log" >&2
        rm -f "$log"
        die "apt-get cannot install ${packages[*]}; is a Debian mirror reachable?"
    fi
    rm -f "$log"
}

# quietly COMMAND...: shows what it printed only when it fails.
quietly() {
    local log
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 30 "$log" >&2
        rm -f "$log"
        die "this failed: $*"
    fi
    rm -f "$log"
}

# set_up NEEDS: install_missing, once for a build folder and a list of needs.
set_up() {
    local stamp=$root/build/.set-up
    [ ! -e "$stamp" ] || [ "$(<"$stamp")" != "$1" ] || return 0
    install_missing "$1"
    mkdir -p "$root/build"
    printf '%s\n' "$1" >"$stamp"
}

# build FOLDER MESON-OPTIONS...: configures when that was not done, compiles what changed.
build() {
    local folder=$1
    shift
    if [ ! -e "$folder/build.ninja" ]; then
        say "building in $folder"
        quietly meson setup "$folder" "$root" "$@"
    fi
    quietly ninja -C "$folder"
}

# fetch_model NAME: prints the path of the verified file in the cache.
fetch_model() { python3 "$root/tools/fetch-model.py" "$1"; }

# build_llama PREFIX FOLDER: the out-of-tree model plugin, against the agave installed in PREFIX and nothing
# else; FOLDER/model_llama.so. For prefixes whose libdir is lib.
build_llama() {
    if [ ! -e "$2/build.ninja" ]; then
        PKG_CONFIG_PATH=$1/lib/pkgconfig quietly meson setup "$2" "$root/subprojects/model_llama"
    fi
    quietly ninja -C "$2"
}
