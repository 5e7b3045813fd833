//! What a script's last value means, what it may do, and how it ends a message.

mod channel;

use channel::{Channel, JSON, ORU, failed, script};
use engine::Halt;
use scripts::{Format, StepFile};

#[test]
fn what_no_step_touches_leaves_byte_for_byte() {
    let odd = ORU.replace('\r', "\r\n\n").replace("|M\r", "|M||||\r");
    let channel = Channel::hl7().script("let x = msg[\"PID-5\"]; msg").script("()").filter("true");
    assert_eq!(channel.text(&odd), odd);
    let channel = Channel::json().script("let x = msg.name; msg").script("let y = 1;");
    assert_eq!(channel.text(JSON), JSON);
}

#[test]
fn what_a_script_changes_in_place_goes_on() {
    let channel = Channel::hl7().script("msg[\"PID-8\"] = \"F\";").filter("msg[\"PID-8\"] == \"F\"");
    assert_eq!(channel.text(ORU), ORU.replace("19850312|M", "19850312|F"));
}

#[test]
fn the_last_value_msg_or_a_copy_goes_on() {
    let changed = ORU.replace("19850312|M", "19850312|F");
    assert_eq!(Channel::hl7().script("msg[\"PID-8\"] = \"F\"; msg").text(ORU), changed);
    let copied = "let other = msg.copy(); other[\"PID-8\"] = \"F\"; msg[\"PID-8\"] = \"X\"; other";
    assert_eq!(Channel::hl7().script(copied).text(ORU), changed);
    assert_eq!(Channel::hl7().script("let other = msg.copy(); other[\"PID-8\"] = \"F\";").text(ORU), ORU);
    assert_eq!(Channel::hl7().script("msg = msg.copy(); msg[\"PID-8\"] = \"F\";").text(ORU), changed);
}

#[test]
fn a_function_given_msg_changes_it() {
    let code = "fn clean(m) { m[\"PID-8\"] = \"F\"; } clean(msg);";
    assert_eq!(Channel::hl7().script(code).text(ORU), ORU.replace("19850312|M", "19850312|F"));
    let code = "fn clean(m) { m.id = \"p2\"; } clean(msg);";
    assert_eq!(Channel::json().script(code).text(JSON), JSON.replace("p1", "p2").replace("\", \"", "\",\""));
}

#[test]
fn a_map_or_a_list_goes_on_as_json_and_the_next_step_has_it_as_msg() {
    let channel = Channel::hl7()
        .script("#{family: msg[\"PID-5.1\"], values: [1, 2.50]}")
        .script("msg.values[0] += 41; msg.given = \"JEAN\"; msg");
    assert_eq!(channel.text(ORU), r#"{"family":"DUPONT","values":[42,2.50],"given":"JEAN"}"#);
    assert_eq!(Channel::hl7().script("[msg[\"PID-8\"], ()]").text(ORU), r#"["M",null]"#);
}

#[test]
fn bytes_go_on_as_they_are() {
    let channel = Channel::hl7().script("base64_decode(\"/wD+\")");
    assert_eq!(channel.run(ORU.to_owned()).unwrap()[0].body.bytes().unwrap().as_ref(), [0xff, 0, 0xfe]);
}

#[test]
fn text_goes_on_where_it_is_hl7_again_or_the_message_was_text_or_as_text_says_so() {
    let channel = Channel::hl7().script("msg.to_string().replace(\"DUPONT\", \"MARTIN\")");
    assert_eq!(channel.filter("msg[\"PID-5.1\"] == \"MARTIN\"").text(ORU), ORU.replace("DUPONT", "MARTIN"));
    let channel = Channel::new(Format::Text).script("msg.to_upper()").script("msg + \"!\"");
    assert_eq!(channel.text("bonjour"), "BONJOUR!");
    let as_text =
        StepFile::Script { code: "`${msg[\"PID-5.1\"]};${msg[\"PID-8\"]}`".to_owned(), as_text: true };
    assert_eq!(Channel::hl7().step(as_text).script("msg + \"\\n\"").text(ORU), "DUPONT;M\n");
    let (step, why, _) = failed(Channel::hl7().script("\"no message\"").run(ORU.to_owned()).unwrap_err());
    assert_eq!(step, "step 1 (script)");
    assert!(why.contains("as: text"), "{why}");
}

#[test]
fn any_other_last_value_fails_the_message() {
    for code in
        ["1", "true", "1.5", "msg.segments(\"OBX\")[0]", "part(\"A\")", "|x| x", "[msg]", "#{f: |x| x}"]
    {
        let halt = Channel::hl7().script(code).run(ORU.to_owned()).unwrap_err();
        assert!(matches!(halt, Halt::Failed { .. }), "{code}: {halt:?}");
    }
}

#[test]
fn filter_and_refuse_end_the_message_with_their_words() {
    let run = |code: &str| Channel::hl7().script(code).run(ORU.to_owned()).unwrap_err();
    assert_eq!(run("filter(\"not ours\"); msg"), Halt::Filtered { why: "not ours".to_owned() });
    let refused = Halt::Refused { why: "no name".to_owned(), at: None };
    assert_eq!(run("try { refuse(\"no name\"); } catch { }"), refused);
    let refused = Halt::Refused { why: "no name".to_owned(), at: Some("PID-5".to_owned()) };
    assert_eq!(run("fn check(m) { refuse(\"no name\", \"PID-5\") } check(msg);"), refused);
}

#[test]
fn throw_fails_it_with_step_and_line() {
    let halt = Channel::hl7().filter("true").script("let x = 1;\n  throw \"bad value\";").run(ORU.to_owned());
    let (step, why, place) = failed(halt.unwrap_err());
    assert_eq!((step.as_str(), why.as_str()), ("step 2 (script)", "bad value"));
    assert_eq!(place.unwrap(), "steps.1.script:2:3");
}

#[test]
fn an_error_in_a_script_file_names_that_file_and_line() {
    let channel = Channel::hl7()
        .with_file("scripts/lib.rhai", "fn broken(x) {\n    throw \"deep\"\n}\n")
        .with_file("scripts/clean.rhai", "import \"lib\" as lib;\nfn tidy(m) { lib::broken(m) }\ntidy(msg);")
        .script("scripts/clean.rhai");
    let (step, why, place) = failed(channel.run(ORU.to_owned()).unwrap_err());
    assert_eq!((step.as_str(), why.as_str()), ("step 1 (scripts/clean.rhai)", "deep"));
    assert_eq!(place.unwrap(), "scripts/lib.rhai:2:5");
}

#[test]
fn scripts_are_imported_by_name_and_the_shipped_ones_too() {
    let channel = Channel::hl7()
        .with_file("scripts/names.rhai", "const SEX = \"F\"; fn sex() { global::SEX } fn put(m) { m[\"PID-8\"] = sex(); }")
        .script("import \"names\" as names; import \"relais/hl7\" as hl7;\nfn both(m) { names::put(m); m[\"PID-5.1\"] = hl7::full_name(m, \"PID-5\"); }\nboth(msg);");
    let expected = ORU.replace("19850312|M", "19850312|F").replace("DUPONT^JEAN", "JEAN DUPONT^JEAN");
    assert_eq!(channel.text(ORU), expected);
    let uses = channel.program().uses().clone();
    assert_eq!(uses.scripts.into_iter().collect::<Vec<_>>(), ["relais/hl7", "scripts/names.rhai"]);
}

#[test]
fn the_shipped_functions_find_identifiers_and_names() {
    let code = "import \"relais/hl7\" as hl7;
        [hl7::identifier(msg, \"PID-3\", \"PI\"), hl7::identifier(msg, \"PID-3\", \"XX\"),
         hl7::identifier_of(msg, \"PID-3\", \"INS\"), hl7::full_name(msg, \"PID-5\")]";
    assert_eq!(Channel::hl7().script(code).text(ORU), r#"["12345678","","1850312075123","JEAN DUPONT"]"#);
}

#[test]
fn numbers_keep_their_digits_into_json_and_back() {
    let body = r#"{"a":1.50,"b":12345678901234567890,"c":-0.10,"d":1234567890123456789012345678901234567890.5,"e":0.000}"#;
    assert_eq!(Channel::json().script("msg.z = 1; msg").text(body), body.replace('}', r#","z":1}"#));
    assert_eq!(
        Channel::json().script("#{sum: msg.a + 1, b: msg.b, d: msg.d}").text(body),
        r#"{"b":12345678901234567890,"d":1234567890123456789012345678901234567890.5,"sum":2.50}"#
    );
    let channel =
        Channel::hl7().script("#{value: number(msg[\"OBX[2]-5\"]), text: msg[\"OBX[2]-5\"], sum: 0.1 + 0.2}");
    assert_eq!(channel.text(ORU), r#"{"sum":0.3,"text":"4.20","value":4.20}"#);
    assert_eq!(
        Channel::json().script("msg[\"PID\"] = parse_json(msg.to_string()).a; msg.PID").faults(),
        [""; 0]
    );
}

#[test]
fn members_that_were_there_keep_their_order() {
    let channel = Channel::json().script("msg.name[0].family = \"MARTIN\"; msg.active = true;");
    assert_eq!(
        channel.text(r#"{"z":1,"name":[{"use":"official","family":"DUPONT"}],"a":2}"#),
        r#"{"z":1,"name":[{"use":"official","family":"MARTIN"}],"a":2,"active":true}"#
    );
}

#[test]
fn a_json_message_does_what_a_map_does() {
    let code = "if !msg.has(\"name[0].family\") || msg.has(\"name[1]\") { throw \"has\" }
        if !(\"id\" in msg) || msg.len() != 5 || msg.keys()[0] != \"big\" { throw \"map\" }
        msg.name.push(#{family: \"MARTIN\"}); msg[\"name[1].given[0]\"] = \"LEA\"; msg.remove(\"big\");
        for one in msg.name { if one.family == \"\" { throw \"name\" } }
        let copy = msg.copy(); copy.id = \"p2\"; msg.self_id = copy.id; msg.nested = #{whole: msg};
        #{names: msg.name, first: msg[\"name[0].family\"], id: msg.id, absent: msg.nobody, deep: msg.nested.whole.id}";
    assert_eq!(
        Channel::json().script(code).text(JSON),
        r#"{"id":"p1","absent":null,"deep":"p1","first":"DUPONT","names":[{"family":"DUPONT"},{"family":"MARTIN","given":["LEA"]}]}"#
    );
}

#[test]
fn a_character_that_the_charset_lacks_fails_the_step_that_wrote_it() {
    let latin: Vec<u8> = ORU.replace("DUPONT", "H\u{e9}l\u{e8}ne").chars().map(|c| c as u8).collect();
    let channel = Channel::hl7().charset("windows-1252").script("msg[\"PID-8\"] = \"é\";").set("PID-8", "ł");
    let (step, why, _) = failed(channel.run(latin.clone()).unwrap_err());
    assert_eq!(step, "step 2 (set)");
    assert!(why.contains("windows-1252"), "{why}");
    let channel = Channel::hl7().charset("windows-1252").script("msg[\"PID-8\"] = \"é\";");
    let body = channel.run(latin).unwrap().remove(0).body;
    assert!(body.bytes().unwrap().windows(3).any(|bytes| bytes == [b'|', 0xe9, b'\r']));
}

#[test]
fn a_message_whose_msh_18_is_changed_leaves_in_that_charset() {
    let latin: Vec<u8> = ORU.replace("DUPONT", "H\u{e9}l").chars().map(|c| c as u8).collect();
    let channel = Channel::hl7().charset("windows-1252").set("MSH-18", "UNICODE UTF-8");
    assert!(channel::text(&channel.run(latin).unwrap()[0].body).contains("Hél"));
}

#[test]
fn the_context_and_the_source_are_seen_and_recorded() {
    let code =
        "#{now: ctx.now(), id: ctx.id().len(), channel: ctx.channel, name: source.name, none: source.peer,
        ward: table(\"wards\", \"code\", \"CAR\", \"name\")}";
    let program = Channel::hl7().script(code).program();
    let context = channel::context();
    let pieces = engine::Script::transform(&program, &channel::message(ORU.to_owned()), &context).unwrap();
    assert_eq!(
        channel::text(&pieces[0].body),
        r#"{"channel":"lab-results","id":32,"name":"a.hl7","none":null,"now":"2026-03-01T08:00:00+01:00","ward":"Cardiologie"}"#
    );
    let recorded = context.recorded();
    assert_eq!(recorded.as_array().unwrap().len(), 3);
    assert_eq!(recorded[2]["row"]["table"], "wards");
}

/// What a lookup in a table with days and senders says; the clock stands at 2026-03-01 08:00 in Paris.
fn looked_up(keys: &str) -> (String, serde_json::Value) {
    let tests = "# source: the laboratory\n# version: 2026-02\n\
        ours,loinc,sender,valid_from,valid_to\n\
        K,old,,,2026-02-28\nK,new,,2026-03-01,\nK,theirs,LAB,2026-02-01,\n";
    let code = format!("#{{v: table(\"tests\", #{{ours: \"K\", {keys}}}, \"loinc\", \"none\")}}");
    let program = Channel::hl7().with_file("tables/tests.csv", tests).script(&code).program();
    let context = channel::context();
    let pieces = engine::Script::transform(&program, &channel::message(ORU.to_owned()), &context)
        .expect("the lookup comes to a value");
    (channel::text(&pieces[0].body), context.recorded())
}

#[test]
fn a_row_is_chosen_by_its_day_and_its_sender_and_both_are_recorded() {
    let value = |keys: &str| looked_up(keys).0;
    assert_eq!(value("sender: \"\""), r#"{"v":"new"}"#);
    assert_eq!(value("sender: \"OTHER\", valid_at: \"20260228235959\""), r#"{"v":"old"}"#);
    // In Paris it is March already.
    assert_eq!(value("sender: \"\", valid_at: \"20260228235959+0000\""), r#"{"v":"new"}"#);
    assert_eq!(value("sender: msg[\"MSH-3\"], valid_at: msg[\"OBR-7\"]"), r#"{"v":"theirs"}"#);
    assert_eq!(value("sender: msg[\"MSH-3\"], valid_at: ctx.now()"), r#"{"v":"theirs"}"#);
    let (_, recorded) = looked_up("sender: msg[\"MSH-3\"]");
    assert!(recorded[0]["now"].is_number(), "{recorded}");
    assert_eq!(
        recorded[1]["row"],
        serde_json::json!({
            "table": "tests", "source": "the laboratory", "version": "2026-02", "key": "K",
            "sender": "LAB", "wanted": "loinc", "value": "theirs"
        })
    );
}

#[test]
fn a_day_that_is_none_fails_the_step() {
    for day in ["\"yesterday\"", "\"202603\""] {
        let table = "ours,loinc,valid_to\nK,old,2026-02-28\n";
        let code = format!("table(\"tests\", #{{ours: \"K\", valid_at: {day}}}, \"loinc\"); msg");
        let halt = Channel::hl7()
            .with_file("tables/tests.csv", table)
            .script(&code)
            .run(ORU.to_owned())
            .unwrap_err();
        assert!(failed(halt).1.contains("`valid_at` is "));
    }
}

#[test]
fn a_step_that_asks_nothing_leaves_no_record() {
    let program = Channel::hl7().script("msg[\"PID-8\"] = \"F\";").program();
    let context = channel::context();
    engine::Script::transform(&program, &channel::message(ORU.to_owned()), &context).unwrap();
    assert!(context.is_untouched());
}

#[test]
fn one_program_runs_on_several_messages_at_once() {
    let program = Channel::hl7().step(script("msg[\"PID-8\"] = msg[\"PID-3.1\"];")).program();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let program = &program;
            scope.spawn(move || {
                for m in 0..50 {
                    let id = format!("{n}-{m}");
                    let body = ORU.replace("12345678^", &format!("{id}^"));
                    let message = channel::message(body);
                    let pieces = engine::Script::transform(program, &message, &channel::context()).unwrap();
                    assert!(channel::text(&pieces[0].body).contains(&format!("19850312|{id}\r")));
                }
            });
        }
    });
}

#[test]
fn a_last_expression_is_the_value_with_a_semicolon_and_without_as_rhai_has_it() {
    assert_eq!(Channel::hl7().script("let made = #{a: 1}; made;").text(ORU), r#"{"a":1}"#);
    assert_eq!(Channel::hl7().script("msg.append(\"NTE|1\");").text(ORU), format!("{ORU}NTE|1\r"));
    assert_eq!(Channel::hl7().script("for obx in msg.segments(\"OBX\") { obx[\"11\"]; }").text(ORU), ORU);
}
