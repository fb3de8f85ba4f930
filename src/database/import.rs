//! Bulk loads by function calls: COPY for programs that do not want to write its text.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use super::Database;
use crate::connection::Progress;
use crate::error::{Error, ErrorKind, Result};

/// How a CSV file is written. The default is RFC 4180 with a header; nothing is guessed from the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvImportConfig {
    /// Between two fields.
    pub delimiter: char,
    /// Around a field that may hold delimiters, line ends and quotes.
    pub quote: char,
    /// Before a quote inside a quoted field; by RFC 4180 the quote itself.
    pub escape: char,
    /// Whether the first record names the columns and is no data.
    pub header: bool,
    /// Lines at the start that are passed over, before any header.
    pub skip: u64,
    /// Unquoted texts that mean NULL.
    pub null_strings: Vec<String>,
    /// The properties in the order of the file's fields; empty means all, in their order of declaration.
    pub columns: Vec<String>,
    /// Whether several threads may parse.
    pub parallel: bool,
    /// For a relationship table with several FROM/TO pairs: the one that the file belongs to.
    pub endpoints: Option<(String, String)>,
}

impl Default for CsvImportConfig {
    fn default() -> CsvImportConfig {
        CsvImportConfig {
            delimiter: ',',
            quote: '"',
            escape: '"',
            header: true,
            skip: 0,
            null_strings: vec![String::new()],
            columns: Vec::new(),
            parallel: true,
            endpoints: None,
        }
    }
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportSummary {
    /// Rows that are in the table now and were not before.
    pub rows: u64,
    /// Rows that were passed over.
    pub rows_rejected: u64,
    /// How long it took, commit included.
    pub elapsed: Duration,
}

impl Database {
    /// Loads a CSV file, or several by a pattern with `*`, into a node table: all rows or none.
    ///
    /// ```
    /// # fn main() -> quiredb::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("cities.csv");
    /// std::fs::write(&path, "id,name\n1,Cairo\n2,Lima\n").unwrap();
    /// let database = quiredb::Database::in_memory()?;
    /// let connection = database.connect()?;
    /// connection.query("CREATE NODE TABLE City(id INT64 PRIMARY KEY, name STRING)")?;
    /// let summary = database.import_nodes("City", &path, &Default::default(), |_| {})?;
    /// assert_eq!(summary.rows, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn import_nodes(
        &self,
        table: &str,
        path: impl AsRef<Path>,
        config: &CsvImportConfig,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<ImportSummary> {
        self.import(table, path.as_ref(), config, progress)
    }

    /// Loads a CSV file, or several by a pattern with `*`, into a relationship table: all rows or none. The first
    /// fields of a row are the keys of its two ends.
    pub fn import_relationships(
        &self,
        table: &str,
        path: impl AsRef<Path>,
        config: &CsvImportConfig,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<ImportSummary> {
        self.import(table, path.as_ref(), config, progress)
    }

    fn import(
        &self,
        table: &str,
        path: &Path,
        config: &CsvImportConfig,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<ImportSummary> {
        let statement = copy_statement(table, path, config)?;
        let connection = self.connect()?;
        connection.set_progress(progress);
        let result = connection.query(&statement)?;
        let summary = result.summary();
        Ok(ImportSummary {
            rows: summary.changes.nodes_created + summary.changes.rels_created,
            rows_rejected: summary.rows_rejected,
            elapsed: summary.compile_time + summary.execution_time,
        })
    }
}

fn copy_statement(table: &str, path: &Path, config: &CsvImportConfig) -> Result<String> {
    let Some(path) = path.to_str() else {
        let message = format!("the path {} is not Unicode text", path.display());
        return Err(Error::new(ErrorKind::Csv, message).compile());
    };
    let mut text = format!("COPY {}", quoted_name(table));
    if !config.columns.is_empty() {
        let names: Vec<String> = config.columns.iter().map(|name| quoted_name(name)).collect();
        // Writing to a string cannot fail, here and below.
        let _ = write!(text, "({})", names.join(", "));
    }
    let nulls: Vec<String> = config.null_strings.iter().map(|null| quoted_text(null)).collect();
    let _ = write!(
        text,
        " FROM {} (header = {}, delim = {}, quote = {}, escape = {}, skip = {}, parallel = {}, null_strings = [{}]",
        quoted_text(path),
        config.header,
        quoted_text(&config.delimiter.to_string()),
        quoted_text(&config.quote.to_string()),
        quoted_text(&config.escape.to_string()),
        config.skip,
        config.parallel,
        nulls.join(", "),
    );
    if let Some((from, to)) = &config.endpoints {
        let _ = write!(text, ", from = {}, to = {}", quoted_text(from), quoted_text(to));
    }
    text.push(')');
    Ok(text)
}

fn quoted_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn quoted_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for character in text.chars() {
        match character {
            '\'' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_quoted() {
        let config = CsvImportConfig {
            columns: vec!["a`b".to_owned()],
            endpoints: Some(("A".to_owned(), "B".to_owned())),
            ..CsvImportConfig::default()
        };
        let statement = copy_statement("my table", Path::new("it's\\here.csv"), &config).unwrap();
        assert_eq!(
            statement,
            "COPY `my table`(`a``b`) FROM 'it\\'s\\\\here.csv' (header = true, delim = ',', quote = '\"', \
             escape = '\"', skip = 0, parallel = true, null_strings = [''], from = 'A', to = 'B')"
        );
        assert!(crate::parser::parse_statement(&statement).is_ok());
    }
}
