# shellcheck shell=bash
# What tests/nix/run and tests/nix/remake share: where nixpkgs' lib and a newer nix come from, and the form of their results.
# They set `here` and `repository`.
# shellcheck disable=SC2034,SC2154

nixpkgs_lib='' newer_root='' lint=''
readonly cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/sops-activate-ci

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 2
}

need() {
    local program
    for program; do
        type -P "$program" >/dev/null || die "$program is needed"
    done
}

# Sets `nixpkgs_lib`: NIXPKGS_LIB, or the copy of nixpkgs' lib (23.11) that the crate nixdoc carries among its own tests,
# at the version and checksum of tests/nix/lint/Cargo.lock. Nothing of it is compiled.
find_nixpkgs_lib() {
    nixpkgs_lib=${NIXPKGS_LIB:-}
    if [[ -z $nixpkgs_lib ]]; then
        cargo fetch --quiet --locked --manifest-path "$here/lint/Cargo.toml"
        nixpkgs_lib=$(cargo metadata --locked --offline --format-version 1 --manifest-path "$here/lint/Cargo.toml" |
            jq -r '.packages[] | select(.name == "nixdoc").manifest_path')
        nixpkgs_lib=${nixpkgs_lib%/Cargo.toml}/src/tests/fixtures
    fi
    [[ -e $nixpkgs_lib/default.nix ]] || die "no nixpkgs lib in '$nixpkgs_lib'"
    nixpkgs_lib=$(readlink -f -- "$nixpkgs_lib")
}

# Sets `PROGRAM`, unless it names a build of sops-activate.
find_program() {
    [[ -z ${PROGRAM-} ]] || return 0
    (cd -- "$repository" && cargo build --quiet --locked)
    PROGRAM=${CARGO_TARGET_DIR:-$repository/target}/debug/sops-activate
}

# Sets `lint`: the program in tests/nix/lint, built in the cache directory.
find_lint() {
    cargo build --quiet --locked --manifest-path "$here/lint/Cargo.toml" --target-dir "$cache/lint"
    lint=$cache/lint/debug/lint
}

# Sets `newer_root`: a Debian of the next release with its nix, made once.
find_newer_nix() {
    local suite=trixie
    newer_root=$cache/nix-of-$suite
    if [[ ! -e $newer_root/usr/bin/nix-instantiate ]]; then
        need mmdebstrap
        rm -rf --one-file-system -- "$newer_root" "$newer_root.part"
        mkdir -p -- "$cache"
        mmdebstrap --quiet --mode=root --variant=essential --include=nix-bin \
            --aptopt='APT::Install-Recommends "false"' --dpkgopt='force-unsafe-io' \
            --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
            --dpkgopt='path-exclude=/usr/share/locale/*' \
            "$suite" "$newer_root.part"
        mv -- "$newer_root.part" "$newer_root"
    fi
}

# in_newer_root DIRECTORY... -- COMMAND...: in a mount namespace of its own, with these directories at their own paths.
in_newer_root() {
    # Expanded by the shell inside.
    # shellcheck disable=SC2016
    unshare --mount --pid --fork --kill-child --propagation private bash -euc '
        root=$1
        shift
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -t tmpfs tmpfs "$root/run"
        mount -t tmpfs tmpfs "$root/tmp"
        while [[ $1 != -- ]]; do
            mkdir -p -- "$root$1"
            mount --bind -- "$1" "$root$1"
            shift
        done
        shift
        exec chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/tmp LC_ALL=C.UTF-8 "$@"
    ' bash "$newer_root" "$@"
}

# canonical DIRECTORY NAME: the result in a form that depends on neither nix nor the machine. Of an error, what the last
# `error:` says: the rest is a trace, which every version of nix words anew.
canonical() {
    local from=$1/$2
    if [[ -e $from.error ]]; then
        awk '/^ *error:( |$)/ { text = ""; sub(/^ *error: */, "") } { text = text $0 "\n" } END { printf "%s", text }' \
            "$from.stderr" |
            jq -R -s '{error: (split("\n") | map(ltrimstr("       ") | select(. != "" and (startswith("(use") | not))))}'
    else
        jq -S . "$from.json"
    fi | normalised
}

# Text without what depends on the content of other files, or on where this repository is.
normalised() {
    sed -E -e 's#(/[^ :"'"'"']*)?/store/[0-9a-z]{32}-#/nix/store/HASH-#g' -e "s#$repository/##g"
}
