//! The rules that say which values are encrypted.

use sops_activate::sops::document::ParseError;
use sops_activate::sops::format::Format;
use sops_activate::sops::metadata::MetadataError;

use super::bad_value;
use crate::seal::{File, Refused, string, value};

/// A document under one rule.
fn under(rule: &str, pattern: &str, body: String, hashed: &str) -> File {
    File::yaml(body, hashed).text_field(rule, pattern)
}

/// Whether the value of `key` is encrypted under the rule.
#[track_caller]
fn covers(rule: &str, pattern: &str, key: &str) -> bool {
    let quoted = serde_json::to_string(key).unwrap();
    let sealed = under(rule, pattern, format!("{quoted}: {}\n", string(&format!("{key}:"), "x")), "x");
    let plain = under(rule, pattern, format!("{quoted}: x\n"), "x");
    match (sealed.decrypt(), plain.decrypt()) {
        (Ok(_), Err(Refused::Open(_))) => true,
        (Err(Refused::Open(_)), Ok(_)) => false,
        other => panic!("{rule} '{pattern}' on '{key}': {other:?}"),
    }
}

// 31, 32
#[test]
fn without_a_rule_it_is_the_suffix_unencrypted() {
    let body = format!("a: {}\nb_unencrypted: y\n", string("a:", "x"));
    let file = File::yaml(&body, "xy");
    assert!(file.decrypt().is_ok());
    let file = file.text_field("encrypted_regex", "").text_field("unencrypted_suffix", "");
    assert!(file.decrypt().is_ok());
}

#[test]
fn a_suffix_is_the_end_of_the_key() {
    assert!(!covers("unencrypted_suffix", "_p", "a_p"));
    assert!(!covers("unencrypted_suffix", "_p", "_p"));
    assert!(covers("unencrypted_suffix", "_p", "_pa"));
    assert!(covers("unencrypted_suffix", "_p", "a_P"));
    assert!(covers("encrypted_suffix", "_s", "a_s"));
    assert!(!covers("encrypted_suffix", "_s", "a"));
    assert!(covers("unencrypted_suffix", ".", "a_unencrypted"), "a suffix is no regular expression");
}

// 33
#[test]
fn a_rule_on_a_parent_covers_everything_below() {
    let sealed = string("s:l:k:", "x");
    for (rule, pattern) in [("encrypted_suffix", "s"), ("encrypted_regex", "^s$"), ("encrypted_regex", "^l$")]
    {
        let file = under(rule, pattern, format!("s:\n  l:\n  - k: {sealed}\n  - k: {sealed}\np: 5\n"), "xx5");
        assert!(file.decrypt().is_ok(), "{rule} {pattern}");
    }
    for (rule, pattern) in
        [("unencrypted_suffix", "s"), ("unencrypted_regex", "^s$"), ("unencrypted_regex", "^l$")]
    {
        let body = format!("s:\n  l:\n  - k: 5\n  - 6\np: {}\n", string("p:", "x"));
        assert!(under(rule, pattern, body, "56x").decrypt().is_ok(), "{rule} {pattern}");
    }
    let both = under(
        "unencrypted_suffix",
        "_p",
        "a_p:\n  b: 5\n".to_owned() + &format!("c: {}\n", string("c:", "x")),
        "5x",
    );
    assert!(both.decrypt().is_ok(), "a sibling is not covered");
}

// 33
#[test]
fn a_rule_covers_the_items_of_a_list_and_the_sections_of_an_ini_file() {
    let items = format!("l_s:\n- {}\n- ['{}']\np: 1\n", string("l_s:", "x"), string("l_s:", "y"));
    assert!(under("encrypted_suffix", "_s", items, "xy1").decrypt().is_ok());
    let ini =
        File::new(Format::Ini, format!("[a_s]\nk = {}\n[b]\nk = plain\n", string("a_s:k:", "x")), "xplain");
    let opened = ini.text_field("encrypted_suffix", "_s").decrypt();
    assert_eq!(opened.as_deref(), Ok("[a_s]\nk = x\n\n[b]\nk = plain\n"));
}

// 34
#[test]
fn two_rules_are_refused_and_an_empty_one_is_none() {
    let file = under("encrypted_regex", "^a$", format!("a: {}\nb: 1\n", string("a:", "x")), "x1");
    for other in [
        "unencrypted_suffix",
        "encrypted_suffix",
        "unencrypted_regex",
        "unencrypted_comment_regex",
        "encrypted_comment_regex",
    ] {
        let two = under("encrypted_regex", "^a$", format!("a: {}\n", string("a:", "x")), "x")
            .text_field(other, "b");
        assert!(
            matches!(two.decrypt(), Err(Refused::Parse(ParseError::Metadata(MetadataError::TwoRules(_, _))))),
            "{other}"
        );
    }
    let file = file.text_field("unencrypted_suffix", "").field("encrypted_suffix", "null");
    assert!(file.decrypt().is_ok());
}

// 35
#[test]
fn an_invalid_regular_expression_is_named() {
    for rule in
        ["unencrypted_regex", "encrypted_regex", "unencrypted_comment_regex", "encrypted_comment_regex"]
    {
        for pattern in ["(", "a**", "[z-a]", "(?=a)", r"\1", "a{1001}"] {
            let file = under(rule, pattern, format!("a: {}\n", string("a:", "x")), "x");
            let refused = file.decrypt().unwrap_err();
            let Refused::Parse(ParseError::Metadata(MetadataError::Regex(field, _))) = refused else {
                panic!("{rule} {pattern}: {refused:?}")
            };
            assert_eq!(field, rule);
        }
    }
    // A suffix may be any text.
    assert!(covers("encrypted_suffix", "(", "a("));
}

// 36
#[test]
fn regular_expressions_are_those_of_go() {
    for (pattern, key, matches) in [
        ("b", "abc", true),
        ("^b", "abc", false),
        ("^abc$", "abc", true),
        ("^abc$", "abc\n", false),
        ("(?i)^ABC$", "abc", true),
        ("(?i)k", "\u{212a}", true),
        (r"\d", "a5", true),
        (r"\d", "a\u{665}", false),
        (r"^\D$", "\u{665}", true),
        (r"\w", "\u{e9}", false),
        (r"\w", "_", true),
        (r"^\W$", "\u{e9}", true),
        (r"\s", "a b", true),
        (r"\s", "a\u{a0}b", false),
        (r"\s", "a\u{b}b", false),
        (r"\bb", "\u{e9}b", true),
        (r"\Bb", "\u{e9}b", false),
        ("[[:alpha:]]", "5", false),
        ("[[:alpha:]]", "\u{e9}", false),
        (r"\pL", "\u{e9}", true),
        (r"\p{Greek}", "\u{3b1}", true),
        (r"^\Qa.b\E$", "a.b", true),
        (r"^\Qa.b\E$", "axb", false),
        (r"\Q(", "(", true),
        ("^.$", "\u{e9}", true),
        ("a|", "zzz", true),
        (r"\x41", "A", true),
        (r"\x{e9}", "\u{e9}", true),
        (r"^[^a]$", "\u{e9}", true),
        ("^a{2}$", "aa", true),
        ("a{,2}", "a{,2}", true),
        (r"\z", "a", true),
        (r"\Aa", "a", true),
        ("(?P<n>a)", "a", true),
        ("(?<n>a)", "a", true),
        ("(?U)a+", "aa", true),
        ("(?s)^a.b$", "a\nb", true),
        ("^a.b$", "a\nb", false),
        ("[a&&b]", "&", true),
        ("[+--]", ",", true),
        ("[a&&b]", "a", true),
        ("[[a]", "[", true),
        ("[~~]", "~", true),
        ("a #b", "a #b", true),
    ] {
        assert_eq!(covers("encrypted_regex", pattern, key), matches, "'{pattern}' on '{key}'");
        assert_eq!(covers("unencrypted_regex", pattern, key), !matches, "'{pattern}' on '{key}'");
    }
}

// 31
#[test]
fn a_marker_comment_covers_the_next_value_and_all_inside_of_it() {
    let body = format!(
        "# sec\na: {}\nb: 1\nm:\n  # sec\n  c: {}\n  d: 2\n# sec\nn:\n  e: {}\n  f: {}\ng: 3\n",
        string("a:", "u"),
        string("m:c:", "v"),
        string("n:e:", "w"),
        string("n:f:", "x")
    );
    assert!(under("encrypted_comment_regex", "sec", body, "u1v2wx3").decrypt().is_ok());
    let body = format!("# pub\na: 1\nb: {}\nl:\n# pub\n- 2\n- {}\n", string("b:", "x"), string("l:", "y"));
    assert!(under("unencrypted_comment_regex", "pub", body, "1x2y").decrypt().is_ok());
}

// 4.5
#[test]
fn a_marker_stays_readable_and_the_lines_below_it_are_encrypted() {
    let more = value(":", "comment", " more");
    let body = format!("# sec\n#{more}\na: {}\n# not\nb: 1\n", string("a:", "x"));
    let file = under("encrypted_comment_regex", "sec", body, "x1");
    assert_eq!(file.decrypt().as_deref(), Ok("# sec\n# more\na: x\n# not\nb: 1\n"));
    // Even a marker that could be opened.
    let marker = value(":", "comment", " sec");
    let file =
        under("encrypted_comment_regex", "^ENC", format!("#{marker}\na: {}\n", string("a:", "x")), "x");
    assert_eq!(file.decrypt(), Ok(format!("#{marker}\na: x\n")));
}

// 4.5
#[test]
fn an_encrypted_comment_in_a_list_is_a_comment_to_the_rules() {
    // sops up to 3.13.3 takes it for a value, which ends what the marker covers, and cannot open its own file.
    let body = format!("l:\n# sec\n- {}\n- {}\n- 1\n", value("l:", "comment", " more"), string("l:", "x"));
    let file = under("encrypted_comment_regex", "sec", body, "x1");
    assert_eq!(file.decrypt().as_deref(), Ok("l:\n    # sec\n    # more\n    - x\n    - 1\n"));
}

#[test]
fn rules_see_keys_and_not_values() {
    let file = under("encrypted_regex", "secret", "a: secret\n".to_owned(), "secret");
    assert!(file.decrypt().is_ok());
    let (path, _) = bad_value(&under("encrypted_regex", "secret", "secret: 1\n".to_owned(), "1"));
    assert_eq!(path, "secret");
}
