//! An application that somebody uses by hand, until Enter or a signal.

use super::exercise::Subject;
use super::trouble::Trouble;
use std::io::{self, BufRead, IsTerminal};
use std::sync::mpsc::{TryRecvError, channel};
use std::time::Duration;

/// From one look at the terminal to the next.
const BEAT: Duration = Duration::from_millis(100);

/// Whether there is somebody.
pub fn is_possible() -> bool {
    io::stdin().is_terminal()
}

/// Waits until who uses it is done.
///
/// # Errors
/// When the engine fails.
pub fn wait(subject: &Subject) -> Result<(), Trouble> {
    let state = subject.site.state(subject.id)?;
    let ports = subject.ports.iter();
    let machine = subject.site.engine.machine();
    let places = ports.filter_map(|port| state.reach(*port, &machine, subject.on_host_network));
    let places: Vec<String> = places
        .map(|(host, port)| format!("{host}:{port}"))
        .collect();
    let at = match places.as_slice() {
        [] => format!("container {:.12}", subject.id),
        places => places.join(", "),
    };
    tracing::info!("it runs ({at}): use it as it will be used, then press Enter");
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        let _ = sender.send(read.is_ok());
    });
    loop {
        if subject.site.engine.interrupt.take().is_some() {
            return Ok(());
        }
        if !matches!(receiver.try_recv(), Err(TryRecvError::Empty)) {
            return Ok(());
        }
        if !subject.site.state(subject.id)?.running {
            return Ok(());
        }
        std::thread::sleep(BEAT);
    }
}
