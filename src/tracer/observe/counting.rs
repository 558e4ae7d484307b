//! System calls that are counted, and those that cannot be.

use super::Observer;
use crate::event::Event;
use crate::tracer::tracees::Tracees;

impl<T: Tracees> Observer<T> {
    /// System calls are counted.
    #[must_use]
    pub fn counting(mut self, counts: bool) -> Self {
        self.counts_calls = counts;
        self
    }

    /// A call was made.
    pub fn on_called(&mut self, event: Event) {
        (self.emit)(event);
    }

    /// Somebody runs, or has run, without being followed.
    pub fn lose_calls(&mut self, who: &str) {
        if self.counts_calls {
            self.lose(format!(
                "system calls of {who}, which was not followed all the time: the seccomp profile \
                 may lack some of them; run its micro image under the profile before you rely on \
                 it"
            ));
        }
    }
}
