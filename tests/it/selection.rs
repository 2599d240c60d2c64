//! Which bytes of a file become a secret, in words that the original does not know.

use serde_json::{Value, json};

use crate::server::{Machine, manifest, secret, with};

const RICH: &str = "/mnt/fixtures/sops/3.13.3/rich";
const HOST_KEY: &str = "/mnt/fixtures/keys/host_ed25519";

fn of_rich(name: &str, format: &str, fields: Value) -> Value {
    let ending = if format == "dotenv" { "env" } else { format };
    let file = json!({"sopsFile": format!("{RICH}.{ending}"), "format": format});
    with(with(secret(name, "ignored"), file), fields)
}

fn opened(secrets: &[Value]) -> Value {
    with(manifest(secrets, &[]), json!({"ageSshKeyPaths": [HOST_KEY]}))
}

#[test]
fn one_value_of_a_dotenv_or_ini_file_is_installed_when_it_is_asked_for() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&opened(&[
        of_rich("equals", "dotenv", json!({"extractKey": "EQUALS"})),
        of_rich("lines", "dotenv", json!({"extractKey": "MULTI_LINE"})),
        of_rich("host", "ini", json!({"extractKey": "server/host"})),
        of_rich("global", "ini", json!({"extractKey": "DEFAULT/global"})),
        of_rich("slashes", "ini", json!({"extractKey": "with space/slash:colon/a/b"})),
        of_rich("whole", "dotenv", json!({"extractKey": null})),
    ]));
    let read = |name: &str| machine.shell(&format!("cat /run/secrets/{name}"));
    assert_eq!(read("equals"), "a=b=c");
    assert_eq!(read("lines"), "-----BEGIN NOTHING-----\nAAAABBBBCCCC\n-----END NOTHING-----");
    assert_eq!(read("host"), "db.example.org");
    assert_eq!(read("global"), "no section above");
    assert_eq!(read("slashes"), "y");
    assert_eq!(machine.shell(&format!("cmp {RICH}.env.plain /run/secrets/whole && echo same")), "same");
}

#[test]
fn a_value_that_is_not_there_or_a_format_with_keys_of_its_own_is_an_error_that_says_what_to_do() {
    let Some(machine) = Machine::new() else { return };
    let missing = opened(&[of_rich("a", "dotenv", json!({"extractKey": "EQUAL"}))]);
    let answer = machine.run(&missing);
    assert_eq!(answer.code, Some(1));
    assert!(answer.stderr.contains("help: did you mean 'EQUALS'?"), "{}", answer.stderr);
    for (format, help) in [
        ("yaml", "help: set `key` instead\n"),
        ("binary", "help: leave it out: a binary file is one value\n"),
    ] {
        let answer = machine.run(&opened(&[of_rich("a", format, json!({"extractKey": "x"}))]));
        let problem = format!(
            "sops-install-secrets: error: secret 'a': 'extractKey' is for dotenv and ini, not for {format}\n"
        );
        assert_eq!((answer.code, answer.stderr), (Some(1), problem + help));
    }
}

#[test]
fn one_newline_at_the_end_is_left_away_when_it_is_asked_for() {
    let Some(machine) = Machine::new() else { return };
    let trim = json!({"trimTrailingNewline": true});
    machine.activate(&opened(&[
        of_rich("kept", "dotenv", json!({"extractKey": "MULTI_LINE"})),
        of_rich("trimmed", "dotenv", with(json!({"extractKey": "MULTI_LINE"}), trim.clone())),
        of_rich("without", "dotenv", with(json!({"extractKey": "EQUALS"}), trim.clone())),
        of_rich("whole", "ini", trim),
    ]));
    let end = |name: &str| machine.shell(&format!("tail -c 2 /run/secrets/{name} | od -An -c | tr -d ' '"));
    assert_eq!([end("kept"), end("trimmed"), end("without")], [r"-\n", "--", "=c"]);
    let shorter = format!("head -c -1 {RICH}.ini.plain | cmp - /run/secrets/whole && echo one less");
    assert_eq!(machine.shell(&shorter), "one less");
}
