//! A script at its bound fails its message, with its place, and nothing else.

mod channel;

use std::time::Duration;

use channel::{Channel, ORU, failed};
use scripts::Limits;

fn place_of(code: &str) -> (String, String) {
    let mut channel = Channel::hl7().script(code);
    channel.limits = Limits { operations: 300_000, time: Duration::from_secs(20) };
    let halt = channel.run(ORU.to_owned()).expect_err("it has no end");
    let (_, why, place) = failed(halt);
    (why, place.expect("code has a place"))
}

#[test]
fn an_endless_loop_ends() {
    let (why, place) = place_of("let x = 0;\nloop {\n  x += 1;\n}");
    assert_eq!(why, "it took too many operations");
    assert!(place.starts_with("steps.0.script:"), "{place}");
}

#[test]
fn the_clock_ends_what_operations_do_not() {
    let mut channel = Channel::hl7().script("loop { }");
    channel.limits = Limits { operations: u64::MAX, time: Duration::from_millis(50) };
    assert_eq!(failed(channel.run(ORU.to_owned()).unwrap_err()).1, "it took too long");
}

#[test]
fn recursion_without_end_ends() {
    let (why, _) = place_of("fn again(n) { again(n + 1) }\nagain(0);");
    assert_eq!(why, "Stack overflow");
}

#[test]
fn text_lists_and_maps_that_grow_without_end_end() {
    for code in [
        "let s = \"x\"; loop { s += s; }",
        "let s = \"x\"; s = s.pad_left(2000000000, \"y\");",
        "let s = \"xxxxxxxx\"; loop { s = s.replace(\"x\", s); }",
        "let l = [1]; loop { l += l; }",
        "let m = #{}; let n = 0; loop { m[`k${n}`] = n; n += 1; }",
        "let b = blob(10000000000, 0);",
        "let s = \"\"; s.pad(10000000000, 'x');",
        "let l = []; l.pad(10000000000, 1);",
        "let s = \"x\"; s = s.pad_left(30000000, \"y\"); loop { msg.append(\"NTE|\" + s); }",
        "msg[\"PID-5\"] = \"x\"; loop { msg[\"PID-5\"] = msg[\"PID-5\"] + msg[\"PID-5\"]; }",
    ] {
        place_of(code);
    }
}

#[test]
fn maps_in_maps_in_maps_end() {
    for code in [
        "let m = #{}; loop { m = #{a: m}; }",
        "let l = []; loop { l = [l]; }",
        "let m = #{}; loop { m.a = m; }",
    ] {
        let mut channel = Channel::hl7().script(code);
        channel.limits.time = Duration::from_millis(500);
        failed(channel.run(ORU.to_owned()).unwrap_err());
    }
}

#[test]
fn one_at_its_bound_cannot_catch_it() {
    assert_eq!(place_of("loop { try { loop { } } catch { } }").0, "it took too many operations");
}

#[test]
fn a_script_has_no_files_no_clock_and_no_eval() {
    for code in [
        "eval(\"1\")",
        "sleep(1)",
        "timestamp()",
        "print(\"x\")",
        "debug(\"x\")",
        "import \"/etc/passwd\" as x;",
        "open_file(\"x\")",
        "let x = \"a\" + \"b\"; import x as y;",
    ] {
        assert_eq!(Channel::hl7().script(code).faults().len(), 1, "{code}");
    }
    let (_, why, _) = failed(Channel::hl7().script("Fn(\"sleep\").call(1)").run(ORU.to_owned()).unwrap_err());
    assert_eq!(why, "a step never waits");
}

#[test]
fn long_sums_are_code_and_endless_nesting_is_told() {
    let sum = vec!["msg[\"PID-8\"]"; 120].join(" + ");
    let code = format!("fn f(msg) {{ {sum} }} msg[\"PID-8\"] = f(msg); msg");
    assert!(Channel::hl7().script(&code).text(ORU).contains(&"M".repeat(120)));
    let nested = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(Channel::hl7().script(&nested).faults().len(), 1);
    let nested = format!("{}1{}", "[".repeat(150), "]".repeat(150));
    assert!(Channel::hl7().script(&nested).run(ORU.to_owned()).is_err());
}
