//! What stands on the command line.

use std::path::PathBuf;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, ValueEnum};
use quiredb::{Database, DatabaseBuilder, Dialect, DurabilityMode, SchemaMode};

use crate::render::Mode;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  quire                                     a prompt over a database in memory
  quire people.quire                        a prompt over the directory people.quire
  quire people.quire -c 'MATCH (p:Person) RETURN p.name LIMIT 5'
  quire people.quire -f load.cypher -f questions.cypher --mode csv > answers.csv
  echo 'RETURN 1 + 1;' | quire --mode json  one line of JSON per statement

Without -c and -f, statements come from standard input, each ended by a semicolon; :help at the prompt lists the
commands. The exit status is 0, 1 when a statement failed or a transaction was still open at the end,
2 when the command line or the database is unusable.";

/// A property-graph database in a directory: runs Cypher on it.
#[derive(Debug, Parser)]
#[command(name = "quire", version, max_term_width = 110, after_help = EXAMPLES)]
pub struct Arguments {
    /// A directory, made if it does not exist, or :memory:
    #[arg(value_name = "DATABASE", default_value = ":memory:")]
    pub database: PathBuf,
    /// Run this text and exit; may be given several times
    #[arg(short, long = "command", value_name = "CYPHER")]
    pub command: Vec<String>,
    /// Run this script and exit; may be given several times
    #[arg(short, long = "file", value_name = "FILE")]
    pub file: Vec<PathBuf>,
    /// Show results as table, line, csv, tsv, json, jsonl, markdown, html or trash
    #[arg(long, value_enum, default_value_t = Mode::Table, hide_possible_values = true)]
    pub mode: Mode,
    /// Leave out the names of the columns
    #[arg(long)]
    pub no_header: bool,
    /// What is shown for NULL [default: nothing in csv and tsv, else NULL]
    #[arg(long, value_name = "TEXT")]
    pub null: Option<String>,
    /// Open the database for reading only
    #[arg(long)]
    pub read_only: bool,
    /// Most threads that one statement uses [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub threads: Option<u32>,
    /// Memory for pages, such as 64MB or 2GiB [default: a quarter of the machine's]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub buffer_pool: Option<u64>,
    /// Most memory beside the buffer pool: queries spill what they can, writes are checkpointed, the rest is an error
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory_limit: Option<u64>,
    /// When a commit counts as durable: strict, buffered or in-memory
    #[arg(long, value_name = "MODE", value_enum, default_value_t = Durability::Strict, hide_possible_values = true)]
    pub durability: Durability,
    /// strict: tables are declared (flexible is not supported yet)
    #[arg(long, value_name = "MODE", value_enum, default_value_t = Schema::Strict, hide_possible_values = true)]
    pub schema: Schema,
    /// Read texts as opencypher or kuzu [default: as the database was made]
    #[arg(long, value_name = "NAME", value_enum, hide_possible_values = true)]
    pub dialect: Option<DialectName>,
    /// Stop at the first error (the default for -c and -f)
    #[arg(long, overrides_with = "no_bail")]
    pub bail: bool,
    /// Go on after errors (the default for statements on standard input)
    #[arg(long, overrides_with = "bail")]
    pub no_bail: bool,
    /// Show no progress of long statements
    #[arg(long)]
    pub no_progress: bool,
    /// Show how long each statement takes
    #[arg(long)]
    pub timer: bool,
    /// What -c and -f ask for, in the order of the command line.
    #[arg(skip)]
    pub scripts: Vec<Script>,
}

/// A text to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    Text(String),
    File(PathBuf),
}

/// `--durability`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    Strict,
    Buffered,
    InMemory,
}

/// `--schema`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Schema {
    Strict,
    Flexible,
}

/// `--dialect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DialectName {
    Opencypher,
    Kuzu,
}

impl DialectName {
    pub fn dialect(self) -> Dialect {
        match self {
            DialectName::Opencypher => Dialect::OpenCypher,
            DialectName::Kuzu => Dialect::Kuzu,
        }
    }
}

impl Arguments {
    /// The library's way to say the same.
    pub fn builder(&self) -> DatabaseBuilder {
        let durability = match self.durability {
            Durability::Strict => DurabilityMode::Strict,
            Durability::Buffered => DurabilityMode::Buffered,
            Durability::InMemory => DurabilityMode::InMemory,
        };
        let schema = match self.schema {
            Schema::Strict => SchemaMode::Strict,
            Schema::Flexible => SchemaMode::Flexible,
        };
        let mut builder =
            Database::builder().read_only(self.read_only).durability(durability).schema_mode(schema);
        if let Some(threads) = self.threads {
            builder = builder.threads(threads as usize);
        }
        if let Some(bytes) = self.buffer_pool {
            builder = builder.buffer_pool_size(bytes);
        }
        if let Some(bytes) = self.memory_limit {
            builder = builder.memory_limit(bytes);
        }
        if let Some(dialect) = self.dialect {
            builder = builder.dialect(dialect.dialect());
        }
        builder
    }
}

/// Reads the command line; ends the process with status 2 where it makes no sense.
pub fn read() -> Arguments {
    let matches = Arguments::command().get_matches();
    let mut arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    arguments.scripts = scripts(&arguments, &matches);
    arguments
}

fn scripts(arguments: &Arguments, matches: &ArgMatches) -> Vec<Script> {
    let places = |id: &str| matches.indices_of(id).into_iter().flatten();
    let texts = places("command").zip(arguments.command.iter().cloned().map(Script::Text));
    let files = places("file").zip(arguments.file.iter().cloned().map(Script::File));
    let mut scripts: Vec<(usize, Script)> = texts.chain(files).collect();
    scripts.sort_by_key(|(place, _)| *place);
    scripts.into_iter().map(|(_, script)| script).collect()
}

/// `64MB`, `1.5GiB`, `4096`: MB and the like count by thousands, MiB by 1024.
fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: f64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1_048_576.0,
        "gib" => 1_073_741_824.0,
        "tib" => 1_099_511_627_776.0,
        other => return Err(format!("{other} is no unit; there are KB, MB, GB, TB and KiB, MiB, GiB, TiB")),
    };
    let number: f64 =
        number.parse().map_err(|_| "a size is a number with a unit, such as 64MB".to_owned())?;
    let bytes = number * factor;
    if (1.0..9e18).contains(&bytes) { Ok(bytes as u64) } else { Err("this is no possible size".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn sizes_have_units() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(parse_size(text).ok(), expected, "{text}");
        check("64MB", Some(64_000_000));
        check("64 MiB", Some(64 << 20));
        check("1.5gib", Some(3 << 29));
        check("4096", Some(4096));
        check("", None);
        check("0MB", None);
        check("12 parsecs", None);
        check("1e3", None);
    }

    #[test]
    fn scripts_keep_the_order_of_the_command_line() {
        let matches = Arguments::command().get_matches_from(["quire", "-c", "1", "-f", "2", "-c", "3"]);
        let arguments = Arguments::from_arg_matches(&matches).unwrap();
        let expected =
            [Script::Text("1".to_owned()), Script::File(PathBuf::from("2")), Script::Text("3".to_owned())];
        assert_eq!(scripts(&arguments, &matches), expected);
    }
}
