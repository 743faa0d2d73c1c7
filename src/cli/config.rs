use std::collections::BTreeMap;
use std::fmt::Write;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{ConfigFlags, Failure, answer, print_warnings};
use crate::config::{Loaded, Setting};

/// Check the configuration, or show where each value comes from
#[derive(clap::Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Name every fault at once; exit code 78 if there is one
    Check {
        #[command(flatten)]
        flags: ConfigFlags,
    },
    /// Show every value with its source, secrets masked
    Show {
        #[command(flatten)]
        flags: ConfigFlags,
        /// As JSON: {"KEY": {"value": …, "source": …}, …}
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let (Verb::Check { flags } | Verb::Show { flags, .. }) = &args.verb;
    let loaded = flags.load()?;
    print_warnings(&loaded.warnings);
    super::load_tls(&loaded)?;
    answer(&match &args.verb {
        Verb::Check { .. } => summary(&loaded),
        Verb::Show { json: true, .. } => object(&loaded.settings),
        Verb::Show { json: false, .. } => table(&loaded.settings),
    })
}

pub(super) fn summary(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let count = |number: usize, thing: &str| {
        format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
    };
    format!(
        "ok: {file}, {accounts}, {clients}, {warnings}; would listen on {listen}, store {store}\n",
        file = loaded.file.as_deref().unwrap_or("no file"),
        accounts = count(config.accounts.len(), "account"),
        clients = count(config.clients.len(), "client"),
        warnings = count(loaded.warnings.len(), "warning"),
        listen = config.listen,
        store = config.store,
    )
}

fn object(settings: &[Setting]) -> String {
    let object: BTreeMap<&str, Value> = settings
        .iter()
        .map(|setting| {
            let value = json!({ "value": setting.value, "source": setting.source });
            (setting.key.as_str(), value)
        })
        .collect();
    format!("{:#}\n", json!(object))
}

fn table(settings: &[Setting]) -> String {
    let rows: Vec<[String; 3]> = settings
        .iter()
        .map(|setting| {
            [
                setting.key.clone(),
                setting.source.to_string(),
                plain(&setting.value),
            ]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let (keys, sources) = (width(0).unwrap_or(0), width(1).unwrap_or(0));
    rows.iter().fold(String::new(), |mut table, row| {
        let [key, source, value] = row;
        writeln!(table, "{key:keys$}  {source:sources$}  {value}")
            .expect("a String can always be written to");
        table
    })
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "(none)".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
