//! Reads of a Markdown file what runs: its sections, and in them list items, fenced blocks and tables.

/// A file: what stands before its first `##`, and its sections.
pub(crate) struct Page {
    pub(crate) file: String,
    pub(crate) preface: Vec<Node>,
    pub(crate) sections: Vec<Section>,
}

/// What stands under one `##`.
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) line: usize,
    pub(crate) nodes: Vec<Node>,
}

/// A piece of the page, and the line where it begins. Everything else is prose.
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    /// A list item, its lines joined.
    Item(String),
    /// A fenced block: the words behind its fence, and its lines.
    Block { words: String, text: String },
    /// A table: its rows of cells, the first of them its head.
    Table(Vec<Vec<String>>),
}

impl Page {
    pub(crate) fn read(file: &str, text: &str) -> Self {
        let mut page = Self { file: file.to_owned(), preface: Vec::new(), sections: Vec::new() };
        let mut lines = Lines { lines: text.lines().collect(), at: 0 };
        while let Some(line) = lines.next() {
            let at = lines.at;
            if let Some(title) = line.strip_prefix("## ") {
                page.sections.push(Section { title: title.trim().to_owned(), line: at, nodes: Vec::new() });
            } else if let Some(kind) = lines.kind(line) {
                let nodes = page.sections.last_mut().map_or(&mut page.preface, |last| &mut last.nodes);
                nodes.push(Node { line: at, kind });
            }
        }
        page
    }
}

struct Lines<'a> {
    lines: Vec<&'a str>,
    at: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let line = *self.lines.get(self.at)?;
        self.at += 1;
        Some(line)
    }

    /// The lines that follow, as long as they belong here.
    fn while_it(&mut self, belongs: impl Fn(&str) -> bool) -> Vec<&'a str> {
        let rest = &self.lines[self.at..];
        let length = rest.iter().position(|line| !belongs(line)).unwrap_or(rest.len());
        self.at += length;
        rest[..length].to_vec()
    }

    fn kind(&mut self, line: &str) -> Option<Kind> {
        if let Some(words) = line.strip_prefix("```") {
            let lines = self.while_it(|line| !line.starts_with("```"));
            self.next();
            let text = lines.into_iter().flat_map(|line| [line, "\n"]).collect();
            return Some(Kind::Block { words: words.trim().to_owned(), text });
        }
        // Whatever Markdown takes for a list: an item that is no sentence is told, and none is passed over.
        if let Some(item) = ["* ", "- ", "+ "].iter().find_map(|mark| line.strip_prefix(mark)) {
            let more = self.while_it(|line| line.starts_with("  "));
            let words: Vec<&str> = [item].into_iter().chain(more).map(str::trim).collect();
            return Some(Kind::Item(words.join(" ")));
        }
        if line.starts_with('|') {
            let rows = self.while_it(|line| line.starts_with('|'));
            let is_rule = |row: &&str| row.chars().all(|letter| matches!(letter, '|' | '-' | ' ' | ':'));
            let rows = [line].into_iter().chain(rows.into_iter().filter(|row| !is_rule(row)));
            return Some(Kind::Table(rows.map(cells).collect()));
        }
        None
    }
}

fn cells(row: &str) -> Vec<String> {
    let row = row.trim().trim_start_matches('|').trim_end_matches('|');
    row.split('|').map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn a_page_is_read_with_its_lines() {
    let page = Page::read(
        "a.md",
        "# A\n| a | b |\n|---|---|\n| 1 | 2 |\n\n## One\nProse.\n\n* An item\n  goes on.\n- Another\n\n```hl7 send\nMSH\n\nPID\n```\n",
    );
    assert!(matches!(&page.preface[0].kind, Kind::Table(rows) if rows[1] == ["1", "2"]));
    let one = &page.sections[0];
    assert_eq!((one.title.as_str(), one.line, one.nodes.len()), ("One", 6, 3));
    assert!(matches!(&one.nodes[0].kind, Kind::Item(text) if text == "An item goes on."));
    assert!(matches!(&one.nodes[1].kind, Kind::Item(text) if text == "Another"));
    assert!(matches!(&one.nodes[2], Node { line: 13, kind: Kind::Block { words, text } }
        if words == "hl7 send" && text == "MSH\n\nPID\n"));
}
