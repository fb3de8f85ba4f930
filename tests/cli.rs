//! The `quire` command as programs and people use it: the real binary, with arguments, scripts and pipes.

#[path = "cli/errors.rs"]
mod errors;
#[path = "cli/protocol.rs"]
mod protocol;
#[path = "cli/results.rs"]
mod results;
#[path = "cli/scripts.rs"]
mod scripts;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a run of the command leaves.
#[derive(Debug)]
struct Run {
    status: i32,
    out: String,
    err: String,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quire"));
    command.args(arguments).env("NO_COLOR", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the command with a text on its standard input.
fn quire(arguments: &[&str], input: impl AsRef<[u8]>) -> Run {
    let mut child = command(arguments).spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("a pipe was asked for");
    // A command that does not read its input may be gone already.
    let _ = stdin.write_all(input.as_ref());
    drop(stdin);
    let output = child.wait_with_output().expect("the binary ends");
    Run {
        status: output.status.code().expect("no signal ended it"),
        out: String::from_utf8(output.stdout).expect("the output is UTF-8"),
        err: String::from_utf8(output.stderr).expect("the errors are UTF-8"),
    }
}

/// Runs the command, which has to succeed without a word on standard error.
fn succeed(arguments: &[&str], input: &str) -> String {
    let run = quire(arguments, input);
    assert_eq!((run.status, run.err.as_str()), (0, ""), "{arguments:?}: {}", run.out);
    run.out
}

/// A file with this content in the folder, as text for the command line.
fn file(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("the folder can be written");
    path.to_str().expect("temporary folders have plain names").to_owned()
}

/// Statements that make a small graph of people and of who knows whom, from files in the folder.
fn people(folder: &Path) -> String {
    let person =
        file(folder, "person.csv", "id,name,born\n1,Ada,1815\n2,Grace,1906\n3,\"Radia, \"\"R\"\"\",\n");
    let knows = file(folder, "knows.csv", "from,to,since\n1,2,1990\n2,3,1999\n1,3,2001\n");
    format!(
        "CREATE NODE TABLE Person(id INT64, name STRING, born INT64, PRIMARY KEY (id));\n\
         CREATE REL TABLE Knows(FROM Person TO Person, since INT64);\n\
         COPY Person FROM '{person}' (HEADER = true);\n\
         COPY Knows FROM '{knows}' (HEADER = true);\n"
    )
}
