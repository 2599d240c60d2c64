//! How a string is written: the choice that go-yaml v3's emitter makes between plain, quoted and literal text.

use super::scalar;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// What ends a line for go-yaml's emitter.
pub const BREAKS: [char; 5] = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];

/// Whether the character can be written as it is. Tabs are judged apart, and characters above U+FFFF are not.
pub fn is_printable(character: char) -> bool {
    matches!(character, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && character != '\u{feff}'
}

/// The style for a string other than `<<`, which has a tag of its own.
pub fn choose(text: &str) -> Style {
    let traits = Traits::of(text);
    if traits.has_line_feed {
        let literal = !(traits.ends_with_blank || traits.blank_then_break || traits.unprintable);
        return if literal { Style::Literal } else { Style::Double };
    }
    let quoted_twice = traits.break_then_blank || traits.blank_then_break || traits.tab || traits.unprintable;
    if quoted_twice || !scalar::is_string_when_plain(text) {
        Style::Double
    } else if traits.has_break || traits.starts_with_blank || traits.ends_with_blank || traits.indicator {
        Style::Single
    } else {
        Style::Plain
    }
}

/// What decides about the style, gathered in one pass.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent observation")]
struct Traits {
    has_line_feed: bool,
    has_break: bool,
    starts_with_blank: bool,
    ends_with_blank: bool,
    break_then_blank: bool,
    blank_then_break: bool,
    tab: bool,
    unprintable: bool,
    /// Plain text would be taken for something other than a scalar.
    indicator: bool,
}

impl Traits {
    fn of(text: &str) -> Self {
        let mut traits = Self {
            starts_with_blank: text.starts_with(' '),
            ends_with_blank: text.ends_with(' '),
            indicator: starts_like_syntax(text),
            ..Self::default()
        };
        let mut previous = None;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let is_break = BREAKS.contains(&character);
            traits.has_line_feed |= character == '\n';
            traits.has_break |= is_break;
            traits.tab |= character == '\t';
            traits.unprintable |= character != '\t' && !is_printable(character);
            traits.break_then_blank |= character == ' ' && previous.is_some_and(|p| BREAKS.contains(&p));
            traits.blank_then_break |= is_break && previous == Some(' ');
            if let Some(previous) = previous {
                let before_blank = characters.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
                let after_blank = matches!(previous, ' ' | '\t' | '\0') || BREAKS.contains(&previous);
                traits.indicator |= (character == ':' && before_blank) || (character == '#' && after_blank);
            }
            previous = Some(character);
        }
        traits
    }
}

fn starts_like_syntax(text: &str) -> bool {
    let mut characters = text.chars();
    let first = characters.next();
    let before_blank = characters.next().is_none_or(|next| matches!(next, ' ' | '\t'));
    text.starts_with("---")
        || text.starts_with("...")
        || match first {
            Some(
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                | '`',
            ) => true,
            Some('?' | ':' | '-') => before_blank,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_get_the_style_of_go_yaml() {
        for (text, style) in [
            ("plain", Style::Plain),
            ("a:b#c", Style::Plain),
            ("a[b]{c},d", Style::Plain),
            ("-a", Style::Plain),
            ("?", Style::Single),
            ("-", Style::Single),
            ("- a", Style::Single),
            ("a: b", Style::Single),
            ("a:", Style::Single),
            ("a #b", Style::Single),
            ("---x", Style::Single),
            (" a", Style::Single),
            ("a ", Style::Single),
            ("a\u{2028}b", Style::Single),
            ("it's", Style::Plain),
            ("'", Style::Single),
            ("", Style::Double),
            ("yes", Style::Double),
            ("12:30:45", Style::Double),
            ("0x1f", Style::Double),
            ("a\tb", Style::Double),
            ("a\u{1f600}", Style::Double),
            ("\u{feff}a", Style::Double),
            ("a\u{2028} b", Style::Double),
            ("a\rb", Style::Double),
            ("a\nb", Style::Literal),
            ("a\n b\t", Style::Literal),
            ("\n", Style::Literal),
            ("a \nb", Style::Double),
            ("a\nb ", Style::Double),
            ("a\r\nb", Style::Double),
            ("é", Style::Plain),
        ] {
            assert_eq!(choose(text), style, "{text:?}");
        }
    }
}
