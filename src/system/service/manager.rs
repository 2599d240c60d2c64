//! Whose service manager a unit is for: where its files are, and which directories its specifiers stand for; systemd.unit(5).

use std::path::{Path, PathBuf};

use super::CREDENTIALS;

pub enum Manager {
    System,
    /// As the user's variables have them.
    User {
        home: PathBuf,
        config: PathBuf,
        state: PathBuf,
        runtime: PathBuf,
    },
}

impl Manager {
    /// Where unit files are, those that win first.
    pub(super) fn unit_directories(&self) -> Vec<PathBuf> {
        match self {
            Self::System => [
                "/etc/systemd/system",
                "/run/systemd/system",
                "/usr/local/lib/systemd/system",
                "/usr/lib/systemd/system",
            ]
            .map(PathBuf::from)
            .to_vec(),
            Self::User { home, config, runtime, .. } => vec![
                config.join("systemd/user"),
                PathBuf::from("/etc/systemd/user"),
                runtime.join("systemd/user"),
                PathBuf::from("/run/systemd/user"),
                home.join(".local/share/systemd/user"),
                PathBuf::from("/usr/local/lib/systemd/user"),
                PathBuf::from("/usr/lib/systemd/user"),
            ],
        }
    }

    /// What units get their credentials in.
    pub(super) fn credentials(&self) -> PathBuf {
        match self {
            Self::System => PathBuf::from(CREDENTIALS),
            Self::User { runtime, .. } => runtime.join("credentials"),
        }
    }

    /// The directory that a specifier stands for.
    pub(super) fn directory(&self, specifier: u8) -> Option<PathBuf> {
        let path = match (self, specifier) {
            (Self::System, b't') => Path::new("/run"),
            (Self::System, b'S') => Path::new("/var/lib"),
            (Self::System, b'E') => Path::new("/etc"),
            (Self::System, b'h') => Path::new("/root"),
            (Self::User { runtime, .. }, b't') => runtime,
            (Self::User { state, .. }, b'S') => state,
            (Self::User { config, .. }, b'E') => config,
            (Self::User { home, .. }, b'h') => home,
            _ => return None,
        };
        Some(path.to_owned())
    }
}
