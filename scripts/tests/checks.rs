//! What is found before a message comes: all of it at once, each at its place.

mod channel;

use channel::{Channel, Project, at, outlet, script, told};
use scripts::{At, CODES, Fault, Library, StepFile};

#[test]
fn a_literal_path_that_cannot_be_one_is_told_with_line_and_column() {
    let code = "let a = msg[\"PID-5.1\"];\nif msg.has(\"PID-0\") { msg[\"PIDX-5\"] = msg.part(\"5\").to_string(); }\nmsg.insert(\"PV1\", \"PID\"); msg.groups(\"obr\");";
    let faults = Channel::hl7().script(code).faults();
    let places: Vec<&str> = faults.iter().map(|fault| &fault[..=fault.find("}: ").unwrap()]).collect();
    assert_eq!(
        places,
        [
            "not-a-path steps.0.script Inside { line: 2, column: 12 }",
            "not-a-path steps.0.script Inside { line: 2, column: 27 }",
            "not-a-path steps.0.script Inside { line: 2, column: 48 }",
            "not-a-path steps.0.script Inside { line: 3, column: 38 }",
        ]
    );
}

#[test]
fn a_path_is_looked_at_inside_functions_chains_and_templates() {
    let found = |channel: Channel| channel.faults().len();
    assert_eq!(found(Channel::hl7().script("fn f(msg) { msg[\"X\"].len() } f(msg);")), 1);
    assert_eq!(found(Channel::hl7().set("PID-5", "a ${msg[\"PID5\"]} b")), 1);
    assert_eq!(found(Channel::hl7().filter("refuse(\"x\", \"PID5\"); true")), 1);
    assert_eq!(found(Channel::hl7().filter("msg.PID == 1")), 1);
    assert_eq!(found(Channel::hl7().filter("[\"PID5\"][0] == msg[`PID-${1}`]")), 0);
}

#[test]
fn behind_a_script_that_makes_json_paths_are_no_longer_hl7() {
    assert_eq!(Channel::hl7().script("#{a: 1}").filter("msg[\"a\"] == 1").require(&["a"]).faults(), [""; 0]);
    let channel = Channel::hl7().script("msg[\"PID-8\"] = \"F\"; msg").filter("msg[\"a\"] == 1");
    assert_eq!(channel.faults().len(), 1);
}

#[test]
fn a_condition_that_assigns_is_told() {
    let faults = Channel::hl7().filter("msg[\"MSH-9.1\"] = \"ORU\"").faults();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("script-syntax steps.0.filter"), "{faults:?}");
    assert_eq!(Channel::hl7().filter("let kind = \"ORU\"; msg[\"MSH-9.1\"] == kind").faults(), [""; 0]);
}

#[test]
fn paths_of_require_and_set_are_told_at_their_keys() {
    let faults = Channel::hl7().require(&["PID-3", "PID-"]).set("PIDX", "x").faults();
    let places: Vec<&str> = faults.iter().map(|fault| fault.split(" Value").next().unwrap()).collect();
    assert_eq!(places, ["not-a-path steps.0.require.1", "not-a-path steps.1.set.PIDX"]);
    assert_eq!(Channel::json().require(&["name[x]"]).faults().len(), 1);
    let faults = Channel::new(scripts::Format::Text).set("PID-8", "x").faults();
    assert!(faults[0].starts_with("no-paths-here steps.0.set.PID-8"), "{faults:?}");
}

#[test]
fn a_table_or_column_that_does_not_exist_is_told() {
    let code =
        "table(\"ward\", \"code\", \"X\", \"name\");\ntable(\"wards\", \"cod\", \"X\", \"nam\", \"?\");";
    let faults = Channel::hl7().script(code).faults();
    assert_eq!(
        faults,
        [
            "unknown-table steps.0.script Inside { line: 1, column: 7 }: there is no table `ward`: it would be `tables/ward.csv` or `tables/ward.yaml`",
            "unknown-column steps.0.script Inside { line: 2, column: 16 }: the table `wards` has no column `cod`",
            "unknown-column steps.0.script Inside { line: 2, column: 28 }: the table `wards` has no column `nam`",
        ]
    );
}

#[test]
fn unknown_functions_and_variables_are_told_with_what_was_meant() {
    let fault = |code: &str| match Channel::hl7().script(code).compile() {
        Err(faults) => match &faults[..] {
            [Fault::Channel(one)] => (one.code, one.message.clone(), one.help.clone().unwrap_or_default()),
            other => panic!("{code}: {other:?}"),
        },
        Ok(_) => panic!("{code} compiles"),
    };
    let told = |code: &str| fault(code).1;
    assert_eq!(told("mgs[\"PID-5\"]"), "there is no variable `mgs`");
    assert_eq!(fault("mgs[\"PID-5\"]").2, "did you mean `msg`?");
    assert_eq!(told("pad_lefd(\"x\", 1, \"0\")"), "there is no function `pad_lefd`");
    assert_eq!(fault("pad_lefd(\"x\", 1, \"0\")").2, "did you mean `pad_left`?");
    assert_eq!(told("pad_left(\"x\", 1)"), "no function `pad_left` takes 2 arguments");
    assert_eq!(told("fn two(a) { a } two(1, 2)"), "no function `two` takes 2 arguments");
    assert_eq!(told("msg.segmets(\"OBX\")"), "there is no function `segmets`");
    assert_eq!(told("sent()"), "`sent` is for `on_response` alone");
    assert_eq!(told("out"), "there is no variable `out`");
    assert_eq!(told("let name = ctx.message; name"), "`ctx` has no `message`");
    assert!(fault("ctx.mesage").2.contains("`ctx.channel`"));
    assert_eq!(told("responses[\"x\"]"), "there is no variable `responses`");
    assert_eq!(told("hl7::x()"), "nothing is imported as `hl7`");
    assert_eq!(told("import \"relais/hl\" as h; h::x()"), "there is no script `relais/hl`");
    assert_eq!(
        told("import \"relais/hl7\" as h; h::x(1)"),
        "`relais/hl7` has no function `x` of one argument"
    );
    assert_eq!(fault("let x = ;").0, "script-syntax");
}

#[test]
fn what_rhai_can_call_is_not_told() {
    for code in [
        "let f = |x| x + 1; f.call(1); [1, 2].map(|x| x * 2).filter(|x| x > 2); msg",
        "let m = #{twice: |x| x * 2}; m.twice(2); m.other = |x| x; m.other(1); msg",
        "fn shout(t) { this.to_upper() + t } \"x\".shout(\"y\"); type_of(msg); is_def_var(\"x\"); msg",
        "let s = \"a,b\"; s.split(\",\").len(); s[0..1]; s.index_of(\"b\"); s.to_upper().contains(\"A\"); msg",
        "switch msg[\"MSH-9.1\"] { \"ORU\" => msg, \"ADT\" => { filter(\"no\") } _ => refuse(\"no\") }",
        "for (obx, n) in msg.segments(\"OBX\") { obx[\"1\"] = n + 1; obx.name; } let x = source?.name ?? \"\"; msg",
        "fn name(ctx) { ctx.message } name(#{message: ctx.channel + ctx.id()}); msg",
        "let curried = Fn(\"pad_left\").curry(\"x\"); curried.call(3, \"0\"); const A = [1]; A.len(); msg",
    ] {
        assert_eq!(Channel::hl7().script(code).faults(), [""; 0], "{code}");
    }
}

#[test]
fn a_broken_template_is_told() {
    let faults = Channel::hl7().set("PID-5", "ab ${msg[\"PID-5\"]").set("PID-6", "${ }").faults();
    assert_eq!(
        faults,
        [
            "template-broken steps.0.set.PID-5 Inside { line: 1, column: 4 }: `${` has no `}`",
            "script-syntax steps.1.set.PID-6 Value: there is no code here",
        ]
    );
}

#[test]
fn every_fault_of_a_channel_is_told_at_once() {
    let mut out = outlet("record");
    out.when = Some(at("destinations.0.when", "nobody == 1"));
    out.texts = vec![("name".to_owned(), at("destinations.0.to.file.name", "${ctx.idd()}.hl7"))];
    out.key = vec![at("destinations.0.order.key", "PID 3")];
    out.after = Some("archive".to_owned());
    out.steps =
        vec![At::new(engine::Path::parse("destinations.0.steps.0"), script("responses[\"archiv\"]; ()"))];
    out.on_response = vec![At::new(
        engine::Path::parse("destinations.0.on_response.0"),
        StepFile::Filter("true".to_owned()),
    )];
    let mut channel = Channel::hl7().filter("x").set("PID-5", "${y}").outlet(out).outlet(outlet("archive"));
    channel = channel.charset("latin-99").script("scripts/nowhere.rhai").script("relais/nothing");
    channel.file.reply = Some(at("reply.script", "ende"));
    channel.file.index = vec![("accession".to_owned(), at("index.accession", "OBR3"))];
    let faults = channel.faults();
    let mut codes: Vec<&str> = faults.iter().map(|fault| fault.split(' ').next().unwrap()).collect();
    codes.sort_unstable();
    assert_eq!(
        codes,
        [
            "not-a-path",
            "step-not-here",
            "unknown-charset",
            "unknown-destination",
            "unknown-function",
            "unknown-script",
            "unknown-script",
            "unknown-variable",
            "unknown-variable",
            "unknown-variable",
            "unknown-variable",
            "unknown-variable",
        ],
        "{faults:#?}"
    );
    assert!(codes.iter().all(|code| CODES.contains(code)));
}

#[test]
fn a_split_belongs_to_the_channel() {
    let mut out = outlet("record");
    let split = scripts::SplitFile { code: "[msg]".to_owned(), each: false, keep_control_id: false };
    out.steps = vec![At::new(engine::Path::parse("destinations.0.steps.0"), StepFile::Split(split))];
    assert!(Channel::hl7().outlet(out).faults()[0].starts_with("step-not-here destinations.0.steps.0.split"));
}

#[test]
fn faults_of_files_are_told_once_by_the_library_and_again_as_what_breaks_the_channel() {
    let project = Project::new()
        .file("scripts/clean.rhai", "let x = 1;\nmsg.nothing(x);\n")
        .file("scripts/deep/other.rhai", "let y = ;")
        .file("tables/bad.csv", "a,b\n1\n");
    let (_, faults) = Library::load(project.root());
    let faults: Vec<String> = faults.into_iter().map(|fault| told(&Fault::File(fault))).collect();
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(faults[0].starts_with("table-broken tables/bad.csv:2:1"), "{faults:?}");
    assert!(faults[1].starts_with("unknown-function scripts/clean.rhai:2:5"), "{faults:?}");
    assert!(faults[2].starts_with("script-syntax scripts/deep/other.rhai:1:9"), "{faults:?}");

    let (library, _) = Library::load(project.root());
    let channel = Channel::hl7().script("scripts/clean.rhai").script("import \"deep/other\" as o; msg");
    let told: Vec<String> =
        scripts::compile(channel.file, &library, channel.limits).err().unwrap().iter().map(told).collect();
    assert_eq!(
        told,
        [
            "script-broken steps.0.script Value: `scripts/clean.rhai` does not compile",
            "script-broken steps.1.script Value: `scripts/deep/other.rhai` does not compile",
        ]
    );
}

#[test]
fn lookups_that_do_not_fit_their_table_are_told_with_the_place() {
    let code = "table(\"tests\", \"ours\", \"K\", \"loinc\");
table(\"tests\", #{ours: \"K\", sender: \"\", valid_at: ctx.now()}, \"loinc\");
table(\"wards\", #{cod: msg[\"PV1-3\"], valid_at: ctx.now()}, \"nam\");
table(\"tests\", #{sender: \"A\", valid_to: \"2026\"}, \"loinc\");
table(\"bad\", #{sender: \"A\"}, \"loinc\");
let by = #{ours: \"K\"};
table(\"tests\", by, \"loin\"); table(\"tests\", by, \"loinc\", \"unknown\");
table(\"wards\", \"code\", \"name\");";
    let channel = Channel::hl7()
        .with_file("tables/tests.csv", "ours,loinc,sender,valid_from\nK,2823-3,A,2026-01-01\n")
        .with_file("tables/bad.csv", "ours,ours\n")
        .script(code);
    let (library, _) = Library::load(channel.project.root());
    let faults = scripts::compile(channel.file, &library, channel.limits).err().unwrap();
    let told: Vec<String> = faults.iter().map(told).collect();
    let place = |code: &str, line: u32, column: u32, words: &str| {
        format!("{code} steps.0.script Inside {{ line: {line}, column: {column} }}: {words}")
    };
    assert_eq!(
        told,
        [
            place(
                "sender-missing",
                1,
                16,
                "the table `tests` has rows for one sender, and this lookup does not say whose"
            ),
            place("unknown-column", 3, 18, "the table `wards` has no column `cod`"),
            place(
                "unknown-column",
                3,
                37,
                "the table `wards` has no days: neither `valid_from` nor `valid_to`"
            ),
            place("unknown-column", 3, 59, "the table `wards` has no column `nam`"),
            place("unknown-column", 4, 16, "a day is asked by `valid_at`"),
            place("unknown-column", 4, 16, "a lookup names a column and what it holds"),
            place("table-broken", 5, 7, "the table `bad` has faults, and cannot be used"),
            place("unknown-column", 7, 20, "the table `tests` has no column `loin`"),
            place(
                "unknown-function",
                8,
                16,
                "with three arguments, `table` takes a map: `table(\"wards\", #{ code: x }, \"name\")`"
            ),
        ]
    );
}

#[test]
fn a_path_in_a_script_file_is_told_in_that_file() {
    let channel = Channel::hl7().with_file("scripts/a.rhai", "\n msg[\"PID5\"]").script("scripts/a.rhai");
    assert!(channel.faults()[0].starts_with("not-a-path scripts/a.rhai:2:6"), "{:?}", channel.faults());
}

#[test]
fn scripts_that_import_each_other_are_told() {
    let channel = Channel::hl7()
        .with_file("scripts/a.rhai", "import \"b\" as b; fn f(m) { b::g(m) }")
        .with_file("scripts/b.rhai", "import \"a\" as a; fn g(m) { a::f(m) }")
        .script("import \"a\" as a; a::f(msg);");
    let faults = channel.faults();
    assert!(faults[0].contains("imports itself"), "{faults:?}");
}

#[test]
fn the_version_text_holds_the_scripts_and_tables_that_are_used_and_no_others() {
    let channel = Channel::hl7()
        .with_file("scripts/a.rhai", "fn f(m) { table(\"wards\", \"code\", m, \"name\") }")
        .with_file("scripts/b.rhai", "// never used")
        .with_file("tables/other.csv", "a\n1\n")
        .script("import \"a\" as a; a::f(\"CAR\"); msg");
    let library = channel.project.library();
    let text = library.version_text(channel.program().uses());
    assert!(text.contains("# scripts/a.rhai") && text.contains("Cardiologie"), "{text}");
    assert!(!text.contains("never used") && !text.contains("other"), "{text}");
}

#[test]
fn any_text_is_answered_without_a_panic() {
    let pieces = [
        "${",
        "}",
        "msg[\"",
        "\"]",
        "`",
        "'",
        "fn f(",
        ")",
        "|x|",
        "#{",
        "é",
        "\\",
        "/*",
        "//",
        "\n",
        "1..",
        "::",
        "import \"",
        "relais/",
        ".rhai",
    ];
    let mut seed = 7_usize;
    for _ in 0..300 {
        let mut text = String::new();
        for _ in 0..6 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(seed >> 33) % pieces.len()]);
        }
        let _ = scripts::is_template(&text);
        let channel = Channel::hl7().filter(&text).set("PID-5", &text).script(&text).require(&[&text]);
        let (library, _) = library();
        let _ = scripts::compile(channel.file, library, channel.limits);
    }
}

/// One library for many channels: loading it takes longer than compiling them.
fn library() -> &'static (Library, Project) {
    static LIBRARY: std::sync::OnceLock<(Library, Project)> = std::sync::OnceLock::new();
    LIBRARY.get_or_init(|| {
        let project = Project::new();
        (project.library(), project)
    })
}
