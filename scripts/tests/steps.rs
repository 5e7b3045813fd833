//! Filters, requirements, settings, templates and splits.

mod channel;

use channel::{Channel, JSON, ORU, failed, text};
use engine::{Bond, Halt};
use scripts::{Format, SplitFile, StepFile};

fn split(code: &str, each: bool, keep_control_id: bool) -> StepFile {
    StepFile::Split(SplitFile { code: code.to_owned(), each, keep_control_id })
}

/// A message with two orders, the second without an ORC.
fn two_orders() -> String {
    format!("{ORU}OBR|2|PL2|FI2|NA\rOBX|1|NM|NA||140\r")
}

#[test]
fn a_filter_that_is_false_ends_the_message_and_says_which_it_was() {
    let channel = Channel::hl7().filter("msg[\"MSH-9.1\"] == \"ADT\"").script("throw 1");
    let why = "`msg[\"MSH-9.1\"] == \"ADT\"` is false".to_owned();
    assert_eq!(channel.run(ORU.to_owned()).unwrap_err(), Halt::Filtered { why });
    assert_eq!(Channel::hl7().filter("msg[\"MSH-9.1\"] == \"ORU\"").text(ORU), ORU);
}

#[test]
fn a_filter_that_is_neither_true_nor_false_fails() {
    let (step, why, _) = failed(Channel::hl7().filter("msg[\"PID-8\"]").run(ORU.to_owned()).unwrap_err());
    assert_eq!((step.as_str(), why.as_str()), ("step 1 (filter)", "it is text, and not true or false"));
}

#[test]
fn require_refuses_with_the_first_path_that_is_missing() {
    let run = |channel: Channel, body: &str| channel.run(body.to_owned()).map(|_| ());
    let refused =
        |path: &str| Err(Halt::Refused { why: format!("{path} is missing"), at: Some(path.to_owned()) });
    assert_eq!(run(Channel::hl7().require(&["PID-3.1", "OBR-4"]), ORU), Ok(()));
    assert_eq!(run(Channel::hl7().require(&["PID-3.1", "PID-19", "ZZZ-1"]), ORU), refused("PID-19"));
    assert_eq!(run(Channel::json().require(&["id", "name[0].family"]), JSON), Ok(()));
    assert_eq!(run(Channel::json().require(&["name[0].given"]), JSON), refused("name[0].given"));
}

#[test]
fn set_writes_text_as_it_stands_in_the_file() {
    let channel = Channel::hl7().set("PID-3.1", "007").set("PV1-2", "NO").set("PID-19", "1.50");
    let expected =
        ORU.replace("12345678", "007").replace("|1|I|", "|1|NO|").replace("|M\r", "|M|||||||||||1.50\r");
    assert_eq!(channel.text(ORU), expected);
    let channel = Channel::hl7().set("PID-5.2", "A&B^C|D~E\\");
    assert_eq!(
        channel.filter("msg[\"PID-5.2\"] == \"A&B^C|D~E\\\\\"").run(ORU.to_owned()).map(|_| ()),
        Ok(())
    );
}

#[test]
fn set_works_out_expressions_and_looks_codes_up() {
    let ward = "${table(\"wards\", \"code\", msg[\"PV1-3.1\"], \"name\")}";
    assert_eq!(Channel::hl7().set("PV1-3.1", ward).text(ORU), ORU.replace("CAR^101", "Cardiologie^101"));
    let channel = Channel::hl7().set("PID-5.2", "${msg[\"PID-5.2\"]} (${msg[\"PID-8\"]}) $${x}");
    assert_eq!(channel.text(ORU), ORU.replace("DUPONT^JEAN", "DUPONT^JEAN (M) ${x}"));
    assert_eq!(
        Channel::hl7().set("PID-8", "${table(\"wards\", \"code\", \"?\", \"name\")}").text(ORU),
        ORU.replace("19850312|M", "19850312|")
    );
    assert_eq!(
        Channel::hl7().set("MSH-7", "${ctx.now()}").text(ORU),
        ORU.replace("|20260301080000|", "|20260301080000+0100|")
    );
}

#[test]
fn empty_text_empties_and_two_quotes_are_the_hl7_null() {
    assert_eq!(Channel::hl7().set("PID-5", "").text(ORU), ORU.replace("DUPONT^JEAN", ""));
    assert_eq!(Channel::hl7().set("PID-5", "\"\"").text(ORU), ORU.replace("DUPONT^JEAN", "\"\""));
}

#[test]
fn a_part_is_copied_and_built_with_its_delimiters() {
    let channel =
        Channel::hl7().set("PV1-7", "${msg.part(\"PID-5\")}").set("PV1-8", "${part(\"MARTIN^LEA\")}");
    assert_eq!(channel.text(ORU), ORU.replace("CAR^101^1|||||||", "CAR^101^1||||DUPONT^JEAN|MARTIN^LEA||"));
}

#[test]
fn one_set_sees_what_the_one_before_it_wrote() {
    let places = [("PID-8", "F"), ("PID-19", "${msg[\"PID-8\"]}")];
    let places = places.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    let channel = Channel::hl7().step(StepFile::Set(places));
    assert_eq!(channel.text(ORU), ORU.replace("|M\r", "|F|||||||||||F\r"));
}

#[test]
fn set_writes_into_json_and_keeps_kinds() {
    let channel = Channel::json()
        .set("name[0].family", "MARTIN")
        .set("value", "${msg.value + 1}")
        .set("tag.0.code", "x")
        .set("text", "n ${msg.value}");
    assert_eq!(
        channel.text(JSON),
        r#"{"resourceType":"Patient","id":"p1","value":2.50,"big":12345678901234567890,"name":[{"family":"MARTIN"}],"tag":[{"code":"x"}],"text":"n 2.50"}"#
    );
}

#[test]
fn without_n_a_path_is_the_first_in_writing_too() {
    let channel =
        Channel::hl7().set("OBX-11", "F").set("OBX[2]-11", "C").set("PID-3.4", "CHU").set("PID-3[2].4", "FR");
    let expected = ORU
        .replace("6.1|mmol/L|||||P", "6.1|mmol/L|||||F")
        .replace("4.20|mmol/L|||||P", "4.20|mmol/L|||||C")
        .replace("^HOP^PI", "^CHU^PI")
        .replace("^INS^INS", "^FR^INS");
    assert_eq!(channel.text(ORU), expected);
}

#[test]
fn a_missing_segment_is_added_at_the_end_and_insert_puts_it_after_another() {
    assert_eq!(Channel::hl7().set("ZPD-2", "x").text(ORU), format!("{ORU}ZPD||x\r"));
    let channel = Channel::hl7().script("msg.insert(\"ZPD\", \"PID\"); msg[\"ZPD-2\"] = \"x\";");
    assert_eq!(channel.text(ORU), ORU.replace("|M\r", "|M\rZPD||x\r"));
}

#[test]
fn reading_gives_a_leaf_decoded_and_parts_as_they_stand() {
    let body = ORU.replace("DUPONT^JEAN", "A\\T\\B^JEAN");
    let code = "[msg[\"PID-5.1\"], msg[\"PID-5\"], msg[\"ZZZ-9\"], msg[\"PID-3[2].1\"], msg[\"MSH-9.1\"], msg[\"OBX[2]-5\"]]";
    assert_eq!(
        Channel::hl7().script(code).text(&body),
        r#"["A&B","A\\T\\B^JEAN","","1850312075123","ORU","4.20"]"#
    );
}

#[test]
fn handles_on_segments_stay_right_when_others_come_and_go() {
    let code = "let obx = msg.segments(\"OBX\");
        msg.insert(\"NTE\", \"PID\"); obx[0].remove(); msg.insert(\"PD1\", \"PID\");
        obx[1][\"5\"] = \"9\"; obx[1][\"11\"] = msg.segments(\"PID\")[0].name;";
    let expected = ORU
        .replace("|M\r", "|M\rPD1\rNTE\r")
        .replace("OBX|1|NM|K^Potassium^L||6.1|mmol/L|||||P\r", "")
        .replace("4.20|mmol/L|||||P", "9|mmol/L|||||PID");
    assert_eq!(Channel::hl7().script(code).text(ORU), expected);
    let gone = "let one = msg.segments(\"OBX\")[0]; one.remove(); one[\"5\"]";
    let (_, why, _) = failed(Channel::hl7().script(gone).run(ORU.to_owned()).unwrap_err());
    assert_eq!(why, "the segment was removed");
}

#[test]
fn groups_give_one_whole_message_per_order_with_ids_of_their_own() {
    let pieces = Channel::hl7().split("msg.groups(\"OBR\")").run(two_orders()).unwrap();
    assert_eq!(pieces.iter().map(|piece| piece.place).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert_eq!(pieces[0].control_id.as_deref(), Some("MSG001.1"));
    assert_eq!(text(&pieces[0].body), ORU.replace("MSG001", "MSG001.1"));
    let second = text(&pieces[1].body);
    assert!(second.starts_with("MSH|") && second.contains("|MSG001.2|") && second.contains("DUPONT"));
    assert!(second.contains("FI2") && !second.contains("FI1") && second.contains("PV1|"));
    assert_eq!(pieces[0].bond, Bond::Together);
}

#[test]
fn a_split_with_control_id_keep_leaves_msh_10() {
    let channel = Channel::hl7().step(split("msg.groups(\"OBR\")", false, true));
    let pieces = channel.run(two_orders()).unwrap();
    assert_eq!(pieces[1].control_id.as_deref(), Some("MSG001"));
    assert!(text(&pieces[1].body).contains("|MSG001|"));
}

#[test]
fn a_filter_behind_a_split_takes_its_part_alone_out() {
    let pieces = Channel::hl7()
        .split("msg.groups(\"OBR\")")
        .filter("msg[\"OBR-3\"] == \"FI2\"")
        .set("PID-8", "F")
        .run(two_orders())
        .unwrap();
    assert!(matches!(pieces[0].halt, Some(Halt::Filtered { .. })));
    assert_eq!(pieces[1].halt, None);
    assert!(text(&pieces[1].body).contains("|F\r"));
}

#[test]
fn a_part_that_fails_fails_the_message_unless_each_goes_alone() {
    let code = "if msg[\"OBR-3\"] == \"FI1\" { throw \"no\" }";
    let together = Channel::hl7().split("msg.groups(\"OBR\")").script(code).run(two_orders());
    assert_eq!(failed(together.unwrap_err()).0, "step 2 (script)");
    let each = Channel::hl7().step(split("msg.groups(\"OBR\")", true, false)).script(code).run(two_orders());
    let pieces = each.unwrap();
    assert!(matches!(pieces[0].halt, Some(Halt::Failed { .. })));
    assert_eq!((pieces[1].halt.clone(), pieces[1].bond), (None, Bond::Apart));
}

#[test]
fn json_and_text_are_split_into_their_elements() {
    let pieces = Channel::json().split("msg.name").run(JSON.to_owned()).unwrap();
    assert_eq!(text(&pieces[0].body), r#"{"family":"DUPONT"}"#);
    let pieces =
        Channel::json().split("msg").filter("msg.a == 2").run("[{\"a\":1},{\"a\":2}]".to_owned()).unwrap();
    assert_eq!(pieces.iter().map(|piece| piece.halt.is_none()).collect::<Vec<_>>(), [false, true]);
    let pieces = Channel::new(Format::Text).split("lines(msg)").run("a\nb\n".to_owned()).unwrap();
    assert_eq!(pieces.iter().map(|piece| text(&piece.body)).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn parts_of_parts_are_counted_through_and_named_by_both() {
    let pieces =
        Channel::hl7().split("msg.groups(\"OBR\")").split("[msg, msg.copy()]").run(two_orders()).unwrap();
    let named: Vec<_> = pieces.iter().map(|piece| (piece.place, piece.control_id.clone().unwrap())).collect();
    assert_eq!(named[2], (Some(3), "MSG001.2.1".to_owned()));
}

#[test]
fn a_split_that_makes_no_list_fails_and_an_empty_one_leaves_nothing() {
    let (_, why, _) = failed(Channel::hl7().split("msg").run(ORU.to_owned()).unwrap_err());
    assert_eq!(why, "a split makes a list, and this is something else");
    assert!(Channel::hl7().split("[]").run(ORU.to_owned()).unwrap().is_empty());
}
