//! The loop of the command: statements and commands in, results and errors out.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use quiredb::{Connection, Database, Error, Params, QueryResult};

use crate::arguments::{Arguments, Script};
use crate::commands::Next;
use crate::input::{Piece, StatementBuffer};
use crate::interrupt;
use crate::output::Output;
use crate::progress::ProgressLine;
use crate::render::{Fault, Mode, Style, json, render, render_stream};
use crate::report::{self, Source};

/// Scripts may read scripts so deep.
const READ_DEPTH_MAX: usize = 32;

/// What the loop carries along.
pub struct Shell {
    pub database: Database,
    pub connection: Connection,
    pub output: Output,
    pub mode: Mode,
    pub style: Style,
    pub timer: bool,
    /// For the next statement only.
    pub params: Params,
    /// What was wrong with the lines before a statement, or in it; the statement fails for it.
    pub pending_fault: Option<(&'static str, String)>,
    /// Whether an empty line stands before the next table, to set it off from what was shown before.
    pub gap: bool,
    progress: Option<ProgressLine>,
    /// Whether somebody sits at a terminal.
    pub interactive: bool,
    bail: bool,
    failed: bool,
    depth: usize,
}

/// Opens the database and runs what the command line asks for.
pub fn run(arguments: Arguments) -> io::Result<ExitCode> {
    let database = match arguments.builder().open(&arguments.database) {
        Ok(database) => database,
        Err(error) => return cannot_open(&arguments, &error),
    };
    let connection = match database.connect() {
        Ok(connection) => connection,
        Err(error) => return cannot_open(&arguments, &error),
    };
    if let Some(dialect) = arguments.dialect {
        connection.set_dialect(dialect.dialect());
    }
    let mut shell = Shell::new(database, connection, &arguments);
    let finished =
        if arguments.scripts.is_empty() { shell.run_input() } else { shell.run_scripts(arguments.scripts) };
    shell.output.flush()?;
    finished?;
    shell.end_transaction();
    shell.close()
}

fn cannot_open(arguments: &Arguments, error: &Error) -> io::Result<ExitCode> {
    if arguments.mode == Mode::Json {
        let mut line = Vec::new();
        json::write_fault(&mut line, error.kind().code(), "compile", error.message(), None, error.hint());
        io::stdout().write_all(&line)?;
        io::stdout().flush()?;
    } else {
        let hint = error.hint().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
        report::plain_error(&format!(
            "{} cannot be opened: {}{hint}",
            arguments.database.display(),
            error.message()
        ));
    }
    Ok(ExitCode::from(2))
}

impl Shell {
    fn new(database: Database, connection: Connection, arguments: &Arguments) -> Shell {
        let reads_input = arguments.scripts.is_empty();
        let interactive = reads_input && io::stdin().is_terminal();
        if interactive {
            interrupt::catch(&connection);
        }
        let progress = if arguments.no_progress { None } else { ProgressLine::watch(&connection) };
        let style = Style {
            header: !arguments.no_header,
            null: arguments.null.clone(),
            boxes: io::stdout().is_terminal(),
        };
        Shell {
            database,
            connection,
            output: Output::standard(),
            mode: arguments.mode,
            style,
            timer: arguments.timer,
            params: Params::new(),
            pending_fault: None,
            gap: false,
            progress,
            interactive,
            bail: arguments.bail || (!reads_input && !arguments.no_bail),
            failed: false,
            depth: 0,
        }
    }

    fn run_scripts(&mut self, scripts: Vec<Script>) -> io::Result<()> {
        for script in scripts {
            let next = match script {
                Script::Text(text) => self.run_lines(&mut text.as_bytes(), None)?,
                Script::File(path) => self.read_file(&path)?,
            };
            if next == Next::Quit {
                break;
            }
        }
        Ok(())
    }

    /// Statements from standard input, with a prompt where somebody types them.
    fn run_input(&mut self) -> io::Result<()> {
        if self.interactive {
            println!("quire {} — :help lists the commands, :quit ends", env!("CARGO_PKG_VERSION"));
        }
        self.run_lines(&mut io::stdin().lock(), None).map(|_| ())
    }

    /// Runs a script.
    pub fn read_file(&mut self, path: &Path) -> io::Result<Next> {
        let file = match File::open(path) {
            Ok(file) if self.depth < READ_DEPTH_MAX => file,
            Ok(_) => return Ok(self.fault(&format!("{}: scripts read each other too deep", path.display()))),
            Err(error) => return Ok(self.fault(&format!("{} cannot be read: {error}", path.display()))),
        };
        let interactive = std::mem::take(&mut self.interactive);
        self.depth += 1;
        let result = self.run_lines(&mut BufReader::new(file), Some(&path.display().to_string()));
        self.depth -= 1;
        self.interactive = interactive;
        result
    }

    /// Runs everything that a source holds.
    fn run_lines(&mut self, source: &mut dyn BufRead, name: Option<&str>) -> io::Result<Next> {
        let mut buffer = StatementBuffer::default();
        let mut line = Vec::new();
        loop {
            self.prompt(&buffer)?;
            line.clear();
            interrupt::was_pressed();
            if source.read_until(b'\n', &mut line)? == 0 {
                if self.interactive {
                    println!();
                }
                break;
            }
            let text = String::from_utf8_lossy(&line);
            if matches!(text, Cow::Owned(_)) {
                // The semicolons stay where they are, so that exactly the statement fails that the bytes belong to.
                self.pending_fault.get_or_insert(("SYNTAX", "the statement is not UTF-8".to_owned()));
            }
            if self.interactive && interrupt::was_pressed() {
                // Pressed while the line was typed: what has begun is dropped, and this line begins anew.
                buffer.skip_line();
            }
            let is_word = self.interactive && matches!(text.trim(), "help" | "quit" | "exit");
            let is_command = (text.starts_with([':', '.']) || is_word) && buffer.is_blank();
            let next = if is_command {
                buffer.skip_line();
                let command = text.trim();
                if is_word { self.run_command(&format!(":{command}"))? } else { self.run_command(command)? }
            } else {
                buffer.push(&text);
                self.run_pieces(&mut buffer, name)?
            };
            if next == Next::Quit {
                return Ok(Next::Quit);
            }
        }
        match buffer.finish() {
            Some(piece) => self.run_piece(&piece, name),
            None => Ok(Next::Go),
        }
    }

    fn run_pieces(&mut self, buffer: &mut StatementBuffer, name: Option<&str>) -> io::Result<Next> {
        while let Some(piece) = buffer.next() {
            if self.run_piece(&piece, name)? == Next::Quit {
                return Ok(Next::Quit);
            }
        }
        Ok(Next::Go)
    }

    /// Runs one statement and shows its result or its error.
    fn run_piece(&mut self, piece: &Piece, name: Option<&str>) -> io::Result<Next> {
        let params = std::mem::take(&mut self.params);
        if let Some((code, fault)) = self.pending_fault.take() {
            return self.refuse(code, &fault);
        }
        self.progress.iter().for_each(ProgressLine::begin);
        let started = Instant::now();
        let shown = match self.mode.streams() {
            true => self.run_streaming(&piece.text, params),
            false => self.run_whole(&piece.text, params),
        };
        self.progress.iter().for_each(ProgressLine::end);
        let ok = match shown {
            Ok(()) => true,
            Err(Fault::Output(error)) => return Err(error),
            Err(Fault::Statement(error)) if self.mode == Mode::Json => {
                json::write_error(&error, &mut self.output.buffer);
                false
            }
            Err(Fault::Statement(error)) => {
                self.output.flush()?;
                let source = match name {
                    _ if self.interactive => Source::Prompt,
                    Some(name) => Source::Script(name),
                    None => Source::Text,
                };
                report::statement_error(&error, piece, source);
                false
            }
        };
        self.output.flush()?;
        if self.timer {
            eprintln!("time: {:.3} ms", started.elapsed().as_secs_f64() * 1e3);
        }
        Ok(if ok { Next::Go } else { self.failure() })
    }

    /// Shows rows as they come, so that a long result needs little memory.
    fn run_streaming(&mut self, text: &str, params: Params) -> Result<(), Fault> {
        if io::stdout().is_terminal() && !self.output.is_file() {
            self.progress.iter().for_each(ProgressLine::hush);
        }
        let mut stream = self.connection.stream_with(text, params)?;
        render_stream(&mut stream, self.mode, &self.style, &mut self.output)
    }

    fn run_whole(&mut self, text: &str, params: Params) -> Result<(), Fault> {
        let result = self.connection.query_with(text, params);
        self.progress.iter().for_each(ProgressLine::end);
        self.show(&result?)?;
        Ok(())
    }

    fn show(&mut self, result: &QueryResult) -> io::Result<()> {
        let has_rows = !result.columns().is_empty();
        if has_rows && self.mode == Mode::Table {
            self.set_off();
        }
        render(result, self.mode, &self.style, &mut self.output)?;
        if self.mode == Mode::Table {
            let elapsed = self.interactive && !self.output.is_file();
            if let Some(line) = footer(result, elapsed) {
                self.output.buffer.extend_from_slice(line.as_bytes());
                self.output.buffer.push(b'\n');
            }
            self.gap = true;
        }
        Ok(())
    }

    /// An empty line between what was shown and what comes.
    pub fn set_off(&mut self) {
        if std::mem::take(&mut self.gap) {
            self.output.buffer.push(b'\n');
        }
    }

    /// A statement that cannot run for its parameters or its bytes.
    fn refuse(&mut self, code: &str, fault: &str) -> io::Result<Next> {
        if self.mode == Mode::Json {
            json::write_fault(&mut self.output.buffer, code, "compile", fault, None, None);
            self.output.flush()?;
        } else {
            report::plain_error(fault);
        }
        Ok(self.failure())
    }

    /// Something went wrong that is no statement's error.
    pub fn fault(&mut self, message: &str) -> Next {
        report::plain_error(message);
        self.failure()
    }

    fn failure(&mut self) -> Next {
        // Whoever sits at a terminal has seen the error; it is not told to the shell again.
        self.failed |= !self.interactive;
        if self.bail { Next::Quit } else { Next::Go }
    }

    fn prompt(&mut self, buffer: &StatementBuffer) -> io::Result<()> {
        if !self.interactive {
            return Ok(());
        }
        print!("{}", if buffer.is_blank() { "quire> " } else { "   ..> " });
        io::stdout().flush()
    }

    /// What nobody has committed by the end is not kept, and whoever wrote BEGIN is told.
    fn end_transaction(&mut self) {
        if self.connection.is_in_transaction() {
            // Dropping the connection would do the same.
            let _ = self.connection.query("ROLLBACK");
            self.fault("BEGIN without COMMIT: the transaction was still open at the end and is rolled back");
        }
    }

    fn close(self) -> io::Result<ExitCode> {
        let Shell { database, connection, failed, .. } = self;
        drop(connection);
        if let Err(error) = database.close() {
            report::plain_error(&format!("the database was not closed properly: {error}"));
            return Ok(ExitCode::from(1));
        }
        Ok(ExitCode::from(u8::from(failed)))
    }
}

/// What stands below a table: its rows, or what the statement changed. Nothing for a definition, BEGIN and the like in a
/// script, which only fail or succeed.
fn footer(result: &QueryResult, with_time: bool) -> Option<String> {
    let summary = result.summary();
    let counted = |count: u64, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    let changes = [
        (summary.changes.nodes_created, "node created", "nodes created"),
        (summary.changes.rels_created, "relationship created", "relationships created"),
        (summary.changes.nodes_deleted, "node deleted", "nodes deleted"),
        (summary.changes.rels_deleted, "relationship deleted", "relationships deleted"),
        (summary.changes.properties_set, "property set", "properties set"),
        (summary.rows_rejected, "row passed over", "rows passed over"),
    ];
    let changes = changes.into_iter().filter(|(count, ..)| *count > 0);
    let mut parts: Vec<String> = changes.map(|(count, one, many)| counted(count, one, many)).collect();
    if summary.wrote && !summary.defined && parts.is_empty() {
        parts.push("0 changes".to_owned());
    }
    if !result.columns().is_empty() {
        parts.insert(0, counted(result.len() as u64, "row", "rows"));
    }
    if with_time {
        let elapsed = (summary.compile_time + summary.execution_time).as_secs_f64() * 1e3;
        let done = if parts.is_empty() { "done".to_owned() } else { parts.join(", ") };
        return Some(format!("{done} in {elapsed:.2} ms"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}
