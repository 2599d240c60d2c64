//! The kinds of runs that something happens to: what was activated before, and what is activated now.

use serde_json::{Value, json};

use crate::server::{manifest, placeholder, secret, template, with};

/// The keys of two values that cannot be mistaken for anything else.
const OLD: &str = "api_key";
const NEW: &str = "database/password";
/// Those values. A template has one of them, too.
pub const MARKERS: [&str; 2] = ["demo-7f3b9c2e51", "not-a-real-password"];

/// More sops files than one thread opens by itself.
const MANY: usize = 17;

#[derive(Clone)]
pub struct History {
    pub name: &'static str,
    pub before: Option<Value>,
    /// Whether the machine is started anew after that, so that what lies in memory is gone.
    pub reboots: bool,
    pub now: Value,
    pub flags: &'static [&'static str],
    pub environment: Vec<(&'static str, &'static str)>,
    /// Who runs it; root if nobody is named.
    pub user: Option<&'static str>,
    pub store: &'static str,
    pub symlink: &'static str,
    pub cores: Cores,
}

/// On how many cores it runs, and so with how many threads, if there is work for them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    One,
    All,
}

impl History {
    fn new(name: &'static str, before: Option<Value>, now: Value) -> Self {
        Self {
            name,
            before,
            reboots: false,
            now,
            flags: &[],
            environment: vec![("PATH", "/mnt/bin:/usr/bin:/bin"), ("HOME", "/var/empty")],
            user: None,
            store: "/run/secrets.d",
            symlink: "/run/secrets",
            cores: Cores::One,
        }
    }
}

pub fn all() -> Vec<History> {
    let change = |name| History::new(name, Some(wanted_before(OLD)), wanted(NEW));
    let mut systemctl = change("change, told by systemctl");
    systemctl.environment.push(("SOPS_RESTART_UNITS_VIA_SYSTEMCTL", "1"));
    let mut partial = wanted(NEW);
    partial["secrets"][1]["key"] = "none".into();
    let many = |cores, name| History { cores, ..History::new(name, Some(many(OLD)), many(NEW)) };
    vec![
        History::new("first run", None, wanted(NEW)),
        change("change"),
        systemctl,
        History::new("removal", Some(wanted(OLD)), manifest(&[secret("b/c", OLD)], &[])),
        History::new("no change", Some(wanted(NEW)), wanted(NEW)),
        History::new("partial failure", Some(wanted_before(OLD)), partial),
        for_users(),
        of_a_user(),
        History::new("clean-up of links", Some(scattered(true)), scattered(false)),
        into_the_store(),
        nothing_is_asked_for(),
        many(Cores::One, "17 files, one worker"),
        many(Cores::All, "17 files, all workers"),
    ]
}

/// Three secrets, one of them nested, a template, and links and a copy in directories that do not exist.
fn wanted(key: &str) -> Value {
    let linked = json!({"path": "/etc/app/config/key", "owner": "alice", "group": "app", "restartUnits": ["a.service", "x.service"]});
    let nested = with(secret("b/c", key), json!({"reloadUnits": ["b.service", "x.service"]}));
    let rendered = json!({"path": "/var/home/config/t", "uid": 1501, "restartUnits": ["t.service"]});
    let copied = with(secret("d", key), json!({"path": "/etc/app/copy", "installMode": "copy"}));
    manifest(
        &[with(secret("a", key), linked), nested, copied],
        &[with(template("t", &format!("password = {}\n", placeholder("a"))), rendered)],
    )
}

/// The same with a link that will not be asked for any more, and the copy at another place.
fn wanted_before(key: &str) -> Value {
    let mut wanted = wanted(key);
    wanted["secrets"][1]["path"] = "/etc/app/old".into();
    wanted["secrets"][2]["path"] = "/var/home/copy".into();
    wanted
}

/// Templates at paths of their own, as links and as copies, in the store that is filled before there are users.
fn for_users() -> History {
    let wanted = |key| {
        let at = |path: &str| json!({"path": path, "mode": "0440"});
        let copy = |path: &str| json!({"path": path, "installMode": "copy"});
        let text = |name: &str| format!("{}:{}\n", placeholder(name), placeholder("hash"));
        let from_file = json!({"content": "", "file": "/mnt/template", "path": "/var/lib/app/file"});
        let placed = |name: &str| json!({"path": format!("/run/secrets-for-users/{name}")});
        let secrets =
            [with(secret("hash", key), placed("hash")), with(secret("other", key), copy("/etc/app/other"))];
        let templates = [
            with(template("linked", &text("hash")), at("/etc/app/linked")),
            with(template("copied", &text("other")), copy("/etc/app/sub/copied")),
            with(template("file", ""), from_file),
        ];
        let store =
            json!({"secretsMountPoint": "/run/secrets-for-users.d", "symlinkPath": "/run/secrets-for-users"});
        with(manifest(&secrets, &templates), store)
    };
    History {
        flags: &["-ignore-passwd"],
        store: "/run/secrets-for-users.d",
        symlink: "/run/secrets-for-users",
        ..History::new("templates at custom paths, for users", Some(wanted(OLD)), wanted(NEW))
    }
}

fn of_a_user() -> History {
    let wanted = |key| {
        let at = |path: &str| json!({"path": path});
        let secrets = [
            with(secret("a", key), at("/var/home/alice/.config/app/key")),
            with(secret("b/c", key), at("%r/secrets/b/c")),
            with(secret("d", key), json!({"path": "/var/home/alice/copy", "installMode": "copy"})),
        ];
        let templates = [with(template("t", &placeholder("a")), at("/var/home/alice/.config/t"))];
        let store =
            json!({"secretsMountPoint": "%r/secrets.d", "symlinkPath": "%r/secrets", "userMode": true});
        with(manifest(&secrets, &templates), store)
    };
    let mut history = History {
        user: Some("alice"),
        store: "/run/user/1501/secrets.d",
        symlink: "/run/user/1501/secrets",
        ..History::new("user mode", Some(wanted(OLD)), wanted(NEW))
    };
    history.environment = vec![
        ("PATH", "/mnt/bin:/usr/bin:/bin"),
        ("HOME", "/var/home/alice"),
        ("XDG_RUNTIME_DIR", "/run/user/1501"),
    ];
    history
}

/// A copy that is asked for in the store itself, by another name, which is refused whatever happens.
fn into_the_store() -> History {
    let wanted = |key, path| {
        let copied = with(secret("a", key), json!({"path": path, "installMode": "copy"}));
        manifest(&[copied, with(secret("b", key), json!({"path": "/etc/app/key"}))], &[])
    };
    let (before, now) = (wanted(OLD, "/etc/app/copy"), wanted(NEW, "/var/run/secrets.d/stray"));
    History::new("a path into the store", Some(before), now)
}

/// Nothing is live after a start, and nothing is asked for: what stands outside is cleared away, and no more.
fn nothing_is_asked_for() -> History {
    let now = manifest(&[], &[]);
    History { reboots: true, ..History::new("nothing is asked for any more", Some(scattered(true)), now) }
}

/// Secrets with links and copies in many directories, or without any.
fn scattered(with_paths: bool) -> Value {
    let secrets = (0..4).map(|number| {
        let name = format!("s{number}");
        let path = match number {
            0 => "/etc/app/zero".to_owned(),
            1 => "/var/home/one".to_owned(),
            _ => format!("/var/lib/app/{number}/key"),
        };
        let mode = if number == 2 { "copy" } else { "symlink" };
        let fields = if with_paths { json!({"path": path, "installMode": mode}) } else { json!({}) };
        with(secret(&name, OLD), fields)
    });
    manifest(&secrets.collect::<Vec<_>>(), &[])
}

fn many(key: &str) -> Value {
    let secrets = (0..MANY).map(|number| {
        let units = json!({"sopsFile": format!("/mnt/many/{number}.yaml"), "restartUnits": [format!("{number}.service")]});
        with(secret(&format!("s{number}"), key), units)
    });
    manifest(&secrets.collect::<Vec<_>>(), &[])
}

/// The files that [`many`] asks for.
pub fn many_files() -> impl Iterator<Item = String> {
    (0..MANY).map(|number| format!("/mnt/many/{number}.yaml"))
}
