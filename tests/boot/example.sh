# shellcheck shell=bash
# To be sourced by `run`: machines with the units that the module generates for the example server (nix/example), as they stand in
# tests/nix/golden.
# shellcheck disable=SC2034,SC2154

readonly golden=$repository/tests/nix/golden/configurations
readonly example=$work/example
# Other systems for the same machine, each a change of the one before.
readonly changed_secret='(.manifest.content.secrets[] | select(.name == "api-key").key) = "database/password"'
readonly changed_password="$changed_secret"' | .usersManifest.content.secrets[0].key = "api-key"'
readonly bad_secret="$changed_password"' | (.manifest.content.secrets[] | select(.name == "api-key").key) = "api-key"
    | (.manifest.content.secrets[] | select(.name == "backup/ssh-key").key) = "backup/no-such-key"'

example_server() {
    local unit exposure
    example_expectations
    make_example
    container=$example

    title 'the example server'
    boot_container example 0
    nothing 'at first there were no secrets' early.found
    is 'at first there was no link' early.link none
    example_boot
    example_files boot "$api_key" "$api_env" "$ssh_key" "$admin"
    nothing 'systemd-analyze finds nothing to say of the units' boot.verify
    while read -r unit exposure; do
        no_more_exposed "systemd holds that $unit is no more exposed than is written down" "$exposure" "$exposure_of_installers"
    done <<<"${fact[boot.exposure]-}"
    seven_restarts
    secret_changed
    shut_down

    title 'the example server once more'
    boot_container example-again 0
    nothing 'the reboot took the secrets along' early.found
    is 'the link was left' early.link /run/secrets/backup/ssh-key
    example_boot
    example_files boot "$other_api_key" "$other_api_env" "$ssh_key" "$admin"
    password_changed
    bad_beside_good
    shut_down

    title 'the example server with a bad secret'
    boot_container example-with-a-bad-secret 0
    boot_with_a_bad_secret
    shut_down
    example_not_on_disk

    title 'the example server with systemd-sysusers'
    container=$work/sysusers
    make_server "$container" "$golden/example-server-sysusers.json"
    cp -r -- "$here/guest-sysusers/." "$container"
    boot_container example-with-sysusers 0
    example_boot
    example_files boot "$api_key" "$api_env" "$ssh_key" "$admin"
    shut_down
}

# Of what nix/example/secrets/secrets.yaml decrypts to.
example_expectations() {
    local plain=$work/plain yaml=$repository/tests/it/example/secrets.yaml url
    sed -n 's/^api-key: //p' "$yaml" | tr -d '\n' >"$plain/api-key"
    sed -n 's/^    password: //p' "$yaml" | tr -d '\n' >"$plain/password"
    sed -n '/^    ssh-key: |$/,/END/ s/^        //p' "$yaml" >"$plain/ssh-key"
    sed -n 's/^    admin: //p' "$yaml" | tr -d '\n' >"$plain/admin"
    url=DATABASE_URL=postgresql://api:$(<"$plain/password")@localhost/api
    printf 'API_KEY=%s\n%s\n' "$(<"$plain/api-key")" "$url" >"$plain/api.env"
    printf 'API_KEY=%s\n%s\n' "$(<"$plain/password")" "$url" >"$plain/other-api.env"

    api_key=$(describe 400 api:api "$plain/api-key")
    other_api_key=$(describe 400 api:api "$plain/password")
    api_env=$(describe 400 api:api "$plain/api.env")
    other_api_env=$(describe 400 api:api "$plain/other-api.env")
    database_password=$(describe 440 api:database "$plain/password")
    ssh_key=$(describe 400 backup:backup "$plain/ssh-key")
    admin=$(describe 400 root:root "$plain/admin")
    other_admin=$(describe 400 root:root "$plain/api-key")
    readonly api_key other_api_key api_env other_api_env database_password ssh_key admin other_admin
}

make_example() {
    local configuration=$golden/example-server-userborn.json
    make_server "$example" "$configuration"
    chroot "$example" systemctl --quiet enable userborn
    other_system "$example" "$configuration" first .
    other_system "$example" "$configuration" changed-secret "$changed_secret"
    other_system "$example" "$configuration" changed-password "$changed_password"
    other_system "$example" "$configuration" bad-secret "$bad_secret"
    other_system "$example" "$golden/ours-leftovers.json" no-secrets .
}

# make_server DIRECTORY GOLDEN [FILTER]: a machine with a system of the example server. As in NixOS, nothing but one of its units makes
# users and groups.
make_server() {
    new_root "$1"
    install -D -m 0600 -- "$fixtures/keys/sample_host_ed25519" "$1/etc/ssh/ssh_host_ed25519_key"
    install -D -m 0600 -- "$fixtures/keys/host_rsa" "$1/etc/ssh/ssh_host_rsa_key"
    install -m 0644 -- "$repository/nix/example/secrets/secrets.yaml" "$1/nix/store/HASH-secrets.yaml"
    "$here/install-system" "$2" "$1" "${3:-.}"
    chroot "$1" systemctl --quiet enable early wants-secrets requires-secrets plain play
}

# new_root DIRECTORY [DEBIAN]: what machines with units of the module have in common. Where these name a file in the store, it is there.
new_root() {
    rm -rf --one-file-system -- "$1"
    cp -a --reflink=auto -- "${2:-$debian}/root" "$1"
    cp -r -- "$here/guest-example/." "$1"
    cp -- "$here/guest/usr/lib/boot-test/facts" "$1/usr/lib/boot-test/"
    # What is logged while it goes down is read after that.
    mkdir -p -- "$1/etc/boot-test" "$1/var/log/journal" "$1/nix/store/HASH-sops-activate/bin"
    install -m 0755 -- "$program" "$1/nix/store/HASH-sops-activate/bin/sops-install-secrets"
    local package script
    for script in generate-age-key check-secrets; do install -m 0644 -- "$repository/nix/$script.sh" "$1/nix/store/HASH-$script.sh"; done
    for package in age coreutils systemd; do ln -s -- /usr "$1/nix/store/HASH-$package"; done
    printf '5c9cf6b4d7c947f3b1b0a1cd12b7a5f6\n' >"$1/etc/machine-id"
}

# other_system DIRECTORY GOLDEN NAME FILTER: for a switch
other_system() {
    local system=$1/systems/$3
    mkdir -p -- "$system/etc/systemd"
    cp -r -- "$here/guest-example/etc/systemd/system" "$system/etc/systemd/"
    "$here/install-system" "$2" "$system" "$4"
    cp -- "$system"/nix/store/* "$1/nix/store/"
}

# in_order NAME MOMENT...: none is missing, and each is no earlier than the one before
in_order() {
    local name=$1 before=1 moment
    shift
    for moment; do
        if ! ((before <= moment)); then
            failed "$name" "order: $*"
            return
        fi
        before=$moment
    done
    ok "$name"
}

# The journal is on the disk, too.
example_not_on_disk() {
    local found
    # It would be found if it was there.
    LC_ALL=C grep -qrF -f "$work/plain/password" "$work/plain"
    found=$(LC_ALL=C grep -rlaF -f "$work/plain/password" "$example" || true)
    check 'no plaintext reached the disk' "$found" ''
}

# What holds after every boot with good secrets.
example_boot() {
    local moments
    read -r -a moments <<<"${fact[boot.order]-0}"
    in_order 'secrets for users, users, secrets, sops-secrets.target, sysinit.target and a plain service came one after the other' \
        "${moments[@]}"
    is 'no unit failed' boot.failed ''
    is 'all is active' boot.states 'active active active active active active'
    local service
    for service in plain wants-secrets requires-secrets; do
        is "$service.service saw its secret" "boot.saw.$service" "$database_password"
    done
    for service in wants-secrets requires-secrets; do
        read -r -a moments <<<"${fact[boot.order-of-$service]-0}"
        in_order "$service.service, ordered after sops-secrets.target alone, came after it" "${moments[@]}"
    done
}

# example_files STEP API-KEY API-ENV SSH-KEY ADMIN: what there is, as `describe` says it
example_files() {
    is "$1: there are the secrets and nothing else" "$1.files" 'api-key backup/ssh-key database/password rendered/api.env'
    is "$1: api-key has its bytes, owner and mode" "$1.file.api-key" "$2"
    is "$1: the template has its bytes, owner and mode" "$1.file.rendered/api.env" "$3"
    is "$1: the SSH key has its bytes, owner and mode" "$1.file.backup/ssh-key" "$4"
    is "$1: the database password has its bytes, owner and mode" "$1.file.database/password" "$database_password"
    is "$1: the link to the SSH key belongs to its owner" "$1.link" '/run/secrets/backup/ssh-key backup:backup'
    is "$1: the secret for users has its bytes, owner and mode" "$1.for-users" "users/admin $5"
    is "$1: it is the password of its user" "$1.password" "${5##* }"
    is "$1: the API was started with the template" "$1.api" "${3##* }"
}

# restarted STEP BEFORE SERVICE...: these, and of the two services of the example no other
restarted() {
    local step=$1 before=$2 service expected=''
    shift 2
    local found=''
    for service in api backup; do
        if [[ ${fact[$step.invocation.$service]-} != "${fact[$before.invocation.$service]-}" ]]; then found+="$service "; fi
        if [[ " $* " == *" $service "* ]]; then expected+="$service "; fi
    done
    check "$step: what was restarted" "${fact[$step.states]+$found}" "$expected"
}

seven_restarts() {
    is 'seven restarts in a row are seven times successful' seven.statuses $'0\n0\n0\n0\n0\n0\n0'
    is 'after them no unit failed' seven.failed ''
    restarted seven boot
}

secret_changed() {
    is 'a changed secret changes one unit' secret.changed sops-install-secrets.service
    is 'a switch with a changed secret succeeds' secret.status 0
    is 'a switch with a changed secret fails no unit' secret.failed ''
    is 'a switch with a changed secret leaves all active' secret.states 'active active active active active active'
    example_files secret "$other_api_key" "$other_api_env" "$ssh_key" "$admin"
    restarted secret seven api
    check 'what wants sops-secrets.target runs on' "${fact[secret.invocation.wants-secrets]-}" "${fact[seven.invocation.wants-secrets]-(none)}"
    check 'what requires sops-secrets.target is started again' "${fact[secret.invocation.requires-secrets]-}" \
        "!(|${fact[seven.invocation.requires-secrets]-})"
}

password_changed() {
    is 'a changed password changes its unit and that of the users' password.changed 'sops-install-secrets-for-users.service userborn.service'
    is 'a switch with a changed password succeeds' password.status 0
    is 'a switch with a changed password fails no unit' password.failed ''
    example_files password "$other_api_key" "$other_api_env" "$ssh_key" "$other_admin"
    restarted password boot
}

# On a switch the bad secret keeps its value, and the others change.
bad_beside_good() {
    is 'a switch with a bad secret fails' bad.status '[1-9]*'
    is 'a switch with a bad secret fails one unit' bad.failed sops-install-secrets.service
    is 'a switch with a bad secret leaves the services running' bad.states 'active failed inactive active active active'
    example_files bad "$api_key" "$api_env" "$ssh_key" "$other_admin"
    restarted bad password api
    is 'the bad secret is named in the log' bad.message "*'backup/ssh-key'*"
}

# At a boot there is no value to keep.
boot_with_a_bad_secret() {
    is 'a boot with a bad secret fails one unit' boot.failed sops-install-secrets.service
    is 'a boot with a bad secret starts the services' boot.states 'active failed inactive active active active'
    is 'a boot with a bad secret installs the others' boot.files 'api-key database/password rendered/api.env'
    is 'what wants the secrets starts with those that are there' boot.saw.wants-secrets "$database_password"
    nothing 'what requires the secrets does not start' boot.saw.requires-secrets
    is 'the mended system succeeds' mended.status 0
    is 'the mended system fails no unit' mended.failed ''
    is 'the mended system has all active' mended.states 'active active active active active active'
    example_files mended "$api_key" "$api_env" "$ssh_key" "$admin"
    restarted mended boot backup
    is 'a system without any secret fails no unit' cleared.failed ''
    is 'its two units have cleared away' cleared.removers 'active active'
    nothing 'nothing is left of the secrets, in memory or on the disk' cleared.left
    is 'what requires the secrets starts now' mended.saw.requires-secrets "$database_password"
}

# Of the last boot of the container.
its_journal() { journalctl --directory="$container/var/log/journal" --quiet --output=cat --boot "$@"; }

cycles() { grep -hi 'ordering cycle\|deleted to break' "$work/journal.log" "$work/container.log" || true; }

shut_down() {
    its_journal --identifier=systemd >"$work/journal.log"
    check 'the journal has the whole shutdown' "$(grep -c 'Reached target.*[Pp]ower' "$work/journal.log" || true)" 1
    check 'neither start nor shutdown has an ordering cycle' "$(cycles)" ''
}

# The key on a file system that the initrd mounted. A mount is stopped after everything that was started after it, and what makes
# device nodes comes before every mount: where a unit that is needed for users waits for a mount, a shutdown has a cycle.
persisted_key() {
    local configuration=configurations/example-server-persist.json
    title 'the example server with its key on a file system of its own'
    make_persist "$repository/tests/nix/golden/$configuration"
    boot_container persisted-key 0
    is 'the key was mounted' boot.mounted yes
    is 'no unit failed' boot.failed ''
    is 'all is active' boot.states 'active active active active active active'
    example_files boot "$api_key" "$api_env" "$ssh_key" "$admin"
    shut_down

    title 'the same, ordered as sops-nix orders it'
    make_persist "$repository/tests/nix/golden-sops-nix/$configuration"
    boot_container persisted-key 0
    is 'the key was mounted' boot.mounted yes
    its_journal --identifier=systemd >"$work/journal.log"
    check 'there, the shutdown has an ordering cycle: this test would see one' "$(cycles)" '*ordering cycle*'
}

make_persist() {
    container=$work/persist
    container_options=(--bind="$fixtures/keys:/persist")
    # The name of the key among the fixtures is another.
    make_server "$container" "$1" '(.. | .ageKeyFile? // empty) |= "/persist/age.txt"'
    chroot "$container" systemctl --quiet enable userborn
    # As systemd makes it of /etc/fstab; the container's manager has mounted it already. A unit is stopped before a mount only where
    # that has a unit of its own.
    mkdir -p -- "$container/persist" "$container/etc/systemd/system/local-fs.target.requires"
    printf '[Mount]\nWhat=/var/persist\nWhere=/persist\nType=none\nOptions=bind\n' >"$container/etc/systemd/system/persist.mount"
    ln -s ../persist.mount "$container/etc/systemd/system/local-fs.target.requires/"
}

# The key that the machine makes for itself. What it then cannot open fails, which is not the matter here.
generated_key() {
    local key="/var/lib/sops nix/it's a key.txt"
    container=$work/key container_options=()
    new_root "$container"
    install -m 0644 -- "$repository/tests/compat/files/values.yaml" "$container/nix/store/HASH-values.yaml"
    "$here/install-system" "$golden/generate-key-systemd.json" "$container"
    chroot "$container" systemctl --quiet enable early play
    printf 'generated-key\n' >"$container/etc/boot-test/plan"
    make_image "$container" "$work/key.img"

    title 'a machine that makes its key, where an empty file has its name'
    mkdir -p -- "$container/${key%/*}"
    : >"$container/$key"
    boot_container generated-key 0
    whole_key
    is 'seven further starts in a row succeed' again.statuses $'0\n0\n0\n0\n0\n0\n0'
    is 'they leave the key' again.key "${fact[boot.key]-}"

    title 'a virtual machine whose power fails while it makes its key'
    restart_vm "$work/key.img" boot-test.key-cut=written
    await_vm stopped
    cut_power
    is 'at first there was no key' early.key 'absent'
    is 'the key was written under another name, and not synchronised' stopped 'absent, new: 1*'

    title 'and again while it makes the next'
    restart_vm "$work/key.img" boot-test.key-cut=renamed
    await_vm stopped
    cut_power
    is 'the power cut left no key, and lost what was not synchronised' early.key 'absent, new: 0'
    is 'the key had got its name' stopped '600 root:root 1*'

    title 'and comes back'
    restart_vm "$work/key.img"
    await_vm end
    end_vm
    whole_key
    is 'it is the key that had got its name' early.key "${fact[boot.key]-}"
}

whole_key() {
    is 'there is a whole key' boot.key-lines '1 AGE-SECRET-KEY-1'
    is 'it is for root alone' boot.key '600 root:root 1*'
    is 'nothing else is left beside it' boot.key-directory "it's a key.txt"
    is 'only the secrets of another key could not be installed' boot.failed sops-install-secrets.service
}
