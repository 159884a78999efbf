//! Ports for brokers that may be stopped and started again.
//!
//! They lie below the range the system takes for outgoing connections: otherwise a client's connection could take a
//! stopped broker's port, and the broker could not come back.
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use super::error::{HarnessError, Result};

const LOWEST: u32 = 15_000;
const COUNT: u32 = 16_000;
/// A step coprime to `COUNT`: neighbours in time are far apart in ports.
const STRIDE: u32 = 4_799;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// `count` ports on which nobody listens now. Two processes start at different places of the range.
pub fn free_ports(count: usize) -> Result<Vec<u16>> {
    let mut found = Vec::with_capacity(count);
    for _ in 0..COUNT {
        let turn = NEXT
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_add(std::process::id().wrapping_mul(97));
        let candidate = LOWEST + (turn % COUNT) * STRIDE % COUNT;
        let Ok(port) = u16::try_from(candidate) else { continue };
        if is_free(port) {
            found.push(port);
            if found.len() == count {
                return Ok(found);
            }
        }
    }
    Err(HarnessError::Missing(format!(
        "no {count} free ports between {LOWEST} and {}",
        LOWEST + COUNT
    )))
}

/// Whether nobody listens on the port now.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ports_differ_and_lie_below_the_range_of_outgoing_connections() {
        let ports = free_ports(12).unwrap();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), 12);
        assert!(ports.iter().all(|p| *p < 32_768), "{ports:?}");
    }

    #[test]
    fn a_port_in_use_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }
}
