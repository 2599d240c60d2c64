//! Machines that are broken in one way each, and healthy ones.

use serde_json::{Value, json};

use crate::machine::text;
use crate::server::{Answer, KEY, Machine, answer, manifest, secret, template, with};

/// A file that the keys of the other one do not open, and the key that does.
const UNIT_FILE: &str = "/mnt/fixtures/sops/3.13.3/rich.yaml";
const UNIT_KEY: &str = "/mnt/fixtures/keys/age.txt";

/// A machine, and what doctor is to say on it.
pub struct Case {
    pub name: &'static str,
    /// Breaks it, and says what its manifest is.
    prepare: fn(&Machine) -> Value,
    pub last_line: &'static str,
}

pub fn one() -> Value {
    manifest(&[secret("api-key", "api_key")], &[])
}

fn with_key(path: &str) -> Value {
    with(one(), json!({"ageSshKeyPaths": [path]}))
}

/// One secret of another file than the sample.
fn of_file(path: &str, keys: Value) -> Value {
    with(manifest(&[with(secret("value", "value"), json!({"sopsFile": path}))], &[]), keys)
}

/// One secret that no key of the manifest opens, installed by a unit with these settings.
fn of_unit(machine: &Machine, settings: &str) -> Value {
    machine.shell("mkdir -p /etc/systemd/system /etc/credstore /etc/credstore.encrypted");
    machine.shell("rm -rf /etc/credstore/* /etc/credstore.encrypted/* /etc/systemd/system/sops-*");
    let unit = format!(
        "[Service]\nType=oneshot\n{settings}ExecStart=/mnt/bin/sops-install-secrets /mnt/manifest.json\n"
    );
    machine.write("/etc/systemd/system/sops-install-secrets.service", unit);
    let secret = with(secret("whole", ""), json!({"sopsFile": UNIT_FILE}));
    with(manifest(&[secret], &[]), json!({"ageSshKeyPaths": []}))
}

/// As [`of_unit`], installed by a user's unit as home-manager's module has it: by a script that names the manifest.
pub fn of_users_unit(machine: &Machine, settings: &str) -> Value {
    machine.shell("mkdir -p /mnt/runtime /mnt/home/.config/systemd/user");
    machine.write(
        "/mnt/home/.config/systemd/user/sops-nix.service",
        format!("[Service]\nType=oneshot\n{settings}ExecStart=/mnt/home/install\n"),
    );
    let script = "#!/bin/sh\nset -e\nexec /mnt/bin/sops-install-secrets -ignore-passwd /mnt/manifest.json\n";
    machine.write("/mnt/home/install", script);
    machine.shell("chmod +x /mnt/home/install");
    let secret = with(secret("whole", ""), json!({"sopsFile": UNIT_FILE}));
    let places = json!({"secretsMountPoint": "%r/secrets.d", "symlinkPath": "%r/secrets"});
    with(
        manifest(&[with(secret, json!({"path": "%r/secrets/whole"}))], &[]),
        with(places, json!({"userMode": true, "ageSshKeyPaths": []})),
    )
}

/// As the unit would.
fn activated_by_its_unit(machine: &Machine, manifest: &Value) {
    let mut program = machine.program(manifest);
    assert_eq!(answer(program.env("SOPS_AGE_KEY_FILE", UNIT_KEY)), Answer::silent());
}

/// The key on a file system of its own, which fstab has with these options.
fn persist(machine: &Machine, options: &str) -> Value {
    machine.write(
        "/etc/fstab",
        format!("/dev/vda1 / ext4 defaults 0 1\nnone /mnt/persist tmpfs {options} 0 0\n"),
    );
    machine.shell("mkdir /mnt/persist");
    with_key("/mnt/persist/ssh_host_ed25519_key")
}

fn mounted(machine: &Machine, options: &str) -> Value {
    let manifest = persist(machine, options);
    let mounted = machine
        .shell(&format!("mount -t tmpfs none /mnt/persist && cp {KEY} /mnt/persist/ssh_host_ed25519_key"));
    assert_eq!(mounted, "");
    machine.activate(&manifest);
    manifest
}

pub fn cases() -> Vec<Case> {
    [locked(), places(), links(), well(), keys_of_units()].into_iter().flatten().collect()
}

/// Files that do not open, or will not at the next boot.
fn locked() -> Vec<Case> {
    vec![
        Case {
            name: "no-key",
            prepare: |_| with_key("/etc/ssh/no_such_key"),
            last_line: "to do: put the key at /etc/ssh/no_such_key, or, if it is on a file system that is mounted \
                        later, mark that `neededForBoot`",
        },
        Case {
            name: "wrong-key",
            prepare: |_| with_key("/mnt/fixtures/keys/host_ed25519"),
            last_line: "to do: in .sops.yaml, add age12pw2hnwhsnkcjrndqrul78ya7r3l4shmvju53cqwqtghnm3hly9qqh6qec \
                        to the keys of this file; run `sops updatekeys /mnt/fixtures/sample/secrets.yaml` where the \
                        file can be opened, and deploy again",
        },
        Case {
            name: "key-on-an-unmounted-path",
            prepare: |machine| persist(machine, "defaults"),
            last_line: "to do: mount it now with `mount /mnt/persist`, and for the next boot set \
                        `fileSystems.\"/mnt/persist\".neededForBoot = true`",
        },
        Case {
            name: "encrypted-key",
            prepare: |_| with_key("/mnt/fixtures/keys/host_encrypted"),
            last_line: "to do: take the passphrase off /mnt/fixtures/keys/host_encrypted with `ssh-keygen -p`: there \
                        is nobody to type it at boot",
        },
        Case {
            name: "only-pgp",
            prepare: |_| {
                let keys = json!({"ageSshKeyPaths": ["/mnt/fixtures/keys/host_ed25519"]});
                of_file("/mnt/fixtures/recipients/only-pgp.yaml", keys)
            },
            last_line: "to do: in .sops.yaml, add age12pw2hnwhsnkcjrndqrul78ya7r3l4shmvju53cqwqtghnm3hly9qqh6qec \
                        to the keys of this file; run `sops updatekeys /mnt/fixtures/recipients/only-pgp.yaml` where \
                        the file can be opened, and deploy again",
        },
        Case {
            name: "shamir-one-group-short",
            prepare: |_| {
                let keys = json!({"ageSshKeyPaths": [], "ageKeyFile": "/mnt/fixtures/keys/group-1.txt"});
                of_file("/mnt/fixtures/sops/3.13.3/shamir.yaml", keys)
            },
            last_line: "to do: in .sops.yaml, add age15u24agz2697xcxjxv4gnenrmr9retpw65xqzmz6ldmmx7jh0e50q0g5mmq to \
                        a key group that did not open; run `sops updatekeys /mnt/fixtures/sops/3.13.3/shamir.yaml` \
                        where the file can be opened, and deploy again",
        },
        Case {
            name: "hand-edited-file",
            prepare: |machine| {
                let edited = text("fixtures/sample/secrets.yaml").replace("    user: ", "    username: ");
                let cut: Vec<&str> = edited.lines().filter(|line| !line.contains("    username: ")).collect();
                machine.write("/mnt/secrets.yaml", cut.join("\n") + "\n");
                manifest(&[with(secret("api-key", "api_key"), json!({"sopsFile": "/mnt/secrets.yaml"}))], &[])
            },
            last_line: "to do: restore the file from version control, or look through it with `sops edit \
                        --ignore-mac /mnt/secrets.yaml` and save it",
        },
        Case {
            name: "key-missing-from-the-file",
            prepare: |_| manifest(&[secret("api-key", "api_kye")], &[]),
            last_line: "to do: did you mean 'api_key'? set sops.secrets.\"api-key\".key = \"api_key\"",
        },
        Case {
            name: "key-credential-missing",
            prepare: |machine| {
                let unit = "Environment=\"SOPS_AGE_KEY_FILE=%d/host-key\"\nImportCredential=host-key\n";
                of_unit(machine, unit)
            },
            last_line: "to do: put the key at /etc/credstore/host-key, or seal it with `systemd-creds encrypt \
                        --name=host-key KEY /etc/credstore.encrypted/host-key`",
        },
        Case {
            name: "unit-of-another-manifest",
            prepare: |machine| {
                let wanted = of_unit(machine, "Environment=SOPS_AGE_KEY_FILE=/mnt/fixtures/keys/age.txt\n");
                machine.shell("sed -i 's,/mnt/manifest.json,/mnt/other.json,' /etc/systemd/system/sops-install-secrets.service");
                wanted
            },
            last_line: "to do: no key is configured: set `sops.age.sshKeyPaths` or `sops.age.keyFile` \
                        (/mnt/fixtures/sops/3.13.3/rich.yaml)",
        },
        Case {
            name: "late-mount",
            prepare: |machine| mounted(machine, "defaults"),
            last_line: "to do: set `fileSystems.\"/mnt/persist\".neededForBoot = true` and deploy again",
        },
    ]
}

/// Owners, the store and generations.
fn places() -> Vec<Case> {
    vec![
        Case {
            name: "unknown-owner",
            prepare: |machine| {
                machine.activate(&one());
                let owned = |name| with(secret(name, "api_key"), json!({"owner": "grafana"}));
                manifest(&[secret("api-key", "api_key"), owned("dashboard"), owned("mail")], &[])
            },
            last_line: "to do: correct `owner`, or declare 'grafana' in `users.users` (user 'grafana')",
        },
        Case {
            name: "store-not-a-ramfs",
            prepare: |machine| {
                machine
                    .shell("mkdir -p -m 751 /var/secrets.d /var/secrets.d/1 && chown 0:96 /var/secrets.d/1");
                machine.shell("ln -s /var/secrets.d/1 /var/secrets");
                machine.shell("umask 377; printf demo-7f3b9c2e51 > /var/secrets.d/1/api-key");
                let place = json!({"path": "/var/secrets/api-key"});
                let places = json!({"secretsMountPoint": "/var/secrets.d", "symlinkPath": "/var/secrets"});
                with(manifest(&[with(secret("api-key", "api_key"), place)], &[]), places)
            },
            last_line: "to do: remove /var/secrets.d with all that is in it (`rm -r /var/secrets.d`), then activate: \
                        `sops-activate /mnt/manifest.json` mounts memory there",
        },
        Case {
            name: "store-full",
            prepare: |machine| {
                let options = "size=64k,mode=0751,nodev,nosuid,noexec";
                machine.shell(&format!(
                    "mkdir /run/secrets.d && mount -t tmpfs -o {options},noswap none /run/secrets.d || \
                                        mount -t tmpfs -o {options} none /run/secrets.d"
                ));
                let manifest = with(one(), json!({"useTmpfs": true}));
                machine.run(&manifest);
                machine.shell("head -c 1M /dev/zero > /run/secrets.d/core.1234");
                manifest
            },
            last_line: "to do: remove what is no generation from /run/secrets.d, or enlarge it with `mount -o \
                        remount,size=64M /run/secrets.d`",
        },
        Case {
            name: "nothing-activated",
            prepare: |_| one(),
            last_line: "to do: activate: `sops-activate /mnt/manifest.json`",
        },
        Case {
            name: "generation-of-another-manifest",
            prepare: |machine| {
                machine.activate(&manifest(&[secret("a", "api_key"), secret("b", "api_key")], &[]));
                let other = with(secret("b", "api_key"), json!({"mode": "0440"}));
                manifest(&[other, secret("c", "api_key")], &[])
            },
            last_line: "to do: activate: `sops-activate /mnt/manifest.json`",
        },
    ]
}

/// What is outside of the store.
fn links() -> Vec<Case> {
    vec![
        Case {
            name: "stale-link",
            prepare: |machine| {
                let linked =
                    |name: &str| with(secret(name, "api_key"), json!({"path": format!("/etc/app/{name}")}));
                machine.activate(&manifest(&[linked("api-key"), linked("old-key")], &[]));
                let without = manifest(&[linked("api-key")], &[]);
                machine.activate(&without);
                // As a later program would not leave it.
                machine.shell("ln -sfn /run/secrets/old-key /etc/app/old-key");
                without
            },
            last_line: "to do: remove that link: `rm /etc/app/old-key`",
        },
        Case {
            name: "left-by-an-earlier-manifest",
            prepare: |machine| {
                let at = |path: &str, mode: &str| {
                    let place = json!({"path": path, "installMode": mode});
                    with(secret(path.rsplit('/').next().unwrap(), "api_key"), place)
                };
                let earlier = [
                    secret("api-key", "api_key"),
                    at("/etc/other/old-key", "symlink"),
                    at("/etc/other/copy", "copy"),
                    at("/etc/other/edited", "copy"),
                ];
                machine.activate(&manifest(&earlier, &[]));
                machine.shell("cp -a /etc/other /var/lib/sops-activate /mnt");
                machine.activate(&one());
                // As it is when they could not be removed.
                machine.shell("rmdir /etc/other; mv /mnt/other /etc; echo >> /etc/other/edited");
                machine.shell("mv /mnt/sops-activate/run-secrets.d.json /var/lib/sops-activate");
                // What a run left that was killed is not for the doctor to clear away.
                let killed =
                    "/etc/other/.copy /etc/other/.old-key /var/lib/sops-activate/.run-secrets.d.json";
                machine.shell(&format!("for path in {killed}; do mkdir -m 700 $path.sops-activate; done"));
                one()
            },
            last_line: "to do: activate, which removes it: `sops-activate /mnt/manifest.json` (/etc/other/old-key)",
        },
        Case {
            name: "link-led-elsewhere",
            prepare: |machine| {
                let manifest =
                    manifest(&[with(secret("api-key", "api_key"), json!({"path": "/etc/app/key"}))], &[]);
                machine.activate(&manifest);
                machine.shell("ln -sfn /run/secrets/other /etc/app/key");
                manifest
            },
            last_line: "to do: activate: `sops-activate /mnt/manifest.json`",
        },
    ]
}

/// Nothing is wrong here.
fn well() -> Vec<Case> {
    vec![
        Case {
            name: "healthy",
            prepare: |machine| {
                let linked = with(secret("linked", "database/user"), json!({"path": "/etc/app/user"}));
                let shamir = json!({"sopsFile": "/mnt/fixtures/sops/3.13.3/shamir.yaml"});
                let whole = with(secret("whole", ""), shamir);
                let template = template("app.conf", "key=<SOPS:api-key:PLACEHOLDER>");
                let manifest = with(
                    manifest(&[secret("api-key", "api_key"), linked, whole], &[template]),
                    json!({"ageSshKeyPaths": [KEY, "/etc/ssh/no_such_key"], "ageKeyFile": "/mnt/groups.txt"}),
                );
                let groups =
                    ["group-1.txt", "group-2.txt"].map(|name| text(&format!("fixtures/keys/{name}")));
                machine.write("/mnt/groups.txt", groups.concat());
                machine.activate(&manifest);
                manifest
            },
            last_line: "nothing to do: this machine opens and has in place what it should: 3 secrets",
        },
        Case {
            name: "dummies",
            prepare: |machine| {
                let absent = with(secret("absent", "value"), json!({"sopsFile": "/mnt/none.yaml"}));
                let manifest = with(
                    manifest(&[secret("api-key", "api_key"), absent], &[]),
                    json!({"dummySecrets": true, "ageSshKeyPaths": ["/etc/ssh/no_such_key"]}),
                );
                assert_eq!(machine.run(&manifest).code, Some(0));
                manifest
            },
            last_line: "nothing to do: this machine has in place what it should: 2 secrets, none of them real",
        },
        Case {
            name: "late-mount-that-is-waited-for",
            prepare: |machine| {
                let unit = "[Unit]\nRequiresMountsFor=/var/lib /mnt/persist/ssh_host_ed25519_key\n";
                machine.shell("mkdir -p /etc/systemd/system");
                machine.shell("rm -f /etc/systemd/system/sops-install-secrets.service");
                machine.write("/etc/systemd/system/sops-install-secrets.service", unit);
                mounted(machine, "defaults")
            },
            last_line: "nothing to do: this machine opens and has in place what it should: 1 secret",
        },
        Case {
            name: "mounted-in-the-initrd",
            prepare: |machine| mounted(machine, "noatime,x-initrd.mount"),
            last_line: "nothing to do: this machine opens and has in place what it should: 1 secret",
        },
    ]
}

/// Keys that only a unit has.
fn keys_of_units() -> Vec<Case> {
    vec![
        Case {
            name: "key-credential",
            prepare: |machine| {
                let unit = "Environment=\"SOPS_AGE_KEY_FILE=%d/host-key\"\nImportCredential=host-key\n";
                let wanted = of_unit(machine, unit);
                machine.shell(&format!("cp {UNIT_KEY} /etc/credstore/host-key"));
                activated_by_its_unit(machine, &wanted);
                wanted
            },
            last_line: "nothing to do: this machine opens and has in place what it should: 1 secret",
        },
        Case {
            name: "key-credential-in-the-unit",
            prepare: |machine| {
                let key = text("fixtures/keys/age.txt");
                let key = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
                let unit =
                    format!("Environment=\"SOPS_AGE_KEY_FILE=%d/host-key\"\nSetCredential=host-key:{key}\n");
                let wanted = of_unit(machine, &unit);
                activated_by_its_unit(machine, &wanted);
                wanted
            },
            last_line: "nothing to do: this machine opens and has in place what it should: 1 secret",
        },
        Case {
            name: "key-credential-sealed",
            prepare: |machine| {
                let unit = "Environment=\"SOPS_AGE_KEY_FILE=%d/host-key\"\nImportCredential=host-key\n";
                let wanted = of_unit(machine, unit);
                machine.shell("echo c2VhbGVk > /etc/credstore.encrypted/host-key");
                activated_by_its_unit(machine, &wanted);
                wanted
            },
            last_line: "nothing to do: all is well that can be seen here; 1 sops file may open for the unit",
        },
        Case {
            name: "key-credential-sealed-and-live",
            prepare: |machine| {
                let unit = "Environment=\"SOPS_AGE_KEY_FILE=%d/host-key\"\nImportCredential=host-key\n";
                let wanted = of_unit(machine, unit);
                let live = "/run/credentials/sops-install-secrets.service";
                machine.shell(&format!("mkdir -p {live}; cp {UNIT_KEY} {live}/host-key"));
                machine.shell("echo c2VhbGVk > /etc/credstore.encrypted/host-key");
                activated_by_its_unit(machine, &wanted);
                wanted
            },
            last_line: "nothing to do: this machine opens and has in place what it should: 1 secret",
        },
        Case {
            name: "key-in-the-environment-of-the-unit",
            prepare: |machine| {
                let wanted = of_unit(machine, "EnvironmentFile=/mnt/unit.env\n");
                let key = text("fixtures/keys/age.txt");
                let key = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
                machine.write("/mnt/unit.env", format!("# the key\nSOPS_AGE_KEY=\"{key}\"\n"));
                activated_by_its_unit(machine, &wanted);
                wanted
            },
            last_line: "nothing to do: this machine opens and has in place what it should: 1 secret",
        },
    ]
}

impl Case {
    /// None without the rights for it.
    pub fn run(&self, arguments: &str) -> Option<(Machine, Answer)> {
        let machine = Machine::new()?;
        machine.shell(": > /etc/fstab");
        let manifest = (self.prepare)(&machine);
        machine.write("/mnt/manifest.json", manifest.to_string());
        let before = machine.snapshot();
        // Without PATH, so that it does not matter whether there is a gpg.
        let script = format!("PATH= exec /mnt/bin/sops-activate doctor /mnt/manifest.json {arguments}");
        let answer = answer(&mut machine.command(&script));
        assert_eq!(machine.snapshot(), before, "{}: something was changed", self.name);
        Some((machine, answer))
    }

    pub fn is_healthy(&self) -> bool {
        self.last_line.starts_with("nothing to do")
    }
}
