# shellcheck shell=bash
# To be sourced by `run`: a machine whose key is a credential of the system, and whose services get secrets as credentials. Its units
# are those of the configuration ours-credential-server in tests/nix.
# shellcheck disable=SC2034,SC2154

readonly credential_server=ours-credential-server.json
readonly changed_credential='(.manifest.content.secrets[] | select(.name == "one").key) = "two"'
readonly changed_credential_for_users="$changed_credential"' | .usersManifest.content.secrets[0].key = "nested/sibling"'

credentials() {
    local of_users changed changed_of_users reader
    one=$(digest 'first value')
    of_users=$(digest 'second value')
    changed=$of_users
    changed_of_users=$(digest 'sibling value')
    bystander=$(digest 'deep value')
    # A user that systemd made for it.
    reader='6[1-5][0-9][0-9][0-9] refused'

    make_credential_server "$work/credentials" "$newer"

    title 'a key that is a credential, and is missing'
    boot_container credentials-missing 0
    is 'both units fail, and the services do not start without the secrets' boot.states 'failed failed failed failed'
    is 'the credential that is missing is named in the log' boot.message '*sops-age-key*'
    nothing 'no service saw a credential' boot.saw.reader

    title 'a key that is a credential from whoever started the machine'
    container_options=(--load-credential="sops-age-key:$fixtures/keys/age.txt")
    boot_container credentials 0
    with_credentials boot
    saw boot reader "$reader one=$one reader.conf=$(digest "one = first value"$'\n') two=$of_users"
    saw boot bystander "[1-9]* refused nested-inner-deep=$bystander"
    is 'the credentials of a service are there while it runs' boot.credential 'reader.service/one*'
    nothing 'no other user can read them' boot.readable

    is 'a switch with a changed secret changes one unit' secret.changed sops-install-secrets.service
    is 'a switch with a changed secret succeeds' secret.status 0
    with_credentials secret
    saw secret reader "$reader one=$changed reader.conf=$(digest "one = second value"$'\n') two=$of_users"
    nothing 'a switch with a changed secret leaves the service of another' secret.saw.bystander

    is 'a switch with a changed secret for users succeeds' users.status 0
    with_credentials users
    saw users reader "$reader one=$changed reader.conf=$(digest "one = second value"$'\n') two=$changed_of_users"
    nothing 'a switch with a changed secret for users leaves the service of another' users.saw.bystander

    title 'a key that is an encrypted credential'
    container_options=()
    boot_container credentials-sealed 0
    with_credentials boot
    saw boot reader "$reader one=$changed reader.conf=$(digest "one = second value"$'\n') two=$changed_of_users"
    check 'the key itself is nowhere on the disk' "$(grep -rlF "$(grep '^AGE-SECRET-KEY-1' "$fixtures/keys/age.txt")" "$container" || true)" ''

    title 'the systemd of Debian 12, where the units get the key by LoadCredential='
    make_credential_server "$work/credentials-252" "$debian"
    local unit
    for unit in sops-install-secrets-for-users sops-install-secrets; do
        mkdir -p -- "$container/etc/systemd/system/$unit.service.d"
        printf '[Service]\nLoadCredential=sops-age-key\n' >"$container/etc/systemd/system/$unit.service.d/key.conf"
    done
    container_options=(--load-credential="sops-age-key:$fixtures/keys/age.txt")
    boot_container credentials-loaded 0
    with_credentials boot
    saw boot reader "$reader one=$one reader.conf=$(digest "one = first value"$'\n') two=$of_users"
    container_options=()
}

digest() { printf '%s' "$1" | sha256sum | cut -d ' ' -f 1; }

# make_credential_server DIRECTORY DEBIAN
make_credential_server() {
    container=$1 container_options=()
    new_root "$@"
    install -m 0644 -- "$repository/tests/compat/files/values.yaml" "$container/nix/store/HASH-values.yaml"
    "$here/install-system" "$golden/$credential_server" "$container"
    chroot "$container" systemctl --quiet enable userborn play
    other_system "$container" "$golden/$credential_server" changed-secret "$changed_credential"
    other_system "$container" "$golden/$credential_server" changed-secret-for-users "$changed_credential_for_users"
}

# with_credentials STEP
with_credentials() {
    is "$1: no unit failed" "$1.failed" ''
    is "$1: all is active" "$1.states" 'active active active active'
}

# saw STEP SERVICE NOTE: it was started once since the step before, and found this
saw() { is "$1: $2.service was started once, and found its secrets" "$1.saw.$2" "$3"; }
