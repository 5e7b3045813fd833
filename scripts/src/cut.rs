//! Cuts a file into messages, as the channel's format has them: rows, rows that belong together, messages of HPRIM.

use engine::{Content, Cut};
use formats::{
    charset::{self, Charset},
    hprim,
};

use crate::{
    Format,
    form::{Body, Form},
};

/// The parts, each in the bytes that the whole is written in; or why there are none.
pub(crate) fn cut(
    whole: &Content,
    (format, fallback): (&Format, Option<&Charset>),
    by: &Cut,
) -> Result<Vec<Content>, String> {
    if *by == Cut::Messages {
        return messages(whole, fallback);
    }
    let (body, _) = Body::read(whole, format, fallback).map_err(|unreadable| unreadable.why)?;
    let Form::Rows(sheet) = &body.form else {
        return Err("it has no rows: `format` is neither csv nor fixed".to_owned());
    };
    let parts = match by {
        Cut::Group(column) => {
            let column = sheet.column(column).map_err(|wrong| wrong.to_string())?;
            sheet.groups(column)
        }
        Cut::Records | Cut::Messages => sheet.records(),
    };
    parts.into_iter().map(|part| body.with_rows(part).map(|part| part.content)).collect()
}

fn messages(whole: &Content, fallback: Option<&Charset>) -> Result<Vec<Content>, String> {
    let bytes = whole.whole().map_err(|not_whole| not_whole.to_string())?;
    let read = charset::decode_text(&bytes, fallback).map_err(|error| error.to_string())?;
    let messages = hprim::messages(&read.text);
    if let [_] = messages[..] {
        return Ok(vec![whole.clone()]);
    }
    let encoded =
        |text: &str| read.charset.encode(text).map(Content::from).map_err(|lacks| lacks.to_string());
    messages.into_iter().map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use formats::rows::Csv;

    use super::*;

    fn parts(whole: &[u8], format: &Format, by: &Cut) -> Result<Vec<Vec<u8>>, String> {
        let parts = cut(&Content::from(whole.to_vec()), (format, None), by)?;
        Ok(parts.into_iter().map(|part| part.whole().unwrap().to_vec()).collect())
    }

    #[test]
    fn rows_are_cut_with_their_head_and_in_their_charset() {
        let csv = Format::Csv(Csv::default());
        let file = b"IPP;NOM\r\n1;\xC9LISE\r\n2;B\r\n1;C\r\n";
        let records = parts(file, &csv, &Cut::Records).unwrap();
        assert_eq!(
            records,
            [b"IPP;NOM\r\n1;\xC9LISE\r\n".as_slice(), b"IPP;NOM\r\n2;B\r\n", b"IPP;NOM\r\n1;C\r\n"]
        );
        let groups = parts(file, &csv, &Cut::Group("IPP".to_owned())).unwrap();
        assert_eq!(groups, [b"IPP;NOM\r\n1;\xC9LISE\r\n1;C\r\n".as_slice(), b"IPP;NOM\r\n2;B\r\n"]);
        assert!(parts(file, &csv, &Cut::Group("NIR".to_owned())).unwrap_err().contains("NIR"));
        assert!(parts(b"IPP\n\"1\n", &csv, &Cut::Records).is_err());
        assert!(parts(b"x", &Format::Text, &Cut::Records).unwrap_err().contains("no rows"));
    }

    #[test]
    fn messages_of_hprim_are_cut_where_the_next_begins() {
        let file = b"H|~^\\&|1\rP|1|\xE9\rL|1\rH|~^\\&|2\rP|1\rL|1\r";
        let messages = parts(file, &Format::Hprim, &Cut::Messages).unwrap();
        assert_eq!(messages, [b"H|~^\\&|1\rP|1|\xE9\rL|1\r".as_slice(), b"H|~^\\&|2\rP|1\rL|1\r"]);
        assert_eq!(parts(b"H|~^\\&|1\rP|H|\r", &Format::Hprim, &Cut::Messages).unwrap().len(), 1);
        let letter = "7\nDUPONT\n\n\n\n\n\n\n\n\n\n\nBonjour\n****FIN****\n";
        let two = format!("{letter}{letter}****FINFICHIER****\n");
        let letters = parts(two.as_bytes(), &Format::Hprim, &Cut::Messages).unwrap();
        assert_eq!(letters, [letter.as_bytes(), format!("{letter}****FINFICHIER****\n").as_bytes()]);
    }
}
