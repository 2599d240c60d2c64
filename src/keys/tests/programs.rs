//! Programs that hold or open keys, played by shell scripts: that they run only when they must, what they are told,
//! and that none of them can hold up a boot.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use age::armor::{ArmoredWriter, Format};
use tempfile::TempDir;

use super::super::*;
use crate::sops::data_key::recover;

const DATA_KEY: [u8; 32] = [0x5a; 32];
const AGE_KEY: &str = "AGE-SECRET-KEY-1WU9DQ0F8PU06YVYSLYJFF5RWVSPG40CH4Z4JU2L48LSXDZNWSTWQTEEDC2";
const AGE_RECIPIENT: &str = "age1u0mseqwxlra75amsz9e7k0cn2zcgwucctk78vanyjsna3wagg4rq6rnnmm";
const OTHER_RECIPIENT: &str = "age1ng7pe2qkhdrhwhlxhzd38t5yzkhjdaryadqs6u0pxphlc7tg039qy9cpgl";

/// A script hangs in a child of its own, for longer than any test waits.
const HANG: &str = "sleep 60 & wait";

/// A directory of scripts, which is on the `PATH`, and the keyring that finds them there.
struct Scripts {
    dir: TempDir,
    sources: Sources,
    limit: Duration,
}

impl Scripts {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = format!("{}:{}", dir.path().display(), env!("PATH"));
        let mut sources = Sources::default();
        sources.environment.handed_on = vec![("PATH".into(), path.into())];
        Self { dir, sources, limit: Duration::from_secs(20) }
    }

    /// Adds a script; each of its runs adds a line to the file `runs`.
    fn with(self, name: &str, script: &str) -> Self {
        let path = self.dir.path().join(name);
        fs::write(&path, format!("#!/bin/sh\necho run >> {}/runs\n{script}\n", self.dir.path().display()))
            .unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn keyring(&self) -> Keyring {
        Keyring::with_time_limit(&self.sources, self.limit)
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.dir.path().join("runs")).unwrap_or_default().lines().count()
    }
}

/// Opens a file of one group.
fn open(keyring: &Keyring, stanzas: &[&Stanza]) -> Result<(), Vec<String>> {
    let group = stanzas.iter().map(|stanza| (*stanza).clone()).collect();
    match recover(&[group], 0, keyring) {
        Ok(key) => {
            assert_eq!(key.expose(), &DATA_KEY);
            Ok(())
        }
        Err(crate::sops::data_key::RecoverError::TooFewGroups { groups, .. }) => {
            Err(groups[0].refusals.iter().map(|(_, _, refusal)| refusal.to_string()).collect())
        }
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn refusal(keyring: &Keyring, stanza: &Stanza) -> String {
    open(keyring, &[stanza]).err().unwrap().concat()
}

fn wrapped(recipient: &dyn age::Recipient, name: &str) -> Stanza {
    let encryptor = age::Encryptor::with_recipients(std::iter::once(recipient)).unwrap();
    let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor).unwrap();
    let mut writer = encryptor.wrap_output(armor).unwrap();
    writer.write_all(&DATA_KEY).unwrap();
    let armor = writer.finish().unwrap().finish().unwrap();
    Stanza { kind: StanzaKind::Age, recipient: name.into(), enc: String::from_utf8(armor).unwrap() }
}

fn age_stanza(recipient: &str) -> Stanza {
    wrapped(&recipient.parse::<age::x25519::Recipient>().unwrap(), recipient)
}

fn pgp_stanza() -> Stanza {
    let enc = "-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE-----".to_owned();
    Stanza { kind: StanzaKind::Pgp, recipient: "FBA239CF".into(), enc }
}

/// Writes the data key of the tests.
const PRINT_DATA_KEY: &str = "printf ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ";

#[cfg(feature = "age-plugins")]
#[test]
fn a_file_that_a_key_here_opens_starts_no_program() {
    let mut scripts = Scripts::new().with("gpg", HANG).with("command", HANG).with("age-plugin-test", HANG);
    let text = format!("{AGE_KEY} {}", plugin::identity());
    scripts.sources.environment.age_key = Some(SecretBytes::from(text.as_bytes()));
    scripts.sources.environment.age_key_cmd = Some("command".into());
    scripts.sources.environment.age_ssh_private_key_cmd = Some("command".into());
    let (ours, other) = (age_stanza(AGE_RECIPIENT), age_stanza(OTHER_RECIPIENT));
    assert_eq!(open(&scripts.keyring(), &[&pgp_stanza(), &other, &ours]), Ok(()));
    assert_eq!(scripts.runs(), 0);
}

mod gpg {
    use super::*;

    #[test]
    fn gpg_is_given_the_message_its_home_and_nobody_to_ask() {
        let script = format!(
            "cat > \"$HOME/input\"; echo \"$@\" $GNUPGHOME $LC_ALL > \"$HOME/told\"; {PRINT_DATA_KEY}"
        );
        let mut scripts = Scripts::new().with("gpg", &script).with("wrapper", &script);
        let home = scripts.dir.path().to_owned();
        scripts.sources.environment.handed_on.push(("HOME".into(), home.clone().into()));
        scripts.sources.environment.handed_on.push(("GNUPGHOME".into(), "/theirs".into()));
        let told = |sources: &Scripts| {
            assert_eq!(open(&sources.keyring(), &[&pgp_stanza()]), Ok(()));
            assert_eq!(fs::read_to_string(home.join("input")).unwrap(), pgp_stanza().enc);
            fs::read_to_string(home.join("told")).unwrap()
        };
        let quiet = "--batch --no-tty --status-fd=2 --pinentry-mode=error --decrypt";
        assert_eq!(told(&scripts), format!("{quiet} /theirs C\n"));
        scripts.sources.gnupg_home = Some(home.clone());
        assert_eq!(told(&scripts), format!("{quiet} {} C\n", home.display()));
        // Somebody may be there in user mode; what stands in for gpg may not know the option.
        let common = "--batch --no-tty --status-fd=2 --decrypt";
        scripts.sources.may_ask = true;
        assert_eq!(told(&scripts), format!("{common} {} C\n", home.display()));
        scripts.sources.may_ask = false;
        scripts.sources.environment.gpg_exec = Some("wrapper".into());
        assert_eq!(told(&scripts), format!("{common} {} C\n", home.display()));
    }

    #[test]
    fn a_gpg_that_hangs_ends_at_the_limit_and_is_not_tried_again() {
        let mut scripts = Scripts::new().with("gpg", HANG);
        scripts.limit = Duration::from_millis(300);
        let keyring = scripts.keyring();
        let start = Instant::now();
        for _ in 0..100 {
            let reason = refusal(&keyring, &pgp_stanza());
            assert!(reason.ends_with("gpg' did not end within 0.3 s, and was killed"), "{reason}");
        }
        assert_eq!(scripts.runs(), 1);
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn what_is_wrong_with_gpg_is_told() {
        let status = |line: &str| format!("echo '[GNUPG:] {line}' >&2");
        for (script, expected) in [
            ("exit 0".to_owned(), "gpg opened it and found nothing inside"),
            ("exec cat /dev/zero".into(), "what is inside is too long for a data key"),
            ("exit 3".into(), "gpg failed (exit status: 3)"),
            ("kill -9 $$".into(), "gpg failed (signal: 9 (SIGKILL))"),
            (
                "echo 'gpg: \u{1b}[1mno\tagent' >&2; exit 2".into(),
                "gpg failed (exit status: 2): gpg:  [1mno agent",
            ),
            (format!("printf data; {}; exit 2", status("DECRYPTION_FAILED")), "gpg failed (exit status: 2)"),
            (format!("{}; exit 2", status("NO_SECKEY 0123")), "gpg has no secret key for it"),
            (
                format!("{}; exit 2", status("ERROR pkdecrypt_failed 67108949")),
                "the secret key that gpg has for it needs a passphrase or PIN, and nobody can be asked",
            ),
            (format!("{}; exit 2", status("NODATA 1")), "its OpenPGP message is malformed"),
        ] {
            let scripts = Scripts::new().with("gpg", &script);
            assert_eq!(refusal(&scripts.keyring(), &pgp_stanza()), expected, "{script}");
        }
    }

    #[test]
    fn a_missing_gpg_or_home_is_told_with_what_to_set() {
        let mut scripts = Scripts::new();
        scripts.sources.environment.handed_on = vec![("PATH".into(), scripts.dir.path().into())];
        let missing = "gpg was not found (set SOPS_GPG_EXEC or `sops.gnupg.package`)";
        assert_eq!(refusal(&scripts.keyring(), &pgp_stanza()), missing);
        scripts.sources.environment.gpg_exec = Some("my-gpg".into());
        let missing = "'my-gpg' was not found (SOPS_GPG_EXEC names it)";
        assert_eq!(refusal(&scripts.keyring(), &pgp_stanza()), missing);
        scripts.sources.environment.gpg_exec = Some("/no/such/gpg".into());
        let reason = refusal(&scripts.keyring(), &pgp_stanza());
        assert!(reason.starts_with("cannot run '/no/such/gpg': "), "{reason}");

        scripts.sources.environment.gpg_exec = None;
        scripts.sources.gnupg_home = Some("/no/such/home".into());
        let scripts = scripts.with("gpg", PRINT_DATA_KEY);
        assert_eq!(
            refusal(&scripts.keyring(), &pgp_stanza()),
            "cannot use the gpg home '/no/such/home': it does not exist"
        );
    }
}

mod command {
    use super::*;

    fn age_command(line: &str) -> Scripts {
        let mut scripts = Scripts::new();
        scripts.sources.environment.age_key_cmd = Some(line.into());
        scripts
    }

    #[test]
    fn a_command_is_asked_once_for_each_recipient_and_told_which() {
        let script =
            format!("[ \"$1\" = 'the key' ] && [ $SOPS_AGE_RECIPIENT = {AGE_RECIPIENT} ] && echo {AGE_KEY}");
        let scripts = age_command("command 'the key'").with("command", &script);
        let keyring = scripts.keyring();
        assert!(keyring.has_programs());
        assert_eq!(scripts.runs(), 0);
        let (ours, other) = (age_stanza(AGE_RECIPIENT), age_stanza(OTHER_RECIPIENT));
        for _ in 0..2 {
            assert_eq!(refusal(&keyring, &other), "no key here matches");
            assert_eq!(open(&keyring, &[&ours]), Ok(()));
        }
        assert_eq!(scripts.runs(), 2);
        assert_eq!(
            keyring.keys().map(|key| key.source.to_string()).collect::<Vec<_>>(),
            ["SOPS_AGE_KEY_CMD"]
        );
        let skipped: Vec<String> = keyring.skipped().iter().map(ToString::to_string).collect();
        let program = scripts.dir.path().join("command");
        assert_eq!(skipped, [format!("SOPS_AGE_KEY_CMD: '{}' failed (exit status: 1)", program.display())]);
    }

    #[test]
    fn threads_share_what_a_command_printed() {
        let scripts = age_command("command").with("command", &format!("echo {AGE_KEY}"));
        let keyring = scripts.keyring();
        let names = ["a", "b", "c"];
        std::thread::scope(|scope| {
            for name in names.iter().cycle().take(12) {
                let keyring = &keyring;
                let stanza = Stanza { recipient: (*name).into(), ..age_stanza(OTHER_RECIPIENT) };
                scope.spawn(move || refusal(keyring, &stanza));
            }
        });
        assert_eq!(scripts.runs(), names.len());
    }

    #[test]
    fn the_command_for_ssh_keys_runs_once() {
        let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/keys/host_ed25519");
        let mut scripts = Scripts::new().with("command", &format!("cat {key}"));
        scripts.sources.environment.age_ssh_private_key_cmd = Some("command".into());
        let keyring = scripts.keyring();
        assert_eq!(refusal(&keyring, &age_stanza(AGE_RECIPIENT)), "no key here matches");
        let recipients = keyring.keys().next().unwrap().recipients.clone();
        assert_eq!(open(&keyring, &[&age_stanza(&recipients[0])]), Ok(()));
        assert_eq!(scripts.runs(), 1);
    }

    #[test]
    fn a_failing_command_is_told_like_a_broken_source() {
        for (script, expected) in [
            ("echo no >&2; exit 4", "'DIR/command' failed (exit status: 4): no"),
            ("exit 0", "it is empty"),
            ("echo noise", "it is not an age identity"),
            ("exec cat /dev/zero", "'DIR/command' wrote more than 1048576 bytes, and was killed"),
        ] {
            let scripts = age_command("command").with("command", script);
            let keyring = scripts.keyring();
            assert_eq!(refusal(&keyring, &age_stanza(AGE_RECIPIENT)), "no key here matches");
            let told = keyring.skipped()[0].to_string().replace(scripts.dir.path().to_str().unwrap(), "DIR");
            assert_eq!(told, format!("SOPS_AGE_KEY_CMD: {expected}"));
        }
        for (line, expected) in [
            ("", "it is empty"),
            ("'command", "a quote in it is not closed"),
            ("no-such-command x", "'no-such-command' was not found on PATH"),
        ] {
            let keyring = age_command(line).keyring();
            refusal(&keyring, &age_stanza(AGE_RECIPIENT));
            assert_eq!(keyring.skipped()[0].to_string(), format!("SOPS_AGE_KEY_CMD: {expected}"));
        }
    }

    #[test]
    fn a_command_that_hangs_is_not_tried_for_another_recipient() {
        let mut scripts = age_command("command").with("command", HANG);
        scripts.limit = Duration::from_millis(300);
        let keyring = scripts.keyring();
        refusal(&keyring, &age_stanza(AGE_RECIPIENT));
        refusal(&keyring, &age_stanza(OTHER_RECIPIENT));
        assert_eq!(scripts.runs(), 1);
        let skipped: Vec<String> = keyring.skipped().iter().map(ToString::to_string).collect();
        assert_eq!(skipped.len(), 1, "{skipped:?}");
        assert!(skipped[0].ends_with("did not end within 0.3 s, and was killed"), "{skipped:?}");
    }
}

#[cfg(feature = "age-plugins")]
mod plugin {
    use super::*;

    /// What the plugin of these tests holds.
    pub fn identity() -> String {
        let hrp = bech32::Hrp::parse("age-plugin-test-").unwrap();
        bech32::encode::<bech32::Bech32>(hrp, &[1, 2, 3]).unwrap().to_uppercase()
    }

    /// Wraps nothing: the file key is the body.
    struct Unwrapped;

    impl age::Recipient for Unwrapped {
        fn wrap_file_key(
            &self,
            file_key: &age_core::format::FileKey,
        ) -> Result<(Vec<age_core::format::Stanza>, std::collections::HashSet<String>), age::EncryptError>
        {
            use age_core::secrecy::ExposeSecret as _;
            let body = file_key.expose_secret().to_vec();
            let stanza = age_core::format::Stanza { tag: "test".into(), args: vec!["x".into()], body };
            Ok((vec![stanza], std::collections::HashSet::new()))
        }
    }

    fn stanza() -> Stanza {
        wrapped(&Unwrapped, "age1test1qqqq")
    }

    /// Reads what it is told, then says what `answer` prints; `$key` is the file key.
    fn script(answer: &str) -> String {
        format!(
            "[ \"$1\" = --age-plugin=identity-v1 ] || exit 9\n\
             while read -r arrow command rest; do\n\
             case $command in\n\
             add-identity) read -r _; [ \"$rest\" = {} ] || exit 8 ;;\n\
             recipient-stanza)\n\
             if [ \"$rest\" = '0 test x' ]; then read -r key\n\
             else while read -r line && [ ${{#line}} -eq 64 ]; do :; done; fi ;;\n\
             done) read -r _; break ;;\n\
             esac\n\
             done\n\
             say() {{ printf -- '-> %s\\n%s\\n' \"$1\" \"$2\"; }}\n\
             hear() {{ read -r reply; read -r _; }}\n\
             {answer}",
            identity()
        )
    }

    fn with_plugin(script: &str) -> Scripts {
        let mut scripts = Scripts::new().with("age-plugin-test", script);
        scripts.sources.environment.age_key = Some(SecretBytes::from(identity().as_bytes()));
        scripts
    }

    #[test]
    fn a_plugin_opens_the_stanza_of_its_identity() {
        for answer in [
            "say 'file-key 0' $key; hear; [ \"$reply\" = '-> ok' ] && say done",
            // It may talk, and use commands that nobody knows.
            "say msg aGVsbG8; hear; say grease-x; hear; say 'file-key 0' $key; hear; say done; exit 1",
            // With the key in hand it does not matter how it ends.
            "say 'file-key 0' $key; hear",
        ] {
            let scripts = with_plugin(&script(answer));
            assert_eq!(open(&scripts.keyring(), &[&stanza()]), Ok(()), "{answer}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_plugin_is_told() {
        // "no token" and "PIN" in base64.
        for (answer, expected) in [
            (
                "say 'error internal' bm8gdG9rZW4; hear; say done",
                "the age plugin 'test' (SOPS_AGE_KEY): no token",
            ),
            (
                "say request-secret UElO; hear; say 'error internal' \"$([ \"$reply\" = '-> fail' ] && echo UElO)\"; hear; say done",
                "the age plugin 'test' (SOPS_AGE_KEY): it asks for a PIN or a confirmation, and nobody can answer; PIN",
            ),
            (
                "say 'file-key 0' AAAA; hear; say done",
                "the age plugin 'test' (SOPS_AGE_KEY): its file key has a wrong length",
            ),
            (
                "echo dead >&2; exit 5",
                "the age plugin 'test' (SOPS_AGE_KEY): it ended early (exit status: 5): dead",
            ),
            (
                "echo Hello",
                "the age plugin 'test' (SOPS_AGE_KEY): what it says is not the age plugin protocol",
            ),
            ("say done", "no age plugin identity here opens recipient type 'test'"),
        ] {
            let scripts = with_plugin(&script(answer));
            assert_eq!(refusal(&scripts.keyring(), &stanza()), expected, "{answer}");
        }
        let reason = refusal(&with_plugin("exec yes -- '-> x'").keyring(), &stanza());
        assert!(reason.contains("protocol") || reason.contains("wrote more than"), "{reason}");
    }

    #[test]
    fn a_plugin_that_is_missing_is_told_with_the_path() {
        let mut scripts = with_plugin("");
        scripts.sources.environment.handed_on = vec![("PATH".into(), "/no/such:.".into())];
        assert_eq!(
            refusal(&scripts.keyring(), &stanza()),
            "the age plugin 'test' (SOPS_AGE_KEY): 'age-plugin-test' was not found on PATH ('/no/such:.')"
        );
    }

    #[test]
    fn a_plugin_that_hangs_ends_at_the_limit_and_is_not_tried_again() {
        for answer in [HANG, "say msg aGVsbG8; hear; sleep 60"] {
            let mut scripts = with_plugin(&script(answer));
            scripts.limit = Duration::from_millis(500);
            let keyring = scripts.keyring();
            for _ in 0..3 {
                let reason = refusal(&keyring, &stanza());
                assert!(reason.ends_with("did not end within 0.5 s, and was killed"), "{reason}");
            }
            assert_eq!(scripts.runs(), 1);
        }
    }

    #[test]
    fn a_command_may_print_the_identity_of_a_plugin() {
        let mut scripts = with_plugin(&script("say 'file-key 0' $key; hear; say done"));
        scripts.sources.environment.age_key = None;
        scripts.sources.environment.age_key_cmd = Some(format!("echo {}", identity()).into());
        assert_eq!(open(&scripts.keyring(), &[&stanza()]), Ok(()));
    }

    #[test]
    fn without_an_identity_no_plugin_runs() {
        let mut scripts = with_plugin(HANG);
        scripts.sources.environment.age_key = None;
        assert_eq!(
            refusal(&scripts.keyring(), &stanza()),
            "recipient type 'test' needs the identity of an age plugin, and none is here"
        );
        assert_eq!(scripts.runs(), 0);
    }
}
