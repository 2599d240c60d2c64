//! What somebody else may have written or arranged: files that are no files, bombs, numbers without end, a starved
//! process. Each ends within its bounds, by the kernel's word, with an error that says what is wrong with which file and
//! nothing of what is in it; and what was live before is live after.
//!
//! What else is hostile has its tests elsewhere: users who exchange directories while root works (`links`), programs that
//! hang, flood or ask the terminal (`gnupg`, `keys::tests::programs`, `system::process::tests`), readers that went away
//! and full outputs (`command`), killed runs (`store`, `crash`), limits of the parsers (`documents`).

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sops_activate::sops::format::Format;

use crate::machine::{self, PROGRAM, text};
use crate::seal;
use crate::server::{self, Answer, Machine, manifest, secret, with};

/// What no message may hold: it is in every hostile file that has room for it.
const MARKER: &str = "hunter2-hunter2";

/// Processor time for a run of the unoptimised program, in seconds. The optimised one takes a twentieth of it.
const SECONDS: u32 = 100;

/// Address space that a run may have, in bytes, beside what it may have for each byte of the file: as much as the limit
/// of values and comments allows at the smallest that they can be.
const MEMORY: usize = 192 << 20;
const MEMORY_FOR_A_BYTE: usize = 40;

/// People read it.
const LONGEST_MESSAGE: usize = 4096;

/// A machine with a live generation, whose only secret is then asked for from a hostile file.
struct Target {
    machine: machine::Machine,
    memory: usize,
}

impl Target {
    fn new(format: &str) -> Self {
        let target = Self { machine: machine::Machine::new(), memory: MEMORY };
        target.machine.copy("fixtures/recipients/ssh-to-age.yaml", "good.yaml");
        target.machine.copy("fixtures/keys/host_ed25519", "host_key");
        target.ask("good.yaml", "yaml");
        assert_eq!(target.run().0, Some(0));
        target.ask("hostile", format);
        target
    }

    fn ask(&self, file: &str, format: &str) {
        let file = format!("DIR/{file}");
        let secret = json!({"name": "a", "key": "", "mode": "0400", "sopsFile": file, "format": format});
        self.machine.manifest(json!({"secrets": [secret], "ageSshKeyPaths": ["DIR/host_key"]}));
    }

    /// The exit code, and what is said.
    fn run(&self) -> (Option<i32>, String) {
        self.limited(&[format!("--cpu={SECONDS}"), format!("--as={}", self.memory)])
    }

    fn limited(&self, limits: &[String]) -> (Option<i32>, String) {
        // Processor time does not pass while something is waited for.
        let mut command = Command::new("timeout");
        command
            .args(["--signal=KILL", "300", "prlimit", "--core=0"])
            .args(limits)
            .arg(PROGRAM)
            .arg(self.machine.path("manifest.json"));
        command.env_clear().env("HOME", self.machine.path("home"));
        command.env("XDG_RUNTIME_DIR", self.machine.path("run")).current_dir(self.machine.path(""));
        let Output { status, stderr, .. } = command.output().unwrap();
        (status.code(), String::from_utf8(stderr).unwrap())
    }

    fn assert_live(&self, what: &str) {
        let live = fs::read_to_string(self.machine.path("secrets/a")).unwrap();
        assert_eq!(live, text("fixtures/recipients/ssh-to-age.yaml.plain"), "{what}");
        let generations = fs::read_dir(self.machine.path("run/secrets.d")).unwrap();
        assert_eq!(generations.count(), 1, "{what}: a generation is left");
    }

    fn assert_refused(&self, what: &str, problem: &str) {
        let (code, said) = self.run();
        let shown: String = self.machine.anywhere(&said).chars().take(LONGEST_MESSAGE).collect();
        assert_eq!(code, Some(1), "{what}: {shown}");
        assert!(shown.contains(problem), "{what}: {shown}");
        assert!(shown.contains("DIR/hostile") && shown.contains("secret 'a'"), "{what}: {shown}");
        assert!(!said.contains(MARKER), "{what}: a value is shown: {shown}");
        assert!(said.len() < LONGEST_MESSAGE, "{what}: {} bytes are said: {shown}", said.len());
        self.assert_live(what);
    }
}

/// `content` in place of a sops file is refused for `problem`.
fn refused(format: Format, what: &str, content: impl AsRef<[u8]>, problem: &str) {
    let content = content.as_ref();
    let mut target = Target::new(format.name());
    target.memory += MEMORY_FOR_A_BYTE * content.len();
    target.machine.write("hostile", content);
    target.assert_refused(&format!("{}: {what}", format.name()), problem);
}

fn many(count: usize, text: impl Fn(usize) -> String) -> String {
    (0..count).map(text).collect::<Vec<_>>().concat()
}

#[test]
fn what_stands_in_place_of_a_file_is_named_and_neither_waited_for_nor_read() {
    let target = Target::new("yaml");
    let path = target.machine.path("hostile");
    let refused = |what: &str, problem: &str| {
        target.assert_refused(what, problem);
        if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) }.unwrap();
    };
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused("FIFO", "it is a FIFO, not a regular file");
    fs::create_dir(&path).unwrap();
    refused("directory", "it is a directory, not a regular file");
    let listener = UnixListener::bind(&path).unwrap();
    refused("socket", "it is a socket, not a regular file");
    drop(listener);
    for device in ["/dev/zero", "/dev/null", "/dev/tty"] {
        symlink(device, &path).unwrap();
        let problem = if device == "/dev/tty" { "DIR/hostile" } else { "it is a character device" };
        refused(device, problem);
    }
    symlink("hostile", &path).unwrap();
    refused("circle", "too many levels of symbolic links");
    symlink("/proc/version", &path).unwrap();
    refused("a file of the kernel", "it changed while it was read");
    for (size, problem) in [
        (10 << 30, "it has 10737418240 bytes, more than the 2147483648 that are read at most"),
        // Less than is read at most, and more than there is memory.
        (1 << 30, "out of memory"),
    ] {
        File::create(&path).unwrap().set_len(size).unwrap();
        refused("a large hole", problem);
    }
    fs::write(&path, " \n\t\n").unwrap();
    refused("blanks", "it is empty");
}

#[test]
fn yaml_bombs_end_within_their_bounds() {
    let yaml = |body: &str| seal::File::yaml(body, "").text();
    let refused = |what: &str, body: &str, problem: &str| refused(Format::Yaml, what, yaml(body), problem);
    let eight = |name: usize| vec![format!("*a{name}"); 8].join(", ");
    let aliases = many(60, |level| match level {
        0 => format!("a0: &a0 [{MARKER}]\n"),
        level => format!("a{level}: &a{level} [{}]\n", eight(level - 1)),
    });
    refused("aliases of aliases", &aliases, "the aliases of this file stand for too much");
    let merges = many(20_000, |level| match level {
        0 => format!("a0: &a0 {{x: {MARKER}}}\n"),
        level => format!("a{level}: &a{level} {{<<: *a{}}}\n", level - 1),
    });
    refused("merges of merges", &merges, "more than 256 levels of nesting");
    let deep = 100_000;
    for (what, open) in [("lists", "["), ("mappings", "{a: "), ("dashes", "- ")] {
        let body = format!("a:\n {}{MARKER}\n", open.repeat(deep));
        refused(&format!("deep {what}"), &body, "more than 256 levels of nesting");
    }
    let stairs = many(1500, |level| format!("{}a:\n", " ".repeat(level)));
    refused("deep indentation", &stairs, "more than 256 levels of nesting");
    refused("keys of keys", &format!("{}{MARKER}\n", "? ".repeat(deep)), "a key that is a list or a mapping");
    let limit = "more than 1000000 values and comments";
    refused("a million comments", &"#\n".repeat(1_000_001), limit);
    refused("a million keys", &many(1_000_000, |key| format!("k{key}: v\n")), limit);
    // Read, and refused for want of a key.
    for (what, body) in [
        ("a long number", format!("a: {}\n", "9".repeat(1_000_000))),
        ("a large exponent", "a: 1e999999999999\n".to_owned()),
        ("a number with gaps", format!("a: 0x{}\n", "f_".repeat(1_000_000))),
        ("documents", "a: b\n---\n".repeat(20_000)),
        ("anchors", many(20_000, |key| format!("k{key}: &b{key} v\n"))),
    ] {
        refused(what, &body, "DIR/hostile");
    }
}

#[test]
fn json_bombs_end_within_their_bounds() {
    let refused = |what: &str, body: &str, problem: &str| {
        refused(Format::Json, what, seal::File::json(body, "").text(), problem);
    };
    for open in ["[", "{\"a\":"] {
        let body = format!("\"a\": {}\"{MARKER}", open.repeat(100_000));
        refused("deep nesting", &body, "it is nested too deeply");
    }
    let items = format!("\"a\": [{}1]", "1,".repeat(1_000_001));
    refused("a million items", &items, "more than 1000000 values and comments");
    refused("a long number", &format!("\"a\": {}", "9".repeat(1_000_000)), "the number is out of range");
    refused("a large exponent", "\"a\": 1e999999999999", "the number is out of range");
    let escapes = format!("\"a\": \"{}\"", "\\ud83d\\ude00".repeat(100_000));
    refused("escapes", &escapes, "no key on this machine opens it");
}

#[test]
fn bombs_of_lines_end_within_their_bounds() {
    let flat = |format, body: String| seal::File::new(format, body, "").text();
    let lines = many(1_000_001, |key| format!("K{key}=v\n"));
    let limit = "more than 1000000 values and comments";
    refused(Format::Dotenv, "a million lines", flat(Format::Dotenv, lines), limit);
    let deep = format!("a={MARKER}\nsops_age{}=x\nsops_mac=x\n", "__map_a".repeat(100_000));
    refused(Format::Dotenv, "a deep name", deep, "has more than 256 levels");
    let index = format!("a={MARKER}\nsops_age__list_4294967295__map_enc=x\nsops_mac=x\n");
    refused(Format::Dotenv, "a large index", index, "DIR/hostile");
    let sections = many(100_000, |name| format!("[s{name}]\nk=v\n"));
    refused(Format::Ini, "sections", flat(Format::Ini, sections), "no key on this machine opens it");
    let continued = format!("[s]\nk={}\n", "a\\\n".repeat(100_000));
    refused(Format::Ini, "a value of many lines", flat(Format::Ini, continued), "no key on this machine");
    let open = format!("[s]\nk=\"\"\"{MARKER}{}", "a\n".repeat(100_000));
    refused(Format::Ini, "a quote without an end", flat(Format::Ini, open), "the quote is not closed");
}

/// An age file with these stanzas, in one line of JSON.
fn armored(stanzas: &str) -> String {
    let end = "A".repeat(43);
    let age = STANDARD.encode(format!("age-encryption.org/v1\n{stanzas}--- {end}\n"));
    let lines: Vec<&str> = age.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let (begin, end) = ("-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----");
    format!("{begin}\\n{}\\n{end}\\n", lines.join("\\n"))
}

#[test]
fn keys_without_end_are_refused_before_they_cost_anything() {
    let with_keys = |entries: &[String]| {
        seal::File::json(format!("\"a\": \"{MARKER}\""), "")
            .field("age", format!("[{}]", entries.join(",")))
            .text()
    };
    let entry = |armor: &str| seal::entry("age1test", armor);
    let body = "A".repeat(43);
    let stanza = format!("-> X25519 {body}\n{body}\n");
    let none = "no key on this machine opens it";
    let too_many = "more than 10000 keys that could open it, or more than 8 MiB of them";
    for (what, armor) in [
        ("a hundred thousand stanzas", stanza.repeat(100_000)),
        ("as many stanzas as fit", stanza.repeat(115)),
        ("a work factor of two to the 30", format!("-> scrypt AAAAAAAAAAAAAAAAAAAAAA 30\n{body}\n")),
        ("a work factor of two to the 64", format!("-> scrypt AAAAAAAAAAAAAAAAAAAAAA 64\n{body}\n")),
        ("a stanza of arguments", format!("-> X{}\n\n", " a".repeat(5000))),
    ] {
        let file = with_keys(&[entry(&armored(&armor))]);
        refused(Format::Json, what, file, if armor.len() > 8 << 20 { too_many } else { none });
    }
    refused(Format::Json, "keys", with_keys(&vec![entry("x"); 100_000]), too_many);
    refused(
        Format::Json,
        "large keys",
        with_keys(&vec![entry(&armored(&stanza.repeat(115))); 600]),
        too_many,
    );
    let groups = vec![format!("{{\"age\": [{}]}}", entry("x")); 5000];
    let groups = seal::File::json(format!("\"a\": \"{MARKER}\""), "")
        .without("age")
        .field("key_groups", format!("[{}]", groups.join(",")))
        .text();
    refused(Format::Json, "key groups", groups, "and 4984 more groups");
}

#[test]
fn regexes_that_are_slow_elsewhere_cost_nothing_here() {
    for (what, regex, problem) in [
        ("backtracking", "(a+)+$".to_owned(), "no key on this machine opens it"),
        ("repetitions", "((x{1000}){1000}){1000}".to_owned(), "it is too large when compiled"),
        ("classes", "\\p{L}".repeat(5000), "it is too large when compiled"),
        (
            "groups",
            format!("{}{}", "(".repeat(20_000), ")".repeat(20_000)),
            "it is not a valid regular expression",
        ),
        // A hundred bytes of memory for each.
        ("alternatives", "a|".repeat(1_000_000), "it has more than 65536 bytes"),
    ] {
        let key = "a".repeat(100_000);
        let file = seal::File::json(format!("\"{key}b\": \"{MARKER}\""), "");
        let regex = serde_json::to_string(&regex).unwrap();
        refused(Format::Json, what, file.field("encrypted_regex", regex).text(), problem);
    }
}

/// Every run installs one of the two files whole, or says why not and leaves what was there.
#[test]
fn a_file_that_is_exchanged_or_rewritten_while_it_is_read_is_installed_whole_or_not_at_all() {
    for rewrite in [false, true] {
        let target = Target::new("yaml");
        let plain =
            ["fixtures/recipients/ssh-to-age.yaml", "fixtures/recipients/ssh-ed25519.yaml"].map(|file| {
                (fs::read(machine::repository("tests").join(file)).unwrap(), text(&format!("{file}.plain")))
            });
        let [path, beside] = ["hostile", "beside"].map(|name| target.machine.path(name));
        fs::write(&path, &plain[0].0).unwrap();
        let stop = AtomicBool::new(false);
        let (mut installed, mut refused) = (0, 0);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for (content, _) in &plain {
                        if rewrite {
                            // It is empty for a moment, and then has the start of the content.
                            fs::write(&path, content).unwrap();
                            continue;
                        }
                        fs::write(&beside, content).unwrap();
                        fs::rename(&beside, &path).unwrap();
                        nix::unistd::mkfifo(&beside, nix::sys::stat::Mode::S_IRWXU).unwrap();
                        fs::rename(&beside, &path).unwrap();
                    }
                }
            });
            for _ in 0..60 {
                let (code, said) = target.run();
                let live = fs::read_to_string(target.machine.path("secrets/a")).unwrap();
                assert!(plain.iter().any(|(_, plain)| *plain == live), "{code:?} {said}");
                match code {
                    Some(0) => installed += 1,
                    Some(1) if said.contains("/hostile") => refused += 1,
                    _ => panic!("{code:?} {said}"),
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        eprintln!("{installed} installed, {refused} refused");
        assert!(installed > 0 && refused > 0, "the race was on");
    }
}

#[test]
fn a_process_that_may_do_nearly_nothing_loses_nothing_and_the_next_run_leaves_nothing_of_it() {
    let target = Target::new("yaml");
    // Deeper than it may have files open, so that it stops in the middle, too.
    let deep = ["d"; 20].join("/");
    let secret = |name: &str| json!({"name": name, "key": "", "mode": "0400", "sopsFile": "DIR/good.yaml"});
    let manifest =
        json!({"secrets": [secret("a"), secret("b/c"), secret(&deep)], "ageSshKeyPaths": ["DIR/host_key"]});
    target.machine.manifest(manifest);
    let plain = text("fixtures/recipients/ssh-to-age.yaml.plain");
    let read = |name: &str| fs::read_to_string(target.machine.path(name)).unwrap();
    for (name, limits, problem) in [
        // With fewer, the loader finds no libraries.
        ("nofile", [4, 5, 6, 8, 10, 12, 14, 16], "too many open files"),
        // A write beyond the limit fails; it does not end the program, which would leave half a generation.
        ("fsize", [0, 1, 2, 3, 5, 8, 13, 21], "file too large"),
    ] {
        for limit in limits {
            let (code, said) = target.limited(&[format!("--{name}={limit}")]);
            assert_eq!(code, Some(1), "{name} {limit}: {said}");
            assert!(said.contains(problem), "{name} {limit}: {said}");
            assert_eq!(read("secrets/a"), plain);
        }
    }
    // Without memory it may end in any way, the loader's and the allocator's included.
    for limit in [4, 12, 16, 20, 24, 28, 32, 36] {
        let (code, said) = target.limited(&[format!("--as={}", limit << 20)]);
        eprintln!("{limit} MiB: {code:?} {said}");
        assert_eq!(read("secrets/a"), plain);
    }
    assert_eq!(target.run(), (Some(0), String::new()));
    assert_eq!(read("secrets/b/c"), plain);
    assert_eq!(read(&format!("secrets/{deep}")), plain);
    target.assert_live("at the end");
}

/// The descriptors that a service manager did not open are those that the program's own files would get.
#[test]
fn without_standard_streams_no_line_gets_into_a_file() {
    let Some(machine) = Machine::new() else { return };
    let logged = |key: &str| {
        let logging = json!({"logging": {"keyImport": true, "secretChanges": true}});
        with(manifest(&[secret("a", key), secret("b", "api_key")], &[]), logging)
    };
    for closed in ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        machine.run(&logged("api_key"));
        machine.write("/mnt/manifest.json", logged("database/user").to_string());
        let ran = server::answer(
            &mut machine
                .command(&format!("exec 3>&2; (exec sops-activate /mnt/manifest.json {closed} 3>&-)")),
        );
        assert_eq!(ran.code, Some(0), "{closed}: {ran:?}");
        let files = machine
            .shell("cat /run/secrets/a; echo; cat /run/secrets/b; echo; find /run/secrets/ -type f | sort");
        let expected = format!("{}\n{}\n/run/secrets/a\n/run/secrets/b", server::USER, server::API_KEY);
        assert_eq!(files, expected, "{closed}");
    }
}

#[test]
fn the_environment_changes_neither_what_is_installed_nor_what_is_said() {
    let Some(machine) = Machine::new() else { return };
    machine.shell("mkdir -m 0777 /mnt/evil; mkdir -p /mnt/home/.config/sops/age /mnt/home/.ssh; echo x > /mnt/home/.config/sops/age/keys.txt");
    let failing = with(secret("b", "none"), json!({"mode": "0440"}));
    let wanted = manifest(&[secret("a", "api_key"), failing], &[]);
    machine.write("/mnt/manifest.json", wanted.to_string());
    let run = |before: &str| {
        machine.shell("umount /run/secrets.d; rm -rf /run/secrets /run/secrets.d");
        let ran =
            server::answer(&mut machine.command(&format!("{before} exec sops-activate /mnt/manifest.json")));
        (ran, machine.tree("/run /mnt/evil /mnt/home"))
    };
    let (ran, tree) = run("umask 022;");
    assert_eq!(ran.code, Some(1));
    assert!(tree.contains("/run/secrets.d/1/a f400 0:0"), "{tree}");
    for before in [
        "umask 000;",
        "umask 777;",
        "export HOME=/mnt/home XDG_CONFIG_HOME=/mnt/home/.config XDG_STATE_HOME=/mnt/evil;",
        "export TMPDIR=/mnt/evil TMP=/mnt/evil TEMP=/mnt/evil XDG_RUNTIME_DIR=/mnt/evil;",
        "export LANG=tr_TR.UTF-8 LC_ALL=tr_TR.UTF-8 LANGUAGE=tr TZ=Asia/Kathmandu;",
        "export RUST_BACKTRACE=full RUST_LOG=trace RUST_MIN_STACK=1 NO_COLOR= CLICOLOR_FORCE=1 TERM=xterm COLUMNS=9;",
        "export LD_LIBRARY_PATH=/mnt/evil LD_BIND_NOW=1 MALLOC_ARENA_MAX=1 MALLOC_PERTURB_=170;",
        "export INVOCATION_ID=x NOTIFY_SOCKET=/mnt/evil/s LISTEN_FDS=9 LISTEN_PID=$$ SYSTEMD_LOG_LEVEL=debug;",
        "cd /mnt/evil; export PATH=.:$PATH;",
        "trap '' HUP INT PIPE TERM CHLD XFSZ;",
    ] {
        assert_eq!(run(before), (ran.clone(), tree.clone()), "{before}");
    }
}

#[test]
fn a_name_or_path_that_could_lead_elsewhere_is_refused_and_a_strange_one_stays_inside() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&manifest(&[secret("a", "api_key")], &[]));
    let before = machine.tree("/run /etc");
    let deep = |levels: usize| vec!["d"; levels].join("/");
    let long = "x".repeat(4096);
    for (name, problem) in [
        ("..", "it has '..' in it"),
        ("../a", "it has '..' in it"),
        ("b/../../../etc/shadow", "it has '..' in it"),
        ("/etc/shadow", "it is absolute"),
        ("b//c", "it has an empty component"),
        ("./b", "it has an empty component, or '.', in it"),
        ("b/", "it has an empty component"),
        ("b\0c", "it has a NUL byte in it"),
        (&"x".repeat(256), "longer than 255 bytes"),
        (&deep(129), "more than 128 components"),
        (&deep(2000), "more than 128 components"),
        (&long, "or 3072 bytes"),
        ("", "it is empty"),
    ] {
        let Answer { code, stderr, .. } = machine.run(&manifest(&[secret(name, "api_key")], &[]));
        assert_eq!(code, Some(1), "{name}: {stderr}");
        assert!(stderr.contains(problem), "{name}: {stderr}");
        assert!(
            stderr.lines().all(|line| line.starts_with("sops-install-secrets: ")
                || line.starts_with("help: ")
                || line.starts_with("  ")),
            "{name}: {stderr}"
        );
    }
    for (path, problem) in [
        ("relative/key", "is not absolute"),
        ("/etc/../key", "has '..' in it"),
        ("/", "the path is '/'"),
        ("/etc/a\0b", "has a NUL byte in it"),
        ("/run/secrets", "is where the secrets are"),
        ("/run/secrets.d", "is where the secrets are"),
        ("/run", "is where the secrets are"),
    ] {
        let other = with(secret("b", "api_key"), json!({"path": path}));
        let Answer { code, stderr, .. } = machine.run(&manifest(&[other], &[]));
        assert_eq!(code, Some(1), "{path}: {stderr}");
        assert!(stderr.contains(problem), "{path}: {stderr}");
    }
    assert_eq!(machine.tree("/run /etc"), before);
    let strange = [
        "new\nline",
        "\u{1b}[31m",
        "…",
        "．．/x",
        "‥",
        "secrets\u{202e}",
        "a b",
        "-rf",
        "~",
        "$HOME",
        "%r",
        "rendered",
        "1",
        &deep(128),
    ];
    let secrets: Vec<_> = strange.iter().map(|name| secret(name, "api_key")).collect();
    machine.activate(&manifest(&secrets, &[]));
    for name in strange {
        machine.write("/mnt/expected", server::API_KEY);
        let mut compare = machine.command("cmp \"/run/secrets/$NAME\" /mnt/expected");
        assert_eq!(server::answer(compare.env("NAME", name)), Answer::silent(), "{name}");
    }
}
