//! How far a statement has come, in one line of the terminal, for statements that take longer than a second.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quiredb::{Connection, Progress};

/// Shorter statements show nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time between two pictures.
const INTERVAL: Duration = Duration::from_millis(100);
const BAR_WIDTH: usize = 30;

/// The line, shared with the connection's callback.
#[derive(Clone)]
pub struct ProgressLine {
    state: Arc<Mutex<State>>,
}

struct State {
    started: Instant,
    drawn: Option<Instant>,
    hushed: bool,
}

impl ProgressLine {
    /// Watches a connection, where somebody looks at standard error.
    pub fn watch(connection: &Connection) -> Option<ProgressLine> {
        if !std::io::stderr().is_terminal() {
            return None;
        }
        let state = Arc::new(Mutex::new(State { started: Instant::now(), drawn: None, hushed: false }));
        let line = ProgressLine { state };
        let shared = line.clone();
        connection.set_progress(move |progress| shared.draw(progress));
        Some(line)
    }

    /// A statement begins.
    pub fn begin(&self) {
        if let Ok(mut state) = self.state.lock() {
            *state = State { started: Instant::now(), drawn: None, hushed: false };
        }
    }

    /// Nothing is drawn until the next statement begins: its rows go to the same terminal.
    pub fn hush(&self) {
        if let Ok(mut state) = self.state.lock() {
            state.hushed = true;
        }
    }

    /// A statement ends: the line is cleared.
    pub fn end(&self) {
        if self.state.lock().is_ok_and(|state| state.drawn.is_some()) {
            eprint!("\r\u{1b}[K");
        }
    }

    fn draw(&self, progress: Progress) {
        let Ok(mut state) = self.state.lock() else { return };
        let now = Instant::now();
        let early = state.hushed || now.duration_since(state.started) < PATIENCE;
        if early || state.drawn.is_some_and(|drawn| now.duration_since(drawn) < INTERVAL) {
            return;
        }
        state.drawn = Some(now);
        eprint!("\r{}\u{1b}[K", picture(progress));
        // A terminal that is gone is no reason to stop a load.
        let _ = std::io::stderr().flush();
    }
}

fn picture(progress: Progress) -> String {
    let fraction = progress.fraction();
    let done = (fraction * BAR_WIDTH as f64) as usize;
    let bar = format!("{}{}", "#".repeat(done), ".".repeat(BAR_WIDTH - done));
    format!("[{bar}] {:3.0} %, {} rows", fraction * 100.0, progress.rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_has_one_width() {
        let check = |bytes_read, expected: &str| {
            let load = Progress { bytes_read, bytes_total: 10, rows: 7, ..Progress::default() };
            assert_eq!(picture(load), expected);
            let query = Progress { work_done: bytes_read, work_total: 10, rows: 7, ..Progress::default() };
            assert_eq!(picture(query), expected);
        };
        check(0, "[..............................]   0 %, 7 rows");
        check(5, "[###############...............]  50 %, 7 rows");
        check(10, "[##############################] 100 %, 7 rows");
    }
}
