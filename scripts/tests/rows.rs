//! Channels of CSV, fixed width, HPRIM and XML: paths, rows, splits, and what leaves as it came.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod channel;

use channel::{Channel, at, failed, outlet, text};
use engine::{Halt, Script};
use formats::{
    charset::Charset,
    rows::{Column, Csv, Fixed, Side},
};
use scripts::Format;

const CSV: &str = "IPP;NOM;RESULTAT\r\n1;DUPONT;11,2\r\n2;\"L'É; X\";5,10\r\n1;DUPONT;0,5\r\n";
const ONE: &str = "IPP;NOM;RESULTAT\r\n1;DUPONT;11,2\r\n";
const HPRIM: &str = "H|~^\\&|F.HPR||LAB||ORU|||CLI||P|H2.1~C|20260301\r\nP|1|42|||DUPONT~JEAN\r\nOBR|1|D1||NFS~Numération, qui est lo\r\nA|ngue~L\r\nOBX|1|NM|HB~Hémoglobine||12.4|g/dL\r\nL|1\r\n";
const LETTER: &str = "42\nDUPONT\nJEAN\n\n\n\n\n\n26001\n01/03/2026\nLABO\nDR X\nBonjour\n****LAB****\nRES|Hémoglobine|HB|N|12.4|g/dl\n****FIN****\n";
const XML: &str = "<?xml version=\"1.0\"?>\n<lab><order id='1'><code>K</code></order>\n<order id='2'><code>NA</code></order></lab>\n";

fn csv() -> Channel {
    Channel::new(Format::Csv(Csv { decimal: ',', ..Csv::default() }))
}

fn hprim() -> Channel {
    Channel::new(Format::Hprim)
}

fn latin(text: &str) -> Vec<u8> {
    Charset::WINDOWS_1252.encode(text).unwrap().to_vec()
}

/// The texts of the parts that a message becomes.
fn parts(channel: &Channel, body: &str) -> Vec<String> {
    channel.run(body.to_owned()).unwrap().iter().map(|piece| text(&piece.body)).collect()
}

#[test]
fn untouched_rows_leave_byte_for_byte_whatever_their_charset() {
    for (channel, body) in
        [(csv(), CSV), (hprim(), HPRIM), (hprim(), LETTER), (Channel::new(Format::Xml), XML)]
    {
        let bytes = latin(body);
        let look = channel.script("let seen = msg.to_string(); msg");
        let pieces = look.run(bytes.clone()).unwrap();
        assert_eq!(pieces[0].body.bytes().unwrap(), &bytes);
    }
}

#[test]
fn columns_are_paths_and_rows_are_handles() {
    let channel = csv()
        .require(&["IPP", "rows[0].NOM"])
        .filter("msg[\"NOM\"] == \"DUPONT\"")
        .set("NOM", "A;${msg[\"IPP\"]}");
    assert_eq!(channel.text(ONE), ONE.replace("DUPONT", "\"A;1\""));
    let sum = "let sum = 0; for row in msg.rows { sum += row.number(\"RESULTAT\"); row[\"RESULTAT\"] = row.number(\"RESULTAT\") * 2 }";
    let doubled = csv().script(&format!("{sum} msg.rows[1][\"NOM\"] = sum.to_string()")).text(CSV);
    assert_eq!(
        doubled,
        CSV.replace("11,2", "22,4")
            .replace("5,10", "10,20")
            .replace("0,5\r", "1,0\r")
            .replace("\"L'É; X\"", "\"16.80\"")
    );
    let missing = csv().require(&["NOM", "RESULTAT"]).run(CSV.replace("5,10", "")).unwrap_err();
    assert!(
        matches!(missing, Halt::Refused { ref at, .. } if at.as_deref() == Some("RESULTAT")),
        "{missing:?}"
    );
}

#[test]
fn a_mistake_says_what_there_is() {
    let why = |channel: Channel, body: &str| failed(channel.run(body.to_owned()).unwrap_err()).1;
    assert!(why(csv().set("NOM", "x"), CSV).contains("there are 3 rows: name one, as in `rows[0].NOM`"));
    assert!(why(csv().script("msg[\"AGE\"]"), CSV).contains("there is no column `AGE`"));
    assert!(why(csv().script("msg.rows[0].number(\"NOM\")"), CSV).contains("`NOM` holds no number with `,`"));
    assert!(why(hprim().script("msg.rows"), &LETTER.repeat(2)).contains("these are 2 letters"));
    let faults = csv().require(&["rows[x].NOM"]).faults();
    assert_eq!(
        faults,
        [
            "not-a-path steps.0.require.0 Value: `rows[x].NOM` is not a path: a number from 0 stands in brackets; one is like `NOM` or `rows[2].NOM`"
        ]
    );
    assert!(hprim().require(&["PID5", "P-5.1", "last_name", "rows[0].code"]).faults().len() == 1);
    assert!(Channel::new(Format::Xml).require(&["a//b", "lab/order[2]/@id"]).faults().len() == 1);
    let program = csv().program();
    let unreadable = program.read(&channel::inbound("a;b\n1;\"2".to_owned())).unwrap_err();
    assert!(unreadable.why.starts_with("line 2, column 3: the quote"), "{unreadable}");
}

#[test]
fn a_file_is_split_by_record_by_group_by_letter_and_by_element() {
    let records = parts(&csv().split("msg.records()").set("IPP", "9"), CSV);
    assert_eq!(
        records,
        [1, 2, 3].map(|line| format!("IPP;NOM;RESULTAT\r\n9{}\r\n", &CSV.lines().nth(line).unwrap()[1..]))
    );
    let groups = parts(&csv().split("msg.groups(\"IPP\")"), CSV);
    assert_eq!(groups[0], "IPP;NOM;RESULTAT\r\n1;DUPONT;11,2\r\n1;DUPONT;0,5\r\n");
    let letters = parts(&hprim().split("msg.messages()").set("last_name", "X"), &LETTER.repeat(2));
    assert_eq!(letters, vec![LETTER.replace("DUPONT", "X"); 2]);
    let orders = parts(
        &Channel::new(Format::Xml).split("msg.all(\"lab/order\")").filter("msg[\"order/code\"] != \"\""),
        XML,
    );
    assert_eq!(orders, ["<order id='1'><code>K</code></order>", "<order id='2'><code>NA</code></order>"]);
    let batch = "BHS|^~\\&\rMSH|^~\\&|A||||||ADT^A01|1|P|2.5\rPID|1\rMSH|^~\\&|B||||||ADT^A01|2|P|2.5\rPID|2\rBTS|2\r";
    let messages =
        parts(&Channel::new(Format::Text).split("hl7_messages(msg)").filter("msg.len() > 0"), batch);
    assert_eq!(messages.len(), 2);
}

#[test]
fn hprim_sante_is_read_by_path_and_keeps_its_lines() {
    let channel =
        hprim().require(&["P-2", "OBX-5"]).filter("msg[\"OBR-4.2\"] == \"Numération, qui est longue\"");
    assert_eq!(channel.text(HPRIM), HPRIM);
    let changed = hprim().set("OBX-5", "13.0").script("let p = msg.segments(\"P\")[0]; p[\"5.2\"] = \"LÉA\"");
    assert_eq!(changed.text(HPRIM), HPRIM.replace("12.4", "13.0").replace("JEAN", "LÉA"));
    let reading = hprim().program().read(&channel::inbound(HPRIM.to_owned())).unwrap();
    assert_eq!((reading.kind.as_deref(), reading.keys[0].1.as_str()), (Some("ORU"), "42"));
    let two = HPRIM.replace("L|1", "P|2|43\r\nOBR|1\r\nL|1");
    assert_eq!(parts(&hprim().split("msg.groups(\"P\")"), &two).len(), 2);
}

#[test]
fn a_script_makes_hl7_or_json_of_any_format() {
    let make = "let out = read_hl7(\"MSH|^~\\\\&|LAB||REC||20260301||ORU^R01|1|P|2.5|||||||UNICODE UTF-8\"); out[\"PID-5.1\"] = msg[\"P-5.1\"]; out";
    let pieces = hprim().script(make).filter("msg[\"PID-5.1\"] == \"DUPONT\"").run(latin(HPRIM)).unwrap();
    assert!(text(&pieces[0].body).ends_with("UNICODE UTF-8\rPID|||||DUPONT"));
    let json = csv().script("msg.rows.map(|row| row.to_map())").text(ONE);
    assert_eq!(json, r#"[{"IPP":"1","NOM":"DUPONT","RESULTAT":"11,2"}]"#);
    let xml = csv().script("let xml = read_xml(\"<r/>\"); xml[\"r/nom\"] = msg[\"NOM\"]; xml").text(ONE);
    assert_eq!(xml, "<r><nom>DUPONT</nom></r>");
}

#[test]
fn fields_at_fixed_places_have_names() {
    let column =
        |name: &str, start, width, side| Column { name: name.to_owned(), start, width, side, fill: ' ' };
    let columns = vec![column("id", 1, 4, Side::Right), column("name", 5, 6, Side::Left)];
    let channel = Channel::new(Format::Fixed(Fixed { columns, decimal: '.' }));
    let channel = channel.filter("msg[\"id\"] == \"7\"").set("name", "LÉA");
    assert_eq!(channel.text("   7DUPONTX"), "   7LÉA   X");
}

#[test]
fn an_order_key_may_be_a_column_or_an_element() {
    let mut keyed = outlet("record");
    keyed.key = vec![at("order.key", "IPP")];
    assert_eq!(csv().outlet(keyed).leaving(ONE).keys, ["1"]);
    let mut keyed = outlet("record");
    keyed.key = vec![at("order.key", "lab/order/@id")];
    assert_eq!(Channel::new(Format::Xml).outlet(keyed).leaving(XML).keys, ["1"]);
}
