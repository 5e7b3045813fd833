//! No script ends the process: each bomb goes off in a process of its own, and ends there as an error or a value.

#![allow(clippy::unwrap_used, reason = "it is all test code")]

mod channel;

use std::{process::Command, thread, time::Instant};

use channel::{Channel, JSON, ORU};
use engine::Script;

/// As much as the server's threads have.
const STACK: usize = 100 << 20;

/// More memory than this, in kilobytes, no script takes.
const MOST_MEMORY: usize = 3_000_000;

/// Runs in the child alone: the bomb that the environment names.
#[test]
fn child() {
    let Ok(code) = std::env::var("BOMB") else { return };
    let run = move || {
        let (channel, body) = match code.strip_prefix("json: ") {
            Some(code) => (Channel::json().script(code), JSON),
            None => (Channel::hl7().script(&code), ORU),
        };
        match channel.compile() {
            Err(faults) => println!("told: {}", channel::told(&faults[0])),
            Ok(program) => {
                let begun = Instant::now();
                let ended = program.transform(&channel::message(body.to_owned()), &channel::context());
                let seconds = begun.elapsed().as_secs_f32();
                let ended = format!("{:?}", ended.map(|pieces| pieces.len()));
                println!("ended: {} after {seconds:.1} s", ended.chars().take(200).collect::<String>());
            }
        }
    };
    thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().unwrap();
}

/// What became of a script in a process of its own.
fn burst(code: &str) -> String {
    let limits = format!("ulimit -v {MOST_MEMORY}; ulimit -t 60; exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &limits, std::env::current_exe().unwrap().to_str().unwrap()])
        .args(["--exact", "child", "--nocapture"])
        .env("BOMB", code)
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let said =
        shown.lines().find_map(|line| line.find("told: ").or(line.find("ended: ")).map(|at| &line[at..]));
    let brief: String = code.chars().take(200).collect();
    match said {
        Some(said) if output.status.success() => said.to_owned(),
        _ => format!("DEAD {:?} of `{brief}`: {}", output.status, String::from_utf8_lossy(&output.stderr)),
    }
}

fn assert_each(codes: &[&str], expected: &[&str]) {
    for code in codes {
        let became = burst(code);
        assert!(expected.iter().any(|one| became.contains(one)), "{code}: {became}");
    }
}

#[test]
fn a_chain_of_functions_is_told_before_it_can_run() {
    assert_each(
        &[
            "let f = || 1; loop { let g = f; f = || g.call(); }",
            "let a = []; loop { let b = a; a = [|| b]; }",
            "let m = #{}; loop { let b = m; m = #{a: || b}; }",
            "let a = []; loop { let b = a; a.push(|| b); }",
            "let f = |x| x; loop { f = f.curry(f); }",
            "let f = |x| x; loop { f = curry(f, f); }",
            "let f = |x| x; let m = #{}; loop { m.f = f.curry(m); }",
            "let m = #{f: |x| x}; loop { m = #{f: m.f.curry(m)}; }",
            "let m = [|x| x]; loop { m = [m[0].curry(m)]; }",
            "fn itself() { this } let f = |x| x; let c = 1; let m = [f.curry(c).itself()];",
            "let s = |v| 1; loop { let c = (); let f = || c; let t = |v| { c = v; }; s.call(f); s = t; }",
            "let a = []; let f = || a; a.push(f);",
            "let a = []; let f = || a; a = [f];",
            "let m = #{filter: |f| f}; let c = 1; let g = m.filter(|| c);",
            "let m = #{}; m[\"filter\"] = |f| f; let c = 1; let g = m.filter(|| c);",
            "let m = #{again: |f| f}; fn again(f) { 1 } let c = 1; let g = m.again(|| c);",
            "import \"relais/hl7\" as hl7; let m = #{f: |x| x};",
            "let f = |x| x; let m = #{f: f};",
            "fn again(f) { f } let c = 1; let g = again(|| c);",
            "fn again(f) { let g = f; g } let c = 1; let g = again(|| c);",
            "let c = 1; let g = [1].reduce(|all, x| all, || c);",
            "let c = 1; let l = [1, 2].map(|x| || c);",
            "let c = 1; let f = |x| x; let g = curry(f, c); curry(g, c)",
            "let c = 1; || c",
            "let c = 1; return || c;",
            "let c = 1; throw || c;",
            "let c = 1; if msg.has(\"PID\") { || c } else { || c }",
            "const F = |x| x; fn g() { [global::F] } g();",
        ],
        &["told: kept-function"],
    );
}

#[test]
fn functions_that_hold_functions_are_no_deeper_than_the_text_and_the_calls() {
    assert_each(
        &[
            "let g = || 1; let n = 0; while n < 300000 { let g = || g.call(); n += 1; }",
            "let c = [1]; let f = |x| { c.push(x); c = [c]; c }; for i in 0..40 { let d = f.call(i); }",
        ],
        &["ended: Ok(1)"],
    );
    assert_each(&["fn again(f) { again(|| f.call()) } again(|| 1);"], &["Stack overflow"]);
}

#[test]
fn lists_within_lists_end_wherever_they_are_taken() {
    let literal = format!("{}x{}", "[".repeat(140), "]".repeat(140));
    assert_each(
        &[&format!("fn deeper(x) {{ {literal} }} let l = []; loop {{ l = deeper(l); }}")],
        &["it took too long", "too large"],
    );
    for use_of_it in [
        "l.to_string()",
        "l.to_debug()",
        "`${l}`",
        "#{a: l}.to_string()",
        "l == l",
        "#{a: l} == #{a: l}",
        "[l].contains(l)",
        "throw l",
        "switch l { 1 => 2, _ => 3 }",
        "l",
        "let k = [l, l]; k.dedup(); k.len()",
    ] {
        for start in
            ["let l = []; for i in 0..2000 { l = [l]; }", "let l = #{}; for i in 0..2000 { l = #{a: l}; }"]
        {
            assert_each(&[&format!("{start} {use_of_it}")], &["ended: Err", "ended: Ok"]);
        }
    }
}

#[test]
fn a_document_does_not_grow_without_end() {
    assert_each(
        &[
            "json: loop { msg.a = msg; }",
            "json: loop { msg.a = msg; msg.b = msg; }",
            "json: loop { msg.name.push(msg); }",
            "json: let n = 0; loop { msg[`k${n}`] = n; n += 1; }",
            "json: let s = \"x\".pad_left(15000000, \"y\"); let n = 0; loop { msg[`k${n}`] = s + n; n += 1; }",
        ],
        &["too large", "deeper than 128", "it took too"],
    );
}

#[test]
fn no_more_pieces_of_a_text_are_made_than_a_list_may_have() {
    for cut in [
        "s.split(\",\")",
        "s.split(',')",
        "s.split(\",\", 9000000000)",
        "s.split_rev(',')",
        "s.to_chars()",
        "s.find_all(\",\")",
        "lines(s.replace(\",\", \"\\n\"))",
        "parse_json(\"[\" + s.replace(\",\", \"1,\") + \"1]\")",
    ] {
        let code = format!("let s = \"\".pad_left(15000000, \",\"); s += s; {cut};");
        assert_each(&[&code], &["too large"]);
    }
}

#[test]
fn what_is_slow_at_each_operation_ends_soon_after_its_time() {
    let texts: Vec<String> =
        (0..300).map(|n| format!("let t{n} = \"\".pad_left(16000000, \"ab{n}\");")).collect();
    let texts = texts.concat();
    assert_each(
        &[
            &texts,
            "let l = []; l.pad(100000, 1); loop { l.sort(|a, b| if a.to_string() > \"0\" { 1 } else { -1 }); }",
            "let n = 0; loop { \"a\".matches(\"[a-z]{1,400}\\\\pL{10}\" + n); n += 1; }",
        ],
        &["it took too long"],
    );
}

#[test]
fn numbers_and_times_without_measure_end() {
    assert_each(
        &[
            "let x = 2; x **= 9223372036854775807;",
            "let d = parse_decimal(\"1.00000001\"); loop { d = d ** 100000.5; }",
            "let d = parse_decimal(\"7922816251426433759354395033\"); loop { d.exp(); }",
            "time(\"20260301\").add(9223372036854775807, \"seconds\")",
            "time(\"99991231235959\").add(1, \"years\")",
            "time(\"2026\").format(\"%9999999999d\")",
            "parse_json(\"\".pad_left(10000000, \"[\"))",
            "fn a() { b() } fn b() { a() } a()",
        ],
        &["ended: Err"],
    );
}

#[test]
fn functions_leave_nothing_behind() {
    let code = "const SHOWN = |x| x + 1; fn shown(x) { global::SHOWN.call(x) } let all = [1, 2, 3]; \
                let number = 3; let sum = || number; let twice = || sum.call() + sum.call(); \
                all.filter(|x| x == twice.call()); shown(1); ()";
    let program = Channel::hl7().script(code).program();
    let run = || {
        let ended = program.transform(&channel::message(ORU.to_owned()), &channel::context());
        assert!(ended.is_ok(), "{ended:?}");
    };
    (0..500).for_each(|_| run());
    let before = resident();
    (0..5_000).for_each(|_| run());
    let grown = resident().saturating_sub(before);
    assert!(grown < 4_000, "{grown} kB more");
}

/// Kilobytes of memory that this process has.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
