//! Times: what is printed reads as the same time.

use sops_activate::sops::format::number;
use sops_activate::sops::time::Time;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let strict = Time::parse_rfc3339(text);
    let lenient = Time::parse_yaml(text);
    if let (Some(strict), Some(lenient)) = (strict, lenient) {
        assert_eq!(strict, lenient);
    }
    for time in [strict, lenient].into_iter().flatten() {
        // Go reads `24:60` as an offset, prints it as `25:00`, and cannot read that.
        if time.offset.abs() > 24 * 60 + 59 {
            continue;
        }
        assert_eq!(Time::parse_rfc3339(&time.to_rfc3339_nano()), Some(time));
        assert_eq!(Time::parse_yaml(&time.to_rfc3339_nano()), Some(time));
        let seconds = Time { nanosecond: 0, ..time };
        assert_eq!(Time::parse_rfc3339(&time.to_rfc3339()), Some(seconds));
    }
    numbers(text);
}

/// Every notation of a number reads as the same number.
fn numbers(text: &str) {
    let Some(float) = number::parse_go(text) else { return };
    let decimal = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if decimal {
        assert_eq!(text.parse::<f64>().unwrap().to_bits(), float.to_bits());
    }
    let printed = [number::fixed(float), number::general(float, 'e'), number::flat(float)];
    for text in printed.into_iter().chain(number::json(float)) {
        let again = number::parse_go(&text).unwrap();
        assert!(again.to_bits() == float.to_bits() || (again.is_nan() && float.is_nan()), "{text}");
    }
}
