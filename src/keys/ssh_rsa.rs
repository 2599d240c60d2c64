//! An RSA host key as an age identity, for files encrypted to the `ssh-rsa AAAA…` line.

use std::sync::Arc;

use age_core::format::Stanza;
use rsa::Oaep;
use sha2::Sha256;

use super::rsa_key::RsaKey;
use super::ssh_ed25519::{public_line, tag, wire_key};
use super::stanza::{Answer, argument, file_key};

pub const STANZA_TYPE: &str = "ssh-rsa";
const LABEL: &str = "age-encryption.org/v1/ssh-rsa";

/// An RSA key that opens `ssh-rsa` stanzas.
pub struct SshRsa {
    key: Arc<RsaKey>,
    tag: String,
    recipient: String,
}

impl SshRsa {
    pub fn new(key: Arc<RsaKey>) -> Self {
        let wire = wire_key([
            STANZA_TYPE.as_bytes(),
            &positive(&key.numbers.public_exponent),
            &positive(&key.numbers.modulus),
        ]);
        Self { tag: tag(&wire), recipient: public_line(STANZA_TYPE, &wire), key }
    }

    /// `ssh-rsa AAAA…`, without a comment.
    pub fn recipient(&self) -> &str {
        &self.recipient
    }

    pub fn open(&self, stanza: &Stanza) -> Answer {
        if stanza.tag != STANZA_TYPE {
            return Answer::NotForMe;
        }
        let [tag] = stanza.args.as_slice() else {
            return Answer::Malformed("its ssh-rsa stanza has not exactly one argument");
        };
        if argument::<4>(tag).is_none() {
            return Answer::Malformed("the key tag of its ssh-rsa stanza is malformed");
        }
        if *tag != self.tag {
            return Answer::NotForMe;
        }
        let opened = self.key.decrypt(Oaep::new_with_label::<Sha256, _>(LABEL), &stanza.body);
        match opened.and_then(|bytes| file_key(&bytes)) {
            Some(key) => Answer::Opened(key),
            None => Answer::DoesNotOpen,
        }
    }
}

/// A number as ssh writes positive ones: no leading zeros, but one where the top bit would make it negative.
fn positive(number: &[u8]) -> Vec<u8> {
    let digits = number.iter().copied().skip_while(|byte| *byte == 0);
    let negative = digits.clone().next().is_some_and(|byte| byte >= 0x80);
    negative.then_some(0).into_iter().chain(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::ssh_key::RsaNumbers;
    use crate::secret::SecretBytes;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_written_as_ssh_writes_them() {
        assert_eq!(positive(&[0, 0, 0x7f, 0]), [0x7f, 0]);
        assert_eq!(positive(&[0x80]), [0, 0x80]);
        assert_eq!(positive(&[0]), [0_u8; 0]);
    }

    proptest! {
        #[test]
        fn numbers_that_make_no_key_open_nothing(
            modulus in vec(any::<u8>(), 0..200),
            small in vec(vec(any::<u8>(), 0..4), 4),
        ) {
            let secret = |index: usize| SecretBytes::from(small[index].as_slice());
            let key = SshRsa::new(Arc::new(RsaKey::new(RsaNumbers {
                modulus,
                public_exponent: small[0].clone(),
                private_exponent: secret(1),
                prime1: secret(2),
                prime2: secret(3),
            })));
            let stanza = Stanza { tag: STANZA_TYPE.into(), args: vec![key.tag.clone()], body: vec![1; 128] };
            prop_assert!(matches!(key.open(&stanza), Answer::DoesNotOpen));
        }
    }
}
