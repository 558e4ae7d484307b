//! One line at the foot of the terminal that says what is being done, drawn over again and again;
//! messages go around it.
//!
//! It is drawn on standard error where that is a terminal, and only while its foreground is ours:
//! a job in the background is told nothing, and stops by no SIGTTOU (`stty tostop`) for it.

use crate::sys;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{getpgrp, tcgetpgrp};
use std::io::{self, IsTerminal, Write, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it is drawn.
const BEAT: Duration = Duration::from_millis(100);
/// Begins at the left and forgets what was there (ECMA-48, EL).
const ERASE: &str = "\r\x1b[K";
/// Where a terminal does not tell its width.
const COLUMNS: usize = 80;

/// Whether whoever started us wants to see it.
static WANTED: AtomicBool = AtomicBool::new(false);
/// Whether it stands there now. Locked by whoever writes to standard error.
static DRAWN: Mutex<bool> = Mutex::new(false);

/// Says whether lines are to be shown at all.
pub(super) fn want(wanted: bool) {
    WANTED.store(wanted, Ordering::Relaxed);
}

/// What it says at this moment.
pub type Text = dyn Fn() -> String + Send + Sync;

/// The line, until it is dropped.
pub struct Line {
    text: Arc<Text>,
    /// Dropped, it ends the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Line {
    /// Shows what `text` says, anew ten times a second; `None` where nobody would see it.
    pub fn show(text: Arc<Text>) -> Option<Self> {
        if !WANTED.load(Ordering::Relaxed) || !can_be_drawn_over() {
            return None;
        }
        let (end, ended) = channel();
        let theirs = Arc::clone(&text);
        let thread = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || {
                while ended.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                    draw(&theirs());
                }
            })
            .ok()?;
        Some(Self {
            text,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// Draws it now: something else is being done.
    pub fn draw(&self) {
        draw(&(self.text)());
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        erase(&mut drawn());
    }
}

fn can_be_drawn_over() -> bool {
    let term = std::env::var_os("TERM");
    stderr().is_terminal() && term.is_some_and(|term| !term.is_empty() && term != "dumb")
}

fn drawn() -> MutexGuard<'static, bool> {
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn draw(text: &str) {
    let mut drawn = drawn();
    if !is_in_foreground() {
        return;
    }
    let columns = sys::columns(stderr()).unwrap_or(COLUMNS);
    // A line that fills the last column would be continued on the next one.
    let text: String = text.chars().take(columns.saturating_sub(1)).collect();
    *drawn = write_unstopped(&format!("{ERASE}{text}"));
}

fn erase(drawn: &mut bool) {
    if *drawn && is_in_foreground() {
        write_unstopped(ERASE);
    }
    *drawn = false;
}

/// A terminal that does not control us stops nobody.
fn is_in_foreground() -> bool {
    tcgetpgrp(stderr()).map_or(true, |foreground| foreground == getpgrp())
}

/// Blocked, SIGTTOU stops nobody and what is written appears (tty_ioctl(4), POSIX 11.1.4): the
/// foreground may have changed since somebody looked.
fn write_unstopped(text: &str) -> bool {
    let mut stop = SigSet::empty();
    stop.add(Signal::SIGTTOU);
    let before = SigSet::thread_get_mask();
    let is_blocked = stop.thread_block().is_ok();
    let written = stderr().write_all(text.as_bytes()).is_ok();
    if let (Ok(before), true) = (before, is_blocked) {
        let _ = before.thread_set_mask();
    }
    written
}

/// Standard error for messages, each of which is written at once.
pub(super) struct Around;

impl Write for Around {
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        let mut drawn = drawn();
        erase(&mut drawn);
        stderr().write_all(message)?;
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
