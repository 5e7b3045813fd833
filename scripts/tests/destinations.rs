//! What each destination gets: `when`, its own steps, texts, keys, what it waits for, and what came back.

mod channel;

use std::collections::BTreeMap;

use channel::{Channel, JSON, ORU, at, context, failed, message, outlet, script, text};
use engine::{Answered, CameBack, Content, Ended, Halt, Judged, Piece, Response, Route, Script, SendError};
use scripts::{At, OutletFile, StepFile};

fn step(step: StepFile) -> At<StepFile> {
    At::new(engine::Path::parse("destinations.0.steps.0"), step)
}

fn keyed(keys: &[&str]) -> OutletFile {
    let key = keys.iter().map(|key| at("destinations.0.order.key", key)).collect();
    OutletFile { key, ..outlet("record") }
}

fn keys(outlet: OutletFile, body: &str) -> Vec<String> {
    Channel::hl7().outlet(outlet).leaving(body).keys
}

#[test]
fn a_destination_whose_when_is_false_is_left_out() {
    let when = |code: &str| OutletFile { when: Some(at("destinations.0.when", code)), ..outlet("record") };
    let route = |code: &str| Channel::hl7().outlet(when(code)).route(ORU, 0);
    assert!(matches!(route("msg[\"OBR-25\"] == \"P\""), Ok(Route::Left)));
    assert!(matches!(route("msg[\"OBR-25\"] != \"P\""), Ok(Route::Goes(_))));
    let (step, why, place) = failed(route("throw \"x\"").unwrap_err());
    assert_eq!(
        (step.as_str(), why.as_str(), place.as_deref()),
        ("record: when", "x", Some("destinations.0.when:1:1"))
    );
}

#[test]
fn without_steps_the_message_itself_leaves() {
    let leaving = Channel::hl7().outlet(outlet("record")).leaving(ORU);
    assert_eq!((leaving.body, leaving.texts.len(), leaving.keys.len()), (None, 0, 0));
}

#[test]
fn own_steps_change_what_leaves_and_nothing_else() {
    let mut first = outlet("record");
    first.steps = vec![step(script("msg[\"PID-8\"] = \"F\";"))];
    let channel = Channel::hl7().outlet(first).outlet(outlet("archive"));
    let program = channel.program();
    let context = context();
    let pieces = program.transform(&message(ORU.to_owned()), &context).unwrap();
    let Route::Goes(leaving) = program.route(&pieces[0], 0, &context).unwrap() else { panic!() };
    assert_eq!(text(&leaving.body.unwrap()), ORU.replace("19850312|M", "19850312|F"));
    let Route::Goes(leaving) = program.route(&pieces[0], 1, &context).unwrap() else { panic!() };
    assert_eq!(leaving.body, None);
}

#[test]
fn own_steps_may_filter_and_refuse() {
    let with = |code: &str| {
        let mut one = outlet("record");
        one.steps = vec![step(script(code))];
        Channel::hl7().outlet(one).route(ORU, 0)
    };
    assert!(matches!(with("filter(\"no\")"), Ok(Route::Filtered)));
    assert!(matches!(with("refuse(\"no\")"), Err(Halt::Refused { .. })));
    assert_eq!(failed(with("throw \"no\"").unwrap_err()).0, "record: step 1 (script)");
}

#[test]
fn texts_read_msg_out_source_and_ctx() {
    let mut one = outlet("record");
    one.steps = vec![step(script("#{id: \"p9\"}"))];
    one.texts = vec![
        ("name".to_owned(), at("destinations.0.to.file.name", "${msg[\"MSH-10\"]}-${out.id}.json")),
        ("dir".to_owned(), at("destinations.0.to.file.dir", "${source.name}/${ctx.channel}/$${x}")),
    ];
    let leaving = Channel::hl7().outlet(one).leaving(ORU);
    assert_eq!(leaving.texts["name"], "MSG001-p9.json");
    assert_eq!(leaving.texts["dir"], "a.hl7/lab-results/${x}");
    assert_eq!(text(&leaving.body.unwrap()), r#"{"id":"p9"}"#);
}

#[test]
fn a_key_is_a_path_several_or_an_expression() {
    assert_eq!(keys(keyed(&["PID-3.1"]), ORU), ["12345678"]);
    assert_eq!(keys(keyed(&["PID-3.1", "PID-3.4"]), ORU), ["12345678\u{1f}HOP"]);
    assert_eq!(keys(keyed(&["msg[\"PID-3.1\"] + out[\"PID-8\"]"]), ORU), ["12345678M"]);
    assert_eq!(keys(keyed(&["[1, 2, 1]"]), ORU), ["1", "2"]);
    assert_eq!(keys(keyed(&["PID-19", "PID-18"]), ORU), [""]);
    let json = OutletFile { key: vec![at("key", "name[0].family")], ..outlet("record") };
    assert_eq!(Channel::json().outlet(json).leaving(JSON).keys, ["DUPONT"]);
}

#[test]
fn a_merge_and_a_second_patient_have_more_than_one_key() {
    let merge = ORU.replace("PV1|", "MRG|999^^^HOP^PI\rPV1|");
    assert_eq!(keys(keyed(&["PID-3.1", "PID-3.4"]), &merge), ["12345678\u{1f}HOP", "999\u{1f}HOP"]);
    assert_eq!(keys(keyed(&["PID-7"]), &merge), ["19850312"]);
    let two = format!("{ORU}PID|2||777^^^HOP\r");
    assert_eq!(keys(keyed(&["PID-3.1"]), &two), ["12345678", "777"]);
    assert_eq!(keys(keyed(&["PV1-19"]), &two), ["V42"]);
}

#[test]
fn one_that_waits_has_its_keys_now_and_its_steps_later() {
    let mut record = keyed(&["PID-3.1"]);
    record.after = Some("archive".to_owned());
    record.steps =
        vec![step(script("#{id: responses[\"archive\"].body, status: responses[\"archive\"].facts.status}"))];
    record.texts = vec![("name".to_owned(), at("name", "${responses[\"archive\"].body}-${out.id}"))];
    let channel = Channel::hl7().outlet(record).outlet(outlet("archive"));
    assert!(matches!(channel.route(ORU, 0), Ok(Route::Later(keys)) if keys == ["12345678"]));

    let program = channel.program();
    let mut context = context();
    let facts = serde_json::from_str(r#"{"status": 201}"#).unwrap();
    context.responses =
        BTreeMap::from([("archive".to_owned(), Answered { body: Some("A7".to_owned()), facts })]);
    let Route::Goes(leaving) =
        program.complete(&Piece::whole(&message(ORU.to_owned())), 0, &context).unwrap()
    else {
        panic!()
    };
    assert_eq!(text(&leaving.body.unwrap()), r#"{"id":"A7","status":201}"#);
    assert_eq!(leaving.texts["name"], "A7-A7");
    assert_eq!(context.recorded()[0]["response"]["destination"], "archive");
}

#[test]
fn a_response_that_never_came_is_nothing() {
    let mut record = outlet("record");
    record.after = Some("archive".to_owned());
    record.steps = vec![step(StepFile::Filter("responses[\"archive\"] == ()".to_owned()))];
    let program = Channel::hl7().outlet(record).outlet(outlet("archive")).program();
    let route = program.complete(&Piece::whole(&message(ORU.to_owned())), 0, &context());
    assert!(matches!(route, Ok(Route::Goes(_))));
}

#[test]
fn a_stored_piece_is_read_again_as_what_the_steps_made() {
    let mut record = outlet("record");
    record.after = Some("archive".to_owned());
    record.steps = vec![step(script("msg.a += 1; msg"))];
    let program = Channel::hl7().script("#{a: 1.50}").outlet(record).outlet(outlet("archive")).program();
    let piece = Piece { body: Content::from("{\"a\":1.50}"), ..Piece::whole(&message(ORU.to_owned())) };
    let Route::Goes(leaving) = program.complete(&piece, 0, &context()).unwrap() else { panic!() };
    assert_eq!(text(&leaving.body.unwrap()), r#"{"a":2.50}"#);
}

fn judge(code: &str, result: Result<&Response, &SendError>) -> Result<Option<Judged>, Halt> {
    let mut record = outlet("record");
    record.on_response = vec![At::new(engine::Path::parse("destinations.0.on_response.0"), script(code))];
    let program = Channel::hl7().outlet(record).program();
    let payload = Content::from(ORU.to_owned());
    program.judge(&CameBack { payload: &payload, result }, 0, &context())
}

#[test]
fn what_came_back_may_be_sent_retried_or_refused() {
    let facts = serde_json::from_str(r#"{"status": 200}"#).unwrap();
    let answered = Response { body: Some("{\"issue\":\"duplicate\"}".into()), facts };
    let code = "if response.outcome != \"sent\" || response.facts.status != 200 { throw \"response\" }
        let told = parse_json(response.body);
        if told.issue == \"busy\" { retry(\"busy\") } else if told.issue == \"duplicate\" { sent() }";
    assert_eq!(judge(code, Ok(&answered)), Ok(Some(Judged::Sent)));
    assert_eq!(judge("()", Ok(&answered)), Ok(None));
    assert_eq!(judge("retry(\"busy\")", Ok(&answered)), Ok(Some(Judged::Retry("busy".to_owned()))));
    let refused = SendError::Refused {
        why: "AE".to_owned(),
        code: Some("AE".to_owned()),
        response: Some("MSA|AE".into()),
    };
    let code = "if response.outcome == \"refused\" && response.code == \"AE\" && response.body == \"MSA|AE\" && msg[\"MSH-10\"] == \"MSG001\" { refuse(response.why) }";
    assert_eq!(judge(code, Err(&refused)), Ok(Some(Judged::Refused("AE".to_owned()))));
    assert!(matches!(judge("throw \"x\"", Ok(&answered)), Err(Halt::Failed { .. })));
}

#[test]
fn the_reply_s_script_sees_how_each_delivery_ended() {
    let mut channel = Channel::hl7().outlet(outlet("record"));
    channel.file.reply = Some(at(
        "reply.script",
        "`${msg[\"MSH-10\"]} ${ended[0].destination} ${ended[0].state} ${ended[0].response.body}`",
    ));
    let response = Response { body: Some("ok".into()), ..Response::default() };
    let ended = Ended { destination: "record".to_owned(), state: "sent", response: Some(response) };
    let reply = channel.program().reply(&message(ORU.to_owned()), &[ended], &context()).unwrap();
    assert_eq!(reply, "MSG001 record sent ok");
    channel.file.reply = Some(at("reply.script", "throw \"x\""));
    let halt = channel.program().reply(&message(ORU.to_owned()), &[], &context()).unwrap_err();
    assert_eq!(failed(halt).0, "the reply's script");
}
