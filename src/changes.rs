//! What an activation changes: names for the log, units for systemd.

use std::collections::{BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

use crate::plan::{Plan, RENDERED, Target};

/// Names of files below the generation, by what happens to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub added: BTreeSet<String>,
    /// Other bytes, owner, group or mode.
    pub modified: BTreeSet<String>,
    pub removed: BTreeSet<String>,
}

/// Units that use what changed, each once, in the manifest's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Units {
    pub restart: Vec<String>,
    pub reload: Vec<String>,
    /// Of the service managers of users.
    pub restart_user: Vec<String>,
}

impl Units {
    /// Adds those of `others` that are not there yet.
    pub fn add(&mut self, others: &Self) {
        add(&mut self.restart, &others.restart);
        add(&mut self.reload, &others.reload);
        add(&mut self.restart_user, &others.restart_user);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.restart.is_empty() && self.reload.is_empty() && self.restart_user.is_empty()
    }
}

fn add<'n>(list: &mut Vec<String>, names: impl IntoIterator<Item = &'n String>) {
    // Looking through the list for each of a hundred thousand units would take minutes.
    let mut listed: HashSet<String> = list.iter().cloned().collect();
    list.extend(names.into_iter().filter(|name| listed.insert((*name).clone())).cloned());
}

impl Changes {
    /// The lines of `logging.secretChanges`, word for word as sops-install-secrets prints them.
    #[must_use]
    pub fn lines(&self, dry: bool) -> Vec<String> {
        let template = |name: &str| {
            name.strip_prefix(RENDERED).and_then(|name| name.strip_prefix('/')).map(str::to_owned)
        };
        let kinds = [
            (&self.added, "adding", "would add"),
            (&self.modified, "modifying", "would modify"),
            (&self.removed, "removing", "would remove"),
        ];
        let secrets = kinds.map(|(names, verb, dry_verb)| {
            let names: Vec<String> = names.iter().filter(|name| template(name).is_none()).cloned().collect();
            ("secret", names, if dry { dry_verb } else { verb })
        });
        let templates = kinds.map(|(names, verb, dry_verb)| {
            let names: Vec<String> = names.iter().filter_map(|name| template(name)).collect();
            ("rendered secret", names, if dry { dry_verb } else { verb })
        });
        secrets
            .into_iter()
            .chain(templates)
            .filter(|(_, names, _)| !names.is_empty())
            .map(|(noun, names, verb)| {
                let plural = if names.len() == 1 { "" } else { "s" };
                format!("{verb} {noun}{plural}: {}", names.join(", "))
            })
            .collect()
    }

    /// The units of everything that was added or modified, but for the names that `failed`: a service that is told of a
    /// file must be able to read it. A user's activation has no say over the machine's.
    #[must_use]
    pub fn units(&self, plan: &Plan, failed: &BTreeSet<&str>) -> Units {
        let changed = |target: &&Target| {
            let name = target.name.as_str();
            !failed.contains(name) && (self.added.contains(name) || self.modified.contains(name))
        };
        let mut units = Units::default();
        let targets: Vec<&Target> = plan.targets().filter(changed).collect();
        if !plan.user_mode {
            add(&mut units.restart, targets.iter().flat_map(|target| &target.restart_units));
            add(&mut units.reload, targets.iter().flat_map(|target| &target.reload_units));
        }
        add(&mut units.restart_user, targets.iter().flat_map(|target| &target.restart_user_units));
        units
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sorted_one_for_each_kind_secrets_before_templates() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let changes = Changes {
            added: names(&["b", "a", "rendered/t", "renderedx"]),
            modified: names(&["m"]),
            removed: names(&["rendered/u/v", "rendered/w"]),
        };
        assert_eq!(
            changes.lines(false),
            [
                "adding secrets: a, b, renderedx",
                "modifying secret: m",
                "adding rendered secret: t",
                "removing rendered secrets: u/v, w"
            ]
        );
        assert_eq!(changes.lines(true)[1], "would modify secret: m");
        assert_eq!(Changes::default().lines(false), [""; 0]);
    }
}
