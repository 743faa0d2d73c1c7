//! What containers are built and run from.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use wxsign::config::{Config, Flags};

use crate::printed;

/// The documents of a YAML text.
fn read_yaml(text: &str) -> Vec<Value> {
    let read = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)";
    let mut python = Command::new("python3")
        .args(["-c", read])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|why| panic!("{why}: apt-get install python3 python3-yaml"));
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let read = python.wait_with_output().unwrap();
    assert!(read.status.success(), "apt-get install python3-yaml");
    serde_json::from_slice(&read.stdout).unwrap()
}

fn of_kind<'a>(manifests: &'a [Value], kind: &str) -> &'a Value {
    let found = manifests.iter().find(|manifest| manifest["kind"] == kind);
    found.unwrap_or_else(|| panic!("there is no {kind}"))
}

#[test]
fn the_manifests_fit_together_and_what_they_configure_is_valid() {
    let manifests = read_yaml(&printed("kubernetes"));
    let deployment = &of_kind(&manifests, "Deployment")["spec"];
    let pod = &deployment["template"];
    let labels = &pod["metadata"]["labels"];
    assert_eq!(&deployment["selector"]["matchLabels"], labels);
    let budget = &of_kind(&manifests, "PodDisruptionBudget")["spec"];
    assert_eq!(&budget["selector"]["matchLabels"], labels);
    let service = &of_kind(&manifests, "Service")["spec"];
    assert_eq!(&service["selector"], labels);

    let container = &pod["spec"]["containers"][0];
    let port = &container["ports"][0];
    assert_eq!(service["ports"][0]["targetPort"], port["name"]);
    for (probe, path) in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
        assert_eq!(container[probe]["httpGet"]["path"], path);
        assert_eq!(container[probe]["httpGet"]["port"], port["name"]);
    }
    assert_eq!(pod["spec"]["securityContext"]["runAsNonRoot"], true);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);

    // Each file that the configuration names is one of the Secret's, where it is mounted.
    let toml = of_kind(&manifests, "ConfigMap")["data"]["wxsign.toml"].as_str();
    let directory = tempfile::tempdir().unwrap();
    let secrets = directory.path().join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    for (name, content) in [
        ("appsecret", "abcdef0123456789abcdef0123456789"),
        ("redis-password", "password"),
        ("console-password", "four words and more"),
        ("master.key", &"0123456789abcdef".repeat(4)),
    ] {
        std::fs::write(secrets.join(name), content).unwrap();
    }
    let toml = toml.unwrap();
    let here = toml.replace("/run/secrets/wxsign", secrets.to_str().unwrap());
    let file = directory.path().join("wxsign.toml");
    std::fs::write(&file, here).unwrap();
    let loaded = Config::load(Some(&file), &[].into(), &Flags::default());
    let loaded = loaded.unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(loaded.warnings, []);
    // What the world may reach is not where operators are.
    let admin = &container["ports"][1];
    assert_eq!(service["ports"][1]["targetPort"], admin["name"]);
    let admin_listen = loaded.config.admin_listen.unwrap();
    for (listen, port) in [(loaded.config.listen, port), (admin_listen, admin)] {
        let listen = listen.to_string();
        let port = port["containerPort"].to_string();
        assert!(listen.ends_with(&port), "{listen}");
    }
    let scraped = &pod["metadata"]["annotations"]["prometheus.io/port"];
    assert_eq!(
        scraped.as_str().unwrap(),
        admin["containerPort"].to_string()
    );
    // A link that one of the nodes prints would be of no use.
    assert!(loaded.config.console.password.is_some());
}

#[test]
fn the_compose_file_is_yaml_and_asks_the_nodes_how_they_are() {
    let compose = read_yaml(&printed("compose"));
    let asked = &compose[0]["services"]["wxsign"]["healthcheck"]["test"];
    assert_eq!(
        (&asked[1], &asked[2]),
        (&"wxsign".into(), &"healthcheck".into())
    );
    // Each secret file that a node is told of is one that it is given.
    let node = &compose[0]["services"]["wxsign"];
    let given = node["secrets"].as_array().unwrap();
    let variables = node["environment"].as_object().unwrap();
    let files = variables.iter().filter(|(name, _)| name.ends_with("_FILE"));
    let mut count = 0;
    for (name, file) in files {
        let secret = file.as_str().unwrap().strip_prefix("/run/secrets/");
        let secret = secret.unwrap_or_else(|| panic!("{name}"));
        assert!(given.iter().any(|given| given == secret), "{name}");
        assert!(compose[0]["secrets"][secret].is_object(), "{name}");
        count += 1;
    }
    assert_eq!(count, given.len());
    assert!(variables.contains_key("WXSIGN_CONSOLE_PASSWORD_FILE"));
}

/// The text of Caddy's file in the Compose file, as Compose fills it in.
pub(crate) fn composed_caddyfile(variables: &[(&str, &str)]) -> String {
    let compose = read_yaml(&printed("compose"));
    let content = compose[0]["configs"]["caddyfile"]["content"].as_str();
    let mut content = content.unwrap().to_owned();
    for (placeholder, value) in variables {
        assert!(content.contains(placeholder), "{placeholder}");
        content = content.replace(placeholder, value);
    }
    assert!(!content.contains("${"), "{content}");
    content.replace("$$", "$")
}

#[test]
fn the_image_has_a_user_who_is_not_root_and_is_built_from_what_is_there() {
    let dockerfile = printed("dockerfile").replace("\\\n", " ");
    let lines = || dockerfile.lines().filter(|line| !line.starts_with('#'));
    let of = |instruction: &str| -> Vec<Vec<String>> {
        let lines = lines().filter_map(|line| line.strip_prefix(instruction));
        lines
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect()
    };
    for copied in of("COPY ") {
        if copied[0].starts_with("--from") {
            continue;
        }
        let (_, sources) = copied.split_last().unwrap();
        for source in sources {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
            assert!(source.exists(), "{source:?}");
        }
    }
    assert_eq!(of("FROM ").len(), 2);
    assert_ne!(of("USER ")[0][0].split(':').next(), Some("0"));
    let health = of("HEALTHCHECK ");
    assert!(health[0].iter().any(|word| word == "\"healthcheck\"]"));
}
