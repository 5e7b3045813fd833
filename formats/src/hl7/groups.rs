//! One message with several orders becomes one message per order.

use super::Message;

impl Message {
    /// One whole message per order: MSH and what stands before the first order, the nearest PID/PV1 group, and that order.
    ///
    /// An order is its ORC, the segment named (`OBR`) and what follows up to the next one. Empty when there is none.
    pub fn groups(&self, of: &str) -> Vec<Message> {
        let _ = of;
        unimplemented!()
    }
}
