//! The machine of a history and the runs on it: to which nothing happens, to which something does, and what is left.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use serde_json::Value;

use super::calls::{self, Call, Point};
use super::history::{Cores, History};
use super::short::{self, Then};
use super::tally::Tally;
use super::world::{self, Look, OURS, PROGRAM, Thing};

/// How a run ended and what it said, and what it left.
pub struct After {
    pub status: ExitStatus,
    pub said: String,
    pub look: Look,
    pub told: Vec<String>,
}

/// A machine for one history, and what is right on it.
pub struct Bench {
    pub history: History,
    /// The calls of a run to which nothing happens.
    pub calls: Vec<Call>,
    pub before: BTreeMap<String, String>,
    pub clean: After,
    /// What the same run says that follows it.
    pub again: After,
    pub writes: usize,
    pub tally: Tally,
}

impl Bench {
    pub fn new(history: History, program: &Path) -> Self {
        world::make(program);
        let manifests = [("before", history.before.as_ref()), ("now", Some(&history.now))];
        for (name, manifest) in manifests {
            fs::write(format!("/mnt/{name}.json"), manifest.map(Value::to_string).unwrap_or_default())
                .unwrap();
        }
        world::clear(&history);
        let look = world::look(&history);
        let nothing = || After {
            status: ExitStatus::default(),
            said: String::new(),
            look: look.clone(),
            told: Vec::new(),
        };
        let (clean, again) = (nothing(), nothing());
        let mut bench = Self {
            history,
            calls: Vec::new(),
            before: BTreeMap::new(),
            clean,
            again,
            writes: 0,
            tally: Tally::default(),
        };
        bench.reset();
        bench.before = bench.whole(&world::look(&bench.history));
        let log = bench.clean_log();
        bench.calls = calls::parse(&log);
        // Who does what is different each time: only what each of some runs did is to be met again.
        for _ in 0..3 {
            bench.reset();
            let others = calls::parse(&bench.clean_log());
            bench.calls.retain(|call| others.iter().any(|other| other.is_same(call)));
        }
        bench.again = bench.run(&[]);
        bench.reset();
        bench.writes = bench.shortened(0, Then::Goes).1.writes;
        bench
    }

    fn clean_log(&mut self) -> String {
        self.clean = self.run(&self.strace(None));
        fs::read_to_string(format!("{OURS}/log")).unwrap()
    }

    /// The words before the program's name.
    pub fn strace(&self, point: Option<&Point>) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        if self.history.cores == Cores::One {
            words.extend(["taskset", "--cpu-list", "0"].map(str::to_owned));
        }
        // Threads are followed, but not `systemctl`, to which would be done what is meant for the program.
        words.extend(["strace", "-qqq", "-f", "--detach-on=execve", "-y", "-o"].map(str::to_owned));
        words.push(format!("{OURS}/log"));
        if let Some(user) = self.history.user {
            words.extend(["-u".into(), user.into()]);
        }
        if let Some(point) = point {
            words.extend(["-e".into(), format!("trace={}", point.call.name), "-e".into(), point.injection()]);
            if let Some(file) = &point.call.file {
                words.extend(["-P".into(), file.clone()]);
            }
        }
        words
    }

    /// Makes the machine what it is before the run.
    pub fn reset(&self) {
        world::clear(&self.history);
        if self.history.before.is_some() {
            let ran = self.command(&[], "/mnt/before.json").output().unwrap();
            assert!(ran.status.success(), "{}: {ran:?}", self.history.name);
        }
        if self.history.reboots {
            world::reboot(&self.history);
        }
        world::told();
    }

    fn command(&self, before: &[String], manifest: &str) -> Command {
        let mut words: Vec<&str> = before.iter().map(String::as_str).collect();
        words.push(PROGRAM);
        words.extend(self.history.flags);
        words.push(manifest);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        self.dress(&mut command);
        if before.is_empty() && self.history.user.is_some() {
            command.uid(1501).gid(1500);
        }
        command
    }

    fn dress(&self, command: &mut Command) {
        command.env_clear().envs(self.history.environment.iter().copied()).stdin(Stdio::null());
        if self.history.cores == Cores::One {
            // For programs that choose the number of their threads themselves.
            command.env("GOMAXPROCS", "1");
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    pub fn run(&self, before: &[String]) -> After {
        let ran = self.command(before, "/mnt/now.json").output().unwrap();
        self.after(ran.status, &[ran.stdout, ran.stderr].concat())
    }

    fn after(&self, status: ExitStatus, said: &[u8]) -> After {
        let told = world::told();
        After {
            status,
            said: String::from_utf8_lossy(said).into_owned(),
            look: world::look(&self.history),
            told,
        }
    }

    /// A run whose write of that number is cut short.
    pub fn shortened(&self, nth: usize, then: Then) -> (After, short::Seen) {
        let mut arguments: Vec<&str> = self.history.flags.to_vec();
        arguments.push("/mnt/now.json");
        let mut command = short::waiting(PROGRAM, &arguments, self.history.user);
        self.dress(&mut command);
        #[expect(clippy::zombie_processes, reason = "the debugger waits for it")]
        let mut child = command.spawn().unwrap();
        let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let seen = short::run(&child, nth, then);
        let mut said = Vec::new();
        stdout.read_to_end(&mut said).unwrap();
        stderr.read_to_end(&mut said).unwrap();
        (self.after(seen.status, &said), seen)
    }

    /// What is there, as far as it is to be the same after each way: with `@` for the number of the live generation, and
    /// without moments. Who made a generation is not in it.
    pub fn whole(&self, look: &Look) -> BTreeMap<String, String> {
        let live = look.things.get(self.history.symlink).map(|link| link.target.clone()).unwrap_or_default();
        let settled = |path: &str| match path.strip_prefix(&live) {
            Some(rest) if !live.is_empty() && (rest.is_empty() || rest.starts_with('/')) => {
                format!("{}/@{rest}", self.history.store)
            }
            _ => path.to_owned(),
        };
        let is_left_out = |path: &str| {
            path.starts_with("/run/nixos/")
                || (path.contains("/made-by-") && path.strip_suffix(".new").is_none())
        };
        let things = look.things.iter().filter(|(path, _)| !is_left_out(path));
        let mut whole: BTreeMap<String, String> =
            things.map(|(path, thing)| (settled(path), line(path, thing, &settled(&thing.target)))).collect();
        for mount in &look.mounts {
            *whole.entry(format!("/mounted {mount}")).or_default() += "once ";
        }
        whole
    }
}

fn line(path: &str, thing: &Thing, target: &str) -> String {
    let Thing { kind, mode, owner: (uid, gid), content, .. } = thing;
    let is_list = path.contains("/sops-activate/run-") && path.strip_suffix(".json").is_some();
    let text = String::from_utf8_lossy(content);
    // The other program's key file has a date.
    let undated =
        |text: &str| text.lines().filter(|line| !line.starts_with("# generated")).collect::<String>();
    let content = match path {
        _ if is_list => without_moments(content),
        path if path.ends_with("/age-keys.txt") => undated(&text),
        _ => text.into_owned(),
    };
    format!("{kind}{mode:o} {uid}:{gid} {target} {}", content.escape_default())
}

fn without_moments(list: &[u8]) -> String {
    let Ok(mut list) = serde_json::from_slice::<Value>(list) else { return "(damaged)".into() };
    for entry in list["placed"].as_array_mut().into_iter().flatten() {
        if let Some(copy) = entry.get_mut("copy") {
            copy["modified"] = Value::Null;
        }
    }
    list.to_string()
}
