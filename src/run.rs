//! The acts, in the order in which they happen.

use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::changes::{Changes, Units};
use crate::check;
use crate::cli::{Arguments, Check, Environment};
use crate::decrypted;
use crate::diagnostic::{Diagnostic, Printable, Report};
use crate::explain::Paths;
use crate::keys::{Keyring, Sources};
use crate::load;
use crate::manifest::Manifest;
use crate::notice::{self, Asked};
use crate::outcome::{self, Outcome};
use crate::plan::access::Ownership;
use crate::plan::{InstallMode, OnFailure, Plan};
use crate::sops::document::{Document, Opened};
use crate::system::accounts::Accounts;
use crate::system::copy::FileCopy;
use crate::system::file::{FileError, read_regular};
use crate::system::generation::{Entry, Wanted};
use crate::system::link::Link;
use crate::system::live::{Installed, LiveGeneration};
use crate::system::mount::Backing;
use crate::system::paths::{self, Memory};
use crate::system::record;
use crate::system::sandbox::{Needs, Sandbox};
use crate::system::store::{Store, Vacant};
use crate::system::units::{self, Channel, Messenger};
use crate::system::untold::Untold;
use crate::system::walk::{PathError, Trust};

/// Bytes of a manifest at most: ten thousand secrets need about five million.
const MANIFEST_LIMIT: u64 = 256 << 20;

/// Does what the command line asks for.
///
/// # Errors
/// With everything that went wrong. What could be done all the same was done, and a live generation is whole.
pub fn run(arguments: &Arguments, environment: Environment) -> Result<(), Report> {
    let plan = plan(arguments, &environment)?;
    if arguments.check != Check::Off {
        return check::check(&plan, arguments.check, arguments.ignore_passwd);
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
        (false, false) => Accounts::system(&plan.accounts),
    };
    let state = state(&plan, &environment);
    let mut report = Report::default();
    let template_files = load::template_files(&plan, Paths::Absolute);
    let documents = if plan.dummy_secrets { Vec::new() } else { documents(&plan, environment, &mut report) };
    let files = if plan.dummy_secrets {
        tracing::warn!("no secret is real: the manifest asks for dummies ('dummySecrets')");
        decrypted::assemble_dummies(&plan, &template_files)
    } else {
        decrypted::assemble(&plan, &documents, &template_files)
    };
    let (outcomes, problems) = outcome::of_files(&files, &accounts);
    report.extend(documents.iter().filter_map(|document| document.as_ref().err().cloned()));
    report.extend(problems.0);
    if plan.on_failure == OnFailure::Abort
        && let Err(aborted) = outcome::all_or_nothing(&plan, &outcomes)
    {
        report.push(aborted);
        return Err(report);
    }
    let activated = if dry {
        dry_activate(&plan, &outcomes, &messenger, &mut report)
    } else {
        let manifest = &arguments.manifest;
        let memory = Remembering { state: state.as_deref(), manifest };
        activate(&plan, &outcomes, &accounts, &messenger, memory, &mut report)
    };
    match activated {
        Ok(table) => report.extend(table),
        Err(error) => report.push(error),
    }
    report.or(())
}

/// Where an activation of the plan remembers what it put outside of the store; none where a user has no home.
#[must_use]
pub fn state(plan: &Plan, environment: &Environment) -> Option<PathBuf> {
    if !plan.user_mode {
        return Some(PathBuf::from(record::STATE));
    }
    environment.state_home.as_ref().map(|state| state.join("sops-activate"))
}

/// The memory in that directory.
#[must_use]
pub fn memory<'m>(plan: &'m Plan, state: Option<&'m Path>) -> Memory<'m> {
    Memory {
        directory: state,
        mount_point: &plan.store.mount_point,
        symlink: &plan.store.symlink_path,
        trust: Trust::of_current_user(),
    }
}

/// What is remembered of an activation, and where.
#[derive(Clone, Copy)]
struct Remembering<'a> {
    /// The directory for state; none where a user has no home.
    state: Option<&'a Path>,
    manifest: &'a Path,
}

/// What there is to do when no other run has to wait any more.
struct Rest {
    /// The units of users.
    untold: Untold,
    /// For all but telling them, unless this is in it.
    sandbox: Option<Sandbox>,
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

/// Every sops file of the plan, opened with the keys of this machine.
fn documents(
    plan: &Plan,
    environment: Environment,
    report: &mut Report,
) -> Vec<Result<Document<Opened>, Diagnostic>> {
    let program = environment.program.clone();
    let keyring = Keyring::collect(&sources(plan, environment));
    // That a line could not be written is a failure, but none that keeps secrets away.
    report.extend(announce_keys(plan, &keyring, &program).err());
    load::open_all(plan, &keyring)
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
            .map_err(|error| notice::not_written(&error))?;
    }
    Ok(())
}

/// Puts everything in place that can be, and tells of it; what goes wrong after the switch goes into the report. Returns
/// the table of what failed.
fn activate(
    plan: &Plan,
    outcomes: &[Outcome],
    accounts: &Accounts,
    messenger: &Messenger,
    memory: Remembering,
    report: &mut Report,
) -> Result<Option<Diagnostic>, Diagnostic> {
    let (table, rest) = install(plan, outcomes, accounts, messenger, memory, report)?;
    // Nobody has to wait for this any more: what users run may hang.
    if let Some(Rest { mut untold, sandbox }) = rest
        && notice::tell_users(plan, untold.units(), messenger, report) == Asked::Some
    {
        report.extend(inside(sandbox.as_ref(), || untold.users_told()).iter().map(plain));
    }
    Ok(table)
}

/// Does all that of an activation for which other runs have to wait. Returns the table of what failed, which is about the
/// generation that is live now, and what is still to be done. Where nothing is live and nothing can be installed no empty
/// generation is made, so that the first secrets that come are the first activation; where nothing is asked for, either,
/// what earlier runs left is cleared away.
fn install(
    plan: &Plan,
    outcomes: &[Outcome],
    accounts: &Accounts,
    messenger: &Messenger,
    memory: Remembering,
    report: &mut Report,
) -> Result<(Option<Diagnostic>, Option<Rest>), Diagnostic> {
    let store_plan = &plan.store;
    let mut waiting = || {
        let mount_point = store_plan.mount_point.to_string_lossy();
        tracing::info!("waiting for another activation of '{}'", Printable(&mount_point));
    };
    if !outcome::has_files(outcomes) && find_live(plan)?.is_none() {
        if !outcomes.is_empty() {
            return Ok((outcome::table(plan, outcomes, None, false), None));
        }
        let opened = Vacant::open(&store_plan.mount_point, &mut waiting);
        let vacant = opened.map_err(|error| with_help(&error, error.help()))?;
        // Another run may have had the lock until now.
        if find_live(plan)?.is_none() {
            report.extend(vacant.remove_leftovers(&store_plan.symlink_path).iter().map(at_path));
            put_outside(plan, &[], memory.state, report);
            return Ok((None, None));
        }
    }
    let backing = match (plan.user_mode, store_plan.use_tmpfs) {
        (true, _) => Backing::Existing,
        (false, true) => Backing::Tmpfs,
        (false, false) => Backing::Ramfs,
    };
    let directories =
        accounts.directories().map_err(|error| Diagnostic::new(error.to_string()).help(error.help(None)))?;
    let opened = Store::open(&store_plan.mount_point, backing, directories, &mut waiting);
    let (store, warnings) = opened.map_err(|error| with_help(&error, error.help()))?;
    warn(&warnings);
    report.extend(store.remove_leftovers(&store_plan.symlink_path).iter().map(at_path));
    let mut before = store.live(&store_plan.symlink_path).map_err(|error| plain(&error))?;
    let (mut untold, problems) = store.untold(before.as_ref()).map_err(|error| plain(&error))?;
    warn(&problems);
    let sandbox = confine(plan, &store, messenger, untold.units(), memory.state);
    let (live, changes) = inside(sandbox.as_ref(), || {
        let before = before.take();
        put_in_place(plan, &store, before, outcomes, directories, &mut untold, memory, report)
    })?;
    // Programs tell, as far as they do, from outside of the sandbox.
    let asked = notice::tell_machine(plan, untold.units(), messenger, report);
    let table = inside(sandbox.as_ref(), || {
        if asked == Asked::Some {
            report.extend(untold.machine_told().iter().map(plain));
        }
        report.extend(changes.as_ref().and_then(|changes| notice::log(plan, changes, false).err()));
        report.extend(store.prune(&live, store_plan.keep_generations).iter().map(plain));
        outcome::table(plan, outcomes, Some(&live), false)
    });
    Ok((table, Some(Rest { untold, sandbox })))
}

/// Makes live what is wanted, and puts outside of the store what goes there. Returns what is live, and in what it differs.
#[expect(clippy::too_many_arguments, reason = "it is the part of `install` that comes before units are told")]
fn put_in_place(
    plan: &Plan,
    store: &Store,
    before: Option<LiveGeneration>,
    outcomes: &[Outcome],
    directories: Ownership,
    untold: &mut Untold,
    memory: Remembering,
    report: &mut Report,
) -> Result<(LiveGeneration, Option<Changes>), Diagnostic> {
    let number_before = before.as_ref().map(LiveGeneration::number);
    let (live, changes) = go_live(plan, store, before, outcomes, directories, untold, report)
        .map_err(|error| at_path(&error))?;
    // From here on the new secrets are in place: everything is tried, and what fails is told.
    let (records, mount_point) = (Path::new(record::STATE), &plan.store.mount_point);
    let is_known = number_before == Some(live.number()) && !record::is_unfinished(records, mount_point);
    if !plan.user_mode && !is_known {
        // Who made a generation: nothing but the answer of `status` depends on it, early in a boot there may be no place
        // for it, and a user's activation has none.
        record::remember(records, mount_point, &live, memory.manifest).ok();
    }
    place(plan, outcomes, &live, memory.state, report);
    Ok((live, changes))
}

/// Everything is read, and what is to be written is known: from here on the process is in the sandbox. Where programs may
/// have to be run, which would be in it, too, the sandbox is returned, for threads.
fn confine(
    plan: &Plan,
    store: &Store,
    messenger: &Messenger,
    untold: &Units,
    state: Option<&Path>,
) -> Option<Sandbox> {
    let of = |paths: Vec<&Path>| -> Vec<PathBuf> {
        paths.into_iter().filter_map(Path::parent).map(Path::to_owned).collect()
    };
    let placed = |mode| {
        plan.targets()
            .filter(move |target| target.install_mode == mode)
            .filter_map(|target| target.link.as_deref())
    };
    let memory = memory(plan, state);
    // The lists of units, if somebody is there to read them.
    let lists = Path::new(units::LISTS);
    let (before, has_lists) = match (paths::placed_before(&memory), lists.try_exists()) {
        (Ok(before), Ok(has_lists)) => (before, has_lists),
        // What is not known now may be needed later.
        (Err(error), _) => return no_sandbox(&error),
        (_, Err(error)) => return no_sandbox(&error),
    };
    let mut links: Vec<&Path> =
        before.iter().map(PathBuf::as_path).chain(placed(InstallMode::Symlink)).collect();
    links.push(&plan.store.symlink_path);
    let mut files = of(placed(InstallMode::Copy).collect());
    files.extend(state.into_iter().chain(has_lists.then_some(lists)).map(Path::to_owned));
    let needs = Needs { store, links: of(links), files };
    let sandbox = match Sandbox::for_activation(&needs) {
        Ok(sandbox) => sandbox,
        Err(error) => return no_sandbox(&error),
    };
    if messenger.may_run_programs(plan, untold) {
        return Some(sandbox);
    }
    sandbox.enter().err().and_then(|error| no_sandbox(&error))
}

/// Nothing that works without may fail with it.
fn no_sandbox(reason: &dyn Display) -> Option<Sandbox> {
    tracing::debug!("there is no sandbox: {reason}");
    None
}

/// Does `work` in a thread in the sandbox, or here, where this is in it, or there is none.
fn inside<R: Send>(sandbox: Option<&Sandbox>, mut work: impl FnMut() -> R + Send) -> R {
    match sandbox {
        Some(sandbox) => sandbox.hold(work),
        None => work(),
    }
}

/// Makes what is wanted live, in a new generation if it differs from the live one, and says in what; there is nothing
/// to compare with on the first activation. Who is to be told is noted before that, in case that nothing comes after it.
fn go_live(
    plan: &Plan,
    store: &Store,
    before: Option<LiveGeneration>,
    outcomes: &[Outcome],
    directories: Ownership,
    untold: &mut Untold,
    report: &mut Report,
) -> Result<(LiveGeneration, Option<Changes>), PathError> {
    let symlink = &plan.store.symlink_path;
    let wanted = wanted(outcomes);
    let differences = before.as_ref().map(|live| live.differences(&wanted, Some(directories))).transpose()?;
    let staged = match (before, &differences) {
        (Some(live), Some(differences)) if differences.is_empty() => return Ok((live, None)),
        (before, _) => store.stage(symlink, &wanted, before.as_ref())?,
    };
    let number = staged.number();
    let changes = differences.as_ref().map(notice::changes);
    if let Some(changes) = &changes {
        warn(untold.add(number, &changes.units(plan, &outcome::failed(outcomes))).err().as_slice());
    }
    let switched = staged.switch(symlink).inspect_err(|_| untold.take_back(number))?;
    report.extend(switched.left_behind.iter().map(plain));
    Ok((switched.live, changes))
}

/// Tells what keeps no secret away.
fn warn(warnings: &[impl Display]) {
    for warning in warnings {
        tracing::warn!("{}", Printable(&warning.to_string()));
    }
}

fn wanted<'d>(outcomes: &[Outcome<'d>]) -> Vec<Wanted<'d>> {
    outcomes.iter().map(|outcome| outcome.wanted).collect()
}

/// Says what [`activate`] would change, and changes nothing. Returns the table of what would fail.
fn dry_activate(
    plan: &Plan,
    outcomes: &[Outcome],
    messenger: &Messenger,
    report: &mut Report,
) -> Result<Option<Diagnostic>, Diagnostic> {
    let Some(live) = find_live(plan)? else { return Ok(outcome::table(plan, outcomes, None, true)) };
    let differences = live.differences(&wanted(outcomes), None).map_err(|error| plain(&error))?;
    let changes = notice::changes(&differences);
    let mut units = changes.units(plan, &outcome::failed(outcomes));
    let (before, problems) = Untold::before(&plan.store.mount_point, &live);
    units.add(&before);
    warn(&problems);
    // A dry run leaves the notes in any case.
    let _ = notice::tell_machine(plan, &units, messenger, report);
    let _ = notice::tell_users(plan, &units, messenger, report);
    report.extend(notice::log(plan, &changes, true).err());
    Ok(outcome::table(plan, outcomes, Some(&live), true))
}

fn find_live(plan: &Plan) -> Result<Option<LiveGeneration>, Diagnostic> {
    LiveGeneration::find(&plan.store.mount_point, &plan.store.symlink_path).map_err(|error| plain(&error))
}

/// Links and copies at the paths that secrets ask for, and none where they asked before. What failed is what it is in the
/// store: an absent secret has no link, which would lead nowhere. But the copy of one stays that was made when it was there.
fn place(
    plan: &Plan,
    outcomes: &[Outcome],
    live: &LiveGeneration,
    state: Option<&Path>,
    report: &mut Report,
) {
    let kept: Vec<Option<Installed>> = outcomes
        .iter()
        .map(|outcome| match (outcome.target.install_mode, outcome.wanted) {
            (InstallMode::Copy, Wanted::AsBefore(name)) => live.read(name).unwrap_or_else(|error| {
                report.push(plain(&error));
                None
            }),
            _ => None,
        })
        .collect();
    let mut wanted = Vec::new();
    for (Outcome { target, wanted: file, .. }, kept) in outcomes.iter().zip(&kept) {
        let Some(path) = target.link.clone() else { continue };
        let link_of = |path, ownership| {
            let target = plan.store.symlink_path.join(target.name.as_str());
            paths::Wanted::Link(Link { path, target, ownership })
        };
        wanted.push(match (target.install_mode, file, kept) {
            (InstallMode::Symlink, Wanted::File(entry), _) => link_of(path, entry.ownership),
            (InstallMode::Symlink, Wanted::AsBefore(name), _) => match live.owner(name) {
                Ok(Some(ownership)) => link_of(path, ownership),
                Ok(None) => continue,
                Err(error) => {
                    report.push(plain(&error));
                    paths::Wanted::AsBefore(path)
                }
            },
            (InstallMode::Copy, Wanted::File(entry), _) => {
                let Entry { ownership, mode, content, .. } = *entry;
                paths::Wanted::Copy(FileCopy { path, content, ownership, mode })
            }
            (InstallMode::Copy, Wanted::AsBefore(_), Some(kept)) => {
                let Installed { content, ownership, mode } = kept;
                let (content, ownership, mode) = (content.expose(), *ownership, *mode);
                paths::Wanted::Copy(FileCopy { path, content, ownership, mode })
            }
            (InstallMode::Copy, Wanted::AsBefore(_), None) => paths::Wanted::AsBefore(path),
        });
    }
    put_outside(plan, &wanted, state, report);
}

/// Everything that is wanted outside of the store, and nothing that was and is not any more.
fn put_outside(plan: &Plan, wanted: &[paths::Wanted], state: Option<&Path>, report: &mut Report) {
    let done = paths::place_all(wanted, &memory(plan, state));
    warn(&done.warnings);
    for error in done.failures {
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

fn plain(error: &FileError) -> Diagnostic {
    Diagnostic::new(error.to_string())
}

fn at_path(error: &PathError) -> Diagnostic {
    with_help(error, error.help())
}

fn with_help(error: &dyn std::error::Error, help: Option<String>) -> Diagnostic {
    Diagnostic { problem: error.to_string(), location: None, notes: Vec::new(), help }
}
