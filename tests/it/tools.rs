//! `sops-activate recipient`, `status`, `decrypt`, and `doctor` for hosts that are known by their public keys.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::machine::{Machine, output, text};
use crate::server::{self, API_KEY, answer, manifest, secret, with};

/// What the program says in the machine's directory.
fn run(machine: &Machine, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = output(machine.command("sops-activate", arguments));
    let text = |bytes| machine.anywhere(&String::from_utf8(bytes).unwrap());
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn keys() -> Machine {
    let machine = Machine::new();
    for entry in fs::read_dir(crate::machine::repository("tests/fixtures/keys")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        machine.copy(&format!("fixtures/keys/{name}"), &name);
    }
    machine
}

fn line(name: &str) -> String {
    let text = text(&format!("fixtures/keys/{name}"));
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(all(feature = "pgp", feature = "age-ssh", feature = "age-pq"))]
#[test]
fn recipient_prints_every_form_of_every_kind_of_key() {
    let machine = keys();
    let age = text("fixtures/keys/host_ed25519.age").trim().to_owned();
    let forms = |(code, stdout, stderr): (Option<i32>, String, String)| {
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
        let forms = stdout.lines().filter(|line| line.starts_with("  age: ") || line.starts_with("  pgp: "));
        forms.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let ed25519 = vec![format!("age: {age}"), format!("age: {}", line("host_ed25519.pub"))];
    for from in ["DIR/host_ed25519", "DIR/host_ed25519_pkcs8", "DIR/host_ed25519.pub"] {
        assert_eq!(forms(run(&machine, &["recipient", from])), ed25519, "{from}");
    }
    let public = text("fixtures/keys/host_ed25519.pub");
    assert_eq!(forms(run(&machine, &["recipient", public.trim()])), ed25519);
    let words: Vec<&str> = public.split_whitespace().collect();
    assert_eq!(forms(run(&machine, &[&["recipient"], words.as_slice()].concat())), ed25519);
    assert_eq!(forms(run(&machine, &["recipient", &age])), [format!("age: {age}")]);
    let rsa = forms(run(&machine, &["recipient", "DIR/host_rsa"]));
    assert_eq!(rsa[0], format!("age: {}", line("host_rsa.pub")));
    assert_eq!(rsa[1].strip_prefix("pgp: ").unwrap().len(), 40);
    assert_eq!(forms(run(&machine, &["recipient", "DIR/host_rsa.pub"])), rsa);
    let pq = forms(run(&machine, &["recipient", "DIR/age-pq.txt"]));
    assert!(pq[0].starts_with("age: age1pq1") && pq[0].len() > 1900, "{pq:?}");
}

#[test]
fn recipient_reads_what_ssh_keyscan_prints_from_standard_input() {
    let machine = keys();
    let scan = format!(
        "# web1:22 SSH-2.0-OpenSSH_9.9\nweb1 {}\n# web1:22\nweb1 {}\n",
        line("host_ecdsa.pub"),
        line("host_ed25519.pub")
    );
    let mut command = machine.command("sops-activate", &["recipient", "--json", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(scan.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found[0]["problem"], "it is an ECDSA key; only Ed25519 and RSA keys can be recipients");
    assert_eq!((&found[1]["host"], &found[1]["line"]), (&json!("web1"), &json!(4)));
    let age = text("fixtures/keys/host_ed25519.age").trim().to_owned();
    assert_eq!(
        found[1]["recipients"],
        json!([{"list": "age", "recipient": age}, {"list": "age", "recipient": line("host_ed25519.pub")}])
    );
}

#[test]
fn recipient_fails_where_there_is_none_and_takes_no_private_key_from_the_command_line() {
    let machine = keys();
    let (code, stdout, _) = run(&machine, &["recipient", "DIR/host_ecdsa"]);
    let reason = "DIR/host_ecdsa: no recipient: it is an ECDSA key; only Ed25519 and RSA keys can be used\n";
    assert_eq!((code, stdout.as_str()), (Some(1), reason));
    let (code, _, stderr) = run(&machine, &["recipient", "no-such-file"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("help: give a file of keys, or a key itself"), "{stderr}");
    let identity = text("fixtures/keys/age.txt");
    let identity = identity.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    let (code, stdout, stderr) = run(&machine, &["recipient", identity]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(
        stderr.contains("a private key is on the command line") && !stderr.contains(identity),
        "{stderr}"
    );
}

#[test]
fn decrypt_prints_what_sops_prints() {
    let machine = keys();
    for format in ["yaml", "json", "env", "ini", "bin"] {
        machine.copy(&format!("fixtures/sops/3.13.3/rich.{format}"), &format!("rich.{format}"));
        let file = format!("DIR/rich.{format}");
        let command = machine.command("sops-activate", &["decrypt", "--key-file=DIR/age.txt", &file]);
        let output = output(command);
        let plain = crate::machine::repository(&format!("tests/fixtures/sops/3.13.3/rich.{format}.plain"));
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout == fs::read(plain).unwrap(), "{format}");
    }
    machine.copy("fixtures/sops/3.13.3/rich.json", "unnamed");
    let plain = text("fixtures/sops/3.13.3/rich.json.plain");
    let arguments = ["decrypt", "--format", "json", "DIR/unnamed", "-key-file", "DIR/age.txt"];
    assert_eq!(run(&machine, &arguments), (Some(0), plain, String::new()));
}

#[test]
fn decrypt_takes_one_value_and_the_key_from_where_it_is_said() {
    let machine = keys();
    machine.copy("fixtures/sample/secrets.yaml", "secrets.yaml");
    let value = |arguments: &[&str]| run(&machine, &[&["decrypt", "DIR/secrets.yaml"], arguments].concat());
    let key = "--ssh-key=DIR/sample_host_ed25519";
    assert_eq!(value(&[key, "--extract=api_key"]), (Some(0), API_KEY.to_owned(), String::new()));
    let nested = value(&[key, "--extract", "database/user"]);
    assert_eq!(nested, (Some(0), server::USER.to_owned(), String::new()));
    let (code, stdout, stderr) = value(&[key, "--extract=api_kye"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("keys at the top level: 'api_key', 'database'"), "{stderr}");

    let (code, stdout, stderr) = value(&["--ssh-key=DIR/host_ed25519"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("no key on this machine opens it"), "{stderr}");
    let mut command = machine.command("sops-activate", &["decrypt", "--extract=api_key", "DIR/secrets.yaml"]);
    command.env("SOPS_AGE_SSH_PRIVATE_KEY_FILE", machine.path("sample_host_ed25519"));
    assert_eq!(output(command).stdout, API_KEY.as_bytes());
}

#[test]
fn decrypt_prints_json_with_the_content_to_the_last_byte() {
    let machine = keys();
    machine.copy("fixtures/sample/secrets.yaml", "secrets.yaml");
    let key = "--ssh-key=DIR/sample_host_ed25519";
    let of = |arguments: &[&str]| {
        let (code, stdout, stderr) = run(&machine, &[&["decrypt", "--json"], arguments].concat());
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        assert!(stdout.ends_with("}\n"), "{stdout}");
        serde_json::from_str::<Value>(&stdout).unwrap()
    };
    let expected = json!({
        "path": "DIR/secrets.yaml", "format": "yaml", "key": "api_key", "encoding": "utf-8", "content": API_KEY
    });
    assert_eq!(of(&[key, "--extract=api_key", "DIR/secrets.yaml"]), expected);
    let whole = run(&machine, &["decrypt", key, "DIR/secrets.yaml"]).1;
    let expected = json!({
        "path": "DIR/secrets.yaml", "format": "yaml", "key": null, "encoding": "utf-8", "content": whole
    });
    assert_eq!(of(&[key, "DIR/secrets.yaml"]), expected);
}

#[test]
fn decrypt_prints_json_in_base64_where_the_content_is_not_utf_8() {
    use base64::Engine as _;
    let machine = keys();
    machine.copy("fixtures/sops/3.13.3/rich.bin", "file.bin");
    let arguments = ["decrypt", "--key-file=DIR/age.txt", "DIR/file.bin"];
    let plain = output(machine.command("sops-activate", &arguments)).stdout;
    assert!(str::from_utf8(&plain).is_err(), "the fixture is text");
    let (code, stdout, _) = run(&machine, &[&arguments[..], &["--json"]].concat());
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &found["encoding"], &found["format"]), (Some(0), &json!("base64"), &json!("binary")));
    let content = base64::engine::general_purpose::STANDARD.decode(found["content"].as_str().unwrap());
    assert_eq!(content.unwrap(), plain);
}

#[cfg(all(feature = "pgp", feature = "age-ssh"))]
#[test]
fn decrypt_uses_an_rsa_key_in_both_of_its_roles() {
    let machine = keys();
    for file in ["ssh-rsa", "host-rsa-aes256"] {
        machine.copy(&format!("fixtures/recipients/{file}.yaml"), "secrets.yaml");
        let plain = text(&format!("fixtures/recipients/{file}.yaml.plain"));
        let arguments = ["decrypt", "--ssh-key", "DIR/host_rsa", "DIR/secrets.yaml"];
        assert_eq!(run(&machine, &arguments), (Some(0), plain, String::new()), "{file}");
    }
}

/// A manifest as an admin has it, of a host whose private keys are elsewhere.
fn admin() -> Machine {
    let machine = keys();
    machine.copy("fixtures/recipients/ssh-to-age.yaml", "derived.yaml");
    machine.copy("fixtures/recipients/ssh-ed25519.yaml", "native.yaml");
    machine.copy("fixtures/sops/3.13.3/shamir.yaml", "shamir.yaml");
    let of = |name: &str| {
        let file = format!("DIR/{name}.yaml");
        json!({"name": name, "key": "", "mode": "0400", "sopsFile": file})
    };
    machine.manifest(json!({"secrets": [of("derived"), of("native")]}));
    machine
}

#[test]
fn doctor_says_from_a_public_key_which_files_a_host_could_open() {
    let machine = admin();
    for key in ["DIR/host_ed25519.pub", &line("host_ed25519.pub")] {
        let (code, stdout, stderr) = run(&machine, &["doctor", "DIR/manifest.json", "--host-key", key]);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
        let last = "nothing to do: the host can open every file: 2 secrets";
        assert_eq!(stdout.lines().last(), Some(last), "{stdout}");
    }
    // The derived form is one recipient, and cannot be turned back into the key.
    let age = text("fixtures/keys/host_ed25519.age").trim().to_owned();
    let (code, stdout, _) = run(&machine, &["doctor", "DIR/manifest.json", "--host-key", &age]);
    assert_eq!(code, Some(1), "{stdout}");
    assert!(stdout.contains("  ok: 'DIR/derived.yaml' can be opened by age1"), "{stdout}");
    // In the words that the build has for it.
    let words = "will not open 'DIR/native.yaml': it is not encrypted to a key in `--host-key`\n    needed by secret 'native'";
    assert!(stdout.contains(words), "{stdout}");
    let last = format!(
        "to do: in .sops.yaml, add {age} to the age keys of this file, and run `sops updatekeys DIR/native.yaml`"
    );
    assert_eq!(stdout.lines().last(), Some(last.as_str()), "{stdout}");
}

#[test]
fn doctor_tells_hosts_apart_and_names_them_as_ssh_keyscan_does() {
    let machine = admin();
    machine.write("web1.keys", format!("web1 {}\n", line("host_ed25519.pub")));
    machine.write(
        "web2.keys",
        format!("web2 {}\nweb2 {}\n", line("host_ecdsa.pub"), line("stranger_ed25519.pub")),
    );
    let arguments =
        ["doctor", "--host-key=DIR/web1.keys", "--host-key=DIR/web2.keys", "--json", "DIR/manifest.json"];
    let (code, stdout, _) = run(&machine, &arguments);
    assert_eq!(code, Some(1));
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&found["hosts"][0]["name"], &found["hosts"][1]["name"]), (&json!("web1"), &json!("web2")));
    for file in found["files"].as_array().unwrap() {
        assert_eq!((&file["hosts"], &file["opens"]), (&json!([true, false]), &json!(false)));
        assert_eq!(file["groups"][0][0]["openedBy"], "web1");
    }
    assert_eq!(found["keys"], json!([]));
}

#[test]
fn doctor_counts_key_groups_for_a_host() {
    let machine = admin();
    let file = json!({"name": "a", "key": "", "mode": "0400", "sopsFile": "DIR/shamir.yaml"});
    machine.manifest(json!({"secrets": [file]}));
    for (groups, code) in [(&["group-1.txt"][..], 1), (&["group-1.txt", "group-3.txt"], 0)] {
        machine.write(
            "host.txt",
            groups.iter().map(|name| text(&format!("fixtures/keys/{name}"))).collect::<String>(),
        );
        let told = run(&machine, &["doctor", "--host-key=DIR/host.txt", "DIR/manifest.json"]);
        assert_eq!(told.0, Some(code), "{}", told.1);
        let short = "keys of 2 of its 3 key groups are needed, and `--host-key` has those of 1";
        assert_eq!(told.1.contains(short), code == 1, "{}", told.1);
    }
}

#[test]
fn doctor_refuses_what_is_no_host_key() {
    let machine = admin();
    for (key, words) in [
        ("DIR/host_ecdsa.pub", "no host key in 'DIR/host_ecdsa.pub'"),
        ("DIR/nothing.pub", "no host key: cannot open 'DIR/nothing.pub'"),
        ("age1nonsense", "no host key: cannot open 'age1nonsense'"),
    ] {
        let (code, stdout, stderr) = run(&machine, &["doctor", "--host-key", key, "DIR/manifest.json"]);
        assert_eq!((code, stdout.as_str()), (Some(1), ""));
        assert!(stderr.contains(words) && stderr.contains("help: give a public key"), "{stderr}");
    }
}

#[test]
fn doctor_serves_user_mode() {
    let machine = keys();
    if !machine.is_in_memory() {
        return;
    }
    machine.copy("fixtures/recipients/ssh-to-age.yaml", "secrets.yaml");
    machine.manifest(json!({
        "secrets": [{"name": "a", "key": "", "mode": "0400", "sopsFile": "DIR/secrets.yaml"}],
        "ageSshKeyPaths": ["DIR/host_ed25519"],
    }));
    let (code, stdout, _) = run(&machine, &["doctor", "DIR/manifest.json"]);
    assert_eq!(code, Some(1));
    assert!(stdout.lines().last().unwrap().starts_with("to do: activate: `sops-activate DIR/"), "{stdout}");
    assert_eq!(run(&machine, &["DIR/manifest.json"]).0, Some(0));
    let (code, stdout, _) = run(&machine, &["doctor", "DIR/manifest.json"]);
    assert_eq!(code, Some(0), "{stdout}");
}

#[test]
fn doctor_notes_that_a_users_secrets_lie_on_a_disk_and_what_that_means() {
    use nix::sys::statfs::{TMPFS_MAGIC, statfs};
    let disk = tempfile::tempdir().unwrap();
    if statfs(disk.path()).unwrap().filesystem_type() == TMPFS_MAGIC {
        eprintln!("skipped: the directory for temporary files is no disk");
        return;
    }
    let machine = keys();
    machine.copy("fixtures/recipients/ssh-to-age.yaml", "secrets.yaml");
    machine.manifest(json!({
        "secrets": [{"name": "a", "key": "", "mode": "0400", "sopsFile": "DIR/secrets.yaml"}],
        "ageSshKeyPaths": ["DIR/host_ed25519"],
        "secretsMountPoint": disk.path().join("secrets.d"),
    }));
    assert_eq!(run(&machine, &["DIR/manifest.json"]).0, Some(0));
    let (code, stdout, _) = run(&machine, &["doctor", "DIR/manifest.json"]);
    assert_eq!(code, Some(0), "{stdout}");
    let note = stdout.lines().find(|line| line.contains("secrets.d'")).unwrap();
    assert!(note.starts_with("  note: '") && note.contains("/secrets.d' lies on "), "{note}");
    let meaning =
        ", neither on ramfs nor on tmpfs: secrets may reach a disk, and stay there after a shutdown";
    assert!(note.ends_with(meaning), "{note}");
}

#[test]
fn doctor_tells_every_problem_of_a_manifest() {
    let machine = Machine::new();
    machine.manifest(json!({"secrets": [{"name": "../a", "mode": "x", "sopsFile": "s"}]}));
    let (code, stdout, _) = run(&machine, &["doctor", "DIR/manifest.json"]);
    assert_eq!(code, Some(1));
    assert_eq!(stdout.matches("  problem: ").count(), 2, "{stdout}");
    assert!(stdout.lines().last().unwrap().starts_with("to do: "), "{stdout}");
}

#[test]
fn status_tells_the_live_generation_its_files_and_what_they_lie_on() {
    let Some(machine) = server::Machine::new() else { return };
    let status =
        |arguments: &str| answer(&mut machine.command(&format!("exec sops-activate status {arguments}")));
    let none = "/run/secrets: no generation is live\n  store: /run/secrets.d does not exist\n";
    let told = status("");
    assert_eq!((told.code, told.stdout.as_str(), told.stderr.as_str()), (Some(1), none, ""));

    let owned =
        with(secret("db/password", "api_key"), json!({"owner": "alice", "group": "app", "mode": "0440"}));
    let numbered = with(secret("numbered", "api_key"), json!({"uid": 4_000_001}));
    machine.activate(&manifest(&[secret("api-key", "api_key"), owned, numbered], &[]));
    let known = status("").stdout;
    assert!(known.contains("\n  made by: /mnt/manifest.json\n"), "{known}");
    // As another program would leave it.
    machine.shell("touch -d '2026-11-24T09:15:02Z' /run/secrets.d/1");
    let expected = "/run/secrets: generation 1, since 2026-11-24T09:15:02Z\n  \
                    store: /run/secrets.d, ramfs (nodev,nosuid,noexec)\n  \
                    made by: a manifest that is not known\n  \
                    0400 root:root    api-key\n  \
                    0440 alice:app    db/password\n  \
                    0400 4000001:root numbered\n";
    for arguments in ["", "/mnt/manifest.json"] {
        let told = status(arguments);
        assert_eq!((told.code, told.stdout.as_str(), told.stderr.as_str()), (Some(0), expected, ""));
    }
    let found: Value = serde_json::from_str(&status("--json").stdout).unwrap();
    assert_eq!(
        found[0]["live"]["files"][1],
        json!({"name": "db/password", "mode": "0440", "owner": "alice", "group": "app", "uid": 1501, "gid": 1502})
    );
    assert_eq!(found[0]["store"]["fileSystem"], "ramfs");
    assert_eq!(found.as_array().unwrap().len(), 1);

    let users =
        json!({"symlinkPath": "/run/secrets-for-users", "secretsMountPoint": "/run/secrets-for-users.d"});
    let early = with(secret("hash", "api_key"), json!({"path": "/run/secrets-for-users/hash"}));
    machine.activate(&with(manifest(&[early], &[]), users));
    let found: Value = serde_json::from_str(&status("--json").stdout).unwrap();
    assert_eq!(found[1]["symlink"], "/run/secrets-for-users");
    assert_eq!(found[1]["live"]["generation"], 1);
}

#[test]
fn who_made_a_generation_is_told_until_another_does_and_a_run_that_changes_nothing_is_not_it() {
    let Some(machine) = server::Machine::new() else { return };
    let made_by = || {
        let told = answer(&mut machine.command("exec sops-activate status --json")).stdout;
        serde_json::from_str::<Value>(&told).unwrap()[0]["live"]["manifest"].clone()
    };
    machine.activate(&manifest(&[secret("a", "api_key")], &[]));
    machine.shell("cp /mnt/manifest.json /mnt/same.json");
    assert_eq!(made_by(), "/mnt/manifest.json");
    let same = answer(&mut machine.command("exec sops-activate /mnt/same.json"));
    assert_eq!((same, made_by()), (server::Answer::silent(), json!("/mnt/manifest.json")));
    machine.write("/mnt/other.json", manifest(&[secret("b", "api_key")], &[]).to_string());
    let other = answer(&mut machine.command("cd /mnt; exec sops-activate other.json"));
    assert_eq!((other, made_by()), (server::Answer::silent(), json!("/mnt/other.json")));
    assert_eq!(
        machine.shell("stat -c '%a %U' /var/lib/sops-activate /var/lib/sops-activate/*"),
        "700 root\n600 root"
    );
    machine.shell("rm -r /var/lib/sops-activate");
    assert_eq!(made_by(), Value::Null);
}

#[test]
fn under_the_name_of_the_original_there_are_no_tools() {
    let machine = Machine::new();
    let path = machine.path("");
    for tool in ["doctor", "recipient", "status", "decrypt"] {
        let mut command = machine.command("sops-install-secrets", &[tool]);
        command.current_dir(&path);
        let told = output(command);
        let stderr = String::from_utf8(told.stderr).unwrap();
        let expected = format!("no manifest: cannot open '{tool}': no such file or directory");
        assert!(stderr.contains(&expected) && told.status.code() == Some(1), "{stderr}");
        let help = output(machine.command("sops-install-secrets", &["-h"]));
        assert!(!String::from_utf8(help.stdout).unwrap().contains(tool));
        let help = output(machine.command("sops-activate", &["-h"]));
        assert!(String::from_utf8(help.stdout).unwrap().contains(&format!("sops-activate {tool}")));

        // A manifest of that name can still be given.
        let dotted = output(machine.command("sops-activate", &[&format!("./{tool}")]));
        let stderr = String::from_utf8(dotted.stderr).unwrap();
        assert!(stderr.contains(&format!("no manifest: cannot open './{tool}'")), "{stderr}");
    }
}

#[test]
fn misuse_of_a_tool_prints_its_usage_and_exits_2() {
    let machine = Machine::new();
    for (arguments, words) in [
        (&["doctor"][..], "no manifest is given"),
        (&["doctor", "a", "b"], "'b' is one argument too many"),
        (&["status", "--size"], "there is no flag '--size'"),
        (&["recipient"], "no KEY is given"),
        (&["decrypt"], "no FILE is given"),
        (&["decrypt", "--format=xml", "f"], "the flag '-format' cannot be 'xml'"),
    ] {
        let (code, stdout, stderr) = run(&machine, arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(
            stderr.contains(&format!("error: {words}\nusage: sops-activate {}", arguments[0])),
            "{stderr}"
        );
    }
    let full = fs::File::options().write(true).open("/dev/full");
    if let Ok(full) = full {
        let mut command = Command::new(crate::machine::PROGRAM);
        command.args(["status", "-h"]).stdout(full).stderr(Stdio::null());
        assert_eq!(command.status().unwrap().code(), Some(1));
    }
}
