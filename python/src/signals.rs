//! Ctrl-C while a statement runs: the engine asks now and then, on the calling thread, whether it may go on. There the
//! handlers of signals that have come are run, and what one of them raises ends the statement and is raised by it.

use std::cell::OnceCell;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use pyo3::prelude::*;

/// What a signal's handler has raised while a connection ran a statement.
#[derive(Default)]
pub struct Signals {
    raised: Mutex<Option<PyErr>>,
    has_raised: AtomicBool,
    /// Handlers run just now.
    handling: AtomicBool,
}

impl Signals {
    /// Runs the handlers of signals that have come, on the main thread, which alone may do so; false once one has raised
    /// an exception.
    pub fn may_go_on(&self) -> bool {
        if self.has_raised.load(Ordering::Relaxed) {
            return false;
        }
        if !is_main_thread() {
            return true;
        }
        self.handling.store(true, Ordering::Relaxed);
        let handled = Python::attach(|py| py.check_signals());
        self.handling.store(false, Ordering::Relaxed);
        match handled {
            Ok(()) => true,
            Err(error) => {
                *self.raised.lock() = Some(error);
                self.has_raised.store(true, Ordering::Relaxed);
                false
            }
        }
    }

    /// The exception, behind the statement that it has ended.
    pub fn take(&self) -> PyResult<()> {
        if !self.has_raised.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        self.raised.lock().take().map_or(Ok(()), Err)
    }

    /// Whether the calling thread is in a handler that runs inside a statement.
    pub fn is_in_handler(&self) -> bool {
        self.handling.load(Ordering::Relaxed) && is_main_thread()
    }
}

/// Whether this is the thread that Python runs handlers of signals on.
fn is_main_thread() -> bool {
    thread_local! {
        static IS_MAIN: OnceCell<bool> = const { OnceCell::new() };
    }
    let ask = |py: Python<'_>| {
        let threading = py.import("threading")?;
        let main = threading.call_method0("main_thread")?.getattr("ident")?;
        main.eq(threading.call_method0("get_ident")?)
    };
    // Where that cannot be told, asking for signals does no harm.
    IS_MAIN.with(|is_main| *is_main.get_or_init(|| Python::attach(ask).unwrap_or(true)))
}
