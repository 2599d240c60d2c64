//! Key groups and Shamir shares.

use sops_activate::sops::data_key::{RecoverError, Refusal, StanzaKind};
use sops_activate::sops::format::Format;
use sops_activate::sops::shamir::ShareError;

use crate::seal::{DATA_KEY, File, Refused, entry, ours, string, wrapped};

/// Shares of the data key: the polynomial of every byte has these higher coefficients.
fn shares(coefficients: &[u8], count: u8) -> Vec<Vec<u8>> {
    let multiply = |a: u8, b: u8| {
        (0..8).filter(|bit| b >> bit & 1 == 1).fold(0, |sum, bit| {
            sum ^ (0..bit).fold(a, |a, _| (a << 1) ^ if a & 0x80 == 0 { 0 } else { 0x1b })
        })
    };
    let share = |x: u8| {
        let higher = coefficients.iter().rev().fold(0, |sum, c| multiply(sum ^ c, x));
        DATA_KEY.iter().map(|byte| byte ^ higher).chain([x]).collect()
    };
    (1..=count).map(share).collect()
}

/// A document whose key groups each hold one age entry with this `enc`.
fn grouped(threshold: &str, encs: &[String]) -> File {
    let groups: Vec<String> =
        encs.iter().map(|enc| format!("{{\"age\": [{}]}}", entry("age1group", enc))).collect();
    File::yaml(format!("a: {}\n", string("a:", "x")), "x")
        .without("age")
        .field("key_groups", format!("[{}]", groups.join(", ")))
        .field("shamir_threshold", threshold)
}

#[track_caller]
fn recover_error(file: &File) -> RecoverError {
    match file.decrypt() {
        Err(Refused::Recover(error)) => error,
        other => panic!("{other:?}"),
    }
}

// 47
#[test]
fn enough_groups_give_the_key_and_all_that_open_are_used() {
    let parts: Vec<String> = shares(&[77], 3).iter().map(|share| wrapped(share)).collect();
    let closed = "closed".to_owned();
    for encs in [
        vec![parts[0].clone(), parts[1].clone(), closed.clone()],
        vec![closed.clone(), parts[1].clone(), parts[2].clone()],
        vec![parts[2].clone(), closed.clone(), parts[0].clone()],
        parts.clone(),
    ] {
        assert_eq!(grouped("2", &encs).decrypt().as_deref(), Ok("a: x\n"));
    }
    let cubic: Vec<String> = shares(&[77, 5, 200], 4).iter().map(|share| wrapped(share)).collect();
    assert_eq!(grouped("4", &cubic).decrypt().as_deref(), Ok("a: x\n"));
}

// 47
#[test]
fn too_few_groups_are_counted_and_every_refusal_is_kept() {
    let part = wrapped(&shares(&[77], 3)[0]);
    let error = recover_error(&grouped("2", &["closed".to_owned(), part, "open:*".to_owned()]));
    let RecoverError::TooFewGroups { needed: 2, opened: 1, groups } = error else { panic!("{error:?}") };
    let told: Vec<(bool, Vec<Refusal>)> = groups
        .into_iter()
        .map(|group| {
            let refusals = group.refusals.into_iter().map(|(kind, recipient, refusal)| {
                assert_eq!((kind, recipient.as_str()), (StanzaKind::Age, "age1group"));
                refusal
            });
            (group.opened, refusals.collect())
        })
        .collect();
    let broken = Refusal::Broken("not base64".to_owned());
    assert_eq!(told, [(false, vec![Refusal::NotOurs]), (true, vec![]), (false, vec![broken])]);
}

// 47
#[test]
fn a_single_group_holds_the_key_itself_whatever_the_threshold() {
    for threshold in ["0", "1", "2", "null"] {
        assert_eq!(grouped(threshold, &[ours()]).decrypt().as_deref(), Ok("a: x\n"), "{threshold}");
    }
}

// 48
#[test]
fn a_group_opens_with_any_of_its_entries() {
    let shares = shares(&[9], 2);
    let group = |encs: [&str; 2]| format!("{{\"age\": [{}, {}]}}", entry("a", encs[0]), entry("b", encs[1]));
    let file =
        File::yaml(format!("a: {}\n", string("a:", "x")), "x").without("age").field("shamir_threshold", "2");
    let both =
        format!("[{}, {}]", group(["closed", &wrapped(&shares[0])]), group([&wrapped(&shares[1]), "closed"]));
    assert_eq!(file.field("key_groups", both).decrypt().as_deref(), Ok("a: x\n"));
}

// 48
#[test]
fn an_empty_group_fails_alone() {
    let parts = shares(&[9], 3);
    let group = |part: &[u8]| format!("{{\"age\": [{}]}}", entry("a", &wrapped(part)));
    let file =
        File::yaml(format!("a: {}\n", string("a:", "x")), "x").without("age").field("shamir_threshold", "2");
    for empty in ["{}", "{\"age\": []}", "{\"pgp\": null}"] {
        let groups = format!("[{}, {empty}, {}]", group(&parts[0]), group(&parts[2]));
        let file =
            File::yaml(format!("a: {}\n", string("a:", "x")), "x").without("age").field("key_groups", groups);
        assert_eq!(file.field("shamir_threshold", "2").decrypt().as_deref(), Ok("a: x\n"), "{empty}");
    }
    let groups = format!("[{}, {{}}]", group(&parts[0]));
    let error = recover_error(&file.field("key_groups", groups));
    assert!(matches!(error, RecoverError::TooFewGroups { needed: 2, opened: 1, .. }), "{error:?}");
}

// 49
#[test]
fn shares_that_do_not_fit_are_refused() {
    let parts = shares(&[9], 3);
    let with = |threshold, parts: &[&[u8]]| {
        let encs: Vec<String> = parts.iter().map(|part| wrapped(part)).collect();
        recover_error(&grouped(threshold, &encs))
    };
    assert_eq!(with("2", &[&parts[0], &parts[0]]), RecoverError::Shares(ShareError::Duplicate));
    assert_eq!(with("2", &[&parts[0], &parts[1][1..]]), RecoverError::Shares(ShareError::Length));
    assert_eq!(with("2", &[&parts[0][31..], &parts[1][31..]]), RecoverError::Length(1));
    let one = grouped("0", &[wrapped(&parts[0]), "closed".to_owned()]);
    assert_eq!(recover_error(&one), RecoverError::Shares(ShareError::TooFew));
}

// 2.2
#[test]
fn too_low_a_threshold_gives_a_wrong_key_which_is_noticed() {
    let parts = shares(&[9, 8], 3);
    let encs = [wrapped(&parts[0]), wrapped(&parts[1]), "closed".to_owned()];
    let refused = grouped("0", &encs).decrypt().unwrap_err();
    assert!(matches!(refused, Refused::Open(_)), "{refused:?}");
}

// 46
#[test]
fn the_wrong_key_is_told_from_no_key() {
    let file = File::yaml(format!("a: {}\n", string("a:", "x")), "x");
    let wrong = file.field("age", format!("[{}]", entry("age1test", &wrapped(&[7; 32]))));
    assert!(matches!(wrong.decrypt(), Err(Refused::Open(_))));
    let none =
        wrong.field("age", format!("[{}, {}]", entry("age1one", "closed"), entry("age1two", "closed")));
    let RecoverError::TooFewGroups { groups, .. } = recover_error(&none) else { panic!() };
    let recipients: Vec<&str> =
        groups[0].refusals.iter().map(|(_, recipient, _)| recipient.as_str()).collect();
    assert_eq!(recipients, ["age1one", "age1two"]);
}

#[test]
fn key_groups_are_flattened_in_ini_and_dotenv_files() {
    let parts = shares(&[9], 2);
    for (format, body) in [
        (Format::Dotenv, format!("A={}\n", string("A:", "x"))),
        (Format::Ini, format!("[s]\nk = {}\n", string("s:k:", "x"))),
    ] {
        let file = File::new(format, body, "x")
            .without("age__list_0__map_enc")
            .without("age__list_0__map_recipient")
            .field("key_groups__list_1__map_age__list_0__map_enc", wrapped(&parts[1]))
            .field("key_groups__list_0__map_age__list_0__map_enc", wrapped(&parts[0]))
            .field("shamir_threshold", "2");
        assert!(file.decrypt().is_ok(), "{format:?}");
    }
}
