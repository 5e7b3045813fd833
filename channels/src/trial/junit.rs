//! Results as `JUnit` XML, for the servers that build and test.

use std::fmt::Write;

use super::TestResult;

/// The results as `JUnit` XML.
pub fn junit(results: &[TestResult]) -> String {
    let failed = results.iter().filter(|result| !result.passed()).count();
    let took: f64 = results.iter().map(|result| result.took.as_secs_f64()).sum();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        xml,
        "<testsuite name=\"relais\" tests=\"{}\" failures=\"{failed}\" time=\"{took:.3}\">",
        results.len()
    );
    for result in results {
        let (channel, test) = (escape(&result.channel), escape(&result.test));
        let time = result.took.as_secs_f64();
        let _ = write!(xml, "  <testcase classname=\"{channel}\" name=\"{test}\" time=\"{time:.3}\"");
        if result.passed() {
            xml.push_str("/>\n");
            continue;
        }
        xml.push_str(">\n");
        for problem in &result.problems {
            let diff = problem.diff.as_deref().unwrap_or_default();
            let _ = writeln!(
                xml,
                "    <failure message=\"{}\">{}</failure>",
                escape(&problem.what),
                escape(diff)
            );
        }
        xml.push_str("  </testcase>\n");
    }
    xml.push_str("</testsuite>\n");
    xml
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no place for other control characters.
            c if c.is_control() && c != '\n' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::trial::Problem;

    #[test]
    fn what_went_wrong_stands_in_the_report_escaped() {
        let problem = Problem { what: "`a` is \"b\" & <c>".into(), diff: Some("- x\n+ y\n".into()) };
        let result = TestResult {
            channel: "lab".into(),
            test: "one".into(),
            problems: vec![problem],
            rewritten: Vec::new(),
            took: Duration::from_millis(5),
        };
        let xml = junit(&[result]);
        assert!(xml.contains("tests=\"1\" failures=\"1\""));
        assert!(xml.contains("message=\"`a` is &quot;b&quot; &amp; &lt;c&gt;\">- x\n+ y\n</failure>"));
    }
}
