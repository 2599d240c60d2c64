//! Whole runs of the program as an ordinary user. Root becomes one for them, on a machine of its own; anybody else is
//! one already, and uses directories for tests.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::server::{API_KEY, Answer, Machine, USER, answer, manifest, placeholder, secret, template, with};

/// Who is nobody: no root, and no owner of anything but what the tests give.
const NOBODY: &str = "setpriv --reuid 65534 --regid 65534 --clear-groups --";
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

/// A user with a home, and with a runtime directory in memory.
struct User {
    place: Place,
    home: String,
    runtime: String,
    uid: u32,
}

enum Place {
    Machine(Machine),
    Directories(#[expect(dead_code, reason = "gone when dropped")] [tempfile::TempDir; 2]),
}

impl User {
    /// None, with the reason printed, where there is no user to be had.
    fn new() -> Option<Self> {
        let uid = nix::unistd::geteuid();
        if uid.is_root() {
            let machine = Machine::new()?;
            machine.shell("for dir in /var/home /run/user/65534; do mkdir -p $dir && chown 65534:65534 $dir && chmod 0700 $dir; done");
            let place = Place::Machine(machine);
            return Some(Self {
                place,
                home: "/var/home".into(),
                runtime: "/run/user/65534".into(),
                uid: 65534,
            });
        }
        let memory = nix::sys::statfs::statfs("/dev/shm");
        if !memory.is_ok_and(|found| found.filesystem_type() == nix::sys::statfs::TMPFS_MAGIC) {
            eprintln!("skipped: /dev/shm is no tmpfs");
            return None;
        }
        // Not in memory, unlike many a temporary directory; but it may be another user who built the tests.
        let home =
            tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).or_else(|_| tempfile::tempdir()).unwrap();
        let runtime = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = |dir: &tempfile::TempDir| dir.path().to_str().unwrap().to_owned();
        Some(Self {
            home: path(&home),
            runtime: path(&runtime),
            uid: uid.as_raw(),
            place: Place::Directories([home, runtime]),
        })
    }

    /// What a shell of the user says, on both outputs, trimmed.
    fn shell(&self, script: &str) -> String {
        let Answer { stdout, stderr, .. } = answer(&mut self.command(script));
        (stdout + &stderr).trim().to_owned()
    }

    /// A shell of the user, which finds the program by its names.
    fn command(&self, script: &str) -> Command {
        let mut command = match &self.place {
            Place::Machine(machine) => {
                machine.write("/mnt/script", script);
                machine.command(&format!("exec {NOBODY} sh /mnt/script"))
            }
            Place::Directories(_) => {
                let mut command = Command::new("sh");
                command.args(["-c", script]);
                let programs = Path::new(env!("CARGO_BIN_EXE_sops-activate")).parent().unwrap();
                command.env_clear().env("PATH", format!("{}:{}", programs.display(), env!("PATH")));
                command
            }
        };
        command.env("HOME", &self.home).env("XDG_RUNTIME_DIR", &self.runtime);
        command
    }

    fn run(&self, manifest: &Value) -> Answer {
        self.write("manifest.json", &manifest.to_string());
        answer(&mut self.command(&format!("umask 022; sops-activate {}/manifest.json", self.home)))
    }

    /// Writes a file below the home.
    fn write(&self, path: &str, content: &str) {
        let path = format!("{}/{path}", self.home);
        match &self.place {
            Place::Machine(machine) => {
                machine.write(&path, content);
                machine.shell(&format!("chown 65534:65534 {path}"));
            }
            Place::Directories(_) => std::fs::write(path, content).unwrap(),
        }
    }

    /// Copies a fixture to below the home, where only the user can read it.
    fn copy(&self, fixture: &str, path: &str) {
        self.shell(&format!("mkdir -p $(dirname {}/{path})", self.home));
        self.write(path, &std::fs::read_to_string(format!("{FIXTURES}/{fixture}")).unwrap());
        self.shell(&format!("chmod 0600 {}/{path}", self.home));
    }

    /// What lies there, with `H` for the home and `R` for the runtime directory.
    fn tree(&self) -> String {
        let find = "-type l -printf '%p -> %l %U\\n' -o -printf '%p %y%m %U\\n'";
        let below = |place| format!("find {place} -mindepth 1 {find} | LC_ALL=C sort");
        let tree = self.shell(&format!("{}; {}", below(&self.runtime), below(&self.home)));
        tree.replace(&self.home, "H").replace(&self.runtime, "R").replace(&format!(" {}", self.uid), "")
    }

    /// A manifest as home-manager's module writes it: some fields are missing.
    fn manifest(&self, key: &str) -> Value {
        let ours = |secret: Value, path: &str| {
            let file = json!({"path": path, "sopsFile": format!("{}/secrets.yaml", self.home)});
            let mut secret = with(secret, file);
            for field in ["owner", "group", "uid", "gid", "restartUnits", "reloadUnits"] {
                secret.as_object_mut().unwrap().remove(field);
            }
            secret
        };
        let (a, linked) = (
            ours(secret("a", key), "%r/secrets/a"),
            ours(secret("b/c", key), &format!("{}/100%%/c", self.home)),
        );
        let rendered = ours(with(template("t", &placeholder("a")), json!({"mode": "0444"})), "%r/t");
        let mut manifest = manifest(&[a, linked], &[rendered]);
        manifest.as_object_mut().unwrap().remove("useTmpfs");
        let paths =
            json!({"secretsMountPoint": "%r/secrets.d", "symlinkPath": "%r/secrets", "userMode": true});
        with(manifest, with(paths, json!({"ageSshKeyPaths": [format!("{}/key", self.home)]})))
    }

    /// With the sops file and its key in the home.
    fn with_files() -> Option<Self> {
        let user = Self::new()?;
        user.copy("sample/secrets.yaml", "secrets.yaml");
        user.copy("keys/sample_host_ed25519", "key");
        Some(user)
    }
}

#[test]
fn a_users_secrets_are_theirs_and_nothing_is_mounted() {
    let Some(user) = User::with_files() else { return };
    let mounts = user.shell("cat /proc/mounts");
    assert_eq!(user.run(&user.manifest("api_key")), Answer::silent());
    assert_eq!(user.shell("cat /proc/mounts"), mounts);
    // Its name is that of the runtime directory.
    let list = user.shell("ls $HOME/.local/state/sops-activate");
    assert_eq!(
        user.tree().replace(&list, "LIST"),
        "R/secrets -> R/secrets.d/1\n\
         R/secrets.d d751\n\
         R/secrets.d/1 d751\n\
         R/secrets.d/1/a f400\n\
         R/secrets.d/1/b d751\n\
         R/secrets.d/1/b/c f400\n\
         R/secrets.d/1/rendered d751\n\
         R/secrets.d/1/rendered/t f444\n\
         R/t -> R/secrets/rendered/t\n\
         H/.local d700\n\
         H/.local/state d700\n\
         H/.local/state/sops-activate d700\n\
         H/.local/state/sops-activate/LIST f600\n\
         H/100% d755\n\
         H/100%/c -> R/secrets/b/c\n\
         H/key f600\n\
         H/manifest.json f644\n\
         H/secrets.yaml f600"
    );
    let values = "cat $XDG_RUNTIME_DIR/secrets/a $HOME/100%/c $XDG_RUNTIME_DIR/t";
    assert_eq!(user.shell(values), API_KEY.repeat(3));
}

#[test]
fn a_users_second_run_changes_nothing_and_a_third_with_other_values_the_generation() {
    let Some(user) = User::with_files() else { return };
    let logged = |key| with(user.manifest(key), json!({"logging": {"secretChanges": true}}));
    assert_eq!(user.run(&logged("api_key")), Answer::silent());
    let snapshot =
        || user.shell("find $XDG_RUNTIME_DIR $HOME/100% -printf '%p %m %i %T@ %C@ %l\\n' | LC_ALL=C sort");
    let before = snapshot();
    assert_eq!(user.run(&logged("api_key")), Answer::silent());
    assert_eq!(snapshot(), before);
    assert_eq!(user.run(&logged("database/user")), Answer::silent(), "a user is not told of changes");
    let live = "cat $XDG_RUNTIME_DIR/secrets/a; ls $XDG_RUNTIME_DIR/secrets.d";
    assert_eq!(user.shell(live), format!("{USER}2"));
}

#[test]
fn a_users_secret_that_fails_stays_as_it_was_beside_one_that_changes() {
    let Some(user) = User::with_files() else { return };
    assert_eq!(user.run(&user.manifest("api_key")), Answer::silent());
    let mut partial = user.manifest("database/user");
    partial["secrets"][1]["key"] = "none".into();
    for _ in 0..2 {
        let ran = user.run(&partial);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("\n  secret 'b/c'   kept as it was   "), "{ran:?}");
        let values = "cat $XDG_RUNTIME_DIR/secrets/a $HOME/100%/c; ls $XDG_RUNTIME_DIR/secrets.d";
        assert_eq!(user.shell(values), format!("{USER}{API_KEY}2"));
    }
}

#[test]
fn a_store_that_is_not_in_memory_is_used_with_a_warning() {
    let Some(user) = User::with_files() else { return };
    if user.shell("stat -f -c %T $HOME") == "tmpfs" {
        eprintln!("skipped: the build directory is in memory");
        return;
    }
    let paths = json!({"secretsMountPoint": format!("{}/secrets.d", user.home), "symlinkPath": format!("{}/secrets", user.home)});
    let told = format!(
        "sops-activate: warning: '{}/secrets.d' lies neither on ramfs nor on tmpfs: secrets may reach a disk\n",
        user.home
    );
    for _ in 0..2 {
        let ran = user.run(&with(user.manifest("api_key"), paths.clone()));
        assert_eq!(ran, Answer::said("", &told));
    }
    assert_eq!(user.shell("cat $HOME/secrets/a; ls $HOME/secrets.d"), format!("{API_KEY}1"));
}

#[test]
fn without_a_runtime_directory_nothing_is_done() {
    let Some(user) = User::with_files() else { return };
    user.write("manifest.json", &user.manifest("api_key").to_string());
    let before = user.tree();
    let ran = answer(user.command("sops-activate $HOME/manifest.json").env_remove("XDG_RUNTIME_DIR"));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("'%r' cannot be resolved: $XDG_RUNTIME_DIR is not set"), "{ran:?}");
    assert_eq!(user.tree(), before);
}

#[test]
fn the_keys_in_a_users_own_directories_open_the_files() {
    let Some(user) = User::with_files() else { return };
    let manifest = |file: &str| {
        let home = &user.home;
        let mut manifest = with(user.manifest("api"), json!({"ageSshKeyPaths": []}));
        for secret in manifest["secrets"].as_array_mut().unwrap() {
            secret["sopsFile"] = format!("{home}/{file}").into();
        }
        manifest
    };
    // By files that only one of the keys opens.
    for (key, path, file) in [
        ("keys/host_ed25519", ".ssh/id_ed25519", "recipients/ssh-ed25519.yaml"),
        ("keys/host_rsa", ".ssh/id_rsa", "recipients/ssh-rsa.yaml"),
        ("keys/age.txt", ".config/sops/age/keys.txt", "recipients/pgp-beside-age.yaml"),
    ] {
        user.copy(file, "file.yaml");
        let refused = user.run(&manifest("file.yaml"));
        assert_eq!(refused.code, Some(1), "{path}");
        assert!(refused.stderr.contains("no key on this machine opens it"), "{refused:?}");
        user.copy(key, path);
        assert_eq!(user.run(&manifest("file.yaml")), Answer::silent(), "{path}");
        user.shell("rm -r $HOME/.ssh $HOME/.config $XDG_RUNTIME_DIR/*");
    }
    user.copy("keys/age.txt", "xdg/sops/age/keys.txt");
    user.write("manifest.json", &manifest("file.yaml").to_string());
    let ran = answer(
        user.command("sops-activate $HOME/manifest.json")
            .env("XDG_CONFIG_HOME", format!("{}/xdg", user.home)),
    );
    assert_eq!(ran, Answer::silent());
    assert_eq!(user.shell("cat $XDG_RUNTIME_DIR/secrets/a"), "throw-away");
}

#[test]
fn what_a_user_does_not_ask_for_any_more_goes_and_is_remembered_in_their_own_directory() {
    let Some(user) = User::with_files() else { return };
    let at = |path: &str, install_mode: &str| {
        let mut manifest = user.manifest("api_key");
        manifest["secrets"][1]["path"] = path.into();
        manifest["secrets"][1]["installMode"] = install_mode.into();
        manifest
    };
    let other = at("%r/secrets/b/c", "symlink");
    for (state, environment) in
        [(".local/state", ""), ("own", "XDG_STATE_HOME=$HOME/own; export XDG_STATE_HOME")]
    {
        let run = |manifest: &Value| {
            user.write("manifest.json", &manifest.to_string());
            let script = format!("umask 022; {environment}\nsops-activate $HOME/manifest.json");
            assert_eq!(answer(&mut user.command(&script)), Answer::silent());
        };
        let path = format!("{}/app/c", user.home);
        for (manifest, seen) in [
            (at(&path, "symlink"), format!("{path} l777\n{API_KEY}")),
            (at(&path, "copy"), format!("{path} f400\n{API_KEY}")),
        ] {
            run(&manifest);
            assert_eq!(user.shell(&format!("find {path} -printf '%p %y%m\\n'; cat {path}")), seen);
            let lists = format!("stat -c %a $HOME/{state}/sops-activate $HOME/{state}/sops-activate/*.json");
            assert_eq!(user.shell(&lists), "700\n600");
            run(&other);
            assert_eq!(user.shell("ls -A $HOME/app"), "");
        }
        let lists = user.shell(&format!("cat $HOME/{state}/sops-activate/*.json"));
        assert!(lists.contains("/t\"") && !lists.contains("/app/c"), "{lists}");
    }
}

#[test]
fn a_user_without_a_home_gets_links_and_a_warning() {
    let Some(user) = User::with_files() else { return };
    user.write("manifest.json", &user.manifest("api_key").to_string());
    let script = format!("unset HOME; sops-activate {}/manifest.json", user.home);
    let warning = "sops-activate: warning: what is at the paths of secrets will stay there when it is not asked for any more: \
                   there is no directory for the list: neither XDG_STATE_HOME nor HOME is set\n";
    assert_eq!(answer(&mut user.command(&script)), Answer::said("", warning));
    assert_eq!(user.shell("cat $XDG_RUNTIME_DIR/t"), API_KEY);
}
