//! What a channel says of the files it takes, beside its source: their log, and whether its format has the parts they are split into.

use std::path::{Path as FilePath, PathBuf};

use engine::{Diagnostic, Path};
use rustix::fs::{Access, access};
use scripts::Format;

use super::{reader::Reader, source::protocol};
use crate::variables::has_expression;

/// The place of a flow's log. Where it cannot be written, the flow runs without it: that is a warning.
pub(crate) fn log_file(reader: &mut Reader<'_>, channel: &str, root: &FilePath) -> Option<PathBuf> {
    let at = Path::parse("log_file");
    let written: String = reader.read(&at)?;
    if !takes_files(reader) {
        reader.error(
            "unused-field",
            &at,
            "only a source of files, `file` or `sftp`, has a story to write down",
        );
        return None;
    }
    let text = written.replace("${ctx.channel}", channel);
    if has_expression(&text) {
        let message = "of expressions `${ctx.channel}` alone is known here: a log is that of a channel";
        reader.error("template-not-here", &at, message);
        return None;
    }
    let path = root.join(text.replace("$${", "${"));
    if let Some(why) = not_writable(&path, root) {
        let help = "the flow runs all the same, without its log; make the folder, and let the user that Relais runs as write there";
        reader.push(Diagnostic::warning("log-file", at, why).help(help));
    }
    Some(path)
}

/// Why a log cannot be written there, as far as can be told without writing. A folder of the project is made.
fn not_writable(path: &FilePath, root: &FilePath) -> Option<String> {
    let folder = path.parent()?;
    if path.is_dir() {
        return Some(format!("`{}` is a folder", path.display()));
    }
    if !folder.is_dir() {
        let is_made = path.starts_with(root) && !folder.exists();
        return (!is_made).then(|| format!("there is no folder `{}`", folder.display()));
    }
    let (what, needs) =
        if path.exists() { (path, Access::WRITE_OK) } else { (folder, Access::WRITE_OK | Access::EXEC_OK) };
    let error = access(what, needs).err()?;
    let words = std::io::Error::from(error).kind();
    Some(format!("cannot write to `{}`: {words}", what.display()))
}

fn takes_files(reader: &Reader<'_>) -> bool {
    matches!(protocol(reader.tree, &Path::parse("source")).as_deref(), Some("file" | "sftp"))
}

/// Says where files are split into parts that the format does not have.
pub(crate) fn parts_fit(reader: &mut Reader<'_>, format: Format) -> Format {
    let Some(name) = protocol(reader.tree, &Path::parse("source")).filter(|_| takes_files(reader)) else {
        return format;
    };
    let at = Path::parse("source").join(&name).join("split");
    let Some(node) = reader.tree.at(&at) else { return format };
    let word = node.scalar().map(|scalar| scalar.text.clone());
    let has_rows = matches!(format, Format::Csv(_) | Format::Fixed(_));
    let wrong = match word.as_deref() {
        Some("records") if !has_rows => Some("rows are those of `format: csv` or `fixed`"),
        None if node.get("group").is_some() && !has_rows => {
            Some("rows are those of `format: csv` or `fixed`")
        }
        Some("hprim") if format != Format::Hprim => Some("messages of HPRIM are those of `format: hprim`"),
        Some("hl7") if format != Format::Hl7 => Some("messages of HL7 are those of `format: hl7`"),
        _ => None,
    };
    if let Some(message) = wrong {
        reader.error("wrong-value", &at, message).help =
            Some("say what the files hold with `format`".to_owned());
    }
    format
}
