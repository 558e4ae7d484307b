//! Lines of the control protocol, in both directions.

use micropacker::supervisor::control::protocol::{Answer, Told, line, request, said};

pub fn run(data: &[u8]) {
    if let Ok(ask) = request(data) {
        assert!(!line(&ask).is_empty());
    }
    let _ = said::<Answer>(data);
    if let Ok(told) = said::<Told>(data) {
        let again = line(&told);
        assert_eq!(said::<Told>(&again), Ok(told));
    }
}
