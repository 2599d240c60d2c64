//! What is left in the program's memory when it ends: nothing of a secret, of a data key or of a private key.
//!
//! The program is stopped in its last moment, after everything that it does and before the kernel takes its memory, and
//! all of that is searched, for any twelve bytes in a row of what must not be there.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::json;
use sha2::{Digest as _, Sha512};
use sops_activate::keys::{Keyring, Sources};
use sops_activate::secret::SecretBytes;
use sops_activate::sops::data_key::recover;
use sops_activate::sops::document::Document;
use sops_activate::sops::format::Format;

use crate::machine::{Machine, PROGRAM, repository, text};
use crate::seal;

/// Bytes in a row that are no coincidence.
const WINDOW: usize = 12;
const PAGE: usize = 4096;

/// A part of the program's memory: what the kernel calls it, and what is in it.
struct Region {
    name: String,
    bytes: Vec<u8>,
}

/// Where to stop the program.
#[derive(Clone, Copy)]
enum Moment {
    /// Everything is done; only the kernel is still to clear away.
    End,
    /// Before a call with this number, if what is in memory is what is looked for.
    Call(libc::c_long, &'static [&'static str]),
}

/// How the program ended, and what was in its memory then; without an exit code it was stopped earlier.
struct Stopped {
    code: Option<i64>,
    regions: Vec<Region>,
    said: String,
}

/// Runs the program until that moment, and kills it then.
fn run_until(moment: Moment, marked: &Marked, program: &str, command: &Command) -> Stopped {
    // It waits for us before it becomes the program.
    let mut waiting = Command::new("/bin/sh");
    waiting.args(["-c", "kill -STOP $$; exec \"$0\" \"$@\"", program]).args(command.get_args()).env_clear();
    waiting.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    waiting.current_dir(command.get_current_dir().unwrap());
    let log = tempfile::NamedTempFile::new().unwrap();
    waiting.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.reopen().unwrap());
    let mut child = waiting.spawn().unwrap();
    let pid = Pid::from_raw(child.id().cast_signed());
    assert!(matches!(waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap(), WaitStatus::Stopped(..)));
    let options = Options::PTRACE_O_TRACEEXIT | Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL;
    ptrace::seize(pid, options).unwrap();
    kill(pid, Signal::SIGCONT).unwrap();
    // Every call is seen twice, before and after it.
    let code = loop {
        match waitpid(pid, Some(WaitPidFlag::__WALL)).unwrap() {
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXIT) => {
                break Some(ptrace::getevent(pid).unwrap() >> 8);
            }
            WaitStatus::PtraceSyscall(_) => {
                let info = ptrace::syscall_info(pid).unwrap();
                if let Moment::Call(wanted, names) = moment
                    && info.op == libc::PTRACE_SYSCALL_INFO_ENTRY
                    && number(pid) == Some(wanted)
                {
                    let found = marked.find(&read_memory(pid));
                    if names.iter().all(|name| found.iter().any(|found| found.starts_with(name))) {
                        break None;
                    }
                }
            }
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => panic!("it was not stopped"),
            _ => {}
        }
        match moment {
            Moment::End => ptrace::cont(pid, None),
            Moment::Call(..) => ptrace::syscall(pid, None),
        }
        .unwrap();
    };
    let regions = read_memory(pid);
    kill(pid, Signal::SIGKILL).unwrap();
    // At its end, it has to be told to go on with it.
    ptrace::cont(pid, None).ok();
    child.wait().unwrap();
    Stopped { code, regions, said: fs::read_to_string(log.path()).unwrap() }
}

/// The number of the call before which the process stands.
#[cfg(target_arch = "x86_64")]
fn number(pid: Pid) -> Option<libc::c_long> {
    i64::try_from(ptrace::getregs(pid).unwrap().orig_rax).ok()
}

#[cfg(target_arch = "aarch64")]
fn number(pid: Pid) -> Option<libc::c_long> {
    i64::try_from(ptrace::getregs(pid).unwrap().regs[8]).ok()
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn number(_: Pid) -> Option<libc::c_long> {
    None
}

fn read_memory(pid: Pid) -> Vec<Region> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut regions = Vec::new();
    for line in maps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let name = words.get(5).copied().unwrap_or("anonymous");
        // Nothing of ours can be in what is the same as a file, or in the kernel's own pages.
        if !words[1].starts_with("rw") {
            continue;
        }
        let (start, end) = words[0].split_once('-').unwrap();
        let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        memory.seek(SeekFrom::Start(start)).unwrap();
        memory.read_exact(&mut bytes).unwrap();
        regions.push(Region { name: name.to_owned(), bytes });
    }
    assert!(regions.iter().any(|region| region.name == "[stack]"));
    regions
}

/// What must not be found, by name.
#[derive(Default)]
struct Marked {
    windows: HashMap<[u8; WINDOW], String>,
}

impl Marked {
    fn add(&mut self, name: &str, bytes: &[u8]) {
        assert!(bytes.len() >= WINDOW, "{name} is too short to be found");
        for window in bytes.windows(WINDOW) {
            self.windows.entry(window.try_into().unwrap()).or_insert_with(|| name.to_owned());
        }
    }

    /// A number that a library may have in words of its own order.
    fn add_number(&mut self, name: &str, bytes: &[u8]) {
        self.add(name, bytes);
        let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
        self.add(&format!("{name}, least significant byte first"), &reversed);
    }

    /// The private part of an OpenSSH or PEM key file: each line, what it encodes, and the numbers.
    fn add_ssh_key(&mut self, name: &str, path: &str) {
        let file = text(path);
        let key = ssh_key::PrivateKey::from_openssh(&file).unwrap();
        // In the file the public key comes first, and once more within the private part.
        let body: String = file.lines().filter(|line| !line.starts_with('-')).collect();
        match key.key_data() {
            ssh_key::private::KeypairData::Ed25519(pair) => {
                let seed = pair.private.to_bytes();
                self.add(&format!("{name}: seed"), &seed);
                let hash = Sha512::digest(seed);
                let mut clamped = hash[..32].to_vec();
                self.add(&format!("{name}: hash of the seed"), &hash);
                clamped[0] &= 0b1111_1000;
                clamped[31] = clamped[31] & 0b0011_1111 | 0b0100_0000;
                self.add(&format!("{name}: scalar"), &clamped);
                let bytes = STANDARD.decode(&body).unwrap();
                let at = memchr::memmem::find(&bytes, &seed).unwrap();
                self.add(&format!("{name}: base64"), &body.as_bytes()[at.div_ceil(3) * 4..(at + 32) / 3 * 4]);
            }
            ssh_key::private::KeypairData::Rsa(pair) => {
                for (part, number) in [("d", &pair.private.d), ("p", &pair.private.p), ("q", &pair.private.q)]
                {
                    self.add_number(&format!("{name}: {part}"), number.as_positive_bytes().unwrap());
                    let bytes = STANDARD.decode(&body).unwrap();
                    let at = memchr::memmem::find(&bytes, number.as_positive_bytes().unwrap()).unwrap();
                    let end = at + number.as_positive_bytes().unwrap().len();
                    self.add(&format!("{name}: base64"), &body.as_bytes()[at.div_ceil(3) * 4..end / 3 * 4]);
                }
            }
            _ => panic!("{path}"),
        }
    }

    fn add_age_key(&mut self, name: &str, path: &str) {
        for line in text(path).lines().filter(|line| line.starts_with("AGE-SECRET-KEY-")) {
            let (prefix, _) = line.rsplit_once("-1").unwrap();
            self.add(&format!("{name}: text"), &line.as_bytes()[prefix.len() + 2..]);
            let (_, seed) = bech32::decode(line).unwrap();
            self.add(&format!("{name}: seed"), &seed);
        }
    }

    /// What of it is there, and where.
    fn find(&self, regions: &[Region]) -> BTreeSet<String> {
        let first_bytes = |window: &[u8]| usize::from(u16::from_ne_bytes([window[0], window[1]]));
        let mut starts = vec![false; 1 << 16];
        for window in self.windows.keys() {
            starts[first_bytes(window)] = true;
        }
        let mut found = BTreeSet::new();
        for Region { name, bytes } in regions {
            for page in (0..bytes.len()).step_by(PAGE) {
                let end = bytes.len().min(page + PAGE + WINDOW - 1);
                // Most of it was never used.
                if bytes[page..end].iter().all(|byte| *byte == 0) {
                    continue;
                }
                let candidates =
                    bytes[page..end].windows(WINDOW).filter(|window| starts[first_bytes(window)]);
                let marked = candidates.filter_map(|window| self.windows.get(window));
                found.extend(marked.map(|what| format!("{what}, in {name}")));
            }
        }
        found
    }
}

const KEY: [u8; 32] = *b"\x91MARKER data key, 32 bytes long\x07";
const VALUE: &str = "MARKER+value/of(a)secret-0123456789";
const TYPED: &str = "8172635481726354";
const COMMENT: &str = "MARKER=comment.that.is.encrypted.too";

/// A file of each format, sealed with [`KEY`] for `recipient`, and the values marked.
fn sealed(format: Format, armor: &str) -> String {
    let string = |aad: &str| seal::seal(&KEY, aad, "str", VALUE.as_bytes());
    let (body, hashed) = match format {
        Format::Yaml => (
            format!(
                "#{}\nvalue: {}\nnumber: {}\n",
                seal::seal(&KEY, ":", "comment", COMMENT.as_bytes()),
                string("value:"),
                seal::seal(&KEY, "number:", "int", TYPED.as_bytes())
            ),
            format!("{VALUE}{TYPED}"),
        ),
        Format::Json => (format!("\"value\": \"{}\"", string("value:")), VALUE.to_owned()),
        Format::Binary => (format!("\"data\": \"{}\"", string("data:")), VALUE.to_owned()),
        Format::Dotenv => (format!("value={}\n", string("value:")), VALUE.to_owned()),
        Format::Ini => (format!("[a]\nvalue = {}\n", string("a:value:")), VALUE.to_owned()),
    };
    let mac =
        seal::seal(&KEY, seal::LAST_MODIFIED, "str", format!("{:X}", Sha512::digest(hashed)).as_bytes());
    let file = seal::File::new(format, body, "").text_field("mac", &mac);
    if matches!(format, Format::Dotenv | Format::Ini) {
        file.field("age__list_0__map_enc", armor.replace('\n', "\\n")).text()
    } else {
        let armor = serde_json::to_string(armor).unwrap();
        file.field("age", format!("[{{\"recipient\": \"age1test\", \"enc\": {armor}}}]")).text()
    }
}

fn armor(recipient: &dyn age::Recipient) -> String {
    use std::io::Write as _;
    let encryptor = age::Encryptor::with_recipients([recipient].into_iter()).unwrap();
    let mut text = Vec::new();
    let armored = age::armor::ArmoredWriter::wrap_output(&mut text, age::armor::Format::AsciiArmor).unwrap();
    let mut writer = encryptor.wrap_output(armored).unwrap();
    writer.write_all(&KEY).unwrap();
    writer.finish().unwrap().finish().unwrap();
    String::from_utf8(text).unwrap()
}

/// A machine with secrets of every format, which `keys` open, and what must not be in memory in the end.
fn machine(armor: &str, keys: &serde_json::Value, copies: usize) -> (Machine, Marked) {
    let machine = Machine::new();
    let mut marked = Marked::default();
    marked.add("data key", &KEY);
    marked.add("value", VALUE.as_bytes());
    marked.add("number", TYPED.as_bytes());
    marked.add("comment", COMMENT.as_bytes());
    let mut secrets = Vec::new();
    let mut placeholders = serde_json::Map::new();
    for format in [Format::Yaml, Format::Json, Format::Binary, Format::Dotenv, Format::Ini] {
        let format_name = format.name();
        for copy in 0..copies {
            let file = format!("{format_name}-{copy}");
            machine.write(&file, sealed(format, armor));
            let keys: &[&str] =
                if matches!(format, Format::Yaml | Format::Json) { &["", "value"] } else { &[""] };
            for key in keys {
                let name = format!("{file}-{key}");
                placeholders.insert(name.clone(), format!("<{name}>").into());
                secrets.push(json!({"name": name, "key": key, "mode": "0400", "sopsFile": format!("DIR/{file}"), "format": format_name}));
            }
        }
    }
    secrets[0]["path"] = "DIR/copies/a".into();
    secrets[0]["installMode"] = "copy".into();
    let template = json!({"name": "t", "content": "a <yaml-0-value> b <json-1-> c", "mode": "0400"});
    let mut manifest =
        json!({"secrets": secrets, "templates": [template], "placeholderBySecretName": placeholders});
    for (name, value) in keys.as_object().unwrap() {
        manifest[name] = value.clone();
    }
    machine.manifest(manifest);
    (machine, marked)
}

/// Enough files for more than one thread.
const COPIES: usize = 4;

fn ed25519(copies: usize) -> (Machine, Marked) {
    let recipient: age::x25519::Recipient = text("fixtures/keys/host_ed25519.age").trim().parse().unwrap();
    let (machine, mut marked) = machine(&armor(&recipient), &json!({"ageSshKeyPaths": ["DIR/host"]}), copies);
    machine.copy("fixtures/keys/host_ed25519", "host");
    marked.add_ssh_key("host key", "fixtures/keys/host_ed25519");
    (machine, marked)
}

/// None without the right to look into the program, which is root's alone.
fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: not root");
    }
    root
}

#[track_caller]
fn assert_nothing_is_left(machine: &Machine, marked: &Marked, code: i64) {
    let command = machine.command("sops-activate", &["DIR/manifest.json"]);
    let stopped = run_until(Moment::End, marked, PROGRAM, &command);
    assert_eq!(stopped.code, Some(code), "{}", stopped.said);
    let found = marked.find(&stopped.regions);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nothing_of_a_secret_or_of_an_ed25519_host_key_is_left_in_memory() {
    if is_root() {
        let (machine, marked) = ed25519(COPIES);
        assert_nothing_is_left(&machine, &marked, 0);
        assert!(fs::read_to_string(machine.path("copies/a")).unwrap().contains(VALUE));
        // Nor of a run that finds everything as it is to be, and compares it.
        assert_nothing_is_left(&machine, &marked, 0);
    }
}

#[test]
fn nothing_is_left_in_memory_of_what_failed() {
    if !is_root() {
        return;
    }
    let (machine, marked) = ed25519(COPIES);
    for file in ["yaml-0", "json-0", "binary-0", "dotenv-0", "ini-0"] {
        let text = fs::read_to_string(machine.path(file)).unwrap();
        // Every value opens, and the MAC is of something else.
        machine.write(file, text.replace(seal::LAST_MODIFIED, "2024-01-02T03:04:06Z"));
    }
    let whole = fs::read_to_string(machine.path("yaml-1")).unwrap();
    machine.write("yaml-1", whole.replacen("type:int", "type:float", 1));
    let whole = fs::read_to_string(machine.path("json-1")).unwrap();
    machine.write("json-1", whole.replacen("tag:", "tag:AA", 1));
    assert_nothing_is_left(&machine, &marked, 1);
}

#[test]
fn nothing_of_an_age_key_is_left_in_memory() {
    if is_root() {
        let line = text("fixtures/keys/age.txt");
        let recipient = line.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
        let recipient: age::x25519::Recipient = recipient.parse().unwrap();
        let (machine, mut marked) =
            machine(&armor(&recipient), &json!({"ageKeyFile": "DIR/age.txt"}), COPIES);
        machine.copy("fixtures/keys/age.txt", "age.txt");
        marked.add_age_key("age key", "fixtures/keys/age.txt");
        assert_nothing_is_left(&machine, &marked, 0);
    }
}

/// The data key of a fixture.
fn data_key(file: &str, sources: &Sources) -> Vec<u8> {
    let source = SecretBytes::from(text(file).as_bytes());
    let document = Document::parse(Format::Yaml, source).ok().unwrap();
    let metadata = document.metadata();
    let key = recover(&metadata.groups, metadata.threshold, &Keyring::collect(sources)).ok().unwrap();
    key.expose().to_vec()
}

#[test]
fn nothing_of_other_keys_is_left_in_memory() {
    if !is_root() {
        return;
    }
    let rsa = vec![repository("tests/fixtures/keys/host_rsa")];
    let post_quantum = Some(repository("tests/fixtures/keys/age-pq.txt"));
    for (is_built_in, file, sources, keys) in [
        (
            cfg!(feature = "age-ssh"),
            "ssh-rsa.yaml",
            Sources { age_ssh_key_paths: rsa.clone(), ..Sources::default() },
            json!({"ageSshKeyPaths": ["DIR/key"]}),
        ),
        (
            cfg!(feature = "pgp"),
            "host-rsa-aes256.yaml",
            Sources { ssh_key_paths: rsa, ..Sources::default() },
            json!({"sshKeyPaths": ["DIR/key"]}),
        ),
        (
            cfg!(feature = "age-pq"),
            "age-pq.yaml",
            Sources { age_key_file: post_quantum, ..Sources::default() },
            json!({"ageKeyFile": "DIR/key"}),
        ),
    ] {
        if !is_built_in {
            continue;
        }
        let machine = Machine::new();
        let mut marked = Marked::default();
        if file == "age-pq.yaml" {
            machine.copy("fixtures/keys/age-pq.txt", "key");
            marked.add_age_key("post-quantum key", "fixtures/keys/age-pq.txt");
        } else {
            machine.copy("fixtures/keys/host_rsa", "key");
            marked.add_ssh_key("RSA key", "fixtures/keys/host_rsa");
        }
        let path = format!("fixtures/recipients/{file}");
        machine.copy(&path, "secrets");
        marked.add("data key", &data_key(&path, &sources));
        marked.add("value", b"nothing to see");
        let secret = json!({"name": "a", "key": "", "mode": "0400", "sopsFile": "DIR/secrets"});
        let mut manifest = json!({"secrets": [secret]});
        for (name, value) in keys.as_object().unwrap() {
            manifest[name] = value.clone();
        }
        machine.manifest(manifest);
        eprintln!("{file}");
        assert_nothing_is_left(&machine, &marked, 0);
    }
}

/// What the tests above rely on.
#[test]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn the_search_finds_secrets_and_keys_while_they_are_used() {
    if !is_root() {
        return;
    }
    let (machine, marked) = ed25519(1);
    let command = machine.command("sops-activate", &["DIR/manifest.json"]);
    // Sops files are opened when the key is there, and the link is made while all values are, on the heap of the thread
    // that decrypted them.
    for (call, names) in [
        (libc::SYS_openat, &["host key: hash of the seed, in [heap]"][..]),
        (libc::SYS_symlinkat, &["value, in ", "number, in ", "comment, in "]),
    ] {
        let stopped = run_until(Moment::Call(call, names), &marked, PROGRAM, &command);
        assert_eq!(stopped.code, None, "it ended, and {names:?} was not found: {}", stopped.said);
    }
}

/// The same without wiping: `cargo test --test it memory -- --ignored`
#[test]
#[ignore = "builds the library once more"]
fn without_wiping_the_search_finds_secrets_and_keys_in_the_end() {
    if !is_root() {
        return;
    }
    let built = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--features=unwiped", "--example=unwiped"])
        .current_dir(repository(""))
        .status();
    assert!(built.unwrap().success());
    let program = Path::new(PROGRAM).with_file_name("examples/unwiped");
    let (machine, marked) = ed25519(COPIES);
    let command = machine.command("sops-activate", &["DIR/manifest.json"]);
    let stopped = run_until(Moment::End, &marked, program.to_str().unwrap(), &command);
    assert_eq!(stopped.code, Some(0), "{}", stopped.said);
    let found = marked.find(&stopped.regions);
    eprintln!("{found:#?}");
    for what in ["value", "number", "comment", "data key", "host key"] {
        assert!(found.iter().any(|found| found.starts_with(what)), "no {what} in {found:#?}");
    }
}
