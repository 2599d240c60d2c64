//! The command line against the rules of Go's `flag` package, written down once more.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use sops_activate::cli::{self, Arguments, Check, Command};

use super::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let mut arguments = Vec::new();
    while !input.is_empty() && arguments.len() < 64 {
        arguments.push(input.text().to_vec());
    }
    let parsed = cli::parse(arguments.iter().cloned().map(OsString::from_vec));
    if let Err(misuse) = &parsed {
        let message = misuse.to_string();
        assert!(!message.is_empty() && !message.contains(['\n', '\u{1b}', '\0']));
    }
    assert_eq!(parsed.ok(), go(&arguments));
}

/// `None` where Go, or the program behind it, refuses.
fn go(arguments: &[Vec<u8>]) -> Option<Command> {
    let (mut check, mut ignore_passwd) = (Check::Off, false);
    let mut rest = arguments;
    while let [first, after @ ..] = rest {
        if first.len() < 2 || first[0] != b'-' {
            break;
        }
        if first == b"--" {
            rest = after;
            break;
        }
        let name = if first[1] == b'-' { &first[2..] } else { &first[1..] };
        if name.is_empty() || name[0] == b'-' || name[0] == b'=' {
            return None;
        }
        rest = after;
        let (name, value) = match name.iter().skip(1).position(|byte| *byte == b'=') {
            Some(at) => (&name[..=at], Some(&name[at + 2..])),
            None => (name, None),
        };
        match name {
            b"h" | b"help" => return Some(Command::Help),
            b"version" if boolean(value)? => return Some(Command::Version),
            b"ignore-passwd" => ignore_passwd = boolean(value)?,
            b"check-mode" => {
                let value = match (value, rest) {
                    (Some(value), _) => value,
                    (None, [next, after @ ..]) => {
                        rest = after;
                        next
                    }
                    (None, []) => return None,
                };
                check = match value {
                    b"off" => Check::Off,
                    b"manifest" => Check::Manifest,
                    b"sopsfile" => Check::SopsFile,
                    _ => return None,
                };
            }
            // `-version=false` asks for nothing, and is refused here.
            _ => return None,
        }
    }
    match rest {
        [manifest] if !manifest.is_empty() => Some(Command::Install(Arguments {
            manifest: PathBuf::from(OsString::from_vec(manifest.clone())),
            check,
            ignore_passwd,
        })),
        _ => None,
    }
}

fn boolean(value: Option<&[u8]>) -> Option<bool> {
    match value {
        None | Some(b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True") => Some(true),
        Some(b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False") => Some(false),
        Some(_) => None,
    }
}
