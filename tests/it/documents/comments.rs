//! Comments: encrypted like values, but never in the way.

use sops_activate::sops::cipher::ValueError;
use sops_activate::sops::document::OpenError;
use sops_activate::sops::format::Format;

use crate::seal::{File, Refused, string, value};

fn x() -> String {
    string("a:", "x")
}

// 68
#[test]
fn a_comment_that_does_not_open_stays_as_it_is() {
    let moved = value("elsewhere:", "comment", " c");
    for comment in ["ENC[broken", " plain", &moved, "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:comment]"]
    {
        let file = File::yaml(format!("#{comment}\na: {}\n", x()), "x");
        assert_eq!(file.decrypt(), Ok(format!("#{comment}\na: x\n")));
        let env = File::new(Format::Dotenv, format!("#{comment}\nA={}\n", string("A:", "x")), "x");
        assert_eq!(env.decrypt(), Ok(format!("#{comment}\nA=x\n")));
    }
}

// 4.3
#[test]
fn the_path_of_a_comment_is_that_of_its_container() {
    let body = format!(
        "#{}\na: {}\nm:\n  #{}\n  b: {}\nl:\n- {}\n- {}\n",
        value(":", "comment", "top"),
        x(),
        value("m:", "comment", "map"),
        string("m:b:", "y"),
        value("l:", "comment", "list"),
        string("l:", "z")
    );
    let expected = "#top\na: x\nm:\n    #map\n    b: \"y\"\nl:\n    #list\n    - z\n";
    assert_eq!(File::yaml(body, "xyz").decrypt().as_deref(), Ok(expected));
    let ini = format!(
        "; {}\n[s]\n; {}\nk = {}\n",
        value("s:", "comment", "sec"),
        value("s:", "comment", "key"),
        string("s:k:", "x")
    );
    assert_eq!(File::new(Format::Ini, ini, "x").decrypt().as_deref(), Ok("; sec\n[s]\n; key\nk = x\n"));
    let env = format!("#{}\nA={}\n", value(":", "comment", "c"), string("A:", "x"));
    assert_eq!(File::new(Format::Dotenv, env, "x").decrypt().as_deref(), Ok("#c\nA=x\n"));
}

// 4.5
#[test]
fn a_comment_of_type_str_is_a_comment_and_of_another_type_is_refused() {
    let with = |kind: &str, text: &str| {
        File::yaml(format!("#{}\na: {}\n", value(":", kind, text), x()), "x").decrypt()
    };
    assert_eq!(with("str", " c").as_deref(), Ok("# c\na: x\n"));
    for (kind, text) in [("int", "5"), ("bool", "true"), ("float", "1.5"), ("time", "2001-02-03T04:05:06Z")] {
        let Err(Refused::Open(OpenError::Value { problem, .. })) = with(kind, text) else { panic!("{kind}") };
        assert_eq!(problem, ValueError::Plaintext("a comment"));
    }
}

// 6.1
#[test]
fn a_bare_comment_stays_in_a_mapping_and_becomes_an_empty_string_in_a_list() {
    assert_eq!(File::yaml(format!("#\na: {}\n", x()), "x").decrypt().as_deref(), Ok("#\na: x\n"));
    let list = File::yaml(format!("a:\n#\n- {}\n", x()), "x");
    assert_eq!(list.decrypt().as_deref(), Ok("a:\n    - \"\"\n    - x\n"));
}

// 6.1
#[test]
fn an_inline_comment_moves_above_unless_it_was_plain() {
    let sealed = value(":", "comment", " c");
    let file = File::yaml(format!("a: {} #{sealed}\n", x()), "x");
    assert_eq!(file.decrypt().as_deref(), Ok("# c\na: x\n"));
    let file = File::yaml(format!("a: {} # c\nb_unencrypted: 1 # d\n", x()), "x1");
    assert_eq!(file.decrypt().as_deref(), Ok("a: x # c\nb_unencrypted: 1 # d\n"));
}

#[test]
fn json_has_no_comments_and_drops_encrypted_ones() {
    let body = format!("\"a\": [\"{}\", \"{}\"]", value("a:", "comment", " c"), x());
    assert_eq!(File::json(body, "x").decrypt().as_deref(), Ok("{\n\t\"a\": [\n\t\t\"x\"\n\t]\n}\n"));
}
