//! Names of files as messages make them: none leads out of its folder, whatever a message holds.

/// The longest name that file systems take, in bytes.
const LONGEST: usize = 255;

/// Names that belong to devices on Windows, whose shares such a folder may be.
const DEVICES: [&str; 4] = ["CON", "PRN", "AUX", "NUL"];

/// A path below the folder: folders, then a file. Every part was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) folders: Vec<String>,
    pub(crate) file: String,
}

impl Name {
    /// Takes a name apart; the error names what is wrong and, being content, not the name.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the name of the file is empty".to_owned());
        }
        if text.starts_with('/') {
            return Err("the name of the file begins with `/`; it must stay in its folder".to_owned());
        }
        let parts = text.split('/').map(part).collect::<Result<Vec<_>, _>>()?;
        let (file, folders) = parts.split_last().expect("a split text has a part");
        Ok(Self { folders: folders.to_vec(), file: file.clone() })
    }

    /// The whole, from the folder on, with another file.
    pub(crate) fn with(&self, file: &str) -> String {
        self.folders.iter().map(String::as_str).chain([file]).collect::<Vec<_>>().join("/")
    }
}

fn part(part: &str) -> Result<String, String> {
    let wrong = |why: &str| Err(format!("the name of the file {why}"));
    match part {
        "" => return wrong("has an empty part: two `/`, or one at its end"),
        "." | ".." => return wrong("has the part `.` or `..`; it must stay in its folder"),
        _ => {}
    }
    if part.starts_with('.') {
        return wrong("has a part that begins with `.`, which readers pass over");
    }
    if part.trim().is_empty() {
        return wrong("has a part of blanks alone");
    }
    if part.contains(char::is_control) {
        return wrong("holds a control character");
    }
    if part.len() > LONGEST {
        return wrong("has a part that is longer than 255 bytes");
    }
    if is_device(part) {
        return wrong("is that of a device");
    }
    Ok(part.to_owned())
}

fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).trim_end().to_ascii_uppercase();
    let line = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    DEVICES.contains(&stem.as_str()) || line.is_some_and(|number| matches!(number.as_bytes(), [b'0'..=b'9']))
}

/// The name with a number before its last ending: `a.hl7` → `a-2.hl7`; 0 leaves it.
pub(crate) fn numbered(file: &str, number: u32) -> String {
    if number == 0 {
        return file.to_owned();
    }
    let (stem, ending) = match file.rfind('.') {
        Some(dot) if dot > 0 => file.split_at(dot),
        _ => (file, ""),
    };
    let mark = format!("-{number}");
    // An ending that fills the name alone is cut like the rest.
    let ending = if ending.len() + mark.len() >= LONGEST { "" } else { ending };
    let room = LONGEST - ending.len() - mark.len();
    let end = (0..=stem.len().min(room)).rev().find(|end| stem.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{mark}{ending}", &stem[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_lead_into_a_folder_below() {
        let name = Name::read("ORU/2026 é/M-1.hl7").unwrap();
        assert_eq!((name.folders.len(), name.file.as_str()), (2, "M-1.hl7"));
        assert_eq!(name.with("x"), "ORU/2026 é/x");
    }

    #[test]
    fn no_name_leads_out_of_its_folder() {
        let long = "x".repeat(256);
        let hostile = [
            "",
            "/etc/passwd",
            "..",
            "../x",
            "a/../../x",
            "a//b",
            "a/",
            ".",
            ".hidden",
            "a/.hidden",
            "   ",
            "a\0b",
            "a\rb",
            "a\nb",
            "NUL",
            "con.hl7",
            "a/Lpt1.txt",
            &long,
        ];
        for text in hostile {
            let error = Name::read(text).expect_err(text);
            assert!(!error.contains("passwd"), "no content in `{error}`");
        }
    }

    #[test]
    fn a_number_stands_before_the_ending() {
        assert_eq!(numbered("a.b.hl7", 0), "a.b.hl7");
        assert_eq!(numbered("a.b.hl7", 12), "a.b-12.hl7");
        assert_eq!(numbered("plain", 1), "plain-1");
        let long = format!("{}.hl7", "é".repeat(125));
        assert!(numbered(&long, 7).len() <= 255 && numbered(&long, 7).ends_with("-7.hl7"));
    }
}
