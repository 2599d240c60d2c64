# shellcheck shell=bash
# To be sourced by `run`: a machine whose users have service managers of their own. The system's units are those of the configuration
# ours-user-server in tests/nix, and one user has the unit of home-ours.
# shellcheck disable=SC2034,SC2154

readonly user_server=ours-user-server.json home=home-ours.json
readonly changed_for_users='(.manifest.content.secrets[] | select(.name == "one").key) = "nested/sibling"'
readonly changed_for_unknown="$changed_for_users"' | (.manifest.content.secrets[] | select(.name == "two").key) = "nested/sibling"'
readonly of_carol='walk(if type == "string" then gsub("alice"; "carol") else . end)'
readonly changed_home='(.manifest.content.secrets[] | select(.name == "one").key) = "nested/sibling"'

users() {
    local one two dotenv other moments
    one=$(digest 'first value')
    two=$(digest 'second value')
    other=$(digest 'sibling value')
    make_user_server

    title 'users with service managers of their own'
    boot_container users 0
    is 'the manager of every lingering user runs, and has no failed unit' boot.state $'alice running\ncarol running'
    is 'a user who is not there has none' boot.managers 'active inactive active'
    users_well boot
    read -r -a moments <<<"${fact[boot.order]-0}"
    in_order "home-manager's unit, basic.target and an ordinary unit of the user came one after the other" "${moments[@]}"
    is "a unit of the user found the secrets of home-manager's unit when the manager started" boot.saw.mpd "$one $two"
    is 'a unit of the user found the secret of the system' boot.saw.reader "$one"
    home_files boot /run/user/1000/secrets.d/1 'first value'
    is 'another user cannot read them' boot.read refused

    is 'a switch with a changed secret succeeds' secret.status 0
    users_well secret
    is "it restarts the user's unit, which finds the new secret" secret.saw.reader "$other"
    nothing "it leaves the user's other units" secret.saw.bystander
    nothing "it leaves those of home-manager's secrets" secret.saw.mpd
    check 'whoever has no manager, or not that unit, is not spoken of' "${fact[secret.message]-}" '!(*warning*|*error*|*1001*|*1002*)'

    is 'a switch with a changed secret of a unit that no user has succeeds' unknown.status 0
    is 'and that is said' unknown.message '*no-such-unit*'
    users_well unknown
    nothing 'it restarts no unit' unknown.saw.reader

    is "home-manager's activation succeeds" home.status 0
    users_well home
    is "it restarts the unit that its changed secret names, which finds the new one" home.saw.mpd "$other $two"
    nothing "it leaves the user's other units" home.saw.bystander
    nothing 'and those that secrets of the system name' home.saw.reader
    home_files home /run/user/1000/secrets.d/2 'sibling value'

    is 'where nothing is left of the secrets of a user, nothing is run to clear it away' cleared.before 'inactive 0'
    is 'where something is, its unit removes it' cleared.after 'active 0'
    nothing 'and nothing is left' cleared.left
}

# users_well STEP
users_well() {
    is "$1: no unit of the system failed" "$1.failed" ''
    is "$1: no unit of a user failed" "$1.failed-of-users" ''
}

# home_files STEP GENERATION VALUE: what home-manager's unit has installed, for the value of one secret
home_files() {
    is "$1: the secrets of the user are below its runtime directory" "$1.home.link" "$2"
    is "$1: there is no other generation" "$1.home.generations" "${2##*/}"
    local directory=/home/alice/.config/sops-nix/secrets
    is "$1: they have their bytes, owner and mode, and there is nothing else" "$1.home.files" "$(
        printf '%s/dotenv %s\n' "$directory" "$(describe_text 'env one')"
        printf '%s/one %s\n' "$directory" "$(describe_text "$3")"
        printf '%s/rendered/conf %s\n' "$directory" "$(describe_text "\"$3\"")"
        printf '%s/two %s\n' "$directory" "$(describe_text 'second value')"
        printf '/run/user/1000/program/one %s\n' "$(describe_text "$3")"
    )"
}

# describe_text TEXT: what `describe` says of a file of the user's with this text
describe_text() { printf '400 alice:alice %s %s' "${#1}" "$(digest "$1")"; }

make_user_server() {
    container=$work/users container_options=()
    new_root "$container" "$newer"
    local user
    # alice and carol linger; bob is somewhere else.
    mkdir -p -- "$container/var/lib/systemd/linger"
    for user in alice:1000 bob:1001 carol:1002; do
        chroot "$container" useradd --create-home --user-group --uid "${user#*:}" "${user%:*}"
    done
    : >"$container/var/lib/systemd/linger/alice"
    : >"$container/var/lib/systemd/linger/carol"

    install -m 0644 -- "$repository"/tests/compat/files/values.{yaml,env} "$container/nix/store/"
    local values
    for values in values.yaml values.env; do mv -- "$container/nix/store/$values" "$container/nix/store/HASH-$values"; done
    install -D -m 0600 -- "$fixtures/keys/host_ed25519" "$container/etc/ssh/ssh_host_ed25519_key"
    "$here/install-system" "$golden/$user_server" "$container"
    chroot "$container" systemctl --quiet enable userborn play
    other_system "$container" "$golden/$user_server" changed-secret "$changed_for_users"
    other_system "$container" "$golden/$user_server" changed-secret-of-an-unknown-unit "$changed_for_unknown"

    local units=$container/home/alice/.config/systemd/user secrets=/home/alice/.config/sops-nix/secrets
    install -D -m 0600 -- "$fixtures/keys/age.txt" "$container/home/alice/.config/sops/age/keys.txt"
    install_home "$golden/$home" "$units" .
    install_home "$golden/$home" "$container/systems/home-changed" "$changed_home"
    # carol's secrets are no longer declared.
    install_home "$golden/home-ours-leftovers.json" "$container/home/carol/.config/systemd/user" "$of_carol"
    # It gives what has to wait for it half a second to be first.
    mkdir -p -- "$units/sops-nix.service.d"
    printf '[Service]\nExecStartPre=/usr/lib/boot-test/users hold basic.target\n' >"$units/sops-nix.service.d/hold.conf"
    user_unit "$units" reader /run/secrets/one
    user_unit "$units" bystander /run/secrets/one
    user_unit "$units" mpd %t/program/one "$secrets/two"
    for user in alice carol; do chroot "$container" chown -R $user:$user /home/$user; done
}

# install_home GOLDEN DIRECTORY FILTER: home-manager's units, as home-manager writes them, with the script and the manifest in the store, and the
# script that home-manager runs when it activates
install_home() {
    local system manifest script unit kind target store=$container/nix/store
    system=$(jq "$3" "$1")
    mkdir -p -- "$2/default.target.wants"
    manifest=/nix/store/$(jq .manifest.content <<<"$system" | sha256sum | cut -c 1-32)-manifest.json
    jq .manifest.content <<<"$system" >"$container$manifest"
    # The name of the script follows from that of the manifest.
    script=${manifest%-*}-sops-nix-user
    printf '#!/bin/bash\n' >"$container$script"
    jq -r '.script[]' <<<"$system" | sed "s#/nix/store/HASH-manifest.json#$manifest#" >>"$container$script"
    chmod +x "$container$script"
    jq -r '.units + .targets | keys[]' <<<"$system" | while read -r unit; do
        kind=$(jq -r --arg unit "$unit" 'if .targets | has($unit) then "target" else "service" end' <<<"$system")
        user_unit_of /dev/stdin "$unit" <<<"$system" | sed "s#/nix/store/HASH-sops-nix-user#$script#" >"$2/$unit.$kind"
        jq -r --arg unit "$unit" '(.units + .targets)[$unit].Install.WantedBy[]' <<<"$system" | while read -r target; do
            mkdir -p -- "$2/$target.wants"
            ln -sfn -- "../$unit.$kind" "$2/$target.wants/$unit.$kind"
        done
    done
    { echo 'set -eu' && jq -r '.activation["sops-nix"].data[]' <<<"$system"; } >"$2/activate"
}

# user_unit_of GOLDEN UNIT: the text of a unit of home-manager
user_unit_of() {
    jq -r --arg unit "$2" '(.units + .targets)[$unit] | to_entries[] | "[\(.key)]", (.value | to_entries[] | .key as $key | .value
        | if type == "array" then .[] else . end | "\($key)=\(.)")' "$1"
}

# user_unit DIRECTORY NAME FILE...: one that notes what is in the files when it starts
user_unit() {
    local unit=$1/$2.service
    printf '%s\n' '[Service]' Type=exec "ExecStart=/usr/lib/boot-test/users serve ${*:2}" >"$unit"
    mkdir -p -- "$1/default.target.wants"
    ln -s -- "../$2.service" "$1/default.target.wants/$2.service"
}
