//! The command line of the tools: `sops-activate TOOL …`.
//!
//! Flags are written as everywhere in this program, with one dash or two and `-name value` or `-name=value`, but may
//! stand on either side of the other arguments.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use super::{Misuse, boolean};
use crate::sops::format::Format;

/// What a tool was asked to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Tool {
    Doctor(Doctor),
    Recipient {
        keys: Vec<OsString>,
        json: bool,
    },
    Status {
        manifest: Option<PathBuf>,
        json: bool,
    },
    Decrypt(Decrypt),
    /// What it can be asked.
    Help(&'static Spec),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Doctor {
    pub manifest: PathBuf,
    /// A public key, or a file of public keys, for each host. Empty: this machine is examined.
    pub host_keys: Vec<OsString>,
    pub ignore_passwd: bool,
    pub json: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decrypt {
    pub file: PathBuf,
    /// None: what the file's name says.
    pub format: Option<Format>,
    pub extract: Option<String>,
    pub key_file: Option<PathBuf>,
    pub ssh_keys: Vec<PathBuf>,
    pub json: bool,
}

/// A tool's name, flags and help. The man page and the completions are held against it.
#[derive(Debug, PartialEq, Eq)]
pub struct Spec {
    pub name: &'static str,
    pub about: &'static str,
    pub flags: &'static [Flag],
    pub usage: &'static str,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Flag {
    pub name: &'static str,
    pub takes_value: bool,
}

const fn switch(name: &'static str) -> Flag {
    Flag { name, takes_value: false }
}

const fn value(name: &'static str) -> Flag {
    Flag { name, takes_value: true }
}

/// Every tool there is.
pub const TOOLS: [Spec; 4] = [
    Spec {
        name: "doctor",
        about: "say what is wrong with a machine's secrets, and what to do",
        flags: &[value("host-key"), switch("ignore-passwd"), switch("json"), switch("help")],
        usage: "\
usage: sops-activate doctor [--host-key=KEY]... [--ignore-passwd] [--json] MANIFEST

Examines every file of the manifest and what this machine has to open and place it: keys, recipients, values,
owners, the store, the live generation, links. Looks for keys as the unit does that installs the manifest, if there is
one. Changes nothing and prints no value. The last line is the thing to do. Exit status: 0 healthy, 1 something is wrong.

  --host-key=KEY   examine no machine, but say which files a host with this key could open; KEY is a public key
                   (ssh-ed25519 AAAA..., ssh-rsa AAAA..., age1..., an OpenPGP fingerprint) or a file of them, such
                   as ssh_host_ed25519_key.pub or the output of ssh-keyscan. Give it once for each host
  --ignore-passwd  look up no users and groups, as the activation of such a manifest
  --json           print JSON instead
  -h, --help       print this text
",
    },
    Spec {
        name: "recipient",
        about: "print every recipient that a key is",
        flags: &[switch("json"), switch("help")],
        usage: "\
usage: sops-activate recipient [--json] KEY...

Prints what can stand in .sops.yaml for a key, the preferred form first. KEY is a file (a private or public ssh
key, the output of ssh-keyscan, age identities), - for standard input, or a public key itself. Private keys are read
from files and standard input only, and never printed. Exit status: 1 if a KEY gave no recipient.

  --json      print JSON instead
  -h, --help  print this text
",
    },
    Spec {
        name: "status",
        about: "say which generation is live, and what is in it",
        flags: &[switch("json"), switch("help")],
        usage: "\
usage: sops-activate status [--json] [MANIFEST]

Prints the live generation, when and by which manifest it was made, what it lies on, and its files with mode, owner
and group; never their content or size. Without MANIFEST, for /run/secrets and /run/secrets-for-users.
Exit status: 1 if no generation is live.

  --json      print JSON instead
  -h, --help  print this text
",
    },
    Spec {
        name: "decrypt",
        about: "print one sops file, or one value of it, decrypted",
        flags: &[
            value("format"),
            value("extract"),
            value("key-file"),
            value("ssh-key"),
            switch("json"),
            switch("help"),
        ],
        usage: "\
usage: sops-activate decrypt [--format=FORMAT] [--extract=KEY] [--key-file=PATH] [--ssh-key=PATH]... [--json] FILE

Prints the file as `sops decrypt` does, after its MAC was verified. Tries the keys that are named here and in the
environment (SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, ...); as root those in /etc/ssh, as another user those in
$XDG_CONFIG_HOME/sops/age and ~/.ssh.

  --format=FORMAT  yaml, json, binary, dotenv or ini; without it, what the file's name says
  --extract=KEY    print one value; KEY is written as the `key` of a secret: database/password
  --key-file=PATH  a file of age identities
  --ssh-key=PATH   a private ssh key; may be given more than once
  --json           print JSON instead, with the content as a text: in base64 where it is not UTF-8
  -h, --help       print this text
",
    },
];

impl Spec {
    /// The tool of this name.
    pub fn named(name: &OsStr) -> Option<&'static Self> {
        TOOLS.iter().find(|tool| tool.name == name)
    }

    /// Reads the arguments that follow the tool's name.
    ///
    /// # Errors
    /// When they are not as its usage says.
    pub fn parse(&'static self, arguments: impl Iterator<Item = OsString>) -> Result<Tool, Misuse> {
        let Some(given) = self.collect(arguments)? else { return Ok(Tool::Help(self)) };
        match self.name {
            "doctor" => given.doctor(),
            "recipient" if given.positional.is_empty() => Err(Misuse::Missing("KEY")),
            "recipient" => Ok(Tool::Recipient { json: given.is_set("json"), keys: given.positional }),
            "status" => {
                let json = given.is_set("json");
                Ok(Tool::Status { manifest: given.at_most_one()?.map(PathBuf::from), json })
            }
            _ => given.decrypt(),
        }
    }

    /// None when help is asked for.
    fn collect(
        &'static self,
        mut arguments: impl Iterator<Item = OsString>,
    ) -> Result<Option<Given>, Misuse> {
        let mut given = Given::default();
        while let Some(argument) = arguments.next() {
            let bytes = argument.as_bytes();
            if bytes == b"--" {
                given.positional.extend(arguments);
                break;
            }
            let Some(text) = bytes.strip_prefix(b"-").filter(|text| !text.is_empty()) else {
                given.positional.push(argument);
                continue;
            };
            let text = text.strip_prefix(b"-").unwrap_or(text);
            let (name, value) = match text.iter().position(|byte| *byte == b'=') {
                Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..).map(<[u8]>::to_vec)),
                None => (text, None),
            };
            let name = if name == b"h" { b"help" } else { name };
            let Some(flag) = self.flags.iter().find(|flag| flag.name.as_bytes() == name) else {
                return Err(Misuse::UnknownFlag(argument.to_string_lossy().into_owned()));
            };
            let value = value.map(OsString::from_vec);
            if flag.takes_value {
                let value = value.or_else(|| arguments.next()).ok_or(Misuse::NoValue(flag.name))?;
                given.values.push((flag.name, value));
            } else if boolean(flag.name, value.map(|value| value.to_string_lossy().into_owned()))? {
                if flag.name == "help" {
                    return Ok(None);
                }
                given.switches.push(flag.name);
            }
        }
        Ok(Some(given))
    }
}

/// The arguments, apart and not judged yet.
#[derive(Default)]
struct Given {
    positional: Vec<OsString>,
    switches: Vec<&'static str>,
    values: Vec<(&'static str, OsString)>,
}

impl Given {
    fn doctor(self) -> Result<Tool, Misuse> {
        Ok(Tool::Doctor(Doctor {
            host_keys: self.values_of("host-key").map(OsStr::to_owned).collect(),
            ignore_passwd: self.is_set("ignore-passwd"),
            json: self.is_set("json"),
            manifest: self.at_most_one()?.ok_or(Misuse::NoManifest)?.into(),
        }))
    }

    fn decrypt(self) -> Result<Tool, Misuse> {
        let text = |value: &OsStr| value.to_string_lossy().into_owned();
        let format = match self.values_of("format").last() {
            None => None,
            Some(name) => Some(
                Format::named(&text(name))
                    .ok_or_else(|| Misuse::BadValue { flag: "format", value: text(name) })?,
            ),
        };
        Ok(Tool::Decrypt(Decrypt {
            format,
            extract: self.values_of("extract").last().map(text),
            key_file: self.values_of("key-file").last().map(PathBuf::from),
            ssh_keys: self.values_of("ssh-key").map(PathBuf::from).collect(),
            json: self.is_set("json"),
            file: self.at_most_one()?.ok_or(Misuse::Missing("FILE"))?.into(),
        }))
    }

    fn is_set(&self, name: &str) -> bool {
        self.switches.contains(&name)
    }

    fn values_of(&self, name: &'static str) -> impl Iterator<Item = &OsStr> {
        self.values.iter().filter(move |(flag, _)| *flag == name).map(|(_, value)| value.as_os_str())
    }

    fn at_most_one(self) -> Result<Option<OsString>, Misuse> {
        let mut rest = self.positional.into_iter();
        let first = rest.next().filter(|first| !first.is_empty());
        match rest.next() {
            Some(further) => Err(Misuse::Superfluous(further.to_string_lossy().into_owned())),
            None => Ok(first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Tool, Misuse> {
        let spec = Spec::named(OsStr::new(line[0])).unwrap();
        spec.parse(line[1..].iter().map(OsString::from))
    }

    #[test]
    fn flags_may_stand_on_either_side_with_one_dash_or_two() {
        let doctor = |host_keys: &[&str], json| {
            Ok(Tool::Doctor(Doctor {
                manifest: "m.json".into(),
                host_keys: host_keys.iter().map(OsString::from).collect(),
                ignore_passwd: false,
                json,
            }))
        };
        assert_eq!(parse(&["doctor", "m.json"]), doctor(&[], false));
        assert_eq!(parse(&["doctor", "m.json", "-json"]), doctor(&[], true));
        assert_eq!(
            parse(&["doctor", "--host-key", "ssh-ed25519 A", "m.json", "-host-key=age1x=", "--json=true"]),
            doctor(&["ssh-ed25519 A", "age1x="], true)
        );
        assert_eq!(parse(&["status", "--json"]), Ok(Tool::Status { manifest: None, json: true }));
        assert_eq!(
            parse(&["recipient", "-", "--", "-x"]),
            Ok(Tool::Recipient { keys: vec!["-".into(), "-x".into()], json: false })
        );
        assert_eq!(
            parse(&["decrypt", "--format=json", "--extract", "a/b", "f", "--ssh-key=k", "--ssh-key=l"]),
            Ok(Tool::Decrypt(Decrypt {
                file: "f".into(),
                format: Some(Format::Json),
                extract: Some("a/b".into()),
                key_file: None,
                ssh_keys: vec!["k".into(), "l".into()],
                json: false,
            }))
        );
    }

    #[test]
    fn misuse_is_named() {
        for (line, error) in [
            (&["doctor"][..], Misuse::NoManifest),
            (&["doctor", ""], Misuse::NoManifest),
            (&["doctor", "a", "b"], Misuse::Superfluous("b".into())),
            (&["doctor", "a", "--host-key"], Misuse::NoValue("host-key")),
            (&["status", "--extract=x"], Misuse::UnknownFlag("--extract=x".into())),
            (&["recipient"], Misuse::Missing("KEY")),
            (&["decrypt"], Misuse::Missing("FILE")),
            (&["decrypt", "-format=xml", "f"], Misuse::BadValue { flag: "format", value: "xml".into() }),
            (&["status", "--json=maybe"], Misuse::BadValue { flag: "json", value: "maybe".into() }),
        ] {
            assert_eq!(parse(line), Err(error), "{line:?}");
        }
    }

    #[test]
    fn every_tool_has_help_that_names_each_of_its_flags() {
        for tool in &TOOLS {
            for flag in ["-h", "--help", "-help"] {
                assert_eq!(parse(&[tool.name, flag]), Ok(Tool::Help(tool)));
            }
            for flag in tool.flags {
                assert!(tool.usage.contains(&format!("--{}", flag.name)), "{} {}", tool.name, flag.name);
            }
        }
    }
}
