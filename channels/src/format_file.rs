//! What may stand under `format:` of a channel file.

use formats::rows::{Column, Csv, Fixed, Side};
use schemars::JsonSchema;
use serde::Deserialize;

/// `format:` a word, or one with settings.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum FormatFile {
    Word(Format),
    Csv(CsvFormat),
    Fixed(FixedFormat),
}

/// What a channel's messages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// HL7 version 2.
    Hl7,
    /// JSON, FHIR resources among it.
    Json,
    /// XML.
    Xml,
    /// CSV: the delimiter is found in the first line, which names the columns.
    Csv,
    /// HPRIM Santé, in segments, or HPRIM Médecins, letters with results.
    Hprim,
    /// DICOM: an instance as a file (part 10).
    Dicom,
    /// Text without a shape.
    Text,
    /// Bytes.
    Binary,
}

/// CSV that is not written in the usual way.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CsvFormat {
    pub(crate) csv: CsvFile,
}

/// How the CSV is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CsvFile {
    /// Between fields: a character, or `tab`. By default the one of `;`, `,`, tab and `|` that the first line has most of.
    #[serde(default)]
    #[schemars(with = "String", extend("pattern" = "^(.|tab)$"))]
    delimiter: Option<String>,
    /// Around fields that hold a delimiter or a line break (`"`): a character, or `none`.
    #[serde(default)]
    #[schemars(with = "String", extend("pattern" = "^(.|none)$"))]
    quote: Option<String>,
    /// Whether the first line names the columns (yes).
    #[serde(default)]
    header: Option<bool>,
    /// Between a number's whole and its decimals: `.` or `,`.
    #[serde(default)]
    #[schemars(with = "String", extend("pattern" = "^[.,]$"))]
    decimal: Option<String>,
    /// Whether rows may have more or fewer fields than the first line (no: such a file is unreadable).
    #[serde(default)]
    ragged: bool,
}

/// Rows of fields at fixed places.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FixedFormat {
    pub(crate) fixed: FixedFile,
}

/// Where the fields stand.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FixedFile {
    /// The columns, from the left.
    #[schemars(length(min = 1))]
    pub(crate) columns: Vec<ColumnFile>,
    /// Between a number's whole and its decimals: `.` or `,`.
    #[serde(default)]
    #[schemars(with = "String", extend("pattern" = "^[.,]$"))]
    decimal: Option<String>,
}

/// One column.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ColumnFile {
    /// What steps call it.
    #[schemars(length(min = 1))]
    pub(crate) name: String,
    /// How many characters it has.
    #[schemars(range(min = 1, max = 1000))]
    width: usize,
    /// Its first character, from 1; by default the one behind the column before it.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000))]
    start: Option<usize>,
    /// On which side its text stands (`left`).
    #[serde(default)]
    side: SideFile,
    /// What fills it up: a blank by default.
    #[serde(default)]
    #[schemars(with = "String", extend("pattern" = "^.$"))]
    fill: Option<String>,
}

/// On which side a text stands.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SideFile {
    /// Filled up on the right.
    #[default]
    Left,
    /// Filled up on the left.
    Right,
}

impl FormatFile {
    /// As the scripts take it.
    pub(crate) fn format(&self) -> scripts::Format {
        match self {
            Self::Word(Format::Hl7) => scripts::Format::Hl7,
            Self::Word(Format::Json) => scripts::Format::Json,
            Self::Word(Format::Xml) => scripts::Format::Xml,
            Self::Word(Format::Csv) => scripts::Format::Csv(Csv::default()),
            Self::Word(Format::Hprim) => scripts::Format::Hprim,
            Self::Word(Format::Dicom) => scripts::Format::Dicom,
            Self::Word(Format::Text) => scripts::Format::Text,
            Self::Word(Format::Binary) => scripts::Format::Binary,
            Self::Csv(format) => scripts::Format::Csv(format.csv.csv()),
            Self::Fixed(format) => scripts::Format::Fixed(format.fixed.fixed()),
        }
    }
}

impl CsvFile {
    fn csv(&self) -> Csv {
        let usual = Csv::default();
        let delimiter =
            self.delimiter.as_deref().map(|written| if written == "tab" { '\t' } else { one(written) });
        let quote = match self.quote.as_deref() {
            None => usual.quote,
            Some("none") => None,
            Some(written) => Some(one(written)),
        };
        Csv {
            delimiter,
            quote,
            header: self.header.unwrap_or(usual.header),
            decimal: self.decimal.as_deref().map_or(usual.decimal, one),
            ragged: self.ragged,
        }
    }
}

impl FixedFile {
    fn fixed(&self) -> Fixed {
        let mut next = 1;
        let column = |file: &ColumnFile| {
            let start = file.start.unwrap_or(next);
            next = start + file.width;
            let side = match file.side {
                SideFile::Left => Side::Left,
                SideFile::Right => Side::Right,
            };
            let fill = file.fill.as_deref().map_or(' ', one);
            Column { name: file.name.clone(), start, width: file.width, side, fill }
        };
        let columns = self.columns.iter().map(column).collect();
        Fixed { columns, decimal: self.decimal.as_deref().map_or('.', one) }
    }
}

/// The character that a setting is, as the schema asks for.
fn one(written: &str) -> char {
    written.chars().next().unwrap_or(' ')
}
