//! The metadata block of a document: its stanzas in key groups, its rule, its MAC.
//!
//! Reads what every sops since 2.0 has written, as leniently as they did: key names in any case, numbers and booleans
//! where text is wanted and the other way round, a single mapping for a list of one. Unknown fields are ignored.

use super::data_key::{Stanza, StanzaKind};
use super::flatten::Node;
use super::go_regex::RegexError;
use super::rules::Rule;
use super::time::Time;

/// Everything in the block that decryption needs.
pub struct Metadata {
    /// One group, or several of which `threshold` are needed. Never empty.
    pub groups: Vec<Vec<Stanza>>,
    /// Groups needed. 0 when the file does not say.
    pub threshold: usize,
    pub rule: Rule,
    /// The MAC covers encrypted values only.
    pub mac_only_encrypted: bool,
    /// The MAC as it stands in the file; empty when there is none.
    pub mac: String,
    /// `lastmodified` in the form in which it authenticates the MAC.
    pub last_modified: String,
}

/// Why a metadata block cannot be used. Field names only, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    #[error("it has no 'sops' metadata: it is not encrypted with sops, or not in this format")]
    NotFound,
    #[error("it has more than one 'sops' entry")]
    Duplicate,
    #[error("its 'sops' entry is not a mapping")]
    NotAMapping,
    #[error("the field '{0}' of its 'sops' metadata is malformed: {1}")]
    Field(String, &'static str),
    #[error("its 'sops' metadata uses more than one encryption rule ('{0}' and '{1}')")]
    TwoRules(&'static str, &'static str),
    #[error("the '{0}' of its 'sops' metadata cannot be used: {1}")]
    Regex(&'static str, RegexError),
    #[error("its 'sops' metadata names no key that could open it")]
    NoKeys,
    #[error(
        "its 'sops' metadata has more than {ENTRIES_LIMIT} keys that could open it, or more than 8 MiB of them"
    )]
    TooManyKeys,
}

/// Entries of all key lists. Each may cost milliseconds of arithmetic, and nothing in the file says whether it is worth it.
const ENTRIES_LIMIT: usize = 10_000;
/// Bytes of all wrapped keys. One takes 400, or 2500 after quantum computers.
const WRAPPED_LIMIT: usize = 8 << 20;

const RULES: [&str; 6] = [
    "unencrypted_suffix",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_regex",
    "unencrypted_comment_regex",
    "encrypted_comment_regex",
];

/// The key lists in the order in which sops tries them, each with the fields that name the recipient.
const KEY_LISTS: [(&str, StanzaKind, &[&str]); 7] = [
    ("kms", StanzaKind::Kms, &["arn"]),
    ("gcp_kms", StanzaKind::GcpKms, &["resource_id"]),
    ("hckms", StanzaKind::Hckms, &["key_id"]),
    ("azure_kv", StanzaKind::AzureKv, &["vault_url", "name", "version"]),
    ("hc_vault", StanzaKind::HcVault, &["vault_address", "engine_path", "key_name"]),
    ("pgp", StanzaKind::Pgp, &["fp"]),
    ("age", StanzaKind::Age, &["recipient"]),
];

impl Metadata {
    /// # Errors
    /// When a field that decryption needs is missing or malformed.
    pub fn from_node(block: &Node) -> Result<Self, MetadataError> {
        let Node::Map(_) = block else { return Err(MetadataError::NotAMapping) };
        let last_modified = text(block, "lastmodified")?;
        let last_modified = Time::parse_rfc3339(&last_modified)
            .ok_or_else(|| {
                let why =
                    if last_modified.is_empty() { "it is missing" } else { "it is not an RFC 3339 time" };
                MetadataError::Field("lastmodified".to_owned(), why)
            })?
            .to_rfc3339();
        let groups = groups(block)?;
        let entries = || groups.iter().flatten();
        if entries().nth(ENTRIES_LIMIT).is_some()
            || entries().map(|stanza| stanza.enc.len()).sum::<usize>() > WRAPPED_LIMIT
        {
            return Err(MetadataError::TooManyKeys);
        }
        Ok(Self {
            groups,
            threshold: threshold(block)?,
            rule: rule(block)?,
            mac_only_encrypted: boolean(block, "mac_only_encrypted")?,
            mac: text(block, "mac")?,
            last_modified,
        })
    }
}

fn groups(block: &Node) -> Result<Vec<Vec<Stanza>>, MetadataError> {
    let top = group(block)?;
    if !top.is_empty() {
        return Ok(vec![top]);
    }
    let groups = match field(block, "key_groups") {
        Some(Node::List(groups)) => groups.iter().map(group).collect::<Result<Vec<_>, _>>()?,
        Some(one @ Node::Map(fields)) if !fields.is_empty() => vec![group(one)?],
        Some(Node::Scalar(text)) if !text.is_empty() => {
            return Err(MetadataError::Field("key_groups".to_owned(), "it is not a list"));
        }
        _ => Vec::new(),
    };
    if groups.is_empty() { Err(MetadataError::NoKeys) } else { Ok(groups) }
}

fn group(node: &Node) -> Result<Vec<Stanza>, MetadataError> {
    let mut stanzas = Vec::new();
    for (list, kind, recipient_fields) in KEY_LISTS {
        let entries = match field(node, list) {
            Some(Node::List(entries)) => entries.as_slice(),
            Some(one @ Node::Map(fields)) if !fields.is_empty() => std::slice::from_ref(one),
            Some(Node::Scalar(text)) if !text.is_empty() => {
                return Err(MetadataError::Field(list.to_owned(), "it is not a list"));
            }
            _ => &[],
        };
        for entry in entries {
            let recipient = recipient_fields
                .iter()
                .map(|name| text(entry, name))
                .collect::<Result<Vec<_>, _>>()?
                .join("/");
            stanzas.push(Stanza { kind, recipient, enc: text(entry, "enc")? });
        }
    }
    Ok(stanzas)
}

fn rule(block: &Node) -> Result<Rule, MetadataError> {
    let mut found: Option<(&str, String)> = None;
    for name in RULES {
        let pattern = text(block, name)?;
        if pattern.is_empty() {
            continue;
        }
        if let Some((other, _)) = found {
            return Err(MetadataError::TwoRules(other, name));
        }
        found = Some((name, pattern));
    }
    let (name, pattern) = found.unwrap_or(("unencrypted_suffix", Rule::DEFAULT_SUFFIX.to_owned()));
    let rule = Rule::new(name, &pattern).map_err(|error| MetadataError::Regex(name, error))?;
    Ok(rule.unwrap_or_else(|| Rule::UnencryptedSuffix(pattern.into_bytes())))
}

/// sops 3.9 to 3.12 wrote a threshold into INI files as `2.000000`.
fn threshold(block: &Node) -> Result<usize, MetadataError> {
    let text = text(block, "shamir_threshold")?;
    if text.is_empty() {
        return Ok(0);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let value = if fraction.bytes().all(|b| b == b'0') { go_integer(whole) } else { None };
    value.ok_or(MetadataError::Field("shamir_threshold".to_owned(), "it is not a whole number"))
}

/// Go's integer syntax with an optional base prefix.
fn go_integer(text: &str) -> Option<usize> {
    let text = text.strip_prefix('+').unwrap_or(text).to_ascii_lowercase();
    if !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let (digits, radix) = match text.split_at_checked(2) {
        Some(("0x", digits)) => (digits, 16),
        Some(("0b", digits)) => (digits, 2),
        Some(("0o", digits)) => (digits, 8),
        _ if text.len() > 1 && text.starts_with('0') => (text.get(1..)?, 8),
        _ => (text.as_str(), 10),
    };
    usize::from_str_radix(digits, radix).ok()
}

fn boolean(block: &Node, name: &'static str) -> Result<bool, MetadataError> {
    match text(block, name)?.as_str() {
        "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        _ => Err(MetadataError::Field(name.to_owned(), "it is neither true nor false")),
    }
}

/// The text of a field; empty when it is absent.
fn text(node: &Node, name: &str) -> Result<String, MetadataError> {
    match field(node, name) {
        None => Ok(String::new()),
        Some(Node::Scalar(text)) => Ok(text.clone()),
        Some(_) => Err(MetadataError::Field(name.to_owned(), "it is not text")),
    }
}

/// A field by its name in any case; an exact match wins.
fn field<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Node::Map(fields) = node else { return None };
    let exact = fields.iter().find(|(key, _)| key == name);
    exact.or_else(|| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))).map(|(_, value)| value)
}

#[cfg(test)]
mod tests;
