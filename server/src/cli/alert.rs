//! `relais alert`: the rules by which a running server tells people, and a trial of them.

use super::{Ending, Exit, Format, Place, say, say_json};
use crate::{
    api::{RuleStatus, Tried},
    client::Client,
    terminal::{Table, Tone, tinted},
};

/// Look at the rules by which a running server tells people of what needs them, and try whether they arrive.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// The rules in force
    List {
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
    /// Send what is marked as a trial by each way of a rule; leaves with 1 if one does not arrive
    Test {
        /// The rule, as its file in `alerts/` is called
        name: String,
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    let client = Client::reach(place)?;
    match &arguments.act {
        Act::List { format } => list(&client, *format).await,
        Act::Test { name, format } => test(&client, name, *format).await,
    }
}

async fn list(client: &Client, format: Format) -> Ending {
    let rules: Vec<RuleStatus> = client.get(&["alerts"], &[]).await?;
    if format == Format::Json {
        say_json(&rules);
        return Ok(Exit::Done);
    }
    if rules.is_empty() {
        say("there are no rules in force: nobody is told\n");
        return Ok(Exit::Done);
    }
    let mut table = Table::headed(&["RULE", "STATES", "CHANNELS", "TELLS BY"]);
    for rule in rules {
        let states = rule.states.map_or_else(|| "all".to_owned(), |states| states.join(", "));
        let tags = rule.tags.iter().map(|tag| format!("#{tag}"));
        let about: Vec<_> = rule.channels.iter().cloned().chain(tags).collect();
        let about = if about.is_empty() { "all".to_owned() } else { about.join(", ") };
        let tell = if rule.tell.is_empty() { "nobody".to_owned() } else { rule.tell.join(", ") };
        table.row([rule.name, states, about, tell]);
    }
    say(table.render(None));
    Ok(Exit::Done)
}

async fn test(client: &Client, name: &str, format: Format) -> Ending {
    let tried: Vec<Tried> = client.post_patiently(&["alerts", name, "test"], &()).await?;
    if format == Format::Json {
        say_json(&tried);
    } else {
        for one in &tried {
            say(told(one));
        }
    }
    Ok(if tried.iter().all(|one| one.problem.is_none()) { Exit::Done } else { Exit::Wrong })
}

fn told(one: &Tried) -> String {
    let Tried { number, way, problem, seconds } = one;
    match problem {
        None => format!("tell {number}, {way}: {} within {seconds:.1} s\n", tinted("taken", Tone::Good)),
        Some(why) => format!("tell {number}, {way}: {}: {why}\n", tinted("not told", Tone::Bad)),
    }
}
