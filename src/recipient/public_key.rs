//! A public key, read from whatever people have at hand: a line of a `.pub` file, of `ssh-keyscan` or of
//! `known_hosts`, an age recipient, an OpenPGP fingerprint.

use age_core::primitives::{bech32_decode, bech32_encode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bech32::Hrp;
use curve25519_dalek::edwards::CompressedEdwardsY;

#[cfg(feature = "pgp")]
use super::openpgp;
use super::{List, Recipient};

const AGE: Hrp = Hrp::parse_unchecked("age");
const POST_QUANTUM: Hrp = Hrp::parse_unchecked("age1pq");
/// Bytes of a post-quantum recipient: ML-KEM-768 and X25519.
const POST_QUANTUM_LEN: usize = 1184 + 32;
/// age encrypts to no smaller RSA key.
const RSA_BITS: usize = 2048;

/// One key, with every recipient that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    pub kind: Kind,
    /// The one to prefer first. Empty for a key that nothing encrypts to.
    pub recipients: Vec<Recipient>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ed25519,
    Rsa,
    Age,
    PostQuantum,
    /// A key that an age plugin holds, `age1NAME1…`.
    Plugin,
    OpenPgp,
}

/// Why a text is no key that a file can be encrypted to. Holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    #[error("it is neither an ssh public key, an age recipient nor an OpenPGP fingerprint")]
    Unknown,
    #[error("it is a malformed age recipient")]
    Age,
    #[error("it is a malformed {0} key")]
    Ssh(&'static str),
    /// The article and the name of the algorithm.
    #[error("it is {0} key; only Ed25519 and RSA keys can be recipients")]
    Algorithm(&'static str),
}

/// A key and the host that the line names, if it does.
pub type Named = (Option<String>, PublicKey);

impl PublicKey {
    /// Reads one line; `None` for a blank one and for a comment.
    ///
    /// # Errors
    /// What it is instead.
    pub fn parse_line(line: &str) -> Result<Option<Named>, NotAKey> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if let [word, ..] = words.as_slice()
            && word.starts_with("age1")
        {
            return age(word).map(|key| Some((None, key)));
        }
        for (index, word) in words.iter().enumerate() {
            let Some(algorithm) = Algorithm::named(word) else { continue };
            let host = words.first().filter(|_| index == 1).map(|host| (*host).to_owned());
            let encoded = words.get(index + 1).copied().unwrap_or_default();
            return ssh(algorithm, encoded).map(|key| Some((host, key)));
        }
        fingerprint(line).map(|key| Some((None, key))).ok_or(NotAKey::Unknown)
    }
}

impl Kind {
    /// For people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519 ssh key",
            Self::Rsa => "RSA ssh key",
            Self::Age => "age key",
            Self::PostQuantum => "post-quantum age key",
            Self::Plugin => "key of an age plugin",
            Self::OpenPgp => "OpenPGP key",
        }
    }
}

/// Whether `word` is how ssh begins a public key: the key itself is the next word.
#[must_use]
pub fn is_algorithm(word: &str) -> bool {
    Algorithm::named(word).is_some()
}

#[derive(Clone, Copy)]
enum Algorithm {
    Ed25519,
    Rsa,
    Other(&'static str),
}

impl Algorithm {
    fn named(word: &str) -> Option<Self> {
        match word {
            "ssh-ed25519" => Some(Self::Ed25519),
            "ssh-rsa" => Some(Self::Rsa),
            "ssh-dss" => Some(Self::Other("a DSA")),
            _ if word.starts_with("ecdsa-sha2-") => Some(Self::Other("an ECDSA")),
            _ if word.starts_with("sk-ssh-") || word.starts_with("sk-ecdsa-") => {
                Some(Self::Other("a security"))
            }
            _ => None,
        }
    }
}

fn age(word: &str) -> Result<PublicKey, NotAKey> {
    let kind = bech32_decode(
        word,
        |_| NotAKey::Age,
        |_| Ok(()),
        |hrp, bytes| match (hrp, bytes.count()) {
            (hrp, 32) if hrp == AGE => Ok(Kind::Age),
            (hrp, POST_QUANTUM_LEN) if hrp == POST_QUANTUM => Ok(Kind::PostQuantum),
            (hrp, _) if hrp == AGE || hrp == POST_QUANTUM => Err(NotAKey::Age),
            (hrp, _) if hrp.as_str().starts_with("age1") => Ok(Kind::Plugin),
            _ => Err(NotAKey::Age),
        },
    )?;
    Ok(PublicKey { kind, recipients: vec![Recipient::age(word)] })
}

fn ssh(algorithm: Algorithm, encoded: &str) -> Result<PublicKey, NotAKey> {
    match algorithm {
        Algorithm::Ed25519 => ed25519(encoded).ok_or(NotAKey::Ssh("Ed25519")),
        Algorithm::Rsa => rsa(encoded).ok_or(NotAKey::Ssh("RSA")),
        Algorithm::Other(name) => Err(NotAKey::Algorithm(name)),
    }
}

fn ed25519(encoded: &str) -> Option<PublicKey> {
    let wire = BASE64_STANDARD.decode(encoded).ok()?;
    let [public] = fields(&wire, b"ssh-ed25519")?;
    let point = CompressedEdwardsY::from_slice(public).ok()?.decompress()?;
    // The same number on the curve of age: what `ssh-to-age` prints.
    let derived = bech32_encode(AGE, point.to_montgomery().as_bytes());
    let recipients = vec![Recipient::age(derived), Recipient::age(format!("ssh-ed25519 {encoded}"))];
    Some(PublicKey { kind: Kind::Ed25519, recipients })
}

fn rsa(encoded: &str) -> Option<PublicKey> {
    let wire = BASE64_STANDARD.decode(encoded).ok()?;
    let [exponent, modulus] = fields(&wire, b"ssh-rsa")?;
    let digits = modulus.iter().skip_while(|byte| **byte == 0).count();
    if digits == 0 || exponent.is_empty() {
        return None;
    }
    let mut recipients = Vec::new();
    if digits * 8 >= RSA_BITS {
        recipients.push(Recipient::age(format!("ssh-rsa {encoded}")));
    }
    #[cfg(feature = "pgp")]
    {
        let fingerprint = openpgp::hexadecimal(openpgp::fingerprint(modulus, exponent));
        recipients.push(Recipient::pgp(fingerprint.to_ascii_uppercase()));
    }
    Some(PublicKey { kind: Kind::Rsa, recipients })
}

/// The `N` fields that follow the algorithm in a key as ssh sends it, and nothing after them.
fn fields<'w, const N: usize>(wire: &'w [u8], algorithm: &[u8]) -> Option<[&'w [u8]; N]> {
    let mut rest = wire;
    let mut next = || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, after) = after.split_at_checked(length)?;
        rest = after;
        Some(field)
    };
    if next()? != algorithm {
        return None;
    }
    let mut found = [&[][..]; N];
    for field in &mut found {
        *field = next()?;
    }
    rest.is_empty().then_some(found)
}

fn fingerprint(line: &str) -> Option<PublicKey> {
    let digits: String = line.trim_start_matches("0x").split_whitespace().collect();
    let is_one = digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let recipients = vec![Recipient { list: List::Pgp, text: digits.to_ascii_uppercase() }];
    is_one.then_some(PublicKey { kind: Kind::OpenPgp, recipients })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPNOued4R2PyL++rjKdWIP3eyYSPx+pzkU0y7U/qnWGf";
    const DERIVED: &str = "age12pw2hnwhsnkcjrndqrul78ya7r3l4shmvju53cqwqtghnm3hly9qqh6qec";

    fn texts(line: &str) -> (Option<String>, Kind, Vec<String>) {
        let (host, key) = PublicKey::parse_line(line).unwrap().unwrap();
        (host, key.kind, key.recipients.into_iter().map(|recipient| recipient.text).collect())
    }

    #[test]
    fn an_ed25519_key_is_its_own_line_and_what_ssh_to_age_prints() {
        let forms = vec![DERIVED.to_owned(), ED25519.to_owned()];
        for (line, host) in [
            (ED25519.to_owned(), None),
            (format!("  {ED25519} root@web1 \r"), None),
            (format!("web1.example.org {ED25519}"), Some("web1.example.org".to_owned())),
            (format!("[192.0.2.1]:2222 {ED25519}"), Some("[192.0.2.1]:2222".to_owned())),
            (format!("no-pty,command=\"a b\" {ED25519} c"), None),
        ] {
            assert_eq!(texts(&line), (host, Kind::Ed25519, forms.clone()), "{line}");
        }
    }

    #[test]
    fn age_recipients_and_fingerprints_are_what_they_are() {
        assert_eq!(texts(DERIVED), (None, Kind::Age, vec![DERIVED.to_owned()]));
        let fingerprint = "fba239cf16571ab75d813a4cd76c13565e129852";
        let upper = fingerprint.to_uppercase();
        assert_eq!(texts(fingerprint), (None, Kind::OpenPgp, vec![upper.clone()]));
        assert_eq!(
            texts("FBA2 39CF 1657 1AB7 5D81  3A4C D76C 1356 5E12 9852"),
            (None, Kind::OpenPgp, vec![upper])
        );
        let plugin = bech32_encode(Hrp::parse_unchecked("age1yubikey"), &[2; 33]);
        assert_eq!(texts(&plugin), (None, Kind::Plugin, vec![plugin.clone()]));
        let post_quantum = bech32_encode(POST_QUANTUM, &[3; POST_QUANTUM_LEN]);
        assert_eq!(texts(&post_quantum).1, Kind::PostQuantum);
    }

    #[test]
    fn what_is_no_recipient_is_told_by_its_kind() {
        let parse = |line: &str| PublicKey::parse_line(line).unwrap_err();
        assert_eq!(parse("hunter2"), NotAKey::Unknown);
        assert_eq!(parse("ssh-ed25519"), NotAKey::Ssh("Ed25519"));
        assert_eq!(parse(&ED25519.replace("IPNO", "IPNP")[..60]), NotAKey::Ssh("Ed25519"));
        assert_eq!(parse(&ED25519.replace("ssh-ed25519", "ssh-rsa")), NotAKey::Ssh("RSA"));
        assert_eq!(parse("ecdsa-sha2-nistp256 AAAA"), NotAKey::Algorithm("an ECDSA"));
        assert_eq!(parse("web1 sk-ssh-ed25519@openssh.com AAAA"), NotAKey::Algorithm("a security"));
        assert_eq!(parse(&DERIVED.replace('h', "j")), NotAKey::Age);
        assert_eq!(parse(&bech32_encode(AGE, &[1; 31])), NotAKey::Age);
        assert_eq!(parse(&bech32_encode(POST_QUANTUM, &[1; 32])), NotAKey::Age);
        assert_eq!(parse("FBA239CF16571AB7"), NotAKey::Unknown);
        for nothing in ["", "  ", "# web1:22 SSH-2.0-OpenSSH_9.9"] {
            assert_eq!(PublicKey::parse_line(nothing), Ok(None));
        }
    }
}
