//! The channels that share one port, told apart by the path that is asked for.

use std::sync::{Arc, PoisonError, RwLock};

use super::serve::Host;

/// Who takes what at one port.
#[derive(Default)]
pub(crate) struct Board(RwLock<Vec<Arc<Host>>>);

/// A channel's entry, as long as its source runs.
pub(crate) struct Listed {
    board: Arc<Board>,
    host: Arc<Host>,
}

impl Board {
    pub(crate) fn list(self: &Arc<Self>, host: &Arc<Host>) -> Listed {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(host));
        Listed { board: Arc::clone(self), host: Arc::clone(host) }
    }

    /// Whose this path is: the longest that it lies beneath. Of two versions of one channel the newer.
    pub(crate) fn find(&self, path: &str) -> Option<Arc<Host>> {
        let hosts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let taking = hosts.iter().filter(|host| is_beneath(path, &host.path));
        taking.max_by_key(|host| host.path.trim_end_matches('/').len()).cloned()
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut hosts = self.board.0.write().unwrap_or_else(PoisonError::into_inner);
        hosts.retain(|host| !Arc::ptr_eq(host, &self.host));
    }
}

/// Whether a path is this one or lies beneath it.
fn is_beneath(path: &str, top: &str) -> bool {
    let top = top.trim_end_matches('/');
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_takes_what_lies_beneath_it_and_no_neighbour() {
        for path in ["/orders", "/orders/", "/orders/7"] {
            assert!(
                is_beneath(path, "/orders") && is_beneath(path, "/") && is_beneath(path, "/orders/"),
                "{path}"
            );
        }
        for path in ["/", "/order", "/orders-old", "/x/orders", "*"] {
            assert!(!is_beneath(path, "/orders"), "{path}");
        }
    }
}
