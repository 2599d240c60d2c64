use super::*;

fn scalar(text: &str) -> Node {
    Node::Scalar(text.to_owned())
}

fn map(fields: Vec<(&str, Node)>) -> Node {
    Node::Map(fields.into_iter().map(|(name, node)| (name.to_owned(), node)).collect())
}

fn age(recipient: &str) -> Node {
    map(vec![("recipient", scalar(recipient)), ("enc", scalar("armor"))])
}

/// The smallest block that can be used, and more fields.
fn block(more: Vec<(&str, Node)>) -> Node {
    let mut fields =
        vec![("lastmodified", scalar("2024-01-02T03:04:05Z")), ("age", Node::List(vec![age("age1a")]))];
    fields.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    fields.extend(more);
    map(fields)
}

fn recipients(block: &Node) -> Vec<Vec<String>> {
    let metadata = Metadata::from_node(block).ok().unwrap();
    metadata
        .groups
        .iter()
        .map(|group| group.iter().map(|stanza| stanza.recipient.clone()).collect())
        .collect()
}

#[test]
fn what_is_absent_has_a_default() {
    let metadata = Metadata::from_node(&block(vec![])).ok().unwrap();
    assert_eq!((metadata.threshold, metadata.mac.as_str(), metadata.mac_only_encrypted), (0, "", false));
    assert!(matches!(metadata.rule, Rule::UnencryptedSuffix(suffix) if suffix == b"_unencrypted"));
    assert_eq!(metadata.last_modified, "2024-01-02T03:04:05Z");
}

#[test]
fn lastmodified_is_kept_in_the_form_that_authenticates() {
    let metadata = Metadata::from_node(&block(vec![("lastmodified", scalar("2024-01-02T03:04:05.9+02:00"))]))
        .ok()
        .unwrap();
    assert_eq!(metadata.last_modified, "2024-01-02T03:04:05+02:00");
}

#[test]
fn the_exact_name_wins_over_another_case() {
    let fields = vec![("MAC", scalar("upper")), ("mac", scalar("lower")), ("Mac", scalar("title"))];
    assert_eq!(Metadata::from_node(&block(fields)).ok().unwrap().mac, "lower");
    let fields = vec![("MAC", scalar("upper")), ("Mac", scalar("title"))];
    assert_eq!(Metadata::from_node(&block(fields)).ok().unwrap().mac, "upper");
}

#[test]
fn entries_are_in_the_order_in_which_sops_tries_them() {
    let entry = |field: &str, text: &str| map(vec![(field, scalar(text)), ("enc", scalar("x"))]);
    let fields = vec![
        ("pgp", Node::List(vec![entry("fp", "P1"), entry("fp", "P2")])),
        ("age", Node::List(vec![age("age1b"), age("age1c")])),
        ("kms", entry("arn", "K")),
    ];
    assert_eq!(recipients(&block(fields)), [["K", "P1", "P2", "age1b", "age1c"]]);
}

#[test]
fn key_groups_count_only_without_entries_at_the_top() {
    let groups =
        || Node::List(vec![map(vec![("age", age("g1"))]), map(vec![]), map(vec![("age", age("g3"))])]);
    assert_eq!(recipients(&block(vec![("key_groups", groups())])), [["age1a"]]);
    let fields = vec![("age", Node::List(vec![])), ("key_groups", groups())];
    assert_eq!(recipients(&block(fields)), [vec!["g1"], vec![], vec!["g3"]]);
}

#[test]
fn no_keys_and_no_mapping_are_refused() {
    for empty in [Node::List(vec![]), map(vec![]), scalar("")] {
        assert_eq!(Metadata::from_node(&block(vec![("age", empty)])).err(), Some(MetadataError::NoKeys));
    }
    for empty in [Node::List(vec![]), map(vec![]), scalar("")] {
        let fields = vec![("age", Node::List(vec![])), ("key_groups", empty)];
        assert_eq!(Metadata::from_node(&block(fields)).err(), Some(MetadataError::NoKeys));
    }
    assert_eq!(Metadata::from_node(&scalar("x")).err(), Some(MetadataError::NotAMapping));
    assert_eq!(Metadata::from_node(&Node::List(vec![])).err(), Some(MetadataError::NotAMapping));
}

#[test]
fn integers_have_the_prefixes_of_go() {
    for (text, value) in [
        ("0", Some(0)),
        ("2", Some(2)),
        ("+2", Some(2)),
        ("010", Some(8)),
        ("0o10", Some(8)),
        ("0x1F", Some(31)),
        ("0B11", Some(3)),
        ("99999999999999999999", None),
        ("", None),
        ("-1", None),
        ("08", None),
        ("0x", None),
        ("1_0", None),
        ("++1", None),
        ("0x+1", None),
        (" 1", None),
        ("é", None),
    ] {
        assert_eq!(go_integer(text), value, "{text}");
    }
}

#[test]
fn every_rule_is_known_by_its_field() {
    for name in RULES {
        let metadata = Metadata::from_node(&block(vec![(name, scalar("x"))])).ok().unwrap();
        let field = match metadata.rule {
            Rule::UnencryptedSuffix(_) => "unencrypted_suffix",
            Rule::EncryptedSuffix(_) => "encrypted_suffix",
            Rule::UnencryptedRegex(_) => "unencrypted_regex",
            Rule::EncryptedRegex(_) => "encrypted_regex",
            Rule::UnencryptedCommentRegex(_) => "unencrypted_comment_regex",
            Rule::EncryptedCommentRegex(_) => "encrypted_comment_regex",
        };
        assert_eq!(field, name);
    }
}

#[test]
fn errors_hold_names_and_no_content() {
    for (name, node) in [
        ("lastmodified", scalar("MARKER")),
        ("mac", Node::List(vec![scalar("MARKER")])),
        ("age", scalar("MARKER")),
        ("shamir_threshold", scalar("MARKER")),
        ("mac_only_encrypted", scalar("MARKER")),
        ("encrypted_regex", map(vec![("MARKER", scalar("MARKER"))])),
        ("key_groups", scalar("MARKER")),
    ] {
        let mut fields = vec![(name, node)];
        if name == "key_groups" {
            fields.push(("age", Node::List(vec![])));
        }
        let error = Metadata::from_node(&block(fields)).err().unwrap();
        assert!(format!("{error}").contains(name), "{error}");
        assert!(!format!("{error} {error:?}").contains("MARKER"), "{error:?}");
    }
}
