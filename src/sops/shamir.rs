//! Shamir's secret sharing over GF(2^8), in the layout of `HashiCorp` Vault that sops uses: a share is one byte of `y`
//! for every byte of the secret, followed by one byte of `x`.

use crate::secret::SecretBytes;

/// Why shares cannot be combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    #[error("fewer than two shares")]
    TooFew,
    #[error("the shares differ in length, or are too short")]
    Length,
    #[error("two shares are the same")]
    Duplicate,
}

/// Interpolates the secret from all of `shares`. Too few of them give a wrong secret, not an error: the scheme
/// cannot tell.
///
/// # Errors
/// When the shares do not fit together.
pub fn combine(shares: &[SecretBytes]) -> Result<SecretBytes, ShareError> {
    let mut points = Vec::with_capacity(shares.len());
    for share in shares {
        let (x, y) = share.expose().split_last().ok_or(ShareError::Length)?;
        if y.is_empty() || points.first().is_some_and(|(_, first): &(u8, &[u8])| first.len() != y.len()) {
            return Err(ShareError::Length);
        }
        if points.iter().any(|(other, _)| other == x) {
            return Err(ShareError::Duplicate);
        }
        points.push((*x, y));
    }
    let [(_, first), _, ..] = points.as_slice() else { return Err(ShareError::TooFew) };
    let mut secret = SecretBytes::new(vec![0; first.len()]);
    for (x, y) in &points {
        // The Lagrange basis polynomial of this share, at zero.
        let basis = points
            .iter()
            .filter(|(other, _)| other != x)
            .fold(1, |product, (other, _)| multiply(product, multiply(*other, inverse(*other ^ *x))));
        for (byte, y) in secret.expose_mut().iter_mut().zip(*y) {
            *byte ^= multiply(*y, basis);
        }
    }
    Ok(secret)
}

/// Product in the field of AES (x^8 + x^4 + x^3 + x + 1), without branches on the operands.
fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (a, 0);
    for bit in 0..8 {
        product ^= a & 0_u8.wrapping_sub(b >> bit & 1);
        a = a << 1 ^ 0x1b & 0_u8.wrapping_sub(a >> 7);
    }
    product
}

/// `a^254`: the multiplicative inverse; zero stays zero.
fn inverse(a: u8) -> u8 {
    let (mut power, mut result) = (a, 1);
    for _ in 1..8 {
        power = multiply(power, power);
        result = multiply(result, power);
    }
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(bytes: &[&[u8]]) -> Vec<SecretBytes> {
        bytes.iter().map(|share| SecretBytes::from(*share)).collect()
    }

    #[test]
    fn field_arithmetic() {
        assert_eq!(multiply(0x53, 0xca), 1);
        assert_eq!(multiply(3, 4), 12);
        for a in 1..=255 {
            assert_eq!(multiply(a, inverse(a)), 1);
        }
    }

    #[test]
    fn any_two_of_three_give_the_secret() {
        let all: [&[u8]; 3] = [b"\x72\x6d\x73\x77\x01", b"\x71\x6b\x76\x7b\x02", b"\x70\x69\x75\x7f\x03"];
        for pick in [vec![all[0], all[1]], vec![all[0], all[2]], vec![all[2], all[1]], all.to_vec()] {
            assert_eq!(combine(&shares(&pick)).unwrap().expose(), b"sops");
        }
    }

    #[test]
    fn shares_that_do_not_fit_are_refused() {
        let error = |bytes: &[&[u8]]| combine(&shares(bytes)).err().unwrap();
        assert_eq!(error(&[]), ShareError::TooFew);
        assert_eq!(error(&[b"ab"]), ShareError::TooFew);
        assert_eq!(error(&[b"ab", b"abc"]), ShareError::Length);
        assert_eq!(error(&[b"a", b"b"]), ShareError::Length);
        assert_eq!(error(&[b"", b""]), ShareError::Length);
        assert_eq!(error(&[b"ab", b"cb"]), ShareError::Duplicate);
    }

    /// Splits as the writer does: one random polynomial for every byte.
    fn split(secret: &[u8], coefficients: &[Vec<u8>], count: u8) -> Vec<Vec<u8>> {
        (1..=count)
            .map(|x| {
                let y = secret
                    .iter()
                    .zip(coefficients)
                    .map(|(byte, higher)| higher.iter().rev().fold(0, |sum, c| multiply(sum ^ c, x)) ^ byte);
                y.chain([x]).collect()
            })
            .collect()
    }

    proptest! {
        #[test]
        fn any_threshold_subset_gives_the_secret(
            secret in prop::collection::vec(any::<u8>(), 32),
            threshold in 2_usize..8,
            extra in 0_usize..5,
            seed in any::<u64>(),
            coefficients in prop::collection::vec(prop::collection::vec(any::<u8>(), 7), 32),
        ) {
            let degree = threshold - 1;
            let coefficients: Vec<Vec<u8>> = coefficients.into_iter().map(|c| c[..degree].to_vec()).collect();
            let all = split(&secret, &coefficients, u8::try_from(threshold + extra).unwrap());
            // A subset of at least the threshold, chosen by the seed's bits, in a rotated order.
            let mut picked: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
            picked.rotate_left(usize::try_from(seed % all.len() as u64).unwrap());
            picked.truncate(threshold + usize::try_from(seed >> 32).unwrap() % (extra + 1));
            let combined = combine(&shares(&picked)).unwrap();
            prop_assert_eq!(combined.expose(), &secret[..]);
        }
    }
}
