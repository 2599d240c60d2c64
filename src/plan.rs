//! The manifest made usable: nothing in a [`Plan`] is left to interpret, and nothing in it can leave the store.
//!
//! Every problem of the manifest is collected before giving up, each with the secret or template that it is about.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use access::{Access, Account, Mode};
use name::Name;

use crate::diagnostic::{Diagnostic, Report, enumerate, in_nix, in_repository};
use crate::manifest::{self, KnownAccounts, Logging, Manifest};
use crate::recipient::Recipient;
use crate::recipient::public_key::{NotAKey, PublicKey};
use crate::sops::format::Format;
use crate::sops::key_path::KeyPath;

pub mod access;
pub mod name;

/// The directory of a generation that holds rendered templates.
pub const RENDERED: &str = "rendered";

/// What is to be done, complete and consistent.
#[derive(Debug)]
pub struct Plan {
    pub secrets: Vec<Secret>,
    pub templates: Vec<Template>,
    /// Every sops file, once, in the order of first use.
    pub files: Vec<SopsFile>,
    pub store: StorePlan,
    pub keys: KeyPlan,
    pub user_mode: bool,
    pub logging: Logging,
    pub host: Host,
    /// The users and groups that the configuration declares.
    pub accounts: KnownAccounts,
    /// Placeholder texts of secrets that are not in this manifest (those for users are in another), by name.
    pub placeholders_elsewhere: Vec<(String, String)>,
    pub on_failure: OnFailure,
    /// Every secret gets a value that says that it is none: for machines that have no keys.
    pub dummy_secrets: bool,
    /// Things that work but are probably not meant.
    pub warnings: Vec<String>,
}

/// The machine that a manifest is for, as far as it says so: what the one who builds is told, and nothing that an activation
/// depends on.
#[derive(Debug, Default)]
pub struct Host {
    pub name: Option<String>,
    /// Every recipient that the host is; empty when that was not said.
    pub recipients: Vec<Recipient>,
    /// Keys of the host that nothing can be encrypted to, beside others that are of use.
    pub passed_over: Vec<String>,
}

impl Host {
    #[must_use]
    pub fn title(&self) -> String {
        self.name.as_ref().map_or_else(|| "the host".to_owned(), |name| format!("host '{name}'"))
    }
}

#[derive(Debug)]
pub struct SopsFile {
    pub path: PathBuf,
    pub format: Format,
    /// Indexes into [`Plan::secrets`].
    pub secrets: Vec<usize>,
}

#[derive(Debug)]
pub struct Secret {
    pub target: Target,
    /// Index into [`Plan::files`].
    pub file: usize,
    pub selection: Selection,
    /// Whether the newline at the end of the value is left away.
    pub trim: bool,
    /// What stands for it in templates; `None` when there are none.
    pub placeholder: Option<String>,
}

/// Which part of a sops file is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The file as `sops decrypt` prints it.
    Whole,
    Value(KeyPath),
}

#[derive(Debug)]
pub struct Template {
    /// Its name starts with [`RENDERED`].
    pub target: Target,
    pub source: TemplateSource,
    /// Whether the newline at the end of each inserted secret is left away.
    pub trim: bool,
    /// Whether secrets are marked by name, too.
    pub named_markers: bool,
}

#[derive(Debug)]
pub enum TemplateSource {
    Content(String),
    File(PathBuf),
}

/// One file to be installed.
#[derive(Debug)]
pub struct Target {
    /// Where it lies below the generation.
    pub name: Name,
    /// For messages: `secret 'a'`, `template 'b'`.
    pub title: String,
    /// For messages: the option that declares it, `sops.secrets."a"`.
    pub option: String,
    pub access: Access,
    /// Where it is to be found instead, by a link or as a copy; `None` for its place below the symlink path.
    pub link: Option<PathBuf>,
    pub install_mode: InstallMode,
    pub restart_units: Vec<String>,
    pub reload_units: Vec<String>,
    /// Of the service managers of users.
    pub restart_user_units: Vec<String>,
}

/// What stands at a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallMode {
    /// A link into the store.
    Symlink,
    /// A real file, for programs that refuse a link.
    Copy,
}

#[derive(Debug)]
pub struct StorePlan {
    pub mount_point: PathBuf,
    pub symlink_path: PathBuf,
    /// Generations to keep beside the live one; 0 keeps all.
    pub keep_generations: u64,
    pub use_tmpfs: bool,
}

/// What a secret or template that fails means for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// They are installed; it keeps its last good value.
    #[default]
    Partial,
    /// Nothing is installed.
    Abort,
}

#[derive(Debug, Default)]
pub struct KeyPlan {
    pub age_ssh_key_paths: Vec<PathBuf>,
    /// RSA host keys.
    pub ssh_key_paths: Vec<PathBuf>,
    pub age_key_file: Option<PathBuf>,
    pub gnupg_home: Option<PathBuf>,
}

impl Plan {
    /// Makes a plan. `runtime_dir` is what `%r` stands for in user mode (`$XDG_RUNTIME_DIR`).
    ///
    /// # Errors
    /// With every problem of the manifest.
    pub fn new(manifest: Manifest, runtime_dir: Option<&str>) -> Result<Self, Report> {
        let Manifest { secrets, templates, placeholders, settings } = manifest;
        let mut planner = Planner {
            report: Report::default(),
            warnings: Vec::new(),
            runtime_dir: settings.user_mode.then_some(runtime_dir),
            symlink_path: PathBuf::new(),
            mount_point: PathBuf::new(),
            paths: HashMap::new(),
            without_placeholder: Vec::new(),
        };
        let store = planner.store(&settings);
        planner.symlink_path.clone_from(&store.symlink_path);
        planner.mount_point.clone_from(&store.mount_point);
        let keys = planner.keys(&settings);
        let host = planner.host(settings.host_name, &settings.host_recipients);
        let names: HashSet<&str> = secrets.iter().map(|secret| secret.name.as_str()).collect();
        let elsewhere =
            placeholders.iter().filter(|(name, text)| !text.is_empty() && !names.contains(name.as_str()));
        let placeholders_elsewhere = elsewhere.cloned().collect();
        let on_failure = planner.on_failure(&settings.on_failure);
        let placeholders = planner.placeholders(placeholders, !templates.is_empty());
        let mut plan = Self {
            secrets: Vec::with_capacity(secrets.len()),
            templates: Vec::with_capacity(templates.len()),
            files: Vec::new(),
            store,
            keys,
            user_mode: settings.user_mode,
            logging: settings.logging,
            host,
            accounts: settings.accounts,
            placeholders_elsewhere,
            on_failure,
            dummy_secrets: settings.dummy_secrets,
            warnings: Vec::new(),
        };
        let mut files = HashMap::new();
        for secret in secrets {
            planner.secret(&mut plan, &mut files, placeholders.as_ref(), secret);
        }
        for template in templates {
            planner.template(&mut plan, template);
        }
        if !planner.without_placeholder.is_empty() {
            let names = enumerate(&planner.without_placeholder);
            planner.problem(
                format!("there are templates, but no placeholder in 'placeholderBySecretName' for {names}"),
                "leave `sops.placeholder` to the module, which makes one for every secret",
            );
        }
        planner.name_conflicts(&plan);
        planner.path_conflicts(&plan);
        plan.warnings = planner.warnings;
        planner.report.or(plan)
    }

    /// All files that are to be installed.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        let secrets = self.secrets.iter().map(|secret| &secret.target);
        secrets.chain(self.templates.iter().map(|template| &template.target))
    }
}

/// The option of the module that declares a secret or template, as it is written in Nix.
fn option(kind: &str, name: &str) -> String {
    format!("sops.{kind}.{}", in_nix(name))
}

/// Collects problems while the parts of the plan are made.
struct Planner<'r> {
    report: Report,
    warnings: Vec<String>,
    /// `Some` in user mode.
    runtime_dir: Option<Option<&'r str>>,
    symlink_path: PathBuf,
    mount_point: PathBuf,
    /// Who is installed where, to find two at one place, and whether that is the place its name gives it.
    paths: HashMap<PathBuf, (String, bool)>,
    /// Secrets that no template could use: all of them at once where the list of placeholders is missing.
    without_placeholder: Vec<String>,
}

impl Planner<'_> {
    fn problem(&mut self, problem: impl Into<String>, help: impl Into<String>) {
        self.report.push(Diagnostic::new(problem).help(help));
    }

    fn store(&mut self, settings: &manifest::Settings) -> StorePlan {
        let mount_point = self.setting_path("secretsMountPoint", &settings.secrets_mount_point);
        let symlink_path = self.setting_path("symlinkPath", &settings.symlink_path);
        if !mount_point.as_os_str().is_empty() && symlink_path.starts_with(&mount_point) {
            let (link, mount) = (symlink_path.display(), mount_point.display());
            self.problem(
                format!("'symlinkPath' ('{link}') lies inside of 'secretsMountPoint' ('{mount}')"),
                "set 'symlinkPath' to a path beside it: /run/secrets beside /run/secrets.d",
            );
        }
        let keep_generations = u64::try_from(settings.keep_generations).unwrap_or_else(|_| {
            self.problem(
                "'keepGenerations' is negative",
                "set `sops.keepGenerations` to how many old generations to keep; 0 keeps all",
            );
            0
        });
        StorePlan { mount_point, symlink_path, keep_generations, use_tmpfs: settings.use_tmpfs }
    }

    fn setting_path(&mut self, field: &str, text: &str) -> PathBuf {
        if text.is_empty() {
            self.problem(
                format!("'{field}' is missing from the manifest"),
                format!("set '{field}' to an absolute path; the module always does"),
            );
            return PathBuf::new();
        }
        let path = self.expand(field, text);
        self.check_path(field, &format!("'{field}'"), &path);
        path
    }

    /// `option` is what sets the path.
    fn check_path(&mut self, what: &str, option: &str, path: &Path) {
        let text = path.as_os_str().as_encoded_bytes();
        let problem = if !path.is_absolute() {
            format!("the path '{}' is not absolute", path.display())
        } else if path.components().any(|part| part == Component::ParentDir) {
            format!("the path '{}' has '..' in it", path.display())
        } else if text.contains(&0) {
            "the path has a NUL byte in it".to_owned()
        } else if path == Path::new("/") {
            "the path is '/'".to_owned()
        } else {
            return;
        };
        let help = format!("set {option} to an absolute path of a file, without '..'");
        self.problem(format!("{what}: {problem}"), help);
    }

    /// `%r` and `%%`, in user mode only.
    fn expand(&mut self, what: &str, text: &str) -> PathBuf {
        let Some(runtime_dir) = self.runtime_dir else { return PathBuf::from(text) };
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            expanded.push_str(before);
            rest = if let Some(after) = after.strip_prefix('r') {
                match runtime_dir {
                    Some(dir) => expanded.push_str(dir),
                    None => self.report.push(
                        Diagnostic::new(format!(
                            "{what}: '%r' cannot be resolved: $XDG_RUNTIME_DIR is not set"
                        ))
                        .help("run it in a login session, or set XDG_RUNTIME_DIR to a directory of your own"),
                    ),
                }
                after
            } else if let Some(after) = after.strip_prefix('%') {
                expanded.push('%');
                after
            } else {
                expanded.push('%');
                after
            };
        }
        expanded.push_str(rest);
        PathBuf::from(expanded)
    }

    fn keys(&mut self, settings: &manifest::Settings) -> KeyPlan {
        let path = |text: &String| (!text.is_empty()).then(|| PathBuf::from(text));
        let keys = KeyPlan {
            age_ssh_key_paths: settings.age_ssh_key_paths.iter().filter_map(path).collect(),
            ssh_key_paths: settings.ssh_key_paths.iter().filter_map(path).collect(),
            age_key_file: path(&settings.age_key_file),
            gnupg_home: path(&settings.gnupg_home),
        };
        if keys.gnupg_home.is_some() {
            let (rsa, age) = (!keys.ssh_key_paths.is_empty(), keys.age_key_file.is_some());
            for (used, field, help) in [
                (rsa, "sshKeyPaths", "set `sops.gnupg.home = null`, or `sops.gnupg.sshKeyPaths = [ ]`"),
                (age, "ageKeyFile", "set `sops.gnupg.home = null`, or `sops.age.keyFile = null`"),
            ] {
                if used {
                    self.problem(format!("'gnupgHome' and '{field}' cannot be used together"), help);
                }
            }
        }
        keys
    }

    /// Each entry is a public key, or the text of a file of them, or what `ssh-keyscan` prints: that has keys of all kinds.
    fn host(&mut self, name: String, entries: &[String]) -> Host {
        const HELP: &str = "set `sops.hostRecipients` to public keys: lines of /etc/ssh/ssh_host_*_key.pub on the host, or age recipients (age1…)";
        let mut recipients = Vec::new();
        let mut useless = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let what = format!("'hostRecipients': entry {}", index + 1);
            let is_private = ["PRIVATE KEY-----", "AGE-SECRET-KEY-", "AGE-PLUGIN-"];
            if is_private.iter().any(|mark| entry.contains(mark)) {
                self.problem(
                    format!("{what} is a private key, which everybody can read where this manifest is"),
                    "make a new key, and set `sops.hostRecipients` to its public side",
                );
                continue;
            }
            let before = recipients.len();
            let mut is_told = false;
            for line in entry.lines() {
                match PublicKey::parse_line(line) {
                    Ok(named) => recipients.extend(named.into_iter().flat_map(|(_, key)| key.recipients)),
                    Err(error @ NotAKey::Algorithm(_)) => {
                        useless.push((what.clone(), error));
                        is_told = true;
                    }
                    Err(error) => {
                        self.problem(format!("{what} cannot be used: {error}"), HELP);
                        is_told = true;
                    }
                }
            }
            if recipients.len() == before && !is_told {
                self.problem(format!("{what} holds no key that files can be encrypted to"), HELP);
            }
        }
        let mut passed_over = Vec::new();
        for (what, error) in useless {
            if recipients.is_empty() {
                self.problem(format!("{what} cannot be used: {error}"), HELP);
            } else {
                passed_over.push(format!("{what} has a key that is passed over: {error}"));
            }
        }
        Host { name: Some(name).filter(|name| !name.is_empty()), recipients, passed_over }
    }

    fn on_failure(&mut self, text: &str) -> OnFailure {
        match text {
            "" | "partial" => OnFailure::Partial,
            "abort" => OnFailure::Abort,
            other => {
                self.problem(format!("'onFailure' is '{other}'"), "use partial or abort");
                OnFailure::default()
            }
        }
    }

    /// Placeholder text by name of secret; `None` when there is no template that could use it.
    fn placeholders(
        &mut self,
        pairs: Vec<(String, String)>,
        needed: bool,
    ) -> Option<HashMap<String, String>> {
        if !needed {
            return None;
        }
        let mut by_name = HashMap::new();
        let mut by_text: HashMap<String, String> = HashMap::new();
        for (name, text) in pairs {
            if text.is_empty() {
                self.problem(
                    format!("the placeholder of secret '{name}' is empty"),
                    format!("do not set {}: the module makes one", option("placeholder", &name)),
                );
            } else if let Some(other) = by_text.insert(text.clone(), name.clone()) {
                self.problem(
                    format!("the secrets '{other}' and '{name}' have the same placeholder"),
                    format!(
                        "set neither {} nor {}: the module makes them",
                        option("placeholder", &other),
                        option("placeholder", &name)
                    ),
                );
            }
            by_name.insert(name, text);
        }
        Some(by_name)
    }

    fn secret(
        &mut self,
        plan: &mut Plan,
        files: &mut HashMap<String, usize>,
        placeholders: Option<&HashMap<String, String>>,
        mut secret: manifest::Secret,
    ) {
        let title = format!("secret '{}'", secret.name);
        let target = self.target(&title, &secret.name, None, std::mem::take(&mut secret.place));
        let format = match secret.format.as_str() {
            "" | "yaml" => Some(Format::Yaml),
            "json" => Some(Format::Json),
            "binary" => Some(Format::Binary),
            "dotenv" => Some(Format::Dotenv),
            "ini" => Some(Format::Ini),
            other => {
                self.report.push(Diagnostic::new(format!("{title}: unknown format '{other}'")).help(
                    format!(
                        "set {}.format to \"yaml\", \"json\", \"binary\", \"dotenv\" or \"ini\"",
                        option("secrets", &secret.name)
                    ),
                ));
                None
            }
        };
        if secret.sops_file.is_empty() {
            let option = option("secrets", &secret.name);
            self.problem(
                format!("{title}: 'sopsFile' is missing"),
                format!("set {option}.sopsFile, or sops.defaultSopsFile for every secret"),
            );
        }
        let placeholder = placeholders.and_then(|by_name| by_name.get(&secret.name)).cloned();
        if placeholder.is_none() && placeholders.is_some() {
            self.without_placeholder.push(secret.name.clone());
        }
        let (Some(target), Some(format)) = (target, format) else { return };
        let selection = self.selection(&title, format, &secret);
        let file = *files.entry(secret.sops_file.clone()).or_insert(plan.files.len());
        let index = plan.secrets.len();
        match plan.files.get_mut(file) {
            None => plan.files.push(SopsFile { path: secret.sops_file.into(), format, secrets: vec![index] }),
            Some(known) => {
                if known.format != format {
                    let first = known.secrets.first().and_then(|first| plan.secrets.get(*first));
                    let first = first.map(|secret| secret.target.title.clone()).unwrap_or_default();
                    let (path, was) = (in_repository(&known.path), known.format.name());
                    let format = format.name();
                    let option = &target.option;
                    self.problem(
                        format!(
                            "{title}: the file '{path}' has format '{format}' here and '{was}' in {first}"
                        ),
                        format!("set {option}.format = \"{was}\", or name another file in {option}.sopsFile"),
                    );
                }
                known.secrets.push(index);
            }
        }
        let trim = secret.trim_trailing_newline;
        plan.secrets.push(Secret { target, file, selection, trim, placeholder });
    }

    /// The original ignores `key` in files of dotenv and INI, and the module sets it for every secret; so that one value
    /// of such a file is asked for in words of its own.
    fn selection(&mut self, title: &str, format: Format, secret: &manifest::Secret) -> Selection {
        let lines = matches!(format, Format::Dotenv | Format::Ini);
        if !lines && !secret.extract_key.is_empty() {
            let option = option("secrets", &secret.name);
            let help = match format {
                Format::Binary => format!("do not set {option}.extractKey: a binary file is one value"),
                _ => format!("set {option}.key instead of {option}.extractKey"),
            };
            let format = format.name();
            self.report.push(
                Diagnostic::new(format!("{title}: 'extractKey' is for dotenv and ini, not for {format}"))
                    .help(help),
            );
        }
        let key = if lines { &secret.extract_key } else { &secret.key };
        if key.is_empty() || format == Format::Binary {
            Selection::Whole
        } else {
            Selection::Value(KeyPath::new(key))
        }
    }

    fn template(&mut self, plan: &mut Plan, template: manifest::Template) {
        let title = format!("template '{}'", template.name);
        if template.content.is_empty() && template.file.is_empty() {
            let option = option("templates", &template.name);
            self.problem(
                format!("{title}: it has neither 'content' nor 'file'"),
                format!("set {option}.content or {option}.file"),
            );
        }
        let source = if template.content.is_empty() {
            TemplateSource::File(template.file.into())
        } else {
            TemplateSource::Content(template.content)
        };
        let (trim, named_markers) = (template.trim_trailing_newline, template.named_markers);
        if let Some(target) = self.target(&title, &template.name, Some(RENDERED), template.place) {
            plan.templates.push(Template { target, source, trim, named_markers });
        }
    }

    fn target(
        &mut self,
        title: &str,
        name: &str,
        directory: Option<&str>,
        place: manifest::Placement,
    ) -> Option<Target> {
        let option = option(if directory.is_some() { "templates" } else { "secrets" }, name);
        let parsed = Name::new(name).and_then(|plain| match directory {
            Some(directory) => Name::new(&format!("{directory}/{}", plain.as_str())),
            None => Ok(plain),
        });
        let name = match parsed {
            Ok(name) => Some(name),
            Err(error) => {
                self.problem(
                    format!("{title}: the name cannot be used as a path: {error}"),
                    "give it a name such as 'service/password', and set its `path` if it is to be found elsewhere",
                );
                None
            }
        };
        let mode = self.mode(title, &option, &place.mode);
        let owner = self.account(title, &option, "uid", place.owner, place.uid);
        let group = self.account(title, &option, "gid", place.group, place.gid);
        let (name, mode, owner, group) = (name?, mode?, owner?, group?);
        let default_path = self.symlink_path.join(name.as_str());
        let path = if place.path.is_empty() { default_path.clone() } else { self.expand(title, &place.path) };
        self.check_path(title, &format!("{option}.path"), &path);
        if is_inside(&self.symlink_path, &path) || is_inside(&self.mount_point, &path) {
            let problem = format!("{title}: the path '{}' is where the secrets are", path.display());
            self.problem(problem, format!("set {option}.path to one beside it, or leave it out"));
        }
        let by_name = path == default_path;
        let install_mode = self.install_mode(title, &option, &place.install_mode, &path);
        if let Some((other, other_by_name)) = self.paths.insert(path.clone(), (title.to_owned(), by_name)) {
            // Two of one name have one path, too; the name is what to say then.
            if other != title && !(by_name && other_by_name) {
                self.problem(
                    format!("{title} and {other} both have the path '{}'", path.display()),
                    format!("set {option}.path to another"),
                );
            }
        }
        Some(Target {
            link: (path != default_path).then_some(path),
            install_mode: install_mode?,
            name,
            title: title.to_owned(),
            option,
            access: Access { mode, owner, group },
            restart_units: unit_names(place.restart_units),
            reload_units: unit_names(place.reload_units),
            restart_user_units: unit_names(place.restart_user_units),
        })
    }

    /// A copy inside of the store would be a file of a generation that no secret asks for.
    fn install_mode(&mut self, title: &str, option: &str, text: &str, path: &Path) -> Option<InstallMode> {
        let inside = [&self.symlink_path, &self.mount_point].into_iter().find(|store| is_inside(path, store));
        let (problem, help) = match (text, inside) {
            ("" | "symlink", _) => return Some(InstallMode::Symlink),
            ("copy", None) => return Some(InstallMode::Copy),
            ("copy", Some(store)) => (
                "'installMode' is \"copy\", and it has no path of its own".to_owned(),
                format!("set {option}.path to where the file is to be, outside of '{}'", store.display()),
            ),
            (other, _) => (
                format!("unknown 'installMode' '{other}'"),
                format!("set {option}.installMode to \"symlink\" or \"copy\""),
            ),
        };
        self.report.push(Diagnostic::new(format!("{title}: {problem}")).help(help));
        None
    }

    fn mode(&mut self, title: &str, option: &str, text: &str) -> Option<Mode> {
        let octal = !text.is_empty() && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let bits = if octal { u16::from_str_radix(text, 8).ok() } else { None };
        let Some(bits) = bits else {
            let problem = if text.is_empty() {
                format!("{title}: 'mode' is missing")
            } else {
                format!("{title}: the mode '{text}' is not an octal number")
            };
            self.report
                .push(Diagnostic::new(problem).help(format!("set {option}.mode = \"0400\", or the like")));
            return None;
        };
        if bits > 0o777 {
            self.warnings.push(format!(
                "{title}: the mode '{text}' has bits above 0777, which are ignored: a secret cannot be setuid, setgid or sticky"
            ));
        }
        Some(Mode(u32::from(bits & 0o777)))
    }

    fn account(
        &mut self,
        title: &str,
        option: &str,
        field: &str,
        name: Option<String>,
        id: i64,
    ) -> Option<Account> {
        if let Some(name) = name {
            return Some(Account::Named(name));
        }
        // The highest id means "leave it as it is" to the kernel.
        match u32::try_from(id) {
            Ok(id) if id != u32::MAX => Some(Account::Id(id)),
            _ => {
                self.problem(
                    format!("{title}: the {field} {id} is out of range"),
                    format!("set {option}.{field} to a number from 0 to {}", u32::MAX - 1),
                );
                None
            }
        }
    }

    /// Two files of one name, or one that is a directory of another.
    fn name_conflicts(&mut self, plan: &Plan) {
        let mut by_name: HashMap<&str, &Target> = HashMap::new();
        for target in plan.targets() {
            if let Some(other) = by_name.insert(target.name.as_str(), target) {
                let (title, other) = (&target.title, &other.title);
                if title == other {
                    let help = format!("define {} once", target.option);
                    self.problem(format!("{title} is defined twice"), help);
                } else {
                    self.problem(
                        format!("{title} and {other} would both be the file '{}'", target.name.as_str()),
                        "give one of them another name",
                    );
                }
            }
        }
        for target in plan.targets() {
            if let Some(directory) = target.name.parents().find_map(|parent| by_name.get(parent)) {
                let (title, other, file) = (&target.title, &directory.title, directory.name.as_str());
                self.problem(
                    format!("{title} cannot be put into '{file}', which is a file: {other}"),
                    "give one of them another name",
                );
            }
        }
    }
}

impl Planner<'_> {
    /// A path below that of another file, which can be no directory. Those that only have their places by name are told by
    /// their names.
    fn path_conflicts(&mut self, plan: &Plan) {
        for target in plan.targets() {
            let Some(path) = &target.link else { continue };
            let above = path.ancestors().skip(1).find_map(|above| Some((above, self.paths.get(above)?)));
            if let Some((above, (other, _))) = above {
                let problem = format!(
                    "{} cannot have the path '{}': '{}' is that of {other}",
                    target.title,
                    path.display(),
                    above.display()
                );
                self.problem(problem, format!("set {}.path to another", target.option));
            }
        }
    }
}

/// Nothing is inside of a place that is missing from the manifest.
fn is_inside(path: &Path, place: &Path) -> bool {
    !place.as_os_str().is_empty() && path.starts_with(place)
}

/// systemd's types of units, by the ends of their names; systemd.unit(5).
const UNIT_TYPES: [&str; 11] = [
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

/// A name without a type is a service, as `systemctl` has it: who reads the lists does not know that, and would do
/// nothing.
fn unit_names(mut names: Vec<String>) -> Vec<String> {
    for name in &mut names {
        let typed = name.rsplit_once('.').is_some_and(|(_, end)| UNIT_TYPES.contains(&end));
        if !typed && !name.contains('/') {
            name.push_str(".service");
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(json: &str) -> Vec<String> {
        let json =
            json.replace("BASE", r#""secretsMountPoint": "/run/secrets.d", "symlinkPath": "/run/secrets""#);
        let manifest = Manifest::parse(json.as_bytes()).unwrap();
        match Plan::new(manifest, None) {
            Ok(_) => Vec::new(),
            Err(report) => report.0.into_iter().map(|diagnostic| diagnostic.problem).collect(),
        }
    }

    fn secret(fields: &str) -> String {
        format!(r#"{{"name": "a", "mode": "0400", "sopsFile": "/f", "key": "k", {fields} "x": 0}}"#)
    }

    #[test]
    fn a_failure_concerns_nothing_else_unless_the_manifest_says_so() {
        for (said, expected) in [
            ("", Ok(OnFailure::Partial)),
            (r#""onFailure": null,"#, Ok(OnFailure::Partial)),
            (r#""onFailure": "partial","#, Ok(OnFailure::Partial)),
            (r#""onFailure": "abort","#, Ok(OnFailure::Abort)),
            (r#""onFailure": "ABORT","#, Err("'onFailure' is 'ABORT'".to_owned())),
        ] {
            let json =
                format!(r#"{{{said} "secretsMountPoint": "/run/secrets.d", "symlinkPath": "/run/secrets"}}"#);
            let plan = Plan::new(Manifest::parse(json.as_bytes()).unwrap(), None);
            let found = plan.map(|plan| plan.on_failure).map_err(|report| report.0[0].problem.clone());
            assert_eq!(found, expected, "{said}");
        }
    }

    #[test]
    fn all_problems_are_found_in_one_pass() {
        let found = problems(
            r#"{"secrets": [
                {"name": "../up", "mode": "0400", "sopsFile": "/f"},
                {"name": "/abs", "mode": "u=r", "sopsFile": "/f"},
                {"name": "", "mode": "0400", "sopsFile": "/f"},
                {"name": "a//b", "mode": "0400", "sopsFile": "/f"},
                {"name": "n\u0000", "mode": "0400", "sopsFile": "/f"},
                {"name": "fmt", "mode": "0400", "sopsFile": "/f", "format": "toml"},
                {"name": "mode", "mode": "0888", "sopsFile": "/f"},
                {"name": "uid", "mode": "0400", "sopsFile": "/f", "uid": -1},
                {"name": "file", "mode": "0400"},
                {"name": "dir", "mode": "0400", "sopsFile": "/f"},
                {"name": "dir/x", "mode": "0400", "sopsFile": "/f"},
                {"name": "twice", "mode": "0400", "sopsFile": "/f"},
                {"name": "twice", "mode": "0400", "sopsFile": "/f"},
                {"name": "p1", "mode": "0400", "sopsFile": "/f", "path": "/etc/p"},
                {"name": "p2", "mode": "0400", "sopsFile": "/f", "path": "/etc/p"},
                {"name": "rel", "mode": "0400", "sopsFile": "/f", "path": "etc/p"},
                {"name": "dots", "mode": "0400", "sopsFile": "/f", "path": "/etc/../p"},
                {"name": "copy", "mode": "0400", "sopsFile": "/f", "installMode": "copy"},
                {"name": "inner", "mode": "0400", "sopsFile": "/f", "installMode": "copy", "path": "/run/secrets.d/1/x"},
                {"name": "install", "mode": "0400", "sopsFile": "/f", "installMode": "hardlink", "path": "/etc/q"},
                {"name": "other", "mode": "0400", "sopsFile": "/f", "format": "json"}
            ], "keepGenerations": -1, "gnupgHome": "/g", "ageKeyFile": "/k", BASE}"#,
        );
        assert_eq!(
            found,
            [
                "'keepGenerations' is negative",
                "'gnupgHome' and 'ageKeyFile' cannot be used together",
                "secret '../up': the name cannot be used as a path: it has '..' in it, which would leave the secrets directory",
                "secret '/abs': the name cannot be used as a path: it is absolute",
                "secret '/abs': the mode 'u=r' is not an octal number",
                "secret '': the name cannot be used as a path: it is empty",
                "secret 'a//b': the name cannot be used as a path: it has an empty component, or '.', in it",
                "secret 'n\0': the name cannot be used as a path: it has a NUL byte in it",
                "secret 'fmt': unknown format 'toml'",
                "secret 'mode': the mode '0888' is not an octal number",
                "secret 'uid': the uid -1 is out of range",
                "secret 'file': 'sopsFile' is missing",
                "secret 'p2' and secret 'p1' both have the path '/etc/p'",
                "secret 'rel': the path 'etc/p' is not absolute",
                "secret 'dots': the path '/etc/../p' has '..' in it",
                "secret 'copy': 'installMode' is \"copy\", and it has no path of its own",
                "secret 'inner': 'installMode' is \"copy\", and it has no path of its own",
                "secret 'install': unknown 'installMode' 'hardlink'",
                "secret 'other': the file '/f' has format 'json' here and 'yaml' in secret 'dir'",
                "secret 'twice' is defined twice",
                "secret 'dir/x' cannot be put into 'dir', which is a file: secret 'dir'",
            ]
        );
    }

    #[test]
    fn placeholders_must_be_there_not_empty_and_not_twice_when_there_are_templates() {
        let manifest = |placeholders: &str, templates: &str| {
            let secret = secret("");
            problems(&format!(
                r#"{{"secrets": [{secret}], "placeholderBySecretName": {{{placeholders}}}, "templates": [{templates}], BASE}}"#
            ))
        };
        let template = r#"{"name": "t", "mode": "0400", "content": "x"}"#;
        assert_eq!(manifest("", ""), [""; 0]);
        assert_eq!(manifest(r#""a": "x", "b": "y""#, template), [""; 0]);
        assert_eq!(
            manifest(r#""b": "y""#, template),
            ["there are templates, but no placeholder in 'placeholderBySecretName' for 'a'"]
        );
        assert_eq!(
            manifest(r#""a": "x", "b": "x""#, template),
            ["the secrets 'a' and 'b' have the same placeholder"]
        );
        assert_eq!(manifest(r#""a": "x", "b": """#, template), ["the placeholder of secret 'b' is empty"]);
        assert_eq!(
            manifest("", template),
            ["there are templates, but no placeholder in 'placeholderBySecretName' for 'a'"]
        );
    }

    #[test]
    fn the_recipients_of_a_host_are_all_forms_of_its_keys() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPNOued4R2PyL++rjKdWIP3eyYSPx+pzkU0y7U/qnWGf";
        let derived = "age12pw2hnwhsnkcjrndqrul78ya7r3l4shmvju53cqwqtghnm3hly9qqh6qec";
        let json = format!(
            r#"{{"secretsMountPoint": "/run/secrets.d", "symlinkPath": "/run/secrets", "hostRecipients": ["{key} root@web1\n", "{derived}"]}}"#
        );
        let plan = Plan::new(Manifest::parse(json.as_bytes()).unwrap(), None).unwrap();
        let texts: Vec<&str> = plan.host.recipients.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(texts, [derived, key, derived]);
    }

    #[test]
    fn keys_that_nothing_is_encrypted_to_are_passed_over_beside_one_that_is_of_use() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPNOued4R2PyL++rjKdWIP3eyYSPx+pzkU0y7U/qnWGf";
        let scan = format!("# web1:22 SSH-2.0-OpenSSH_9.9\nweb1 ecdsa-sha2-nistp256 AAAA\nweb1 {key}\n");
        let plan = |entries: &[&str]| {
            let json = serde_json::json!({
                "secretsMountPoint": "/run/secrets.d", "symlinkPath": "/run/secrets", "hostRecipients": entries,
            });
            Plan::new(Manifest::parse(json.to_string().as_bytes()).unwrap(), None)
        };
        for (entries, index) in [(&[scan.as_str()][..], 1), (&[key, "web1 ecdsa-sha2-nistp256 AAAA"], 2)] {
            let host = plan(entries).unwrap().host;
            assert_eq!(host.recipients.len(), 2);
            assert_eq!(
                host.passed_over,
                [format!(
                    "'hostRecipients': entry {index} has a key that is passed over: it is an ECDSA key; only Ed25519 and RSA keys can be recipients"
                )]
            );
        }
        assert!(plan(&["web1 ecdsa-sha2-nistp256 AAAA", "ssh-dss AAAA"]).is_err(), "none is of use");
    }

    #[test]
    fn a_recipient_of_a_host_that_is_none_is_a_problem_that_holds_nothing_of_it() {
        let found = problems(
            r#"{"hostRecipients": ["web1", "AGE-SECRET-KEY-1QQQ", " ", "ecdsa-sha2-nistp256 AAAA"], BASE}"#,
        );
        assert_eq!(
            found,
            [
                "'hostRecipients': entry 1 cannot be used: it is neither an ssh public key, an age recipient nor an OpenPGP fingerprint",
                "'hostRecipients': entry 2 is a private key, which everybody can read where this manifest is",
                "'hostRecipients': entry 3 holds no key that files can be encrypted to",
                "'hostRecipients': entry 4 cannot be used: it is an ECDSA key; only Ed25519 and RSA keys can be recipients",
            ]
        );
    }

    #[test]
    fn a_secret_in_the_place_of_a_template_is_refused() {
        let found = problems(
            r#"{"secrets": [{"name": "rendered/t", "mode": "0400", "sopsFile": "/f"}],
                "templates": [{"name": "t", "mode": "0400", "content": "x"}], "placeholderBySecretName": {"rendered/t": "p"}, BASE}"#,
        );
        assert_eq!(found, ["template 't' and secret 'rendered/t' would both be the file 'rendered/t'"]);
    }

    #[test]
    fn a_path_below_that_of_another_file_is_refused() {
        let at = |name: &str, path: &str| {
            format!(r#"{{"name": "{name}", "mode": "0400", "sopsFile": "/f", "path": "{path}"}}"#)
        };
        let found =
            |secrets: &[String]| problems(&format!(r#"{{"secrets": [{}], BASE}}"#, secrets.join(",")));
        assert_eq!(
            found(&[at("a", "/etc/p/x/y"), at("b", "/etc/p"), at("c", "/etc/pp/x")]),
            ["secret 'a' cannot have the path '/etc/p/x/y': '/etc/p' is that of secret 'b'"]
        );
        assert_eq!(
            found(&[at("a", ""), at("b", "/run/secrets/a/x")]),
            ["secret 'b' cannot have the path '/run/secrets/a/x': '/run/secrets/a' is that of secret 'a'"]
        );
    }

    #[test]
    fn owner_wins_over_uid_and_mode_loses_its_high_bits() {
        let json = format!(
            r#"{{"secrets": [{}], "secretsMountPoint": "/run/secrets.d", "symlinkPath": "/run/secrets"}}"#,
            r#"{"name": "a", "mode": "4755", "sopsFile": "/f", "owner": "alice", "uid": 7, "gid": 8}"#
        );
        let plan = Plan::new(Manifest::parse(json.as_bytes()).unwrap(), None).unwrap();
        let access = &plan.secrets[0].target.access;
        assert_eq!(
            *access,
            Access { mode: Mode(0o755), owner: Account::Named("alice".into()), group: Account::Id(8) }
        );
        assert_eq!(plan.warnings.len(), 1);
    }

    #[test]
    fn a_unit_without_a_type_is_a_service() {
        let names = ["a", "a.service", "a@b.c", "x.timer", "a.b", "-.mount", "/dev/sda", "a@", "a.services"];
        let expected = [
            "a.service",
            "a.service",
            "a@b.c.service",
            "x.timer",
            "a.b.service",
            "-.mount",
            "/dev/sda",
            "a@.service",
            "a.services.service",
        ];
        assert_eq!(unit_names(names.map(str::to_owned).to_vec()), expected);
    }

    #[test]
    fn percent_r_is_the_runtime_directory_in_user_mode_only() {
        let json = |user_mode: bool| {
            format!(
                r#"{{"secrets": [{{"name": "a", "mode": "400", "sopsFile": "/f", "path": "/x/%r/%%/%h"}}], "userMode": {user_mode},
                "secretsMountPoint": "/m%r.d", "symlinkPath": "/s"}}"#
            )
        };
        let plan = |user_mode, dir| Plan::new(Manifest::parse(json(user_mode).as_bytes()).unwrap(), dir);
        let user = plan(true, Some("/run/user/1")).unwrap();
        assert_eq!(user.secrets[0].target.link.as_deref(), Some(Path::new("/x//run/user/1/%/%h")));
        assert_eq!(user.store.mount_point, Path::new("/m/run/user/1.d"));
        let system = plan(false, Some("/run/user/1")).unwrap();
        assert_eq!(system.secrets[0].target.link.as_deref(), Some(Path::new("/x/%r/%%/%h")));
        assert_eq!(plan(true, None).unwrap_err().0.len(), 2);
    }
}
