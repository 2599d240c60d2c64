//! What a machine has, taken apart from the lines of [`machine::run`](super::super::machine::run).

use std::collections::BTreeMap;

/// What a machine has after an activation.
#[derive(Clone, Default, PartialEq)]
pub struct Look {
    pub exit: String,
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
    /// Units told by this step, for each list or verb.
    pub units: BTreeMap<String, Vec<String>>,
    pub mounts: Vec<String>,
    pub tree: BTreeMap<String, String>,
}

/// Access and content, by path below the symlink.
pub type Secrets = BTreeMap<String, (String, String)>;

impl Look {
    /// `lists` is what the lists of units held before.
    pub fn new(lines: &[String], lists: &mut BTreeMap<String, String>) -> Self {
        let mut look = Self { exit: lines[0].clone(), ..Self::default() };
        for line in &lines[1..] {
            if let Some(text) = line.strip_prefix("stdout ") {
                look.stdout.push(text.into());
            } else if line.starts_with("stderr ") {
                look.stderr.push(line.clone());
            } else if let Some(call) = line.strip_prefix("systemctl --no-block ") {
                // When they are told is for a case to show.
                let (call, _) = call.split_once(" (").unwrap();
                let mut words = call.split(' ').map(str::to_owned);
                let verb = words.next().unwrap();
                look.units.entry(verb).or_default().extend(words);
            } else if line.starts_with("mount ") {
                look.mounts.push(line.clone());
            } else {
                // A path may have blanks in it; what follows it starts with its type.
                let kinds = [" d 0", " f 0", " l "];
                let end = kinds.iter().filter_map(|kind| line.find(kind)).min().unwrap();
                let (path, rest) = line.split_at(end);
                look.tree.insert(path.into(), rest.trim_start().into());
            }
        }
        // A store is mounted earlier by the program that fails later.
        look.mounts.sort();
        // Lists grow: what is new is of this step.
        let paths: Vec<String> = look.tree.keys().filter(|path| path.ends_with("-list")).cloned().collect();
        for path in paths {
            let rest = look.tree.remove(&path).unwrap();
            let (access, content) = rest.split_once('"').unwrap();
            assert_eq!(access, "f 0600 0:0 ");
            let content: String = serde_json::from_str(&format!("\"{content}")).unwrap();
            let before = lists.insert(path.clone(), content.clone()).unwrap_or_default();
            let new = content.strip_prefix(&before).unwrap();
            if !new.is_empty() {
                look.units.insert(path, new.lines().map(str::to_owned).collect());
            }
        }
        look
    }

    /// All of it, to be compared.
    pub fn lines(&self) -> Vec<String> {
        let units = self.units.iter().map(|(list, units)| format!("{list}: {}", units.join(" ")));
        let tree = self.tree.iter().map(|(path, rest)| format!("{path} {rest}"));
        let said =
            std::iter::once(&self.exit).chain(&self.stdout).chain(&self.stderr).chain(&self.mounts).cloned();
        said.chain(units).chain(tree).collect()
    }

    /// The store's symlinks that lead into it: symlink, mount point, number.
    pub fn live(&self) -> Vec<(String, String, u64)> {
        let links = self.tree.iter().filter_map(|(path, rest)| {
            let (_, target) = rest.split_once(" -> ")?;
            let (store, number) = target.rsplit_once('/')?;
            (store == format!("{path}.d") && self.tree.contains_key(target))
                .then(|| Some((path.clone(), store.to_owned(), number.parse().ok()?)))?
        });
        links.collect()
    }

    /// Files of the live generations.
    pub fn secrets(&self) -> Secrets {
        let mut secrets = BTreeMap::new();
        for (symlink, store, number) in self.live() {
            let below = format!("{store}/{number}/");
            for (path, rest) in &self.tree {
                if let (Some(name), Some(file)) = (path.strip_prefix(&below), rest.strip_prefix("f ")) {
                    let (mode, rest) = file.split_once(' ').unwrap();
                    let (owner, content) = rest.split_once(' ').unwrap();
                    secrets
                        .insert(format!("{symlink}/{name}"), (format!("{mode} {owner}"), content.to_owned()));
                }
            }
        }
        secrets
    }

    /// Gives the live generation a name instead of its number, and forgets older ones.
    pub fn only_live(&mut self, link: &str, number: u64) {
        let store = format!("{link}.d");
        let mut tree = BTreeMap::new();
        for (path, rest) in std::mem::take(&mut self.tree) {
            let inside = path
                .strip_prefix(&format!("{store}/"))
                .map(|inside| inside.split_once('/').unwrap_or((inside, "")));
            match inside {
                Some((name, below)) if name == number.to_string() => {
                    tree.insert(format!("{store}/live/{below}"), rest);
                }
                Some((name, _)) if name.parse().is_ok_and(|other: u64| other < number) => {}
                _ if path == link => {
                    let (owner, _) = rest.split_once(" -> ").unwrap();
                    tree.insert(path, format!("{owner} -> {store}/live"));
                }
                _ => {
                    tree.insert(path, rest);
                }
            }
        }
        self.tree = tree;
    }
}
