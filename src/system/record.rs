//! Remembers which manifest made the live generation, for people who ask later. It cannot lie in the generation, where
//! sops-install-secrets would take it for a secret, so it lies in the directory for state; it names no secret.
//!
//! A record is of one directory, by number and time: numbers begin anew with every boot.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::file::{FileError, read_regular};
use super::live::LiveGeneration;
use super::remembered::name_of;

/// Where records lie. Its parent has to be there: on a machine without state nothing is remembered.
pub const STATE: &str = "/var/lib/sops-activate";
const LIMIT: u64 = 64 << 10;

/// Writes down that `manifest` made the generation.
///
/// # Errors
/// When it cannot be written. What was remembered before may be gone.
pub fn remember(
    state: &Path,
    mount_point: &Path,
    live: &LiveGeneration,
    manifest: &Path,
) -> Result<(), FileError> {
    let failed = |error| FileError::io("write", state, error);
    match DirBuilder::new().mode(0o700).create(state) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    let path = state.join(file_name(mount_point));
    let new = unfinished(state, mount_point);
    let manifest = std::path::absolute(manifest).map_err(failed)?;
    let text = [label(live)?.as_bytes(), manifest.as_os_str().as_bytes()].concat();
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(failed)?;
    file.write_all(&text).and_then(|()| fs::rename(&new, &path)).map_err(|error| {
        // The first failure is the one to tell.
        fs::remove_file(&new).ok();
        failed(error)
    })
}

/// Whether a run was killed while it wrote a record, and left a part of it.
#[must_use]
pub fn is_unfinished(state: &Path, mount_point: &Path) -> bool {
    fs::symlink_metadata(unfinished(state, mount_point)).is_ok()
}

fn unfinished(state: &Path, mount_point: &Path) -> PathBuf {
    let mut name = file_name(mount_point);
    name.push(".new");
    state.join(name)
}

/// The manifest that made the generation, if that is known.
#[must_use]
pub fn recall(state: &Path, mount_point: &Path, live: &LiveGeneration) -> Option<PathBuf> {
    let text = read_regular(&state.join(file_name(mount_point)), LIMIT).ok()?;
    let manifest = text.expose().strip_prefix(label(live).ok()?.as_bytes())?;
    Some(OsString::from_vec(manifest.to_vec()).into())
}

/// What a record starts with that is of this generation.
fn label(live: &LiveGeneration) -> Result<String, FileError> {
    let since = live.since()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(format!("generation {} of {}.{:09}\n", live.number(), since.as_secs(), since.subsec_nanos()))
}

/// `made-by-run-secrets.d`
fn file_name(mount_point: &Path) -> OsString {
    let mut name = OsString::from("made-by-");
    name.push(name_of(mount_point));
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_manifest_is_remembered_for_its_generation_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (store, link, state) =
            (dir.path().join("secrets.d"), dir.path().join("secrets"), dir.path().join("state"));
        let live = |number: &str| {
            fs::create_dir_all(store.join(number)).unwrap();
            fs::remove_file(&link).ok();
            symlink(store.join(number), &link).unwrap();
            LiveGeneration::find(&store, &link).unwrap().unwrap()
        };
        let first = live("1");
        assert_eq!(recall(&state, &store, &first), None);
        remember(&state, &store, &first, Path::new("/nix/store/a manifest.json")).unwrap();
        assert_eq!(recall(&state, &store, &first), Some("/nix/store/a manifest.json".into()));
        assert_eq!(recall(&state, Path::new("/other"), &first), None);
        assert_eq!(recall(&state, &store, &live("2")), None);
        let names = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path());
        for path in names.chain([state.clone()]) {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
        }
        // The same number after a boot.
        fs::remove_dir(store.join("1")).unwrap();
        assert_eq!(recall(&state, &store, &live("1")), None);
    }

    #[test]
    fn without_a_place_for_state_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let (store, link) = (dir.path().join("secrets.d"), dir.path().join("secrets"));
        fs::create_dir_all(store.join("1")).unwrap();
        symlink(store.join("1"), &link).unwrap();
        let live = LiveGeneration::find(&store, &link).unwrap().unwrap();
        assert!(remember(&dir.path().join("var/lib/state"), &store, &live, Path::new("/m")).is_err());
        assert!(!dir.path().join("var").exists());
    }
}
