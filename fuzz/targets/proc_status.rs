//! `/proc/PID/status`, in which a process names itself.

use micropacker::tracer::visitors::parse_status;

pub fn run(data: &[u8]) {
    let _ = parse_status(data);
}
