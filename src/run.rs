//! The acts, in the order in which they happen.

use std::io::Write as _;
use std::path::Path;

use crate::changes::Changes;
use crate::check;
use crate::cli::{Arguments, Check, Environment};
use crate::decrypted::{self, Failure, File};
use crate::diagnostic::{Diagnostic, Printable, Report};
use crate::explain::Paths;
use crate::keys::{Keyring, Sources};
use crate::load;
use crate::manifest::Manifest;
use crate::plan::Plan;
use crate::plan::Target;
use crate::plan::access::Ownership;
use crate::secret::Plaintext;
use crate::sops::document::{Document, Opened};
use crate::system::accounts::Accounts;
use crate::system::file::{FileError, read_regular};
use crate::system::generation::Entry;
use crate::system::link::{self, Link, Trust};
use crate::system::live::{Differences, LiveGeneration};
use crate::system::mount::Backing;
use crate::system::record;
use crate::system::store::Store;
use crate::system::units::{Channel, Messenger, UnitsError};

/// Bytes of a manifest at most: ten thousand secrets need about five million.
const MANIFEST_LIMIT: u64 = 256 << 20;

/// Does what the command line asks for.
///
/// # Errors
/// With everything that went wrong. What could be done all the same was done, and a live generation is whole.
pub fn run(arguments: &Arguments, environment: Environment) -> Result<(), Report> {
    let plan = plan(arguments, &environment)?;
    if arguments.check != Check::Off {
        return check::check(&plan, arguments.check);
    }
    let dry = environment.dry_activate;
    let messenger = Messenger {
        channel: Channel::new(environment.restart_via_systemctl, dry),
        user_mode: plan.user_mode,
        path: environment.keys.path().map(ToOwned::to_owned),
    };
    let accounts = match (plan.user_mode, arguments.ignore_passwd || dry) {
        (true, _) => Accounts::CurrentUser,
        (false, true) => Accounts::RootOnly,
        (false, false) => Accounts::system(),
    };
    let program = environment.program.clone();
    let keyring = Keyring::collect(&sources(&plan, environment));
    let told = announce_keys(&plan, &keyring, &program);
    let (documents, mut report) = documents(&plan, &keyring);
    let template_files = load::template_files(&plan, Paths::Absolute);
    let files = decrypted::assemble(&plan, &documents, &template_files);
    let owners = owners(&files, &accounts, &mut report);
    let before = live_number(&plan);
    // All or nothing, so far.
    let done = complete(&files, &owners, report).and_then(|entries| {
        if dry {
            dry_activate(&plan, &entries, &messenger)
        } else {
            activate(&plan, &entries, &accounts, &messenger)
        }
    });
    if !dry {
        remember(&plan, before, &arguments.manifest);
    }
    // That a line could not be written is a failure, but none that keeps secrets away.
    match told {
        Ok(()) => done,
        Err(unwritten) => {
            let mut report = done.err().unwrap_or_default();
            report.push(unwritten);
            Err(report)
        }
    }
}

fn live_number(plan: &Plan) -> Option<u64> {
    let live = LiveGeneration::find(&plan.store.mount_point, &plan.store.symlink_path);
    live.ok().flatten().map(|live| live.number())
}

/// Writes down who made a new generation. A user's activation does not: that has no place for state.
fn remember(plan: &Plan, before: Option<u64>, manifest: &Path) {
    let mount_point = &plan.store.mount_point;
    let Ok(Some(live)) = LiveGeneration::find(mount_point, &plan.store.symlink_path) else { return };
    if !plan.user_mode && before != Some(live.number()) {
        // Nothing but the answer of `status` depends on it, and early in a boot there may be no place for it.
        record::remember(Path::new(record::STATE), mount_point, &live, manifest).ok();
    }
}

/// The plan that the manifest makes.
///
/// # Errors
/// With every problem of the manifest.
pub fn plan(arguments: &Arguments, environment: &Environment) -> Result<Plan, Report> {
    let text = read_regular(&arguments.manifest, MANIFEST_LIMIT)
        .map_err(|error| Diagnostic::new(format!("no manifest: {error}")))?;
    // The check runs where the user's directory is not known, in the sandbox of a build.
    let anywhere = (arguments.check != Check::Off).then_some("/run/user/0");
    let manifest =
        Manifest::parse(text.expose()).map_err(|report| in_manifest(&arguments.manifest, report))?;
    let plan = Plan::new(manifest, environment.runtime_dir.as_deref().or(anywhere))?;
    for warning in &plan.warnings {
        tracing::warn!("{}", Printable(warning));
    }
    Ok(plan)
}

fn in_manifest(path: &Path, report: Report) -> Report {
    let path = path.display();
    let named = report.0.into_iter().map(|diagnostic| Diagnostic {
        problem: format!("the manifest '{path}' cannot be used: {}", diagnostic.problem),
        help: diagnostic.help.or(Some("correct it where the manifest is written".to_owned())),
        ..diagnostic
    });
    Report(named.collect())
}

/// Where an activation of the plan looks for keys.
pub fn sources(plan: &Plan, environment: Environment) -> Sources {
    let mut sources = Sources {
        age_ssh_key_paths: plan.keys.age_ssh_key_paths.clone(),
        ssh_key_paths: plan.keys.ssh_key_paths.clone(),
        gnupg_home: plan.keys.gnupg_home.clone(),
        age_key_file: plan.keys.age_key_file.clone(),
        may_ask: plan.user_mode,
        environment: environment.keys,
        ..Sources::default()
    };
    // A service must not depend on what lies in a home; a user's own program may, and the original does.
    if plan.user_mode {
        sources.user_key_files.extend(environment.config_home.map(|dir| dir.join("sops/age/keys.txt")));
        if let Some(home) = environment.home {
            sources.user_ssh_keys = vec![home.join(".ssh/id_ed25519"), home.join(".ssh/id_rsa")];
        }
    }
    sources
}

/// `logging.keyImport`: every configured key is named, needed or not; OpenPGP keys on standard output, as in the
/// original.
fn announce_keys(plan: &Plan, keyring: &Keyring, program: &str) -> Result<(), Diagnostic> {
    if !plan.logging.key_import {
        return Ok(());
    }
    for (path, recipient) in keyring.imported() {
        let path = path.display().to_string();
        tracing::info!("Imported {} as age key with fingerprint {recipient}", Printable(&path));
    }
    let mut out = std::io::stdout().lock();
    for (path, fingerprint) in keyring.imported_pgp() {
        let path = path.display().to_string();
        writeln!(out, "{program}: Imported {} as GPG key with fingerprint {fingerprint}", Printable(&path))
            .map_err(|error| not_written(&error))?;
    }
    Ok(())
}

fn not_written(error: &std::io::Error) -> Diagnostic {
    Diagnostic::new(format!("cannot write to standard output: {error}"))
}

fn documents(plan: &Plan, keyring: &Keyring) -> (Vec<Option<Document<Opened>>>, Report) {
    let mut report = Report::default();
    let documents = load::open_all(plan, keyring)
        .into_iter()
        .map(|document| document.map_err(|diagnostic| report.push(diagnostic)).ok())
        .collect();
    (documents, report)
}

fn owners(files: &[File], accounts: &Accounts, report: &mut Report) -> Vec<Option<Ownership>> {
    let resolve = |file: &File| match accounts.resolve(&file.target.access) {
        Ok(ownership) => Some(ownership),
        Err(error) => {
            let help = error.help();
            report.push(Diagnostic::new(format!("{}: {error}", file.target.title)).help(help));
            None
        }
    };
    files.iter().map(resolve).collect()
}

/// The entries of the new generation, if every file has its content and its owner.
fn complete<'f>(
    files: &'f [File],
    owners: &[Option<Ownership>],
    mut report: Report,
) -> Result<Vec<Entry<'f>>, Report> {
    let mut entries = Vec::with_capacity(files.len());
    for (file, owner) in files.iter().zip(owners) {
        let target = file.target;
        match (&file.content, owner) {
            (Ok(content), Some(ownership)) => entries.push(Entry {
                name: &target.name,
                ownership: *ownership,
                mode: target.access.mode,
                content: Plaintext::expose(content),
            }),
            (Err(Failure::Own(diagnostic)), _) => report.push(diagnostic.clone()),
            // Told with the file, the secret or the owner.
            (Err(Failure::SopsFile | Failure::Secret), _) | (_, None) => {}
        }
    }
    report.or(entries)
}

fn activate(
    plan: &Plan,
    entries: &[Entry],
    accounts: &Accounts,
    messenger: &Messenger,
) -> Result<(), Report> {
    let store_plan = &plan.store;
    let backing = match (plan.user_mode, store_plan.use_tmpfs) {
        (true, _) => Backing::Existing,
        (false, true) => Backing::Tmpfs,
        (false, false) => Backing::Ramfs,
    };
    let directories =
        accounts.directories().map_err(|error| Diagnostic::new(error.to_string()).help(error.help()))?;
    let waiting = || {
        tracing::info!(
            "waiting for another activation of '{}'",
            Printable(&store_plan.mount_point.to_string_lossy())
        );
    };
    let opened = Store::open(&store_plan.mount_point, backing, directories, &mut { waiting });
    let (store, warnings) = opened.map_err(|error| with_help(&error, error.help()))?;
    for warning in warnings {
        tracing::warn!("{}", Printable(&warning.to_string()));
    }
    let symlink = &store_plan.symlink_path;
    let mut report = Report(store.remove_leftovers(symlink).iter().map(plain).collect());
    let (live, differences) = match go_live(&store, symlink, entries, directories, &mut report) {
        Ok(live) => live,
        Err(error) => {
            report.push(plain(&error));
            return Err(report);
        }
    };
    // From here on the new secrets are in place: everything is tried, and what fails is told.
    link(plan, entries, &mut report);
    if let Some(differences) = &differences {
        notify(plan, &changes(differences), messenger, &mut report);
    }
    report.0.extend(store.prune(&live, store_plan.keep_generations).iter().map(plain));
    report.or(())
}

/// Makes the entries live, in a new generation if they differ from the live one, and says in what; there is nothing to
/// compare with on the first activation.
fn go_live(
    store: &Store,
    symlink: &Path,
    entries: &[Entry],
    directories: Ownership,
    report: &mut Report,
) -> Result<(LiveGeneration, Option<Differences>), FileError> {
    let before = store.live(symlink)?;
    let differences = before.as_ref().map(|live| live.differences(entries, Some(directories))).transpose()?;
    if let (Some(live), Some(differences)) = (before, &differences)
        && differences.is_empty()
    {
        return Ok((live, None));
    }
    let switched = store.stage(symlink, entries)?.switch(symlink)?;
    report.0.extend(switched.left_behind.iter().map(plain));
    Ok((switched.live, differences))
}

/// Says what [`activate`] would change, and changes nothing.
fn dry_activate(plan: &Plan, entries: &[Entry], messenger: &Messenger) -> Result<(), Report> {
    let live = LiveGeneration::find(&plan.store.mount_point, &plan.store.symlink_path);
    let mut report = Report::default();
    if let Some(live) = live.map_err(|error| plain(&error))? {
        let differences = live.differences(entries, None).map_err(|error| plain(&error))?;
        notify(plan, &changes(&differences), messenger, &mut report);
    }
    report.or(())
}

fn changes(differences: &Differences) -> Changes {
    Changes {
        added: differences.added.iter().map(|name| name.as_str().to_owned()).collect(),
        modified: differences.modified.iter().map(|name| name.as_str().to_owned()).collect(),
        removed: differences.removed.iter().map(|path| path.to_string_lossy().into_owned()).collect(),
    }
}

/// Links at the paths that secrets ask for.
fn link(plan: &Plan, entries: &[Entry], report: &mut Report) {
    let links: Vec<Link> = plan
        .targets()
        .zip(entries)
        .filter_map(|(target, entry)| {
            let target_path = plan.store.symlink_path.join(target.name.as_str());
            Some(Link { path: target.link.clone()?, target: target_path, ownership: entry.ownership })
        })
        .collect();
    let trust = if plan.user_mode { Trust::Anyone } else { Trust::RootOnly };
    for error in link::link_all(&links, trust) {
        let wanted = plan
            .targets()
            .filter(|target| target.link.as_ref().is_some_and(|link| link.starts_with(error.path())));
        let mut diagnostic = with_help(&error, error.help());
        for target in wanted {
            let place = plan.store.symlink_path.join(target.name.as_str());
            let note = format!("{} is in place all the same, at '{}'", target.title, place.display());
            diagnostic = diagnostic.note(note);
        }
        report.push(diagnostic);
    }
}

/// Tells the log and systemd. A user's activation tells neither, as in the original, but for the user's own units.
fn notify(plan: &Plan, changes: &Changes, messenger: &Messenger, report: &mut Report) {
    let units = changes.units(plan);
    for warning in messenger.tell_users(&units) {
        tracing::warn!("{}", Printable(&warning.to_string()));
    }
    if plan.user_mode {
        return;
    }
    report.0.extend(messenger.tell(&units).into_iter().map(|error| not_told(plan, &error)));
    if plan.logging.secret_changes {
        let mut out = std::io::stdout().lock();
        for line in changes.lines(messenger.channel.is_dry()) {
            if let Err(error) = writeln!(out, "{}", Printable(&line)) {
                report.push(not_written(&error));
                return;
            }
        }
    }
}

fn not_told(plan: &Plan, error: &UnitsError) -> Diagnostic {
    let diagnostic = Diagnostic::new(error.to_string());
    let UnitsError::Unknown { unit, .. } = error else { return diagnostic };
    let names_it =
        |target: &&Target| target.restart_units.contains(unit) || target.reload_units.contains(unit);
    let titles: Vec<&str> = plan.targets().filter(names_it).map(|target| target.title.as_str()).collect();
    diagnostic
        .note(format!("named by {}", titles.join(", ")))
        .help("correct its name in `restartUnits` or `reloadUnits`, or leave it out there")
}

fn plain(error: &FileError) -> Diagnostic {
    Diagnostic::new(error.to_string())
}

fn with_help(error: &dyn std::error::Error, help: Option<String>) -> Diagnostic {
    Diagnostic { problem: error.to_string(), location: None, notes: Vec::new(), help }
}
