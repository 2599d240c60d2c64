//! A machine to activate on: a private namespace with accounts of its own, the fixtures at `/mnt/fixtures`, and the
//! program at `/mnt/bin` under both of its names.

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::namespace::Namespace;

/// A sops file with three values, and the key that opens it.
pub const FILE: &str = "/mnt/fixtures/sample/secrets.yaml";
pub const KEY: &str = "/mnt/fixtures/keys/sample_host_ed25519";
/// What is in it.
pub const API_KEY: &str = "demo-7f3b9c2e51";
pub const USER: &str = "app";

/// Everything that the program reads from the environment, so that no test depends on who runs it.
const ENVIRONMENT: [&str; 14] = [
    "GNUPGHOME",
    "HOME",
    "JOURNAL_STREAM",
    "NIXOS_ACTION",
    "SOPS_AGE_KEY",
    "SOPS_AGE_KEY_CMD",
    "SOPS_AGE_KEY_FILE",
    "SOPS_AGE_SSH_PRIVATE_KEY_CMD",
    "SOPS_AGE_SSH_PRIVATE_KEY_FILE",
    "SOPS_GPG_EXEC",
    "SOPS_RESTART_UNITS_VIA_SYSTEMCTL",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "RUST_BACKTRACE",
];

const SETUP: &str = r"
set -e
mount -t tmpfs -o mode=0755 tmpfs /mnt
mkdir /mnt/bin /mnt/fixtures
mount --bind '@FIXTURES@' /mnt/fixtures
touch /mnt/bin/sops-activate
mount --bind '@PROGRAM@' /mnt/bin/sops-activate
ln -s sops-activate /mnt/bin/sops-install-secrets
printf 'root:x:0:0::/root:/bin/sh\nalice:x:1501:1500::/var/empty:/bin/sh\n' > /etc/passwd
printf 'root:x:0:\nkeys:x:96:\nnogroup:x:65534:\napp:x:1502:alice\n' > /etc/group
printf 'passwd: files\ngroup: files\n' > /etc/nsswitch.conf
# The notes of mount(8).
rm -rf /run/mount
echo ready
";

pub struct Machine {
    inside: Namespace,
}

/// How a run of the program ended, and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Machine {
    /// None, with the reason printed, without the rights for it.
    pub fn new() -> Option<Self> {
        let machine = Self { inside: Namespace::new()? };
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
        let setup =
            SETUP.replace("@FIXTURES@", fixtures).replace("@PROGRAM@", env!("CARGO_BIN_EXE_sops-activate"));
        assert_eq!(machine.shell(&setup), "ready");
        Some(machine)
    }

    /// What a shell says inside, on both outputs, trimmed; it may fail.
    pub fn shell(&self, script: &str) -> String {
        self.inside.shell(script)
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let mut command = self.inside.command("sh");
        let mut child = command.args(["-c", "cat > \"$0\"", path]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(content.as_ref()).unwrap();
        assert!(child.wait().unwrap().success(), "'{path}' was not written");
    }

    /// The program on a manifest, which is written first.
    pub fn program(&self, manifest: &Value) -> Command {
        self.write("/mnt/manifest.json", manifest.to_string());
        self.command("umask 022; exec sops-install-secrets /mnt/manifest.json")
    }

    /// A shell that finds the program by its names, in an environment of which the program knows nothing.
    pub fn command(&self, script: &str) -> Command {
        let mut command = self.inside.command("sh");
        command.args(["-c", &format!("PATH=/mnt/bin:$PATH; export PATH; {script}")]);
        for variable in ENVIRONMENT {
            command.env_remove(variable);
        }
        command
    }

    pub fn run(&self, manifest: &Value) -> Answer {
        answer(&mut self.program(manifest))
    }

    /// Runs it, and expects that it says nothing and succeeds.
    pub fn activate(&self, manifest: &Value) {
        assert_eq!(self.run(manifest), Answer::silent());
    }

    /// What lies there: type and permissions, owner and group of each; of links where they lead.
    pub fn tree(&self, paths: &str) -> String {
        let find = "-type l -printf '%p -> %l %U:%G\\n' -o -printf '%p %y%m %U:%G\\n'";
        self.shell(&format!("find {paths} {find} | LC_ALL=C sort"))
    }

    /// Makes it look as if the manager of user `uid`, in group 1500, were running, until the socket is dropped.
    pub fn user_manager(&self, uid: u32) -> (tempfile::TempDir, UnixListener) {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("private");
        let listener = UnixListener::bind(&socket).unwrap();
        let (path, runtime) = (socket.display(), format!("/run/user/{uid}"));
        let made = self.shell(&format!(
            "mkdir -p {runtime}/systemd && touch {runtime}/systemd/private && mount --bind {path} {runtime}/systemd/private && \
             chown {uid}:1500 {runtime} && chmod 0700 {runtime}"
        ));
        assert_eq!(made, "");
        (directory, listener)
    }

    /// Everything that an activation could touch, so exactly that any write to it is seen.
    pub fn snapshot(&self) -> String {
        let find = "-printf '%p %y%m %U:%G %i %s %T@ %C@ %l\\n'";
        self.shell(&format!("find /run /etc /mnt /var/lib {find} | LC_ALL=C sort; cat /proc/mounts"))
    }
}

/// The end of a program.
pub fn answer(command: &mut Command) -> Answer {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Answer { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

impl Answer {
    pub fn silent() -> Self {
        Self::said("", "")
    }

    /// A success that says this.
    pub fn said(stdout: &str, stderr: &str) -> Self {
        Self { code: Some(0), stdout: stdout.into(), stderr: stderr.into() }
    }
}

/// A secret of the sample file, as the module writes it.
pub fn secret(name: &str, key: &str) -> Value {
    json!({
        "name": name, "key": key, "path": format!("/run/secrets/{name}"), "owner": null, "group": null, "uid": 0,
        "gid": 0, "mode": "0400", "sopsFile": FILE, "format": "yaml", "restartUnits": [], "reloadUnits": [],
        "neededForUsers": false
    })
}

/// A template, as the module writes it.
pub fn template(name: &str, content: &str) -> Value {
    json!({
        "name": name, "content": content, "file": "", "path": format!("/run/secrets/rendered/{name}"), "owner": null,
        "group": null, "uid": 0, "gid": 0, "mode": "0400", "restartUnits": [], "reloadUnits": []
    })
}

/// What stands for a secret in a template.
pub fn placeholder(name: &str) -> String {
    format!("<SOPS:{name}:PLACEHOLDER>")
}

/// A manifest as the module writes it.
pub fn manifest(secrets: &[Value], templates: &[Value]) -> Value {
    let names = secrets.iter().map(|secret| secret["name"].as_str().unwrap());
    let placeholders: serde_json::Map<String, Value> =
        names.map(|name| (name.to_owned(), placeholder(name).into())).collect();
    json!({
        "secrets": secrets, "templates": templates, "placeholderBySecretName": placeholders,
        "secretsMountPoint": "/run/secrets.d", "symlinkPath": "/run/secrets", "keepGenerations": 1,
        "sshKeyPaths": [], "gnupgHome": null, "ageKeyFile": null, "ageSshKeyPaths": [KEY], "useTmpfs": false,
        "userMode": false, "logging": {"keyImport": false, "secretChanges": false}
    })
}

/// `value` with some fields set.
pub fn with(mut value: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    value.as_object_mut().unwrap().extend(fields);
    value
}
