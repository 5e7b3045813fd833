//! Free ports of this machine.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::cli::Complaint;

/// Below those from which the system takes the ports of connections, of which the load opens many.
const FIRST: u32 = 10_000;
const SPAN: u32 = 20_000;

/// So many, none given before by this process.
pub(super) fn free(count: usize) -> Result<Vec<SocketAddr>, Complaint> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Two benchmarks side by side begin elsewhere.
    let begin = std::process::id().wrapping_mul(61);
    let tried = std::iter::repeat_with(|| {
        let number = begin.wrapping_add(GIVEN.fetch_add(1, Ordering::SeqCst));
        SocketAddr::from((Ipv4Addr::LOCALHOST, (FIRST + number % SPAN) as u16))
    });
    let free: Vec<_> =
        tried.take(SPAN as usize).filter(|address| TcpListener::bind(address).is_ok()).take(count).collect();
    if free.len() < count {
        return Err(Complaint::wrong(format!("this machine has no {count} free ports")));
    }
    Ok(free)
}
