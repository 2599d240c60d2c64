//! What is mounted, and what `/etc/fstab` says is to be: for telling why a file is not there, or not there yet when
//! the machine boots. It only reads.

use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::file::read_regular;

const FSTAB: &str = "/etc/fstab";
const FSTAB_LIMIT: u64 = 1 << 20;
const MOUNTED: &str = "/proc/self/mountinfo";

/// What NixOS mounts before it starts the system proper, whatever `neededForBoot` says.
const EARLY: [&str; 8] = ["/", "/etc", "/nix", "/nix/store", "/usr", "/var", "/var/lib", "/var/log"];
/// How NixOS and systemd mark a file system that is mounted in the initrd.
const INITRD: &str = "x-initrd.mount";

/// Mount points, now and as configured.
#[derive(Debug, Default)]
pub struct MountTable {
    mounted: Vec<Mounted>,
    configured: Vec<Configured>,
}

#[derive(Debug)]
struct Mounted {
    path: PathBuf,
    kind: String,
    /// Of the file system itself.
    options: String,
}

#[derive(Debug)]
struct Configured {
    path: PathBuf,
    early: bool,
}

impl MountTable {
    /// What cannot be read counts as empty: then nothing is known, and nothing is said.
    #[must_use]
    pub fn read() -> Self {
        let mounted = fs::read(MOUNTED).unwrap_or_default();
        let fstab = read_regular(Path::new(FSTAB), FSTAB_LIMIT).unwrap_or_default();
        Self::parse(&mounted, fstab.expose())
    }

    fn parse(mountinfo: &[u8], fstab: &[u8]) -> Self {
        let mounted = lines(mountinfo).filter_map(|line| {
            // A lone dash ends the optional fields.
            let mut after = fields(line).skip_while(|field| *field != b"-").skip(1);
            let mut text = |skipped| Some(String::from_utf8_lossy(after.nth(skipped)?).into_owned());
            let path = path(fields(line).nth(4)?);
            Some(Mounted { path, kind: text(0)?, options: text(1)? })
        });
        let mounted = mounted.collect();
        let configured = lines(fstab).filter_map(|line| {
            let path = path(fields(line).nth(1)?);
            let mut options = fields(line).nth(3).unwrap_or_default().split(|byte| *byte == b',');
            let early = EARLY.iter().any(|early| Path::new(early) == path)
                || options.any(|option| option == INITRD.as_bytes());
            path.is_absolute().then_some(Configured { path, early })
        });
        Self { mounted, configured: configured.collect() }
    }

    /// The file system that `path` should be on, if that is not mounted.
    #[must_use]
    pub fn unmounted(&self, path: &Path) -> Option<&Path> {
        let above = self.configured_above(path)?;
        let is_mounted = self.mounted.iter().any(|mounted| mounted.path == above.path);
        (!is_mounted).then_some(&above.path)
    }

    /// The file system that `path` is on, if that is mounted after the initrd, and so perhaps after the secrets.
    #[must_use]
    pub fn late(&self, path: &Path) -> Option<&Path> {
        self.configured_above(path).filter(|above| !above.early).map(|above| above.path.as_path())
    }

    /// The type of the file system that `path` is on.
    #[must_use]
    pub fn kind(&self, path: &Path) -> Option<&str> {
        self.mounted_above(path).map(|above| above.kind.as_str())
    }

    /// Whether the file system that `path` is on is a tmpfs that may be swapped out.
    #[must_use]
    pub fn is_swappable(&self, path: &Path) -> bool {
        self.mounted_above(path).is_some_and(|above| {
            above.kind == "tmpfs" && above.options.split(',').all(|option| option != "noswap")
        })
    }

    /// The deepest one, and of several at one place the last.
    fn mounted_above(&self, path: &Path) -> Option<&Mounted> {
        let above = self.mounted.iter().filter(|mounted| path.starts_with(&mounted.path));
        above.max_by_key(|mounted| mounted.path.components().count())
    }

    /// The deepest one.
    fn configured_above(&self, path: &Path) -> Option<&Configured> {
        let above = self.configured.iter().filter(|configured| path.starts_with(&configured.path));
        above.max_by_key(|configured| configured.path.components().count())
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii_start().starts_with(b"#"))
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty())
}

/// A path as it stands in either file: blanks and backslashes are written in octal.
fn path(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let octal = after.split_at_checked(3).and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 8).ok()?, after))
        });
        match octal {
            Some((escaped, after)) if *byte == b'\\' => {
                bytes.push(escaped);
                rest = after;
            }
            _ => bytes.push(*byte),
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &[u8] = b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
        30 22 0:25 / /data\\040disk rw shared:9 - ext4 /dev/sdb1 rw\n\
        31 22 0:26 / /persist rw shared:9 - ext4 /dev/sdc1 rw\n";
    const FSTAB: &[u8] = b"# comment /nowhere\n\
        /dev/sda1 / ext4 defaults 0 1\n\
        /dev/sdb1 /data\\040disk ext4 noatime,x-initrd.mount 0 2\n\
        /dev/sdc1 /persist ext4 noatime 0 2\n\
        tank/home\t/persist/home zfs zfsutil 0 0\n\
        /dev/sdd1 /var/lib ext4 defaults 0 2\n\
        /dev/sde1 none swap sw\n\n";

    #[test]
    fn the_deepest_file_system_above_a_path_counts() {
        let table = MountTable::parse(MOUNTINFO, FSTAB);
        let unmounted = |path: &str| table.unmounted(Path::new(path)).map(|path| path.to_str().unwrap());
        assert_eq!(unmounted("/etc/ssh/key"), None);
        assert_eq!(unmounted("/persist/etc/ssh/key"), None);
        assert_eq!(unmounted("/persist/home/key"), Some("/persist/home"));
        assert_eq!(unmounted("/persist/homework/key"), None);
        assert_eq!(unmounted("/data disk/key"), None);
        assert_eq!(unmounted("/var/lib/key"), Some("/var/lib"));
    }

    #[test]
    fn the_last_mount_at_a_place_says_what_it_is() {
        let mountinfo = b"1 0 8:1 / / rw shared:1 master:2 - ext4 /dev/sda1 rw\n\
            2 1 0:9 / /run rw - tmpfs tmpfs rw,size=1k\n\
            3 2 0:8 / /run/secrets.d rw - tmpfs none rw,noswap,mode=751\n\
            4 3 0:7 / /run/secrets.d rw - ramfs none rw\n";
        let table = MountTable::parse(mountinfo, b"");
        assert_eq!(table.kind(Path::new("/run/secrets.d/1")), Some("ramfs"));
        assert_eq!(table.kind(Path::new("/run/secrets")), Some("tmpfs"));
        assert_eq!(table.kind(Path::new("/etc")), Some("ext4"));
        assert!(table.is_swappable(Path::new("/run/secrets")));
        assert!(!table.is_swappable(Path::new("/run/secrets.d")));
        let second = mountinfo.split_inclusive(|byte| *byte == b'\n').take(3).collect::<Vec<_>>().concat();
        assert!(!MountTable::parse(&second, b"").is_swappable(Path::new("/run/secrets.d")));
    }

    #[test]
    fn what_the_initrd_mounts_is_not_late() {
        let table = MountTable::parse(MOUNTINFO, FSTAB);
        let late = |path: &str| table.late(Path::new(path)).map(|path| path.to_str().unwrap());
        for path in ["/etc/ssh/key", "/data disk/key", "/var/lib/key"] {
            assert_eq!(late(path), None, "{path}");
        }
        assert_eq!(late("/persist/key"), Some("/persist"));
        assert_eq!(late("/persist/home/key"), Some("/persist/home"));
        assert_eq!(MountTable::default().late(Path::new("/persist/key")), None);
    }
}
