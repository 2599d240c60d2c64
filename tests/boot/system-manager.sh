# shellcheck shell=bash
# To be sourced by `run`: Debian with the units that the module makes for system-manager, as they stand in the golden file of the
# configuration system-manager-secrets, beside the targets that system-manager itself brings.
# shellcheck disable=SC2034,SC2154

system_manager() {
    local units moments
    container=$work/system-manager container_options=()
    units=$container/etc/systemd/system
    title 'Debian with the units of system-manager'
    new_root "$container"
    install -m 0644 -- "$repository/tests/compat/files/values.yaml" "$container/nix/store/HASH-values.yaml"
    install -D -m 0600 -- "$fixtures/keys/age.txt" "$container/var/lib/sops-nix/key.txt"
    printf '[Install]\nWantedBy=default.target\n' >"$units/system-manager.target"
    printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nStandardOutput=truncate:/run/app\nExecStart=/usr/bin/cat /run/secrets/one\n' \
        >"$units/app.service"
    "$here/install-system" "$golden/system-manager-secrets.json" "$container" \
        '.manifest.content.ageKeyFile = "/var/lib/sops-nix/key.txt" | .manifest.content.ageSshKeyPaths = []'
    chroot "$container" systemctl --quiet enable play system-manager.target
    boot_container system-manager 0
    is 'no unit failed' boot.failed ''
    is 'the secret is there' boot.secret "400 root:root $(printf 'first value' | wc -c) $(digest 'first value')"
    is 'a service of system-manager.target found it' boot.saw "$(digest 'first value')"
    read -r -a moments <<<"${fact[boot.order]-0 0}"
    in_order 'the secrets came before sysinit.target' "${moments[@]}"
    is 'the check of secrets starts units that require one another' mutual.status 0
    is 'both of them run' mutual.states 'active active'
    is 'and it says which one had not run' mutual.said '*systemd has not run: one.service*'
    is 'after system-manager has activated, all is active' again.states 'active active active'
    is 'and no unit failed' again.failed ''
    shut_down
}
