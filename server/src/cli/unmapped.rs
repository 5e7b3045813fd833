//! `relais unmapped`: codes that tables lack, and the messages that wait for them.

use std::fmt::Write as _;

use super::{Ending, Exit, Format, Place, find::shortened, say, say_json};
use crate::{
    api::UnmappedCode,
    client::Client,
    terminal::{Table, counted},
};

/// Show the codes that tables lack, and how many messages wait for each.
///
/// Add a row for each to its table: the messages go on by themselves when the table is in force.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// One table alone
    table: Option<String>,
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

pub(crate) async fn run(arguments: &Arguments, place: &Place) -> Ending {
    let wanted = [("table", &arguments.table), ("channel", &arguments.channel)];
    let query: Vec<_> = wanted.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    let found: Vec<UnmappedCode> = Client::reach(place)?.get(&["unmapped"], &query).await?;
    match arguments.format {
        Format::Json => say_json(&found),
        Format::Text => say(table(&found)),
    }
    Ok(Exit::Done)
}

fn table(found: &[UnmappedCode]) -> String {
    if found.is_empty() {
        return "no message waits for a code\n".to_owned();
    }
    let mut table =
        Table::headed(&["TABLE", "CODE", "SENDER", "MESSAGES", "OLDEST", "CHANNELS", "FOR EXAMPLE"]);
    for one in found {
        table.row([
            one.table.clone(),
            asked(one),
            one.sender.clone().unwrap_or_default(),
            one.messages.to_string(),
            shortened(&one.oldest),
            one.channels.join(", "),
            one.examples.first().map(u64::to_string).unwrap_or_default(),
        ]);
    }
    let mut text = table.render(None);
    let mut tables: Vec<String> = found.iter().map(place).collect();
    tables.sort();
    tables.dedup();
    let rows = counted(found.len() as u64, "row");
    let _ = writeln!(
        text,
        "add {rows} to {}: when that is in force the messages go on by themselves; `relais drop ID` gives one up",
        tables.join(", ")
    );
    text
}

/// Where the row is to stand.
fn place(one: &UnmappedCode) -> String {
    match &one.server {
        Some(server) => format!("`{}` ({server})", one.table),
        None => format!("tables/{}.csv", one.table),
    }
}

/// `ours=GLU`, `site=N code=GLU`: as the row is to be written.
fn asked(one: &UnmappedCode) -> String {
    let columns: Vec<String> = one.asked.iter().map(|(column, value)| format!("{column}={value}")).collect();
    columns.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_shown_with_its_columns_and_what_to_do() {
        let one = UnmappedCode {
            table: "tests".to_owned(),
            code: "N / GLU".to_owned(),
            asked: vec![("site".to_owned(), "N".to_owned()), ("code".to_owned(), "GLU".to_owned())],
            sender: None,
            server: None,
            wanted: vec!["loinc".to_owned()],
            channels: vec!["lab".to_owned()],
            messages: 3,
            examples: vec![17],
            oldest: "2026-03-01T08:00:00Z".to_owned(),
        };
        let served = UnmappedCode { server: Some("db:5432/wards".to_owned()), ..one.clone() };
        assert!(table(&[served]).contains("add 1 row to `tests` (db:5432/wards)"));
        let shown = table(&[one]);
        assert!(
            shown.contains("site=N code=GLU") && shown.contains("add 1 row to tables/tests.csv"),
            "{shown}"
        );
        assert_eq!(table(&[]), "no message waits for a code\n");
    }
}
