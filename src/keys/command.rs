//! The commands that `SOPS_AGE_KEY_CMD` and `SOPS_AGE_SSH_PRIVATE_KEY_CMD` name, which print keys.
//!
//! They are run only when no key that is already here opens a group of a file, and each outcome is kept: the command
//! for age keys is told the recipient that is wanted, so it runs once for every recipient, the other one once. No
//! shell is involved.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::sync::OnceLock;

use super::identity_set::IdentitySet;
use super::source::{Source, Unusable};
use crate::secret::SecretBytes;
use crate::system::process::{self, Limits, ProcessError, Surroundings};

/// Bytes that a command may print: keys for many recipients, and comments.
const OUTPUT_LIMIT: usize = 1 << 20;

const AGE_KEY: &str = "SOPS_AGE_KEY_CMD";
const SSH_KEY: &str = "SOPS_AGE_SSH_PRIVATE_KEY_CMD";

/// Both commands, and what they printed so far.
#[derive(Default)]
pub struct KeyCommands {
    age_key: Option<OsString>,
    ssh_key: Option<OsString>,
    ssh: OnceLock<IdentitySet>,
    age: Outcomes,
    /// Why the command for age keys is not run again: it hung, and would for every other recipient.
    hung: OnceLock<Unusable>,
}

/// A list that only grows, so that what is in it can be lent while others run the command.
#[derive(Default)]
struct Outcomes(OnceLock<Box<(String, IdentitySet, Outcomes)>>);

impl KeyCommands {
    pub fn new(age_key: Option<OsString>, ssh_key: Option<OsString>) -> Self {
        Self { age_key, ssh_key, ..Self::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.age_key.is_none() && self.ssh_key.is_none()
    }

    /// What was printed so far. Runs nothing.
    pub fn printed(&self) -> impl Iterator<Item = &IdentitySet> {
        let mut next = self.age.0.get();
        let age = std::iter::from_fn(move || {
            let (_, set, rest) = &**next?;
            next = rest.0.get();
            Some(set)
        });
        self.ssh.get().into_iter().chain(age)
    }

    /// What the command for ssh keys prints.
    pub fn ssh(&self, surroundings: &Surroundings) -> Option<&IdentitySet> {
        let command = self.ssh_key.as_ref()?;
        Some(self.ssh.get_or_init(|| {
            let mut set = IdentitySet::default();
            let source = Source::variable(SSH_KEY);
            let added = self
                .run(command, None, surroundings)
                .and_then(|text| set.add_ssh_key(&source, text.expose()));
            if let Err(reason) = added {
                set.skip(source, reason);
            }
            set
        }))
    }

    /// What the command for age keys prints when asked for `recipient`.
    pub fn age(&self, recipient: &str, surroundings: &Surroundings) -> Option<&IdentitySet> {
        let command = self.age_key.as_ref()?;
        let mut place = &self.age;
        loop {
            let run = || {
                Box::new((
                    recipient.to_owned(),
                    self.age_keys(command, recipient, surroundings),
                    Outcomes::default(),
                ))
            };
            // Of two threads the second waits, and may find that the first asked for another recipient.
            let (asked, set, rest) = &**place.0.get_or_init(run);
            if asked == recipient {
                return Some(set);
            }
            place = rest;
        }
    }

    fn age_keys(&self, command: &OsStr, recipient: &str, surroundings: &Surroundings) -> IdentitySet {
        let mut set = IdentitySet::default();
        let source = Source::variable(AGE_KEY);
        let text = match self.hung.get() {
            Some(reason) => Err(reason.clone()),
            None => self.run(command, Some(recipient), surroundings),
        };
        let added = text.and_then(|text| set.add_identities(&source, text.expose()));
        if let Err(reason) = added {
            set.skip(source, reason);
        }
        set
    }

    fn run(
        &self,
        command: &OsStr,
        recipient: Option<&str>,
        surroundings: &Surroundings,
    ) -> Result<SecretBytes, Unusable> {
        let failed = |reason: String| Unusable::Command(reason);
        let words = words(command.as_bytes()).map_err(|reason| failed(reason.to_owned()))?;
        let [name, arguments @ ..] = words.as_slice() else { return Err(Unusable::Empty) };
        let Some(program) = process::find(name, surroundings.path()) else {
            return Err(failed(format!("'{}' was not found on PATH", name.display())));
        };
        let mut environment = surroundings.environment.clone();
        if let Some(recipient) = recipient {
            environment.push(("SOPS_AGE_RECIPIENT".into(), recipient.into()));
        }
        let limits = Limits { time: surroundings.time_limit, output: OUTPUT_LIMIT };
        let output = process::run(&program, arguments, &environment, b"", limits).map_err(|error| {
            let reason = failed(error.to_string());
            if recipient.is_some() && matches!(error, ProcessError::TimedOut { .. }) {
                // It is kept only if it is the first.
                let _ = self.hung.set(reason.clone());
            }
            reason
        })?;
        if !output.status.success() {
            let said = process::last_line(&output.stderr).map(|line| format!(": {line}")).unwrap_or_default();
            return Err(failed(format!("'{}' failed ({}){said}", program.display(), output.status)));
        }
        Ok(output.stdout)
    }
}

/// The words of a command line, by the rules of sops: blanks separate, quotes and backslashes keep together, `#` at
/// the start of a word begins a comment. Nothing is expanded.
fn words(line: &[u8]) -> Result<Vec<OsString>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => words.extend(word.take()),
            b'#' if word.is_none() => while bytes.next().is_some_and(|byte| byte != b'\n') {},
            b'\\' => {
                word.get_or_insert_default().push(bytes.next().ok_or("nothing follows its last backslash")?);
            }
            quote @ (b'"' | b'\'') => {
                let word = word.get_or_insert_default();
                loop {
                    match bytes.next().ok_or("a quote in it is not closed")? {
                        byte if byte == quote => break,
                        b'\\' if quote == b'"' => {
                            word.push(bytes.next().ok_or("a quote in it is not closed")?);
                        }
                        byte => word.push(byte),
                    }
                }
            }
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    Ok(words.into_iter().map(OsString::from_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_split_as_sops_does() {
        for (line, expected) in [
            ("", &[][..]),
            (" pass  show\tage\n", &["pass", "show", "age"]),
            (r#"a 'b c' "d e" f\ g"#, &["a", "b c", "d e", "f g"]),
            (r#"'it'"'"'s' "a\"b\\c\d" 'e\f'"#, &["it's", r#"a"b\cd"#, r"e\f"]),
            ("a '' \"\"", &["a", "", ""]),
            ("a #b c\nd e#f", &["a", "d", "e#f"]),
            ("echo $HOME `id` *", &["echo", "$HOME", "`id`", "*"]),
        ] {
            let expected: Vec<OsString> = expected.iter().map(OsString::from).collect();
            assert_eq!(words(line.as_bytes()), Ok(expected), "{line}");
        }
        assert_eq!(words(b"a 'b"), Err("a quote in it is not closed"));
        assert_eq!(words(b"a \"b\\"), Err("a quote in it is not closed"));
        assert_eq!(words(b"a\\"), Err("nothing follows its last backslash"));
    }
}
