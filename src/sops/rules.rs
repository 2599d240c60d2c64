//! Which values of a document are encrypted: the suffix, regular expression and comment rules of its metadata.

use regex::bytes::Regex;

use super::go_regex::{self, RegexError};

/// The rule of one document. sops allows one at most; without one it is [`Rule::DEFAULT_SUFFIX`].
pub enum Rule {
    /// Encrypted unless a key on the path ends so.
    UnencryptedSuffix(Vec<u8>),
    /// Encrypted only if a key on the path ends so.
    EncryptedSuffix(Vec<u8>),
    /// Encrypted unless a key on the path matches.
    UnencryptedRegex(Regex),
    /// Encrypted only if a key on the path matches.
    EncryptedRegex(Regex),
    /// Encrypted unless an active comment matches.
    UnencryptedCommentRegex(Regex),
    /// Encrypted only if an active comment matches.
    EncryptedCommentRegex(Regex),
}

impl Rule {
    pub const DEFAULT_SUFFIX: &'static str = "_unencrypted";

    /// # Errors
    /// When `pattern` is a regular expression that Go would not compile. sops lets such a rule match nothing, which
    /// then shows as a MAC mismatch.
    pub fn new(field: &str, pattern: &str) -> Result<Option<Self>, RegexError> {
        Ok(Some(match field {
            "unencrypted_suffix" => Self::UnencryptedSuffix(pattern.as_bytes().to_vec()),
            "encrypted_suffix" => Self::EncryptedSuffix(pattern.as_bytes().to_vec()),
            "unencrypted_regex" => Self::UnencryptedRegex(go_regex::compile(pattern)?),
            "encrypted_regex" => Self::EncryptedRegex(go_regex::compile(pattern)?),
            "unencrypted_comment_regex" => Self::UnencryptedCommentRegex(go_regex::compile(pattern)?),
            "encrypted_comment_regex" => Self::EncryptedCommentRegex(go_regex::compile(pattern)?),
            _ => return Ok(None),
        }))
    }

    fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::UnencryptedSuffix(suffix) | Self::EncryptedSuffix(suffix) => text.ends_with(suffix),
            Self::UnencryptedRegex(regex)
            | Self::EncryptedRegex(regex)
            | Self::UnencryptedCommentRegex(regex)
            | Self::EncryptedCommentRegex(regex) => regex.is_match(text),
        }
    }

    fn by_comment(&self) -> bool {
        matches!(self, Self::UnencryptedCommentRegex(_) | Self::EncryptedCommentRegex(_))
    }
}

/// Follows a walk through a document and says of each leaf whether it is encrypted.
///
/// Each key and comment is matched once, when the walk comes to it.
pub struct Tracker<'r> {
    rule: &'r Rule,
    /// For each key on the path, whether it matches.
    path: Vec<bool>,
    /// For each open container, whether each comment since its last value matches.
    comments: Vec<Vec<bool>>,
    /// How many entries of `path` and of all `comments` match.
    matching: usize,
}

impl<'r> Tracker<'r> {
    #[must_use]
    pub fn new(rule: &'r Rule) -> Self {
        Self { rule, path: Vec::new(), comments: Vec::new(), matching: 0 }
    }

    pub fn enter_key(&mut self, key: &[u8]) {
        let matches = !self.rule.by_comment() && self.rule.matches(key);
        self.path.push(matches);
        self.matching += usize::from(matches);
    }

    pub fn leave_key(&mut self) {
        if self.path.pop() == Some(true) {
            self.matching -= 1;
        }
    }

    pub fn enter_container(&mut self) {
        self.comments.push(Vec::new());
    }

    pub fn leave_container(&mut self) {
        self.value_passed();
        self.comments.pop();
    }

    /// A comment, as it stands in the file, becomes active until the next value of its container has passed.
    pub fn comment(&mut self, text: &[u8]) {
        if self.rule.by_comment() {
            let matches = self.rule.matches(text);
            self.matching += usize::from(matches);
            if let Some(open) = self.comments.last_mut() {
                open.push(matches);
            }
        }
    }

    /// A value of the innermost container has passed: its comments are active no more.
    pub fn value_passed(&mut self) {
        if let Some(open) = self.comments.last_mut() {
            self.matching -= open.drain(..).filter(|matches| *matches).count();
        }
    }

    /// Whether the value here is encrypted.
    #[must_use]
    pub fn value_is_encrypted(&self) -> bool {
        self.verdict(self.matching)
    }

    /// Whether the comment that was just made active is encrypted itself. `encrypted_comment_regex` does not look
    /// at the comment in question, so that the marker line stays readable.
    #[must_use]
    pub fn comment_is_encrypted(&self) -> bool {
        let own = matches!(self.rule, Rule::EncryptedCommentRegex(_))
            && self.comments.last().and_then(|open| open.last()) == Some(&true);
        self.verdict(self.matching - usize::from(own))
    }

    fn verdict(&self, matching: usize) -> bool {
        match self.rule {
            Rule::EncryptedSuffix(_) | Rule::EncryptedRegex(_) | Rule::EncryptedCommentRegex(_) => {
                matching > 0
            }
            _ => matching == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(field: &str, pattern: &str) -> Rule {
        Rule::new(field, pattern).unwrap().unwrap()
    }

    #[test]
    fn a_rule_on_a_parent_covers_the_subtree() {
        for (field, pattern, inside) in [
            ("unencrypted_suffix", "_u", false),
            ("encrypted_suffix", "_u", true),
            ("encrypted_regex", "^a_u$", true),
        ] {
            let rule = rule(field, pattern);
            let mut tracker = Tracker::new(&rule);
            tracker.enter_key(b"a_u");
            tracker.enter_key(b"b");
            assert_eq!(tracker.value_is_encrypted(), inside, "{field}");
            tracker.leave_key();
            assert_eq!(tracker.value_is_encrypted(), inside, "{field}, behind a key that does not match");
            tracker.leave_key();
            tracker.enter_key(b"b");
            assert_eq!(tracker.value_is_encrypted(), !inside, "{field}");
        }
    }

    #[test]
    fn comments_are_active_until_the_next_value_of_their_container() {
        let rule = rule("encrypted_comment_regex", "secret");
        let mut tracker = Tracker::new(&rule);
        tracker.enter_container();
        tracker.comment(b" secret");
        assert!(!tracker.comment_is_encrypted(), "the marker itself stays readable");
        tracker.comment(b" more");
        assert!(tracker.comment_is_encrypted());
        tracker.enter_container();
        assert!(tracker.value_is_encrypted(), "an outer comment covers inner values");
        tracker.value_passed();
        assert!(tracker.value_is_encrypted());
        tracker.leave_container();
        tracker.value_passed();
        assert!(!tracker.value_is_encrypted());
    }

    #[test]
    fn unencrypted_comment_regex_covers_the_marker_too() {
        let rule = rule("unencrypted_comment_regex", "plain");
        let mut tracker = Tracker::new(&rule);
        tracker.enter_container();
        assert!(tracker.value_is_encrypted());
        tracker.comment(b"plain");
        assert!(!tracker.comment_is_encrypted() && !tracker.value_is_encrypted());
    }
}
