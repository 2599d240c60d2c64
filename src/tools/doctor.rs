//! `doctor`: examines all that a manifest needs, on this machine or, from public keys, for others, and ends with the
//! one thing to do. It decrypts to see that it can, and prints nothing of what it saw; it changes nothing.

mod findings;
mod hosts;
mod opening;
mod places;
mod unit;

use std::path::Path;

use serde::Serialize;

use super::{Verdict, print, print_json};
use crate::cli::tool::Doctor;
use crate::cli::{Arguments, Check, Environment};
use crate::decrypted::{self, Failure, File};
use crate::diagnostic::{Diagnostic, Report};
use crate::explain::{self, Paths};
use crate::keys::Keyring;
use crate::load;
use crate::plan::Plan;
use crate::run;
use crate::system::accounts::Accounts;
use crate::system::mount_table::MountTable;
use crate::system::survey;
use findings::{Area, Finding, Findings};
use opening::{FileFacts, KeyFacts, Opening};
use unit::Unit;

const DUMMIES: &str = "no secret is real: the manifest asks for dummies ('dummySecrets'), and no key and no sops file is looked at";

/// Everything that was found; JSON as it stands, `docs/reference/json.md`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Examination<'m> {
    manifest: &'m Path,
    healthy: bool,
    /// The thing to do; none when there is nothing.
    todo: Option<String>,
    keys: Vec<KeyFacts>,
    hosts: Vec<hosts::HostFacts>,
    files: Vec<FileFacts>,
    findings: &'m [Finding],
}

pub fn doctor(asked: &Doctor, environment: Environment) -> Result<Verdict, Report> {
    let hosts = hosts::read(&asked.host_keys)?;
    let mut findings = Findings::default();
    let arguments = Arguments {
        manifest: asked.manifest.clone(),
        // Only a machine that is examined has to have a runtime directory.
        check: if hosts.is_empty() { Check::Off } else { Check::SopsFile },
        ignore_passwd: asked.ignore_passwd,
    };
    let (mut keys, mut files, mut well) = (Vec::new(), Vec::new(), String::new());
    match run::plan(&arguments, &environment) {
        Err(report) => {
            for diagnostic in report.0 {
                findings.problem(Area::Manifest, diagnostic);
            }
        }
        Ok(plan) => {
            let count = counted(plan.secrets.len(), "secret");
            findings.ok(Area::Manifest, summary(asked, &plan));
            if hosts.is_empty() {
                (keys, files) = machine(asked, &plan, environment, &mut findings);
                let unseen = files.iter().filter(|file| !file.opens).count();
                well = if plan.dummy_secrets {
                    format!("this machine has in place what it should: {count}, none of them real")
                } else if unseen > 0 {
                    format!(
                        "all is well that can be seen here; {} may open for the unit",
                        counted(unseen, "sops file")
                    )
                } else {
                    format!("this machine opens and has in place what it should: {count}")
                };
            } else {
                files = hosts::examine(&plan, &hosts, &mut findings);
                let who = if hosts.len() == 1 { "the host" } else { "every host" };
                well = format!("{who} can open every file: {count}");
            }
        }
    }
    let todo = findings.todo();
    let healthy = todo.is_none();
    if asked.json {
        let hosts = hosts.into_iter().map(hosts::HostFacts::from).collect();
        let manifest = asked.manifest.as_path();
        print_json(&Examination { manifest, healthy, todo, keys, hosts, files, findings: findings.all() })?;
    } else {
        let last = todo.map_or_else(|| format!("nothing to do: {well}"), |todo| format!("to do: {todo}"));
        print(&format!("{}{}\n", findings.layout(), crate::diagnostic::Printable(&last)))?;
    }
    Ok(Verdict::well_if(healthy))
}

fn summary(asked: &Doctor, plan: &Plan) -> String {
    let secrets = counted(plan.secrets.len(), "secret");
    let templates = counted(plan.templates.len(), "template");
    let files = counted(plan.files.len(), "sops file");
    format!("'{}': {secrets} and {templates} from {files}", asked.manifest.display())
}

fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// The command that activates the manifest that is examined, where no unit does it.
fn activation(asked: &Doctor) -> String {
    let flag = if asked.ignore_passwd { "-ignore-passwd " } else { "" };
    format!("`sops-activate {flag}{}`", explain::quoted(&asked.manifest.to_string_lossy()))
}

/// In the order in which an activation meets the same things.
fn machine(
    asked: &Doctor,
    plan: &Plan,
    mut environment: Environment,
    findings: &mut Findings,
) -> (Vec<KeyFacts>, Vec<FileFacts>) {
    let is_privileged = plan.user_mode || survey::is_root();
    if !is_privileged {
        let problem = "this is not root, who alone can read the keys and the secrets of a machine";
        let help = "run it as root, or name public keys with --host-key";
        findings.problem(Area::Machine, Diagnostic::new(problem).help(help));
    }
    let mounts = MountTable::read();
    let state = run::state(plan, &environment);
    let template_files = load::template_files(plan, Paths::Absolute);
    let unit = Unit::of(plan, &asked.manifest, &environment);
    if let Some(unit) = unit.as_ref().filter(|_| !plan.dummy_secrets) {
        unit.tell(findings);
        environment.keys = unit.environment(environment.keys);
    }
    let mut sources = run::sources(plan, environment);
    let withheld = unit.as_ref().map(|unit| unit.follow_credentials(&mut sources)).unwrap_or_default();
    let keyring = (!plan.dummy_secrets).then(|| Keyring::collect(&sources));
    let opening = keyring.as_ref().map(|keyring| Opening::new(plan, keyring, unit.as_ref(), &withheld));
    let (key_facts, facts, secrets) = if let Some(opening) = &opening {
        opening.keys(&mounts, findings);
        let secrets = decrypted::assemble(plan, opening.documents(), &template_files);
        (opening.key_facts(), opening.files(findings), secrets)
    } else {
        findings.note(Area::Secrets, DUMMIES.to_owned());
        let unread = |file| FileFacts::new(plan, file, None, |_| None);
        let secrets = decrypted::assemble_dummies(plan, &template_files);
        (Vec::new(), plan.files.iter().map(unread).collect(), secrets)
    };
    values(&secrets, findings);
    let accounts = match (plan.user_mode, asked.ignore_passwd) {
        (true, _) => Accounts::CurrentUser,
        (false, true) => Accounts::RootOnly,
        (false, false) => Accounts::system(&plan.accounts),
    };
    let activation = unit.as_ref().and_then(Unit::activation).unwrap_or_else(|| activation(asked));
    let memory = run::memory(plan, state.as_deref());
    let places = places::Places { plan, mounts: &mounts, memory, activation };
    let owners = places::owners(&secrets, &accounts, findings);
    if is_privileged {
        places.store(&secrets, findings);
        places.generation(&secrets, &owners, &accounts, findings);
        places.links(findings);
    }
    (key_facts, facts)
}

/// Secrets and templates that have no content although their file opens.
fn values(files: &[File], findings: &mut Findings) {
    let mut failed = false;
    for file in files {
        if let Err(Failure::Own(diagnostic)) = &file.content {
            failed = true;
            findings.problem_of(Area::Secrets, &file.target.option, diagnostic.clone());
        }
    }
    if !failed && files.iter().all(|file| file.content.is_ok()) {
        findings.ok(Area::Secrets, "every value is there, and every placeholder stands for one".to_owned());
    }
}
