//! Floats as text, in the notations that sops inherits from Go. All print the shortest digits that read back as the
//! same number; they differ in when they use an exponent and how they write it.

/// Never an exponent (Go's `FormatFloat(f, 'f', -1, 64)`): how the MAC sees a float.
#[must_use]
pub fn fixed(float: f64) -> String {
    if float.is_infinite() {
        return if float > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    // Rust prints every finite float in fixed notation with the shortest digits, and `NaN` like Go.
    float.to_string()
}

/// An exponent of two digits when the decimal exponent is below -4 or at least 6 (Go's `%g`, and `%G` with `'E'`).
#[must_use]
pub fn general(float: f64, exponent_mark: char) -> String {
    if !float.is_finite() || float == 0.0 {
        return fixed(float);
    }
    let (digits, exponent) = scientific(float);
    if (-4..6).contains(&exponent) {
        return fixed(float);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{exponent_mark}{sign}{:02}", exponent.unsigned_abs())
}

/// As Go's `encoding/json` prints it: an exponent below 1e-6 and from 1e21 on. `None` for NaN and infinities, which
/// JSON cannot hold.
#[must_use]
pub fn json(float: f64) -> Option<String> {
    if !float.is_finite() {
        return None;
    }
    let magnitude = float.abs();
    if float == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return Some(fixed(float));
    }
    let (digits, exponent) = scientific(float);
    let sign = if exponent < 0 { "" } else { "+" };
    Some(format!("{digits}e{sign}{exponent}"))
}

/// As sops writes floats into dotenv and INI files: [`general`] with `E`, and `.0` where neither a point nor an
/// exponent would tell it from an integer.
#[must_use]
pub fn flat(float: f64) -> String {
    let text = general(float, 'E');
    if float.is_finite() && !text.contains(['.', 'E']) { format!("{text}.0") } else { text }
}

/// Mantissa digits with sign and point, and the decimal exponent, of a finite float other than zero.
fn scientific(float: f64) -> (String, i32) {
    let text = format!("{float:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (digits.to_owned(), exponent.parse().unwrap_or(0))
}

/// Parses a float as Go's `ParseFloat(_, 64)` does for what sops accepts as `type:float`: decimal with optional
/// exponent, hexadecimal with a binary exponent, `inf`, `infinity` and `nan` in any case. `None` when it is not a
/// number or out of range.
#[must_use]
pub fn parse_go(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let negative = text.starts_with('-');
    let lower = unsigned.to_ascii_lowercase();
    match lower.as_str() {
        "inf" | "infinity" => return Some(if negative { f64::NEG_INFINITY } else { f64::INFINITY }),
        // Go accepts no sign on nan.
        "nan" => return (unsigned.len() == text.len()).then_some(f64::NAN),
        _ => {}
    }
    let magnitude = match lower.strip_prefix("0x") {
        Some(hex) => parse_hex(hex)?,
        None => {
            // The standard library would take a second sign.
            let starts_well = lower.starts_with(|first: char| first.is_ascii_digit() || first == '.');
            if !starts_well
                || !lower.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-'))
            {
                return None;
            }
            unsigned.parse::<f64>().ok()?
        }
    };
    magnitude.is_finite().then_some(if negative { -magnitude } else { magnitude })
}

/// `h.hhhp±d` without its `0x`. The exponent is required, as in Go.
fn parse_hex(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if exponent_digits.is_empty() || !exponent_digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let exponent: i32 = exponent.parse::<i32>().ok().filter(|e| e.abs() < 100_000)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // Sixteen significant hex digits hold more than the 53 bits of a double; what follows them can only decide a
    // tie, which the lowest bit remembers.
    let (mut bits, mut scale, mut lost) = (0_u64, 0_i32, false);
    let places = whole.chars().map(|c| (c, 0)).chain(fraction.chars().map(|c| (c, -4)));
    for (digit, step) in places {
        let digit = u64::from(digit.to_digit(16)?);
        if bits >> 58 == 0 {
            bits = bits << 4 | digit;
            scale += step;
        } else {
            lost |= digit != 0;
            scale += 4 + step;
        }
    }
    if lost {
        bits |= 1;
    }
    ldexp(bits, scale.checked_add(exponent)?)
}

/// `bits * 2^exponent`, rounded once to nearest even.
fn ldexp(bits: u64, exponent: i32) -> Option<f64> {
    if bits == 0 {
        return Some(0.0);
    }
    let top = 63 - i32::try_from(bits.leading_zeros()).ok()?;
    // Bits below the last place of the result: 52 for a normal number, more for a subnormal one.
    let lowest = (top + exponent - 52).max(-1074);
    let drop = lowest - exponent;
    let (kept, exponent) = if drop <= 0 {
        (bits, exponent)
    } else if drop > 64 {
        (0, lowest)
    } else {
        let wide = u128::from(bits);
        let half = 1_u128 << (drop - 1);
        let (quotient, rest) = (wide >> drop, wide & ((half << 1) - 1));
        let up = rest > half || (rest == half && quotient & 1 == 1);
        (u64::try_from(quotient).ok()? + u64::from(up), lowest)
    };
    // At most 53 bits are left, so this is exact, and so is the product, unless it is infinite.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let mut value = kept as f64;
    let mut left = exponent;
    while left != 0 {
        let step = left.clamp(-1000, 1000);
        value *= 2_f64.powi(step);
        left -= step;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_notation() {
        for (float, text) in [
            (1.0, "1"),
            (1e6, "1000000"),
            (1e-7, "0.0000001"),
            (1e21, "1000000000000000000000"),
            (9_223_372_036_854_775_808.0, "9223372036854776000"),
            (-0.0, "-0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (1.5, "1.5"),
        ] {
            assert_eq!(fixed(float), text);
        }
    }

    #[test]
    fn general_notation() {
        for (float, yaml, flat_text) in [
            (1.0, "1", "1.0"),
            (100_000.0, "100000", "100000.0"),
            (1e6, "1e+06", "1E+06"),
            (1.5e-7, "1.5e-07", "1.5E-07"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "1e-05", "1E-05"),
            (-2e10, "-2e+10", "-2E+10"),
            (1.2345e100, "1.2345e+100", "1.2345E+100"),
            (2e5, "200000", "200000.0"),
            (-0.0, "-0", "-0.0"),
        ] {
            assert_eq!(general(float, 'e'), yaml);
            assert_eq!(flat(float), flat_text);
        }
    }

    #[test]
    fn json_notation() {
        for (float, text) in [
            (1e-7, "1e-7"),
            (1e-6, "0.000001"),
            (1e21, "1e+21"),
            (1e20, "100000000000000000000"),
            (1.0, "1"),
            (-0.0, "-0"),
            (1.5e-10, "1.5e-10"),
            (1.25e300, "1.25e+300"),
        ] {
            assert_eq!(json(float).unwrap(), text);
        }
        assert!(json(f64::NAN).is_none() && json(f64::INFINITY).is_none());
    }

    #[test]
    fn go_floats() {
        for (text, value) in [
            ("1.5", 1.5),
            ("1e3", 1000.0),
            ("+.5", 0.5),
            ("5.", 5.0),
            ("0x1p4", 16.0),
            ("0x1.8p1", 3.0),
            ("-0X1P-2", -0.25),
            ("0x1p-1074", 5e-324),
            ("0x0.0000000000001p0", 2f64.powi(-52)),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("0x1.fffffffffffff8p0", 2.0),
            ("0x123456789abcdef01p0", 20_988_295_479_420_645_377.0),
        ] {
            assert_eq!(parse_go(text).unwrap(), value, "{text}");
        }
        assert!(parse_go("NaN").unwrap().is_nan());
        for text in
            ["", "1e400", "0x1", "1_000", "abc", "1.2.3", "0x1p99999", "e5", ".", " 1", "infin", "+-1", "--1"]
        {
            assert!(parse_go(text).is_none(), "{text}");
        }
    }
}
