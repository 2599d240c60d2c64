//! Templates against a renderer that tries every placeholder at every place.

use sops_activate::sops::format::output::Output;
use sops_activate::template::{Placeholders, Quoting, TemplateError};

use super::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let named = input.byte() % 2 == 1;
    let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for _ in 0..input.byte() % 8 {
        let (text, value) = (input.text(), input.text());
        if !text.is_empty() && !entries.iter().any(|(other, _)| other == text) {
            entries.push((text.to_vec(), value.to_vec()));
        }
    }
    let content = input.0;
    let make = if named { Placeholders::with_names } else { Placeholders::new };
    let placeholders = make(entries.clone());
    let rendered = placeholders.render(content, |value: &Vec<u8>, out: &mut Output| out.push(value));
    let expected = naive(&entries, named, content);
    match (rendered, expected) {
        (Ok(rendered), Ok(expected)) => {
            assert!(rendered.expose() == expected);
            let used = placeholders.used(content).unwrap();
            assert!(used.iter().all(|value| entries.iter().any(|(_, other)| other == *value)));
        }
        (Err(TemplateError::Unresolved { line, offset, .. }), Err(expected)) => {
            assert_eq!(line as usize, expected);
            assert_eq!(content[..offset].split(|byte| *byte == b'\n').count(), expected);
            assert!(placeholders.used(content).is_err());
        }
        (rendered, expected) => panic!("{} but {}", rendered.is_ok(), expected.is_ok()),
    }
    quoted(content);
}

/// The text, or the line of a placeholder that stands for nothing.
fn naive(entries: &[(Vec<u8>, Vec<u8>)], named: bool, content: &[u8]) -> Result<Vec<u8>, usize> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < content.len() {
        let rest = &content[at..];
        let longest =
            entries.iter().filter(|(text, _)| rest.starts_with(text)).max_by_key(|(text, _)| text.len());
        if let Some((text, value)) = longest {
            out.extend(value);
            at += text.len();
        } else if is_placeholder(rest) || (named && is_marker(rest)) {
            return Err(content[..at].split(|byte| *byte == b'\n').count());
        } else {
            out.push(content[at]);
            at += 1;
        }
    }
    Ok(out)
}

fn is_marker(text: &[u8]) -> bool {
    let blanks = |byte: &u8| byte.is_ascii_whitespace();
    let Some(rest) = text.strip_prefix(b"{{") else { return false };
    let word = &rest[rest.iter().take_while(|byte| blanks(byte)).count()..];
    [&b"sops "[..], b"sops\t", b"sops-", b"sops\""].iter().any(|start| word.starts_with(start))
}

fn is_placeholder(text: &[u8]) -> bool {
    let ends: [&[u8]; 3] = [b":PLACEHOLDER>", b":JSON>", b":SHELL>"];
    text.starts_with(b"<SOPS:")
        && text.len() > 70
        && text[6..70].iter().all(u8::is_ascii_hexdigit)
        && ends.iter().any(|end| text[70..].starts_with(end))
}

/// What is quoted reads back as what it was.
fn quoted(bytes: &[u8]) {
    let mut out = Output::with_capacity(0);
    match Quoting::Json.write(bytes, &mut out) {
        Ok(()) => {
            let read: String = serde_json::from_slice(out.into_secret().expose()).unwrap();
            assert!(read.as_bytes() == bytes);
        }
        Err(_) => assert!(std::str::from_utf8(bytes).is_err()),
    }
    let mut out = Output::with_capacity(0);
    match Quoting::Shell.write(bytes, &mut out) {
        Ok(()) => assert!(shell_word(out.into_secret().expose()).as_deref() == Some(bytes)),
        Err(_) => assert!(bytes.contains(&0)),
    }
}

/// One word as a POSIX shell reads it: single quotes, and a backslash outside of them.
fn shell_word(text: &[u8]) -> Option<Vec<u8>> {
    let mut word = Vec::new();
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\'' => loop {
                match bytes.next()? {
                    b'\'' => break,
                    inside => word.push(*inside),
                }
            },
            b'\\' => word.push(*bytes.next()?),
            _ => return None,
        }
    }
    Some(word)
}
