use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::super::MAX_DEPTH;
use super::*;
use crate::sops::time::Time;
use crate::sops::tree::{Comment, Entry, Item, Text, Value};

fn reprint(source: &str) -> String {
    let documents = read(source.as_bytes()).unwrap_or_else(|error| panic!("{source:?}: {error}"));
    print(&documents, source.as_bytes())
}

fn print(documents: &[Map], source: &[u8]) -> String {
    String::from_utf8(emit(documents, source).unwrap().expose().to_vec()).unwrap()
}

fn printed(value: Value) -> String {
    print(&[map([("k", value)])], b"")
}

fn map<const N: usize>(pairs: [(&str, Value); N]) -> Map {
    Map(pairs.map(|(key, value)| pair(key.as_bytes(), value)).into())
}

fn pair(key: &[u8], value: Value) -> Entry {
    Entry::Pair { key: key.into(), place: Place::default(), value }
}

fn item(value: Value) -> Item {
    Item::Value { place: Place::default(), value }
}

fn string(text: &str) -> Value {
    Value::String(Text::owned(text.as_bytes().to_vec()))
}

fn failure(source: &str) -> String {
    match read(source.as_bytes()) {
        Ok(_) => panic!("{source:?} was read"),
        Err(error) => error.to_string(),
    }
}

fn vectors(suffix: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_str().unwrap().ends_with(suffix));
    paths.sort();
    paths
}

#[test]
fn style_and_layout_become_those_of_sops() {
    for (source, expected) in [
        (
            "a:\n  b: {c: [1, \"2\"]}\nd: 2001-01-01\n",
            "a:\n    b:\n        c:\n            - 1\n            - \"2\"\nd: 2001-01-01T00:00:00Z\n",
        ),
        ("a: 'x'\n\"b\": y\n'yes': 1\n", "a: x\nb: \"y\"\n\"yes\": 1\n"),
        ("a:\n- - 1\n  - 2\n- k: v\n  l: {}\n", "a:\n    - - 1\n      - 2\n    - k: v\n      l: {}\n"),
        ("a: >\n  x\n  y\n\n  z\n", "a: |\n    x y\n    z\n"),
        ("a: |2\n    x\n", "a: |4\n      x\n"),
        ("a: |\n  x", "a: x\n"),
        (
            "a: 1_000\nb: 0x1f\nc: 1e6\nd: 1.50\ne: ~\nf: yes\ng: -0\n",
            "a: 1000\nb: 31\nc: 1e+06\nd: 1.5\ne: null\nf: \"yes\"\ng: -0\n",
        ),
        (
            "a: ! 12\nb: !!str 12\nc: !foo 12\nd: !!binary aGk=\ne: !!float 1\nf: !!str\n",
            "a: 12\nb: \"12\"\nc: \"12\"\nd: hi\ne: 1\nf: \"\"\n",
        ),
        ("a:\nb: ''\nc: []\n", "a: null\nb: \"\"\nc: []\n"),
        (
            "x: &a\n  b: [1]\ny:\n  <<: *a\nz: *a\n",
            "x:\n    b:\n        - 1\n\"y\":\n    !!merge <<:\n        b:\n            - 1\nz:\n    b:\n        - 1\n",
        ),
        ("\u{feff}a: 1\r\nb: 2 # c\r\n", "a: 1\nb: 2 # c\n"),
        ("{\"a\": [true, null]}", "a:\n    - true\n    - null\n"),
        ("a: 'x\u{2028}    y'\n", "a: 'x\u{2028}    y'\n"),
        ("a: |\n    x\u{2028}    y\n", "a: |\n    x\u{2028}    y\n"),
        ("? a\n: 1\n", "a: 1\n"),
        ("%YAML 1.1\n---\na: 1\n", "a: 1\n"),
    ] {
        assert_eq!(reprint(source), expected, "{source:?}");
    }
}

#[test]
fn documents_are_kept_apart() {
    assert_eq!(reprint("a: 1\n---\n---\nb: 1\nb: 2\n"), "a: 1\n---\n{}\n---\nb: 1\nb: 2\n");
    assert_eq!(reprint("a: 1\n---\n# only\n---\nb: 1\n"), "a: 1\n---\n# only\n{}\n---\nb: 1\n");
    assert_eq!(reprint("a: 1 # c\n...\n# lost\n"), "a: 1 # c\n");
    assert!(read(b"").unwrap().is_empty());
    assert!(read(b"\xef\xbb\xbf").unwrap().is_empty());
    assert_eq!(print(&[], b""), "");
}

#[test]
fn comments_in_the_layout_of_sops_stay_where_they_are() {
    for source in [
        "# head\n#bare\n#\na: x # inline\n# before b\nb:\n    # first\n    c: |- # header\n        two\n        lines\n    # last of b\n# end\n",
        "l:\n    # first\n    - 1 # one\n    # second\n    - k: v # kv\n      # in item\n      m: w\n      # last\nz: \"y\"\n",
        "l:\n    - - 1\n      # inner\n    - 2\n",
        "a: 1 # c\n---\n# of two\nb: 2\n# end of two\n---\nc: 3\n",
    ] {
        assert_eq!(reprint(source), source);
    }
}

#[test]
fn comments_are_placed_as_go_yaml_places_them() {
    for (source, expected) in [
        ("k: # of k\n    a: 1\n", "# of k\nk:\n    a: 1\n"),
        ("n: # c\nb: 1\n", "# c\n\"n\": null\nb: 1\n"),
        ("k: {a: 1} # c\n", "k:\n    # c\n    a: 1\n"),
        ("k:\n    - [1] # c\n    - 2\n", "k:\n    - - 1\n    - 2 # c\n"),
        ("k: {\n  # h\n  a: 1, # i\n  b: 2\n  # t\n  }\n", "k:\n    # h\n    a: 1 # i\n    b: 2\n    # t\n"),
        ("k: {}\na: {\n  # lost\n  }\n", "k: {}\na: {}\n"),
        ("k:\n    - # dash\n      - 1\n", "k:\n    # dash\n    - - 1\n"),
        ("a:\n    b: 1\n    # deep\n# top\nc: 2\n", "a:\n    b: 1\n    # deep\n# top\nc: 2\n"),
        ("a: 1\n    # too deep\nb: 2\n", "a: 1\n# too deep\nb: 2\n"),
        ("a:\n  # x\n    # y\n  b: 1\n", "a:\n    # x\n    # y\n    b: 1\n"),
        ("a: 1\n# x\n\n# y\nb: 2\n", "a: 1\n# x\n# y\nb: 2\n"),
        ("a:\n    b: 1\n\n    # c\n", "a:\n    b: 1\n# c\n"),
        ("a:\n    b:\n        - 1\n    # of a\nd: 1\n", "a:\n    b:\n        - 1\n        # of a\nd: 1\n"),
        ("# h\n{a: 1}\n# t\n", "# h\na: 1\n# t\n"),
        ("a: x#c\nb: 'y' # d # e\n", "a: x#c\nb: \"y\" # d # e\n"),
    ] {
        assert_eq!(reprint(source), expected, "{source:?}");
    }
}

#[test]
fn comments_around_the_metadata_do_not_move_others() {
    let source = "a: 1\n# before\nsops:\n    # inside\n    mac: x # y\n# after\n";
    let mut documents = read(source.as_bytes()).unwrap();
    documents[0].0.retain(|entry| !matches!(entry, Entry::Pair { key, .. } if &**key == b"sops"));
    assert_eq!(print(&documents, source.as_bytes()), "a: 1\n# before\n# after\n");
}

#[test]
fn values_that_yaml_cannot_give_back_print_as_sops_prints_them() {
    assert_eq!(printed(string("\ta\nb")), "k: null\n");
    assert_eq!(printed(string("<<")), "k: !!merge <<\n");
    assert_eq!(printed(Value::List(vec![item(string(" a\nb"))])), "k:\n    - |4-\n       a\n      b\n");
    assert_eq!(printed(Value::String(Text::owned(b"\xff".to_vec()))), "k: !!binary /w==\n");
    let long = printed(Value::String(Text::owned(vec![0xff; 60])));
    assert_eq!(long, format!("k: !!binary |\n    {}\n    {}\n", "/".repeat(70), "/".repeat(10)));
    assert_eq!(
        printed(string("a\u{1f600}\u{85}\u{a0}\t\x01\"\\")),
        "k: \"a\\U0001F600\\N\u{a0}\\t\\x01\\\"\\\\\"\n"
    );
    assert_eq!(printed(string("\u{feff}ab")), "k: \"\\uFEFF\\x61\\x62\"\n");
    assert_eq!(printed(string("it's ")), "k: 'it''s '\n");
    assert_eq!(printed(string("\n")), "k: |4+\n\n");
    assert_eq!(printed(string("a\n\n")), "k: |+\n    a\n\n");
}

#[test]
fn numbers_print_as_go_prints_them() {
    for (value, expected) in [
        (Value::Float(1.0), "1"),
        (Value::Float(1e6), "1e+06"),
        (Value::Float(f64::INFINITY), ".inf"),
        (Value::Float(f64::NEG_INFINITY), "-.inf"),
        (Value::Float(f64::NAN), ".nan"),
        (Value::Int(-12), "-12"),
        (Value::Unsigned(u64::MAX), "18446744073709551615"),
        (Value::Bool(true), "true"),
        (Value::Null, "null"),
        (
            Value::Time(Time::parse_yaml("2001-12-14t21:59:43.10-05:00").unwrap()),
            "2001-12-14T21:59:43.1-05:00",
        ),
    ] {
        assert_eq!(printed(value), format!("k: {expected}\n"));
    }
}

#[test]
fn long_and_multi_line_keys_are_explicit() {
    let long = "x".repeat(129);
    let inner = || Value::Map(map([("q", Value::Int(1))]));
    assert_eq!(print(&[map([(&long, inner())])], b""), format!("? {long}\n:   q: 1\n"));
    assert_eq!(print(&[map([("a\nb", Value::Int(1))])], b""), "? |-\n    a\n    b\n: 1\n");
    assert_eq!(print(&[map([("a\rb", Value::Int(1))])], b""), "? \"a\\rb\"\n: 1\n");
    assert_eq!(print(&[map([("\ta\nb", Value::Int(1))])], b""), "null: 1\n");
}

#[test]
fn a_decrypted_comment_of_several_lines_stays_a_comment() {
    let comment =
        |text: &str, inline| Entry::Comment(Comment { text: Text::owned(text.as_bytes().to_vec()), inline });
    let document = Map(vec![comment(" a\nb\n\n#c", false), pair(b"k", Value::Int(1))]);
    assert_eq!(print(&[document], b""), "# a\n# b\n\n#c\nk: 1\n");
    let document = Map(vec![comment(" i", true), pair(b"k", Value::Int(1)), comment("end", false)]);
    assert_eq!(print(&[document], b""), "k: 1 # i\n#end\n");
}

#[test]
fn an_empty_collection_with_comments_prints_them_inside() {
    let comment = || Comment { text: Text::owned(b" c".to_vec()), inline: false };
    let map_value = Value::Map(Map(vec![Entry::Comment(comment())]));
    assert_eq!(printed(map_value), "k: {\n    # c\n}\n");
}

#[test]
fn texts_are_spans_of_the_file_where_their_bytes_stand_in_it() {
    let source = b"\xef\xbb\xbfa: ENC[x] # c\nb: 'quoted'\nc: 'it''s'\nd: |\n  x\ne: two\n  lines\n";
    let documents = read(source).unwrap();
    let spans: Vec<&[u8]> = collect_spans(&documents).into_iter().map(|range| &source[range]).collect();
    assert_eq!(spans, [&b" c"[..], b"ENC[x]", b"quoted"]);
}

#[test]
fn no_two_spans_overlap_even_with_aliases() {
    let source = "a: &a\n    # c\n    - x # i\n    - &b y\nb: [*a, *b]\nc: *a\n&k d: *k\n";
    let documents = read(source.as_bytes()).unwrap();
    let mut spans = collect_spans(&documents);
    spans.sort_by_key(|range| range.start);
    assert_eq!(spans.len(), 4);
    assert!(spans.windows(2).all(|pair| pair[0].end <= pair[1].start));
    assert!(print(&documents, source.as_bytes()).ends_with("d: d\n"));
}

fn collect_spans(documents: &[Map]) -> Vec<Range<usize>> {
    fn text(text: &Text, spans: &mut Vec<Range<usize>>) {
        if let Text::Span { start, len } = text {
            spans.push(*start..start + len);
        }
    }
    fn value(of: &Value, spans: &mut Vec<Range<usize>>) {
        match of {
            Value::String(string) => text(string, spans),
            Value::List(items) => items.iter().for_each(|item| match item {
                Item::Comment(comment) => text(&comment.text, spans),
                Item::Value { value: of, .. } => value(of, spans),
            }),
            Value::Map(of) => map(of, spans),
            _ => {}
        }
    }
    fn map(of: &Map, spans: &mut Vec<Range<usize>>) {
        of.0.iter().for_each(|entry| match entry {
            Entry::Comment(comment) => text(&comment.text, spans),
            Entry::Pair { value: of, .. } => value(of, spans),
        });
    }
    let mut spans = Vec::new();
    for document in documents {
        map(document, &mut spans);
    }
    spans
}

#[test]
fn places_count_from_one_and_in_characters() {
    let source = "é: 1\nb:\n    - x\n    - {ü: 2, k: 3}\n";
    let documents = read(source.as_bytes()).unwrap();
    let Entry::Pair { place, value: Value::List(items), .. } = &documents[0].0[1] else { panic!() };
    assert_eq!(*place, Place { line: 2, column: 1 });
    let Item::Value { place, value: Value::Map(map) } = &items[1] else { panic!() };
    assert_eq!(*place, Place { line: 4, column: 7 });
    let Entry::Pair { place, .. } = &map.0[1] else { panic!() };
    assert_eq!(*place, Place { line: 4, column: 14 });
}

#[test]
fn what_sops_refuses_is_refused_with_its_place() {
    for (source, expected) in [
        ("# c\n", "line 1, column 1: it holds no document"),
        (" \n", "line 1, column 1: it holds no document"),
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: this key is already defined at line 1, column 1"),
        ("a:\n  - {b: 1, 'b': 2}\n", "line 2, column 12: this key is already defined at line 2, column 6"),
        ("1: x\n", "line 1, column 1: a key that is an integer; keys must be strings, so it needs quotes"),
        (
            "a:\n  true: x\n",
            "line 2, column 3: a key that is a boolean; keys must be strings, so it needs quotes",
        ),
        ("? [a]\n: 1\n", "line 1, column 3: a key that is a list or a mapping"),
        (": x\n", "line 1, column 1: an empty key"),
        ("- 1\n", "line 1, column 1: the document is not a mapping of keys to values"),
        ("a: 1\n---\nx\n", "line 3, column 1: the document is not a mapping of keys to values"),
        ("a: *b\n", "line 1, column 4: an alias without its anchor"),
        ("a: &a [*a]\n", "line 1, column 8: an alias inside of the value that it stands for"),
        ("a: &b 1\n---\nb: *b\n", "line 3, column 4: an alias without its anchor"),
        ("a:\n\tb: 1\n", "line 2, column 2: a tab where only blanks may indent"),
        ("a: !!int x\n", "line 1, column 10: a value that is not what its tag says"),
        ("a: !!binary '%'\n", "line 1, column 13: a value that is not what its tag says"),
        (
            "a: b: c\n",
            "line 1, column 5: a ': ' where no value can stand; a string that holds one needs quotes",
        ),
        ("a: 1\n...\nb: 2\n", "line 3, column 1: a second document that does not begin with '---'"),
        ("a: \u{1}\n", "line 1, column 4: control characters are not allowed"),
    ] {
        assert_eq!(failure(source), expected, "{source:?}");
    }
    assert!(failure("%YAML 1.2\n---\na: 1\n").contains("another version than 1.1"));
    assert!(read(b"a: \xff").is_err());
}

/// sops reads `a` of `&a:b` as the name and `:b` as the value, and refuses most others.
#[test]
fn anchors_have_names_that_sops_reads_alike() {
    for name in ["a:b", "a:", "a?b", "a.b", "a?", "a%b", "a\"b", "a#b", "é"] {
        for source in [
            format!("k: &{name} c\n"),
            format!("k: &{name}\n  l: c\nm: *{name}\n"),
            format!("k: [&{name}]\n"),
        ] {
            let expected = "line 1, column 4: an anchor with another character than letters, digits, '_' and '-' in its name";
            let expected =
                if source.contains('[') { expected.replacen('4', "5", 1) } else { expected.to_owned() };
            assert_eq!(failure(&source), expected, "{source:?}");
        }
    }
    assert!(read(b"k: &a-b_1 c\nl: *a-b_1\n").is_ok());
    assert!(read(b"k: {a: &- c, b: [&_ d, *_]}\n").is_ok());
}

#[test]
fn a_question_mark_in_a_flow_collection_is_refused_as_sops_refuses_it_or_reads_a_key_after_it() {
    for source in ["k: {?=00}", "k: [?a]", "k: [a? b]", "k: {a?b: 1}", "k: [b, a?]", "{a: [{b: c?}]}"] {
        assert!(
            failure(source).contains("a '?' between braces or brackets"),
            "{source}: {}",
            failure(source)
        );
    }
    for source in ["?a: b?", "k: [\"a?\", 'b?']", "k: {? a: b}", "k: [{a: b}]\nl: a? b"] {
        assert!(read(source.as_bytes()).is_ok(), "{source}");
    }
}

#[test]
fn a_merge_conflict_is_named() {
    for source in [
        "<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> branch\n",
        "k: v\n<<<<<<< HEAD\na: ENC[x]\n=======\na: ENC[y]\n>>>>>>> branch\n",
    ] {
        let line = source.lines().position(|line| line.starts_with('<')).unwrap() + 1;
        let expected = format!("a merge conflict? line {line} looks like a conflict marker");
        assert!(failure(source).contains(&expected), "{}", failure(source));
    }
    assert!(!failure("a: b: c\n=======\n").contains("conflict"));
}

#[test]
fn errors_quote_nothing_of_the_file() {
    let marker = "hunter2";
    for source in [
        format!("a: {marker}: x\n"),
        format!("a: \"{marker}\n"),
        format!("a: '{marker}' {marker}\n"),
        format!("a: *{marker}\n"),
        format!("{marker}: 1\n{marker}: 2\n"),
        format!("a: !{marker}!x y\n"),
        format!("%{marker} {marker}\na: [\n"),
        format!("a: \"\\q{marker}\"\n"),
        format!("<<<<<<< {marker}\na: 1\n"),
        format!("a: !!int {marker}\n"),
    ] {
        assert!(!failure(&source).contains(marker), "{source:?}");
    }
}

#[test]
fn nesting_is_limited_and_needs_little_stack() {
    let nested = |levels: usize| {
        let mut lines: Vec<String> = (0..levels).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
        lines.push(format!("{}x\n", " ".repeat(levels)));
        lines.concat()
    };
    let deepest = nested(MAX_DEPTH);
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    thread.spawn(move || assert!(reprint(&deepest).contains("a: x"))).unwrap().join().unwrap();
    let refusal = "more than 256 levels of nesting";
    for source in [
        nested(MAX_DEPTH + 1),
        format!("a: {}", "[".repeat(100_000)),
        format!("a:\n {}x", "- ".repeat(100_000)),
        format!("a: {}", "{a: ".repeat(100_000)),
        // Deep only once the alias is expanded.
        format!(
            "{}&a {}{}\nb: {}*a{}\n",
            "a: ",
            "[".repeat(200),
            "]".repeat(200),
            "[".repeat(100),
            "]".repeat(100)
        ),
    ] {
        assert!(failure(&source).contains(refusal), "{}", failure(&source));
    }
}

#[test]
fn alias_bombs_are_refused() {
    let mut source = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (from, to) in ('a'..='i').zip('b'..='j') {
        let aliases = vec![format!("*{from}"); 9].join(", ");
        source = format!("{source}{to}: &{to} [{aliases}]\n");
    }
    assert!(failure(&source).contains("the aliases of this file stand for too much"));
    let long = "x".repeat(1_000_000);
    let uses = (0..100).map(|n| format!("k{n}: *a\n")).collect::<Vec<_>>().concat();
    assert!(
        failure(&format!("a: &a {long}\n{uses}")).contains("the aliases of this file stand for too much")
    );
}

#[test]
fn long_runs_of_comments_are_read() {
    let source = format!("a: 1\n{}b: 2\n", "# c\n".repeat(5000));
    assert_eq!(reprint(&source), source);
}

#[test]
fn encrypted_vectors_are_read_or_refused() {
    let (mut count, mut refused) = (0, Vec::new());
    for path in vectors(".enc.yaml") {
        count += 1;
        let source = transcode(SecretBytes::new(fs::read(&path).unwrap())).unwrap();
        if read(source.expose()).is_err() {
            refused.push(path.file_name().unwrap().to_str().unwrap().replace(".enc.yaml", ""));
        }
    }
    assert!(count > 60, "{count}");
    assert_eq!(refused, ["c-comment-only", "c-dup-key", "c-int-key", "c-root-list"]);
}

#[test]
fn plaintext_vectors_are_fixed_points() {
    let mut count = 0;
    for path in vectors(".enc.yaml") {
        let plain = PathBuf::from(path.to_str().unwrap().replace(".enc.yaml", ".plain"));
        // Prints an indentation indicator that no parser reads back.
        if !plain.exists() || plain.ends_with("c-list-leading-space.plain") {
            continue;
        }
        let source = fs::read_to_string(&plain).unwrap();
        assert_eq!(reprint(&source), source, "{}", plain.display());
        count += 1;
    }
    assert!(count > 40, "{count}");
}

/// Strings without those that sops itself cannot give back.
fn any_string() -> impl Strategy<Value = String> {
    let awkward = prop::sample::select(vec![
        "",
        "yes",
        "null",
        "1",
        "-0",
        "1e6",
        "0x1f",
        "12:30:45",
        "2001-01-01",
        "a: b",
        "a #b",
        "- x",
        "?",
        "'",
        "\"",
        "a\nb",
        "a\nb\n",
        "a\n\n",
        "x\n  y\n",
        "tab\tx",
        "cr\r\nx",
        "trail ",
        " lead",
        "\u{feff}x",
        "\u{1f600}",
        "é",
        "ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]",
        "<<",
        "---",
        "#x",
        "[q",
        "\0",
    ]);
    prop_oneof![
        awkward.prop_map(str::to_owned),
        "[ -~\\n\\t\\r#:'\"éß\u{1f600}-]{0,12}",
        "[a-z]{130,140}",
        any::<String>(),
    ]
    .prop_filter("printed so that it cannot be read back", |text| {
        let starts_badly = text.starts_with(['\t', ' ', '\n', '\r']);
        let has_old_breaks = text.contains(['\u{85}', '\u{2028}', '\u{2029}']);
        !(has_old_breaks || (text.contains('\n') && starts_badly))
    })
}

/// A value that proptest can show and shrink, which [`Value`] is not made for.
#[derive(Clone, Debug)]
enum Recipe {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(String),
    Bytes(Vec<u8>),
    List(Vec<Recipe>),
    Map(Vec<(String, Recipe)>),
}

impl Recipe {
    fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Int(int) => Value::Int(*int),
            Self::Float(float) => Value::Float(*float),
            Self::String(text) => string(text),
            Self::Bytes(bytes) => Value::String(Text::owned(bytes.clone())),
            Self::List(items) => Value::List(items.iter().map(|recipe| item(recipe.value())).collect()),
            Self::Map(pairs) => {
                let mut seen = std::collections::HashSet::new();
                let unique = pairs.iter().filter(|(key, _)| seen.insert(key.clone()));
                Value::Map(Map(unique.map(|(key, value)| pair(key.as_bytes(), value.value())).collect()))
            }
        }
    }
}

fn any_recipe() -> impl Strategy<Value = Recipe> {
    let leaf = prop_oneof![
        Just(Recipe::Null),
        any::<bool>().prop_map(Recipe::Bool),
        any::<i64>().prop_map(Recipe::Int),
        any::<f64>().prop_map(Recipe::Float),
        any_string().prop_map(Recipe::String),
        prop::collection::vec(any::<u8>(), 0..80)
            .prop_filter("a string", |bytes| std::str::from_utf8(bytes).is_err())
            .prop_map(Recipe::Bytes),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Recipe::List),
            prop::collection::vec((any_string(), inner), 0..5).prop_map(Recipe::Map),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_reads_back_as_the_same(value in any_recipe().prop_map(|recipe| printed(recipe.value()))) {
        prop_assert_eq!(reprint(&value), value);
    }

    #[test]
    fn another_reader_finds_the_same_strings(
        strings in prop::collection::btree_map("[a-z]{1,8}", "[ -~äöü€\u{1f600}\n]{0,40}", 1..8),
    ) {
        let entries = strings.iter().map(|(key, text)| pair(format!("k{key}").as_bytes(), string(text)));
        let printed = emit(&[Map(entries.collect())], &[]).unwrap();
        let other: std::collections::BTreeMap<String, String> = serde_yaml::from_slice(printed.expose()).unwrap();
        let ours = strings.into_iter().map(|(key, text)| (format!("k{key}"), text)).collect();
        prop_assert_eq!(other, ours);
    }

    #[test]
    fn reading_never_panics_and_spans_stay_inside(source in "[a-c0-9:# \\n\\t'\"|>\\[\\]{},&*!?%@`~<=.-]{0,60}") {
        if let Ok(documents) = read(source.as_bytes()) {
            for span in collect_spans(&documents) {
                prop_assert!(source.get(span).is_some());
            }
            emit(&documents, source.as_bytes()).unwrap();
        }
    }
}
