//! The command line's own settings: named contexts in one file, and what holds when a flag, the environment and a context
//! say different things. Tokens are never written there, only where to get them.

use super::{Global, Secret, parsers};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// No settings and no token come near this.
const MOST: u64 = 1 << 20;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("neither XDG_CONFIG_HOME nor HOME is set")]
    NoHome,
    #[error("{} can be read by others (mode {mode:o})", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("cannot read or write {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}: {message}", path.display())]
    Syntax { path: PathBuf, message: String },
    #[error("no context {name}")]
    NoContext { name: String, known: Vec<String> },
    #[error("the context {name} is there already")]
    Taken { name: String },
    #[error("the program {program} gave no token: {message}")]
    TokenCommand { program: String, message: String },
    #[error("{} holds no token", path.display())]
    NoToken { path: PathBuf },
}

/// A server, whom to trust there, and where its token is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    pub server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// A program with its arguments, whose first line is the token. Run as it stands, by no shell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_command: Vec<String>,
}

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

/// Where the file is, whether or not it is there.
pub fn place(variable: impl Fn(&str) -> Option<String>) -> Result<PathBuf, SettingsError> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    Ok(folder.ok_or(SettingsError::NoHome)?.join("jiyue").join("config.toml"))
}

impl Contexts {
    /// None where there is no file; an error where others can read it.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let Some(text) = private(path)? else { return Ok(Self::default()) };
        let failed = |message: String| SettingsError::Syntax { path: path.into(), message };
        let contexts: Self = toml::from_str(&text).map_err(|error| failed(error.to_string()))?;
        // Names become words of the command line, in this file as in a flag.
        match contexts.contexts.keys().find(|name| parsers::name(name).is_err()) {
            Some(name) => Err(failed(format!("context name {name:?}"))),
            None => Ok(contexts),
        }
    }

    /// Whole or not at all, for its owner alone.
    pub fn save(&self, path: &Path) -> Result<(), SettingsError> {
        let failed = |source| SettingsError::Io { path: path.into(), source };
        let text = toml::to_string_pretty(self)
            .map_err(|error| SettingsError::Syntax { path: path.into(), message: error.to_string() })?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let new = path.with_extension(format!("new{}", std::process::id()));
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            // The umask may have taken more away, never less.
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.sync_all()?;
            fs::rename(&new, path)
        });
        written.map_err(|source| {
            let _ = fs::remove_file(&new);
            failed(source)
        })
    }

    pub fn get(&self, name: &str) -> Result<&Context, SettingsError> {
        self.contexts.get(name).ok_or_else(|| SettingsError::NoContext {
            name: name.to_owned(),
            known: self.contexts.keys().cloned().collect(),
        })
    }
}

/// A file's text if it is its reader's alone; `None` where there is none.
fn private(path: &Path) -> Result<Option<String>, SettingsError> {
    let failed = |source| SettingsError::Io { path: path.into(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SettingsError::Exposed { path: path.into(), mode });
    }
    let mut text = String::new();
    file.take(MOST).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

/// Where a token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    Given(Secret),
    File(PathBuf),
    Command(Vec<String>),
}

impl TokenSource {
    /// The token itself.
    pub fn fetch(&self) -> Result<Secret, SettingsError> {
        let first_line =
            |text: &str| text.lines().next().unwrap_or_default().parse().unwrap_or_else(|never| match never {});
        match self {
            Self::Given(secret) => Ok(secret.clone()),
            Self::File(path) => {
                let missing = || SettingsError::Io { path: path.clone(), source: io::ErrorKind::NotFound.into() };
                let secret: Secret = first_line(&private(path)?.ok_or_else(missing)?);
                if secret.reveal().is_empty() { Err(SettingsError::NoToken { path: path.clone() }) } else { Ok(secret) }
            }
            Self::Command(words) => {
                let program = words.first().cloned().unwrap_or_default();
                let failed = |message: String| SettingsError::TokenCommand { program: program.clone(), message };
                // It may ask a person for a password: its questions and complaints are theirs to see.
                let output =
                    Command::new(&program).args(words.get(1..).unwrap_or_default()).stderr(Stdio::inherit()).output();
                let output = output.map_err(|error| failed(error.to_string()))?;
                let secret: Secret = first_line(&String::from_utf8_lossy(&output.stdout));
                match (output.status.success(), secret.reveal().is_empty()) {
                    (true, false) => Ok(secret),
                    (true, true) => Err(failed("nothing was printed".to_owned())),
                    (false, _) => Err(failed(output.status.to_string())),
                }
            }
        }
    }
}

/// What is used in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    pub context: Option<String>,
    pub server: String,
    pub token: Option<TokenSource>,
    pub ca_file: Option<PathBuf>,
}

/// A flag before the environment, the environment before the context that is in use; a context named by a flag is a flag.
///
/// What belongs to a context's server goes to no other: its token is only used where its address is.
pub fn choose(
    flags: &Global,
    variable: impl Fn(&str) -> Option<String>,
    contexts: &Contexts,
) -> Result<Chosen, SettingsError> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let by_flag = flags.context.is_some();
    let name = flags.context.clone().or_else(|| set("JIYUE_CONTEXT")).or_else(|| contexts.current.clone());
    let context = name.as_deref().map(|name| contexts.get(name)).transpose()?;
    let own_server = context.map(|context| context.server.clone());
    let elsewhere = flags.server.clone().or_else(|| set("JIYUE_SERVER").filter(|_| !by_flag || context.is_none()));
    let own = context.filter(|context| elsewhere.as_ref().is_none_or(|server| *server == context.server));
    let server = elsewhere.or(own_server).unwrap_or_else(|| super::DEFAULT_SERVER.to_owned());

    let secret = |text: String| text.parse().ok().map(TokenSource::Given);
    let of_context = own.and_then(|context| match &context.token_command[..] {
        [] => context.token_file.clone().map(TokenSource::File),
        words => Some(TokenSource::Command(words.to_vec())),
    });
    let of_environment = set("JIYUE_TOKEN").and_then(secret);
    let token = flags.token.clone().filter(|token| !token.reveal().is_empty()).map(TokenSource::Given);
    let token = token.or_else(|| if by_flag { of_context.or(of_environment) } else { of_environment.or(of_context) });

    let (of_context, of_environment) = (own.and_then(|c| c.ca_file.clone()), set("JIYUE_CA_FILE").map(PathBuf::from));
    let ca_file = flags.ca_file.clone();
    let ca_file =
        ca_file.or_else(|| if by_flag { of_context.or(of_environment) } else { of_environment.or(of_context) });
    Ok(Chosen { context: name, server, token, ca_file })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn contexts() -> Contexts {
        let context = |server: &str| Context {
            server: server.to_owned(),
            ca_file: Some(PathBuf::from(format!("/ca/{server}"))),
            token_file: Some(PathBuf::from(format!("/token/{server}"))),
            token_command: Vec::new(),
        };
        Contexts {
            current: Some("one".to_owned()),
            contexts: [("one", context("http://one")), ("two", context("http://two"))]
                .map(|(n, c)| (n.to_owned(), c))
                .into(),
        }
    }

    fn chosen(flags: &Global, set: &[(&str, &str)]) -> Chosen {
        let variable = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        choose(flags, variable, &contexts()).unwrap()
    }

    fn file(server: &str) -> TokenSource {
        TokenSource::File(PathBuf::from(format!("/token/{server}")))
    }

    fn given(token: &str) -> TokenSource {
        TokenSource::Given(token.parse().unwrap())
    }

    #[test]
    fn a_flag_goes_before_the_environment_and_that_before_the_context() {
        let none = Global::default();
        let plain = chosen(&none, &[]);
        assert_eq!((plain.server.as_str(), plain.token), ("http://one", Some(file("http://one"))));
        assert_eq!(plain.ca_file, Some(PathBuf::from("/ca/http://one")));

        let by_environment = chosen(&none, &[("JIYUE_CONTEXT", "two"), ("JIYUE_TOKEN", "t"), ("JIYUE_CA_FILE", "/x")]);
        assert_eq!((by_environment.server.as_str(), by_environment.token), ("http://two", Some(given("t"))));
        assert_eq!(by_environment.ca_file, Some(PathBuf::from("/x")));

        let flags = Global { token: "f".parse().ok(), server: Some("http://three".to_owned()), ..Global::default() };
        let by_flag = chosen(&flags, &[("JIYUE_SERVER", "http://env"), ("JIYUE_TOKEN", "t")]);
        assert_eq!((by_flag.server.as_str(), by_flag.token), ("http://three", Some(given("f"))));

        let default = choose(&none, |_| None, &Contexts::default()).unwrap();
        assert_eq!((default.server.as_str(), default.token, default.context), ("http://127.0.0.1:8460", None, None));
    }

    #[test]
    fn a_context_named_by_a_flag_is_used_whole() {
        let flags = Global { context: Some("two".to_owned()), ..Global::default() };
        let set = [("JIYUE_SERVER", "http://env"), ("JIYUE_TOKEN", "t"), ("JIYUE_CONTEXT", "one")];
        let chosen = chosen(&flags, &set);
        assert_eq!((chosen.server.as_str(), chosen.token), ("http://two", Some(file("http://two"))));
    }

    #[test]
    fn a_contexts_token_goes_to_no_other_server() {
        let elsewhere = chosen(&Global::default(), &[("JIYUE_SERVER", "http://evil")]);
        assert_eq!((elsewhere.server.as_str(), elsewhere.token, elsewhere.ca_file), ("http://evil", None, None));
        let flags =
            Global { server: Some("http://evil".to_owned()), context: Some("one".to_owned()), ..Global::default() };
        let elsewhere = chosen(&flags, &[]);
        assert_eq!((elsewhere.server.as_str(), elsewhere.token), ("http://evil", None));
        let same = chosen(&Global::default(), &[("JIYUE_SERVER", "http://one")]);
        assert_eq!(same.token, Some(file("http://one")), "the same address is no other server");
    }

    #[test]
    fn a_context_that_is_not_there_is_told_with_those_that_are() {
        let flags = Global { context: Some("three".to_owned()), ..Global::default() };
        match choose(&flags, |_| None, &contexts()) {
            Err(SettingsError::NoContext { name, known }) => {
                assert_eq!((name.as_str(), known), ("three", vec!["one".to_owned(), "two".to_owned()]));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_file_is_its_owners_alone_and_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jiyue/config.toml");
        assert_eq!(Contexts::load(&path).unwrap(), Contexts::default());
        contexts().save(&path).unwrap();
        assert_eq!(Contexts::load(&path).unwrap(), contexts());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        contexts().save(&path).unwrap();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert!(matches!(Contexts::load(&path), Err(SettingsError::Exposed { .. })), "{mode:o}");
        }
    }

    #[test]
    fn mistakes_in_the_file_are_told_and_tokens_do_not_belong_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        for text in [
            "current = 3",
            "[contexts.a]\nserver = \"x\"\ntoken = \"secret\"",
            "[contexts.\"..\"]\nserver = \"x\"",
            "[",
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(Contexts::load(&path), Err(SettingsError::Syntax { .. })), "{text}");
        }
    }

    #[test]
    fn tokens_come_from_files_that_nobody_else_reads_and_from_programs_that_succeed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let source = TokenSource::File(path.clone());
        assert!(matches!(source.fetch(), Err(SettingsError::Io { .. })));
        fs::write(&path, " abc \nmore").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(source.fetch().unwrap().reveal(), "abc");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(source.fetch(), Err(SettingsError::Exposed { .. })));
        let run = |words: &[&str]| TokenSource::Command(words.iter().map(|w| (*w).to_owned()).collect()).fetch();
        assert_eq!(run(&["printf", "%s\\n%s", "a b", "second line"]).unwrap().reveal(), "a b");
        // No shell reads it.
        assert_eq!(run(&["echo", "$HOME;id"]).unwrap().reveal(), "$HOME;id");
        for bad in [&["false"][..], &["true"], &["no-such-program-here"]] {
            assert!(matches!(run(bad), Err(SettingsError::TokenCommand { .. })), "{bad:?}");
        }
    }

    #[test]
    fn the_file_lies_where_settings_of_people_lie() {
        let at = |set: &[(&str, &str)]| {
            place(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(at(&[("HOME", "/h")]).unwrap(), Path::new("/h/.config/jiyue/config.toml"));
        assert_eq!(at(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]).unwrap(), Path::new("/x/jiyue/config.toml"));
        assert_eq!(
            at(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "relative")]).unwrap(),
            Path::new("/h/.config/jiyue/config.toml")
        );
        assert!(matches!(at(&[]), Err(SettingsError::NoHome)));
    }
}
