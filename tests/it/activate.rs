//! Whole runs of the program as root, each on a machine of its own.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sops_activate::keys::{Keyring, Sources};

use crate::server::{
    API_KEY, Answer, FILE, KEY, Machine, USER, answer, manifest, placeholder, secret, template, with,
};

/// What the tests look at most often.
const LIVE: &str = "readlink /run/secrets; ls -A /run/secrets.d; cat /run/secrets/a";

/// One secret `a`, whose value is that of `key`.
fn one(key: &str) -> Value {
    manifest(&[secret("a", key)], &[])
}

/// Secrets and templates with every kind of owner, group, mode, name and path.
fn every_kind() -> Value {
    manifest(
        &[
            secret("a", "api_key"),
            with(secret("named", "api_key"), json!({"owner": "alice", "group": "app", "mode": "0640"})),
            with(
                secret("no/account/has/these", "database/user"),
                json!({"uid": 4_000_001, "gid": 4_000_002, "mode": "777"}),
            ),
            with(
                secret("nobody-may", "database/user"),
                json!({"owner": "alice", "uid": 7, "group": "app", "gid": 8, "mode": "0"}),
            ),
            with(
                secret("own-path", "api_key"),
                json!({"path": "/etc/app/config/key", "owner": "alice", "group": "app"}),
            ),
            with(secret("in-home", "api_key"), json!({"path": "/var/home/config/key", "uid": 1501})),
        ],
        &[
            with(
                template("app.conf", &format!("user={}\nkey={0}\n", placeholder("named"))),
                json!({"owner": "alice", "mode": "0444"}),
            ),
            with(
                template("linked", &placeholder("nobody-may")),
                json!({"path": "/etc/app/rendered", "gid": 1502, "mode": "0440"}),
            ),
        ],
    )
}

#[test]
fn every_file_has_exactly_its_bytes_mode_and_owner_whatever_the_umask() {
    for umask in ["000", "077"] {
        let Some(machine) = Machine::new() else { return };
        machine.shell("mkdir -m 2770 /var/home && chown 1501:100 /var/home");
        machine.write("/mnt/manifest.json", every_kind().to_string());
        let ran = answer(
            &mut machine.command(&format!("umask {umask}; exec sops-install-secrets /mnt/manifest.json")),
        );
        assert_eq!(ran, Answer::silent());
        assert_eq!(
            machine.tree("/run /etc/app /var/home"),
            "/etc/app d755 0:0\n\
             /etc/app/config d755 0:0\n\
             /etc/app/config/key -> /run/secrets/own-path 1501:1502\n\
             /etc/app/rendered -> /run/secrets/rendered/linked 0:1502\n\
             /run d755 0:0\n\
             /run/secrets -> /run/secrets.d/1 0:0\n\
             /run/secrets.d d751 0:96\n\
             /run/secrets.d/1 d751 0:96\n\
             /run/secrets.d/1/a f400 0:0\n\
             /run/secrets.d/1/in-home f400 1501:0\n\
             /run/secrets.d/1/named f640 1501:1502\n\
             /run/secrets.d/1/no d751 0:96\n\
             /run/secrets.d/1/no/account d751 0:96\n\
             /run/secrets.d/1/no/account/has d751 0:96\n\
             /run/secrets.d/1/no/account/has/these f777 4000001:4000002\n\
             /run/secrets.d/1/nobody-may f0 1501:1502\n\
             /run/secrets.d/1/own-path f400 1501:1502\n\
             /run/secrets.d/1/rendered d751 0:96\n\
             /run/secrets.d/1/rendered/app.conf f444 1501:0\n\
             /run/secrets.d/1/rendered/linked f440 0:1502\n\
             /var/home d2770 1501:100\n\
             /var/home/config d755 1501:100\n\
             /var/home/config/key -> /run/secrets/in-home 1501:0",
            "umask {umask}"
        );
        for (path, content) in [
            ("/run/secrets/a", API_KEY),
            ("/run/secrets/no/account/has/these", USER),
            ("/run/secrets/nobody-may", USER),
            ("/etc/app/config/key", API_KEY),
            ("/var/home/config/key", API_KEY),
            ("/run/secrets/rendered/app.conf", &format!("user={API_KEY}\nkey={API_KEY}\n")),
            ("/etc/app/rendered", USER),
        ] {
            machine.write("/mnt/expected", content);
            assert_eq!(machine.shell(&format!("cmp {path} /mnt/expected && echo same")), "same", "{path}");
        }
        assert_eq!(
            machine.shell("grep ' /run/secrets' /proc/mounts"),
            "none /run/secrets.d ramfs rw,nosuid,nodev,noexec,relatime,mode=751 0 0"
        );
    }
}

#[test]
fn with_use_tmpfs_the_store_is_a_tmpfs_that_is_not_swapped_where_the_kernel_can() {
    let Some(machine) = Machine::new() else { return };
    let ran = machine.run(&with(one("api_key"), json!({"useTmpfs": true})));
    let mount = machine.shell("grep ' /run/secrets.d ' /proc/mounts");
    assert!(mount.starts_with("none /run/secrets.d tmpfs rw,nosuid,nodev,noexec,relatime,"), "{mount}");
    assert!(mount.contains(",mode=751"), "{mount}");
    let warning = "sops-install-secrets: warning: '/run/secrets.d' is a tmpfs without 'noswap': secrets may reach the swap device\n";
    assert_eq!(ran, Answer::said("", if mount.contains(",noswap") { "" } else { warning }));
    assert_eq!(machine.shell(LIVE), format!("/run/secrets.d/1\n1\n{API_KEY}"));
}

#[test]
fn where_mounting_is_not_permitted_memory_is_used_with_a_warning_and_a_disk_refused() {
    let Some(machine) = Machine::new() else { return };
    let unprivileged = |manifest: &Value| {
        machine.write("/mnt/manifest.json", manifest.to_string());
        let without = "setpriv --bounding-set -sys_admin --inh-caps -sys_admin --";
        answer(&mut machine.command(&format!("exec {without} sops-install-secrets /mnt/manifest.json")))
    };
    let warning = "sops-install-secrets: warning: mounting is not permitted here: secrets go into the directory \
                   '/run/secrets.d', which lies in memory\n";
    assert_eq!(unprivileged(&one("api_key")), Answer::said("", warning));
    assert_eq!(machine.shell(LIVE), format!("/run/secrets.d/1\n1\n{API_KEY}"));
    let before = machine.tree("/run");
    let refused = unprivileged(&with(one("database/user"), json!({"secretsMountPoint": "/var/secrets.d"})));
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    let problem = "sops-install-secrets: error: cannot mount ramfs on '/var/secrets.d': EPERM: Operation not permitted; and";
    assert!(refused.stderr.starts_with(problem), "{refused:?}");
    assert!(refused.stderr.contains("\nhelp: let the container mount"), "{refused:?}");
    assert_eq!(machine.tree("/run /var/secrets.d"), format!("{before}\n/var/secrets.d d751 0:0"));
}

#[test]
fn directories_belong_to_the_group_keys_else_nogroup_else_nothing_is_done() {
    let Some(machine) = Machine::new() else { return };
    machine.shell("printf 'root:x:0:\n' > /etc/group");
    assert_eq!(
        machine.run(&one("api_key")),
        Answer {
            code: Some(1),
            stdout: String::new(),
            stderr: "sops-install-secrets: error: cannot find a group for the secrets directory: group 'keys': it does \
                     not exist on this machine; group 'nogroup': it does not exist on this machine\n\
                     help: create the group `keys` (NixOS has it)\n"
                .into(),
        }
    );
    assert_eq!(machine.tree("/run"), "/run d755 0:0");
    machine.shell("echo nogroup:x:65533: >> /etc/group");
    machine.activate(&one("api_key"));
    assert_eq!(machine.shell("cd /run; stat -c %u:%g:%a secrets.d secrets.d/1"), "0:65533:751\n0:65533:751");
    // The group appears later, and takes over although no secret changes.
    machine.shell("echo keys:x:96: >> /etc/group");
    machine.activate(&one("api_key"));
    assert_eq!(machine.shell("cd /run; stat -c %u:%g:%a secrets.d secrets/"), "0:96:751\n0:96:751");
}

#[test]
fn with_ignore_passwd_everything_is_roots_and_no_account_is_needed() {
    let Some(machine) = Machine::new() else { return };
    machine.shell("rm /etc/passwd /etc/group; mkdir /var/home && chown 1501:100 /var/home");
    machine.write("/mnt/manifest.json", every_kind().to_string());
    assert_eq!(
        answer(&mut machine.command("sops-install-secrets -ignore-passwd /mnt/manifest.json")),
        Answer::silent()
    );
    let owners = "find /run /etc/app -printf '%U:%G\\n' | sort -u; stat -c %u:%g /var/home/config/key; stat -L -c %a /run/secrets/named";
    assert_eq!(machine.shell(owners), "0:0\n0:0\n640");
}

#[test]
fn a_second_run_writes_nothing_at_all() {
    let Some(machine) = Machine::new() else { return };
    machine.shell("mkdir /var/home /run/nixos && chown 1501:100 /var/home");
    let logged = with(every_kind(), json!({"logging": {"secretChanges": true}}));
    machine.activate(&logged);
    let before = machine.snapshot();
    assert_eq!(answer(&mut machine.command("umask 077; sops-activate /mnt/manifest.json")), Answer::silent());
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn what_was_tampered_with_is_put_right_by_the_next_run() {
    let Some(machine) = Machine::new() else { return };
    machine.shell("mkdir /var/home && chown 1501:100 /var/home");
    machine.activate(&every_kind());
    let whole = machine.tree("/run /etc/app /var/home");
    let mut generation = 1;
    for (tamper, remade) in [
        ("chmod 0644 /run/secrets/a", true),
        ("chown 1501 /run/secrets/a", true),
        ("printf x >> /run/secrets/a", true),
        ("rm /run/secrets/a", true),
        ("touch /run/secrets/new", true),
        ("chmod 0777 /run/secrets/no/account", true),
        ("chgrp 0 /run/secrets/", true),
        ("chmod 0777 /run/secrets.d; chown 5:5 /run/secrets.d", false),
        ("mount -o remount,bind,dev,exec,suid /run/secrets.d; rm -rf /run/mount", false),
        ("rm /etc/app/config/key", false),
        ("rm -r /etc/app; ln -s /nowhere /etc/app", false),
        ("chown -h 0:0 /var/home/config/key", false),
        ("ln -sfn /etc/shadow /var/home/config/key", false),
    ] {
        assert_eq!(machine.shell(tamper), "");
        let ran = machine.run(&every_kind());
        if tamper.contains("/nowhere") {
            // Where a link of root leads is root's affair.
            assert_eq!(machine.tree("/nowhere/config").lines().count(), 2, "{ran:?}");
            machine.shell("rm -r /nowhere /etc/app");
            assert_eq!(machine.run(&every_kind()).code, Some(0));
        } else {
            assert_eq!(ran, Answer::silent(), "{tamper}");
        }
        generation += i32::from(remade);
        let expected = whole.replace("/run/secrets.d/1", &format!("/run/secrets.d/{generation}"));
        assert_eq!(machine.tree("/run /etc/app /var/home"), expected, "{tamper}");
        let flags = machine.shell("grep ' /run/secrets.d ' /proc/mounts | cut -d' ' -f4");
        assert_eq!(flags, "rw,nosuid,nodev,noexec,relatime,mode=751", "{tamper}");
    }
}

#[test]
fn a_changed_value_makes_the_next_generation_and_an_open_file_keeps_the_old_one() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&one("api_key"));
    let mut reader =
        machine.command("exec 3< /run/secrets/a; cd /run/secrets/; echo open; read go; cat <&3; ls -A");
    let mut reader = reader.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(reader.stdout.take().unwrap());
    said.read_line(&mut String::new()).unwrap();
    machine.activate(&one("database/user"));
    assert_eq!(machine.shell(LIVE), format!("/run/secrets.d/2\n2\n{USER}"));
    assert_eq!(machine.shell("ls -A /run"), "secrets\nsecrets.d");
    reader.stdin.take().unwrap().write_all(b"\n").unwrap();
    let mut read = String::new();
    said.read_to_string(&mut read).unwrap();
    assert!(reader.wait().unwrap().success());
    assert_eq!(read, API_KEY, "the old bytes, and an old directory that is empty by now");
}

#[test]
fn changes_are_told_by_name_sorted_a_line_for_each_kind() {
    let Some(machine) = Machine::new() else { return };
    let logging = json!({"logging": {"secretChanges": true, "keyImport": false}});
    let with_placeholder = |name: &str, of: &str| template(name, &placeholder(of));
    let before = manifest(
        &[
            secret("same", "api_key"),
            secret("value", "api_key"),
            secret("mode", "api_key"),
            secret("gone", "api_key"),
            secret("old/gone", "api_key"),
        ],
        &[
            with_placeholder("same", "same"),
            with_placeholder("value", "value"),
            with_placeholder("gone", "same"),
        ],
    );
    assert_eq!(
        machine.run(&with(before.clone(), logging.clone())),
        Answer::silent(),
        "nothing is told the first time"
    );
    let after = manifest(
        &[
            secret("same", "api_key"),
            secret("value", "database/user"),
            with(secret("mode", "api_key"), json!({"mode": "0440"})),
            secret("new", "api_key"),
        ],
        &[
            with_placeholder("same", "same"),
            with_placeholder("value", "value"),
            with_placeholder("new/er", "same"),
        ],
    );
    let said = "adding secret: new\n\
                modifying secrets: mode, value\n\
                removing secrets: gone, old/gone\n\
                adding rendered secret: new/er\n\
                modifying rendered secret: value\n\
                removing rendered secret: gone\n";
    assert_eq!(machine.run(&with(after.clone(), logging)), Answer::said(said, ""));
    assert_eq!(
        machine.shell("cd /run/secrets/; find . -type f | LC_ALL=C sort; cat rendered/value"),
        format!(
            "./mode\n./new\n./rendered/new/er\n./rendered/same\n./rendered/value\n./same\n./value\n{USER}"
        )
    );
    machine.activate(&before);
    assert_eq!(
        machine.shell("readlink /run/secrets"),
        "/run/secrets.d/3",
        "without the option nothing is told"
    );
}

#[test]
fn as_many_old_generations_are_kept_as_asked_also_when_only_that_is_lowered() {
    let Some(machine) = Machine::new() else { return };
    let activate = |key: &str, keep: u32| {
        machine.activate(&with(one(key), json!({"keepGenerations": keep})));
        machine.shell("readlink /run/secrets; ls /run/secrets.d | tr '\\n' ' '")
    };
    machine.activate(&with(one("api_key"), json!({"keepGenerations": 0})));
    machine.shell("mkdir /run/secrets.d/not-a-number /run/secrets.d/007");
    let kept = |numbers: &str, live: u32| format!("/run/secrets.d/{live}\n{numbers} not-a-number");
    assert_eq!(activate("database/user", 0), kept("007 1 2", 2));
    assert_eq!(activate("api_key", 0), kept("007 1 2 3", 3));
    assert_eq!(activate("database/user", 2), kept("007 3 4", 4));
    assert_eq!(activate("api_key", 2), kept("007 4 5", 5));
    assert_eq!(activate("api_key", 2), kept("007 4 5", 5));
    assert_eq!(activate("api_key", 1), kept("007 5", 5));
    assert_eq!(activate("database/user", 1), kept("007 6", 6));
}

#[test]
fn whatever_stands_at_the_place_of_the_link_is_replaced_and_counts_as_nothing() {
    for (made, generation) in [
        ("mkdir -p /run/secrets/deep/er && touch /run/secrets/deep/er/file", 1),
        ("echo precious > /run/secrets", 1),
        ("ln -s /nowhere /run/secrets", 1),
        ("ln -s /run/secrets.d/7 /run/secrets", 8),
        ("ln -s /etc /run/secrets", 1),
    ] {
        let Some(machine) = Machine::new() else { return };
        assert_eq!(machine.shell(made), "");
        machine.shell("mkdir /run/nixos");
        let told = with(secret("a", "api_key"), json!({"restartUnits": ["a.service"]}));
        machine.activate(&with(manifest(&[told], &[]), json!({"logging": {"secretChanges": true}})));
        assert_eq!(
            machine.shell(LIVE),
            format!("/run/secrets.d/{generation}\n{generation}\n{API_KEY}"),
            "{made}"
        );
        assert_eq!(
            machine.shell("ls -A /run /run/nixos"),
            "/run:\nnixos\nsecrets\nsecrets.d\n\n/run/nixos:",
            "{made}"
        );
    }
}

#[test]
fn a_second_run_waits_for_the_first_and_says_so_while_another_mount_point_goes_on() {
    let Some(machine) = Machine::new() else { return };
    // The first run stands still while it tells systemd: a pipe has nothing to read yet.
    machine.write("/mnt/bin/systemctl", "#!/bin/sh\necho telling >&2\nread go < /mnt/pipe\n");
    machine.shell("chmod +x /mnt/bin/systemctl; mkfifo /mnt/pipe");
    machine.activate(&one("api_key"));
    let told = with(secret("a", "database/user"), json!({"restartUnits": ["a.service"]}));
    let start = |manifest: &Value| {
        let mut command = machine.program(manifest);
        command.env("SOPS_RESTART_UNITS_VIA_SYSTEMCTL", "1").stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        (child, line)
    };
    let (mut first, said) = start(&manifest(&[told], &[]));
    assert_eq!(said, "telling\n");
    let (mut second, said) = start(&one("database/password"));
    assert_eq!(said, "sops-install-secrets: waiting for another activation of '/run/secrets.d'\n");
    let for_users =
        json!({"secretsMountPoint": "/run/secrets-for-users.d", "symlinkPath": "/run/secrets-for-users"});
    let other = with(secret("a", "api_key"), json!({"path": "/run/secrets-for-users/a"}));
    machine.activate(&with(manifest(&[other], &[]), for_users));
    assert_eq!(machine.shell("cat /run/secrets-for-users/a"), API_KEY);
    assert_eq!(
        machine.shell(LIVE),
        format!("/run/secrets.d/2\n.untold-2\n1\n2\n{USER}"),
        "the first is not done, the second has not begun"
    );
    machine.shell("echo go > /mnt/pipe");
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    assert_eq!(machine.shell("readlink /run/secrets; ls -A /run/secrets.d"), "/run/secrets.d/3\n3");
}

/// Manifests of which one secret or template fails, and what is said about it.
fn failures() -> Vec<(Value, &'static str)> {
    let beside = |failing: Value| manifest(&[secret("a", "database/user"), failing], &[]);
    let file = |path: &str| beside(with(secret("b", "api"), json!({"sopsFile": path})));
    vec![
        (file("/mnt/none.yaml"), "cannot open '/mnt/none.yaml': no such file or directory"),
        (file("/mnt"), "cannot read '/mnt': it is a directory, not a regular file"),
        (file("/mnt/fixtures/README.md"), "'/mnt/fixtures/README.md'"),
        (file("/mnt/fixtures/recipients/only-strangers.yaml"), "no key on this machine opens it"),
        (file("/mnt/tampered.yaml"), "cannot decrypt '/mnt/tampered.yaml'"),
        (
            beside(secret("b", "no-such-key")),
            "secret 'b': cannot be taken from '/mnt/fixtures/sample/secrets.yaml'",
        ),
        (
            beside(with(secret("b", "api_key"), json!({"owner": "bob"}))),
            "secret 'b': cannot find user 'bob': it does not exist",
        ),
        (
            beside(with(secret("b", "api_key"), json!({"group": "bob"}))),
            "secret 'b': cannot find group 'bob': it does not exist",
        ),
        (
            beside(with(secret("b", "api_key"), json!({"mode": "u=r"}))),
            "secret 'b': the mode 'u=r' is not an octal number",
        ),
        (
            beside(with(secret("b", "api_key"), json!({"name": "../b"}))),
            "secret '../b': the name cannot be used",
        ),
        (
            manifest(
                &[secret("a", "database/user")],
                &[with(template("t", ""), json!({"file": "/mnt/none.txt"}))],
            ),
            "template 't': cannot open '/mnt/none.txt': no such file or directory",
        ),
        (with(one("database/user"), json!({"ageSshKeyPaths": []})), "no key on this machine opens it"),
        (json!("not a manifest"), "the manifest '/mnt/manifest.json' cannot be used"),
    ]
}

#[test]
fn with_on_failure_abort_nothing_is_touched_when_one_secret_fails() {
    for activated_before in [false, true] {
        let Some(machine) = Machine::new() else { return };
        let source =
            fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sample/secrets.yaml"))
                .unwrap();
        let (line, tampered) =
            ("lastmodified: \"2026-", source.replace("lastmodified: \"2026-", "lastmodified: \"2025-"));
        assert!(source.contains(line));
        machine.write("/mnt/tampered.yaml", tampered);
        if activated_before {
            machine.activate(&one("api_key"));
        }
        for (mut manifest, problem) in failures() {
            if manifest.is_object() {
                manifest = with(manifest, json!({"onFailure": "abort"}));
            }
            machine.write("/mnt/manifest.json", manifest.to_string());
            let before = machine.snapshot();
            let ran = answer(&mut machine.command("exec sops-install-secrets /mnt/manifest.json"));
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{problem}: {ran:?}");
            assert!(ran.stderr.starts_with("sops-install-secrets: error: "), "{problem}: {ran:?}");
            assert!(ran.stderr.contains(problem), "{problem}: {ran:?}");
            let is_manifest =
                ["not an octal", "the name", "the manifest"].iter().any(|of| problem.contains(of));
            let last = ran.stderr.lines().last().unwrap();
            assert_eq!(
                is_manifest,
                !last.contains("error: nothing is changed, because "),
                "{problem}: {ran:?}"
            );
            assert!(!ran.stderr.contains(API_KEY), "a secret is told: {problem}");
            assert_eq!(machine.snapshot(), before, "{problem}");
        }
    }
}

#[test]
fn every_failure_is_told_in_one_run() {
    let Some(machine) = Machine::new() else { return };
    let secrets = [
        secret("a", "no-such-key"),
        with(secret("b", "api_key"), json!({"owner": "bob"})),
        with(secret("c", "api_key"), json!({"sopsFile": "/mnt/none.yaml"})),
    ];
    let ran = machine.run(&manifest(&secrets, &[]));
    assert_eq!(ran.code, Some(1));
    let table = "sops-install-secrets: error: 3 of 3 secrets failed\n  \
                 secret 'a'   absent          cannot be taken from '/mnt/fixtures/sample/secrets.yaml': the key 'no-such-key' cannot be found\n  \
                 secret 'b'   for root only   cannot find user 'bob': it does not exist on this machine\n  \
                 secret 'c'   absent          cannot open '/mnt/none.yaml': no such file or directory\n";
    assert_eq!(ran.stderr.matches("sops-install-secrets: error: ").count(), 4, "{ran:?}");
    assert!(ran.stderr.ends_with(table), "{ran:?}");
}

#[test]
fn private_keys_that_the_original_left_are_removed_even_when_nothing_changes() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&one("api_key"));
    machine.shell(
        "cd /run/secrets.d; echo KEY > age-keys.txt; mkdir gpg123; echo KEY > gpg123/secring.gpg; mkdir 2",
    );
    machine.activate(&one("api_key"));
    assert_eq!(machine.shell("ls -A /run/secrets.d; readlink /run/secrets"), "1\n/run/secrets.d/1");
}

/// The manifest of a dry run after `one("api_key")`: one secret is new, one has another value, one is gone.
fn dry() -> Value {
    let units = json!({"restartUnits": ["a.service", "b.service"], "reloadUnits": ["c.service"]});
    let unknown = json!({"owner": "bob", "group": "bob", "restartUnits": ["b.service", "d.service"]});
    let secrets = [with(secret("a", "database/user"), units), with(secret("new", "api_key"), unknown)];
    with(manifest(&secrets, &[]), json!({"logging": {"secretChanges": true}}))
}

const WOULD: &str = "would add secret: new\nwould modify secret: a\nwould remove secret: gone\n";

#[test]
fn a_dry_run_writes_nothing_but_the_lists_and_those_only_for_nixos() {
    let Some(machine) = Machine::new() else { return };
    let dry_run = || {
        machine.write("/mnt/manifest.json", dry().to_string());
        let before = machine.snapshot();
        let ran = answer(
            machine
                .command("umask 000; sops-install-secrets /mnt/manifest.json")
                .env("NIXOS_ACTION", "dry-activate"),
        );
        (ran, before, machine.snapshot())
    };
    // No groups `keys` and `nogroup`: they are not needed.
    machine.shell("printf 'root:x:0:\n' > /etc/group; echo precious > /run/secrets");
    let (ran, before, after) = dry_run();
    assert_eq!(ran, Answer::silent(), "there is no generation to compare with");
    assert_eq!(after, before);

    machine.shell("rm /run/secrets; echo keys:x:96: >> /etc/group");
    machine.activate(&manifest(&[secret("a", "api_key"), secret("gone", "api_key")], &[]));
    let (ran, before, after) = dry_run();
    assert_eq!(ran, Answer::said(WOULD, ""));
    assert_eq!(after, before);

    machine.shell("mkdir /run/nixos");
    let (ran, before, after) = dry_run();
    assert_eq!(ran, Answer::said(WOULD, ""));
    let other = |text: &str| {
        text.lines().filter(|line| !line.starts_with("/run/nixos")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(other(&after), other(&before));
    assert_eq!(
        machine.shell("cd /run/nixos; stat -c '%n %a %u:%g' *; cat dry-activation-restart-list dry-activation-reload-list"),
        "dry-activation-reload-list 600 0:0\ndry-activation-restart-list 600 0:0\n\
         a.service\nb.service\nd.service\nc.service"
    );
}

#[test]
fn a_dry_run_of_the_unit_says_what_it_would_restart_and_calls_nothing() {
    let Some(machine) = Machine::new() else { return };
    machine.write("/mnt/bin/systemctl", "#!/bin/sh\ntouch /mnt/called\n");
    machine.shell("chmod +x /mnt/bin/systemctl; mkdir /run/nixos");
    machine.activate(&manifest(&[secret("a", "api_key"), secret("gone", "api_key")], &[]));
    let mut command = machine.program(&dry());
    let before = machine.snapshot();
    let ran =
        answer(command.env("NIXOS_ACTION", "dry-activate").env("SOPS_RESTART_UNITS_VIA_SYSTEMCTL", "1"));
    let units =
        "would restart a.service\nwould restart b.service\nwould restart d.service\nwould reload c.service\n";
    assert_eq!(ran, Answer::said(WOULD, units));
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn units_of_what_changed_are_appended_to_the_lists_that_nixos_reads() {
    let Some(machine) = Machine::new() else { return };
    let units = |name: &str, key: &str| {
        with(
            secret(name, key),
            json!({"restartUnits": ["z.service", "a.service"], "reloadUnits": [format!("{name}.service")]}),
        )
    };
    let first = manifest(&[units("a", "api_key"), units("b", "api_key")], &[]);
    machine.shell("mkdir /run/nixos");
    machine.activate(&first);
    assert_eq!(
        machine.shell("ls -A /run/nixos"),
        "",
        "the first activation starts what needs the secrets anyway"
    );
    machine.write("/run/nixos/activation-restart-list", "before.service\n");
    let second = manifest(&[units("a", "database/user"), units("b", "api_key")], &[template("new", "x")]);
    machine.activate(&second);
    assert_eq!(
        machine.shell("cd /run/nixos; head -v activation-restart-list activation-reload-list; stat -c %a activation-reload-list; ls"),
        "==> activation-restart-list <==\nbefore.service\nz.service\na.service\n\n==> activation-reload-list <==\na.service\n600\n\
         activation-reload-list\nactivation-restart-list"
    );
    machine.shell("rm -r /run/nixos");
    machine.activate(&first);
    assert_eq!(machine.shell("ls -A /run"), "secrets\nsecrets.d", "no lists without NixOS");
}

#[test]
fn systemctl_is_called_word_for_word_as_by_the_original_and_after_the_switch() {
    let Some(machine) = Machine::new() else { return };
    machine.write(
        "/mnt/bin/systemctl",
        "#!/bin/sh\necho \"$(readlink /run/secrets): $*\" >> /mnt/calls\necho noise\n",
    );
    machine.shell("chmod +x /mnt/bin/systemctl; mkdir /run/nixos");
    let activate = |secrets: &[Value]| {
        answer(machine.program(&manifest(secrets, &[])).env("SOPS_RESTART_UNITS_VIA_SYSTEMCTL", "1"))
    };
    let units = json!({"restartUnits": ["b.service", "a.service", "b.service"], "reloadUnits": ["d@x.service", "c.service"]});
    assert_eq!(activate(&[secret("a", "api_key")]), Answer::silent());
    let changed = with(secret("a", "database/user"), units);
    assert_eq!(activate(std::slice::from_ref(&changed)), Answer::said("", "noise\nnoise\n"));
    assert_eq!(activate(std::slice::from_ref(&changed)), Answer::silent(), "nothing changed");
    let only_restart = with(secret("a", "api_key"), json!({"restartUnits": ["a.service"]}));
    assert_eq!(activate(&[only_restart]), Answer::said("", "noise\n"));
    // The root mount's unit has a name that looks like an option.
    let dashed = with(secret("a", "database/user"), json!({"restartUnits": ["-.mount"]}));
    assert_eq!(activate(&[dashed]), Answer::said("", "noise\n"));
    assert_eq!(
        machine.shell("cat /mnt/calls; ls -A /run/nixos"),
        "/run/secrets.d/2: --no-block try-restart b.service a.service\n\
         /run/secrets.d/2: --no-block try-reload-or-restart d@x.service c.service\n\
         /run/secrets.d/3: --no-block try-restart a.service\n\
         /run/secrets.d/4: --no-block try-restart -- -.mount"
    );
}

#[test]
fn a_systemctl_that_fails_is_told_and_the_secrets_are_in_place() {
    let Some(machine) = Machine::new() else { return };
    machine.write("/mnt/bin/systemctl", "#!/bin/sh\nexit 5\n");
    machine.shell("chmod +x /mnt/bin/systemctl");
    machine.activate(&one("api_key"));
    let units = json!({"restartUnits": ["a.service"], "reloadUnits": ["b.service"]});
    let changed = manifest(&[with(secret("a", "database/user"), units)], &[]);
    let ran = answer(machine.program(&changed).env("SOPS_RESTART_UNITS_VIA_SYSTEMCTL", "1"));
    let stderr = "sops-install-secrets: error: 'systemctl try-restart' failed (exit status: 5) for the units a.service\n\
                  sops-install-secrets: error: 'systemctl try-reload-or-restart' failed (exit status: 5) for the units b.service\n";
    assert_eq!(ran, Answer { code: Some(1), stdout: String::new(), stderr: stderr.into() });
    assert_eq!(machine.shell(LIVE), format!("/run/secrets.d/2\n2\n{USER}"));
}

#[test]
fn the_checks_write_nothing_and_need_no_rights_no_keys_no_users_and_no_run() {
    let Some(machine) = Machine::new() else { return };
    let unknown = with(secret("a", "api_key"), json!({"owner": "bob"}));
    let good = with(manifest(&[unknown], &[]), json!({"ageSshKeyPaths": ["/mnt/none"]}));
    let missing = manifest(&[secret("a", "no-such-key")], &[]);
    machine.shell("chmod 0700 /run; rm /etc/passwd /etc/group");
    let check = |manifest: &Value, mode: &str| {
        machine.write("/mnt/manifest.json", manifest.to_string());
        let before = machine.snapshot();
        let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups --";
        let script = format!("exec {nobody} sops-install-secrets -check-mode={mode} /mnt/manifest.json");
        let ran = answer(&mut machine.command(&script));
        assert_eq!(machine.snapshot(), before);
        ran
    };
    assert_eq!(check(&good, "manifest"), Answer::silent());
    assert_eq!(check(&good, "sopsfile"), Answer::silent());
    assert_eq!(check(&missing, "manifest"), Answer::silent());
    let refused = check(&missing, "sopsfile");
    assert_eq!(refused.code, Some(1));
    let problem = format!("sops-install-secrets: error: secret 'a': cannot be taken from '{FILE}'");
    assert!(refused.stderr.starts_with(&problem), "{refused:?}");
}

#[test]
fn imported_keys_are_told_under_the_name_that_the_program_was_called_by() {
    let Some(machine) = Machine::new() else { return };
    let recipient = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/keys/sample_host_ed25519.age"
    ))
    .unwrap();
    machine.write(
        "/mnt/manifest.json",
        with(one("api_key"), json!({"logging": {"keyImport": true}})).to_string(),
    );
    for name in ["sops-install-secrets", "sops-activate"] {
        let told = format!("{name}: Imported {KEY} as age key with fingerprint {}\n", recipient.trim());
        assert_eq!(
            answer(&mut machine.command(&format!("{name} /mnt/manifest.json"))),
            Answer::said("", &told)
        );
    }
}

#[test]
fn a_system_does_not_use_the_keys_in_a_home() {
    let Some(machine) = Machine::new() else { return };
    machine.shell(&format!(
        "mkdir -p /mnt/home/.ssh /mnt/home/.config/sops/age && cp {KEY} /mnt/home/.ssh/id_ed25519"
    ));
    machine.shell("cp /mnt/fixtures/keys/age.txt /mnt/home/.config/sops/age/keys.txt");
    let manifest = with(one("api_key"), json!({"ageSshKeyPaths": []}));
    let ran = answer(machine.program(&manifest).env("HOME", "/mnt/home"));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("no key on this machine opens it"), "{ran:?}");
}

#[derive(serde::Deserialize)]
struct Fixture {
    file: String,
    format: String,
    opened_by: Vec<Vec<String>>,
    plain: Option<String>,
}

#[test]
fn files_of_every_sops_and_every_recipient_are_installed_as_sops_prints_them() {
    let Some(machine) = Machine::new() else { return };
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let (mut secrets, mut compare) = (Vec::new(), Vec::new());
    for directory in ["sops", "recipients"] {
        let index = fs::read(fixtures.join(directory).join("index.json")).unwrap();
        let index: Vec<Fixture> = serde_json::from_slice(&index).unwrap();
        for fixture in index {
            let by_pgp_only = fixture.opened_by.iter().flatten().all(|key| key == "keys/pgp.asc");
            let (false, Some(plain)) = (by_pgp_only, fixture.plain) else { continue };
            let name = format!("{directory}/{}", fixture.file);
            compare.push(format!("cmp '/run/secrets/{name}' '/mnt/fixtures/{directory}/{plain}'"));
            let whole = json!({"sopsFile": format!("/mnt/fixtures/{name}"), "format": fixture.format});
            secrets.push(with(secret(&name, ""), whole));
        }
    }
    assert!(secrets.len() > 50, "only {} fixtures", secrets.len());
    let key = |name: &str| format!("/mnt/fixtures/keys/{name}");
    let keys = json!({"ageSshKeyPaths": [key("host_ed25519")], "sshKeyPaths": [key("host_rsa")], "ageKeyFile": key("age.txt")});
    let groups = ["group-1.txt", "group-2.txt"]
        .map(|name| fs::read_to_string(fixtures.join("keys").join(name)).unwrap());
    let ran = answer(
        machine
            .program(&with(manifest(&secrets, &[]), keys))
            .env("SOPS_AGE_KEY_FILE", key("age-pq.txt"))
            .env("SOPS_AGE_KEY", groups.concat()),
    );
    assert_eq!(ran, Answer::silent());
    assert_eq!(machine.shell(&compare.join("\n")), "");
}

/// Encrypts a value with the real sops for one recipient.
fn encrypt(sops: &str, directory: &Path, name: &str, recipient: &str) -> Vec<u8> {
    let path = directory.join(name);
    fs::write(&path, format!("value: for {name}\n")).unwrap();
    let mut command = Command::new(sops);
    command.args(["encrypt", "--input-type", "yaml", "--output-type", "yaml", "--age", recipient]).arg(&path);
    let output = command.current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn fresh_host_keys_open_what_the_real_sops_encrypts_for_each_of_their_recipients() {
    #[expect(clippy::disallowed_methods, reason = "a test binary takes no arguments of its own")]
    let Ok(sops) = std::env::var("SOPS") else {
        eprintln!("skipped: SOPS does not name a sops");
        return;
    };
    let Some(machine) = Machine::new() else { return };
    let directory = tempfile::tempdir().unwrap();
    let key = |kind: &str| {
        let path = directory.path().join(format!("ssh_host_{kind}_key"));
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", kind, "-N", "", "-C", "root@host", "-f"])
            .arg(&path)
            .status();
        assert!(made.unwrap().success());
        let inside = format!("/etc/ssh_host_{kind}_key");
        machine.write(&inside, fs::read(&path).unwrap());
        let public = fs::read_to_string(path.with_extension("pub")).unwrap();
        (path, inside, public.trim().to_owned())
    };
    let (ed25519_path, ed25519, ed25519_line) = key("ed25519");
    let (_, rsa, rsa_line) = key("rsa");
    let keyring = Keyring::collect(&Sources { age_ssh_key_paths: vec![ed25519_path], ..Sources::default() });
    let derived = keyring.imported().next().unwrap().1.to_owned();
    let recipients = [("derived", derived.as_str()), ("ssh-ed25519", &ed25519_line), ("ssh-rsa", &rsa_line)];
    let secrets = recipients.map(|(name, recipient)| {
        let path = format!("/mnt/{name}.yaml");
        machine.write(&path, encrypt(&sops, directory.path(), name, recipient));
        with(secret(name, "value"), json!({"sopsFile": path}))
    });
    let keys = json!({"ageSshKeyPaths": [ed25519], "sshKeyPaths": [rsa]});
    machine.activate(&with(manifest(&secrets, &[]), keys));
    let values = "for name in derived ssh-ed25519 ssh-rsa; do cat /run/secrets/$name; echo; done";
    assert_eq!(machine.shell(values), "for derived\nfor ssh-ed25519\nfor ssh-rsa");
}
