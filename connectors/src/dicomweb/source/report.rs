//! What a sender is told of the instances it posted: which are stored, which are not, and why.

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::{
    dicomweb::archive::JSON,
    dimse::{self, Verdict},
};

/// What an instance calls itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) class: String,
    pub(super) instance: String,
    pub(super) syntax: String,
}

/// What became of each instance of a request.
#[derive(Debug, Default)]
pub(super) struct Report {
    stored: Vec<Value>,
    failed: Vec<Value>,
    /// Whether every one that failed may be sent again.
    is_for_now: bool,
}

impl Report {
    pub(super) fn is_empty(&self) -> bool {
        self.stored.is_empty() && self.failed.is_empty()
    }

    pub(super) fn add(&mut self, named: Named, status: u16) {
        let mut item = json!({});
        for (attribute, uid) in [("00081150", named.class), ("00081155", named.instance)] {
            item[attribute] =
                if uid.is_empty() { json!({ "vr": "UI" }) } else { json!({ "vr": "UI", "Value": [uid] }) };
        }
        let number = |status: u16| json!({ "vr": "US", "Value": [status] });
        match dimse::verdict(status) {
            Verdict::Stored => {
                if status != dimse::SUCCESS {
                    item["00081196"] = number(status);
                }
                self.stored.push(item);
            }
            verdict @ (Verdict::NotNow | Verdict::Refused) => {
                item["00081197"] = number(status);
                self.is_for_now = verdict == Verdict::NotNow && (self.failed.is_empty() || self.is_for_now);
                self.failed.push(item);
            }
        }
    }

    /// All stored, some of them, none.
    pub(super) fn status(&self) -> StatusCode {
        match (self.stored.is_empty(), self.failed.is_empty()) {
            (_, true) => StatusCode::OK,
            (false, false) => StatusCode::ACCEPTED,
            (true, false) if self.is_for_now => StatusCode::SERVICE_UNAVAILABLE,
            (true, false) => StatusCode::CONFLICT,
        }
    }

    pub(super) fn body(&self) -> (&'static str, Bytes) {
        let mut body = json!({});
        for (attribute, items) in [("00081198", &self.failed), ("00081199", &self.stored)] {
            if !items.is_empty() {
                body[attribute] = json!({ "vr": "SQ", "Value": items });
            }
        }
        (JSON, body.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(statuses: &[u16]) -> Report {
        let mut report = Report::default();
        for status in statuses {
            report.add(Named { instance: "1.2".to_owned(), ..Named::default() }, *status);
        }
        report
    }

    #[test]
    fn the_status_says_whether_all_some_or_none_are_stored() {
        let status = |statuses: &[u16]| report(statuses).status().as_u16();
        assert_eq!(status(&[0, 0xB000]), 200);
        assert_eq!(status(&[0, 0xC000]), 202);
        assert_eq!(status(&[0xA700, 0xA700]), 503);
        assert_eq!((status(&[0xA700, 0xC000]), status(&[0xC000, 0xA700])), (409, 409));
    }

    #[test]
    fn each_instance_is_told_by_its_name() {
        let (_, body) = report(&[0, 0x0110]).body();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["00081199"]["Value"][0]["00081155"]["Value"][0], "1.2");
        assert_eq!(body["00081198"]["Value"][0]["00081197"]["Value"][0], 0x0110);
    }
}
