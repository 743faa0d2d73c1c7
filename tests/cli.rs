//! The program as its users meet it: help, results, messages, exit codes.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "cli/debug.rs"]
mod debug;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const CANARY: &str = "c4n4ry0123456789c4n4ry0123456789";

/// What the program said and how it ended.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

/// A directory of its own for one test, and the program in it, without any environment.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wxsign"));
        command
            .args(args)
            .env_clear()
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(args).output().unwrap())
    }

    fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Ran {
        let mut command = self.command(args);
        command.envs(env.iter().copied());
        ran(command.output().unwrap())
    }
}

/// Every output passes here, and none may hold the canary.
fn ran(output: Output) -> Ran {
    let ran = Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains(CANARY), "a secret was printed: {text}");
    }
    ran
}

const ONE_ACCOUNT: [(&str, &str); 3] = [
    ("WXSIGN_APPID", "wx0123456789abcdef"),
    ("WXSIGN_SECRET", CANARY),
    ("WXSIGN_PAGE_HOSTS", "h5.example.com"),
];

#[test]
fn help_is_a_screen_for_each_verb() {
    let place = Place::new();
    for (name, args) in [
        ("help", &["--help"][..]),
        ("help_demo", &["demo", "--help"]),
        ("help_serve", &["serve", "--help"]),
        ("help_simulator", &["simulator", "--help"]),
        ("help_sign", &["sign", "--help"]),
        ("help_debug", &["debug", "--help"]),
        ("help_account", &["account", "--help"]),
        ("help_account_add", &["account", "add", "--help"]),
        ("help_account_list", &["account", "list", "--help"]),
        ("help_account_remove", &["account", "remove", "--help"]),
        ("help_account_rekey", &["account", "rekey", "--help"]),
        ("help_client", &["client", "--help"]),
        ("help_client_add", &["client", "add", "--help"]),
        ("help_client_rotate", &["client", "rotate", "--help"]),
        (
            "help_client_drop_former",
            &["client", "drop-former", "--help"],
        ),
        ("help_client_list", &["client", "list", "--help"]),
        ("help_client_remove", &["client", "remove", "--help"]),
        ("help_events", &["events", "--help"]),
        ("help_backup", &["backup", "--help"]),
        ("help_restore", &["restore", "--help"]),
        ("help_config", &["config", "--help"]),
        ("help_config_check", &["config", "check", "--help"]),
        ("help_config_show", &["config", "show", "--help"]),
        ("help_doctor", &["doctor", "--help"]),
        ("help_console_password", &["console", "password", "--help"]),
        ("help_healthcheck", &["healthcheck", "--help"]),
        ("help_key_new", &["key", "new", "--help"]),
        ("help_print", &["print", "--help"]),
        ("help_completions", &["completions", "--help"]),
    ] {
        let ran = place.run(args);
        assert_eq!(ran.code, 0, "{args:?}");
        assert_eq!(ran.stderr, "");
        insta::assert_snapshot!(name, ran.stdout);
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    let place = Place::new();
    for args in [
        &[][..],
        &["sevre"],
        &["serve", "--listen", "8080"],
        &["serve", "--store", "mysql://h"],
        &["serve", "--store", "redis://:c4n4ry-in-a-url@h:port"],
        &["account", "list", "--store", "redis://:c4n4ry?in-a-url@h"],
        &["demo", "--store", "memory:"],
        &["sign", "--url", "https://h5.example.com/"],
        &[
            "sign",
            "--ticket",
            CANARY,
            "--ticket-file",
            "f",
            "--url",
            "u",
        ],
        &["sign", "--ticket", CANARY, "--url", "not a page"],
        &["sign", "--ticket", " ", "--url", "https://h5.example.com/"],
        &["key", "new", "a b"],
        &["key", "new", "shop", "--account", "gh_1"],
        &["key", "new", "shop", "--scope", "root"],
        &["account", "add", "wx0123456789abcdef"],
        &["account", "add", "gh_1", "--page-host", "h5.example.com"],
        &["account", "add", "wx0123456789abcdef", "--page-host", "a/b"],
        &["account", "remove"],
        &["account", "rekey"],
        &["client", "add", "shop"],
        &["client", "add", "a b", "--scope=token"],
        &["client", "add", ".", "--scope=token"],
        &["client", "add", "shop", "--scope=root"],
        &["client", "add", "shop", "--scope=token", "--account=*"],
        &["client", "add", "shop", "--scope=token", "--not-after=2027"],
        &["client", "rotate"],
        &["client", "remove", "a/b"],
        &["print"],
        &["print", "helm"],
        &["completions", "cmd"],
    ] {
        let ran = place.run(args);
        assert_eq!(ran.code, 2, "{args:?} {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{args:?}");
        assert!(!ran.stderr.is_empty(), "{args:?}");
        assert!(!ran.stderr.contains("in-a-url"), "{}", ran.stderr);
    }
}

/// The example of WeChat's manual
/// (<https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html>, appendix 1).
const TICKET: &str =
    "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";
const REST: [&str; 6] = [
    "--nonce",
    "Wm3WZYTPz0wzccnW",
    "--timestamp",
    "1414587457",
    "--url",
    "http://mp.weixin.qq.com?params=value#fragment",
];

#[test]
fn sign_reproduces_the_example_of_the_manual() {
    let place = Place::new();
    let ran = place.run(&[&["sign", "--ticket", TICKET], &REST[..]].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(ran.stdout, @r#"
    {
      "timestamp": 1414587457,
      "nonceStr": "Wm3WZYTPz0wzccnW",
      "signature": "0f9de62fce790f9a083d5c99e95740ceb90c27ed",
      "url": "http://mp.weixin.qq.com?params=value"
    }
    "#);
    place.write("ticket", &format!("{TICKET}\n"));
    let from_file = place.run(&[&["sign", "--ticket-file", "ticket"], &REST[..]].concat());
    assert_eq!(from_file.stdout, ran.stdout);
    let mut child = place
        .command(&[&["sign", "--ticket-file", "-"], &REST[..]].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{TICKET}").unwrap();
    drop(stdin);
    let from_stdin = ran_child(child);
    assert_eq!(from_stdin.stdout, ran.stdout);
}

fn ran_child(child: std::process::Child) -> Ran {
    ran(child.wait_with_output().unwrap())
}

#[test]
fn sign_makes_its_own_nonce_and_timestamp() {
    let place = Place::new();
    let args = [
        "sign",
        "--ticket",
        CANARY,
        "--url",
        "https://h5.example.com/",
    ];
    let (one, two) = (place.run(&args), place.run(&args));
    let json = |ran: &Ran| serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap();
    let (one, two) = (json(&one), json(&two));
    assert_ne!(one["nonceStr"], two["nonceStr"]);
    assert!(one["timestamp"].as_i64().unwrap() > 1_700_000_000);
}

#[test]
fn a_missing_ticket_file_is_named() {
    let place = Place::new();
    let ran = place.run(&[&["sign", "--ticket-file", "nowhere"], &REST[..]].concat());
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("nowhere: No such file"),
        "{}",
        ran.stderr
    );
}

#[test]
fn config_check_tells_every_fault_at_once() {
    let place = Place::new();
    place.write(
        "wxsign.toml",
        &format!(
            r#"lisen = "127.0.0.1:8080"
upstream = "https://user:{CANARY}@api.weixin.qq.com/"
store = "redis://:{CANARY}@127.0.0.1"

[[account]]
appid = "wx0123456789abcdef"
secret = "{CANARY}"
secret_file = "/run/secrets/wx"

[[account]]
appid = "{CANARY}"
secret_file = "{CANARY}"
token_api = "new"
page_hosts = ["https://h5.example.com"]

[[client]]
name = "shop"
key_sha256 = "{CANARY}"
accounts = ["wxfedcba9876543210"]
scopes = ["tokens"]
"#
        ),
    );
    let ran = place.run_with(
        &["config", "check"],
        &[("WXSIGN_LOG_FORMAT", "xml"), ("WXSIGN_SECRET", CANARY)],
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (78, ""));
    insta::assert_snapshot!("config_check_faults", ran.stderr);
}

#[test]
fn config_check_says_ok_and_config_show_hides_secrets() {
    let place = Place::new();
    let ran = place.run_with(&["config", "check"], &ONE_ACCOUNT);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(
        ran.stdout.starts_with("ok: no file, 1 account, "),
        "{}",
        ran.stdout
    );
    place.write("wxsign.toml", "listen = \"127.0.0.1:9000\"\n");
    let ran = place.run_with(&["config", "show", "--store", "memory:"], &ONE_ACCOUNT);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    insta::assert_snapshot!("config_show", ran.stdout);
    let ran = place.run_with(&["config", "show", "--json"], &ONE_ACCOUNT);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["listen"]["value"], "127.0.0.1:9000");
    assert_eq!(json["listen"]["source"], "wxsign.toml:1");
}

#[test]
fn an_unknown_variable_warns_and_nothing_more() {
    let env = [&ONE_ACCOUNT[..], &[("WXSIGN_PORT", CANARY)]].concat();
    let ran = Place::new().run_with(&["config", "check"], &env);
    assert_eq!(ran.code, 0);
    assert!(
        ran.stderr.starts_with("warning: WXSIGN_PORT: "),
        "{}",
        ran.stderr
    );
}

#[test]
fn an_unknown_key_is_told_with_its_line_and_the_nearest() {
    let place = Place::new();
    place.write("wxsign.toml", "\nlistne = \"127.0.0.1:9000\"\n");
    let ran = place.run_with(&["serve"], &ONE_ACCOUNT);
    assert_eq!(ran.code, 78);
    assert_eq!(
        ran.stderr,
        "error: wxsign.toml:2: listne is not a known key; the nearest known one is listen\n\
         1 fault in the configuration\n"
    );
}

#[test]
fn an_unreadable_secret_file_says_why() {
    let place = Place::new();
    let directory = place.path().to_str().unwrap();
    let env = [
        ONE_ACCOUNT[0],
        ("WXSIGN_SECRET_FILE", directory),
        ONE_ACCOUNT[2],
    ];
    let ran = place.run_with(&["serve"], &env);
    assert_eq!(ran.code, 78);
    let told =
        format!("WXSIGN_SECRET_FILE: secret_file cannot be read ({directory}: Is a directory");
    assert!(ran.stderr.contains(&told), "{}", ran.stderr);
}

#[test]
fn a_taken_port_is_told_with_a_way_out() {
    let place = Place::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    for (verb, env) in [
        ("serve", &ONE_ACCOUNT[..]),
        ("demo", &[]),
        ("simulator", &[]),
    ] {
        let ran = place.run_with(&[verb, "--listen", &taken], env);
        assert_eq!(ran.code, 1, "{verb}");
        let told = format!("cannot listen on {taken}");
        assert!(ran.stderr.contains(&told), "{verb} {}", ran.stderr);
        assert!(
            ran.stderr.contains("--listen 127.0.0.1:0"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn logs_are_lines_of_json_when_asked() {
    let place = Place::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let more = [("WXSIGN_PORT", CANARY), ("WXSIGN_LOG_FORMAT", "json")];
    let ran = place.run_with(
        &["serve", "--listen", &taken],
        &[&ONE_ACCOUNT[..], &more].concat(),
    );
    assert_eq!(ran.stdout, "");
    let line = ran.stderr.lines().next().unwrap();
    let event: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(event["level"], "WARN");
    assert!(
        event["message"]
            .as_str()
            .unwrap()
            .starts_with("WXSIGN_PORT: ")
    );
    assert!(event["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_new_key_and_its_block_belong_together() {
    let place = Place::new();
    let ran = place.run(&["key", "new", "shop"]);
    assert_eq!(ran.code, 0);
    let (key, block) = ran.stdout.split_once("\n\n").unwrap();
    assert!(key.starts_with("wxk_"), "{key}");
    assert!(!ran.stderr.contains(key) && !block.contains(key));
    place.write("wxsign.toml", block);
    let ran = place.run_with(&["config", "show"], &ONE_ACCOUNT);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("token, ticket, report, status"));
    let ran = place.run_with(
        &["config", "check"],
        &[&ONE_ACCOUNT[..], &[("WXSIGN_CLIENT_KEY", key)]].concat(),
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("2 clients"), "{}", ran.stdout);
}

#[test]
fn the_compose_file_configures_nodes_as_they_want_it() {
    let place = Place::new();
    let ran = place.run(&["print", "compose"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let version = env!("CARGO_PKG_VERSION");
    insta::assert_snapshot!("print_compose", ran.stdout.replace(version, "[version]"));

    let in_image = ran
        .stdout
        .split("<<TOML /etc/wxsign.toml\n")
        .nth(1)
        .unwrap();
    let (toml, _) = in_image.split_once("        TOML\n").unwrap();
    place.write("wxsign.toml", toml);
    for secret in ["appsecret", "redis", "master_key", "client_key", "console"] {
        place.write(secret, &CANARY.repeat(2).replace(['n', 'r', 'y'], "0"));
    }
    let here = place.path().display().to_string();
    let variables = ran.stdout.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once(": ")?;
        let value = match value {
            "${WXSIGN_APPID:?}" => "wx0123456789abcdef",
            "${WXSIGN_PAGE_HOSTS:?}" => "h5.example.com",
            _ => value,
        };
        let value = value.replace("/run/secrets", &here).replace("/etc", &here);
        name.starts_with("WXSIGN_")
            .then(|| (name.to_owned(), value))
    });
    let mut command = place.command(&["config", "show"]);
    let ran = self::ran(command.envs(variables).output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    for told in ["172.30.233.0/24", "redis://redis", "WXSIGN_MASTER_KEY_FILE"] {
        assert!(ran.stdout.contains(told), "{told} {}", ran.stdout);
    }
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = Place::new().run(&["completions", shell]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        assert!(ran.stdout.contains("simulator"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    let mut command = place.command(&["completions", "bash"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
