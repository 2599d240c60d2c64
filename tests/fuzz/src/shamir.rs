//! Shares: what a slow and plain implementation splits comes together again, and nothing else is taken for it.

use sops_activate::secret::SecretBytes;
use sops_activate::sops::shamir;

use super::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    if input.byte() % 2 == 0 {
        return arbitrary(input.0);
    }
    let threshold = 2 + usize::from(input.byte()) % 6;
    let count = threshold + usize::from(input.byte()) % 4;
    let length = 1 + usize::from(input.byte()) % 40;
    let secret: Vec<u8> = (0..length).map(|_| input.byte()).collect();
    // One polynomial for each byte of the secret, which is its value at 0.
    let polynomials: Vec<Vec<u8>> = secret
        .iter()
        .map(|byte| std::iter::once(*byte).chain((1..threshold).map(|_| input.byte())).collect())
        .collect();
    let mut points: Vec<u8> = (1..=255).collect();
    let first = usize::from(input.byte());
    points.rotate_left(first % 255);
    let shares: Vec<SecretBytes> = points[..count]
        .iter()
        .map(|x| {
            let mut share: Vec<u8> = polynomials.iter().map(|polynomial| value_at(polynomial, *x)).collect();
            share.push(*x);
            SecretBytes::new(share)
        })
        .collect();
    assert!(shamir::combine(&shares).ok().unwrap().expose() == secret);
    let enough = &shares[count - threshold..];
    assert!(shamir::combine(enough).ok().unwrap().expose() == secret);
}

fn arbitrary(data: &[u8]) {
    let mut input = Input(data);
    let mut shares = Vec::new();
    while !input.is_empty() && shares.len() < 300 {
        let (text, rest) = input.0[..].split_at(input.0.len().min(1 + usize::from(input.0[0]) % 8));
        input = Input(rest);
        shares.push(SecretBytes::from(text));
    }
    if let Ok(secret) = shamir::combine(&shares) {
        let share = shares[0].expose();
        assert_eq!(secret.len() + 1, share.len());
        // A share at 0 is the secret itself.
        for share in &shares {
            if let Some((0, y)) = share.expose().split_last() {
                assert!(y == secret.expose());
            }
        }
    }
}

fn value_at(polynomial: &[u8], x: u8) -> u8 {
    let mut value = 0;
    let mut power = 1;
    for coefficient in polynomial {
        value ^= times(*coefficient, power);
        power = times(power, x);
    }
    value
}

/// By polynomial long division, bit by bit.
fn times(a: u8, b: u8) -> u8 {
    let mut product = 0_u16;
    for bit in 0..8 {
        if b >> bit & 1 == 1 {
            product ^= u16::from(a) << bit;
        }
    }
    for bit in (8..15).rev() {
        if product >> bit & 1 == 1 {
            product ^= 0x11b << (bit - 8);
        }
    }
    product.to_le_bytes()[0]
}
