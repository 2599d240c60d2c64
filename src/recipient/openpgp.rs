//! The OpenPGP key that sops-install-secrets makes of an RSA host key: version 4, created at time 0. Its fingerprint
//! follows from the public numbers alone.

use sha1::{Digest as _, Sha1};

/// RFC 9580, 5.5.4.2. The numbers are big-endian; leading zeros do not count.
#[must_use]
pub fn fingerprint(modulus: &[u8], public_exponent: &[u8]) -> [u8; 20] {
    const RSA: u8 = 1;
    let mut packet = vec![4, 0, 0, 0, 0, RSA];
    for number in [modulus, public_exponent] {
        let digits: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        let bits = digits.len() * 8 - digits.first().map_or(0, |byte| byte.leading_zeros() as usize);
        // Longer numbers are no key that anything could be encrypted to.
        packet.extend(u16::try_from(bits).unwrap_or(u16::MAX).to_be_bytes());
        packet.extend(digits);
    }
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    Sha1::new().chain_update([0x99]).chain_update(length.to_be_bytes()).chain_update(packet).finalize().into()
}

/// In lower-case hexadecimal.
#[must_use]
pub fn hexadecimal(fingerprint: [u8; 20]) -> String {
    fingerprint.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
