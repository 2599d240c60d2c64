//! What the matrix has found, each as a test of its own.

use serde_json::{Value, json};

use crate::server::{API_KEY, Machine, USER, manifest, secret, with};

fn wanted(key: &str) -> Value {
    manifest(&[with(secret("a", key), json!({"restartUnits": ["a.service"]}))], &[])
}

impl Machine {
    /// What a run says at which strace does something to the calls on a path, and its exit status at the end.
    fn refused(&self, path: &str, injection: &str, manifest: &Value) -> String {
        self.write("/mnt/refused.json", manifest.to_string());
        self.shell(&format!(
            "strace -qqq -o /mnt/log -P {path} -e inject={injection} /mnt/bin/sops-activate /mnt/refused.json 2>&1; echo $?"
        ))
    }
}

#[test]
fn units_are_told_when_the_directory_of_their_lists_cannot_be_looked_at() {
    let Some(machine) = Machine::with_strace() else { return };
    machine.shell("mkdir /run/nixos");
    machine.activate(&wanted("api_key"));
    let said = machine.refused("/run/nixos", "statx,newfstatat:error=EIO", &wanted("database/user"));
    assert_eq!(said, "0");
    assert_eq!(machine.shell("cat /run/nixos/activation-restart-list"), "a.service");
}

/// Half a name would be joined to the next one that somebody appends.
#[test]
fn a_list_of_units_that_there_is_no_room_for_is_left_as_it_was() {
    let Some(machine) = Machine::new() else { return };
    machine.shell("mkdir /run/nixos; yes other.service | head -n 300 > /run/nixos/activation-restart-list");
    machine.activate(&wanted("api_key"));
    machine.write("/mnt/full.json", wanted("database/user").to_string());
    // All other files are smaller than the list.
    let said = machine.shell(
        "cd /run/nixos; cp activation-restart-list /mnt/before; trap '' XFSZ
         prlimit --fsize=$(($(stat -c %s activation-restart-list) + 4)) /mnt/bin/sops-activate /mnt/full.json 2>&1; echo $?
         cmp activation-restart-list /mnt/before && echo as before",
    );
    assert!(said.contains("cannot write to '/run/nixos/activation-restart-list': file too large"), "{said}");
    assert!(said.ends_with("\n1\nas before"), "{said}");
    assert_eq!(machine.shell("cat /run/secrets/a"), USER);
}

#[test]
fn without_anybody_who_reads_lists_none_are_made_and_nothing_is_said() {
    let Some(machine) = Machine::with_strace() else { return };
    machine.activate(&wanted("api_key"));
    machine.activate(&wanted("database/user"));
    assert_eq!(machine.shell("ls -d /run/nixos 2> /mnt/errors; cat /run/secrets/a"), USER);
}

#[test]
fn a_directory_that_cannot_be_closed_is_no_reason_to_panic() {
    let Some(machine) = Machine::with_strace() else { return };
    machine.shell("mkdir -p /run/user/1501 /mnt/gnupg");
    machine.activate(&wanted("api_key"));
    let users = with(secret("a", "database/user"), json!({"restartUserUnits": ["a.service"]}));
    let said = machine.refused("/run/user", "close:error=EIO", &manifest(&[users], &[]));
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(
        machine.shell("cat /run/secrets/a; grep -q INJECTED /mnt/log && echo ' refused'"),
        format!("{USER} refused")
    );
    let gnupg = json!({"gnupgHome": "/mnt/gnupg", "ageSshKeyPaths": []});
    let said = machine.refused("/mnt/gnupg", "close:error=EIO", &with(wanted("api_key"), gnupg));
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_note_of_who_made_a_generation_that_was_not_finished_is_finished_by_the_next_run() {
    let Some(machine) = Machine::with_strace() else { return };
    let state = "ls /var/lib/sops-activate 2> /mnt/errors; test ! -e /var/lib/sops-activate/made-by-run-secrets.d || tail -n 1 /var/lib/sops-activate/made-by-run-secrets.d";
    let note = "made-by-run-secrets.d\n/mnt/refused.json";
    let new = "/var/lib/sops-activate/made-by-run-secrets.d.new";
    for (injection, killed) in
        [("rename:signal=KILL", true), ("write:error=ENOSPC", false), ("write:signal=KILL", true)]
    {
        machine.shell("umount /run/secrets.d; rm -rf /run/* /var/lib/sops-activate");
        let said = machine.refused(new, injection, &wanted("api_key"));
        assert_eq!(said.ends_with("137"), killed, "{injection}: {said}");
        assert_eq!(machine.shell("cat /run/secrets/a"), API_KEY, "{injection}");
        if !killed {
            assert_eq!(machine.shell(state), "", "nothing is left of it");
        }
        assert_eq!(machine.shell("/mnt/bin/sops-activate /mnt/refused.json 2>&1"), "");
        let expected = if killed { note } else { "" };
        assert_eq!(machine.shell(state), expected, "{injection}");
    }
}

#[test]
fn why_it_is_not_known_what_became_of_a_secret_is_told() {
    let Some(machine) = Machine::with_strace() else { return };
    let both = |key, bad| manifest(&[secret("good", key), secret("d/bad", bad)], &[]);
    machine.activate(&both("api_key", "api_key"));
    let said =
        machine.refused("/run/secrets.d/2/d", "newfstatat:error=EIO:when=2", &both("database/user", "none"));
    assert!(said.contains("not known"), "{said}");
    assert!(said.contains("cannot look at '/run/secrets.d/2/d"), "{said}");
}

#[test]
fn a_lock_that_cannot_be_given_back_is_told_by_its_path() {
    let Some(machine) = Machine::with_strace() else { return };
    let said = machine.refused("/run/secrets.d", "flock:error=EIO:when=4", &wanted("api_key"));
    let warning = "sops-activate: warning: cannot unlock '/run/secrets.d': input/output error";
    assert!(said.contains(warning) && said.ends_with("\n0"), "{said}");
}

/// A sandbox without what was not found would refuse it later.
#[test]
fn what_cannot_be_looked_at_for_the_sandbox_is_no_reason_to_be_refused_in_it() {
    let Some(machine) = Machine::with_strace() else { return };
    let linked = with(secret("a", "api_key"), json!({"path": "/etc/app/key"}));
    for (path, injection) in [
        ("/var/lib", "openat:error=EIO:when=1"),
        // The first look is of the way to the live link.
        ("/", "newfstatat:error=EIO:when=2"),
        ("/", "statx:error=EACCES:when=1"),
        ("/etc", "statx:error=EIO:when=1"),
        ("/etc/app", "statx:error=EIO:when=1"),
    ] {
        machine.activate(&manifest(std::slice::from_ref(&linked), &[]));
        let said = machine.refused(path, injection, &wanted("api_key"));
        assert_eq!(said, "0", "{injection} at {path}");
        let left = machine.shell("grep -q INJECTED /mnt/log || echo not injected; ls /etc/app");
        assert_eq!(left, "", "{injection} at {path}");
    }
}
