//! The `quire` command: Cypher from the command line, from scripts and from other programs. It uses the library's
//! public interface only.

mod arguments;
mod commands;
mod input;
mod interrupt;
mod output;
mod parameter;
mod progress;
mod render;
mod report;
mod shell;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = arguments::read();
    match shell::run(arguments) {
        Ok(code) => code,
        // Whoever read the output has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quire: {error}");
            ExitCode::from(1)
        }
    }
}
