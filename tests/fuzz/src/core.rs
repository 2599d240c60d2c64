//! The whole of the core: a manifest, sops files and templates become the files that are installed.
//!
//! The paths of the manifest's sops files are numbers: which of the originals is meant.

use sops_activate::decrypted::{self, Failure};
use sops_activate::diagnostic::Diagnostic;
use sops_activate::plan::Selection;
use sops_activate::sops::document::{Document, Opened};

use super::manifest;
use super::originals::{self, Original};

pub fn run(data: &[u8]) {
    let Some(plan) = manifest::plan(data, Some("/run/user/0")) else { return };
    if plan.files.len() > 4 || plan.secrets.len() > 64 || plan.templates.len() > 16 {
        return;
    }
    let chosen: Vec<Option<&Original>> = plan
        .files
        .iter()
        .map(|file| {
            let number: usize = file.path.to_str()?.parse().ok()?;
            originals::all().get(number).filter(|original| original.format == file.format)
        })
        .collect();
    let absent = || Diagnostic::new("no such file");
    let documents: Vec<Result<Document<Opened>, Diagnostic>> =
        chosen.iter().map(|original| original.map(Original::open).ok_or_else(absent)).collect();
    let files = decrypted::assemble(&plan, &documents, &[]);
    assert_eq!(files.len(), plan.secrets.len() + plan.templates.len());
    for (secret, file) in plan.secrets.iter().zip(&files) {
        match (&chosen[secret.file], &file.content) {
            (None, content) => assert!(matches!(content, Err(Failure::SopsFile(_)))),
            (Some(original), Ok(content)) if secret.selection == Selection::Whole => {
                let whole = original.plain.as_slice();
                let trimmed =
                    whole.strip_suffix(b"\n").map_or(whole, |line| line.strip_suffix(b"\r").unwrap_or(line));
                assert!(content.expose() == if secret.trim { trimmed } else { whole });
            }
            (Some(_), Ok(_)) => {}
            (Some(original), Err(failure)) => keeps_secrets(failure, data, original),
        }
    }
    for file in &files[plan.secrets.len()..] {
        if let Err(failure) = &file.content {
            for original in chosen.iter().flatten() {
                keeps_secrets(failure, data, original);
            }
        }
    }
}

fn keeps_secrets(failure: &Failure, manifest: &[u8], original: &Original) {
    let Failure::Own(diagnostic) = failure else { return };
    let message = diagnostic.to_string();
    for leaf in &original.leaves {
        let Ok(secret) = std::str::from_utf8(&leaf.bytes) else { continue };
        let elsewhere = |text: &[u8]| text.windows(secret.len()).any(|window| window == secret.as_bytes());
        if secret.len() >= 8 && message.contains(secret) {
            // The manifest may have the same text, or the document a key of this name.
            assert!(
                elsewhere(manifest) || elsewhere(&original.source),
                "a message holds a secret: {message}"
            );
        }
    }
}
