//! Private ssh keys from their files: OpenSSH's own format, PKCS#8 (what `openssl genpkey` writes) and, for RSA,
//! PKCS#1. Keys with a passphrase are refused: nobody is there to type it at boot.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use memchr::memmem;
use pkcs8::{ObjectIdentifier, PrivateKeyInfo};
use ssh_key::private::KeypairData;
use zeroize::{Zeroize as _, Zeroizing};

use super::source::Unusable;
use crate::secret::SecretBytes;

/// The biggest key file that is read. A 16384-bit RSA key needs 13 KiB.
pub const FILE_LIMIT: u64 = 1 << 20;

const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// A private key that can open age files.
pub enum SshKey {
    /// Its seed: everything else follows from it.
    Ed25519(Zeroizing<[u8; 32]>),
    Rsa(RsaNumbers),
}

/// The numbers of an RSA key, big-endian, unchecked.
#[cfg_attr(not(any(feature = "age-ssh", feature = "pgp")), allow(dead_code))]
pub struct RsaNumbers {
    pub modulus: Vec<u8>,
    pub public_exponent: Vec<u8>,
    pub private_exponent: SecretBytes,
    pub prime1: SecretBytes,
    pub prime2: SecretBytes,
}

impl SshKey {
    /// Reads the text of a key file.
    pub fn parse(text: &[u8]) -> Result<Self, Unusable> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return Err(Unusable::Empty);
        }
        let Some(block) = PemBlock::first_private_key(text) else {
            return Err(what_else(text));
        };
        match block.label {
            b"OPENSSH PRIVATE KEY" => openssh(&block.decode()?),
            b"PRIVATE KEY" => pkcs8(&block.decode()?),
            b"RSA PRIVATE KEY" if block.is_encrypted() => Err(Unusable::EncryptedKey),
            b"RSA PRIVATE KEY" => pkcs1(&block.decode()?),
            b"ENCRYPTED PRIVATE KEY" => Err(Unusable::EncryptedKey),
            b"EC PRIVATE KEY" => Err(Unusable::WrongAlgorithm("an ECDSA")),
            b"DSA PRIVATE KEY" => Err(Unusable::WrongAlgorithm("a DSA")),
            _ => Err(Unusable::NoPrivateKey),
        }
    }
}

/// The public side of a key in OpenSSH's format, which is in the clear even where the private one is encrypted.
pub fn public_line(text: &[u8]) -> Option<String> {
    let block = PemBlock::first_private_key(text).filter(|block| block.label == b"OPENSSH PRIVATE KEY")?;
    let key = ssh_key::PrivateKey::from_bytes(&block.decode().ok()?).ok()?;
    let mut public = key.public_key().clone();
    public.set_comment("");
    public.to_openssh().ok()
}

/// What a file without a private key is instead.
fn what_else(text: &[u8]) -> Unusable {
    const PUBLIC: [&[u8]; 4] = [b"ssh-", b"ecdsa-", b"sk-", b"---- BEGIN SSH2 PUBLIC KEY"];
    if PUBLIC.iter().any(|start| text.starts_with(start)) || contains(text, b" PUBLIC KEY-----") {
        Unusable::PublicKey
    } else if contains(text, b"AGE-SECRET-KEY-") {
        Unusable::AgeIdentityFile
    } else {
        Unusable::NoPrivateKey
    }
}

/// One block of a PEM file, between its two dashed lines.
struct PemBlock<'a> {
    label: &'a [u8],
    body: &'a [u8],
}

impl<'a> PemBlock<'a> {
    /// The first block with a private key; `openssl` puts parameters before it, some tools put comments.
    fn first_private_key(text: &'a [u8]) -> Option<Self> {
        let mut rest = text;
        loop {
            let (_, after) = split_once(rest, b"-----BEGIN ")?;
            let (label, after) = split_once(after, b"-----")?;
            if label.ends_with(b"PRIVATE KEY") {
                // Without its last line a block is truncated; decoding tells.
                let body = split_once(after, b"-----END ").map_or(&[][..], |(body, _)| body);
                return Some(Self { label, body });
            }
            rest = after;
        }
    }

    /// Whether it has the header by which old `ssh-keygen` and `openssl` mark an encrypted key.
    fn is_encrypted(&self) -> bool {
        contains(self.body, b"ENCRYPTED")
    }

    /// The bytes inside. Lines may have any length: OpenSSH writes 70 columns, Go 64, Python 76.
    fn decode(&self) -> Result<Zeroizing<Vec<u8>>, Unusable> {
        let mut text = Zeroizing::new(Vec::with_capacity(self.body.len()));
        text.extend(self.body.iter().filter(|byte| !byte.is_ascii_whitespace()));
        let mut bytes = Zeroizing::new(vec![0; text.len()]);
        let len = BASE64_STANDARD.decode_slice(&*text, &mut bytes).map_err(|_| Unusable::MalformedKey)?;
        bytes.truncate(len);
        Ok(bytes)
    }
}

fn openssh(bytes: &[u8]) -> Result<SshKey, Unusable> {
    // The parser knows neither ECDSA nor security keys, and does not say which it met.
    let key = ssh_key::PrivateKey::from_bytes(bytes).map_err(|_| wrong_algorithm(bytes))?;
    match key.key_data() {
        KeypairData::Ed25519(pair) => Ok(SshKey::Ed25519(Zeroizing::new(*pair.private.as_ref()))),
        KeypairData::Rsa(pair) => openssh_rsa(pair),
        KeypairData::Encrypted(_) => Err(Unusable::EncryptedKey),
        _ => Err(wrong_algorithm(bytes)),
    }
}

/// Why a key in OpenSSH's format is not used, from the algorithm's name in it.
fn wrong_algorithm(bytes: &[u8]) -> Unusable {
    const NAMES: [(&[u8], &str); 4] = [
        (b"sk-ssh-ed25519@", "a security"),
        (b"sk-ecdsa-sha2-", "a security"),
        (b"ecdsa-sha2-", "an ECDSA"),
        (b"ssh-dss", "a DSA"),
    ];
    let named = NAMES.iter().find(|(name, _)| contains(bytes, name));
    named.map_or(Unusable::MalformedKey, |(_, kind)| Unusable::WrongAlgorithm(kind))
}

fn openssh_rsa(pair: &ssh_key::private::RsaKeypair) -> Result<SshKey, Unusable> {
    let digits = |number: &ssh_key::Mpint| number.as_positive_bytes().map(<[u8]>::to_vec);
    let (public, private) = (&pair.public, &pair.private);
    let read = || {
        Some(RsaNumbers {
            modulus: digits(&public.n)?,
            public_exponent: digits(&public.e)?,
            private_exponent: SecretBytes::new(digits(&private.d)?),
            prime1: SecretBytes::new(digits(&private.p)?),
            prime2: SecretBytes::new(digits(&private.q)?),
        })
    };
    read().map(SshKey::Rsa).ok_or(Unusable::MalformedKey)
}

fn pkcs8(der: &[u8]) -> Result<SshKey, Unusable> {
    let info = PrivateKeyInfo::try_from(der).map_err(|_| Unusable::MalformedKey)?;
    match info.algorithm.oid {
        // RFC 8410: the seed is an octet string of its own inside the octet string.
        ED25519 => match info.private_key.split_first_chunk::<2>() {
            Some(([0x04, 0x20], seed)) => {
                let mut copy = <[u8; 32]>::try_from(seed).map_err(|_| Unusable::MalformedKey)?;
                let key = SshKey::Ed25519(Zeroizing::new(copy));
                copy.zeroize();
                Ok(key)
            }
            _ => Err(Unusable::MalformedKey),
        },
        RSA => pkcs1(info.private_key),
        EC => Err(Unusable::WrongAlgorithm("an ECDSA")),
        _ => Err(Unusable::WrongAlgorithm("another kind of")),
    }
}

fn pkcs1(der: &[u8]) -> Result<SshKey, Unusable> {
    let key = pkcs1::RsaPrivateKey::try_from(der).map_err(|_| Unusable::MalformedKey)?;
    Ok(SshKey::Rsa(RsaNumbers {
        modulus: key.modulus.as_bytes().to_vec(),
        public_exponent: key.public_exponent.as_bytes().to_vec(),
        private_exponent: key.private_exponent.as_bytes().into(),
        prime1: key.prime1.as_bytes().into(),
        prime2: key.prime2.as_bytes().into(),
    }))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memmem::find(text, part).is_some()
}

fn split_once<'a>(text: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memmem::find(text, separator)?;
    Some((text.get(..at)?, text.get(at + separator.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    /// A PKCS#8 Ed25519 key around the seed 07 07 07...
    fn pkcs8_key() -> Vec<u8> {
        let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        [&head[..], &[7; 32]].concat()
    }

    /// An OpenSSH Ed25519 key with the same seed.
    fn openssh_key() -> Vec<u8> {
        let field = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
        let public = [field(b"ssh-ed25519"), field(&[9; 32])].concat();
        let pair = [field(&[[7; 32], [9; 32]].concat()), field(b"comment"), vec![1, 2, 3, 4, 5, 6]].concat();
        let private = [&[0x11; 8], public.as_slice(), &pair].concat();
        let none = field(b"none");
        let head = [b"openssh-key-v1\0", none.as_slice(), &none, &field(b""), &[0, 0, 0, 1]].concat();
        [head, field(&public), field(&private)].concat()
    }

    #[test]
    fn both_formats_give_the_seed() {
        for key in [pkcs8(&pkcs8_key()), openssh(&openssh_key())] {
            assert!(matches!(key, Ok(SshKey::Ed25519(seed)) if *seed == [7; 32]));
        }
    }

    proptest! {
        #[test]
        fn damaged_keys_are_refused_or_read_but_never_a_panic(
            changes in vec((any::<Index>(), any::<u8>()), 1..4),
            cut in any::<Index>(),
        ) {
            for (mut bytes, parse) in [(pkcs8_key(), pkcs8 as fn(&[u8]) -> _), (openssh_key(), openssh)] {
                for (index, value) in &changes {
                    *index.get_mut(&mut bytes) = *value;
                }
                let _ = parse(&bytes).is_ok();
                prop_assert!(parse(&bytes[..cut.index(bytes.len())]).is_err());
            }
        }

        #[test]
        fn no_text_is_a_panic(text in "(-----BEGIN |OPENSSH |RSA |PRIVATE KEY|-----|-----END |[A-Za-z0-9+/=]{1,9}|\n){0,20}") {
            let _ = SshKey::parse(text.as_bytes()).is_ok();
        }
    }
}
