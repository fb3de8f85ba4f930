//! Ctrl-C at the prompt: stops the statement that runs, not the shell.

use quiredb::Connection;

/// From now on Ctrl-C interrupts what the connection runs.
pub fn catch(connection: &Connection) {
    let handle = connection.interrupt_handle();
    // Without a handler Ctrl-C ends the shell, which is what programs do.
    let _ = ctrlc::set_handler(move || handle.interrupt());
}
