//! The unit that installs a manifest, seen from outside: keys that only it has, in its variables and credentials.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::findings::{Area, Findings};
use crate::cli::Environment;
use crate::keys::{self, Sources};
use crate::plan::Plan;
use crate::secret::SecretBytes;
use crate::system::process::Variables;
use crate::system::service::{Credential, Manager, Service};

pub struct Unit {
    pub name: &'static str,
    service: Option<Service>,
    /// It installs this manifest, not another one.
    installs: bool,
    /// It is one of a user's manager.
    is_users: bool,
}

/// A key that only the unit gets to see.
pub struct Withheld {
    id: String,
    place: PathBuf,
}

impl Unit {
    /// The unit for such a plan. None where it is not known where it would be.
    pub fn of(plan: &Plan, manifest: &Path, environment: &Environment) -> Option<Self> {
        let (manager, name) = if plan.user_mode {
            let manager = Manager::User {
                home: environment.home.clone()?,
                config: environment.config_home.clone()?,
                state: environment.state_home.clone()?,
                runtime: environment.runtime_dir.clone()?.into(),
            };
            (manager, "sops-nix.service")
        } else if plan.store.symlink_path.ends_with("secrets-for-users") {
            (Manager::System, "sops-install-secrets-for-users.service")
        } else {
            (Manager::System, "sops-install-secrets.service")
        };
        let service = Service::read(manager, name);
        let installs = service.as_ref().is_some_and(|service| service.runs_with(manifest));
        Some(Self { name, service, installs, is_users: plan.user_mode })
    }

    /// A user's comes when everything is mounted.
    pub fn waits_for(&self, mount_point: &Path) -> bool {
        self.is_users || self.service.as_ref().is_some_and(|service| service.waits_for(mount_point))
    }

    /// The command that installs the manifest, if this unit does.
    pub fn activation(&self) -> Option<String> {
        let whose = if self.is_users { "--user " } else { "" };
        self.installs.then(|| format!("`systemctl {whose}restart {}`", self.name))
    }

    /// That keys are looked for as the unit does, if it installs the manifest.
    pub fn tell(&self, findings: &mut Findings) {
        if self.installs {
            let text = format!("{} installs this manifest: keys are looked for as it does", self.name);
            findings.ok(Area::Machine, text);
        }
    }

    /// What is not known where no unit installs the manifest.
    pub fn unknown(&self) -> Option<String> {
        let name = self.name;
        let why = match &self.service {
            Some(_) if self.installs => return None,
            Some(_) => format!("{name} of this machine installs another manifest"),
            None => format!("there is no {name} on this machine"),
        };
        let what = if self.is_users { "" } else { ", `sops.age.keyCredential`" };
        Some(format!("{why}: keys that only the unit has (`sops.environment`{what}) are not looked for"))
    }

    /// What the unit's environment says about keys, in place of the caller's, if it installs the manifest.
    pub fn environment(&self, callers: keys::Environment) -> keys::Environment {
        let Some(service) = self.service.as_ref().filter(|_| self.installs) else { return callers };
        let mut variables = service.environment();
        if self.is_users {
            // A user's manager has most of what the user's shell has. What this one says of keys it need not have.
            let says_of_keys = |name: &OsStr| name == "GNUPGHOME" || name.as_bytes().starts_with(b"SOPS_");
            let is_new = |name: &OsStr| variables.iter().all(|(known, _)| known != name);
            let inherited: Variables = callers
                .handed_on
                .iter()
                .filter(|(name, _)| !says_of_keys(name) && is_new(name))
                .cloned()
                .collect();
            variables.extend(inherited);
        }
        if let Some(path) = callers.path().filter(|_| variables.iter().all(|(name, _)| name != "PATH")) {
            // systemd's own is not known here.
            variables.push(("PATH".into(), path.to_owned()));
        }
        keys::Environment::of(variables)
    }

    /// Has keys that come by credentials looked for where those come from. What only the unit can open is left out, and
    /// returned.
    pub fn follow_credentials(&self, sources: &mut Sources) -> Vec<Withheld> {
        let mut withheld = Vec::new();
        let Some(service) = self.service.as_ref().filter(|_| self.installs) else { return withheld };
        let mut follow = |path: PathBuf| match followed(service, path) {
            Followed::Here(path) => (Some(path), None),
            Followed::Text(text) => (None, Some(text)),
            Followed::Sealed(one) => {
                withheld.push(one);
                (None, None)
            }
        };
        // A text instead of a file is known for this variable alone: it is the one that the module sets.
        if let Some(path) = sources.environment.age_key_file.take() {
            (sources.environment.age_key_file, sources.environment.age_key_file_content) = follow(path);
        }
        sources.environment.age_ssh_private_key_file =
            sources.environment.age_ssh_private_key_file.take().and_then(|path| follow(path).0);
        sources.age_key_file = sources.age_key_file.take().and_then(|path| follow(path).0);
        for paths in [&mut sources.age_ssh_key_paths, &mut sources.ssh_key_paths] {
            *paths = std::mem::take(paths).into_iter().filter_map(|path| follow(path).0).collect();
        }
        withheld
    }

    pub fn tell_withheld(&self, withheld: &[Withheld], findings: &mut Findings) {
        for Withheld { id, place } in withheld {
            let text = format!(
                "only {} can open its credential '{id}', which is sealed: {}",
                self.name,
                place.display()
            );
            findings.note(Area::Keys, text);
        }
    }
}

enum Followed {
    Here(PathBuf),
    Text(SecretBytes),
    Sealed(Withheld),
}

/// A path that is none of a credential of the unit, or that nothing is known of, stays as it is.
fn followed(service: &Service, path: PathBuf) -> Followed {
    let id = path.strip_prefix(service.credentials()).ok().and_then(Path::to_str);
    let Some(id) = id.filter(|id| !id.is_empty() && !id.contains('/')) else { return Followed::Here(path) };
    match service.credential(id) {
        Credential::File(place) => Followed::Here(place),
        Credential::Text(text) => Followed::Text(text),
        // While the unit is active, root can see what it got.
        Credential::Sealed(place) => match service.live_credential(id) {
            Some(live) => Followed::Here(live),
            None => Followed::Sealed(Withheld { id: id.to_owned(), place }),
        },
        Credential::Absent => Followed::Here(path),
    }
}
