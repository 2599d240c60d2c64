# shellcheck shell=bash
# To be sourced by `run`: what `systemd-analyze security` makes of every unit of the modules (10 is the worst), by the systemd of both
# releases of Debian. docs/reference/hardening.md has the same numbers; nothing is booted for them.
# shellcheck disable=SC2034,SC2154

readonly exposure_of_installers=4.8

exposure() {
    local root=$work/exposure release
    for release in "$debian" "$newer"; do
        title "how exposed the units are, says the systemd of ${release##*/}"
        rm -rf --one-file-system -- "$root"
        cp -a --reflink=auto -- "$release/root" "$root"
        exposed example-server-userborn sops-install-secrets "$exposure_of_installers"
        exposed example-server-userborn sops-install-secrets-for-users "$exposure_of_installers"
        exposed plugins-systemd sops-install-secrets 9.2
        exposed ours-leftovers sops-remove-leftovers 5.1
        exposed ours-leftovers sops-remove-leftovers-for-users 5.1
        exposed generate-key-systemd sops-generate-age-key 3.6
        exposed example-server-userborn sops-check-secrets 3.7
        exposed_user home-minimal 7.4
        exposed_user home-key-command 9.7
    done
}

# exposed CONFIGURATION UNIT LIMIT
exposed() {
    "$here/install-system" "$golden/$1.json" "$root/of/$1"
    exposure_of "$1" "/of/$1/etc/systemd/system/$2.service" "$3"
}

# exposed_user CONFIGURATION LIMIT
exposed_user() {
    local unit=/of/$1/sops-nix.service
    mkdir -p -- "$root/of/$1"
    user_unit_of "$golden/$1.json" sops-nix >"$root$unit"
    exposure_of "$1" "$unit" "$2" --user
}

# exposure_of CONFIGURATION FILE LIMIT [OPTION]
exposure_of() {
    local unit=${2##*/} found
    found=$(chroot "$root" env XDG_RUNTIME_DIR=/run systemd-analyze "${@:4}" security --no-pager --offline=true "$2" 2>&1 || true)
    found=$(sed -n 's/.*Overall exposure level for .*: \([0-9.]*\) .*/\1/p' <<<"$found")
    no_more_exposed "$unit ($1) is no more exposed than is written down" "$found" "$3"
}

# no_more_exposed NAME FOUND LIMIT
no_more_exposed() {
    if awk -v found="$2" -v limit="$3" 'BEGIN { exit !(found ~ /^[0-9.]+$/ && found + 0 <= limit) }'; then
        ok "$1: $2"
    else
        failed "$1" "limit: $3" "found: ${2:-(nothing)}"
    fi
}
