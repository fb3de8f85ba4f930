//! Ctrl-C at the prompt: stops the statement that runs, not the shell.

use std::sync::atomic::{AtomicBool, Ordering};

use quiredb::Connection;

static PRESSED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C interrupts what the connection runs.
pub fn catch(connection: &Connection) {
    let handle = connection.interrupt_handle();
    // Without a handler Ctrl-C ends the shell, which is what programs do.
    let _ = ctrlc::set_handler(move || {
        PRESSED.store(true, Ordering::SeqCst);
        handle.interrupt();
    });
}

/// Whether Ctrl-C was pressed since the last call.
pub fn was_pressed() -> bool {
    PRESSED.swap(false, Ordering::SeqCst)
}
