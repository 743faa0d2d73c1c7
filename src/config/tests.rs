mod faults;

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::account::{AppId, TokenApi};
use crate::client::{Accounts, KeyHash, Scope};
use crate::laws::{self, made_of};

const CANARY: &str = "c4n4ry0123456789c4n4ry0123456789";
const APPID: &str = "wx0123456789abcdef";

/// A configuration to be loaded: a file (its text, or none), variables, flags.
struct Case {
    dir: TempDir,
    text: Option<String>,
    env: Variables,
    flags: Flags,
}

impl Case {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            text: None,
            env: Variables::new(),
            flags: Flags::default(),
        }
    }

    /// One account in the environment, nothing else.
    fn env_account() -> Self {
        Self::new()
            .var("APPID", APPID)
            .var("SECRET", CANARY)
            .var("PAGE_HOSTS", "h5.example.com, *.shop.example.com")
    }

    /// One account in the file, nothing else, `more` behind it.
    fn file_account(more: &str) -> Self {
        Self::new().file(&format!(
            "[[account]]\nappid = \"{APPID}\"\nsecret = \"{CANARY}\"\n\
             page_hosts = [\"h5.example.com\"]\n{more}"
        ))
    }

    fn file(mut self, text: &str) -> Self {
        self.text = Some(text.to_owned());
        self
    }

    fn var(mut self, name: &str, value: &str) -> Self {
        self.env.insert(format!("{PREFIX}{name}"), value.to_owned());
        self
    }

    /// Writes a file beside the configuration; its path.
    fn beside(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn load(&self) -> Result<Loaded, Faults> {
        let path = self.dir.path().join("wxsign.toml");
        // Without a file of its own, the case must not find one in the working directory.
        fs::write(&path, self.text.as_deref().unwrap_or_default()).unwrap();
        Config::load(Some(&path), &self.env, &self.flags)
    }

    fn config(&self) -> Config {
        self.load().unwrap().config
    }

    /// The faults, one a line, the directory left out.
    fn faults(&self) -> Vec<String> {
        let dir = format!("{}/", self.dir.path().display());
        let faults = self.load().unwrap_err();
        assert!(!format!("{faults} {faults:?}").contains(CANARY), "{faults}");
        faults
            .iter()
            .map(|fault| fault.to_string().replace(&dir, ""))
            .collect()
    }

    fn only_fault(&self) -> String {
        let faults = self.faults();
        assert_eq!(faults.len(), 1, "{faults:#?}");
        faults[0].clone()
    }

    fn warnings(&self) -> Vec<String> {
        let warnings = self.load().unwrap().warnings;
        warnings.iter().map(ToString::to_string).collect()
    }

    /// The value and the source of a setting.
    fn setting(&self, key: &str) -> (String, String) {
        let settings = self.load().unwrap().settings;
        let setting = settings.iter().find(|setting| setting.key == key).unwrap();
        (setting.value.to_string(), setting.source.to_string())
    }
}

#[test]
fn the_example_of_the_documentation_is_a_configuration() {
    let case = Case::new();
    let secret_file = case.beside("secret", CANARY);
    let case = case.file(
        &(include_str!("example.toml").replace("/run/secrets/wx", &secret_file))
            .replace("/run/secrets/wecom", &secret_file),
    );
    let config = case.config();
    assert_eq!(config.accounts[0].secret.expose(), CANARY);
    assert_eq!(config.clients[0].name, "shop");
    assert_eq!(case.warnings(), [""; 0]);
    let defaults = Config::with_accounts(config.accounts.clone());
    assert_eq!(
        Config {
            trusted_proxies: Vec::new(),
            clients: Vec::new(),
            verify_files: BTreeMap::new(),
            ..config
        },
        defaults,
        "the example shows the defaults"
    );
}

#[test]
fn one_account_needs_no_file() {
    let case = Case::env_account()
        .var("TOKEN_API", "stable")
        .var("WX_CARD", "true")
        .var("CLIENT_KEY", CANARY);
    let config = case.config();
    let account = &config.accounts[0];
    assert_eq!(account.appid.as_str(), APPID);
    assert_eq!(account.secret.expose(), CANARY);
    assert_eq!(account.token_api, TokenApi::Stable);
    assert!(account.wx_card);
    assert_eq!(
        account.page_hosts.patterns(),
        ["*.shop.example.com", "h5.example.com"]
    );
    let client = &config.clients[0];
    assert_eq!(client.key_sha256, [KeyHash::of(CANARY)]);
    assert!(client.accounts.allow(&account.appid));
    assert_eq!(client.scopes, Scope::USUAL.into());
    assert_eq!(config.listen, DEFAULT_LISTEN.into());
    assert_eq!(config.upstream, DEFAULT_UPSTREAM);
}

#[test]
fn a_wecom_app_is_an_account_named_by_corpid_and_agentid() {
    let app = "ww0123456789abcdef-1000002";
    let case = Case::env_account().var("APPID", app);
    let config = case.config();
    let account = &config.accounts[0];
    assert_eq!(
        (account.appid.as_str(), account.token_api),
        (app, TokenApi::WeCom)
    );
    assert_eq!(config.wecom_upstream, DEFAULT_WECOM_UPSTREAM);
    let (value, source) = case.setting(&format!("account.{app}.token_api"));
    assert_eq!((value.as_str(), source.as_str()), ("\"wecom\"", "default"));
    let elsewhere = Case::env_account().var("WECOM_UPSTREAM", "http://127.0.0.1:9000/");
    assert_eq!(elsewhere.config().wecom_upstream, "http://127.0.0.1:9000");

    let chosen = Case::env_account()
        .var("APPID", app)
        .var("TOKEN_API", "stable");
    let fault = chosen.only_fault();
    assert!(
        fault.contains("token_api is not for a WeCom app"),
        "{fault}"
    );
    let fault = Case::env_account().var("TOKEN_API", "wecom").only_fault();
    assert!(
        fault.contains("must be \"classic\" or \"stable\""),
        "{fault}"
    );
    let fault = Case::env_account()
        .var("APPID", "ww0123456789abcdef")
        .only_fault();
    assert!(
        fault.contains("write a minus and the app's AgentId behind it"),
        "{fault}"
    );
    let cards = Case::env_account().var("APPID", app).var("WX_CARD", "true");
    assert!(cards.only_fault().contains("no coupons"));
}

#[test]
fn the_environment_overrides_the_file_and_flags_override_both() {
    let in_file = "listen = \"127.0.0.1:1\"\nstore = \"memory:\"\nupstream = \"http://file/\"\n";
    let file = Case::env_account().file(in_file);
    let both = Case::env_account()
        .file(in_file)
        .var("LISTEN", "127.0.0.1:2");
    let mut all = Case::env_account()
        .file(in_file)
        .var("LISTEN", "127.0.0.1:2");
    all.flags.listen = Some("127.0.0.1:3".to_owned());
    assert_eq!(file.config().listen.to_string(), "127.0.0.1:1");
    assert_eq!(both.config().listen.to_string(), "127.0.0.1:2");
    assert_eq!(all.config().listen.to_string(), "127.0.0.1:3");
    let source = |case: &Case, key| case.setting(key).1;
    assert!(source(&file, "listen").ends_with("wxsign.toml:1"));
    assert_eq!(source(&both, "listen"), "WXSIGN_LISTEN");
    assert_eq!(source(&all, "listen"), "--listen");
    assert_eq!(source(&all, "log"), "default");
    assert_eq!(all.config().store, StoreUrl::Memory);
    assert_eq!(all.config().upstream, "http://file");
}

#[test]
fn the_environment_overrides_the_account_with_its_appid() {
    let other = "wxfedcba9876543210";
    let case = Case::file_account(&format!(
        "[[account]]\nappid = \"{other}\"\nsecret = \"x\"\npage_hosts = [\"a.example.com\"]\n"
    ))
    .var("APPID", other)
    .var("TOKEN_API", "stable");
    let accounts = case.config().accounts;
    let of = |appid: &str| accounts.iter().find(|a| a.appid.as_str() == appid).unwrap();
    assert_eq!(of(other).token_api, TokenApi::Stable);
    assert_eq!(of(other).secret.expose(), "x", "from the file");
    assert_eq!(of(APPID).token_api, TokenApi::Classic);
}

#[test]
fn an_account_of_the_environment_joins_those_of_the_file() {
    let case = Case::file_account("")
        .var("APPID", "wxfedcba9876543210")
        .var("SECRET", "x")
        .var("PAGE_HOSTS", "a.example.com");
    assert_eq!(case.config().accounts.len(), 2);
}

#[test]
fn without_an_account_both_ways_to_give_one_are_told() {
    let fault = Case::new().only_fault();
    assert!(fault.contains("WXSIGN_APPID"), "{fault}");
    assert!(fault.contains("[[account]]"), "{fault}");
    let fault = Case::file_account("").var("SECRET", CANARY).only_fault();
    assert!(fault.starts_with("WXSIGN_SECRET: "), "{fault}");
    assert!(fault.contains("WXSIGN_APPID is not set"), "{fault}");
}

#[test]
fn a_secret_may_stand_in_a_file_with_a_line_break_at_its_end() {
    for text in [
        CANARY.to_owned(),
        format!("{CANARY}\n"),
        format!("{CANARY}\r\n"),
    ] {
        let mut case = Case::env_account();
        case.env.remove("WXSIGN_SECRET");
        let path = case.beside("secret", &text);
        let case = case.var("SECRET_FILE", &path);
        assert_eq!(case.config().accounts[0].secret.expose(), CANARY);
    }
}

#[test]
fn a_secret_given_twice_is_a_fault() {
    let fault = Case::env_account().var("SECRET_FILE", "/x").only_fault();
    assert!(
        fault.contains("secret and secret_file are both given"),
        "{fault}"
    );
}

#[test]
fn an_unreadable_secret_file_says_why() {
    for (path, why) in [
        ("/nonexistent/secret", "(/nonexistent/secret: No such file"),
        ("/", "(/: Is a directory"),
        (CANARY, "(the path given here: No such file"),
    ] {
        let mut case = Case::env_account().var("SECRET_FILE", path);
        case.env.remove("WXSIGN_SECRET");
        let fault = case.only_fault();
        assert!(fault.starts_with("WXSIGN_SECRET_FILE: "), "{fault}");
        assert!(fault.contains(why), "{fault}");
    }
}

#[test]
fn a_secret_that_is_none_is_a_fault() {
    let two_words = format!("{CANARY} {CANARY}");
    for (secret, why) in [
        ("", "is empty"),
        ("\n", "is empty"),
        (&two_words, "holds a blank"),
    ] {
        let mut case = Case::env_account();
        case.env.remove("WXSIGN_SECRET");
        let path = case.beside("secret", secret);
        let fault = case.var("SECRET_FILE", &path).only_fault();
        assert!(fault.contains(why), "{fault}");
    }
    let fault = Case::env_account().var("SECRET", "").only_fault();
    assert!(fault.contains("give one that is not empty"), "{fault}");
    let fault = Case::env_account().var("CLIENT_KEY", "short").only_fault();
    assert!(fault.contains("fewer than 32 characters"), "{fault}");
}

#[test]
fn variables_without_a_value_count_as_not_set() {
    let case = VARIABLES
        .iter()
        .filter(|name| **name != "CONFIG")
        .fold(Case::file_account(""), |case, name| case.var(name, ""));
    assert_eq!(case.config(), Case::file_account("").config());
}

#[test]
fn no_debug_output_and_no_setting_shows_a_secret() {
    let case = Case::env_account().var("CLIENT_KEY", CANARY);
    let loaded = case.load().unwrap();
    let shown = format!(
        "{loaded:?} {}",
        serde_json::to_string(&loaded.settings).unwrap()
    );
    assert!(!shown.contains(CANARY), "{shown}");
    let (value, source) = case.setting(&format!("account.{APPID}.secret"));
    assert!(value.starts_with("\"•••• "), "{value}");
    assert_eq!(source, "WXSIGN_SECRET");
}

#[test]
fn logging_without_a_configuration_reads_two_variables() {
    let case = Case::new().var("LOG", "debug").var("LOG_FORMAT", "json");
    assert_eq!(
        logging(&case.env).unwrap(),
        ("debug".to_owned(), LogFormat::Json)
    );
    assert_eq!(logging(&Variables::new()).unwrap().0, "info");
    let fault = logging(&Case::new().var("LOG_FORMAT", "xml").env).unwrap_err();
    assert!(fault.to_string().contains("must be \"text\" or \"json\""));
}

#[test]
fn a_listed_account_is_allowed_and_no_other() {
    let appid: AppId = APPID.parse().unwrap();
    let listed = Accounts::Listed([appid.clone()].into());
    assert!(listed.allow(&appid));
    assert!(!listed.allow(&"wxfedcba9876543210".parse().unwrap()));
}

#[test]
fn with_a_master_key_no_account_is_needed() {
    let key = format!("{CANARY}{CANARY}")
        .replace('n', "0")
        .replace(['4', 'r', 'y'], "1");
    let case = Case::new().var("MASTER_KEY", &key);
    assert!(case.config().accounts.is_empty());
    let file = case.beside("key", &format!("{key}\n"));
    let from_file = Case::new().file(&format!("master_key_file = {file:?}"));
    assert_eq!(from_file.config().master_key, case.config().master_key);
    assert!(case.config().master_key.is_some());
    let shown = format!("{:?}", case.load().unwrap());
    assert!(!shown.contains(&key), "{shown}");
    let fault = Case::new().var("MASTER_KEY", CANARY).only_fault();
    assert!(fault.starts_with("WXSIGN_MASTER_KEY: "), "{fault}");
    assert!(fault.contains("openssl rand -hex 32"), "{fault}");
    let optional = Flags {
        accounts_optional: true,
        ..Flags::default()
    };
    let case = Case {
        flags: optional,
        ..Case::new()
    };
    assert_eq!(case.config().master_key, None);
}

#[test]
fn an_account_may_have_a_name() {
    let case = Case::file_account("name = \"商城\"\n");
    assert_eq!(case.config().accounts[0].name.as_deref(), Some("商城"));
    assert_eq!(Case::file_account("").config().accounts[0].name, None);
    let fault = Case::file_account("name = \"a\\nb\"\n").only_fault();
    assert!(fault.contains("1 to 64 characters"), "{fault}");
}

proptest! {
    /// `~` stands for a secret.
    #[test]
    fn no_message_about_any_configuration_holds_a_secret(
        text in made_of(&[
            "[[account]]\n", "appid = \"wx0123456789abcdef\"\n", "secret = \"~\"\n", "token_api = \"x\"\n",
            "page_hosts = [\"h5.example.com\"]\n", "[[client]]\n", "name = \"shop\"\n", "scopes = []\n",
            "key_sha256 = \"x\"\n", "trusted_proxies = [\"10.0.0.0/8\", \"x\"]\n", "solo = 1\n",
            "store = \"redis://h\"\n", "store_password = \"~\"\n", "master_key = \"~\"\n", "[limits]\n",
            "signatures_per_address = 0x10\n", "\"", "[", "= ", "listen = \"x\"\n",
        ]),
        variables in made_of(&[
            "APPID=wx0123456789abcdef\n", "SECRET=x\n", "PAGE_HOSTS=h5.example.com,*\n", "STORE=redis://h\n",
            "SOLO=true\n", "LOG=debug,x=\n", "UPSTREAM=http://u:p@h\n", "LISTEN=[::1]:0\n", "LIST=1\n",
        ]),
    ) {
        let dir = tempfile::tempdir().unwrap();
        laws::configuration(&dir.path().join("wxsign.toml"), &text, &variables);
    }
}

#[test]
fn the_console_is_there_unless_it_is_switched_off() {
    for (text, enabled) in [
        ("", true),
        ("[console]\n", true),
        ("[console]\nenabled = false\n", false),
    ] {
        let console = Case::file_account(text).config().console;
        assert_eq!(console.enabled, enabled, "{text}");
        assert_eq!(console.password, None);
    }
    let fault = Case::file_account("[console]\nenabled = \"no\"\n").only_fault();
    assert!(
        fault.contains("[console] enabled must be true or false"),
        "{fault}"
    );
}

#[test]
fn the_password_of_the_console_stands_in_a_file_and_is_not_shown() {
    let case = Case::env_account();
    let path = case.beside("password", "four words and more\n");
    let case = case.var("CONSOLE_PASSWORD_FILE", &path);
    let password = case.config().console.password.unwrap();
    assert_eq!(password.expose(), "four words and more");
    let (value, source) = case.setting("console.password_file");
    assert_eq!(
        (value.as_str(), source.as_str()),
        ("\"••••\"", "WXSIGN_CONSOLE_PASSWORD_FILE")
    );
    let case = Case::env_account();
    let path = case.beside("password", "too short\n");
    let fault = case.var("CONSOLE_PASSWORD_FILE", &path).only_fault();
    assert!(fault.contains("fewer than 12 characters"), "{fault}");
    assert!(!fault.contains("too short"), "{fault}");
}
