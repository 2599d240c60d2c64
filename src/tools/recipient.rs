//! `recipient`: what can stand in `.sops.yaml` for a key.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use serde::Serialize;

use super::{Verdict, print, print_json};
use crate::diagnostic::{Diagnostic, Printable, Report};
use crate::keys::public::{self, Shown};
use crate::recipient::public_key::{Kind, PublicKey, is_algorithm};
use crate::secret::SecretBytes;
use crate::system::file::read_regular;

/// Bytes of a file of keys at most: that of identity files in sops.
const LIMIT: u64 = 16 << 20;

/// One key in the answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    from: String,
    line: Option<usize>,
    host: Option<String>,
    kind: Option<&'static str>,
    /// The preferred one first.
    recipients: Vec<Form>,
    problem: Option<String>,
    /// What to know about choosing one, or about the key.
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Form {
    list: &'static str,
    recipient: String,
}

pub fn recipient(keys: &[OsString], json: bool) -> Result<Verdict, Report> {
    let mut answers = Vec::new();
    let mut well = true;
    for key in joined(keys) {
        let (from, text) = text_of(&key)?;
        let shown = public::show(text.expose());
        well &= shown.iter().any(|shown| shown.key.is_ok());
        answers.extend(shown.iter().map(|shown| answer(&from, shown)));
    }
    if json {
        print_json(&answers)?;
    } else {
        print(&answers.iter().map(layout).collect::<String>())?;
    }
    Ok(Verdict::well_if(well))
}

/// The words of a public key may come apart: `recipient ssh-ed25519 AAAA… root@web1`.
fn joined(keys: &[OsString]) -> Vec<OsString> {
    if keys.first().and_then(|first| first.to_str()).is_some_and(is_algorithm) {
        return vec![keys.join(OsStr::new(" "))];
    }
    keys.to_vec()
}

/// Where a key is from, for the answer, and its text.
fn text_of(key: &OsStr) -> Result<(String, SecretBytes), Report> {
    if key == "-" {
        // A private key may come: growing would leave pieces of it behind.
        let mut text = Vec::with_capacity(usize::try_from(LIMIT + 1).unwrap_or_default());
        let read = std::io::stdin().lock().take(LIMIT).read_to_end(&mut text);
        let text = SecretBytes::new(text);
        read.map_err(|error| Diagnostic::new(format!("cannot read standard input: {error}")))?;
        return Ok(("standard input".to_owned(), text));
    }
    if public::is_private(key.as_encoded_bytes()) {
        let problem = "a private key is on the command line, where every user of this machine can read it";
        return Err(Diagnostic::new(problem)
            .help("name the file that it is in, or pipe it in and name -")
            .into());
    }
    if let Some(Ok(Some(_))) = key.to_str().map(PublicKey::parse_line) {
        return Ok(("the command line".to_owned(), SecretBytes::from(key.as_encoded_bytes())));
    }
    let path = Path::new(key);
    let text = read_regular(path, LIMIT).map_err(|error| {
        let diagnostic = Diagnostic::new(error.to_string());
        if error.is_not_found() {
            diagnostic.help(
                "give a file of keys, or a key itself: 'ssh-ed25519 AAAA...', age1... or an OpenPGP fingerprint",
            )
        } else {
            diagnostic
        }
    })?;
    Ok((path.display().to_string(), text))
}

fn answer(from: &str, shown: &Shown) -> Answer {
    let mut answer = Answer {
        from: from.to_owned(),
        line: shown.line,
        host: shown.host.clone(),
        kind: None,
        recipients: Vec::new(),
        problem: None,
        notes: Vec::new(),
    };
    match &shown.key {
        Ok(key) => {
            answer.kind = Some(key.kind.title());
            let form = |recipient: &crate::recipient::Recipient| Form {
                list: recipient.list.name(),
                recipient: recipient.text.clone(),
            };
            answer.recipients = key.recipients.iter().map(form).collect();
            answer.notes.extend(advice(key).map(str::to_owned));
        }
        Err(error) => answer.problem = Some(error.to_string()),
    }
    let flaw = |flaw| format!("the private key cannot be used at boot: {flaw}");
    answer.notes.extend(shown.flaw.as_ref().map(flaw));
    answer
}

/// Which form to take, and why.
fn advice(key: &PublicKey) -> Option<&'static str> {
    match (key.kind, key.recipients.len()) {
        (Kind::Ed25519, _) => Some(
            "prefer the first: it is what ssh-to-age prints, and sops-install-secrets opens it, too; the second is the key as ssh writes it, which sops-activate opens, and sops itself from 3.10",
        ),
        (Kind::Rsa, 2) => Some(
            "prefer the first: nobody needs gpg to encrypt to it; sops-install-secrets opens the second only",
        ),
        (Kind::Rsa, 0 | 1) => Some("age encrypts to no RSA key of less than 2048 bits"),
        (Kind::PostQuantum, _) => Some("it takes sops 3.12 or later to encrypt to it"),
        (Kind::Plugin, _) => {
            Some("its age plugin has to be on PATH where files are encrypted to it and opened")
        }
        _ => None,
    }
}

fn layout(answer: &Answer) -> String {
    let mut text = Printable(&answer.from).to_string();
    // Writing to a String cannot fail.
    if let Some(line) = answer.line {
        let _ = write!(text, " line {line}");
    }
    if let Some(host) = &answer.host {
        let _ = write!(text, " ({})", Printable(host));
    }
    match (answer.kind, &answer.problem) {
        (Some(kind), _) => {
            let _ = writeln!(text, ": {kind}");
        }
        (None, problem) => {
            let _ = writeln!(text, ": no recipient: {}", problem.as_deref().unwrap_or_default());
        }
    }
    for form in &answer.recipients {
        let _ = writeln!(text, "  {}: {}", form.list, form.recipient);
    }
    for note in &answer.notes {
        let _ = writeln!(text, "  {note}");
    }
    text
}
