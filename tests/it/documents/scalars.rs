//! Scalars that are not strings: every value of every type, sealed, opened and picked.

use proptest::prelude::*;
use sops_activate::sops::format::Format;

use crate::seal::{File, value};

/// The value picked from a YAML and from a JSON document.
fn picked(kind: &str, plain: &str, hashed: &str) -> (String, String) {
    let sealed = value("a:", kind, plain);
    let yaml = File::yaml(format!("a: '{sealed}'\n"), hashed);
    let json = File::json(format!("\"a\": \"{sealed}\""), hashed);
    let (from_yaml, from_json) = (yaml.pick("a").unwrap(), json.pick("a").unwrap());
    // A value alone looks as it does in the whole file.
    assert_eq!(yaml.decrypt().unwrap(), format!("a: {from_yaml}\n"));
    let quote = if kind == "time" { "\"" } else { "" };
    assert_eq!(json.decrypt().unwrap(), format!("{{\n\t\"a\": {quote}{from_json}{quote}\n}}\n"));
    (from_yaml, from_json)
}

/// The same value in the formats that know text alone.
fn flat(kind: &str, plain: &str, hashed: &str) -> String {
    let env =
        File::new(Format::Dotenv, format!("a={}\n", value("a:", kind, plain)), hashed).decrypt().unwrap();
    let ini = File::new(Format::Ini, format!("[s]\na = {}\n", value("s:a:", kind, plain)), hashed)
        .decrypt()
        .unwrap();
    let text = env.strip_prefix("a=").unwrap().to_owned();
    assert_eq!(ini, format!("[s]\na = {text}"));
    text.trim_end().to_owned()
}

/// The digits of a number without sign, point, exponent and zeros at either end.
fn digits(text: &str) -> String {
    let mantissa = text.split(['e', 'E']).next().unwrap();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

/// The decimal exponent of the first digit that is not zero.
fn magnitude(float: f64) -> i32 {
    let text = format!("{float:e}");
    text.split_once('e').unwrap().1.parse().unwrap()
}

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO,
        (-1_000_000_000..1_000_000_000_i64, -12..12_i32)
            .prop_map(|(mantissa, exponent)| { format!("{mantissa}e{exponent}").parse().unwrap() }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn integers_are_decimal_digits(int in any::<i64>()) {
        let text = int.to_string();
        prop_assert_eq!(picked("int", &text, &text), (text.clone(), text.clone()));
        prop_assert_eq!(flat("int", &text, &text), text);
    }

    #[test]
    fn floats_are_the_shortest_digits_that_read_back(float in finite()) {
        // What the MAC covers never has an exponent.
        let hashed = float.to_string();
        let written = format!("{float:e}");
        let (yaml, json) = picked("float", &written, &hashed);
        let flat = flat("float", &written, &hashed);
        for text in [&yaml, &json, &flat] {
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), float.to_bits(), "{}", text);
            prop_assert_eq!(digits(text), digits(&hashed), "{}", text);
        }
        let exponent = magnitude(float);
        let small = float == 0.0 || (-4..6).contains(&exponent);
        prop_assert_eq!(!yaml.contains('e'), small, "{}", yaml);
        prop_assert_eq!(!flat.contains('E'), small, "{}", flat);
        prop_assert!(!flat.contains('e') && (flat.contains('.') || flat.contains('E')), "{}", flat);
        prop_assert_eq!(!json.contains('e'), float == 0.0 || (-6..21).contains(&exponent), "{}", json);
        if let Some((_, exponent)) = yaml.split_once('e') {
            prop_assert!(exponent.len() >= 3 && exponent.starts_with(['+', '-']), "{}", yaml);
        }
    }

    #[test]
    fn times_keep_their_offset_and_lose_trailing_zeros(
        (year, month, day) in (1..=9999_u16, 1..=12_u8, 1..=28_u8),
        (hour, minute, second) in (0..24_u8, 0..60_u8, 0..60_u8),
        nanosecond in prop_oneof![Just(0_u32), 0..1_000_000_000_u32, (0..1000_u32).prop_map(|milli| milli * 1_000_000)],
        offset in prop_oneof![Just(0_i32), -14 * 60..14 * 60],
    ) {
        let zone = match offset {
            0 => "Z".to_owned(),
            _ => format!("{}{:02}:{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 60, offset.abs() % 60),
        };
        let seconds = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        let written = format!("{seconds}.{nanosecond:09}{zone}");
        let fraction = format!(".{nanosecond:09}");
        let expected = format!("{seconds}{}{zone}", fraction.trim_end_matches('0').trim_end_matches('.'));
        prop_assert_eq!(picked("time", &written, &expected), (expected.clone(), expected.clone()));
        prop_assert_eq!(flat("time", &written, &expected), format!("{seconds}{zone}"));
    }

    #[test]
    fn strings_are_picked_as_they_are(bytes in prop::collection::vec(any::<u8>(), 1..60)) {
        let file = File::yaml(format!("l:\n- '{}'\n", value("l:", "str", &bytes)), &bytes);
        let document = file.open().unwrap_or_else(|refused| panic!("{refused:?}"));
        let plain = document.pick(&sops_activate::sops::key_path::KeyPath::new("l/0")).unwrap();
        prop_assert_eq!(plain.expose(), &bytes[..]);
    }
}

#[test]
fn booleans_are_words() {
    assert_eq!(picked("bool", "True", "True"), ("true".to_owned(), "true".to_owned()));
    assert_eq!(picked("bool", "F", "False"), ("false".to_owned(), "false".to_owned()));
    assert_eq!(flat("bool", "True", "True"), "true");
}

#[test]
fn floats_that_are_not_finite_have_words_in_yaml() {
    for (plain, hashed, printed) in
        [("inf", "+Inf", ".inf"), ("-inf", "-Inf", "-.inf"), ("nan", "NaN", ".nan")]
    {
        let file = File::yaml(format!("a: {}\n", value("a:", "float", plain)), hashed);
        assert_eq!(file.pick("a").as_deref(), Ok(printed));
        assert_eq!(flat("float", plain, hashed), hashed);
    }
}
