//! Units that use what changed: names that lack a type, names that nothing has, and the units of users. A real systemd
//! is told in `tests/boot`.

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

#[test]
fn units_of_users_are_restarted_by_the_user_with_nothing_of_ours_in_the_environment() {
    let Some(machine) = Machine::new() else { return };
    let _socket = machine.user_manager(1501);
    systemctl(&machine, "echo $(id -u):$(id -g):$(id -G) $XDG_RUNTIME_DIR [$SOPS_AGE_KEY] $* >> /mnt/calls");
    let units = json!({"restartUserUnits": ["agent", "b.socket"]});
    machine.shell("mkdir -p /run/user/1502/systemd");
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
    let _socket = machine.user_manager(1501);
    systemctl(&machine, "echo nonsense >&2; exit 1");
    let units = json!({"restartUserUnits": ["agent.service"]});
    machine.activate(&a("database/user", units.clone()));
    let ran = machine.run(&a("api_key", units));
    let stderr = "sops-install-secrets: warning: the units of user 1501 were not told: 'systemctl --user try-restart' failed: nonsense\n";
    assert_eq!(ran, Answer::said("", stderr));
    assert_eq!(machine.shell("cat /run/secrets/a"), API_KEY);
}

/// Answers for the managers of users as `systemctl` does: all have `good`, nobody has `typo`, and root alone has `roots`.
const MANAGERS: &str = "[ $2 = show ] || exit 5
    for unit; do case $unit in
        good.service) echo LoadState=loaded; echo;;
        roots.service) [ $(id -u) = 0 ] && echo LoadState=loaded || echo LoadState=not-found; echo;;
        *.service) echo LoadState=not-found; echo;;
    esac; done";

#[test]
fn a_unit_that_no_user_has_is_a_warning_when_all_were_asked() {
    let Some(machine) = Machine::new() else { return };
    let _sockets = [machine.user_manager(0), machine.user_manager(1501)];
    systemctl(&machine, MANAGERS);
    let units = json!({"restartUserUnits": ["good", "typo", "roots"]});
    machine.activate(&a("api_key", units.clone()));
    let warning = "sops-install-secrets: warning: no user who is logged in or lingers has a unit 'typo.service'; \
                   it is named by secret 'a' in `restartUserUnits`\n";
    assert_eq!(machine.run(&a("database/user", units.clone())), Answer::said("", warning));
    systemctl(&machine, &format!("[ $(id -u) = 0 ] || exit 1\n{MANAGERS}"));
    let ran = machine.run(&a("api_key", units));
    assert!(ran.stderr.contains("of user 1501 were not told") && !ran.stderr.contains("typo"), "{ran:?}");
}

#[test]
fn a_unit_that_a_user_who_activates_does_not_have_is_an_error() {
    let Some(machine) = Machine::new() else { return };
    let _socket = machine.user_manager(0);
    systemctl(&machine, MANAGERS);
    let units = |key| {
        let mut wanted = a(key, json!({"restartUserUnits": ["good", "typo"], "path": "%r/secrets/a"}));
        wanted["userMode"] = true.into();
        wanted["secretsMountPoint"] = "%r/secrets.d".into();
        wanted["symlinkPath"] = "%r/secrets".into();
        wanted
    };
    let run =
        |key| answer(machine.program(&units(key)).env("XDG_RUNTIME_DIR", "/run/user/0").env("HOME", "/mnt"));
    assert_eq!(run("api_key").code, Some(0));
    let ran = run("database/user");
    let error = "sops-install-secrets: error: there is no unit 'typo.service', so 'systemctl --user try-restart' did nothing for it\n  \
                 named by secret 'a'\n\
                 help: correct its name in `restartUserUnits`, or leave it out there\n";
    assert!(ran.code == Some(1) && ran.stderr.ends_with(error), "{ran:?}");
    assert_eq!(machine.shell("cat /run/user/0/secrets/a; ls -A /run/user/0/secrets.d"), format!("{USER}2"));
}

#[test]
fn nobody_waits_for_the_units_of_users() {
    let Some(machine) = Machine::new() else { return };
    let _socket = machine.user_manager(0);
    let is_locked = "flock -n /run/secrets.d true && echo free >> /mnt/calls || echo locked >> /mnt/calls";
    systemctl(&machine, is_locked);
    let units = json!({"restartUserUnits": ["agent"]});
    machine.activate(&a("api_key", units.clone()));
    machine.activate(&a("database/user", units));
    assert_eq!(machine.shell("cat /mnt/calls"), "free");
}

/// Whoever has root's terminal can type on it.
#[test]
fn what_runs_as_a_user_has_not_the_terminal_of_root() {
    let Some(machine) = Machine::new() else { return };
    if machine.shell("command -v script").is_empty() {
        eprintln!("skipped: no script(1)");
        return;
    }
    let _socket = machine.user_manager(1501);
    systemctl(&machine, "{ (true < /dev/tty) 2> /dev/null && echo terminal || echo none; } >> /mnt/calls");
    let units = json!({"restartUserUnits": ["agent"]});
    machine.activate(&a("api_key", units.clone()));
    let (mut key, mut keys) = ("", ["database/user", "api_key"].iter().cycle());
    let mut on_terminal = |script: &str| {
        key = keys.next().unwrap();
        drop(machine.program(&a(key, units.clone())));
        machine.write("/mnt/script", format!("> /mnt/calls; {script}"));
        machine
            .shell("PATH=/mnt/bin:$PATH script -qec 'sh /mnt/script' /dev/null < /dev/null; cat /mnt/calls")
    };
    assert_eq!(
        on_terminal("true < /dev/tty && sops-activate /mnt/manifest.json; true"),
        "none",
        "as of a script"
    );
    assert_eq!(
        on_terminal("set -m; sops-activate /mnt/manifest.json; true"),
        "none",
        "as the job of a shell"
    );
    let said = on_terminal("set -m; sops-activate /mnt/manifest.json 2>&1 | cat; true");
    assert!(said.contains("cannot part with its terminal") && !said.contains("none"), "{said}");
}

/// What a run leaves that is killed before it tells the units of generation `number`.
fn killed_before_telling(machine: &Machine, number: u32, units: &Value) {
    let note = json!({"restart": [], "reload": [], "restart_user": []});
    machine.write(&format!("/run/secrets.d/.untold-{number}"), with(note, units.clone()).to_string());
}

#[test]
fn what_killed_runs_have_not_told_is_told_with_what_changed_each_unit_once() {
    let Some(machine) = Machine::new() else { return };
    machine.shell("mkdir /run/nixos");
    machine.activate(&a("api_key", json!({})));
    killed_before_telling(
        &machine,
        1,
        &json!({"restart": ["x.service", "y.service"], "reload": ["z.service"]}),
    );
    machine.activate(&a("database/user", json!({"restartUnits": ["y", "w"]})));
    let lists = "cat /run/nixos/*-list; rm -f /run/nixos/*; ls -A /run/secrets.d";
    assert_eq!(machine.shell(lists), "z.service\nx.service\ny.service\nw.service\n2");
    killed_before_telling(&machine, 1, &json!({"restart": ["x.service"]}));
    killed_before_telling(&machine, 2, &json!({"restart": ["y.service", "x.service"]}));
    machine.activate(&a("database/user", json!({})));
    assert_eq!(machine.shell(lists), "x.service\ny.service\n2", "nothing changed");
}

#[test]
fn what_was_noted_for_a_generation_that_never_was_live_is_not_told() {
    let Some(machine) = Machine::new() else { return };
    machine.shell("mkdir /run/nixos");
    machine.activate(&a("api_key", json!({})));
    let lists = "ls /run/nixos; ls -A /run/secrets.d";
    killed_before_telling(&machine, 2, &json!({"restart": ["x.service"]}));
    machine.activate(&a("api_key", json!({})));
    assert_eq!(machine.shell(lists), "1", "nothing changed");
    killed_before_telling(&machine, 2, &json!({"restart": ["x.service"]}));
    machine.activate(&a("database/user", json!({})));
    assert_eq!(machine.shell(lists), "2", "generation 2 is another one");
    // Without a live generation everything is new, and nobody is told of the first activation.
    killed_before_telling(&machine, 2, &json!({"restart": ["x.service"]}));
    machine.shell("rm /run/secrets");
    machine.activate(&a("api_key", json!({})));
    assert_eq!(machine.shell(lists), "1\n2");
}

#[test]
fn a_dry_run_says_what_a_killed_run_has_not_told_and_leaves_that_to_the_next_run() {
    let Some(machine) = Machine::new() else { return };
    systemctl(&machine, "echo $* >> /mnt/calls");
    let unchanged = a("api_key", json!({}));
    machine.activate(&unchanged);
    killed_before_telling(&machine, 1, &json!({"reload": ["x.service"], "restart_user": ["y.service"]}));
    killed_before_telling(&machine, 2, &json!({"restart": ["never.service"]}));
    machine.write("/run/secrets.d/.untold-0", "{");
    let mut program = machine.program(&unchanged);
    let before = machine.snapshot();
    let dry = answer(program.env(UNIT_MODE.0, UNIT_MODE.1).env("NIXOS_ACTION", "dry-activate"));
    let expected = "sops-install-secrets: warning: a run that was killed has not told all units, and it is not known which: \
                    '/run/secrets.d/.untold-0' is damaged: line 1, column 1\n\
                    would reload x.service\nwould restart y.service of users\n";
    assert_eq!(dry, Answer::said("", expected));
    assert_eq!(machine.snapshot(), before);
    machine.shell("rm /run/secrets.d/.untold-0");
    let ran = answer(machine.program(&unchanged).env(UNIT_MODE.0, UNIT_MODE.1));
    assert_eq!(ran, Answer::silent());
    assert_eq!(
        machine.shell("cat /mnt/calls; ls -A /run/secrets.d"),
        "--no-block try-reload-or-restart x.service\n1"
    );
}

/// The unit may have gone with the secret that named it.
#[test]
fn a_unit_that_only_a_killed_run_names_need_not_exist() {
    let Some(machine) = Machine::new() else { return };
    systemctl(&machine, "case $1 in --no-block) exit 5;; *) echo LoadState=not-found;; esac");
    machine.activate(&a("api_key", json!({})));
    killed_before_telling(&machine, 1, &json!({"restart": ["gone.service"]}));
    let ran = answer(machine.program(&a("api_key", json!({}))).env(UNIT_MODE.0, UNIT_MODE.1));
    assert_eq!(ran, Answer::silent());
}

/// What fails is told, and not for ever.
#[test]
fn units_that_systemd_does_not_take_and_notes_that_are_damaged_are_told_of_once() {
    let Some(machine) = Machine::new() else { return };
    systemctl(&machine, "exit 1");
    machine.activate(&a("api_key", json!({})));
    killed_before_telling(&machine, 1, &json!({"restart": ["x.service"]}));
    machine.write("/run/secrets.d/.untold-users-1", "{\"restart\": [],\n\"nonsense\": 1}");
    let run = || answer(machine.program(&a("api_key", json!({}))).env(UNIT_MODE.0, UNIT_MODE.1));
    let said = run();
    let expected = "sops-install-secrets: warning: a run that was killed has not told all units, and it is not known which: \
                    '/run/secrets.d/.untold-users-1' is damaged: line 2, column 10\n\
                    sops-install-secrets: error: 'systemctl try-restart' failed (exit status: 1) for the units x.service\n";
    assert_eq!(said, Answer { code: Some(1), stdout: String::new(), stderr: expected.into() });
    assert_eq!(run(), Answer::silent());
    assert_eq!(machine.shell("ls -A /run/secrets.d"), "1");
}

/// What could be told to nobody is not lost: the next run tells it.
#[test]
fn units_stay_noted_while_there_is_nothing_to_tell_them_by() {
    let Some(machine) = Machine::new() else { return };
    systemctl(&machine, "echo $* >> /mnt/calls");
    machine.activate(&a("api_key", json!({})));
    killed_before_telling(&machine, 1, &json!({"restart": ["x.service"]}));
    let mut nowhere = machine.command("PATH=/nowhere; exec /mnt/bin/sops-install-secrets /mnt/manifest.json");
    let ran = answer(nowhere.env(UNIT_MODE.0, UNIT_MODE.1));
    assert!(ran.stderr.contains("cannot run 'systemctl try-restart': no such file or directory"), "{ran:?}");
    let look = "ls -A /run/secrets.d; cat /mnt/calls";
    assert_eq!(machine.shell(look), ".untold-1\n1");
    let ran = answer(machine.program(&a("api_key", json!({}))).env(UNIT_MODE.0, UNIT_MODE.1));
    assert_eq!(ran, Answer::silent());
    assert_eq!(machine.shell(look), "1\n--no-block try-restart x.service");
}

#[test]
fn units_of_users_stay_noted_while_there_is_nothing_to_tell_them_by() {
    let Some(machine) = Machine::new() else { return };
    let _socket = machine.user_manager(1501);
    systemctl(&machine, "echo $* >> /mnt/calls");
    let units = json!({"restartUserUnits": ["agent"]});
    machine.activate(&a("api_key", units.clone()));
    let notes = "ls -A /run/secrets.d | grep untold; cat /mnt/calls";
    drop(machine.program(&a("database/user", units.clone())));
    let run = "exec /mnt/bin/sops-install-secrets /mnt/manifest.json";
    let said = if machine.shell("command -v script").is_empty() {
        String::new()
    } else {
        machine.write("/mnt/script", "set -m; sops-activate /mnt/manifest.json 2>&1 | cat");
        machine.shell("PATH=/mnt/bin:$PATH script -qec 'sh /mnt/script' /dev/null < /dev/null")
    };
    assert!(said.is_empty() || said.contains("cannot part with its terminal"), "{said}");
    // Not even where it usually is.
    let hide = "rm -f /usr/bin/systemctl; test ! -e /usr/bin/systemctl && echo hidden";
    let overlay =
        "mount -t overlay -o lowerdir=/usr/bin,upperdir=/mnt/upper,workdir=/mnt/work overlay /usr/bin";
    assert_eq!(machine.shell(&format!("mkdir -p /mnt/upper /mnt/work && {overlay} && {hide}")), "hidden");
    let mut nowhere = machine.command(&format!("PATH=/nowhere; {run}"));
    let ran = answer(&mut nowhere);
    assert!(ran.code == Some(0) && ran.stderr.contains("systemctl"), "{ran:?}");
    assert_eq!(machine.shell(notes), ".untold-users-2");
    machine.activate(&a("database/user", units.clone()));
    assert!(machine.shell(notes).ends_with("try-restart -- agent.service"), "{}", machine.shell(notes));
    machine.activate(&a("database/user", units));
    assert_eq!(machine.shell(notes).lines().count(), 1, "they are told once");
}
