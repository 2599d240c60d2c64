//! Regular expressions in Go's syntax (RE2), as the rules of a document are written, compiled with the `regex` crate.
//!
//! The two differ in a few places, each translated or refused here: Go's `\d`, `\w`, `\s` and `\b` know ASCII only,
//! `\Q…\E` quotes, a class knows no set operators and no nesting, a brace that is no repetition is itself, and the
//! flags `x`, `u` and `R` do not exist. <https://pkg.go.dev/regexp/syntax>

use std::fmt::Write as _;

use regex::bytes::{Regex, RegexBuilder};

/// Why a pattern cannot be used. Patterns are not secret, but they are the user's; the caller shows them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegexError {
    #[error("'\\{0}' is not known in it")]
    Escape(char),
    #[error("the flag '{0}' is not known in it")]
    Flag(char),
    #[error("a repetition stands on a repetition, or is larger than 1000")]
    Repetition,
    #[error("it is not a valid regular expression")]
    Syntax,
    #[error("it is too large when compiled")]
    TooLarge,
    #[error("it has more than {PATTERN_LIMIT} bytes")]
    TooLong,
}

/// Bytes of a pattern. Reading one takes a hundred times its size in memory.
const PATTERN_LIMIT: usize = 64 << 10;

/// Bytes of an automaton. A rule in use has a few thousand; matching costs this much for every byte of every key, and
/// the rule is not authenticated before it is used.
const SIZE_LIMIT: usize = 256 << 10;

/// Compiles a pattern of Go.
///
/// # Errors
/// When Go would refuse it too, it is longer than 64 KiB, or its automaton would be larger than 256 KiB.
pub fn compile(pattern: &str) -> Result<Regex, RegexError> {
    if pattern.len() > PATTERN_LIMIT {
        return Err(RegexError::TooLong);
    }
    RegexBuilder::new(&translate(pattern)?).size_limit(SIZE_LIMIT).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => RegexError::TooLarge,
        _ => RegexError::Syntax,
    })
}

/// The same pattern in the syntax of the `regex` crate.
fn translate(pattern: &str) -> Result<String, RegexError> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    // Whether the last thing was a repetition, which Go does not let another one follow.
    let mut repeated = false;
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..).unwrap_or_default();
        let mut repetition = false;
        rest = match first {
            '\\' if after.starts_with('Q') => {
                let quoted = after.get(1..).unwrap_or_default();
                let (text, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
                out.push_str(&regex::escape(text));
                after
            }
            '\\' => escape(after, false, &mut out)?,
            '[' => class(after, &mut out)?,
            '(' => group(after, &mut out)?,
            '*' | '+' | '?' => {
                if repeated {
                    return Err(RegexError::Repetition);
                }
                repetition = true;
                out.push(first);
                lazy(after, &mut out)
            }
            '{' => match repetition_end(after) {
                Some((low, high, end)) => {
                    if repeated || low > 1000 || high.is_some_and(|high| high > 1000) {
                        return Err(RegexError::Repetition);
                    }
                    repetition = true;
                    let (count, after) = after.split_at_checked(end).unwrap_or((after, ""));
                    out.push('{');
                    out.push_str(count);
                    lazy(after, &mut out)
                }
                None => {
                    out.push_str("\\{");
                    after
                }
            },
            '}' => {
                out.push_str("\\}");
                after
            }
            other => {
                out.push(other);
                after
            }
        };
        repeated = repetition;
    }
    Ok(out)
}

/// A question mark after a repetition makes it lazy; it is part of it.
fn lazy<'p>(after: &'p str, out: &mut String) -> &'p str {
    match after.strip_prefix('?') {
        Some(after) => {
            out.push('?');
            after
        }
        None => after,
    }
}

/// `n}`, `n,}` or `n,m}`: the bounds and the length. Anything else after a brace is literal text to Go.
fn repetition_end(after: &str) -> Option<(u32, Option<u32>, usize)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // A number too large for u32 is certainly too large for Go.
        digits.then(|| text.parse().unwrap_or(u32::MAX))
    };
    let end = after.find('}')?;
    let inside = after.get(..end)?;
    match inside.split_once(',') {
        None => number(inside).map(|n| (n, None, end + 1)),
        Some((low, "")) => number(low).map(|n| (n, None, end + 1)),
        Some((low, high)) => Some((number(low)?, Some(number(high)?), end + 1)),
    }
}

/// What follows a backslash; returns the rest.
fn escape<'p>(after: &'p str, in_class: bool, out: &mut String) -> Result<&'p str, RegexError> {
    let Some(letter) = after.chars().next() else { return Err(RegexError::Syntax) };
    let rest = after.get(letter.len_utf8()..).unwrap_or_default();
    let ascii = match letter {
        'd' => "0-9",
        'D' => "^0-9",
        'w' => "0-9A-Za-z_",
        'W' => "^0-9A-Za-z_",
        's' => "\\t\\n\\f\\r ",
        'S' => "^\\t\\n\\f\\r ",
        'b' if !in_class => {
            out.push_str("(?-u:\\b)");
            return Ok(rest);
        }
        'B' if !in_class => {
            out.push_str("(?-u:\\B)");
            return Ok(rest);
        }
        'A' | 'z' if !in_class => {
            out.push('\\');
            out.push(letter);
            return Ok(rest);
        }
        'a' | 'f' | 't' | 'n' | 'r' | 'v' => {
            out.push('\\');
            out.push(letter);
            return Ok(rest);
        }
        // One Unicode class, or a code point in hex: the same in both, braces and all.
        'p' | 'P' | 'x' => {
            out.push('\\');
            if let Some(name) = rest.strip_prefix("{^").filter(|_| letter != 'x') {
                // The negation in the name, which Go alone knows.
                out.push(if letter == 'p' { 'P' } else { 'p' });
                let (name, rest) = name.split_once('}').ok_or(RegexError::Syntax)?;
                for part in ["{", name, "}"] {
                    out.push_str(part);
                }
                return Ok(rest);
            }
            out.push(letter);
            let Some(braced) = rest.strip_prefix('{') else {
                let length = if letter == 'x' { 2 } else { rest.chars().next().map_or(0, char::len_utf8) };
                let (name, rest) = rest.split_at_checked(length).ok_or(RegexError::Syntax)?;
                out.push_str(name);
                return Ok(rest);
            };
            let end = braced.find('}').ok_or(RegexError::Syntax)?;
            let (name, rest) = rest.split_at_checked(end + 2).ok_or(RegexError::Syntax)?;
            out.push_str(name);
            return Ok(rest);
        }
        '0'..='7' => return octal(letter, rest, out),
        // Some of these, such as `\<`, are operators to the `regex` crate.
        other if other.is_ascii() && !other.is_ascii_alphanumeric() => {
            literal(other, out);
            return Ok(rest);
        }
        other => return Err(RegexError::Escape(other)),
    };
    out.push('[');
    out.push_str(ascii);
    out.push(']');
    Ok(rest)
}

/// `\0` and up to two more octal digits, or `\123` with three of them; a single `\1` would be a back-reference,
/// which Go does not have.
fn octal<'p>(first: char, rest: &'p str, out: &mut String) -> Result<&'p str, RegexError> {
    let more = rest.bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
    if first != '0' && more == 0 {
        return Err(RegexError::Escape(first));
    }
    let (digits, after) = rest.split_at_checked(more).unwrap_or((rest, ""));
    let code = u32::from_str_radix(&format!("{first}{digits}"), 8).map_err(|_| RegexError::Syntax)?;
    // Writing to a String cannot fail.
    let _ = write!(out, "\\x{{{code:X}}}");
    Ok(after)
}

const POSIX_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// What follows an opening bracket, up to the closing one. Everything that the `regex` crate reads as a nested class
/// or a set operator is plain text to Go and is escaped.
fn class<'p>(after: &'p str, out: &mut String) -> Result<&'p str, RegexError> {
    out.push('[');
    let mut rest = after;
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    let mut first = true;
    loop {
        if let Some(after) = rest.strip_prefix(']').filter(|_| !first) {
            out.push(']');
            return Ok(after);
        }
        first = false;
        rest = match inner_class(rest, out)? {
            Some(after) => after,
            None => {
                let after = member(rest, out)?;
                // A dash makes a range unless it stands last.
                match after.strip_prefix('-') {
                    Some(high) if !high.starts_with(']') => {
                        out.push('-');
                        member(high, out)?
                    }
                    _ => after,
                }
            }
        };
    }
}

/// A named class inside of brackets (`[:alpha:]`, `\d`, `\pL`), if there is one.
fn inner_class<'p>(rest: &'p str, out: &mut String) -> Result<Option<&'p str>, RegexError> {
    if let Some(escaped) = rest.strip_prefix('\\') {
        let is_class = escaped.starts_with(['d', 'D', 'w', 'W', 's', 'S', 'p', 'P']);
        return if is_class { escape(escaped, true, out).map(Some) } else { Ok(None) };
    }
    let Some(end) = rest.strip_prefix("[:").and_then(|name| name.find(":]")) else { return Ok(None) };
    let (class, after) = rest.split_at_checked(end + 4).ok_or(RegexError::Syntax)?;
    if !POSIX_CLASSES.contains(&class.trim_matches(['[', ':', '^', ']'])) {
        return Err(RegexError::Syntax);
    }
    out.push_str(class);
    Ok(Some(after))
}

/// One character of a class.
fn member<'p>(rest: &'p str, out: &mut String) -> Result<&'p str, RegexError> {
    let Some(character) = rest.chars().next() else { return Err(RegexError::Syntax) };
    let after = rest.get(character.len_utf8()..).unwrap_or_default();
    if character == '\\' {
        // A class cannot be the end of a range.
        let is_class = after.starts_with(['d', 'D', 'w', 'W', 's', 'S', 'p', 'P']);
        return if is_class { Err(RegexError::Syntax) } else { escape(after, true, out) };
    }
    literal(character, out);
    Ok(after)
}

/// A character that stands for itself. A backslash makes `<` and `>` an operator of the `regex` crate, and nothing
/// else.
fn literal(character: char, out: &mut String) {
    if character.is_ascii_punctuation() && !matches!(character, '<' | '>') {
        out.push('\\');
    }
    out.push(character);
}

/// What follows an opening parenthesis: flags are checked, the rest is the same in both.
fn group<'p>(after: &'p str, out: &mut String) -> Result<&'p str, RegexError> {
    out.push('(');
    let Some(flags) = after.strip_prefix('?') else { return Ok(after) };
    out.push('?');
    if flags.starts_with("P<") || flags.starts_with('<') {
        let end = flags.find('>').ok_or(RegexError::Syntax)?;
        let (name, rest) = flags.split_at_checked(end).ok_or(RegexError::Syntax)?;
        out.push_str(name);
        return Ok(rest);
    }
    let end = flags.find([':', ')']).ok_or(RegexError::Syntax)?;
    let (letters, rest) = flags.split_at_checked(end).ok_or(RegexError::Syntax)?;
    if let Some(unknown) = letters.chars().find(|letter| !matches!(letter, 'i' | 'm' | 's' | 'U' | '-')) {
        return Err(RegexError::Flag(unknown));
    }
    out.push_str(letters);
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_what_go_matches() {
        for (pattern, yes, no) in [
            (r"^(data|stringData)$", "data", "metadata"),
            (r"^\d+$", "12", "१२"),
            (r"^\w+$", "a_1", "é"),
            (r"^\W$", "é", "a"),
            (r"^\s$", " ", "\u{b}"),
            (r"^[\s]$", "\t", "\u{b}"),
            (r"^[^\d]$", "x", "5"),
            (r"^[\D]$", "x", "5"),
            (r"\bkey\b", "a key b", "monkey"),
            (r"(?i)^password$", "PassWord", "passwor"),
            (r"\Qa.b\E", "xa.by", "axb"),
            (r"\Qa.b", "a.b", "aXb"),
            (r"^[[:alpha:]]+$", "abc", "ab1"),
            (r"^[[:^alpha:]]+$", "123", "a"),
            (r"^[a&&b]+$", "a&b", "c"),
            (r"^[a[b]+$", "a[b", "c"),
            (r"^[]a]+$", "]a", "b"),
            (r"^[a-]+$", "a-", "b"),
            (r"^[~~^]+$", "~^", "a"),
            (r"^[+--]+$", "+,-", "."),
            (r"^[---]+$", "-", "."),
            (r"^[a-c--]+$", "a-", "d"),
            (r"^[\S---]$", "-", " "),
            (r"^[\w--z]$", "a", "\u{7f}"),
            (r"^[[:]+$", "[:", "a"),
            (r"^[\-\]\<\ ]+$", "-]< ", "a"),
            (r"^\<\>\ \_$", "<> _", "a"),
            (r"^\p{^L}\P{^L}$", "1a", "a1"),
            (r"^[\pL--]$", "-", "1"),
            (r"^[\x41-\x43]$", "B", "D"),
            (r"^a{2}$", "aa", "a"),
            (r"^a{,2}$", "a{,2}", "aa"),
            (r"^a{x}$", "a{x}", "ax"),
            (r"^{$", "{", "x"),
            (r"^\pL+$", "äö", "1"),
            (r"^\x{e4}$", "ä", "a"),
            (r"^\x41\101\07?$", "AA", "A"),
            (r"^a+?b??$", "aa", "c"),
            (r"(?s:.)", "\n", ""),
            (r"(?P<name>x)y", "xy", "x"),
            (r"", "anything", "\u{0}never"),
        ] {
            let regex = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert!(regex.is_match(yes.as_bytes()), "{pattern} must match {yes}");
            assert!(pattern.is_empty() || !regex.is_match(no.as_bytes()), "{pattern} must not match {no}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for pattern in [
            "(",
            "[a",
            r"a\",
            r"(?x)a",
            r"(?u)a",
            "a**",
            "a+*",
            "a{2}{3}",
            "a{1001}",
            r"\1",
            r"\y",
            r"\Z",
            "(?=a)",
            "(?<n",
            "*a",
            "[[:nope:]]",
            "[b-a]",
            "[a--b]",
            r"[a-\d]",
            r"[--\pL]",
            "[a-",
            r"\p{^L",
            "(?R)a",
        ] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
