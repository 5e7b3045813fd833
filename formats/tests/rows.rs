//! Rows and HPRIM: read, changed, taken apart, and as they came where nobody touched them.

#![allow(clippy::unwrap_used, reason = "test code may unwrap, outside test functions too")]

mod everything;

use std::{env, fs, path::Path};

use formats::{
    charset,
    hl7::Path as Hl7Path,
    hprim::{self, Hprim},
    rows::{Column, Csv, Fixed, Sheet, Side, Wrong},
};
use proptest::prelude::*;

const RESULTS: &str =
    "IPP;NOM;RESULTAT\r\n0001;DUPONT;11,2\r\n\r\n0002;\"N'DIAYE; \"\"LE\r\nPETIT\"\"\";\r\n0001;DUPONT;5,10";

fn csv(text: &str) -> Sheet {
    Csv::default().read(text).unwrap()
}

fn value(sheet: &Sheet, number: usize, column: &str) -> String {
    let row = sheet.nth(number).unwrap();
    sheet.get(row, sheet.column(column).unwrap()).unwrap_or_default().into_owned()
}

fn set(sheet: &mut Sheet, number: usize, column: &str, value: &str) -> Result<(), Wrong> {
    let (row, column) = (sheet.nth(number)?, sheet.column(column)?);
    sheet.set(row, column, value)
}

fn error(text: &str) -> String {
    Csv::default().read(text).unwrap_err().to_string()
}

fn corpus(name: &str) -> Vec<u8> {
    let root = env::var_os("RELAIS_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"), Into::into);
    let path = root.join("hprim").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: set RELAIS_CORPUS", path.display()))
}

#[test]
fn fields_are_read_by_the_names_of_the_first_line() {
    let sheet = csv(RESULTS);
    assert_eq!((sheet.rows().count(), sheet.names().len()), (3, 3));
    assert_eq!(value(&sheet, 0, "RESULTAT"), "11,2");
    assert_eq!(value(&sheet, 1, "NOM"), "N'DIAYE; \"LE\r\nPETIT\"");
    assert_eq!(value(&sheet, 2, "1"), "DUPONT");
    assert_eq!(sheet.text(), RESULTS);
    assert_eq!(sheet.column("AGE"), Err(Wrong::NoColumn("AGE".to_owned())));
    assert_eq!(sheet.nth(3), Err(Wrong::NoRow { row: 3, count: 3 }));
}

#[test]
fn a_change_changes_its_field_and_nothing_else() {
    let mut sheet = csv(RESULTS);
    set(&mut sheet, 0, "NOM", "DUPONT").unwrap();
    assert_eq!(sheet.text(), RESULTS);
    set(&mut sheet, 0, "NOM", "A;B").unwrap();
    set(&mut sheet, 1, "NOM", "plain").unwrap();
    let changed =
        RESULTS.replacen("DUPONT", "\"A;B\"", 1).replace("\"N'DIAYE; \"\"LE\r\nPETIT\"\"\"", "\"plain\"");
    assert_eq!(sheet.text(), changed);
    let third = sheet.nth(2).unwrap();
    sheet.remove(sheet.nth(0).unwrap());
    assert_eq!(sheet.rows().last(), Some(third));
    sheet.add(&["3".to_owned(), " x ".to_owned()]).unwrap();
    assert!(sheet.text().ends_with("5,10\r\n3;\" x \";"), "{}", sheet.text());
    let wanted = Wrong::FieldCount { wanted: 3, found: 4 };
    assert_eq!(sheet.add(&vec![String::new(); 4]), Err(wanted));
}

#[test]
fn every_kind_of_csv_is_read() {
    let count = |text: &str| csv(text).names().len();
    assert_eq!([count("a,b;c,d\n"), count("a\tb\n1\t2"), count("a|b"), count("alone\n1")], [3, 2, 2, 1]);
    assert_eq!(value(&csv("\u{feff}sep=|\r\na|b\r\n1;|2"), 0, "a"), "1;");
    assert_eq!(csv("\u{feff}IPP;NOM\n1;2").names()[0], "IPP");
    let bare = Csv { header: false, quote: None, ragged: true, delimiter: Some('#'), ..Csv::default() };
    let mut sheet = bare.read("a#\"b\nc\n").unwrap();
    assert_eq!((value(&sheet, 0, "1"), value(&sheet, 1, "0")), ("\"b".to_owned(), "c".to_owned()));
    assert!(matches!(set(&mut sheet, 0, "1", "x#"), Err(Wrong::CannotHold(_))));
    assert!(matches!(set(&mut sheet, 1, "1", "x"), Err(Wrong::NoColumn(_))));
    let empty = csv("a;b");
    assert_eq!((empty.rows().count(), empty.records().len()), (0, 0));
}

#[test]
fn what_is_no_csv_is_refused_with_its_line_and_column() {
    assert_eq!(
        error("a;b\n1;2\n1;\"2\n3;4\n"),
        "line 3, column 3: the quote that begins this field is never closed"
    );
    assert!(error("a;b\r\n\"1\"x;2").starts_with("line 2, column 1: something stands between"));
    assert_eq!(error("a;b\n1;2;3"), "line 2, column 1: the row has 3 fields, and the first line has 2");
    assert_eq!(error("é;b;é"), "line 1, column 5: column 3 has the same name as column 1");
    assert_eq!(error(" \r\n\n"), "line 3, column 1: there are no rows: it is empty");
}

#[test]
fn rows_are_taken_apart_one_by_one_or_by_a_column() {
    let sheet = csv(RESULTS);
    let parts: Vec<String> = sheet.records().iter().map(|part| part.text().to_owned()).collect();
    assert_eq!((parts.len(), parts[2].as_str()), (3, "IPP;NOM;RESULTAT\r\n0001;DUPONT;5,10"));
    let groups = sheet.groups(0);
    assert_eq!(groups.len(), 2);
    assert_eq!(groups[0].text(), "IPP;NOM;RESULTAT\r\n0001;DUPONT;11,2\r\n\r\n0001;DUPONT;5,10");
    for part in parts.iter().map(String::as_str).chain(groups.iter().map(Sheet::text)) {
        assert!(Csv::default().read(part).is_ok(), "{part}");
    }
}

fn fixed() -> Fixed {
    let column =
        |name: &str, start, width, side, fill| Column { name: name.to_owned(), start, width, side, fill };
    let columns = vec![
        column("id", 1, 4, Side::Right, '0'),
        column("name", 5, 6, Side::Left, ' '),
        column("n", 12, 3, Side::Right, ' '),
    ];
    Fixed { columns, decimal: ',' }
}

#[test]
fn fields_at_fixed_places_are_read_and_written() {
    let text = "0042ÉLODIE  12 rest\r\n\r\n0000BOB";
    let mut sheet = fixed().read(text).unwrap();
    assert_eq!(
        (value(&sheet, 0, "id"), value(&sheet, 0, "name"), value(&sheet, 0, "n")),
        ("42".into(), "ÉLODIE".into(), "12".into())
    );
    assert_eq!((value(&sheet, 1, "id"), value(&sheet, 1, "n")), ("0".into(), String::new()));
    assert_eq!(sheet.text(), text);
    set(&mut sheet, 0, "name", "ANNE").unwrap();
    set(&mut sheet, 1, "n", "7").unwrap();
    assert_eq!(sheet.text(), "0042ANNE    12 rest\r\n\r\n0000BOB      7");
    let long = set(&mut sheet, 0, "n", "1234").unwrap_err();
    assert_eq!(long.to_string(), "the column `n` is 3 characters wide, and the text has 4");
    sheet.add(&["5".into(), "X".into(), "1".into()]).unwrap();
    assert!(sheet.text().ends_with("\r\n0005X        1"), "{:?}", sheet.text());
}

#[test]
fn hprim_sante_is_read_and_written_like_segments() {
    let bytes = corpus("hprim21_libhprim_1.hpr");
    let text = charset::decode_text(&bytes, None).unwrap().text;
    let Hprim::Sante(mut message) = hprim::read(text.clone()).unwrap() else { panic!("it is HPRIM Santé") };
    let get =
        |message: &formats::hl7::Message, path: &str| message.get(&message.path(path).unwrap()).into_owned();
    assert_eq!(get(&message, "H-12.1"), "H2.1");
    assert_eq!(
        (get(&message, "P-5.1"), get(&message, "P-5.2"), get(&message, "P-7")),
        ("GAULLE".into(), "MARECHAL".into(), "19370325".into())
    );
    assert_eq!((get(&message, "OBX[2]-5"), get(&message, "OBR-4[9].1")), ("38.2".into(), "TROPV".into()));
    assert_eq!(get(&message, "OBR-16.5"), "Clinique HP", "a segment goes on in its A line");
    assert_eq!(hprim::written(message.text(), &text), *text);
    message.set(&message.path("OBX[1]-5").unwrap(), "1~6").unwrap();
    let changed = hprim::written(message.text(), &text);
    assert_eq!(changed, text.replace("||16|UI/l", r"||1\S\6|UI/l"));
    message.set(&message.path("OBR-17").unwrap(), &"9".repeat(300)).unwrap();
    let changed = hprim::written(message.text(), &text);
    assert!(changed.lines().all(|line| line.chars().count() <= 220), "{changed}");
    let Hprim::Sante(again) = hprim::read(changed).unwrap() else { panic!("it is HPRIM Santé") };
    assert_eq!(again.text(), message.text());
    assert_eq!(message.groups("OBR").len(), 1);
    assert!(message.groups("P")[0].text().ends_with("L|1\r\n"));
    assert!(
        message.append("ZZZZ|1").is_err() && message.append("C|2").is_ok() && message.append("H|x").is_err()
    );
    assert!(Hl7Path::parse("P-5").is_err() && Hl7Path::parse_short("OBXX-1").is_err());
}

#[test]
fn hprim_with_other_separators_means_the_same() {
    let text = charset::decode_text(&corpus("hprim20_other_separators.hpr"), None).unwrap().text;
    let Hprim::Sante(message) = hprim::read(text).unwrap() else { panic!("it is HPRIM Santé") };
    let get = |path: &str| message.get(&message.path(path).unwrap()).into_owned();
    assert_eq!(
        (get("P-5.2"), get("OBX-3.2"), get("H-1")),
        ("JEANNE".into(), "Hémoglobine".into(), "\\^&~".into())
    );
}

#[test]
fn hprim_medecins_is_a_letter_with_results() {
    let text = charset::decode_text(&corpus("hprim_medecin_latin1.hpr"), None).unwrap().text;
    let Hprim::Medecins(mut letter) = hprim::read(text.clone()).unwrap() else { panic!("it is a letter") };
    assert_eq!(
        (letter.named_value("last_name"), letter.named_value("address_2")),
        (Some("DUPONT"), Some(""))
    );
    assert_eq!(letter.named_value("recipient"), Some("10001234567 DR MARTIN HÉLÈNE"));
    assert_eq!(letter.letter()[1], "NUMÉRATION FORMULE SANGUINE");
    assert_eq!(
        (letter.rows().count(), value(&letter, 1, "value"), value(&letter, 1, "high_2")),
        (4, "11.2".into(), "175".into())
    );
    assert_eq!(letter.text(), &*text);
    set(&mut letter, 1, "flag", "N").unwrap();
    letter.set_named("city", "75012 PARIS").unwrap();
    assert_eq!(letter.text(), text.replace("17.5|L|F", "17.5|N|F").replace("75011", "75012"));
    assert!(matches!(set(&mut letter, 1, "value", "a|b"), Err(Wrong::CannotHold(_))));
    letter.add(&["Urée".into(), "URE".into()]).unwrap();
    assert!(letter.text().contains("RES|Urée|URE|||||||||||\r\n****FIN****"), "{}", letter.text());
    let two = format!("{text}{text}");
    assert_eq!(hprim::letters(&two).len(), 2);
    let Hprim::Medecins(both) = hprim::read(two).unwrap() else { panic!("these are letters") };
    assert_eq!(both.letters(), 2);
}

#[test]
fn what_is_no_hprim_is_refused_with_its_place() {
    let error = |text: &str| hprim::read(text).unwrap_err().to_string();
    assert!(error("H|~~\\&|").starts_with("HPRIM Santé: two delimiters"));
    assert!(
        error("1\n2\n****LAB****\n").starts_with("HPRIM Médecins: line 3, column 1: the letter has fewer")
    );
    let letter = format!("{}text\n****LAB****\nRES|a\nother\n****FIN****\n", "x\n".repeat(12));
    assert!(error(&letter).starts_with("HPRIM Médecins: line 16, column 1"), "{}", error(&letter));
}

proptest! {
    #[test]
    fn nothing_in_the_world_breaks_it(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        everything::rows(&bytes);
    }

    #[test]
    fn nothing_that_looks_like_rows_breaks_it(text in "(H\\|~\\^|[a-c\";,\t|\\\\ é]{0,6}[\r\n\"]{0,2}|A\\||RES\\||\\*{4}LAB\\*{4}\n){0,30}") {
        everything::rows(text.as_bytes());
    }

    #[test]
    fn what_is_written_reads_the_same(values in proptest::collection::vec("[^\u{feff}]{0,12}", 1..5)) {
        let mut sheet = Csv { header: false, delimiter: Some(';'), ..Csv::default() }.read("a;b;c;d").unwrap();
        let row = sheet.add(&values).unwrap();
        let text = sheet.text().to_owned();
        let again = Csv { header: false, ragged: true, delimiter: Some(';'), ..Csv::default() }.read(text).unwrap();
        let is_blank = values.len() == 1 && values[0].is_empty();
        for (column, value) in values.iter().enumerate().filter(|_| !is_blank) {
            prop_assert_eq!(again.get(row, column).unwrap(), value.as_str());
        }
    }
}
