//! XML: elements and attributes by path.

use rhai::{Array, Dynamic, ImmutableString, plugin::*};

use super::{Outcome, broke};
use crate::elements::{ElementHandle, XmlHandle};

#[export_module]
pub(crate) mod functions {
    /// Reads XML, as `format: xml` does. A document with a DOCTYPE is refused.
    ///
    /// ```rhai
    /// read_xml("<order id='7'><test>K</test></order>")["order/@id"] == "7"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn read_xml(text: &str) -> Outcome<XmlHandle> {
        formats::xml::Document::parse(text).map(XmlHandle::new).or_else(broke)
    }

    /// What stands at a path, from the document's own element on; empty when absent. A leaf is decoded, an element
    /// with others in it is what stands between its tags. Occurrences count from 1; a name without a prefix
    /// means any.
    ///
    /// ```rhai
    /// let xml = read_xml("<a><b>1</b><b>2 &amp; 3</b></a>"); xml["a/b[2]"] == "2 & 3" && xml["a/b"] == "1" && xml["a/c"] == ""
    /// ```
    #[rhai_fn(index_get, return_raw, pure)]
    pub fn get(document: &mut XmlHandle, path: &str) -> Outcome<ImmutableString> {
        document.get(path)
    }

    /// Writes text to a path; what is missing on the way is added.
    ///
    /// ```rhai
    /// let xml = read_xml("<a/>"); xml["a/b/@c"] = "<"; xml.to_string() == "<a><b c=\"&lt;\"/></a>"
    /// ```
    #[rhai_fn(index_set, return_raw, pure)]
    pub fn set(document: &mut XmlHandle, path: &str, value: Dynamic) -> Outcome<()> {
        document.set(path, &value)
    }

    /// Whether something stands at a path.
    ///
    /// ```rhai
    /// let xml = read_xml("<a><b/><c>1</c></a>"); xml.has("a/c") && !xml.has("a/b")
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn has(document: &mut XmlHandle, path: &str) -> Outcome<bool> {
        document.has(path)
    }

    /// All elements at a path, each as a handle. As parts of a `split` each becomes a document by itself.
    ///
    /// ```rhai
    /// read_xml("<a><b x='1'/><b x='2'/></a>").all("a/b")[1]["@x"] == "2"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn all(document: &mut XmlHandle, path: &str) -> Outcome<Array> {
        document.all(path)
    }

    /// The element that holds all others.
    ///
    /// ```rhai
    /// read_xml("<a><b/></a>").root.name == "a"
    /// ```
    #[rhai_fn(get = "root", pure)]
    pub fn root(document: &mut XmlHandle) -> ElementHandle {
        document.root()
    }

    /// Another document that is the same: a change of one is no change of the other.
    ///
    /// ```rhai
    /// let xml = read_xml("<a>1</a>"); let other = xml.copy(); other["a"] = "2"; xml["a"] == "1"
    /// ```
    #[rhai_fn(pure)]
    pub fn copy(document: &mut XmlHandle) -> XmlHandle {
        XmlHandle::new(document.document())
    }

    /// The whole document as text.
    ///
    /// ```rhai
    /// read_xml("<a b = '1' />").to_string() == "<a b = '1' />"
    /// ```
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn to_text(document: &mut XmlHandle) -> ImmutableString {
        document.text()
    }

    /// The element's name, with its prefix.
    ///
    /// ```rhai
    /// read_xml("<x:a xmlns:x='u'/>").root.name == "x:a"
    /// ```
    #[rhai_fn(get = "name", pure)]
    pub fn name(element: &mut ElementHandle) -> ImmutableString {
        element.name()
    }

    /// What stands in the element.
    ///
    /// ```rhai
    /// read_xml("<a><b>1</b></a>").all("a/b")[0].value == "1"
    /// ```
    #[rhai_fn(get = "value", pure)]
    pub fn value(element: &mut ElementHandle) -> ImmutableString {
        element.value()
    }

    /// Replaces what stands in the element by a text.
    ///
    /// ```rhai
    /// let xml = read_xml("<a><b>1</b></a>"); let b = xml.all("a/b")[0]; b.value = "x"; xml["a/b"] == "x"
    /// ```
    #[rhai_fn(set = "value", return_raw, pure)]
    pub fn set_value(element: &mut ElementHandle, value: Dynamic) -> Outcome<()> {
        element.set_value(&value)
    }

    /// What stands at a path from the element on: `"code"`, `"value/@unit"`, `"@id"`.
    ///
    /// ```rhai
    /// let test = read_xml("<a><t><v u='g'>7</v></t></a>").all("a/t")[0]; test["v"] + test["v/@u"] == "7g"
    /// ```
    #[rhai_fn(index_get, return_raw, pure)]
    pub fn element_get(element: &mut ElementHandle, path: &str) -> Outcome<ImmutableString> {
        element.get(path)
    }

    /// Writes text to a path from the element on.
    ///
    /// ```rhai
    /// let xml = read_xml("<a><t/></a>"); let test = xml.all("a/t")[0]; test["@id"] = 7; xml["a/t/@id"] == "7"
    /// ```
    #[rhai_fn(index_set, return_raw, pure)]
    pub fn element_set(element: &mut ElementHandle, path: &str, value: Dynamic) -> Outcome<()> {
        element.set(path, &value)
    }

    /// All elements at a path from the element on.
    ///
    /// ```rhai
    /// read_xml("<a><b><c/><c/></b></a>").root.all("b/c").len() == 2
    /// ```
    #[rhai_fn(name = "all", return_raw, pure)]
    pub fn element_all(element: &mut ElementHandle, path: &str) -> Outcome<Array> {
        element.all(path)
    }

    /// The elements in the element.
    ///
    /// ```rhai
    /// read_xml("<a><b/>text<c/></a>").root.children[1].name == "c"
    /// ```
    #[rhai_fn(get = "children", return_raw, pure)]
    pub fn children(element: &mut ElementHandle) -> Outcome<Array> {
        element.children()
    }

    /// Adds an empty element at the end of the element, and gives it.
    ///
    /// ```rhai
    /// let xml = read_xml("<a/>"); let b = xml.root.add("b"); b["@x"] = "1"; xml.to_string() == "<a><b x=\"1\"/></a>"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn add(element: &mut ElementHandle, name: &str) -> Outcome<ElementHandle> {
        element.add(name)
    }

    /// Takes the element out of its document.
    ///
    /// ```rhai
    /// let xml = read_xml("<a><b/><c/></a>"); for b in xml.all("a/b") { b.remove() } xml.to_string() == "<a><c/></a>"
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn remove(element: &mut ElementHandle) -> Outcome<()> {
        element.remove()
    }

    /// The element's text, with its tags.
    ///
    /// ```rhai
    /// read_xml("<a><b x='1'/></a>").all("a/b")[0].to_string() == "<b x='1'/>"
    /// ```
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn element_to_text(element: &mut ElementHandle) -> ImmutableString {
        element.text()
    }
}
