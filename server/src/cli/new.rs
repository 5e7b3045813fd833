//! `relais new`: a project that runs.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use channels::Template;

use super::{Complaint, Ending, Exit, say};
use crate::terminal::{Table, Tone, tinted};

/// Make a project that runs.
///
/// Templates are the channels that come with Relais; `relais new --list` shows them.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder to make; it must not exist or be empty
    #[arg(required_unless_present = "list")]
    dir: Option<PathBuf>,
    /// Which channel to begin with
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// Show the templates
    #[arg(long, conflicts_with = "dir")]
    list: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Ending {
    let Some(dir) = &arguments.dir else {
        say(listed());
        return Ok(Exit::Done);
    };
    let template = chosen(arguments.template.as_deref())?;
    require_empty(dir)?;
    write(dir, template).map_err(|error| {
        Complaint::wrong(format!("cannot make the project in {}: {error}", dir.display()))
    })?;
    say(next_steps(dir, template));
    Ok(Exit::Done)
}

fn chosen(name: Option<&str>) -> Result<&'static Template, Complaint> {
    let templates = channels::templates();
    match name {
        None => templates.first().ok_or_else(|| Complaint::wrong("no template came with this binary")),
        Some(name) => templates.iter().find(|template| template.name == name).ok_or_else(|| {
            let names: Vec<_> = templates.iter().map(|template| template.name).collect();
            Complaint::misused(format!("there is no template `{name}`; there are {}", names.join(", ")))
        }),
    }
}

fn require_empty(dir: &Path) -> Result<(), Complaint> {
    match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Complaint::misused(format!("cannot use {}: {error}", dir.display()))),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Complaint::misused(format!(
                "{} is not empty; nothing was written, name a new folder",
                dir.display()
            ))),
        },
    }
}

fn write(dir: &Path, template: &Template) -> io::Result<()> {
    for (path, text) in &template.files {
        let path = dir.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

fn listed() -> String {
    let mut table = Table::headed(&["TEMPLATE", "WHAT IT DOES"]);
    for template in channels::templates() {
        table.row([template.name.to_owned(), template.summary.to_owned()]);
    }
    table.render(None)
}

fn next_steps(dir: &Path, template: &Template) -> String {
    let message = template.files.iter().find(|(path, _)| path.starts_with("messages/"));
    let message = message.map_or("MESSAGE.hl7", |(path, _)| path);
    let mut text = format!("{} in {}\n\n", tinted("a project that runs", Tone::Good), dir.display());
    for (path, _) in &template.files {
        let _ = writeln!(text, "  {path}");
    }
    let _ = writeln!(text, "\nNext:\n  cd {}\n  relais check\n  relais test\n  relais run", dir.display());
    let _ = writeln!(text, "and, beside it:\n  relais send 127.0.0.1:2575 {message}\n  relais status");
    text
}
