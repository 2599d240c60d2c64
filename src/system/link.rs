//! Owns the links from a secret's own path to the secret in the store.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl;

use super::directory::owner_of;
use super::file::FileError;
use super::private::Private;
use super::walk::{Errand, Missing, OffLimits, PARENTS, PathError, Place, Trust};
use crate::plan::access::Ownership;

/// A link that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it is to stand.
    pub path: PathBuf,
    /// The secret below the store's symlink, so that the link stays right from generation to generation.
    pub target: PathBuf,
    /// Owner of the link itself: the secret's. Ignored with [`Trust::Anyone`].
    pub ownership: Ownership,
}

/// What became of a link or a copy that was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Made {
    Anew,
    Unchanged,
}

/// What became of a link or a copy that is not wanted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Unmade {
    Removed,
    /// It was not there any more.
    Gone,
    /// Something else stands there, and was let be.
    Foreign,
    /// A file stands there that is not the one that was put there, and was let be.
    Changed,
}

/// Makes one link, over a file, a link or an empty directory that stands there, with the directories it is to lie in, if
/// that does not lead to what is off limits.
///
/// # Errors
/// When a step of the path is not to be trusted, a directory with something in it stands there, or the system refuses.
pub fn link(wanted: &Link, trust: Trust, off_limits: Option<&OffLimits<'_>>) -> Result<Made, PathError> {
    let errand = Errand { action: "link", path: &wanted.path, trust, off_limits };
    let Some(place) = errand.go(PARENTS)? else { return Ok(Made::Unchanged) };
    let found = place.parent.stat_of(place.name)?;
    // Only root can give a link away.
    let owner = (trust == Trust::RootOnly).then_some(wanted.ownership);
    let is_owner = found.is_some_and(|found| owner.is_none_or(|owner| owner == owner_of(&found)));
    if is_owner && leads_to(&place)?.is_some_and(|found| found == wanted.target.as_os_str()) {
        return Ok(Made::Unchanged);
    }
    let private = Private::new(&place.parent, place.name)?;
    private.link(&wanted.target, owner)?;
    place.put(private)?;
    Ok(Made::Anew)
}

/// Removes the link at `path` if it leads to `target`, letter by letter.
///
/// Whoever may write the directory could put something else there after the look. They would lose what they put there,
/// which they could remove themselves.
///
/// # Errors
/// When a step of the path is not to be trusted or the system refuses.
pub fn unlink(path: &Path, target: &Path, trust: Trust) -> Result<Unmade, PathError> {
    let errand = Errand { action: "remove", path, trust, off_limits: None };
    let Some(place) = errand.go(Missing::Left)? else { return Ok(Unmade::Gone) };
    let unmade = judge(&place, target)?;
    if unmade == Unmade::Removed {
        place.remove()?;
    }
    Ok(unmade)
}

/// What [`unlink`] would do. Changes nothing.
pub(super) fn look(path: &Path, target: &Path, trust: Trust) -> Result<Unmade, PathError> {
    let errand = Errand { action: "look at", path, trust, off_limits: None };
    let Some(place) = errand.look()? else { return Ok(Unmade::Gone) };
    Ok(judge(&place, target)?)
}

fn judge(place: &Place<'_>, target: &Path) -> Result<Unmade, FileError> {
    Ok(match leads_to(place)? {
        Some(found) if found == target.as_os_str() => Unmade::Removed,
        None if place.parent.stat_of(place.name)?.is_none() => Unmade::Gone,
        _ => Unmade::Foreign,
    })
}

/// Where the link leads that stands there; none when something else does, or nothing.
fn leads_to(place: &Place<'_>) -> Result<Option<OsString>, FileError> {
    match fcntl::readlinkat(&place.parent, place.name) {
        Ok(target) => Ok(Some(target)),
        Err(Errno::ENOENT | Errno::EINVAL) => Ok(None),
        Err(errno) => Err(place.parent.failed("read link", place.name, errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::accounts::current_user;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A directory that stands for the machine, and a link wanted in it.
    fn wanted(dir: &tempfile::TempDir, path: &str) -> Link {
        // The directory for temporary files may itself be reached through a symlink.
        let root = dir.path().canonicalize().unwrap();
        Link { path: root.join(path), target: root.join("secrets/a"), ownership: current_user() }
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_link_is_made_with_its_directories_and_then_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = wanted(&dir, "etc/app/key");
        assert_eq!(link(&wanted, Trust::Anyone, None).unwrap(), Made::Anew);
        assert_eq!(fs::read_link(&wanted.path).unwrap(), wanted.target);
        assert_eq!(link(&wanted, Trust::Anyone, None).unwrap(), Made::Unchanged);
        assert_eq!(names(&dir.path().join("etc")), ["app"]);
        assert_eq!(names(&dir.path().join("etc/app")), ["key"]);
    }

    #[test]
    fn a_file_another_link_and_an_empty_directory_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = wanted(&dir, "key");
        let replaced = |wanted: &Link| {
            assert_eq!(link(wanted, Trust::Anyone, None).unwrap(), Made::Anew);
            assert_eq!(fs::read_link(&wanted.path).unwrap(), wanted.target);
            fs::remove_file(&wanted.path).unwrap();
        };
        fs::write(&wanted.path, "old").unwrap();
        replaced(&wanted);
        symlink("elsewhere", &wanted.path).unwrap();
        replaced(&wanted);
        fs::create_dir(&wanted.path).unwrap();
        replaced(&wanted);
    }

    #[test]
    fn a_directory_with_something_in_it_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = wanted(&dir, "key");
        fs::create_dir(&wanted.path).unwrap();
        fs::write(wanted.path.join("precious"), "").unwrap();
        let refused = link(&wanted, Trust::Anyone, None).unwrap_err();
        assert!(matches!(refused, PathError::DirectoryInTheWay { .. }));
        assert!(refused.help().is_some());
        assert_eq!(names(&wanted.path), ["precious"]);
        assert_eq!(names(dir.path()), ["key"]);
    }

    #[test]
    fn what_a_killed_run_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = wanted(&dir, "key");
        let stale = || {
            let stale = dir.path().join(".key.sops-activate");
            fs::create_dir(&stale).unwrap();
            fs::set_permissions(&stale, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
            symlink("half made", stale.join("new")).unwrap();
        };
        stale();
        assert_eq!(link(&wanted, Trust::Anyone, None).unwrap(), Made::Anew);
        assert_eq!(names(dir.path()), ["key"]);
        stale();
        assert_eq!(link(&wanted, Trust::Anyone, None).unwrap(), Made::Unchanged);
        assert_eq!(names(dir.path()), ["key"]);
    }

    #[test]
    fn what_a_run_left_that_was_killed_after_making_a_directory_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = wanted(&dir, "app/key");
        fs::create_dir(dir.path().join("app")).unwrap();
        let stale = dir.path().join(".app.sops-activate");
        fs::create_dir(&stale).unwrap();
        // Anybody may enter that one, so it is not ours.
        assert_eq!(link(&wanted, Trust::Anyone, None).unwrap(), Made::Anew);
        assert_eq!(names(dir.path()), [".app.sops-activate", "app"]);
        fs::set_permissions(&stale, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        assert_eq!(link(&wanted, Trust::Anyone, None).unwrap(), Made::Unchanged);
        assert_eq!(names(dir.path()), ["app"]);
    }

    #[test]
    fn a_user_may_have_symlinks_on_the_way_but_no_circle() {
        let dir = tempfile::tempdir().unwrap();
        let through = wanted(&dir, "config/key");
        fs::create_dir(dir.path().join("real")).unwrap();
        symlink("x/../real", dir.path().join("config")).unwrap();
        fs::create_dir(dir.path().join("x")).unwrap();
        assert_eq!(link(&through, Trust::Anyone, None).unwrap(), Made::Anew);
        assert_eq!(names(&dir.path().join("real")), ["key"]);
        symlink("circle", dir.path().join("circle")).unwrap();
        let error = link(&wanted(&dir, "circle/key"), Trust::Anyone, None).unwrap_err();
        assert!(
            matches!(&error, PathError::File(error) if error.errno() == Some(nix::libc::ELOOP)),
            "{error}"
        );
    }

    #[test]
    fn only_the_very_link_that_was_made_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = wanted(&dir, "etc/key");
        let removed = |target: &Path| unlink(&wanted.path, target, Trust::Anyone).unwrap();
        assert_eq!(removed(&wanted.target), Unmade::Gone, "there is nothing, not even a directory");
        assert_eq!(names(dir.path()), [""; 0]);
        assert_eq!(link(&wanted, Trust::Anyone, None).unwrap(), Made::Anew);
        for other in [
            wanted.target.parent().unwrap(),
            &wanted.target.join("x"),
            &wanted.target.join("."),
            Path::new("/elsewhere"),
        ] {
            assert_eq!(removed(other), Unmade::Foreign, "{}", other.display());
        }
        assert_eq!(removed(&wanted.target), Unmade::Removed);
        assert_eq!(removed(&wanted.target), Unmade::Gone);
        fs::write(&wanted.path, "").unwrap();
        assert_eq!(removed(&wanted.target), Unmade::Foreign);
        fs::remove_file(&wanted.path).unwrap();
        fs::create_dir(&wanted.path).unwrap();
        assert_eq!(removed(&wanted.target), Unmade::Foreign);
        assert_eq!(names(&dir.path().join("etc")), ["key"]);
    }

    #[test]
    fn a_path_that_does_not_end_in_a_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["relative/key", "/", "/etc/.."] {
            let wanted = Link { path: path.into(), ..wanted(&dir, "") };
            assert!(matches!(link(&wanted, Trust::Anyone, None), Err(PathError::NotAPath { .. })), "{path}");
        }
    }
}
