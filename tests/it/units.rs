//! Units that use what changed: names that lack a type, names that nothing has, and the units of users. A real systemd
//! is told in `tests/boot`.

use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use crate::server::{API_KEY, Answer, Machine, USER, answer, manifest, secret, with};

const UNIT_MODE: (&str, &str) = ("SOPS_RESTART_UNITS_VIA_SYSTEMCTL", "1");

fn a(key: &str, units: Value) -> Value {
    manifest(&[with(secret("a", key), units)], &[])
}

/// What is called in the place of `systemctl`.
fn systemctl(machine: &Machine, script: &str) {
    machine.write("/mnt/bin/systemctl", format!("#!/bin/sh\n{script}\n"));
    machine.shell("chmod +x /mnt/bin/systemctl; touch /mnt/calls; chmod 666 /mnt/calls");
}

#[test]
fn a_name_without_a_type_is_told_as_a_service() {
    let Some(machine) = Machine::new() else { return };
    let units = json!({"restartUnits": ["dovecot2", "x.timer"], "reloadUnits": ["a@b"]});
    systemctl(&machine, "echo $* >> /mnt/calls");
    machine.shell("mkdir /run/nixos");
    machine.activate(&a("api_key", units.clone()));
    machine.activate(&a("database/user", units.clone()));
    let lists = machine.shell("cat /run/nixos/activation-restart-list /run/nixos/activation-reload-list");
    assert_eq!(lists, "dovecot2.service\nx.timer\na@b.service");
    let ran = answer(machine.program(&a("api_key", units)).env(UNIT_MODE.0, UNIT_MODE.1));
    assert_eq!(ran, Answer::silent());
    assert_eq!(
        machine.shell("cat /mnt/calls"),
        "--no-block try-restart dovecot2.service x.timer\n--no-block try-reload-or-restart a@b.service"
    );
}

#[test]
fn a_unit_that_does_not_exist_is_told_with_the_secret_that_names_it() {
    let Some(machine) = Machine::new() else { return };
    systemctl(
        &machine,
        "case $1-$4 in --no-block-*) exit 5;; show-typo.service) echo LoadState=not-found;; *) echo LoadState=loaded;; esac",
    );
    machine.activate(&a("api_key", json!({})));
    let units = json!({"restartUnits": ["good.service", "typo"]});
    let ran = answer(machine.program(&a("database/user", units)).env(UNIT_MODE.0, UNIT_MODE.1));
    let stderr = "sops-install-secrets: error: there is no unit 'typo.service', so 'systemctl try-restart' did nothing for it\n  \
                  named by secret 'a'\n\
                  help: correct its name in `restartUnits` or `reloadUnits`, or leave it out there\n";
    assert_eq!(ran, Answer { code: Some(1), stdout: String::new(), stderr: stderr.into() });
    assert_eq!(machine.shell("cat /run/secrets/a"), USER);
}

/// A machine where user 1501, in group 1500, is logged in, and the socket of the user's manager.
fn logged_in(machine: &Machine) -> (tempfile::TempDir, UnixListener) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("private");
    let listener = UnixListener::bind(&socket).unwrap();
    let path = socket.display();
    machine.shell(&format!(
        "mkdir -p /run/user/1501/systemd /run/user/1502/systemd && touch /run/user/1501/systemd/private && \
         mount --bind {path} /run/user/1501/systemd/private && chown 1501:1500 /run/user/1501 && chmod 0700 /run/user/1501"
    ));
    (directory, listener)
}

#[test]
fn units_of_users_are_restarted_by_the_user_with_nothing_of_ours_in_the_environment() {
    let Some(machine) = Machine::new() else { return };
    let _socket = logged_in(&machine);
    systemctl(
        &machine,
        "echo $(id -u):$(id -g):$(id -G) $XDG_RUNTIME_DIR [$SOPS_AGE_KEY] $* >> /mnt/calls; exit 5",
    );
    let units = json!({"restartUserUnits": ["agent", "b.socket"]});
    machine.activate(&a("api_key", units.clone()));
    assert_eq!(machine.shell("cat /mnt/calls"), "", "the first activation tells nobody");
    let changed = a("database/user", units);
    let dry = answer(machine.program(&changed).env("NIXOS_ACTION", "dry-activate"));
    assert_eq!(
        dry,
        Answer::said("", "would restart agent.service of users\nwould restart b.socket of users\n")
    );
    let ran = answer(machine.program(&changed).env("SOPS_AGE_KEY", "AGE-SECRET-KEY-1NOTHING"));
    assert_eq!(ran, Answer::silent());
    assert_eq!(
        machine.shell("cat /mnt/calls"),
        "1501:1500:1500 /run/user/1501 [] --user --no-block try-restart -- agent.service b.socket"
    );
}

#[test]
fn a_users_manager_that_fails_is_a_warning() {
    let Some(machine) = Machine::new() else { return };
    let _socket = logged_in(&machine);
    systemctl(&machine, "echo nonsense >&2; exit 1");
    let units = json!({"restartUserUnits": ["agent.service"]});
    machine.activate(&a("database/user", units.clone()));
    let ran = machine.run(&a("api_key", units));
    let stderr = "sops-install-secrets: warning: the units of user 1501 were not told: 'systemctl --user try-restart' failed: nonsense\n";
    assert_eq!(ran, Answer::said("", stderr));
    assert_eq!(machine.shell("cat /run/secrets/a"), API_KEY);
}
