//! Where the kernel, or a container's guard, does not let the program mount: each step down from the ramfs that it
//! wants, what it says about that, and where it stops. The whole program, refused by the real kernel (it lacks
//! `CAP_SYS_ADMIN`) or at a chosen call by strace, as a guard's filter would.

use std::process::Command;

use serde_json::{Value, json};

use crate::server::{Answer, Machine, answer, manifest, secret, with};

/// Takes the right to mount away, also from root.
const NO_MOUNTING: &str = "setpriv --bounding-set -sys_admin --inh-caps -sys_admin --";

const IN_DIRECTORY: &str = "sops-install-secrets: warning: mounting is not permitted here: secrets go into the directory '/run/secrets.d', which lies in memory\n";
const SWAPPABLE: &str = "sops-install-secrets: warning: '/run/secrets.d' is a tmpfs without 'noswap': secrets may reach the swap device\n";

/// What `stat` says of a complete store with one secret.
const COMPLETE: &str = "/run/secrets -> /run/secrets.d/1 0:0\n/run/secrets.d d751 0:96\n/run/secrets.d/1 d751 0:96\n/run/secrets.d/1/api f400 0:0";

fn one_secret(fields: Value) -> Value {
    with(manifest(&[secret("api", "api_key")], &[]), fields)
}

/// The program started by `prefix`.
fn run(machine: &Machine, prefix: &str, manifest: &Value) -> Answer {
    machine.write("/mnt/manifest.json", manifest.to_string());
    let mut command: Command =
        machine.command(&format!("umask 022; exec {prefix} sops-install-secrets /mnt/manifest.json"));
    answer(&mut command)
}

/// A prefix that answers the mount calls with the numbers `when` (as strace writes them) with an error.
fn refusing(error: &str, when: &str) -> String {
    format!("strace -f -qqq -o /dev/null -e inject=mount:error={error}:when={when}")
}

fn has_strace(machine: &Machine) -> bool {
    let yes = !machine.shell("command -v strace").is_empty();
    if !yes {
        eprintln!("skipped: no strace");
    }
    yes
}

/// Type and flags of the mount on the store; empty when nothing is mounted there.
fn mounted(machine: &Machine) -> String {
    machine.shell("grep ' /run/secrets.d ' /proc/mounts | cut -d' ' -f3,4")
}

fn assert_complete(machine: &Machine) {
    assert_eq!(machine.tree("/run/secrets /run/secrets.d"), COMPLETE);
}

/// Whether this kernel, asked by a root that may, mounts a tmpfs that is never swapped out.
fn knows_noswap(machine: &Machine) -> bool {
    let ask = "mkdir /mnt/ask && mount -t tmpfs -o noswap none /mnt/ask && umount /mnt/ask && echo yes";
    machine.shell(ask) == "yes"
}

#[test]
fn a_ramfs_that_is_refused_is_replaced_by_a_tmpfs_that_is_not_swapped() {
    let Some(machine) = Machine::new() else { return };
    if !has_strace(&machine) {
        return;
    }
    let expected = if knows_noswap(&machine) { "" } else { SWAPPABLE };
    assert_eq!(run(&machine, &refusing("EPERM", "1"), &one_secret(json!({}))), Answer::said("", expected));
    let mount = mounted(&machine);
    assert!(mount.starts_with("tmpfs rw,nosuid,nodev,noexec,"), "{mount}");
    assert_eq!(mount.contains("noswap"), expected.is_empty(), "{mount}");
    assert_complete(&machine);
    // It stays, and is told again only as far as it matters.
    let again = run(&machine, "", &one_secret(json!({})));
    let other = "sops-install-secrets: warning: '/run/secrets.d' is a tmpfs already and stays one until it is unmounted\n";
    assert_eq!(again, Answer::said("", other));
}

#[test]
fn a_tmpfs_without_noswap_is_the_next_and_earns_a_warning() {
    for (fields, refused) in [
        // Not known to the kernel; not permitted in the user namespace of a container.
        (json!({"useTmpfs": true}), refusing("EINVAL", "1")),
        (json!({"useTmpfs": true}), refusing("EPERM", "1")),
        (json!({}), refusing("EPERM", "1..2")),
    ] {
        let Some(machine) = Machine::new() else { return };
        if !has_strace(&machine) {
            return;
        }
        assert_eq!(run(&machine, &refused, &one_secret(fields)), Answer::said("", SWAPPABLE), "{refused}");
        let mount = mounted(&machine);
        assert!(mount.starts_with("tmpfs rw,nosuid,nodev,noexec,"), "{mount}");
        assert!(!mount.contains("noswap"), "{mount}");
        assert_complete(&machine);
    }
}

#[test]
fn where_nothing_may_be_mounted_the_directory_is_used_if_it_is_memory() {
    for error in ["EPERM", "EACCES", "ENODEV", "ENOSYS"] {
        let Some(machine) = Machine::new() else { return };
        if !has_strace(&machine) {
            return;
        }
        let refused = refusing(error, "1+");
        assert_eq!(
            run(&machine, &refused, &one_secret(json!({}))),
            Answer::said("", IN_DIRECTORY),
            "{error}"
        );
        assert_eq!(mounted(&machine), "");
        assert_complete(&machine);
    }
}

#[test]
fn without_the_capability_the_directory_is_used_and_the_second_run_changes_nothing() {
    let Some(machine) = Machine::new() else { return };
    for fields in [json!({}), json!({"useTmpfs": true})] {
        for _ in 0..2 {
            let said = run(&machine, NO_MOUNTING, &one_secret(fields.clone()));
            assert_eq!(said, Answer::said("", IN_DIRECTORY));
            assert_eq!(mounted(&machine), "");
            assert_complete(&machine);
        }
    }
}

#[test]
fn without_the_capability_a_directory_on_a_disk_is_refused_and_nothing_is_written() {
    let Some(machine) = Machine::new() else { return };
    let on_disk = one_secret(json!({"secretsMountPoint": "/var/lib/secrets.d"}));
    let said = run(&machine, NO_MOUNTING, &on_disk);
    let kind = machine.shell("printf 0x%x 0x$(stat -f -c %t /var/lib)");
    let expected = format!(
        "sops-install-secrets: error: cannot mount ramfs on '/var/lib/secrets.d': EPERM: Operation not permitted; and the \
         directory itself lies on a file system of type {kind}, not in memory\n\
         help: let the container mount, or give it a tmpfs at '/var/lib/secrets.d' or above, as `--tmpfs` of its manager does\n"
    );
    assert_eq!(said, Answer { code: Some(1), stdout: String::new(), stderr: expected });
    assert_eq!(machine.shell("ls -A /var/lib/secrets.d; ls -A /run"), "");
    // As its help says.
    machine.shell("mount -t tmpfs -o mode=0755 none /var/lib/secrets.d");
    assert_eq!(run(&machine, NO_MOUNTING, &on_disk).code, Some(1), "its flags are missing");
    machine.shell("mount -o remount,nosuid,nodev,noexec /var/lib/secrets.d");
    assert_eq!(run(&machine, NO_MOUNTING, &on_disk).code, Some(0));
}

#[test]
fn a_mount_that_fails_for_another_reason_is_an_error_and_no_step_down() {
    let Some(machine) = Machine::new() else { return };
    if !has_strace(&machine) {
        return;
    }
    let said = run(&machine, &refusing("ENOMEM", "1"), &one_secret(json!({})));
    assert_eq!(said.code, Some(1));
    assert!(
        said.stderr.starts_with("sops-install-secrets: error: cannot mount on '/run/secrets.d': "),
        "{}",
        said.stderr
    );
    assert_eq!(machine.shell("find /run -mindepth 2"), "");
}
