//! Go's regular expressions: where both syntaxes mean the same the matches are the same, quoting quotes, a class is its
//! characters, and time and memory are bounded.

use regex::bytes::Regex;
use sops_activate::sops::go_regex;

use super::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let Ok(pattern) = std::str::from_utf8(input.text()) else { return };
    let text = input.0;
    let compiled = go_regex::compile(pattern);
    match &compiled {
        Ok(regex) => drop(regex.is_match(text)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if is_common(pattern)
        && let Ok(ours) = &compiled
    {
        let theirs = Regex::new(pattern);
        assert!(theirs.is_ok_and(|theirs| theirs.is_match(text) == ours.is_match(text)), "{pattern}");
    }
    quoted(pattern, text);
    class(pattern);
}

/// Whether the pattern is made of what Go and the `regex` crate read alike.
fn is_common(pattern: &str) -> bool {
    !pattern.contains(['\\', '[', ']', '{', '}']) && !pattern.contains("(?") && !pattern.contains("(*")
}

fn quoted(literal: &str, text: &[u8]) {
    if literal.contains("\\E") || literal.ends_with('\\') || literal.len() > 64 {
        return;
    }
    let regex = go_regex::compile(&format!("\\Q{literal}\\E")).unwrap();
    let contains =
        literal.is_empty() || text.windows(literal.len()).any(|window| window == literal.as_bytes());
    assert_eq!(regex.is_match(text), contains, "{literal}");
}

/// Every character of `members`, escaped where Go lets it be, is in the class, and no other is.
fn class(members: &str) {
    let members: Vec<char> = members.chars().take(16).filter(|member| !member.is_control()).collect();
    if members.is_empty() {
        return;
    }
    for negated in ["", "^"] {
        let escaped = members.iter().map(|member| match member {
            member if member.is_ascii_punctuation() => format!("\\{member}"),
            member => member.to_string(),
        });
        let pattern = format!("^[{negated}{}]$", escaped.collect::<String>());
        let regex = go_regex::compile(&pattern).unwrap();
        for character in
            members.iter().copied().chain(['a', 'Z', '0', '-', '^', ']', '\\', '&', '~', 'é', '\u{1f600}'])
        {
            let within = members.contains(&character) == negated.is_empty();
            assert_eq!(regex.is_match(character.to_string().as_bytes()), within, "{pattern} {character}");
        }
    }
}
