//! RSA host keys as OpenPGP keys, as sops-install-secrets makes them: version 4, created at time 0. Files that are
//! encrypted to them open in-process, without `gpg`, an agent or a temporary home.
//!
//! The packets are the pgp crate's work. The RSA step is ours, because it is blinded and the key is then shared with
//! the age side; so are the words for what went wrong. Old ciphers are not refused: to a key like these, which states
//! no preferences, `gpg` encrypts with 3DES. Messages must have integrity protection. Two copies of the data key are
//! not wiped: the crate's buffers for the decrypted packets.

use std::sync::Arc;

use pgp::composed::{DecryptionOptions, Edata, Esk, Message, PlainSessionKey};
use pgp::crypto::sym::SymmetricKeyAlgorithm;
use pgp::packet::PublicKeyEncryptedSessionKey;
use pgp::types::{PkeskBytes, Seipdv1ReadMode};
use rsa::Pkcs1v15Encrypt;

use super::age_file::read_payload;
use super::rsa_key::RsaKey;
use crate::recipient::openpgp;
use crate::secret::SecretBytes;
use crate::sops::data_key::Refusal;

const ARMOR_START: &str = "-----BEGIN PGP MESSAGE-----";

/// The longest armor that is looked at, in bytes. sops writes one recipient into each, which takes 3 KiB with the
/// biggest of keys.
const ARMOR_LIMIT: usize = 16 << 10;

/// Recipients of one message that are tried. sops wants one, and a `gpg.conf` may add a few.
const ESK_LIMIT: usize = 8;

/// How deep compressed packets may lie in one another. Writers make one.
const COMPRESSION_DEPTH: usize = 4;

/// An RSA key seen as an OpenPGP key.
pub struct PgpKey {
    key: Arc<RsaKey>,
    fingerprint: [u8; 20],
}

impl PgpKey {
    pub fn new(key: Arc<RsaKey>) -> Self {
        // Of the public numbers alone, so that it can be told without touching the private ones.
        let fingerprint = openpgp::fingerprint(&key.numbers.modulus, &key.numbers.public_exponent);
        Self { key, fingerprint }
    }

    /// In lower-case hexadecimal.
    pub fn fingerprint(&self) -> String {
        openpgp::hexadecimal(self.fingerprint)
    }

    fn id(&self) -> &[u8] {
        self.fingerprint.get(12..).unwrap_or_default()
    }

    /// The session key inside, if it was encrypted to this key.
    fn session_key(&self, ciphertext: &[u8]) -> Option<PlainSessionKey> {
        let bytes = self.key.decrypt(Pkcs1v15Encrypt, ciphertext)?;
        let (algorithm, rest) = bytes.split_first()?;
        let algorithm = SymmetricKeyAlgorithm::from(*algorithm);
        let (key, sum) = rest.split_last_chunk::<2>()?;
        let right = key.iter().fold(0_u16, |sum, byte| sum.wrapping_add((*byte).into()));
        (u16::from_be_bytes(*sum) == right && key.len() == algorithm.key_size() && !key.is_empty())
            .then(|| PlainSessionKey::V3_4 { sym_alg: algorithm, key: key.into() })
    }
}

/// What is inside the armored OpenPGP message, opened by the first of `keys` that can.
///
/// # Errors
/// Why it does not open; the words never hold content.
pub fn open(armor: &str, keys: &[PgpKey]) -> Result<SecretBytes, Refusal> {
    let message = armor.trim_ascii();
    if message.is_empty() {
        return Err(broken("it is empty"));
    }
    if message.len() > ARMOR_LIMIT {
        return Err(broken("it is longer than any wrapped data key"));
    }
    if !message.starts_with(ARMOR_START) {
        return Err(broken("it is not an ASCII armored OpenPGP message"));
    }
    let Ok((Message::Encrypted { esk, mut edata, .. }, _)) = Message::from_string(message) else {
        return Err(broken("its OpenPGP message is malformed"));
    };
    let session_key = session_key(&esk, keys)?;
    if matches!(edata, Edata::SymEncryptedData { .. }) {
        return Err(broken("its OpenPGP message has no integrity protection"));
    }
    let whole = Seipdv1ReadMode::CheckFirst { max_message_size: ARMOR_LIMIT };
    let options = DecryptionOptions::new().enable_gnupg_aead().set_seipdv1_read_mode(whole);
    let altered = |_| broken("what is inside was altered or truncated");
    edata.decrypt_with_options(&session_key, options).map_err(altered)?;
    let mut inner = Message::from_bytes(edata).map_err(altered)?;
    for _ in 0..COMPRESSION_DEPTH {
        if !inner.is_compressed() {
            break;
        }
        let unreadable = |_| broken("what is inside is compressed in an unknown way");
        inner = inner.decompress().map_err(unreadable)?;
    }
    if inner.is_compressed() || inner.is_encrypted() {
        return Err(broken("what is inside is no data key"));
    }
    read_payload(&mut inner)
}

fn session_key(esk: &[Esk], keys: &[PgpKey]) -> Result<PlainSessionKey, Refusal> {
    let mut named = false;
    for esk in esk.iter().take(ESK_LIMIT) {
        let Esk::PublicKeyEncryptedSessionKey(PublicKeyEncryptedSessionKey::V3 { id, values, .. }) = esk
        else {
            continue;
        };
        let PkeskBytes::Rsa { mpi } = values else { continue };
        for key in keys {
            let ours = id.as_ref() == key.id();
            // Messages may hide whom they are for.
            if ours || id.is_wildcard() {
                if let Some(session_key) = key.session_key(mpi.as_ref()) {
                    return Ok(session_key);
                }
                named |= ours;
            }
        }
    }
    Err(if named {
        broken("it names an OpenPGP key that is here, but does not open with it")
    } else {
        Refusal::NotOurs
    })
}

fn broken(reason: &str) -> Refusal {
    Refusal::Broken(reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::ssh_key::SshKey;
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use std::sync::LazyLock;

    const FINGERPRINT: &str = "245fae8abf904f7fbcefdb0424139e587ac089c2";

    /// Checked once: that takes most of the time.
    static KEY: LazyLock<Arc<RsaKey>> = LazyLock::new(|| {
        let SshKey::Rsa(numbers) =
            SshKey::parse(include_bytes!("../../tests/fixtures/keys/host_rsa")).ok().unwrap()
        else {
            panic!()
        };
        Arc::new(RsaKey::new(numbers))
    });

    fn key() -> PgpKey {
        PgpKey::new(Arc::clone(&KEY))
    }

    /// The armored message in a sops file.
    fn message(file: &str) -> String {
        let lines = file.lines().map(str::trim).skip_while(|line| !line.starts_with("-----BEGIN PGP"));
        lines.take_while(|line| !line.starts_with("fp:")).collect::<Vec<_>>().join("\n")
    }

    fn messages() -> [String; 2] {
        [
            message(include_str!("../../tests/fixtures/recipients/host-rsa-3des.yaml")),
            message(include_str!("../../tests/fixtures/recipients/host-rsa-aes256.yaml")),
        ]
    }

    fn binary(message: &str) -> Vec<u8> {
        let body = message.lines().skip(2).take_while(|line| !line.starts_with(['=', '-']));
        BASE64_STANDARD.decode(body.collect::<String>()).unwrap()
    }

    fn armored(binary: &[u8]) -> String {
        format!("{ARMOR_START}\n\n{}\n-----END PGP MESSAGE-----\n", BASE64_STANDARD.encode(binary))
    }

    fn refused(message: &str, keys: &[PgpKey]) -> Refusal {
        open(message, keys).err().unwrap()
    }

    #[test]
    fn the_fingerprint_is_the_one_that_gpg_prints() {
        assert_eq!(key().fingerprint(), FINGERPRINT);
    }

    #[test]
    fn messages_with_old_and_new_ciphers_open() {
        let keys = [key()];
        for message in messages() {
            assert_eq!(open(&message, &keys).ok().unwrap().len(), 32);
            assert_eq!(open(&armored(&binary(&message)), &keys).ok().unwrap().len(), 32);
            let crlf = format!("\n {}\n\n", message.replace('\n', "\r\n"));
            assert_eq!(open(&crlf, &keys).ok().unwrap().len(), 32);
        }
    }

    #[test]
    fn a_message_for_somebody_else_is_not_ours() {
        let other = message(include_str!("../../tests/fixtures/recipients/only-pgp.yaml"));
        assert_eq!(refused(&other, &[key()]), Refusal::NotOurs);
        assert_eq!(refused(&messages()[0], &[]), Refusal::NotOurs);
    }

    #[test]
    fn a_message_that_hides_whom_it_is_for_opens() {
        let keys = [key()];
        for message in messages() {
            let mut binary = binary(&message);
            let id = binary.windows(8).position(|bytes| bytes == keys[0].id()).unwrap();
            binary[id..id + 8].fill(0);
            assert_eq!(open(&armored(&binary), &keys).ok().unwrap().len(), 32);
        }
    }

    #[test]
    fn damaged_messages_are_broken_and_say_how() {
        let [old, _] = messages();
        let bytes = binary(&old);
        let mut altered = bytes.clone();
        *altered.last_mut().unwrap() ^= 1;
        let mut other_key = bytes.clone();
        other_key[100] ^= 1;
        // After the session key's packet, of old format with two octets of length, comes packet 18. Packet 9 is the one
        // without integrity protection.
        let data = 3 + usize::from(u16::from_be_bytes([bytes[1], bytes[2]]));
        assert_eq!((bytes[0], bytes[data]), (0x85, 0xc0 + 18));
        let mut unprotected = bytes.clone();
        unprotected[data] = 0xc0 + 9;
        for (message, reason) in [
            (String::new(), "it is empty"),
            (" \n".into(), "it is empty"),
            ("x".into(), "it is not an ASCII armored OpenPGP message"),
            (armored(b"nonsense"), "its OpenPGP message is malformed"),
            (armored(&bytes[..200]), "its OpenPGP message is malformed"),
            (armored(&altered), "what is inside was altered or truncated"),
            (armored(&bytes[..bytes.len() - 1]), "what is inside was altered or truncated"),
            (armored(&other_key), "it names an OpenPGP key that is here, but does not open with it"),
            (armored(&unprotected), "its OpenPGP message has no integrity protection"),
            (armored(&vec![0; 1 << 16]), "it is longer than any wrapped data key"),
        ] {
            assert_eq!(refused(&message, &[key()]), broken(reason));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_changed_byte_opens_to_the_same_key_or_is_refused(at in any::<Index>(), value: u8, new: bool) {
            let message = &messages()[usize::from(new)];
            let keys = [key()];
            let expected = open(message, &keys).ok().unwrap();
            let mut binary = binary(message);
            *at.get_mut(&mut binary) = value;
            if let Ok(opened) = open(&armored(&binary), &keys) {
                prop_assert_eq!(opened.expose(), expected.expose());
            }
        }

        #[test]
        fn no_packets_are_a_panic(packets in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(open(&armored(&packets), &[]).is_err());
        }
    }
}
