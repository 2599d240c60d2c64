//! `status`: which generation is live, and what is in it. Sizes are left out: what people paste into a ticket must not
//! say how long a password is.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::{Verdict, print, print_json};
use crate::cli::{Arguments, Check, Environment};
use crate::diagnostic::{Diagnostic, Printable, Report};
use crate::run;
use crate::sops::time::Time;
use crate::system::file::FileError;
use crate::system::live::LiveGeneration;
use crate::system::mount_table::MountTable;
use crate::system::record;
use crate::system::survey::{self, AtPath};

/// The stores of a machine that has named none: the symlink and the mount point of each.
const STORES: [(&str, &str); 2] =
    [("/run/secrets", "/run/secrets.d"), ("/run/secrets-for-users", "/run/secrets-for-users.d")];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoreStatus {
    symlink: PathBuf,
    mount_point: PathBuf,
    store: Option<StoreFacts>,
    live: Option<LiveFacts>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoreFacts {
    file_system: String,
    in_memory: bool,
    is_mount: bool,
    flags: Vec<&'static str>,
    read_only: bool,
}

#[derive(Serialize)]
struct LiveFacts {
    generation: u64,
    since: String,
    /// Who made it; none when that is not known.
    manifest: Option<PathBuf>,
    files: Vec<FileFacts>,
}

#[derive(Serialize)]
struct FileFacts {
    name: PathBuf,
    mode: String,
    owner: String,
    group: String,
    uid: u32,
    gid: u32,
}

pub fn status(manifest: Option<&Path>, json: bool, environment: &Environment) -> Result<Verdict, Report> {
    let mounts = MountTable::read();
    let mut found = Vec::new();
    match manifest {
        Some(manifest) => {
            let arguments =
                Arguments { manifest: manifest.to_owned(), check: Check::Off, ignore_passwd: false };
            let store = run::plan(&arguments, environment)?.store;
            found.push(
                look(&store.symlink_path, &store.mount_point, &mounts).map_err(|error| refused(&error))?,
            );
        }
        None => {
            for (index, (symlink, mount_point)) in STORES.into_iter().enumerate() {
                let (symlink, mount_point) = (Path::new(symlink), Path::new(mount_point));
                // Few machines have secrets for users; of the other store it is told that there is none.
                let absent = matches!(survey::at_path(symlink), Ok(AtPath::Nothing));
                if index == 0 || !absent {
                    found.push(look(symlink, mount_point, &mounts).map_err(|error| refused(&error))?);
                }
            }
        }
    }
    if json {
        print_json(&found)?;
    } else {
        print(&found.iter().map(layout).collect::<String>())?;
    }
    Ok(Verdict::well_if(found.iter().all(|store| store.live.is_some())))
}

fn refused(error: &FileError) -> Diagnostic {
    let diagnostic = Diagnostic::new(error.to_string());
    if survey::is_root() { diagnostic } else { diagnostic.help("run it as root") }
}

fn look(symlink: &Path, mount_point: &Path, mounts: &MountTable) -> Result<StoreStatus, FileError> {
    let store = survey::store(mount_point)?.map(|store| StoreFacts {
        file_system: mounts.kind(mount_point).or(store.memory).unwrap_or("unknown").to_owned(),
        in_memory: store.memory.is_some(),
        is_mount: store.is_mount,
        flags: store.flags,
        read_only: store.read_only,
    });
    let live = LiveGeneration::find(mount_point, symlink)?;
    let live = live.map(|live| -> Result<LiveFacts, FileError> {
        let files = live.files()?.into_iter().map(|file| FileFacts {
            name: file.name,
            mode: format!("{:04o}", file.mode),
            owner: survey::user_name(file.ownership.uid),
            group: survey::group_name(file.ownership.gid),
            uid: file.ownership.uid,
            gid: file.ownership.gid,
        });
        let manifest = record::recall(Path::new(record::STATE), mount_point, &live);
        Ok(LiveFacts {
            generation: live.number(),
            since: utc(live.since()?),
            manifest,
            files: files.collect(),
        })
    });
    Ok(StoreStatus {
        symlink: symlink.to_owned(),
        mount_point: mount_point.to_owned(),
        store,
        live: live.transpose()?,
    })
}

fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Time::from_unix(seconds).to_rfc3339()
}

fn layout(status: &StoreStatus) -> String {
    let mut text = String::new();
    let symlink = status.symlink.display().to_string();
    let symlink = Printable(&symlink);
    let mount_point = status.mount_point.display().to_string();
    let mount_point = Printable(&mount_point);
    // Writing to a String cannot fail.
    let _ = match &status.live {
        Some(live) => writeln!(text, "{symlink}: generation {}, since {}", live.generation, live.since),
        None => writeln!(text, "{symlink}: no generation is live"),
    };
    let _ = match &status.store {
        Some(store) => {
            let kind = if store.is_mount { "" } else { ", not a mount of its own" };
            let read_only = if store.read_only { ", read-only" } else { "" };
            let flags = if store.flags.is_empty() { "no flags".to_owned() } else { store.flags.join(",") };
            writeln!(text, "  store: {mount_point}, {} ({flags}){kind}{read_only}", store.file_system)
        }
        None => writeln!(text, "  store: {mount_point} does not exist"),
    };
    if let Some(live) = &status.live {
        let manifest = live.manifest.as_ref().map(|manifest| manifest.display().to_string());
        let made_by = manifest.unwrap_or_else(|| "a manifest that is not known".to_owned());
        let _ = writeln!(text, "  made by: {}", Printable(&made_by));
    }
    let files = status.live.iter().flat_map(|live| &live.files);
    let owned = |file: &FileFacts| format!("{}:{}", file.owner, file.group);
    let width = files.clone().map(|file| owned(file).chars().count()).max().unwrap_or_default();
    for file in files {
        let name = file.name.display().to_string();
        let _ = writeln!(text, "  {} {:width$} {}", file.mode, owned(file), Printable(&name));
    }
    text
}
