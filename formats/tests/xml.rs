//! XML: read and changed by path, and as it came where nobody touched it.

#![allow(clippy::unwrap_used, reason = "test code may unwrap, outside test functions too")]

mod everything;

use formats::xml::{Document, EditError, Path, declared_charset};
use proptest::prelude::*;

const ORDER: &str = "<?xml version=\"1.0\"?>\n<!-- of today -->\n<lab:order xmlns:lab='urn:x' id = \"7\">\n  <patient sex='F'>DUPONT &amp; &#x46;ils<!-- x --><![CDATA[ <b>]]></patient>\n  <test code=\"K\"/><test code=\"NA\"><value unit=\"mmol/L\">140</value></test>\n</lab:order>\n";

fn order() -> Document {
    Document::parse(ORDER).unwrap()
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn get(document: &Document, text: &str) -> Option<String> {
    document.get(&path(text))
}

#[test]
fn elements_and_attributes_are_read_by_path() {
    let order = order();
    assert_eq!(get(&order, "order/patient").unwrap(), "DUPONT & Fils <b>");
    assert_eq!(get(&order, "/lab:order/@id").unwrap(), "7");
    assert_eq!(get(&order, "order/test/@code").unwrap(), "K");
    assert_eq!(get(&order, "order/test[2]/value/@unit").unwrap(), "mmol/L");
    assert_eq!(get(&order, "order/test[2]").unwrap(), "<value unit=\"mmol/L\">140</value>");
    assert_eq!(
        (get(&order, "order/test[3]"), get(&order, "other"), get(&order, "hl7:order")),
        (None, None, None)
    );
    let tests = order.all(&path("order/test"));
    assert_eq!((tests.len(), order.get_in(tests[1], &path("value")).unwrap()), (2, "140".to_owned()));
    assert_eq!(order.outer(tests[0]), "<test code=\"K\"/>");
    assert_eq!(order.text(), ORDER);
}

#[test]
fn a_change_changes_its_place_and_nothing_else() {
    let mut document = order();
    document.set(&path("order/test[2]/value"), "140").unwrap();
    document.set(&path("order/@id"), "7").unwrap();
    assert_eq!(document.text(), ORDER);
    document.set(&path("order/test[2]/value"), "<5 & \"x\"").unwrap();
    document.set(&path("order/patient/@sex"), "it's").unwrap();
    document.set(&path("order/test[1]/@status"), "F").unwrap();
    document.set(&path("order/test[1]/note/line"), "new").unwrap();
    let changed = ORDER
        .replace(">140<", ">&lt;5 &amp; &quot;x&quot;<")
        .replace("sex='F'", "sex='it&apos;s'")
        .replace("<test code=\"K\"/>", "<test code=\"K\" status=\"F\"><note><line>new</line></note></test>");
    assert_eq!(document.text(), changed);
    assert_eq!(
        Document::parse(document.text()).unwrap().get(&path("order/test[2]/value")).unwrap(),
        "<5 & \"x\""
    );
    let tests = document.all(&path("order/test"));
    document.remove(tests[0]).unwrap();
    assert_eq!(document.set_in(tests[0], &path("x"), "y"), Err(EditError::Removed));
    assert_eq!(get(&document, "order/test/@code").unwrap(), "NA");
    assert!(matches!(document.set(&path("order/test[9]"), "x"), Err(EditError::Gap { .. })));
    assert!(matches!(document.set(&path("x"), "x"), Err(EditError::OtherRoot(_))));
    assert_eq!(document.set(&path("order/x"), "\u{1}"), Err(EditError::BadCharacter));
    assert_eq!(document.remove(document.root()), Err(EditError::Root));
}

#[test]
fn what_is_no_xml_is_refused_with_its_line_and_column() {
    let wrong = [
        ("", "line 1, column 1: here an element should begin"),
        ("MSH|^~\\&|", "line 1, column 1: here an element"),
        ("<a>\n <b></a>", "line 2, column 5: this tag ends"),
        ("<a>\n<b>", "line 2, column 1: the text ends"),
        ("<a/>\nx", "line 2, column 1: something stands behind"),
        ("<a/><b/>", "line 1, column 5: something stands behind"),
        ("<a>&nbsp;</a>", "line 1, column 4: an `&`"),
        ("<a x=1/>", "line 1, column 4: this is not an attribute"),
        ("<a x='1'y='2'/>", "line 1, column 9: this is not an attribute"),
        ("<a x='1' x='2'/>", "line 1, column 10: the element has two"),
        ("<a>1 < 2</a>", "line 1, column 6: this is not a tag"),
        ("<a>\u{1}</a>", "line 1, column 4: a character"),
        ("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", "line 1, column 1: a DOCTYPE"),
        ("<a><!-- </a>", "line 1, column 4: the text ends"),
    ];
    for (text, words) in wrong {
        let error = Document::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(words), "{text}: {error}");
    }
    let deep = "<a>".repeat(300);
    assert!(Document::parse(deep).unwrap_err().to_string().contains("more than 256 deep"));
}

#[test]
fn what_is_no_path_is_said_so() {
    for text in ["", "a//b", "a/b[0]", "a/b[x]", "a/@", "a/@b/c", "1a", "a b"] {
        assert!(Path::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_document_names_its_charset() {
    assert_eq!(
        declared_charset(b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>").as_deref(),
        Some("ISO-8859-1")
    );
    assert_eq!(declared_charset(b"<?xml version=\"1.0\"?><a/>"), None);
    assert_eq!(declared_charset(b"<a encoding='x'/>"), None);
}

proptest! {
    #[test]
    fn nothing_in_the_world_breaks_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        everything::xml(&bytes);
    }

    #[test]
    fn nothing_that_looks_like_xml_breaks_it(text in "(<a>|</a>|<b x='1'/>|<a y=\"&lt;\">|&amp;|&#65;|<!--|-->|<!\\[CDATA\\[|\\]\\]>|[ \r\néx<>&'\"=/]){0,25}") {
        everything::xml(text.as_bytes());
        everything::xml(format!("<a>{text}</a>").as_bytes());
    }

    #[test]
    fn what_is_written_reads_the_same(text in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]{0,30}") {
        let mut document = order();
        document.set(&path("order/patient"), &text).unwrap();
        document.set(&path("order/patient/@sex"), &text).unwrap();
        let again = Document::parse(document.text()).unwrap();
        prop_assert_eq!(get(&again, "order/patient").unwrap(), text.clone());
        prop_assert_eq!(get(&again, "order/patient/@sex").unwrap(), text);
    }
}
