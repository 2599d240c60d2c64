//! No output of a failing run, and no `{:?}`, holds a secret: not as it is, not in base64, not in hex, not as a digest.

use std::fmt::Write as _;
use std::fs;

use aes_gcm::aead::consts::U32;
use aes_gcm::aead::generic_array::GenericArray;
use aes_gcm::aes::Aes256;
use aes_gcm::{AeadInPlace as _, AesGcm, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::json;
use sha2::{Digest as _, Sha256, Sha512};
use sops_activate::keys::{Keyring, Sources};
use sops_activate::secret::SecretBytes;
use sops_activate::sops::data_key::{DataKey, recover};
use sops_activate::sops::document::{Document, Opened, Sealed};
use sops_activate::sops::format::Format;
use sops_activate::sops::key_path::KeyPath;

use crate::doctor::machines;
use crate::machine::{Machine, output, repository, text};
use crate::server;
use crate::transcripts;

/// Compiles only if none of the types implements the trait: with two implementations of `Probe` that fit, `_` would
/// be ambiguous.
macro_rules! assert_lacks {
    ($trait:path: $($type:ty),+ $(,)?) => {$(
        const _: fn() = || {
            trait Probe<Which> {
                fn probe() {}
            }
            struct WithTheTrait;
            impl<T: ?Sized> Probe<()> for T {}
            impl<T: ?Sized + $trait> Probe<WithTheTrait> for T {}
            let _ = <$type as Probe<_>>::probe;
        };
    )+};
}

assert_lacks!(
    std::fmt::Debug: SecretBytes, DataKey, Document<Sealed>, Document<Opened>, Keyring, Sources,
    sops_activate::secret::Plaintext<'static>, sops_activate::decrypted::File<'static>,
    sops_activate::cli::Environment, sops_activate::keys::Environment, sops_activate::sops::cipher::Cipher,
);
assert_lacks!(std::fmt::Display: SecretBytes, DataKey, sops_activate::secret::Plaintext<'static>);
assert_lacks!(Clone: SecretBytes, DataKey);

/// Secrets that must not be found.
#[derive(Default)]
struct Markers(Vec<(Vec<u8>, Vec<Vec<u8>>)>);

impl Markers {
    fn add(&mut self, secret: &[u8]) {
        let mut forms = vec![secret.to_vec()];
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            // Where a text starts within what is encoded decides about its base64: three ways, less the ends that
            // depend on the neighbours.
            for before in 0..3 {
                let encoded = engine.encode([&vec![0; before], secret].concat());
                let inner = encoded.trim_end_matches('=');
                forms.push(inner.get(4.min(inner.len())..inner.len() - 2).unwrap().into());
            }
        }
        for bytes in [secret.to_vec(), Sha256::digest(secret).to_vec(), Sha512::digest(secret).to_vec()] {
            let lower = bytes.iter().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").unwrap();
                hex
            });
            forms.push(lower.to_uppercase().into());
            forms.push(lower.into());
        }
        forms.retain(|form| form.len() >= 6);
        self.0.push((secret.to_vec(), forms));
    }

    #[track_caller]
    fn assert_absent(&self, what: &str, output: &[u8]) {
        for (secret, forms) in &self.0 {
            for form in forms {
                assert!(
                    memchr::memmem::find(output, form).is_none(),
                    "{what} holds '{}' in some form",
                    String::from_utf8_lossy(secret)
                );
            }
        }
    }
}

/// Every private key and plaintext of the fixtures and vectors that the failing runs use.
fn fixture_markers() -> Markers {
    let mut markers = Markers::default();
    let keys = fs::read_dir(repository("tests/fixtures/keys")).unwrap().map(|key| key.unwrap().path());
    let vectors = ["age-keys.txt", "age-keys-4.txt"].map(|name| repository("tests/vectors").join(name));
    for key in keys.chain(vectors) {
        let name = key.file_name().unwrap().to_str().unwrap().to_owned();
        if [".pub", ".age", ".asc"].iter().any(|public| name.ends_with(public)) {
            continue;
        }
        let lines = fs::read_to_string(key).unwrap();
        // An OpenSSH private key starts with the public one, in the clear; the private part ends the file.
        let public = if name.starts_with("host") || name.starts_with("sample") { 3 } else { 0 };
        for line in lines.lines().skip(public).filter(|line| !line.starts_with(['#', '-'])) {
            markers.add(line.as_bytes());
            if let Ok(bytes) = STANDARD.decode(line) {
                markers.add(&bytes);
            }
        }
    }
    let plain: serde_yaml::Value =
        serde_yaml::from_str(&text("fixtures/sops/3.13.3/rich.yaml.plain")).unwrap();
    let mut values = vec![&plain];
    while let Some(value) = values.pop() {
        match value {
            serde_yaml::Value::String(text) if text.len() >= 9 => markers.add(text.as_bytes()),
            serde_yaml::Value::Mapping(map) => values.extend(map.values()),
            serde_yaml::Value::Sequence(items) => values.extend(items),
            _ => {}
        }
    }
    // In a file that is not encrypted.
    markers.add(b"hunter2-hunter2");
    assert!(markers.0.len() > 40);
    markers
}

#[test]
fn no_failing_run_prints_a_key_or_a_value() {
    let markers = fixture_markers();
    for case in transcripts::cases() {
        let Some((_, output)) = case.run() else { continue };
        markers.assert_absent(case.name, &output.stdout);
        markers.assert_absent(case.name, &output.stderr);
    }
    for file in fs::read_dir(repository("tests/transcripts")).unwrap() {
        let path = file.unwrap().path();
        markers.assert_absent(&path.display().to_string(), &fs::read(&path).unwrap());
    }
}

/// The tools look at keys and values, and are asked about them; `decrypt` alone is there to print one.
#[test]
fn no_tool_that_tells_prints_a_key_or_a_value() {
    let mut markers = fixture_markers();
    for value in [server::API_KEY, "not-a-real-password", "hunter2", "db.example.org"] {
        markers.add(value.as_bytes());
    }
    for case in machines::cases() {
        for arguments in ["", "--json"] {
            let Some((machine, told)) = case.run(arguments) else { break };
            markers.assert_absent(case.name, told.stdout.as_bytes());
            markers.assert_absent(case.name, told.stderr.as_bytes());
            let status = server::answer(
                &mut machine.command("exec sops-activate status; sops-activate status --json"),
            );
            markers.assert_absent(case.name, status.stdout.as_bytes());
        }
    }
    for file in fs::read_dir(repository("tests/doctor")).unwrap() {
        let path = file.unwrap().path();
        markers.assert_absent(&path.display().to_string(), &fs::read(&path).unwrap());
    }
    let rsa = text("fixtures/keys/host_rsa");
    let mut rsa_markers = Markers::default();
    // Before these lines the private part has the public modulus once more.
    for line in rsa.lines().skip(18).filter(|line| !line.starts_with('-')) {
        rsa_markers.add(line.as_bytes());
    }
    assert!(rsa_markers.0.len() > 15);
    for entry in fs::read_dir(repository("tests/fixtures/keys")).unwrap() {
        let path = entry.unwrap().path();
        for arguments in [&["recipient"][..], &["recipient", "--json"]] {
            let mut command = Machine::new().command("sops-activate", arguments);
            command.arg(&path).current_dir("/");
            let told = output(command);
            assert!(!told.stdout.is_empty(), "{}", path.display());
            let markers = if path.ends_with("host_rsa") { &rsa_markers } else { &markers };
            markers.assert_absent(&path.display().to_string(), &[told.stdout, told.stderr].concat());
        }
    }
}

const DATA_KEY: &[u8; 32] = b"MARKER-data-key-0123456789abcdef";
const LAST_MODIFIED: &str = "2024-01-02T03:04:05Z";

fn sealed(kind: &str, aad: &str, plain: &str) -> String {
    let cipher = AesGcm::<Aes256, U32>::new(GenericArray::from_slice(DATA_KEY));
    let nonce = [7; 32];
    let mut data = plain.as_bytes().to_vec();
    let tag = cipher
        .encrypt_in_place_detached(GenericArray::from_slice(&nonce), aad.as_bytes(), &mut data)
        .unwrap();
    let [data, iv, tag] = [data.as_slice(), &nonce, tag.as_slice()].map(|bytes| STANDARD.encode(bytes));
    format!("ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:{kind}]")
}

/// A sops file for `recipient` with the one value `value` (text of the file), and the MAC of `plain`.
fn sops_file(value: &str, plain: &str, recipient: &str) -> String {
    let mac = Sha512::digest(plain).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02X}"));
    let mac = sealed("str", LAST_MODIFIED, &mac);
    let recipient: age::x25519::Recipient = recipient.parse().unwrap();
    let armor = age::encrypt_and_armor(&recipient, DATA_KEY).unwrap();
    let armor: Vec<String> = armor.lines().map(|line| format!("        {line}")).collect();
    format!(
        "value: {value}\nsops:\n  age:\n    - recipient: {recipient}\n      enc: |\n{}\n  lastmodified: \"{LAST_MODIFIED}\"\n  mac: {mac}\n  version: 3.9.0\n",
        armor.join("\n")
    )
}

/// Failures whose cause is the secret itself.
#[test]
fn a_value_that_cannot_be_read_is_not_shown() {
    use age::secrecy::ExposeSecret as _;
    const MARKER: &str = "MARKER-plaintext-of-a-secret";
    let identity = age::x25519::Identity::generate();
    let (recipient, identity) = (identity.to_public().to_string(), identity.to_string());
    let mut markers = Markers::default();
    markers.add(MARKER.as_bytes());
    markers.add(DATA_KEY);
    markers.add(identity.expose_secret().as_bytes());

    let typed = |kind: &str| sops_file(&sealed(kind, "value:", MARKER), MARKER, &recipient);
    let good = typed("str");
    let files = [
        ("an integer that is none", typed("int")),
        ("a float that is none", typed("float")),
        ("a bool that is none", typed("bool")),
        ("a time that is none", typed("time")),
        ("a type that is none", typed(MARKER)),
        ("a comment as a value", typed("comment")),
        ("a value in the clear", sops_file(MARKER, MARKER, &recipient)),
        ("a number in the clear", sops_file("81726354817263548", MARKER, &recipient)),
        ("a MAC of something else", sops_file(&sealed("str", "value:", MARKER), "other", &recipient)),
        ("a value of another key", sops_file(&sealed("str", "other:", MARKER), MARKER, &recipient)),
        ("a bad line", format!("{MARKER}\n{good}")),
        ("a bad quote", format!("a: \"{MARKER}\n{good}")),
        ("a bad escape", format!("a: \"\\q{MARKER}\"\n{good}")),
        ("a bad alias", format!("a: *{MARKER}\n{good}")),
        ("a bad tag", format!("a: !!{MARKER}! x\n{good}")),
        ("a time of change that is none", good.replace(LAST_MODIFIED, MARKER)),
        ("a rule that is none", format!("{good}  encrypted_regex: '({MARKER}'\n")),
        ("a truncated entry", good.replace("-----BEGIN AGE ENCRYPTED FILE-----", MARKER)),
        ("no metadata", format!("value: {MARKER}\n")),
    ];
    markers.add(b"81726354817263548");
    let mut failures = 0;
    for (what, source) in &files {
        for format in ["yaml", "json", "binary", "dotenv", "ini"] {
            for mode in ["off", "sopsfile"] {
                let machine = Machine::new();
                machine.write("secrets", source);
                machine.write("age.txt", identity.expose_secret());
                let secret = json!({"name": "a", "key": "value", "mode": "0400", "sopsFile": "DIR/secrets", "format": format});
                machine.manifest(json!({"secrets": [secret], "ageKeyFile": "DIR/age.txt"}));
                let check = format!("-check-mode={mode}");
                let output = output(machine.command("sops-activate", &[&check, "DIR/manifest.json"]));
                failures += usize::from(!output.status.success());
                assert!(output.status.success() || !output.stderr.is_empty());
                markers.assert_absent(what, &output.stdout);
                markers.assert_absent(what, &output.stderr);
            }
        }
        let shown = debug_of_every_stage(source, identity.expose_secret());
        markers.assert_absent(what, shown.as_bytes());
    }
    assert!(failures > files.len() * 5, "only {failures} runs failed");

    // The forms above are found where they are: the good file opens, and its value is the marker.
    let machine = Machine::new();
    machine.write("secrets", &good);
    machine.write("age.txt", identity.expose_secret());
    let secret = json!({"name": "a", "key": "value", "mode": "0400", "sopsFile": "DIR/secrets"});
    machine.manifest(json!({"secrets": [secret], "ageKeyFile": "DIR/age.txt"}));
    let done = output(machine.command("sops-activate", &["DIR/manifest.json"]));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(fs::read_to_string(machine.path("secrets/a")).unwrap(), MARKER);
}

/// The check modes show lines of keys, put together anew: here each has a value in the clear behind it.
#[test]
fn a_value_beside_a_key_that_is_shown_is_not_shown() {
    const MARKER: &str = "MARKER-plaintext-beside-a-key";
    let mut markers = Markers::default();
    markers.add(MARKER.as_bytes());
    let metadata = "sops:\n  age:\n    - recipient: age1x\n      enc: x\n  lastmodified: \"2024-01-02T03:04:05Z\"\n  mac: x\n  version: 3.9.0\n";
    let json_metadata = r#""sops": {"age": [{"recipient": "age1x", "enc": "x"}], "lastmodified": "2024-01-02T03:04:05Z", "mac": "x", "version": "3.9.0"}"#;
    let files = [
        ("yaml", format!("value: {MARKER}\nnested: {{'inner': {MARKER}}} # {MARKER}\n{metadata}")),
        ("yaml", format!("\"value\": '{MARKER}'\nnested:\n  \"inner\": |\n    {MARKER}\n{metadata}")),
        (
            "json",
            format!("{{\"value\": \"{MARKER}\", \"nested\": {{\"inner\": \"{MARKER}\"}}, {json_metadata}}}"),
        ),
        (
            "dotenv",
            format!(
                "value={MARKER}\nsops_mac=x\nsops_lastmodified=2024-01-02T03:04:05Z\nsops_version=3.9.0\nsops_age__list_0__map_recipient=age1x\nsops_age__list_0__map_enc=x\n"
            ),
        ),
        (
            "ini",
            format!(
                "[nested]\ninner = {MARKER}\n[value]\nx = {MARKER}\n[sops]\nmac = x\nlastmodified = 2024-01-02T03:04:05Z\nversion = 3.9.0\nage__list_0__map_recipient = age1x\nage__list_0__map_enc = x\n"
            ),
        ),
    ];
    let mut shown = 0;
    for (format, source) in files {
        for key in ["valeu", "value/below", "nested/innre", "nested/inner/below", "nested/x"] {
            let machine = Machine::new();
            machine.write("secrets", &source);
            let secret = json!({"name": "a", "key": key, "extractKey": if ["dotenv", "ini"].contains(&format) { key } else { "" },
                "mode": "0400", "sopsFile": "DIR/secrets", "format": format});
            machine.manifest(json!({"secrets": [secret]}));
            let told =
                output(machine.command("sops-activate", &["-check-mode=sopsfile", "DIR/manifest.json"]));
            assert_eq!(told.status.code(), Some(1), "{format} {key}");
            shown += usize::from(String::from_utf8(told.stderr.clone()).unwrap().contains("^^"));
            markers.assert_absent(&format!("{format} {key}"), &[told.stdout, told.stderr].concat());
        }
    }
    assert!(shown >= 15, "only {shown} lines of keys were shown");
}

/// `{:?}` of the errors on the way, as far as it goes.
fn debug_of_every_stage(source: &str, identity: &str) -> String {
    let mut shown = String::new();
    let environment = sops_activate::keys::Environment {
        age_key: Some(SecretBytes::from(format!("{identity}\n{identity}X\n").as_bytes())),
        ..Default::default()
    };
    let keyring = Keyring::collect(&Sources { environment, ..Sources::default() });
    write!(shown, "{:?}", keyring.skipped()).unwrap();
    for format in [Format::Yaml, Format::Json, Format::Binary, Format::Dotenv, Format::Ini] {
        let document = match Document::parse(format, SecretBytes::from(source.as_bytes())) {
            Ok(document) => document,
            Err(error) => {
                write!(shown, "{error:?} {error}").unwrap();
                continue;
            }
        };
        match recover(&document.metadata().groups, document.metadata().threshold, &keyring) {
            Err(error) => write!(shown, "{error:?} {error}").unwrap(),
            Ok(key) => match document.open(key) {
                Err(error) => write!(shown, "{error:?} {error}").unwrap(),
                Ok(document) => {
                    let missing = document.pick(&KeyPath::new("value/below")).err();
                    write!(shown, "{missing:?} {:?}", document.emit().err()).unwrap();
                }
            },
        }
    }
    shown
}

#[test]
fn a_key_that_cannot_be_read_is_not_shown() {
    let mut markers = fixture_markers();
    markers.add(b"MARKER-not-a-key");
    // As they stand in the key files below, in the letters of bech32 and in others.
    let bad = [
        "AGE-SECRET-KEY-1MARKER-NOT-A-KEY",
        "AGE-SECRET-KEY-1QQPQQQQQZQQQQQYQ",
        "MARKER-not-a-key",
        "age1marker",
    ];
    for line in bad {
        markers.add(line.as_bytes());
    }
    let ssh = text("fixtures/keys/host_ed25519");
    let rsa = text("fixtures/keys/host_rsa");
    let mut sources: Vec<String> = bad.iter().map(|&line| line.to_owned()).collect();
    sources.extend([
        format!("AGE-PLUGIN-YUBIKEY-1{}", "MARKER-not-a-key"),
        ssh.replace("OPENSSH", "OPENSHS"),
        ssh.lines().take(5).collect::<Vec<_>>().join("\n"),
        rsa.lines().take(20).collect::<Vec<_>>().join("\n"),
        rsa.replace('A', "B"),
        text("fixtures/keys/host_encrypted"),
        text("fixtures/keys/host_ecdsa"),
        text("fixtures/keys/age-pq.txt").replace('Q', "P"),
    ]);
    for source in &sources {
        for (variable, field) in
            [("SOPS_AGE_KEY", ""), ("SOPS_AGE_KEY_FILE", ""), ("", "ageKeyFile"), ("", "ageSshKeyPaths")]
        {
            let machine = Machine::new();
            machine.copy("fixtures/recipients/ssh-to-age.yaml", "secrets.yaml");
            machine.write("key", source);
            let mut fields = json!({"secrets": [{"name": "a", "key": "value", "mode": "0400", "sopsFile": "DIR/secrets.yaml"}]});
            match field {
                "ageKeyFile" => fields[field] = json!("DIR/key"),
                "ageSshKeyPaths" => fields[field] = json!(["DIR/key"]),
                _ => {}
            }
            machine.manifest(fields);
            let mut command = machine.command("sops-activate", &["DIR/manifest.json"]);
            match variable {
                "SOPS_AGE_KEY" => drop(command.env(variable, source)),
                "SOPS_AGE_KEY_FILE" => drop(command.env(variable, machine.path("key"))),
                _ => {}
            }
            let output = output(command);
            assert_eq!(output.status.code(), Some(1));
            markers.assert_absent(&format!("{variable}{field}"), &output.stdout);
            markers.assert_absent(&format!("{variable}{field}"), &output.stderr);
        }
    }
}
