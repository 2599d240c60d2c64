//! The post-quantum identity of age 1.3, `AGE-SECRET-KEY-PQ-1…`: X25519 and ML-KEM-768 together, so that a file stays
//! closed as long as one of the two holds.
//!
//! The stanza is HPKE (RFC 9180) in base mode with the X-Wing key encapsulation; no HPKE crate fits beside the age
//! crate, and the one path of it that is needed here is short. Unlike plain X-Wing, age refuses key shares of low
//! order.

use age_core::format::Stanza;
use age_core::primitives::bech32_encode;
use bech32::Hrp;
use chacha20poly1305::aead::Aead as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _};
use hkdf::Hkdf;
use ml_kem::kem::{Decapsulate as _, DecapsulationKey};
use ml_kem::{Ciphertext, EncodedSizeUser as _, KemCore as _, MlKem768, MlKem768Params};
use sha2::Sha256;
use sha3::digest::{ExtendableOutput as _, Update as _, XofReader as _};
use sha3::{Digest as _, Sha3_256, Shake256};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize as _, Zeroizing};

use super::stanza::{Answer, argument, file_key, has_wrapped_key};
use super::x25519::secret_bytes;

pub const STANZA_TYPE: &str = "mlkem768x25519";
const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
const SECRET_HRP: Hrp = Hrp::parse_unchecked("AGE-SECRET-KEY-PQ-");
const RECIPIENT_HRP: Hrp = Hrp::parse_unchecked("age1pq");

const MLKEM_CIPHERTEXT_LEN: usize = 1088;
const SHARE_LEN: usize = MLKEM_CIPHERTEXT_LEN + 32;
/// Domain separator of X-Wing.
const XWING_LABEL: &[u8; 6] = br"\.//^\";
/// `"HPKE"`, then the identifiers of X-Wing, HKDF-SHA-256 and ChaCha20-Poly1305.
const SUITE: &[u8; 10] = b"HPKE\x64\x7a\x00\x01\x00\x03";

/// A private X-Wing key.
pub struct PostQuantum {
    mlkem: DecapsulationKey<MlKem768Params>,
    x25519: StaticSecret,
    x25519_public: PublicKey,
    recipient: String,
}

impl PostQuantum {
    /// Reads `AGE-SECRET-KEY-PQ-1…`; `None` when it is not a well-formed one.
    pub fn parse(text: &str) -> Option<Self> {
        let seed = secret_bytes::<32>(text, SECRET_HRP)?;
        let mut expanded = Shake256::default().chain(*seed).finalize_xof();
        let mut next = || {
            let mut bytes = Zeroizing::new([0; 32]);
            expanded.read(bytes.as_mut());
            bytes
        };
        let (d, z, scalar) = (next(), next(), next());
        let (mlkem, mlkem_public) = MlKem768::generate_deterministic(&(*d).into(), &(*z).into());
        let x25519 = StaticSecret::from(*scalar);
        let x25519_public = PublicKey::from(&x25519);

        let mut public = mlkem_public.as_bytes().to_vec();
        public.extend(x25519_public.as_bytes());
        let recipient = bech32_encode(RECIPIENT_HRP, &public);
        Some(Self { mlkem, x25519, x25519_public, recipient })
    }

    /// `age1pq1…`, about two thousand characters.
    pub fn recipient(&self) -> &str {
        &self.recipient
    }

    pub fn open(&self, stanza: &Stanza) -> Answer {
        if stanza.tag != STANZA_TYPE {
            return Answer::NotForMe;
        }
        let [share] = stanza.args.as_slice() else {
            return Answer::Malformed("its mlkem768x25519 stanza has not exactly one argument");
        };
        let Some(share) = argument::<SHARE_LEN>(share) else {
            return Answer::Malformed("the key share of its mlkem768x25519 stanza is malformed");
        };
        if !has_wrapped_key(stanza) {
            return Answer::Malformed("the body of its mlkem768x25519 stanza has a wrong length");
        }
        let Some(shared) = self.decapsulate(&share) else {
            return Answer::Malformed("the key share of its mlkem768x25519 stanza has low order");
        };
        match hpke_open(&shared, &stanza.body) {
            Some(opened) => file_key(&opened).map_or(Answer::DoesNotOpen, Answer::Opened),
            None => Answer::NotForMe,
        }
    }

    /// The shared secret of X-Wing; `None` when the X25519 half has low order. ML-KEM never fails: a wrong
    /// ciphertext gives a secret that opens nothing.
    fn decapsulate(&self, share: &[u8; SHARE_LEN]) -> Option<Zeroizing<[u8; 32]>> {
        let (ciphertext, ephemeral) = share.split_first_chunk::<MLKEM_CIPHERTEXT_LEN>()?;
        let ephemeral = <[u8; 32]>::try_from(ephemeral).ok()?;
        let from_x25519 = self.x25519.diffie_hellman(&PublicKey::from(ephemeral));
        if !from_x25519.was_contributory() {
            return None;
        }
        let mut from_mlkem = self.mlkem.decapsulate(&Ciphertext::<MlKem768>::from(*ciphertext)).ok()?;
        let mut hash = Sha3_256::new()
            .chain_update(from_mlkem.as_slice())
            .chain_update(from_x25519.as_bytes())
            .chain_update(ephemeral)
            .chain_update(self.x25519_public.as_bytes())
            .chain_update(XWING_LABEL)
            .finalize();
        from_mlkem.as_mut_slice().zeroize();
        let shared = Zeroizing::new(hash.into());
        hash.as_mut_slice().zeroize();
        Some(shared)
    }
}

/// Opens the first message of an HPKE context in base mode, without associated data.
fn hpke_open(shared: &[u8; 32], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (psk_id_hash, _) = labeled_extract(&[], b"psk_id_hash", &[]);
    let (info_hash, _) = labeled_extract(&[], b"info_hash", INFO);
    // Mode 0 is "base": no pre-shared key, no sender key.
    let context = [&[0], psk_id_hash.as_slice(), info_hash.as_slice()].concat();
    let (_, secret) = labeled_extract(shared, b"secret", &[]);
    let key = labeled_expand::<32>(&secret, b"key", &context)?;
    let nonce = labeled_expand::<12>(&secret, b"base_nonce", &context)?;
    ChaCha20Poly1305::new((&*key).into()).decrypt((&*nonce).into(), sealed).ok().map(Zeroizing::new)
}

fn labeled_extract(salt: &[u8], label: &[u8], input: &[u8]) -> (Zeroizing<[u8; 32]>, Hkdf<Sha256>) {
    let input = Zeroizing::new([b"HPKE-v1", SUITE.as_slice(), label, input].concat());
    let (mut extracted, hkdf) = Hkdf::<Sha256>::extract(Some(salt), &input);
    let bytes = Zeroizing::new(extracted.into());
    extracted.as_mut_slice().zeroize();
    (bytes, hkdf)
}

fn labeled_expand<const N: usize>(
    secret: &Hkdf<Sha256>,
    label: &[u8],
    context: &[u8],
) -> Option<Zeroizing<[u8; N]>> {
    let len = u16::try_from(N).ok()?.to_be_bytes();
    let mut output = Zeroizing::new([0; N]);
    let info = [len.as_slice(), b"HPKE-v1", SUITE, label, context];
    secret.expand_multi_info(&info, output.as_mut()).ok()?;
    Some(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_FILE: &str = include_str!("../../tests/vectors/age-pq-key.txt");

    /// The secret key and the recipient that age-keygen wrote.
    fn vector() -> (&'static str, &'static str) {
        let line = |prefix| KEY_FILE.lines().find_map(move |line| line.strip_prefix(prefix)).unwrap();
        let secret = KEY_FILE.lines().find(|line| line.starts_with("AGE-SECRET-KEY-PQ-1")).unwrap();
        (secret, line("# public key: "))
    }

    #[test]
    fn the_recipient_is_the_one_that_age_keygen_prints() {
        let (secret, recipient) = vector();
        assert_eq!(PostQuantum::parse(secret).unwrap().recipient(), recipient);
    }

    #[test]
    fn a_share_whose_x25519_half_has_low_order_is_refused() {
        use base64::Engine as _;
        let share = base64::prelude::BASE64_STANDARD_NO_PAD.encode([0; SHARE_LEN]);
        let stanza = Stanza { tag: STANZA_TYPE.into(), args: vec![share], body: vec![0; 32] };
        let Answer::Malformed(reason) = PostQuantum::parse(vector().0).unwrap().open(&stanza) else {
            panic!()
        };
        assert_eq!(reason, "the key share of its mlkem768x25519 stanza has low order");
    }

    #[test]
    fn a_classic_secret_key_is_not_taken_for_a_post_quantum_one() {
        let classic = "AGE-SECRET-KEY-1D88T3T22862F5SWX0V7M7CG9Q5T9FA90CCN9NVLJRCQATZ3WGL3QMR7CN4";
        assert!(PostQuantum::parse(classic).is_none());
    }
}
