use super::*;

#[test]
fn an_incomplete_account_is_told_what_it_lacks() {
    let faults = Case::new().var("APPID", APPID).faults();
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert!(faults[0].contains("WXSIGN_PAGE_HOSTS names no host"));
    assert!(faults[1].contains("WXSIGN_SECRET and WXSIGN_SECRET_FILE are missing"));
    let faults = Case::new().file("[[account]]\n").faults();
    assert_eq!(faults.len(), 3, "{faults:#?}");
    assert!(
        faults
            .iter()
            .all(|fault| fault.starts_with("wxsign.toml:1: [[account]] "))
    );
}

#[test]
fn an_unknown_key_is_a_fault_that_names_the_nearest() {
    for (more, told) in [
        (
            "tokenapi = \"stable\"",
            "[[account]] tokenapi is not a known key; the nearest known one is token_api",
        ),
        (
            "[limit]\n",
            "limit is not a known key; the nearest known one is limits",
        ),
        (
            "[limits]\nper_address = 1",
            "the nearest known one is signatures_per_address",
        ),
        ("[[client]]\nkey = 1", "the nearest known one is key_sha256"),
    ] {
        let faults = Case::file_account(more).faults();
        assert!(
            faults.iter().any(|fault| fault.contains(told)),
            "{faults:#?}"
        );
    }
}

#[test]
fn an_unknown_variable_is_a_warning_that_names_the_nearest() {
    let case = Case::env_account()
        .var("PAGE_HOST", "a")
        .var("PORT_8080_TCP", "tcp://10.0.0.1:8080");
    let warnings = case.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(warnings[0].starts_with("WXSIGN_PAGE_HOST: "));
    assert!(warnings[0].ends_with("WXSIGN_PAGE_HOSTS"));
}

#[test]
fn a_star_among_the_page_hosts_warns() {
    let warnings = Case::env_account().var("PAGE_HOSTS", "*").warnings();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].contains("any site"), "{warnings:#?}");
}

#[test]
fn what_is_there_twice_is_a_fault() {
    let account = format!(
        "[[account]]\nappid = \"{APPID}\"\nsecret = \"x\"\npage_hosts = [\"a.example.com\"]\n"
    );
    let fault = Case::file_account(&account).only_fault();
    assert!(fault.contains("wxsign.toml:5: [[account]] wx0123456789abcdef is there twice"));
    let client = |name: &str, digit: char| {
        format!(
            "[[client]]\nname = \"{name}\"\nkey_sha256 = \"{}\"\naccounts = [\"*\"]\n\
             scopes = [\"token\"]\n",
            digit.to_string().repeat(64)
        )
    };
    let fault = Case::file_account(&(client("shop", '1') + &client("shop", '2'))).only_fault();
    assert!(
        fault.contains("shop has the name of another client"),
        "{fault}"
    );
    let fault = Case::file_account(&(client("shop", '1') + &client("mall", '1'))).only_fault();
    assert!(
        fault.contains("mall has the key of another client"),
        "{fault}"
    );
}

#[test]
fn a_client_is_checked_in_every_field() {
    let client = |line: &str| {
        let key = line.split(' ').next().unwrap();
        let good = format!(
            "name = \"shop\"\nkey_sha256 = \"{}\"\naccounts = [\"{APPID}\"]\nscopes = [\"token\"]\n",
            "0".repeat(64)
        );
        let others = good.lines().filter(|other| !other.starts_with(key));
        let rest: Vec<&str> = others.collect();
        Case::file_account(&format!("[[client]]\n{line}\n{}", rest.join("\n"))).only_fault()
    };
    for (line, told) in [
        ("name = \"a b\"", "must be 1 to 64 letters"),
        (&format!("key_sha256 = \"{CANARY}\""), "not the key"),
        ("accounts = []", "lists nothing"),
        (
            "accounts = [\"wxfedcba9876543210\"]",
            "names wxfedcba9876543210, which is not configured",
        ),
        ("accounts = [\"shop\"]", "an AppID is"),
        ("scopes = [\"tokens\"]", "the nearest one is token"),
        ("scopes = []", "lists nothing"),
    ] {
        let fault = client(line);
        assert!(fault.contains(told), "{fault}");
    }
}

#[test]
fn stores_are_in_memory_in_a_file_or_on_a_server() {
    let store = |url: &str| {
        let case = Case::env_account().var("STORE", url);
        case.load().map(|loaded| loaded.config.store)
    };
    assert_eq!(store("memory:").unwrap(), StoreUrl::Memory);
    assert_eq!(
        store("sqlite:/var/x.db").unwrap(),
        StoreUrl::Sqlite("/var/x.db".into())
    );
    for (url, told) in [
        ("memory", "must be memory: or sqlite:PATH"),
        ("sqlite:", "names no file"),
        ("sqlite:///x.db", "without \"//\""),
        ("redis://:c4n4ry@", "must name hosts"),
        ("redis+sentinel://:c4n4ry@h1,h2", "names no master"),
    ] {
        let fault = store(url).unwrap_err().to_string();
        assert!(fault.contains(told), "{fault}");
        assert!(!fault.contains("c4n4ry"), "{fault}");
    }
}

#[test]
fn the_password_of_a_store_can_stand_beside_its_url() {
    let load = |url: &str| {
        let case = Case::env_account().var("STORE", url);
        case.var("STORE_PASSWORD", "c4n4ry").load()
    };
    let loaded = load("redis://wx@h").unwrap();
    let StoreUrl::Shared(url) = loaded.config.store else {
        panic!("a server");
    };
    assert_eq!(url.password, Some(crate::credential::Secret::new("c4n4ry")));
    let shown = format!("{:?}", loaded.settings);
    assert!(shown.contains("redis://wx@h:6379"), "{shown}");
    assert!(!shown.contains("c4n4ry"), "{shown}");
    let twice = load("redis://:other@h").unwrap_err().to_string();
    assert!(twice.contains("remove one"), "{twice}");
    let unused = load("memory:").unwrap().warnings;
    assert!(format!("{unused:?}").contains("is not used"), "{unused:?}");
}

#[test]
fn a_certificate_that_nothing_is_encrypted_with_is_warned_of() {
    let case = |listen: &str| {
        let case = Case::env_account().var("TLS_CERTIFICATE", "c.pem");
        case.var("TLS_KEY", "k.pem").var("LISTEN", listen)
    };
    for (case, warned) in [
        (case("127.0.0.1:8443"), false),
        (case("systemd"), false),
        (case("unix:http.sock"), true),
        (
            case("unix:http.sock").var("ADMIN_LISTEN", "unix:admin.sock"),
            true,
        ),
        (
            case("unix:http.sock").var("ADMIN_LISTEN", "127.0.0.1:8443"),
            false,
        ),
    ] {
        let warnings = case.warnings().join("");
        let told = warnings.starts_with("WXSIGN_TLS_CERTIFICATE: tls_certificate has no effect");
        assert_eq!(told, warned, "{warnings}");
    }
}

#[test]
fn whether_a_node_is_solo_is_true_or_false() {
    assert!(!Case::env_account().config().solo);
    assert!(Case::env_account().var("SOLO", "true").config().solo);
    assert!(Case::env_account().file("solo = true").config().solo);
    let alone = Case::env_account().var("SOLO", "true").load().unwrap();
    assert!(format!("{:?}", alone.warnings).contains("has no effect"));
    let shared = Case::env_account().var("SOLO", "true");
    let shared = shared.var("STORE", "redis://h").load().unwrap();
    assert_eq!(shared.warnings, []);
    for case in [
        Case::env_account().var("SOLO", "yes"),
        Case::env_account().file("solo = \"true\""),
    ] {
        let fault = case.load().unwrap_err().to_string();
        assert!(fault.contains("solo must be true or false"), "{fault}");
    }
}

#[test]
fn an_upstream_is_a_base_url() {
    let upstream = |url: &str| {
        let case = Case::env_account().var("UPSTREAM", url);
        case.load().map(|loaded| loaded.config.upstream)
    };
    assert_eq!(
        upstream("http://127.0.0.1:9000/").unwrap(),
        "http://127.0.0.1:9000"
    );
    assert_eq!(
        upstream("https://api2.weixin.qq.com").unwrap(),
        "https://api2.weixin.qq.com"
    );
    for bad in [
        "api.weixin.qq.com",
        "ftp://a",
        "http://u:p@a",
        "http://a/b",
        "http://a?b",
        "http://a#b",
    ] {
        let fault = upstream(bad).unwrap_err().to_string();
        assert!(
            fault.contains("as https://api.weixin.qq.com"),
            "{bad} {fault}"
        );
    }
}

#[test]
fn an_upstream_that_is_neither_https_nor_here_is_warned_of() {
    for (url, warned) in [
        ("http://api.weixin.qq.com", true),
        ("https://api.weixin.qq.com", false),
        ("http://127.0.0.1:9000", false),
        ("http://[::1]:9000", false),
        ("http://localhost", false),
    ] {
        let warnings = Case::env_account().var("UPSTREAM", url).warnings().join("");
        assert_eq!(
            warnings.contains("in the clear"),
            warned,
            "{url} {warnings}"
        );
    }
}

#[test]
fn trusted_proxies_are_addresses_or_networks() {
    let case = Case::env_account().file("trusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n");
    let nets: Vec<_> = case
        .config()
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(nets, ["10.0.0.0/8", "::1/128"]);
    let fault = Case::env_account()
        .file("trusted_proxies = [\n  \"10.0.0.0/8\",\n  \"proxy\",\n]\n")
        .only_fault();
    assert!(
        fault.starts_with("wxsign.toml:3: trusted_proxies lists \"proxy\""),
        "{fault}"
    );
}

#[test]
fn verify_files_have_the_names_that_wechat_looks_for() {
    let load = |line: &str| Case::env_account().file(&format!("[verify_files]\n{line}\n"));
    let good = load("\"MP_verify_abcdefghijklmnop.txt\" = \"abcdefghijklmnop\"");
    assert_eq!(good.warnings(), [""; 0]);
    assert_eq!(
        good.config().verify_files["MP_verify_abcdefghijklmnop.txt"],
        "abcdefghijklmnop"
    );
    let other = load("\"MP_verify_abcdefghijklmnop.txt\" = \"ponmlkjihgfedcba\"");
    assert_eq!(other.warnings().len(), 1);
    for name in [
        "MP_verify_abc.txt",
        "../MP_verify_abcdefghijklmnop.txt",
        "index.html",
    ] {
        let fault = load(&format!("\"{name}\" = \"x\"")).only_fault();
        assert!(
            fault.contains("is not a name that WeChat looks for"),
            "{fault}"
        );
    }
}

#[test]
fn wrong_types_are_named_without_their_values() {
    let faults = Case::env_account()
        .file(&format!(
            "listen = 8080\nlog = [\"{CANARY}\"]\ntrusted_proxies = \"{CANARY}\"\naccount = 1\n\
             limits = \"{CANARY}\"\nclient = [1]\n"
        ))
        .faults();
    assert_eq!(faults.len(), 6, "{faults:#?}");
    assert!(faults[0].contains("listen must be a text in quotes, but is of the type integer"));
    let fault = Case::env_account()
        .file("[limits]\nsignatures_per_address = -1\n")
        .only_fault();
    assert!(fault.contains("a whole number from 0"), "{fault}");
}

#[test]
fn broken_toml_is_told_by_line_without_the_line() {
    let faults = Case::new()
        .file(&format!("listen = \nsecret = \"{CANARY}\n[[account]\n"))
        .faults();
    assert!(faults.len() > 1, "{faults:#?}");
    assert!(
        faults[0].starts_with("wxsign.toml:1: this is not TOML: "),
        "{faults:#?}"
    );
}

#[test]
fn a_named_file_must_exist() {
    let missing = Path::new("/nonexistent/wxsign.toml");
    let fault = Config::load(Some(missing), &Variables::new(), &Flags::default());
    let fault = fault.unwrap_err().to_string();
    assert!(fault.starts_with("--config: the configuration file /nonexistent/wxsign.toml"));
    let env = Case::env_account()
        .var("CONFIG", "/nonexistent/wxsign.toml")
        .env;
    let fault = Config::load(None, &env, &Flags::default())
        .unwrap_err()
        .to_string();
    assert!(fault.starts_with("WXSIGN_CONFIG: "), "{fault}");
}
