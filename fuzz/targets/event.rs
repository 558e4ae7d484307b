//! Events as JSON, which a joined command sends.

use micropacker::event::Event;
use micropacker::supervisor::control::protocol::{line, said};

pub fn run(data: &[u8]) {
    if let Ok(event) = said::<Event>(data) {
        assert_eq!(said::<Event>(&line(&event)), Ok(event));
    }
}
