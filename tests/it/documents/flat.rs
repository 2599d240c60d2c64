//! dotenv and INI files.

use sops_activate::sops::cipher::ValueError;
use sops_activate::sops::format::Format;
use sops_activate::sops::metadata::MetadataError;
use sops_activate::sops::tree::Place;

use super::{bad_value, decrypt_text, syntax_error};
use crate::seal::{File, Refused, string, value};

fn env(body: impl Into<String>, hashed: &str) -> File {
    File::new(Format::Dotenv, body, hashed)
}

fn ini(body: impl Into<String>, hashed: &str) -> File {
    File::new(Format::Ini, body, hashed)
}

// 76
#[test]
fn dotenv_values_are_printed_raw_with_line_feeds_escaped() {
    for (plain, printed) in [
        ("a=b=c", "a=b=c"),
        ("two\nlines\n", "two\\nlines\\n"),
        (r"C:\new", r"C:\new"),
        (r"\\n", r"\\n"),
        ("'quoted' # not a comment", "'quoted' # not a comment"),
        (" blanks ", " blanks "),
        ("cr\r", "cr\r"),
        ("é\0", "é\0"),
    ] {
        let file = env(format!("A={}\n", string("A:", plain)), plain);
        assert_eq!(file.decrypt(), Ok(format!("A={printed}\n")), "{plain}");
    }
}

// 76
#[test]
fn dotenv_keys_are_taken_as_they_stand() {
    let body = format!(
        "export A={}\n\nB ={}\nA={}\n# plain\nA={}",
        string("export A:", "1"),
        string("B :", "2"),
        string("A:", "3"),
        string("A:", "4")
    );
    let file = env(body + "\n", "1234");
    assert_eq!(file.decrypt().as_deref(), Ok("export A=1\nB =2\nA=3\n# plain\nA=4\n"));
}

// 76
#[test]
fn a_plain_dotenv_value_has_its_line_feeds_unescaped_and_hashed() {
    let file = env("A_unencrypted=x\\ny\n", "x\ny");
    assert_eq!(file.decrypt().as_deref(), Ok("A_unencrypted=x\\ny\n"));
    assert_eq!(bad_value(&env("A=plain\n", "plain")), ("A".to_owned(), ValueError::NotEncrypted));
}

// 76
#[test]
fn a_dotenv_line_without_equals_sign_is_refused_by_its_place_alone() {
    for (body, line) in [("MARKER\n", 1), ("A=\n\nMARKER\n", 3), ("\r\n", 1), (" \n", 1)] {
        let (place, words) = syntax_error(Format::Dotenv, &env(body, "").text());
        assert_eq!(place, Place { line, column: 1 });
        assert!(!words.contains("MARKER"));
    }
}

// 6.4
#[test]
fn dotenv_and_ini_print_every_type_as_text() {
    for (kind, plain, hashed, printed) in [
        ("int", "007", "7", "7"),
        ("bool", "True", "True", "true"),
        ("float", "1", "1", "1.0"),
        ("float", "2e5", "200000", "200000.0"),
        ("float", "1e6", "1000000", "1E+06"),
        ("float", "1.5e-7", "0.00000015", "1.5E-07"),
        ("time", "2001-02-03T04:05:06.5+02:00", "2001-02-03T04:05:06.5+02:00", "2001-02-03T04:05:06+02:00"),
    ] {
        let file = env(format!("A={}\n", value("A:", kind, plain)), hashed);
        assert_eq!(file.decrypt(), Ok(format!("A={printed}\n")), "{kind} {plain}");
        let file = ini(format!("[s]\nk = {}\n", value("s:k:", kind, plain)), hashed);
        assert_eq!(file.decrypt(), Ok(format!("[s]\nk = {printed}\n")), "{kind} {plain}");
    }
}

// 77
#[test]
fn ini_sections_keep_their_keys_apart() {
    let body = format!(
        "k = {}\n[s]\nk = {}\nlong_name = {}\n\n[t]\n[u]\nk = {}\n",
        string("DEFAULT:k:", "1"),
        string("s:k:", "2"),
        string("s:long_name:", "3"),
        string("u:k:", "4")
    );
    let expected = "k = 1\n\n[s]\nk         = 2\nlong_name = 3\n\n[t]\n\n[u]\nk = 4\n";
    assert_eq!(ini(body, "1234").decrypt().as_deref(), Ok(expected));
    let moved = ini(format!("[s]\nk = {}\n", string("DEFAULT:k:", "1")), "1");
    assert_eq!(bad_value(&moved), ("s/k".to_owned(), ValueError::Authentication));
}

// 77
#[test]
fn ini_values_are_quoted_where_reading_needs_it() {
    for (plain, printed) in [
        ("a b", "a b"),
        (" a", "\" a\""),
        ("a;b", "`a;b`"),
        ("a#b", "`a#b`"),
        ("two\nlines", "\"\"\"two\nlines\"\"\""),
        ("a`b", "\"\"\"a`b\"\"\""),
        ("", ""),
    ] {
        let sealed = if plain.is_empty() { String::new() } else { string("s:k:", plain) };
        let file = ini(format!("[s]\nk = {sealed}\n"), plain);
        assert_eq!(file.decrypt(), Ok(format!("[s]\nk = {printed}\n")), "{plain}");
    }
}

// 77
#[test]
fn ini_keys_with_a_delimiter_are_quoted() {
    let body = format!("[s]\n`a=b` = {}\n\"c:d\" = {}\n", string("s:a=b:", "1"), string("s:c:d:", "2"));
    assert_eq!(ini(body, "12").decrypt().as_deref(), Ok("[s]\n`a=b` = 1\n`c:d` = 2\n"));
}

// 77
#[test]
fn a_section_twice_is_two_sections_but_metadata_stands_once() {
    let body = format!("[s]\nk = {}\n[s]\nk = {}\n", string("s:k:", "1"), string("s:k:", "2"));
    let file = ini(body, "12");
    assert_eq!(file.decrypt().as_deref(), Ok("[s]\nk = 1\n\n[s]\nk = 2\n"));
    let twice = format!("{}{}", file.text(), file.metadata());
    let duplicate = MetadataError::Duplicate;
    assert_eq!(decrypt_text(Format::Ini, &twice), Err(Refused::Parse(duplicate.into())));
}

// 77
#[test]
fn metadata_of_ini_files_may_have_real_line_feeds() {
    let base = ini(format!("[s]\nk = {}\n", string("s:k:", "x")), "x");
    let real = base.field("age__list_0__map_recipient", "\"\"\"two\nlines\"\"\"");
    assert_eq!(real.parse().ok().unwrap().metadata().groups[0][0].recipient, "two\nlines");
    let escaped = real.field("age__list_0__map_recipient", "two\\nlines");
    assert_eq!(escaped.parse().ok().unwrap().metadata().groups[0][0].recipient, "two\nlines");
    assert!(escaped.decrypt().is_ok());
}

// 77
#[test]
fn a_byte_order_mark_in_front_of_an_ini_file_is_skipped() {
    let file = ini(format!("[s]\nk = {}\n", string("s:k:", "x")), "x");
    let marked = format!("\u{feff}{}", file.text());
    assert_eq!(decrypt_text(Format::Ini, &marked).as_deref(), Ok("[s]\nk = x\n"));
}

// 77
#[test]
fn an_ini_line_that_is_nothing_is_refused_by_its_place_alone() {
    for (body, line) in [
        ("[MARKER\nk = v\n", 1),
        ("[s]\nMARKER\n", 2),
        ("[]\nk = v\n", 1),
        ("[s]\n = MARKER\n", 2),
        ("[s]\nk = `MARKER\n", 2),
        ("[s]\nk = \"\"\"MARKER\n", 2),
    ] {
        let (place, words) = syntax_error(Format::Ini, &ini(body, "").text());
        assert_eq!(place.line, line, "{body}");
        assert!(!words.contains("MARKER"), "{words}");
    }
}
