//! What systemd is told of a service, read from its unit file and drop-ins as systemd reads them, without asking it: the
//! variables and credentials that only the unit has, and the mounts that it waits for. It may be the machine's or a user's.
//!
//! What is set may be a key: no value is shown, and those of unit files are wiped where they are read. Variables, once they are
//! words for a program, are not.

mod manager;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::file::read_regular;
use super::process::Variables;
use crate::secret::SecretBytes;
pub use manager::Manager;

/// Where systemd looks for credentials that are named without a directory.
const STORES: [&str; 5] = [
    "/run/credentials/@system",
    "/etc/credstore",
    "/run/credstore",
    "/usr/local/lib/credstore",
    "/usr/lib/credstore",
];
/// And for sealed ones.
const SEALED_STORES: [&str; 5] = [
    "/run/credentials/@encrypted",
    "/etc/credstore.encrypted",
    "/run/credstore.encrypted",
    "/usr/local/lib/credstore.encrypted",
    "/usr/lib/credstore.encrypted",
];
/// What units get their credentials in.
pub const CREDENTIALS: &str = "/run/credentials";
/// Bytes of a unit file, or of a file of variables, at most.
const LIMIT: u64 = 1 << 20;

/// A service of this machine, or of a user.
pub struct Service {
    name: String,
    manager: Manager,
    /// In their order; of what may be set more than once all count, up to an empty one.
    settings: Vec<Setting>,
}

struct Setting {
    key: String,
    value: SecretBytes,
}

/// Where a credential of a unit comes from.
pub enum Credential {
    File(PathBuf),
    /// It stands in the unit file.
    Text(SecretBytes),
    /// Only systemd can open it, or fetch it, for the unit.
    Sealed(PathBuf),
    /// The unit goes without.
    Absent,
}

impl Service {
    /// None where there is no such unit, or it cannot be read.
    #[must_use]
    pub fn read(manager: Manager, name: &str) -> Option<Self> {
        let directories = manager.unit_directories();
        let mut service = Self { name: name.to_owned(), manager, settings: Vec::new() };
        for directory in &directories {
            match read_regular(&directory.join(name), LIMIT) {
                Ok(text) => {
                    service.take(&text);
                    for drop_in in drop_ins(&directories, name) {
                        // As for systemd, one that cannot be read is as if it were not there.
                        if let Ok(text) = read_regular(&drop_in, LIMIT) {
                            service.take(&text);
                        }
                    }
                    return Some(service);
                }
                Err(error) if error.is_not_found() => {}
                // A masked unit is a device.
                Err(_) => return None,
            }
        }
        None
    }

    /// Whether it runs a program with this file as an argument, or a script that does.
    #[must_use]
    pub fn runs_with(&self, argument: &Path) -> bool {
        let real = |path: &Path| fs::canonicalize(path).ok();
        let wanted = real(argument);
        let is_wanted = |word: &SecretBytes| {
            let path = path_of(word);
            path == argument || (path.is_absolute() && wanted.is_some() && real(path) == wanted)
        };
        self.values("ExecStart").into_iter().any(|command| {
            let command: Vec<_> = words(command).iter().map(|word| self.expanded(word.expose())).collect();
            let script = command.first().and_then(|program| script(path_of(program)));
            command.iter().chain(&script.unwrap_or_default()).any(is_wanted)
        })
    }

    /// Whether it waits for the file system at `mount_point`.
    #[must_use]
    pub fn waits_for(&self, mount_point: &Path) -> bool {
        let wanted = self.values("RequiresMountsFor").into_iter().flat_map(words);
        wanted.into_iter().any(|path| path_of(&self.expanded(path.expose())).starts_with(mount_point))
    }

    /// The variables that it sets for its program.
    #[must_use]
    pub fn environment(&self) -> Variables {
        let mut variables = Variables::new();
        for word in self.values("Environment").into_iter().flat_map(words) {
            set(&mut variables, self.expanded(word.expose()).expose());
        }
        for file in self.values("EnvironmentFile") {
            let path = self.expanded(file.strip_prefix(b"-").unwrap_or(file));
            let Ok(text) = read_regular(path_of(&path), LIMIT) else { continue };
            for line in joined(text.expose()).expose().split(|byte| *byte == b'\n') {
                set(&mut variables, unquoted(line.trim_ascii()).expose());
            }
        }
        variables
    }

    /// Where the credential comes from that the unit finds under the name `id`.
    #[must_use]
    pub fn credential(&self, id: &str) -> Credential {
        let found = self.loaded(id).or_else(|| self.imported(id)).or_else(|| self.written(id));
        found.unwrap_or(Credential::Absent)
    }

    /// What the unit sees of it while it is active.
    #[must_use]
    pub fn live_credential(&self, id: &str) -> Option<PathBuf> {
        let path = self.credentials().join(id);
        path.is_file().then_some(path)
    }

    /// The directory that `%d` stands for.
    #[must_use]
    pub fn credentials(&self) -> PathBuf {
        self.manager.credentials().join(&self.name)
    }

    fn loaded(&self, id: &str) -> Option<Credential> {
        let plain = self.values("LoadCredential").into_iter().map(|value| (value, false));
        let sealed = self.values("LoadCredentialEncrypted").into_iter().map(|value| (value, true));
        plain.chain(sealed).find_map(|(value, is_sealed)| {
            let value = self.expanded(value);
            let (name, place) = parted(value.expose());
            if name != id.as_bytes() {
                return None;
            }
            let place = Path::new(OsStr::from_bytes(if place.is_empty() { name } else { place }));
            let path = if place.is_absolute() {
                Some(place.to_owned())
            } else if is_sealed {
                in_one_of(&SEALED_STORES, place).or_else(|| in_one_of(&STORES, place))
            } else {
                in_one_of(&STORES, place)
            };
            let path = path.filter(|path| path.exists())?;
            // A socket gives it to systemd alone.
            Some(if is_sealed || !path.is_file() { Credential::Sealed(path) } else { Credential::File(path) })
        })
    }

    fn imported(&self, id: &str) -> Option<Credential> {
        self.values("ImportCredential").into_iter().find_map(|value| {
            let value = self.expanded(value);
            let (pattern, renamed) = parted(value.expose());
            let name = match (renamed.is_empty(), pattern.contains(&b'*')) {
                (true, _) => matches(pattern, id.as_bytes()).then_some(id.as_bytes()),
                (false, false) => (renamed == id.as_bytes()).then_some(pattern),
                // What the star stands for stays behind the new name.
                (false, true) => return None,
            };
            let name = Path::new(OsStr::from_bytes(name?));
            let plain = in_one_of(&STORES, name).map(Credential::File);
            plain.or_else(|| in_one_of(&SEALED_STORES, name).map(Credential::Sealed))
        })
    }

    /// In the unit file itself, for when there is none elsewhere.
    fn written(&self, id: &str) -> Option<Credential> {
        let text = self.values("SetCredential").into_iter().find_map(|value| {
            let (name, text) = parted(value);
            (name == id.as_bytes()).then(|| Credential::Text(unescaped(text)))
        });
        let is_sealed =
            || self.values("SetCredentialEncrypted").iter().any(|value| parted(value).0 == id.as_bytes());
        text.or_else(|| is_sealed().then(|| Credential::Sealed(PathBuf::from(&self.name))))
    }

    fn take(&mut self, text: &SecretBytes) {
        for line in joined(text.expose()).expose().split(|byte| *byte == b'\n') {
            // Sections have no names in common that are asked for here.
            let Some(at) = line.iter().position(|byte| *byte == b'=') else { continue };
            let key = line.get(..at).unwrap_or_default().trim_ascii();
            let value = line.get(at + 1..).unwrap_or_default().trim_ascii();
            let key = String::from_utf8_lossy(key).into_owned();
            self.settings.push(Setting { key, value: SecretBytes::from(value) });
        }
    }

    /// All that is set for `key`.
    fn values(&self, key: &str) -> Vec<&[u8]> {
        let mut values = Vec::new();
        for setting in self.settings.iter().filter(|setting| setting.key == key) {
            match setting.value.expose() {
                b"" => values.clear(),
                value => values.push(value),
            }
        }
        values
    }

    /// With what the specifiers stand for that a unit is likely to use; others stay.
    fn expanded(&self, text: &[u8]) -> SecretBytes {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = memchr::memchr(b'%', rest).and_then(|at| rest.split_at_checked(at))
        {
            let stands_for = after.get(1).and_then(|specifier| self.stands_for(*specifier));
            let (specifier, tail) = after.split_at_checked(2).unwrap_or((after, b""));
            pieces.push(Cow::Borrowed(before));
            pieces.push(stands_for.map_or(Cow::Borrowed(specifier), Cow::Owned));
            rest = tail;
        }
        pieces.push(Cow::Borrowed(rest));
        SecretBytes::new(pieces.concat())
    }

    fn stands_for(&self, specifier: u8) -> Option<Vec<u8>> {
        match specifier {
            b'd' => Some(self.credentials().into_os_string().into_vec()),
            b'n' => Some(self.name.clone().into_bytes()),
            b'%' => Some(b"%".to_vec()),
            _ => self.manager.directory(specifier).map(|path| path.into_os_string().into_vec()),
        }
    }
}

/// The words of a program that is a script.
fn script(program: &Path) -> Option<Vec<SecretBytes>> {
    let text = read_regular(program, LIMIT).ok()?;
    text.expose().starts_with(b"#!").then(|| words(text.expose()))
}

/// What adds to the unit, in the order in which it counts.
fn drop_ins(directories: &[PathBuf], name: &str) -> Vec<PathBuf> {
    let mut found = BTreeMap::new();
    // Of those with one name the first directory wins.
    for directory in directories.iter().rev() {
        let Ok(entries) = fs::read_dir(directory.join(format!("{name}.d"))) else { continue };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "conf"));
        found.extend(paths.filter_map(|path| Some((path.file_name()?.to_owned(), path))));
    }
    found.into_values().collect()
}

/// The first of the directories that has a file of this name.
fn in_one_of(directories: &[&str], name: &Path) -> Option<PathBuf> {
    directories.iter().map(|directory| Path::new(directory).join(name)).find(|path| path.is_file())
}

fn path_of(text: &SecretBytes) -> &Path {
    Path::new(OsStr::from_bytes(text.expose()))
}

/// `name:value`
fn parted(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == b':') {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()),
        None => (text, b""),
    }
}

/// Whether a pattern with stars stands for the name.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], name) => name.is_empty(),
        ([b'*', pattern @ ..], _) => {
            (0..=name.len()).any(|at| matches(pattern, name.get(at..).unwrap_or_default()))
        }
        ([wanted, pattern @ ..], [found, name @ ..]) => wanted == found && matches(pattern, name),
        _ => false,
    }
}

/// `NAME=value`; the last of a name counts.
fn set(variables: &mut Variables, assignment: &[u8]) {
    let Some(at) = assignment.iter().position(|byte| *byte == b'=') else { return };
    let part = |part: Option<&[u8]>| OsString::from_vec(part.unwrap_or_default().to_vec());
    let (name, value) = (part(assignment.get(..at)), part(assignment.get(at + 1..)));
    variables.retain(|(known, _)| *known != name);
    variables.push((name, value));
}

/// `text` without comments, and with lines made whole that go on after a backslash. It is never longer than before, but
/// for the end of the last line.
fn joined(text: &[u8]) -> SecretBytes {
    let mut joined = Vec::with_capacity(text.len() + 1);
    for line in text.split(|byte| *byte == b'\n') {
        if line.trim_ascii_start().starts_with(b"#") || line.trim_ascii_start().starts_with(b";") {
            continue;
        }
        let (kept, end) = match line.strip_suffix(b"\\") {
            Some(kept) => (kept, b' '),
            None => (line, b'\n'),
        };
        joined.extend_from_slice(kept);
        joined.push(end);
    }
    SecretBytes::new(joined)
}

/// The words of a value, without their quotes and escapes.
fn words(value: &[u8]) -> Vec<SecretBytes> {
    let mut words = Vec::new();
    let mut rest = value.trim_ascii_start();
    while !rest.is_empty() {
        // No escape is shorter than what it stands for.
        let mut word = Vec::with_capacity(rest.len());
        let mut quote = None;
        while let [first, after @ ..] = rest {
            rest = after;
            match (first, quote) {
                (b'\\', _) => rest = unescape(after, &mut word),
                (byte, Some(open)) if *byte == open => quote = None,
                (b'"' | b'\'', None) => quote = Some(*first),
                (byte, None) if byte.is_ascii_whitespace() => break,
                (byte, _) => word.push(*byte),
            }
        }
        words.push(SecretBytes::new(word));
        rest = rest.trim_ascii_start();
    }
    words
}

/// A line of a file of variables: its value may stand in quotes.
fn unquoted(line: &[u8]) -> SecretBytes {
    let at = line.iter().position(|byte| *byte == b'=').map_or(0, |at| at + 1);
    let (name, value) = (line.get(..at).unwrap_or_default(), line.get(at..).unwrap_or_default());
    if !value.starts_with(b"\"") && !value.starts_with(b"'") {
        return SecretBytes::from(line);
    }
    let value = words(value).into_iter().next().unwrap_or_default();
    let mut unquoted = Vec::with_capacity(line.len());
    unquoted.extend_from_slice(name);
    unquoted.extend_from_slice(value.expose());
    SecretBytes::new(unquoted)
}

fn unescaped(text: &[u8]) -> SecretBytes {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'\\' => rest = unescape(after, &mut plain),
            byte => plain.push(*byte),
        }
    }
    SecretBytes::new(plain)
}

/// Takes what follows a backslash, and says what is left.
fn unescape<'r>(rest: &'r [u8], word: &mut Vec<u8>) -> &'r [u8] {
    let Some((first, after)) = rest.split_first() else { return rest };
    let (start, width, radix) = match first {
        b'x' => (1, 2, 16),
        b'u' => (1, 4, 16),
        b'U' => (1, 8, 16),
        b'0'..=b'3' => (0, 3, 8),
        _ => (0, 0, 10),
    };
    let digits = rest.get(start..start + width).and_then(|digits| str::from_utf8(digits).ok());
    if let Some(number) = digits.and_then(|digits| u32::from_str_radix(digits, radix).ok()) {
        match (first, char::from_u32(number)) {
            (b'u' | b'U', Some(character)) => {
                word.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => word.push(u8::try_from(number).unwrap_or_default()),
        }
        return rest.get(start + width..).unwrap_or_default();
    }
    match first {
        b'a' => word.push(0x07),
        b'b' => word.push(0x08),
        b'f' => word.push(0x0c),
        b'n' => word.push(b'\n'),
        b'r' => word.push(b'\r'),
        b's' => word.push(b' '),
        b't' => word.push(b'\t'),
        b'v' => word.push(0x0b),
        b'\\' | b'"' | b'\'' => word.push(*first),
        // Not an escape, and left as it stands.
        other => word.extend_from_slice(&[b'\\', *other]),
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(text: &str) -> Service {
        let mut service =
            Service { name: "a.service".to_owned(), manager: Manager::System, settings: Vec::new() };
        service.take(&SecretBytes::from(text.as_bytes()));
        service
    }

    fn variables(text: &str) -> Vec<(String, String)> {
        let variables = service(text).environment();
        let text = |word: OsString| word.into_string().unwrap();
        variables.into_iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn variables_are_read_as_systemd_reads_them() {
        for (text, expected) in [
            ("[Service]\nEnvironment=A=1 \"B=2 3\" 'C=x'\n", &[("A", "1"), ("B", "2 3"), ("C", "x")][..]),
            ("Environment=A=1\nEnvironment=\nEnvironment=B=2\n", &[("B", "2")]),
            ("Environment=A=1\nEnvironment=\"A=2\"\n", &[("A", "2")]),
            ("# Environment=A=1\n;Environment=A=1\n  Environment = A=2\n", &[("A", "2")]),
            ("Environment=A=1 \\\n# in between\n  B=2\n", &[("A", "1"), ("B", "2")]),
            (r#"Environment="A=\"q\" \\ \x41\u00e9\101\q""#, &[("A", r#""q" \ AéA\q"#)]),
            (
                "Environment=A=%d/key B=100%% C=%n%x",
                &[("A", "/run/credentials/a.service/key"), ("B", "100%"), ("C", "a.service%x")],
            ),
            ("Environment=A= B", &[("A", "")]),
            ("Environment=\\", &[]),
        ] {
            let expected: Vec<(String, String)> =
                expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(variables(text), expected, "{text}");
        }
    }

    #[test]
    fn files_of_variables_come_last_and_need_not_be_there() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "# A=0\nA=2 # 3\nB=\"4 \\\"5\\\"\"\nC\nD='6'\n").unwrap();
        let path = file.path().display();
        let text = format!("EnvironmentFile=-/nowhere\nEnvironmentFile={path}\nEnvironment=A=1 E=7\n");
        let expected = [("E", "7"), ("A", "2 # 3"), ("B", "4 \"5\""), ("D", "6")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(variables(&text), expected);
    }

    #[test]
    fn a_credential_comes_from_where_the_unit_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, "").unwrap();
        let shown = path.display();
        let of = |text: String| match service(&text).credential("key") {
            Credential::File(path) => format!("file {}", path.display()),
            Credential::Text(text) => format!("text {}", String::from_utf8_lossy(text.expose())),
            Credential::Sealed(path) => format!("sealed {}", path.display()),
            Credential::Absent => "absent".to_owned(),
        };
        assert_eq!(of(format!("LoadCredential=other:{shown}")), "absent");
        assert_eq!(of(format!("LoadCredential=key:{shown}")), format!("file {shown}"));
        assert_eq!(of(format!("LoadCredentialEncrypted=key:{shown}")), format!("sealed {shown}"));
        assert_eq!(of(format!("LoadCredential=key:{shown}/none\nSetCredential=key:a\\nb")), "text a\nb");
        assert_eq!(of("SetCredentialEncrypted=key:k6iUCU".to_owned()), "sealed a.service");
        assert_eq!(of("ImportCredential=key".to_owned()), "absent");
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, expected) in [
            ("key", "key", true),
            ("key", "keys", false),
            ("k*", "key", true),
            ("*y", "key", true),
            ("k*y*", "key", true),
            ("*z", "key", false),
            ("", "key", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn the_unit_of_a_manifest_is_told_by_what_it_runs() {
        let dir = tempfile::tempdir().unwrap();
        let (manifest, link) = (dir.path().join("manifest.json"), dir.path().join("link"));
        fs::write(&manifest, "").unwrap();
        std::os::unix::fs::symlink(&manifest, &link).unwrap();
        let unit = service(&format!("ExecStart=/bin/program -ignore-passwd {}\n", manifest.display()));
        assert!(unit.runs_with(&manifest) && unit.runs_with(&link));
        assert!(!unit.runs_with(&dir.path().join("other.json")) && !unit.runs_with(Path::new("program")));
    }
}
