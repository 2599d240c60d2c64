//! Identities that another program holds, `AGE-PLUGIN-NAME-1…`: a hardware token, a TPM, a key service.
//!
//! Speaks the client's side of the age plugin protocol (identity-v1, C2SP age-plugin). The age crate's own client has no
//! limits, hands the whole environment on and may take programs from the current directory. Nobody is asked anything:
//! requests for a PIN or a confirmation are declined, messages go to the log.

use std::ffi::OsStr;
use std::sync::{Mutex, OnceLock, PoisonError};

use age_core::format::{FileKey, Stanza, read};
use age_core::primitives::bech32_decode;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use zeroize::{Zeroize as _, Zeroizing};

use super::source::{Source, Unusable};
use super::stanza::file_key;
use crate::secret::SecretBytes;
use crate::system::process::{self, Limits, ProcessError, Running, Surroundings};

const PREFIX: &str = "AGE-PLUGIN-";

/// Bytes that a plugin may have said without being understood.
const OUTPUT_LIMIT: usize = 64 << 10;

/// One identity, as it stands in an identity file.
pub struct PluginIdentity {
    plugin: String,
    text: SecretBytes,
}

impl PluginIdentity {
    /// Reads `AGE-PLUGIN-NAME-1…`.
    pub fn parse(word: &str) -> Result<Self, Unusable> {
        if cfg!(not(feature = "age-plugins")) {
            return Err(Unusable::PluginUnsupported);
        }
        let name = |hrp: bech32::Hrp| {
            let name = hrp.as_str().strip_prefix(PREFIX)?.strip_suffix('-')?.to_ascii_lowercase();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte);
            (!name.is_empty() && name.bytes().all(plain)).then_some(name)
        };
        let plugin = bech32_decode(word, |_| (), |_| Ok(()), |hrp, _| name(hrp).ok_or(()));
        let plugin = plugin.map_err(|()| Unusable::MalformedIdentity)?;
        Ok(Self { plugin, text: SecretBytes::from(word.as_bytes()) })
    }
}

/// A plugin, with all identities here that it holds.
pub struct Plugin {
    name: String,
    /// Where the first of them stands.
    source: Source,
    identities: Vec<SecretBytes>,
    /// A token serves one at a time.
    turn: Mutex<()>,
    /// Why it is not tried again: it hung, and would for every other file.
    given_up: OnceLock<String>,
}

impl Plugin {
    pub fn new(source: Source, identity: PluginIdentity) -> Self {
        Self {
            name: identity.plugin,
            source,
            identities: vec![identity.text],
            turn: Mutex::default(),
            given_up: OnceLock::new(),
        }
    }

    /// Takes an identity of the same plugin. Gives it back when it is another's.
    pub fn add(&mut self, identity: PluginIdentity) -> Option<PluginIdentity> {
        if identity.plugin != self.name {
            return Some(identity);
        }
        if !self.identities.iter().any(|held| held.expose() == identity.text.expose()) {
            self.identities.push(identity.text);
        }
        None
    }

    /// The file key, from whichever of `stanzas` the plugin opens.
    ///
    /// # Errors
    /// What the plugin says, or what is wrong with it. `None` when none of the stanzas is for it.
    pub fn open(&self, stanzas: &[Stanza], surroundings: &Surroundings) -> Result<FileKey, Option<String>> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = match self.given_up.get() {
            Some(reason) => reason.clone(),
            None => match self.ask(stanzas, surroundings) {
                Ok(key) => return Ok(key),
                Err(None) => return Err(None),
                Err(Some(reason)) => reason,
            },
        };
        Err(Some(format!("the age plugin '{}' ({}): {reason}", self.name, self.source)))
    }

    fn ask(&self, stanzas: &[Stanza], surroundings: &Surroundings) -> Result<FileKey, Option<String>> {
        let program = format!("age-plugin-{}", self.name);
        let path = surroundings.path();
        let found = process::find(OsStr::new(&program), path).ok_or_else(|| {
            format!("'{program}' was not found on PATH ('{}')", path.unwrap_or_default().display())
        })?;
        let limits = Limits { time: surroundings.time_limit, output: OUTPUT_LIMIT };
        let arguments = ["--age-plugin=identity-v1"];
        let told = |error: ProcessError| {
            let reason = error.to_string();
            if matches!(error, ProcessError::TimedOut { .. }) {
                // Only one thread at a time is here.
                let _ = self.given_up.set(reason.clone());
            }
            reason
        };
        let mut plugin =
            Running::start(&found, &arguments, &surroundings.environment, limits).map_err(told)?;
        plugin.send(&self.request(stanzas));
        let mut answers = Answers::default();
        loop {
            match next(&mut plugin).map_err(told)? {
                Reply::Stanza(stanza) if stanza.tag == "done" => break,
                Reply::Stanza(stanza) => {
                    let reply = answers.take(&self.name, stanza);
                    plugin.send(format!("-> {reply}\n\n").as_bytes());
                }
                Reply::Nonsense => {
                    return Err(Some("what it says is not the age plugin protocol".to_owned()));
                }
                Reply::End => {
                    let output = plugin.finish().map_err(told)?;
                    let said = process::last_line(&output.stderr);
                    let said = said.map(|line| format!(": {line}")).unwrap_or_default();
                    return answers
                        .key
                        .ok_or_else(|| Some(format!("it ended early ({}){said}", output.status)));
                }
            }
        }
        plugin.dismiss();
        answers.outcome()
    }

    /// Everything that a plugin is told: the identities, and the stanzas of one file.
    fn request(&self, stanzas: &[Stanza]) -> Zeroizing<Vec<u8>> {
        let size = |stanza: &Stanza| {
            let words = stanza.tag.len() + stanza.args.iter().map(|arg| arg.len() + 1).sum::<usize>();
            words + stanza.body.len() * 2 + 64
        };
        let identities: usize = self.identities.iter().map(|identity| identity.len() + 64).sum();
        // Enough for all of it: growing would leave copies of the identities behind.
        let mut out =
            Zeroizing::new(Vec::with_capacity(identities + stanzas.iter().map(size).sum::<usize>() + 64));
        for identity in &self.identities {
            out.extend_from_slice(b"-> add-identity ");
            out.extend_from_slice(identity.expose());
            out.extend_from_slice(b"\n\n");
        }
        for stanza in stanzas {
            out.extend_from_slice(b"-> recipient-stanza 0 ");
            out.extend_from_slice(stanza.tag.as_bytes());
            for argument in &stanza.args {
                out.push(b' ');
                out.extend_from_slice(argument.as_bytes());
            }
            out.push(b'\n');
            // Lines of 64 columns, the last one shorter, if need be empty.
            let body = BASE64_STANDARD_NO_PAD.encode(&stanza.body);
            for line in body.as_bytes().chunks(64) {
                out.extend_from_slice(line);
                out.push(b'\n');
            }
            if body.len() % 64 == 0 {
                out.push(b'\n');
            }
        }
        out.extend_from_slice(b"-> done\n\n");
        out
    }
}

enum Reply {
    Stanza(Stanza),
    Nonsense,
    End,
}

/// The next thing that the plugin says.
fn next(plugin: &mut Running) -> Result<Reply, ProcessError> {
    loop {
        let parsed = match read::age_stanza(plugin.received()) {
            Ok((rest, stanza)) => Ok((plugin.received().len() - rest.len(), Stanza::from(stanza))),
            Err(error) => Err(error.is_incomplete()),
        };
        match parsed {
            Ok((length, stanza)) => {
                plugin.take(length);
                return Ok(Reply::Stanza(stanza));
            }
            Err(true) if plugin.receive()? => {}
            Err(true) => return Ok(Reply::End),
            Err(false) => return Ok(Reply::Nonsense),
        }
    }
}

/// What a plugin said so far.
#[derive(Default)]
struct Answers {
    key: Option<FileKey>,
    errors: Vec<String>,
    /// Whether it wanted to ask somebody.
    asked: bool,
}

impl Answers {
    /// Takes one command, and says what to reply.
    fn take(&mut self, plugin: &str, mut stanza: Stanza) -> &'static str {
        let reply = match stanza.tag.as_str() {
            "file-key" => match file_key(&stanza.body) {
                Some(key) => {
                    self.key = Some(key);
                    "ok"
                }
                None => {
                    self.errors.push("its file key has a wrong length".into());
                    "fail"
                }
            },
            "error" => {
                self.errors.push(process::clean(&String::from_utf8_lossy(&stanza.body)));
                "ok"
            }
            "msg" => {
                let message = process::clean(&String::from_utf8_lossy(&stanza.body));
                tracing::info!("the age plugin '{plugin}' says: {message}");
                "ok"
            }
            "request-secret" | "request-public" | "confirm" => {
                self.asked = true;
                "fail"
            }
            _ => "unsupported",
        };
        stanza.body.zeroize();
        reply
    }

    fn outcome(mut self) -> Result<FileKey, Option<String>> {
        if self.asked {
            self.errors.insert(0, "it asks for a PIN or a confirmation, and nobody can answer".into());
        }
        match self.key {
            Some(key) => Ok(key),
            None if self.errors.is_empty() => Err(None),
            None => Err(Some(self.errors.join("; "))),
        }
    }
}

#[cfg(all(test, feature = "age-plugins"))]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_plugin_is_read_and_cannot_be_a_path() {
        let encode = |name: &str| {
            let hrp = bech32::Hrp::parse(&format!("age-plugin-{name}-")).unwrap();
            bech32::encode::<bech32::Bech32>(hrp, &[1, 2, 3]).unwrap().to_uppercase()
        };
        assert_eq!(PluginIdentity::parse(&encode("yubikey")).ok().unwrap().plugin, "yubikey");
        assert_eq!(PluginIdentity::parse(&encode("a-b_c.1+")).ok().unwrap().plugin, "a-b_c.1+");
        for name in ["", "../x", "a b", "a/b"] {
            let text = match name {
                "a b" => encode("ab").replace("AB", "A B"),
                name => encode(name),
            };
            assert_eq!(PluginIdentity::parse(&text).err(), Some(Unusable::MalformedIdentity), "{name}");
        }
        let damaged = encode("yubikey").replace("QY", "QQ");
        assert!(PluginIdentity::parse(&damaged).is_err());
    }

    #[test]
    fn stanzas_are_written_as_the_protocol_wants_them() {
        let identity = |text: &str| PluginIdentity { plugin: "p".into(), text: text.as_bytes().into() };
        let mut plugin = Plugin::new(Source::variable("X"), identity("AGE-PLUGIN-P-1A"));
        assert!(plugin.add(identity("AGE-PLUGIN-P-1A")).is_none());
        assert!(plugin.add(identity("AGE-PLUGIN-P-1B")).is_none());
        let stanza =
            |len: usize| Stanza { tag: "t".into(), args: vec!["x".into(), "y".into()], body: vec![0; len] };
        let request = plugin.request(&[stanza(0), stanza(48), stanza(49)]);
        let line = "A".repeat(64);
        assert_eq!(
            str::from_utf8(&request).unwrap(),
            format!(
                "-> add-identity AGE-PLUGIN-P-1A\n\n-> add-identity AGE-PLUGIN-P-1B\n\n\
                 -> recipient-stanza 0 t x y\n\n-> recipient-stanza 0 t x y\n{line}\n\n\
                 -> recipient-stanza 0 t x y\n{line}\nAA\n-> done\n\n"
            )
        );
    }
}
