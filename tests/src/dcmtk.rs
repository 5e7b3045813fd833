//! What dcmtk shows of a DICOM file, element by element: neither the product's reader nor pydicom's.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, process::Command};

use serde_json::Value;

/// Each element's path, `(0008,1140)[1].(0008,1155)`, and its value as it is shown; a sequence has none of its own.
pub fn dumped(file: &Path) -> BTreeMap<String, Value> {
    let run = Command::new("dcmdump").args(["-q", "+E", "+L", "-Un"]).arg(file).output();
    let run = run.expect("dcmdump is missing: `tests/run` installs dcmtk");
    let mut elements = BTreeMap::new();
    // The sequences that a line is within, each with how many items it has had so far.
    let mut within: Vec<(String, u32)> = Vec::new();
    for line in String::from_utf8_lossy(&run.stdout).lines() {
        let element = line.trim_start_matches(' ');
        // A text may go on over several lines.
        let Some((tag, rest)) = element.split_at_checked(12).filter(|(tag, _)| is_tag(tag)) else { continue };
        let (tag, depth) = (tag.trim_end().to_ascii_uppercase(), line.len() - element.len());
        // An item is two further in than its sequence, and what is in it two more.
        within.truncate(depth.div_ceil(4));
        match &*tag {
            "(FFFE,E000)" => within.iter_mut().last().into_iter().for_each(|(_, items)| *items += 1),
            "(FFFE,E00D)" | "(FFFE,E0DD)" => {}
            _ => {
                let mut path = String::new();
                for (sequence, item) in &within {
                    let _ = write!(path, "{sequence}[{item}].");
                }
                path += &tag;
                let value = rest.get(3..).unwrap_or_default();
                if value.starts_with("(Sequence ") || value.starts_with("(PixelSequence ") {
                    within.push((tag, 0));
                }
                elements.insert(path, shown(value).into());
            }
        }
    }
    elements
}

/// `(0008,1155) `, which a line begins with.
fn is_tag(text: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let text = text.strip_prefix('(').and_then(|text| text.strip_suffix(") "));
    text.and_then(|text| text.split_once(','))
        .is_some_and(|(group, element)| group.len() == 4 && digits(group) && digits(element))
}

/// A value without its brackets and what stands behind it; nothing of what has none.
fn shown(value: &str) -> &str {
    let value = value.rsplit_once(" #").map_or(value, |(value, _)| value).trim_end();
    if ["(no value available)", "(Sequence ", "(PixelSequence "].iter().any(|none| value.starts_with(none)) {
        return "";
    }
    value.strip_prefix('[').map_or(value, |value| value.strip_suffix(']').unwrap_or(value)).trim_end()
}
