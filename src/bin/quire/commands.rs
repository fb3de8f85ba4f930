//! Commands of the shell: `:name` or `.name`, one per line, between statements.

use std::io;
use std::path::Path;

use clap::ValueEnum;
use quiredb::Catalog;
use quiredb::catalog::ColumnSchema;
use quiredb::types::ColumnId;

use crate::parameter::parse_value;
use crate::render::Mode;
use crate::shell::Shell;

/// Whether the loop goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Go,
    Quit,
}

const HELP: &str = "\
:help                   this list
:tables                 the tables
:schema [TABLE]         the definition of all tables, or of one
:import FILE TABLE      load a CSV file with a header into a table
:param NAME JSON        a parameter for the next statement only
:mode [MODE]            how results are shown: table, line, csv, tsv, json, jsonl, markdown, html, trash
:timer [on|off]         show how long each statement takes
:read FILE              run a script
:print TEXT             show a text, such as a heading for the next result
:output [FILE]          write results to a file; without FILE back to the screen
:stats                  the buffer pool, the memory, the files and the log
:quit                   end; so does the end of the input
Statements end with a semicolon and may span lines. Commands may begin with a dot instead of a colon.
";

impl Shell {
    /// Runs a line that is a command.
    pub fn run_command(&mut self, line: &str) -> io::Result<Next> {
        let line = line.get(1..).unwrap_or("");
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match name {
            "help" | "h" | "?" => self.say(HELP)?,
            "tables" => return self.show_tables(),
            "schema" => return self.show_schema(rest),
            "import" => return self.import(rest),
            "param" => self.set_param(rest),
            "mode" => return self.set_mode(rest),
            "print" => {
                self.set_off();
                self.say(&format!("{}\n", unquoted(rest)))?;
            }
            "timer" => self.timer = if rest.is_empty() { !self.timer } else { rest == "on" },
            "read" if !rest.is_empty() => return self.read_file(Path::new(unquoted(rest))),
            "output" | "once" => return self.redirect(rest),
            "stats" => return self.show_stats(),
            "quit" | "exit" | "q" => return Ok(Next::Quit),
            _ => return Ok(self.fault(&format!("there is no command :{line}; :help lists them"))),
        }
        Ok(Next::Go)
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.output.buffer.extend_from_slice(text.as_bytes());
        self.output.flush()
    }

    /// What is wrong is told by the next statement, which the parameter is for.
    fn set_param(&mut self, rest: &str) {
        let Some((name, json)) = rest.split_once(char::is_whitespace) else {
            self.pending_fault = Some(("PARAMETER", ":param takes a name and a JSON value".to_owned()));
            return;
        };
        let name = name.strip_prefix('$').unwrap_or(name);
        match parse_value(json) {
            Ok(value) => {
                self.params.set(name.to_owned(), value);
            }
            Err(message) => {
                self.pending_fault = Some(("PARAMETER", format!("the parameter ${name}: {message}")));
            }
        }
    }

    fn set_mode(&mut self, rest: &str) -> io::Result<Next> {
        let names = || Mode::value_variants().iter().filter_map(|mode| mode.to_possible_value());
        if rest.is_empty() {
            let current =
                self.mode.to_possible_value().map_or_else(String::new, |mode| mode.get_name().to_owned());
            self.say(&format!("{current}\n"))?;
            return Ok(Next::Go);
        }
        match Mode::from_str(rest, true) {
            Ok(mode) => {
                self.mode = mode;
                Ok(Next::Go)
            }
            Err(_) => {
                let names: Vec<String> = names().map(|name| name.get_name().to_owned()).collect();
                Ok(self.fault(&format!("there is no mode {rest}; there are {}", names.join(", "))))
            }
        }
    }

    fn redirect(&mut self, rest: &str) -> io::Result<Next> {
        let path = (!rest.is_empty()).then(|| Path::new(unquoted(rest)));
        match self.output.redirect(path) {
            Ok(()) => Ok(Next::Go),
            Err(error) => Ok(self.fault(&format!("{rest} cannot be written: {error}"))),
        }
    }

    fn import(&mut self, rest: &str) -> io::Result<Next> {
        let Some((file, table)) = rest.rsplit_once(char::is_whitespace) else {
            return Ok(self.fault(":import takes a file and a table"));
        };
        let file = unquoted(file.trim());
        let config = quiredb::CsvImportConfig::default();
        match self.database.import_nodes(table, file, &config, |_| {}) {
            Ok(summary) => {
                self.say(&format!(
                    "{} rows in {:.2} ms\n",
                    summary.rows,
                    summary.elapsed.as_secs_f64() * 1e3
                ))?;
                Ok(Next::Go)
            }
            Err(error) => Ok(self.fault(error.message())),
        }
    }

    fn show_tables(&mut self) -> io::Result<Next> {
        let catalog = match self.connection.catalog() {
            Ok(catalog) => catalog,
            Err(error) => return Ok(self.fault(error.message())),
        };
        let mut text = String::new();
        for table in catalog.node_tables() {
            text.push_str(&format!("{} (node)\n", table.name));
        }
        for rel_type in catalog.rel_types() {
            text.push_str(&format!("{} (rel)\n", rel_type.name));
        }
        self.say(&text)?;
        Ok(Next::Go)
    }

    fn show_schema(&mut self, table: &str) -> io::Result<Next> {
        let catalog = match self.connection.catalog() {
            Ok(catalog) => catalog,
            Err(error) => return Ok(self.fault(error.message())),
        };
        if !table.is_empty() && catalog.table(table).is_none() {
            return Ok(self.fault(&format!("there is no table {table}")));
        }
        self.say(&definitions(&catalog, table))?;
        Ok(Next::Go)
    }

    fn show_stats(&mut self) -> io::Result<Next> {
        let pool = self.database.buffer_pool_stats();
        let storage = match self.database.storage_stats() {
            Ok(storage) => storage,
            Err(error) => return Ok(self.fault(error.message())),
        };
        let plans = self.connection.plan_cache_stats();
        self.say(&format!(
            "buffer pool   {} of {} bytes used, {} resident; {} hits, {} misses, {} evictions, hit rate {:.1} %\n\
             files         {} bytes, {} pages, {} of them free; version {}, {} snapshots held\n\
             log           {} bytes in {} files; {} bytes of changes that no page has yet; {} checkpoints\n\
             memory        {} of {} bytes used beside the buffer pool, {} at most\n\
             plan cache    {} plans; {} hits, {} misses\n",
            pool.used_bytes,
            pool.limit_bytes,
            pool.resident_bytes,
            pool.hits,
            pool.misses,
            pool.evictions,
            pool.hit_rate() * 100.0,
            storage.file_bytes,
            storage.pages,
            storage.free_pages,
            storage.version,
            storage.snapshots,
            storage.wal_bytes,
            storage.wal_segments,
            storage.delta_bytes,
            storage.checkpoints,
            storage.memory.total.used,
            storage.memory.limit,
            storage.memory.total.peak,
            plans.plans,
            plans.hits,
            plans.misses,
        ))?;
        Ok(Next::Go)
    }
}

/// The statements that make the tables again, all of them or one.
fn definitions(catalog: &Catalog, only: &str) -> String {
    let wanted = |name: &str| only.is_empty() || only == name;
    let mut text = String::new();
    for table in catalog.node_tables().iter().filter(|table| wanted(&table.name)) {
        let keys: Vec<String> = table.key_columns().map(|column| quoted(&column.name)).collect();
        let column = |column| column_text(column, &table.primary_key);
        let mut parts: Vec<String> = table.columns.iter().map(column).collect();
        parts.push(format!("PRIMARY KEY ({})", keys.join(", ")));
        text.push_str(&format!("CREATE NODE TABLE {}({});\n", quoted(&table.name), parts.join(", ")));
    }
    let name_of = |id| catalog.node_table_by_id(id).map_or("?".to_owned(), |table| quoted(&table.name));
    for rel_type in catalog.rel_types().iter().filter(|rel_type| wanted(&rel_type.name)) {
        let pairs = rel_type
            .tables
            .iter()
            .map(|pair| format!("FROM {} TO {}", name_of(pair.source), name_of(pair.target)));
        let parts: Vec<String> =
            pairs.chain(rel_type.columns.iter().map(|column| column_text(column, &[]))).collect();
        let multiplicity = match rel_type.multiplicity {
            quiredb::catalog::Multiplicity::ManyMany => "",
            quiredb::catalog::Multiplicity::ManyOne => ", MANY_ONE",
            quiredb::catalog::Multiplicity::OneMany => ", ONE_MANY",
            quiredb::catalog::Multiplicity::OneOne => ", ONE_ONE",
        };
        text.push_str(&format!(
            "CREATE REL TABLE {}({}{multiplicity});\n",
            quoted(&rel_type.name),
            parts.join(", ")
        ));
    }
    text
}

/// Keys are never null, so that need not be said.
fn column_text(column: &ColumnSchema, key: &[ColumnId]) -> String {
    let mut text = format!("{} {}", quoted(&column.name), column.data_type);
    if let Some(default) = &column.default {
        text.push_str(&format!(" DEFAULT {default}"));
    }
    for (is_so, words) in
        [(column.not_null && !key.contains(&column.id), " NOT NULL"), (column.unique, " UNIQUE")]
    {
        text.push_str(if is_so { words } else { "" });
    }
    text
}

/// A name as it can be typed: in backticks unless it is a plain word.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts_plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_plain && name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("`{}`", name.replace('`', "``"))
    }
}

fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    inner('\'').or_else(|| inner('"')).unwrap_or(text)
}
