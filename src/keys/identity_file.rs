//! The syntax of age identity files, which `SOPS_AGE_KEY` shares: one identity a line, `#` comments, blank lines.
//!
//! More lenient than sops in two ways. A line that cannot be used is passed over and told by its number; there it
//! loses the whole source. And blanks around identities, as well as several identities on one line, are fine in
//! every source, not in the variable alone.

use std::str;

use super::identity::Identity;
use super::plugin::PluginIdentity;
#[cfg(feature = "age-pq")]
use super::post_quantum::PostQuantum;
use super::source::Unusable;
use super::x25519::X25519;

/// The biggest identity file that is read, as in sops.
pub const FILE_LIMIT: u64 = 16 << 20;

/// How many lines of one source are told apart; the report of a file that is no identity file must not drown the
/// other reasons.
const TOLD_LINES: usize = 8;

/// What one source holds, with line numbers from 1.
#[derive(Default)]
pub struct IdentityFile {
    pub identities: Vec<(usize, Identity)>,
    pub plugins: Vec<(usize, PluginIdentity)>,
    pub skipped: Vec<(usize, Unusable)>,
    /// Number of further lines that cannot be used.
    pub more_skipped: usize,
    /// Whether all of it is on one line, so that its number says nothing.
    pub single_line: bool,
}

impl IdentityFile {
    /// Reads the text of an identity file.
    ///
    /// # Errors
    /// When it holds no identities at all, and not even lines that try to.
    pub fn parse(text: &[u8]) -> Result<Self, Unusable> {
        // Some editors put a byte order mark first.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let content = text.trim_ascii();
        if content.is_empty() {
            return Err(Unusable::Empty);
        }
        if content.starts_with(b"age-encryption.org/") || content.starts_with(b"-----BEGIN AGE ") {
            return Err(Unusable::EncryptedIdentities);
        }
        if content.starts_with(b"-----BEGIN ") {
            return Err(Unusable::SshKey);
        }

        let mut file = Self { single_line: !content.contains(&b'\n'), ..Self::default() };
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            file.read_line(index + 1, line);
        }
        if file.identities.is_empty() && file.plugins.is_empty() && file.skipped.is_empty() {
            return Err(Unusable::NoIdentity);
        }
        Ok(file)
    }

    fn read_line(&mut self, number: usize, line: &[u8]) {
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let mut failed = None;
        for word in words.take_while(|word| !word.starts_with(b"#")) {
            if let Err(reason) = self.take(number, word) {
                failed = failed.or(Some(reason));
            }
        }
        match failed {
            Some(reason) if self.skipped.len() < TOLD_LINES => self.skipped.push((number, reason)),
            Some(_) => self.more_skipped += 1,
            None => {}
        }
    }

    /// Takes the identity that `word` spells. Upper case only, as everywhere in age.
    fn take(&mut self, line: usize, word: &[u8]) -> Result<(), Unusable> {
        let word = str::from_utf8(word).map_err(|_| Unusable::NotAnIdentity)?;
        if word.starts_with("AGE-PLUGIN-") {
            self.plugins.push((line, PluginIdentity::parse(word)?));
        } else {
            self.identities.push((line, identity(word)?));
        }
        Ok(())
    }
}

fn identity(word: &str) -> Result<Identity, Unusable> {
    if word.starts_with("AGE-SECRET-KEY-PQ-1") {
        post_quantum(word)
    } else if word.starts_with("AGE-SECRET-KEY-1") {
        X25519::parse(word).map(Identity::X25519).ok_or(Unusable::MalformedIdentity)
    } else if word.starts_with("age1") {
        Err(Unusable::Recipient)
    } else {
        Err(Unusable::NotAnIdentity)
    }
}

#[cfg(feature = "age-pq")]
fn post_quantum(word: &str) -> Result<Identity, Unusable> {
    let parsed = PostQuantum::parse(word).ok_or(Unusable::MalformedIdentity)?;
    Ok(Identity::PostQuantum(Box::new(parsed)))
}

#[cfg(not(feature = "age-pq"))]
fn post_quantum(_: &str) -> Result<Identity, Unusable> {
    Err(Unusable::PostQuantumUnsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "AGE-SECRET-KEY-1WU9DQ0F8PU06YVYSLYJFF5RWVSPG40CH4Z4JU2L48LSXDZNWSTWQTEEDC2";
    const ONE_PUBLIC: &str = "age1u0mseqwxlra75amsz9e7k0cn2zcgwucctk78vanyjsna3wagg4rq6rnnmm";
    const TWO: &str = "AGE-SECRET-KEY-1A0Y3F4M6K3EEY9YKGCZJ68DXZD3ZDCWVMELW3LRTU6Z7PP5SYCXQ2449CU";
    const TWO_PUBLIC: &str = "age1ng7pe2qkhdrhwhlxhzd38t5yzkhjdaryadqs6u0pxphlc7tg039qy9cpgl";

    fn parse(text: &str) -> IdentityFile {
        IdentityFile::parse(text.as_bytes()).ok().unwrap()
    }

    fn refused(text: &str) -> Unusable {
        IdentityFile::parse(text.as_bytes()).err().unwrap()
    }

    fn found(file: &IdentityFile) -> Vec<(usize, &str)> {
        file.identities.iter().map(|(line, identity)| (*line, identity.recipient())).collect()
    }

    #[test]
    fn comments_blank_lines_crlf_and_a_missing_last_newline_are_fine() {
        let file = parse(&format!("\u{feff}# created\r\n\r\n  {ONE}  \r\n#AGE\n\n{TWO}"));
        assert_eq!(found(&file), [(3, ONE_PUBLIC), (6, TWO_PUBLIC)]);
        assert_eq!(file.skipped, []);
    }

    #[test]
    fn several_identities_fit_on_a_line_with_a_comment_after_them() {
        let file = parse(&format!("{ONE}\t {TWO} # {ONE}"));
        assert_eq!(found(&file), [(1, ONE_PUBLIC), (1, TWO_PUBLIC)]);
        assert!(file.single_line);
    }

    #[test]
    fn a_bad_line_is_told_by_its_number_and_loses_no_other() {
        let lower = ONE.to_lowercase();
        let damaged = ONE.replace("DC2", "DC3");
        let file =
            parse(&format!("{lower}\n{ONE}\n{damaged}\nAGE-PLUGIN-YUBIKEY-1QQQQ\n{ONE_PUBLIC}\nx {TWO}\n"));
        assert_eq!(found(&file), [(2, ONE_PUBLIC), (6, TWO_PUBLIC)]);
        let plugins = cfg!(feature = "age-plugins");
        let plugin_line = if plugins { Unusable::MalformedIdentity } else { Unusable::PluginUnsupported };
        assert_eq!(
            file.skipped,
            [
                (1, Unusable::NotAnIdentity),
                (3, Unusable::MalformedIdentity),
                (4, plugin_line),
                (5, Unusable::Recipient),
                (6, Unusable::NotAnIdentity),
            ]
        );
    }

    #[test]
    fn a_file_of_noise_is_told_in_a_few_lines() {
        let file = parse(&"noise\n".repeat(1000));
        assert_eq!((file.skipped.len(), file.more_skipped), (TOLD_LINES, 1000 - TOLD_LINES));
    }

    #[test]
    fn a_file_of_another_kind_is_named() {
        assert_eq!(refused(" \r\n"), Unusable::Empty);
        assert_eq!(refused("# nothing\n"), Unusable::NoIdentity);
        assert_eq!(refused("-----BEGIN AGE ENCRYPTED FILE-----\n"), Unusable::EncryptedIdentities);
        assert_eq!(refused("age-encryption.org/v1\n-> scrypt"), Unusable::EncryptedIdentities);
        assert_eq!(refused("-----BEGIN OPENSSH PRIVATE KEY-----\n"), Unusable::SshKey);
    }
}
