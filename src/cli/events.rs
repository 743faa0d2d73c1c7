use std::fmt::Write;
use std::io::ErrorKind;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::database::Database;
use super::{Failure, write_out};
use crate::account::AppId;
use crate::app::App;
use crate::history::{Event, Following, Query, Utc, What};

/// Show what happened: renewals, failures, reports, changes
///
/// It is read from the database that the configuration names, whichever node wrote it there; the
/// newest comes last. [history] in the configuration says how much of it is kept.
#[derive(clap::Args)]
#[command(after_help = "\
Example, why renewals fail, as it happens:
  wxsign events --what renewal.failed --follow")]
pub(super) struct EventsArgs {
    /// Only what is about this account
    #[arg(long, value_name = "APPID")]
    appid: Option<AppId>,
    /// Only what is called so or begins so: renewal, renewal.failed, foreign, page, token, account,
    /// client, console
    #[arg(long, value_name = "WHAT")]
    what: Option<String>,
    /// Only lines that contain this, in capitals or not
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// The newest, at most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Go on with what happens from now on, until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// As JSON, one object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: Database,
}

/// How often it is looked what has happened since.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) fn run(args: EventsArgs) -> Result<(), Failure> {
    super::block_on(async {
        let app = args.database.open().await?;
        let query = Query {
            appid: args.appid,
            what: args.what,
            text: args.text,
            limit: args.limit,
            ..Query::default()
        };
        let clock = app.keeper.clock();
        let mut following = Following::new(query.clone(), clock.now());
        let events = newest(&app, query).await?;
        if events.is_empty() && !app.history.is_on() {
            anstream::eprintln!("nothing is recorded: [history] days is 0 in the configuration");
        }
        events.iter().for_each(|event| following.know(event.id));
        let mut gone = !say(&events, args.json)?;
        let mut failing = false;
        while args.follow && !gone {
            clock.sleep(LOOK_EVERY).await;
            match following.next(&app.store, clock.now(), |_| true).await {
                Ok(events) => {
                    failing = false;
                    gone = !say(&events, args.json)?;
                }
                // It may come back, and what happened meanwhile is found then: said once.
                Err(error) if !failing => {
                    failing = true;
                    anstream::eprintln!("{error}");
                }
                Err(_) => {}
            }
        }
        Ok(())
    })
}

/// The newest events that match, the oldest of them first.
async fn newest(app: &App, mut query: Query) -> Result<Vec<Event>, Failure> {
    let (mut events, wanted) = (Vec::new(), query.limit as usize);
    loop {
        query.limit = u32::try_from(wanted - events.len()).unwrap_or(u32::MAX);
        let found = query.find(&app.store, |_| true).await;
        let found = found.map_err(|error| Failure::Other(error.to_string()))?;
        events.extend(found.events);
        query.before = found.next;
        if found.next.is_none() || events.len() >= wanted {
            events.reverse();
            return Ok(events);
        }
    }
}

/// Writes events to stdout. Says whether anybody still reads it.
fn say(events: &[Event], as_json: bool) -> Result<bool, Failure> {
    let mut text = String::new();
    for event in events {
        if as_json {
            text += &event.to_json().to_string();
            text.push('\n');
        } else {
            tell(&mut text, event);
        }
    }
    match write_out(&text) {
        Ok(()) => Ok(true),
        Err(why) if why.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(why) => Err(Failure::Other(format!("cannot write to stdout: {why}"))),
    }
}

/// One line.
fn tell(text: &mut String, event: &Event) {
    const DIM: Style = Style::new().dimmed();
    let style = match &event.what {
        what if what.is_trouble() => AnsiColor::Red.on_default(),
        What::Recovered { .. } | What::ForeignOver => AnsiColor::Green.on_default(),
        What::Renewed { .. } => Style::new(),
        _ => AnsiColor::Cyan.on_default(),
    };
    let (at, name) = (Utc(event.at()), event.what.name());
    // What WeChat or a page said is not to move the cursor.
    let line: String = (event.to_string().chars())
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    // A String takes what is written to it.
    let _ = writeln!(text, "{DIM}{at}{DIM:#}  {style}{name:17}{style:#}  {line}");
}
