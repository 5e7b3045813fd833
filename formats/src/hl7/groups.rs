//! One message with several orders becomes one message per order.

use std::sync::{Arc, OnceLock};

use super::Message;

/// What is being collected while the segments are walked.
#[derive(Default)]
struct Walk {
    /// MSH and what stands before the first patient.
    header: Vec<usize>,
    /// From the nearest PID on.
    patient: Vec<usize>,
    /// From the nearest PV1 on.
    visit: Vec<usize>,
    /// From the ORC or the segment asked for on; empty outside an order.
    order: Vec<usize>,
    /// Whether the order already has the segment asked for, and not only its ORC.
    named: bool,
    /// The end of an HPRIM message, which belongs to each.
    trailer: Vec<usize>,
    groups: Vec<Vec<usize>>,
}

impl Message {
    /// One whole message per order: MSH and what stands before the first order, the nearest PID/PV1 group, and that order.
    ///
    /// An order is its ORC, the segment named (`OBR`) and what follows up to the next ORC, the next one named, or the next
    /// patient. An ORC that none follows is an order of its own: nothing is lost. Empty when there is no order.
    pub fn groups(&self, of: &str) -> Vec<Message> {
        let mut walk = Walk::default();
        for index in 0..self.segment_count() {
            walk.step(index, self.segment_name(index), of);
        }
        walk.end_order();
        let Walk { mut groups, trailer, .. } = walk;
        for group in &mut groups {
            group.extend(&trailer);
        }
        groups.iter().map(|group| self.with_segments(group)).collect()
    }

    fn with_segments(&self, indices: &[usize]) -> Message {
        let segments = indices.iter().map(|index| self.segments[*index].clone()).collect();
        Message { segments: Arc::new(segments), whole: OnceLock::new(), ..self.clone() }
    }
}

impl Walk {
    fn step(&mut self, index: usize, name: &str, of: &str) {
        match name {
            _ if name == of => {
                if self.named {
                    self.end_order();
                }
                self.named = true;
                self.order.push(index);
            }
            "ORC" => {
                self.end_order();
                self.order.push(index);
            }
            "L" => {
                self.end_order();
                self.trailer = vec![index];
            }
            "PID" | "P" => {
                self.end_order();
                self.visit.clear();
                self.patient = vec![index];
            }
            "PV1" => {
                self.end_order();
                self.visit = vec![index];
            }
            _ => self.current().push(index),
        }
    }

    fn current(&mut self) -> &mut Vec<usize> {
        [&mut self.order, &mut self.visit, &mut self.patient]
            .into_iter()
            .find(|stretch| !stretch.is_empty())
            .unwrap_or(&mut self.header)
    }

    fn end_order(&mut self) {
        if self.order.is_empty() {
            return;
        }
        let before = [&self.header, &self.patient, &self.visit].into_iter().flatten().copied();
        let group = before.chain(std::mem::take(&mut self.order)).collect();
        self.groups.push(group);
        self.named = false;
    }
}

#[cfg(test)]
mod tests {
    use crate::hl7::Message;

    fn groups(segments: &[&str], of: &str) -> Vec<String> {
        let text = format!("MSH|^~\\&\r{}\r", segments.join("\r"));
        let names = |message: &Message| {
            message
                .text()
                .split_terminator('\r')
                .skip(1)
                .map(|line| line.replace('|', ""))
                .collect::<Vec<_>>()
                .join(" ")
        };
        Message::parse(text).unwrap().groups(of).iter().map(names).collect()
    }

    #[test]
    fn each_order_keeps_the_patient_and_what_follows_it() {
        let segments = [
            "PID", "PV1", "ORC|1", "OBR|1", "NTE", "OBX|1", "OBR|2", "OBX|2", "ORC|3", "TQ1", "OBR|3",
            "OBX|3",
        ];
        let expected = ["PID PV1 ORC1 OBR1 NTE OBX1", "PID PV1 OBR2 OBX2", "PID PV1 ORC3 TQ1 OBR3 OBX3"];
        assert_eq!(groups(&segments, "OBR"), expected);
    }

    #[test]
    fn an_order_belongs_to_the_patient_before_it_and_no_other() {
        let segments =
            ["SFT", "PID|1", "NTE", "PV1|1", "OBR|1", "PID|2", "OBR|2", "OBX", "PV1|9", "PV2", "OBR|3"];
        let expected = ["SFT PID1 NTE PV11 OBR1", "SFT PID2 OBR2 OBX", "SFT PID2 PV19 PV2 OBR3"];
        assert_eq!(groups(&segments, "OBR"), expected);
    }

    #[test]
    fn an_order_without_its_detail_is_not_lost() {
        assert_eq!(groups(&["PID", "ORC|1", "ORC|2", "OBR|2"], "OBR"), ["PID ORC1", "PID ORC2 OBR2"]);
        assert_eq!(
            groups(&["PID", "ORC|1", "RXE|1", "ORC|2", "RXE|2"], "RXE"),
            ["PID ORC1 RXE1", "PID ORC2 RXE2"]
        );
        assert_eq!(
            groups(&["PID", "ORC|1", "OBR|1", "ORC|2", "OBR|2"], "ORC"),
            ["PID ORC1 OBR1", "PID ORC2 OBR2"]
        );
    }

    #[test]
    fn a_message_without_orders_has_no_groups() {
        assert!(groups(&["PID", "PV1"], "OBR").is_empty());
    }
}
