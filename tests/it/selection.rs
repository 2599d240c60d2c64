//! Which bytes of a file become a secret, and how they are written into templates, in words that the original does
//! not know.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::server::{Machine, manifest, placeholder, secret, template, with};

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
        ("yaml", "help: set sops.secrets.\"a\".key instead of sops.secrets.\"a\".extractKey\n"),
        ("binary", "help: do not set sops.secrets.\"a\".extractKey: a binary file is one value\n"),
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

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn secrets_are_quoted_for_what_stands_around_them() {
    let Some(machine) = Machine::new() else { return };
    let lines = of_rich("lines", "dotenv", json!({"extractKey": "QUOTED"}));
    let quoted = |name: &str, how: &str| format!("<SOPS:{}:{how}>", sha256(name));
    let content = format!(
        "{{\"key\": {}}}\nkey={}\nkey={}\n",
        quoted("lines", "JSON"),
        quoted("lines", "SHELL"),
        placeholder("lines")
    );
    let templates = [template("t", &content)];
    machine.activate(&with(manifest(&[lines], &templates), json!({"ageSshKeyPaths": [HOST_KEY]})));
    assert_eq!(
        machine.shell("cat /run/secrets/rendered/t"),
        "{\"key\": \"\\\"quotes stay\\\"\"}\nkey='\"quotes stay\"'\nkey=\"quotes stay\""
    );
}

#[test]
fn a_secret_that_cannot_be_quoted_fails_its_template() {
    let Some(machine) = Machine::new() else { return };
    let binary = of_rich("bytes", "bin", json!({"format": "binary"}));
    let content = format!("<SOPS:{}:JSON>", sha256("bytes"));
    let manifest =
        with(manifest(&[binary], &[template("t", &content)]), json!({"ageSshKeyPaths": [HOST_KEY]}));
    let answer = machine.run(&manifest);
    assert_eq!(answer.code, Some(1));
    let problem = "sops-install-secrets: error: template 't': cannot be rendered: secret 'bytes' cannot be quoted: \
                   it is not UTF-8, so it cannot be a string of JSON\n\
                   help: use its plain placeholder, or the file that it is installed as\n";
    assert!(answer.stderr.contains(problem), "{}", answer.stderr);
}

#[test]
fn a_file_names_secrets_when_it_may_and_inserted_ones_lose_their_newline_when_asked() {
    let Some(machine) = Machine::new() else { return };
    let lines = of_rich("key/pem", "dotenv", json!({"extractKey": "MULTI_LINE"}));
    machine.write("/mnt/template", "[{{ sops \"key/pem\" }}]\n{{ sops-json \"key/pem\" }}\n{{ other }}\n");
    let file = json!({"file": "/mnt/template"});
    let named = with(
        template("named", ""),
        with(file.clone(), json!({"namedMarkers": true, "trimTrailingNewline": true})),
    );
    let plain = with(template("plain", ""), file);
    machine
        .activate(&with(manifest(&[lines], &[named.clone(), plain]), json!({"ageSshKeyPaths": [HOST_KEY]})));
    let pem = ["-----BEGIN NOTHING-----", "AAAABBBBCCCC", "-----END NOTHING-----"];
    assert_eq!(
        machine.shell("cat /run/secrets/rendered/named"),
        format!("[{}]\n\"{}\"\n{{{{ other }}}}", pem.join("\n"), pem.join("\\n"))
    );
    assert_eq!(machine.shell("cmp /mnt/template /run/secrets/rendered/plain && echo same"), "same");

    machine.write("/mnt/template", "one\n{{ sops \"key/pam\" }}\n");
    let lines = of_rich("key/pem", "dotenv", json!({"extractKey": "MULTI_LINE"}));
    let answer = machine.run(&with(manifest(&[lines], &[named]), json!({"ageSshKeyPaths": [HOST_KEY]})));
    assert_eq!(answer.code, Some(1));
    assert!(answer.stderr.contains("line 2"), "{}", answer.stderr);
}
