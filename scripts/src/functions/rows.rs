//! Rows of fields: CSV, fixed width, and the letters of HPRIM Médecins.

use formats::{
    hprim::Hprim,
    rows::{Column, Csv, Fixed, Side},
};
use rhai::{Array, Dynamic, INT, ImmutableString, Map, plugin::*};

use super::{Outcome, broke};
use crate::{
    handle::Hl7,
    sheet::{RowHandle, SheetHandle},
};

#[export_module]
pub(crate) mod functions {
    /// The rows, each as a handle. In a channel whose `format` is `csv` or `fixed` they are `msg.rows`.
    ///
    /// ```rhai
    /// let csv = read_csv("IPP;NOM\n7;DUPONT\n8;MARTIN\n"); csv.rows.len() == 2 && csv.rows[1]["NOM"] == "MARTIN"
    /// ```
    #[rhai_fn(get = "rows", return_raw, pure)]
    pub fn rows(sheet: &mut SheetHandle) -> Outcome<Array> {
        sheet.rows()
    }

    /// The names of the columns; empty where nothing names them.
    ///
    /// ```rhai
    /// read_csv("IPP;NOM\n7;DUPONT\n").names == ["IPP", "NOM"]
    /// ```
    #[rhai_fn(get = "names", return_raw, pure)]
    pub fn names(sheet: &mut SheetHandle) -> Outcome<Array> {
        sheet.names()
    }

    /// A column of the first row; of HPRIM Médecins also a line that says who and from whom: `patient_id`,
    /// `last_name`, `first_name`, `address`, `address_2`, `city`, `birth_date`, `social_security`, `file_number`,
    /// `date`, `sender`, `recipient`. Fails where there is no such column.
    ///
    /// ```rhai
    /// read_csv("IPP;NOM\n7;DUPONT\n")["NOM"] == "DUPONT"
    /// ```
    #[rhai_fn(index_get, return_raw, pure)]
    pub fn get(sheet: &mut SheetHandle, name: &str) -> Outcome<ImmutableString> {
        sheet.get(name)
    }

    /// Writes a column where there is one row, or a line of HPRIM Médecins.
    ///
    /// ```rhai
    /// let csv = read_csv("IPP;NOM\n7;X\n"); csv["NOM"] = "A;B"; csv.to_string() == "IPP;NOM\n7;\"A;B\"\n"
    /// ```
    #[rhai_fn(index_set, return_raw, pure)]
    pub fn set(sheet: &mut SheetHandle, name: &str, value: Dynamic) -> Outcome<()> {
        sheet.set(name, &value)
    }

    /// The text of an HPRIM Médecins letter, without what stands before and behind it.
    ///
    /// ```rhai
    /// let lines = "7\nDUPONT\nÉLODIE\n\n\n\n\n\n\n\n\n\n"; read_hprim(lines + "Bonjour\n").letter == "Bonjour"
    /// ```
    #[rhai_fn(get = "letter", return_raw, pure)]
    pub fn letter(sheet: &mut SheetHandle) -> Outcome<ImmutableString> {
        sheet.letter()
    }

    /// Adds a row at the end: a list of values, or a map by the names of the columns.
    ///
    /// ```rhai
    /// let csv = read_csv("IPP;NOM\n7;X\n"); csv.add(#{NOM: "Y"}); csv.to_string() == "IPP;NOM\n7;X\n;Y\n"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn add(sheet: &mut SheetHandle, values: Dynamic) -> Outcome<RowHandle> {
        sheet.add(&values)
    }

    /// One message for each row, with the line that names the columns: `split: msg.records()`.
    ///
    /// ```rhai
    /// read_csv("IPP;NOM\n7;X\n8;Y\n").records()[1].to_string() == "IPP;NOM\n8;Y\n"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn records(sheet: &mut SheetHandle) -> Outcome<Array> {
        sheet.records()
    }

    /// One message for each value of a column, in the order in which they come first: `split: msg.groups("IPP")`.
    ///
    /// ```rhai
    /// read_csv("IPP;N\n7;1\n8;2\n7;3\n").groups("IPP")[0].to_string() == "IPP;N\n7;1\n7;3\n"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn groups(sheet: &mut SheetHandle, name: &str) -> Outcome<Array> {
        sheet.groups(name)
    }

    /// One message for each letter of a file of HPRIM Médecins: `split: msg.messages()`. Other rows are one message.
    ///
    /// ```rhai
    /// let letter = "7\nDUPONT\n\n\n\n\n\n\n\n\n\n\nBonjour\n****FIN****\n"; read_hprim(letter + letter).messages().len() == 2
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn messages(sheet: &mut SheetHandle) -> Outcome<Array> {
        sheet.messages()
    }

    /// An HPRIM Santé message is one message: what is split is its patients, `msg.groups("P")`, or its orders.
    ///
    /// ```rhai
    /// let text = "H|~^\\&|F\rP|1\rOBR|1\rP|2\rOBR|1\rL|1\r"; read_hprim(text).groups("P").len() == 2
    /// ```
    #[rhai_fn(name = "messages", pure)]
    pub fn messages_of_segments(message: &mut Hl7) -> Array {
        vec![Dynamic::from(message.clone())]
    }

    /// Other rows that are the same: a change of one is no change of the other.
    ///
    /// ```rhai
    /// let csv = read_csv("IPP\n7\n"); let other = csv.copy(); other["IPP"] = "8"; csv["IPP"] == "7"
    /// ```
    #[rhai_fn(pure)]
    pub fn copy(sheet: &mut SheetHandle) -> SheetHandle {
        SheetHandle::new(sheet.sheet())
    }

    /// The whole text of the rows.
    ///
    /// ```rhai
    /// read_csv("IPP\n7\n").to_string() == "IPP\n7\n"
    /// ```
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_text(sheet: &mut SheetHandle) -> ImmutableString {
        sheet.text()
    }

    /// A field of a row, by the name of its column; fails where there is no such column.
    ///
    /// ```rhai
    /// read_csv("IPP;NOM\n7;\"LE; BIHAN\"\n").rows[0]["NOM"] == "LE; BIHAN"
    /// ```
    #[rhai_fn(index_get, return_raw, pure)]
    pub fn row_get(row: &mut RowHandle, name: &str) -> Outcome<ImmutableString> {
        row.get(name)
    }

    /// Writes a field of a row; a number with decimals gets the sign that the rows have.
    ///
    /// ```rhai
    /// let csv = read_csv("N\n1\n", #{decimal: ","}); csv.rows[0]["N"] = number("1.50"); csv["N"] == "1,50"
    /// ```
    #[rhai_fn(index_set, return_raw, pure)]
    pub fn row_set(row: &mut RowHandle, name: &str, value: Dynamic) -> Outcome<()> {
        row.set(name, &value)
    }

    /// A field of a row, by the number of its column, from 0.
    ///
    /// ```rhai
    /// read_csv("IPP;NOM\n7;DUPONT\n").rows[0][1] == "DUPONT"
    /// ```
    #[rhai_fn(index_get, return_raw, pure)]
    pub fn row_field(row: &mut RowHandle, number: INT) -> Outcome<ImmutableString> {
        row.get(&number.to_string())
    }

    /// Writes a field of a row, by the number of its column, from 0.
    ///
    /// ```rhai
    /// let csv = read_csv("IPP;NOM\n7;X\n"); let row = csv.rows[0]; row[1] = "Y"; csv["NOM"] == "Y"
    /// ```
    #[rhai_fn(index_set, return_raw, pure)]
    pub fn row_set_field(row: &mut RowHandle, number: INT, value: Dynamic) -> Outcome<()> {
        row.set(&number.to_string(), &value)
    }

    /// A field of a row as a number, read with the sign between whole and decimals that the rows have.
    ///
    /// ```rhai
    /// let csv = read_csv("N\n\"11,20\"\n", #{decimal: ","}); csv.rows[0].number("N") == number("11.20")
    /// ```
    #[rhai_fn(name = "number", return_raw, pure)]
    pub fn row_number(row: &mut RowHandle, name: &str) -> Outcome<Dynamic> {
        row.number(name)
    }

    /// Whether a field of a row holds something.
    ///
    /// ```rhai
    /// let row = read_csv("A;B\n1;\n").rows[0]; row.has("A") && !row.has("B") && !row.has("C")
    /// ```
    #[rhai_fn(name = "has", pure)]
    pub fn row_has(row: &mut RowHandle, name: &str) -> bool {
        row.has(name)
    }

    /// How many fields a row has.
    ///
    /// ```rhai
    /// read_csv("A;B\n1;2\n").rows[0].len() == 2
    /// ```
    #[rhai_fn(name = "len", pure)]
    pub fn row_len(row: &mut RowHandle) -> INT {
        row.len() as INT
    }

    /// A row as a map, by the names of the columns.
    ///
    /// ```rhai
    /// read_csv("A;B\n1;2\n").rows[0].to_map() == #{A: "1", B: "2"}
    /// ```
    #[rhai_fn(name = "to_map", pure)]
    pub fn row_to_map(row: &mut RowHandle) -> Map {
        row.to_map()
    }

    /// Takes a row out. Handles on other rows stay right.
    ///
    /// ```rhai
    /// let csv = read_csv("A\n1\n2\n3\n"); for row in csv.rows { if row["A"] == "2" { row.remove() } } csv.rows.len() == 2
    /// ```
    #[rhai_fn(name = "remove", pure)]
    pub fn row_remove(row: &mut RowHandle) {
        row.remove();
    }

    /// The text of a row, without its line end.
    ///
    /// ```rhai
    /// read_csv("A;B\n1;2\n").rows[0].to_string() == "1;2"
    /// ```
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn row_to_text(row: &mut RowHandle) -> ImmutableString {
        row.text()
    }

    /// Reads CSV, as `format: csv` does; the delimiter is found in its first line.
    ///
    /// ```rhai
    /// read_csv("IPP,NOM\n7,DUPONT\n")["NOM"] == "DUPONT"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read_csv(text: &str) -> Outcome<SheetHandle> {
        csv(text, &Csv::default())
    }

    /// Reads CSV with settings, named as those of `format: { csv: … }`: `delimiter`, `quote`, `header`, `decimal`, `ragged`.
    ///
    /// ```rhai
    /// read_csv("7#8\n", #{delimiter: "#", header: false}).rows[0][1] == "8"
    /// ```
    #[rhai_fn(name = "read_csv", return_raw)]
    pub fn read_csv_as(text: &str, settings: Map) -> Outcome<SheetHandle> {
        csv(text, &csv_settings(&settings)?)
    }

    /// Reads rows whose fields stand at fixed places, from columns named as those of `format: { fixed: … }`.
    ///
    /// ```rhai
    /// let columns = [#{name: "id", width: 3}, #{name: "n", width: 4, side: "right"}]; read_fixed("7    12\n", columns)["n"] == "12"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read_fixed(text: &str, columns: Array) -> Outcome<SheetHandle> {
        let fixed = Fixed { columns: columns_of(&columns)?, decimal: '.' };
        fixed.read(text).map(SheetHandle::new).or_else(broke)
    }

    /// Reads HPRIM: HPRIM Santé as segments (`msg["P-5.1"]`, `msg.segments("OBX")`), HPRIM Médecins as a letter with rows.
    ///
    /// ```rhai
    /// read_hprim("H|~^\\&|F.HPR||LAB||ORU\rP|1|42|||DUPONT~JEAN\rL|1\r")["P-5.2"] == "JEAN"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read_hprim(text: &str) -> Outcome<Dynamic> {
        hprim(text)
    }

    /// Reads HL7: a message to be filled and given on by a channel of another format.
    ///
    /// ```rhai
    /// let out = read_hl7("MSH|^~\\&|LAB||REC||20260301||ORU^R01|7|P|2.5"); out["PID-5.1"] = "DUPONT"; out.segments().len() == 2
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read_hl7(text: &str) -> Outcome<Hl7> {
        formats::hl7::Message::parse(text).map(Hl7::new).or_else(broke)
    }

    /// The messages of an HL7 batch (FHS, BHS), each as text; one message alone is a list of one.
    ///
    /// ```rhai
    /// hl7_messages("BHS|^~\\&\rMSH|^~\\&|A\rPID|1\rMSH|^~\\&|B\rPID|2\rBTS|2\r").len() == 2
    /// ```
    #[rhai_fn(return_raw)]
    pub fn hl7_messages(text: &str) -> Outcome<Array> {
        let found = formats::hl7::batch::split(text.as_bytes()).or_else(broke)?;
        let Some(batch) = found else { return Ok(vec![text.into()]) };
        crate::pieces::list_of(
            batch.messages.into_iter().map(|message| Dynamic::from(text[message].to_owned())),
        )
    }
}

/// Reads HPRIM, as a value of a script.
pub(crate) fn hprim(text: &str) -> Outcome<Dynamic> {
    Ok(match formats::hprim::read(text).or_else(broke)? {
        Hprim::Sante(message) => Dynamic::from(Hl7::new(message)),
        Hprim::Medecins(letter) => Dynamic::from(SheetHandle::new(letter)),
    })
}

fn csv(text: &str, csv: &Csv) -> Outcome<SheetHandle> {
    csv.read(text).map(SheetHandle::new).or_else(broke)
}

fn csv_settings(settings: &Map) -> Outcome<Csv> {
    let mut csv = Csv::default();
    for (name, value) in settings {
        match name.as_str() {
            "delimiter" => csv.delimiter = Some(character(name, value)?),
            "quote" => csv.quote = if value.is_unit() { None } else { Some(character(name, value)?) },
            "decimal" => csv.decimal = character(name, value)?,
            "header" => csv.header = flag(name, value)?,
            "ragged" => csv.ragged = flag(name, value)?,
            _ => return broke(format!("CSV has no setting `{name}`")),
        }
    }
    Ok(csv)
}

fn columns_of(list: &Array) -> Outcome<Vec<Column>> {
    let mut next = 1;
    let mut columns = Vec::with_capacity(list.len());
    for one in list {
        let Some(map) = one.read_lock::<Map>() else { return broke("a column is a map") };
        let number = |name: &str| {
            map.get(name).and_then(|value| value.as_int().ok()).and_then(|value| usize::try_from(value).ok())
        };
        let width = number("width")
            .filter(|width| (1..=1000).contains(width))
            .ok_or("a column has a `width` from 1 to 1000")?;
        let start = number("start").unwrap_or(next).max(1);
        let side = match map.get("side").map(ToString::to_string).as_deref() {
            None | Some("left") => Side::Left,
            Some("right") => Side::Right,
            Some(_) => return broke("the `side` of a column is `left` or `right`"),
        };
        let fill = map.get("fill").map_or(Ok(' '), |value| character("fill", value))?;
        let name = map.get("name").map(ToString::to_string).ok_or("a column has a `name`")?;
        next = start + width;
        columns.push(Column { name, start, width, side, fill });
    }
    Ok(columns)
}

fn character(name: &str, value: &Dynamic) -> Outcome<char> {
    let text = value.to_string();
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) => Ok(one),
        _ => broke(format!("`{name}` is one character")),
    }
}

fn flag(name: &str, value: &Dynamic) -> Outcome<bool> {
    value.as_bool().or_else(|_| broke(format!("`{name}` is true or false")))
}
