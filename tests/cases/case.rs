//! From pages to cases: each section is one, and each cell of a table that names a section.

use crate::{
    grammar::{Deed, Script, Step},
    markdown::{Kind, Node, Page, Section},
};

/// What is run: a channel and what happens to it.
pub(crate) struct Case {
    /// Names the channel.
    pub(crate) name: String,
    /// The file, and what is said of the case in it.
    pub(crate) title: String,
    pub(crate) channel: String,
    pub(crate) message: Option<String>,
    pub(crate) steps: Vec<Step>,
}

impl Case {
    /// Whether it ends the server or sets it up, and so must have one of its own.
    pub(crate) fn is_alone(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.deed, Deed::Killed | Deed::Stopped | Deed::Settings(_)))
    }

    /// What it says of the server.
    pub(crate) fn settings(&self) -> Option<&str> {
        self.steps.iter().find_map(|step| match &step.deed {
            Deed::Settings(lines) => Some(lines.as_str()),
            _ => None,
        })
    }
}

/// The cases of a page, or what is wrong with them.
pub(crate) fn cases(page: &Page) -> Result<Vec<Case>, String> {
    let head = Script::read(&page.preface).map_err(|why| format!("{}:{why}", page.file))?;
    let grid = Grid::read(&page.preface)?;
    let mut cases = Vec::new();
    for section in &page.sections {
        let columns = grid.columns(&section.title);
        if columns.is_empty() {
            cases.push(case(page, &head, section, None)?);
        }
        for (number, column) in columns.iter().enumerate() {
            cases.push(case(page, &head, section, Some((number, column)))?);
        }
    }
    grid.every_row_is_among(page)?;
    Ok(cases)
}

fn case(
    page: &Page,
    head: &Script,
    section: &Section,
    column: Option<(usize, &Column)>,
) -> Result<Case, String> {
    let at = |why| format!("{}:{why}", page.file);
    let mut own = Script::read(&section.nodes).map_err(at)?;
    let sends = |step: &Step| {
        matches!(step.deed, Deed::Send(_) | Deed::SendIds(_) | Deed::PostIds(_) | Deed::Write(_))
    };
    if !own.steps.iter().any(sends) {
        own.steps.extend(head.steps.clone());
    }
    let stem = page.file.trim_end_matches(".md");
    let mut name = format!("{stem}-{}", slug(&section.title));
    let mut title = format!("{}:{}: {}", page.file, section.line, section.title);
    let mut channel = merged(head.channel.as_deref(), own.channel.as_deref());
    if let Some((number, column)) = column {
        name = format!("{name}-{number}-{}", slug(&column.head));
        title = format!("{title}, {}", column.head);
        channel = channel.replace("{reply}", &column.head);
        let asks = column.head.replace('/', "|");
        own.message = own.message.or_else(|| head.message.clone()).map(|text| text.replace("{asks}", &asks));
        own.steps = own.steps.into_iter().map(|step| column.fill(step)).collect();
    }
    Ok(Case { name, title, channel, message: own.message.or_else(|| head.message.clone()), steps: own.steps })
}

/// The tables of a page: what is heard, by section and by column.
struct Grid {
    cells: Vec<(String, Column)>,
}

/// One column of a section's row: its head, and the cell by the name of its table.
#[derive(Clone)]
struct Column {
    head: String,
    name: String,
    heard: Vec<String>,
}

impl Grid {
    fn read(nodes: &[Node]) -> Result<Self, String> {
        let mut cells = Vec::new();
        for node in nodes {
            let Kind::Table(rows) = &node.kind else { continue };
            let Some((head, rows)) = rows.split_first() else { continue };
            if let Some(row) = rows.iter().find(|row| row.len() != head.len()) {
                return Err(format!("{}: a row of this table has {} cells", node.line, row.len()));
            }
            for row in rows {
                let row_cells = head.iter().zip(row).skip(1).filter(|(_, cell)| !cell.is_empty());
                cells.extend(
                    row_cells.map(|(column, cell)| (linked(&row[0]), Column::of(column, &head[0], cell))),
                );
            }
        }
        Ok(Self { cells })
    }

    fn columns(&self, title: &str) -> Vec<Column> {
        self.cells.iter().filter(|(of, _)| of == title).map(|(_, column)| column.clone()).collect()
    }

    fn every_row_is_among(&self, page: &Page) -> Result<(), String> {
        let missing =
            self.cells.iter().find(|(title, _)| !page.sections.iter().any(|section| section.title == *title));
        missing.map_or(Ok(()), |(title, _)| Err(format!("{}: there is no section `{title}`", page.file)))
    }
}

impl Column {
    fn of(head: &str, name: &str, cell: &str) -> Self {
        Self {
            head: head.trim_matches('`').to_owned(),
            name: format!("{{{name}}}"),
            heard: cell.split(' ').map(|code| code.trim_matches('`').to_owned()).collect(),
        }
    }

    /// Puts the cell in the place of its name.
    fn fill(&self, step: Step) -> Step {
        let deed = match step.deed {
            Deed::Hears(codes) if codes == [self.name.as_str()] => match self.heard.as_slice() {
                [silence] if silence == "–" => Deed::HearsNothing,
                heard => Deed::Hears(heard.to_vec()),
            },
            other => other,
        };
        Step { deed, ..step }
    }
}

/// The words of a link, or of what is none.
fn linked(cell: &str) -> String {
    cell.strip_prefix('[').and_then(|cell| cell.split_once("](")).map_or(cell, |(words, _)| words).to_owned()
}

fn slug(text: &str) -> String {
    let letters = text.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { ' ' });
    letters.collect::<String>().to_lowercase().split_whitespace().collect::<Vec<_>>().join("-")
}

/// The lines of a channel's file: what every case has, then the page's, then the section's, key by key.
pub(crate) fn merged(page: Option<&str>, section: Option<&str>) -> String {
    const USUAL: &str = "name: {channel}\nsource:\n  mllp: { listen: \"127.0.0.1:{port}\" }\n";
    let mut keys: Vec<(String, String)> = Vec::new();
    for layer in [Some(USUAL), page, section].into_iter().flatten() {
        for (key, lines) in top_keys(layer) {
            match keys.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) => *known = lines,
                None => keys.push((key, lines)),
            }
        }
    }
    keys.into_iter().map(|(_, lines)| lines).collect()
}

fn top_keys(yaml: &str) -> Vec<(String, String)> {
    let mut keys: Vec<(String, String)> = Vec::new();
    for line in yaml.lines() {
        let begins = line.starts_with(|letter: char| letter.is_ascii_lowercase());
        match (begins, keys.last_mut()) {
            (false, Some((_, lines))) => lines.extend([line, "\n"]),
            _ => keys.push((line.split(':').next().unwrap_or_default().to_owned(), format!("{line}\n"))),
        }
    }
    keys
}

#[test]
fn a_section_replaces_the_pages_lines_key_by_key() {
    let channel = merged(Some("reply: stored\nsteps:\n  - filter: a\n"), Some("steps: []\n"));
    assert!(channel.ends_with("reply: stored\nsteps: []\n"), "{channel}");
}

#[test]
fn a_table_makes_one_case_of_each_cell() {
    let page = Page::read(
        "a.md",
        "| first | `when: stored` | `when: never` |\n|--|--|--|\n| [One](#one) | AA | – |\n\n\
         * The sender sends `M1`.\n* The sender hears `{first}`.\n\n## One\n",
    );
    let cases = cases(&page).unwrap();
    assert_eq!(
        cases.iter().map(|case| case.name.as_str()).collect::<Vec<_>>(),
        ["a-one-0-when-stored", "a-one-1-when-never"]
    );
    assert!(matches!(&cases[0].steps[1].deed, Deed::Hears(codes) if *codes == ["AA"]));
    assert!(matches!(cases[1].steps[1].deed, Deed::HearsNothing));
}
