//! Picking one value out of a document: the `key` of a secret.

use sops_activate::sops::document::PickError;
use sops_activate::sops::format::Format;
use sops_activate::sops::key_path::{FindError, KeyPath};

use crate::seal::{File, LAST_MODIFIED, Public, mac, open, string, value};

/// One value of every kind.
fn sample() -> File {
    let body = format!(
        "s: {}\nm:\n  b: {}\n  # note\n  e: ''\nl:\n- {}\n- k: {}\n- ['{}']\ni: {}\nf: {}\nt: {}\nd: {}\nn: null\nem: {{}}\nel: []\n",
        string("s:", "text\0\n"),
        string("m:b:", "in map"),
        string("l:", "zero"),
        string("l:k:", "in item"),
        string("l:", "deep"),
        value("i:", "int", "7"),
        value("f:", "float", "1e6"),
        value("t:", "bool", "True"),
        value("d:", "time", "2001-01-01T00:00:00.50Z"),
    );
    File::yaml(body, "text\0\nin mapzeroin itemdeep71000000True2001-01-01T00:00:00.5Z")
}

fn find_error(file: &File, key: &str) -> FindError {
    match file.open().ok().unwrap().pick(&KeyPath::new(key)) {
        Err(PickError::Find(error)) => error,
        other => panic!("{key}: {:?}", other.map(|_| ())),
    }
}

// 79
#[test]
fn a_string_is_its_bytes_and_nothing_more() {
    let file = sample();
    assert_eq!(file.pick("s").as_deref(), Ok("text\0\n"));
    assert_eq!(file.pick("m/b").as_deref(), Ok("in map"));
    assert_eq!(file.pick("m/e").as_deref(), Ok(""));
}

// 79
#[test]
fn other_scalars_are_their_text() {
    let file = sample();
    assert_eq!(file.pick("i").as_deref(), Ok("7"));
    assert_eq!(file.pick("f").as_deref(), Ok("1e+06"));
    assert_eq!(file.pick("t").as_deref(), Ok("true"));
    assert_eq!(file.pick("d").as_deref(), Ok("2001-01-01T00:00:00.5Z"));
}

// 79
#[test]
fn null_is_refused() {
    let file = sample();
    let error = file.open().ok().unwrap().pick(&KeyPath::new("n")).err();
    assert_eq!(error, Some(PickError::Null("n".to_owned())));
}

// 9
#[test]
fn a_key_is_located_before_anything_is_decrypted() {
    let sealed = sample().parse().ok().unwrap();
    for key in ["s", "m", "m/e", "l/1/k", "i", "el"] {
        assert_eq!(sealed.locate(&KeyPath::new(key)), Ok(()), "{key}");
    }
    assert_eq!(sealed.locate(&KeyPath::new("n")), Err(PickError::Null("n".to_owned())));
    assert!(matches!(sealed.locate(&KeyPath::new("m/x")), Err(PickError::Find(_))));
}

// 79. sops-install-secrets does not index lists.
#[test]
fn lists_are_indexed_from_zero() {
    let file = sample();
    assert_eq!(file.pick("l/0").as_deref(), Ok("zero"));
    assert_eq!(file.pick("l/1/k").as_deref(), Ok("in item"));
    assert_eq!(file.pick("l/2/0").as_deref(), Ok("deep"));
    for index in ["l/3", "l/-1", "l/x", "l/", "l/0x1", "l/99999999999999999999"] {
        let siblings = ["0", "1", "2"].map(str::to_owned).into();
        assert_eq!(find_error(&file, index), FindError::Missing { path: index.to_owned(), siblings });
    }
}

#[test]
fn the_comments_of_a_list_do_not_count() {
    let comment = value("l:", "comment", " c");
    let body = format!("l:\n- {comment}\n- {}\n# plain\n- {}\n", string("l:", "x"), string("l:", "y"));
    let file = File::yaml(body, "xy");
    assert_eq!(file.pick("l/0").as_deref(), Ok("x"));
    assert_eq!(file.pick("l/1").as_deref(), Ok("y"));
}

// sops-install-secrets takes strings alone.
#[test]
fn a_mapping_or_list_is_printed_as_sops_prints_an_extract() {
    let file = sample();
    assert_eq!(file.pick("m").as_deref(), Ok("b: in map\n# note\ne: \"\"\n"));
    assert_eq!(file.pick("l").as_deref(), Ok("- zero\n- k: in item\n- - deep\n"));
    assert_eq!(file.pick("l/1").as_deref(), Ok("k: in item\n"));
    assert_eq!(file.pick("em").as_deref(), Ok("{}\n"));
    assert_eq!(file.pick("el").as_deref(), Ok("[]\n"));
    let body = format!("\"m\": {{\"b\": [\"{}\", 1]}}, \"e\": [], \"f\": {{}}", string("m:b:", "<x>"));
    let body = body.replace(", 1]", &format!(", \"{}\"]", value("m:b:", "int", "1")));
    let json = File::json(body, "<x>1");
    assert_eq!(json.pick("m").as_deref(), Ok("{\n\t\"b\": [\n\t\t\"\\u003cx\\u003e\",\n\t\t1\n\t]\n}\n"));
    assert_eq!(json.pick("m/b").as_deref(), Ok("[\n\t\"\\u003cx\\u003e\",\n\t1\n]"));
    assert_eq!(json.pick("e").as_deref(), Ok("[]"));
    assert_eq!(json.pick("f").as_deref(), Ok("{}\n"));
}

// 79
#[test]
fn a_path_that_leaves_the_tree_says_where() {
    let file = sample();
    let top = ["s", "m", "l", "i", "f", "t", "d", "n", "em", "el"].map(str::to_owned).to_vec();
    let inner = ["b", "e"].map(str::to_owned).to_vec();
    let missing = |path: &str, siblings: &[String]| FindError::Missing {
        path: path.to_owned(),
        siblings: siblings.into(),
    };
    assert_eq!(find_error(&file, "x"), missing("x", &top));
    assert_eq!(find_error(&file, "x/y/z"), missing("x", &top));
    assert_eq!(find_error(&file, "m/c"), missing("m/c", &inner));
    assert_eq!(find_error(&file, "m//b"), missing("m/", &inner));
    assert_eq!(
        find_error(&file, "m/b/"),
        FindError::NotAContainer { path: "m/b".to_owned(), kind: "a string" }
    );
    assert_eq!(
        find_error(&file, "i/x"),
        FindError::NotAContainer { path: "i".to_owned(), kind: "an integer" }
    );
    assert_eq!(find_error(&file, "n/x"), FindError::NotAContainer { path: "n".to_owned(), kind: "null" });
    assert_eq!(find_error(&file, ""), missing("", &top));
    assert_eq!(find_error(&file, "/s"), missing("", &top));
}

// 80
#[test]
fn the_metadata_is_never_found() {
    let file = sample();
    for key in ["sops", "sops/mac", "sops/age/0/enc", "sops/lastmodified"] {
        assert!(matches!(find_error(&file, key), FindError::Missing { path, .. } if path == "sops"), "{key}");
        let sealed = file.parse().ok().unwrap();
        assert!(matches!(sealed.locate(&KeyPath::new(key)), Err(PickError::Find(_))), "{key} before opening");
    }
    let json = File::json(format!("\"a\": \"{}\"", string("a:", "x")), "x");
    assert!(matches!(find_error(&json, "sops/mac"), FindError::Missing { .. }));
    assert!(json.pick("a").is_ok());
}

// 80
#[test]
fn a_nested_key_named_sops_is_data() {
    let file = File::yaml(format!("m:\n  sops:\n    mac: {}\n", string("m:sops:mac:", "x")), "x");
    assert_eq!(file.pick("m/sops/mac").as_deref(), Ok("x"));
}

// 81
#[test]
fn only_the_first_document_counts() {
    let text = File::yaml(format!("a: {}\n", string("a:", "x")), "xy").text();
    let text = format!("{text}---\na: {}\nb: {}\n", string("a:", "y"), "null");
    let document = open(Format::Yaml, text.as_bytes(), &Public).ok().unwrap();
    assert_eq!(document.pick(&KeyPath::new("a")).unwrap().expose(), b"x");
    assert!(matches!(document.pick(&KeyPath::new("b")), Err(PickError::Find(FindError::Missing { .. }))));
}

// 81
#[test]
fn what_a_merge_key_brings_in_is_found_and_own_keys_win() {
    let body = "base_unencrypted: &base\n  k: base\n  j: base\nm_unencrypted:\n  j: own\n  <<: *base\nl_unencrypted:\n  <<: [*base, {i: second, k: second}]\n";
    let file = File::yaml(body, "basebaseownbasebasebasebasesecondsecond");
    assert_eq!(file.pick("m_unencrypted/k").as_deref(), Ok("base"));
    assert_eq!(file.pick("m_unencrypted/j").as_deref(), Ok("own"));
    assert_eq!(file.pick("l_unencrypted/i").as_deref(), Ok("second"));
    assert_eq!(file.pick("l_unencrypted/k").as_deref(), Ok("base"));
    assert_eq!(file.pick("m_unencrypted/<</k").as_deref(), Ok("base"));
}

// 81
#[test]
fn an_encrypted_string_is_that_text_whatever_yaml_would_make_of_it() {
    for text in
        ["yes", "12:30:45", "0x1f", "1e3", "null", "~", "2001-01-01", "!!int 5", "- x", "\tx\ny", " \n x"]
    {
        let file = File::yaml(format!("l:\n- {}\n", string("l:", text)), text);
        assert_eq!(file.pick("l/0").as_deref(), Ok(text));
    }
}

// 82
#[test]
fn nested_keys_of_json_are_found() {
    let file = File::json(format!("\"a\": {{\"b\": [{{\"c\": \"{}\"}}]}}", string("a:b:c:", "x")), "x");
    assert_eq!(file.pick("a/b/0/c").as_deref(), Ok("x"));
}

// 79
#[test]
fn of_duplicate_json_keys_the_last_counts() {
    let body = format!("\"a\": \"{}\", \"a\": \"{}\"", string("a:", "1"), string("a:", "2"));
    assert_eq!(File::json(body, "12").pick("a").as_deref(), Ok("2"));
}

// 83
#[test]
fn a_plain_value_is_picked_like_an_encrypted_one() {
    let body = "i_unencrypted: 0x1f\nf_unencrypted: 1.50\nd_unencrypted: 2001-01-01\nb_unencrypted: TRUE\n";
    let file = File::yaml(body, "311.52001-01-01T00:00:00ZTrue");
    assert_eq!(file.pick("i_unencrypted").as_deref(), Ok("31"));
    assert_eq!(file.pick("f_unencrypted").as_deref(), Ok("1.5"));
    assert_eq!(file.pick("d_unencrypted").as_deref(), Ok("2001-01-01T00:00:00Z"));
    assert_eq!(file.pick("b_unencrypted").as_deref(), Ok("true"));
}

// sops-install-secrets always splits.
#[test]
fn splitting_at_slashes_comes_first_and_an_exact_key_second() {
    let body = format!(
        "a/b: {}\na:\n  b: {}\n  c/d: {}\np/q: {}\n",
        string("a/b:", "exact"),
        string("a:b:", "split"),
        string("a:c/d:", "inner"),
        string("p/q:", "only")
    );
    let file = File::yaml(body, "exactsplitinneronly");
    assert_eq!(file.pick("a/b").as_deref(), Ok("split"));
    assert_eq!(file.pick("a/c/d").as_deref(), Ok("inner"));
    assert_eq!(file.pick("p/q").as_deref(), Ok("only"));
}

// 79
#[test]
fn the_mac_is_checked_before_anything_is_picked() {
    let file = sample().text_field("mac", &mac("other")).text_field("lastmodified", LAST_MODIFIED);
    assert!(file.pick("s").is_err());
}
