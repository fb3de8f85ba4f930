//! What stands in the way of a transaction, by the names that its user knows: storage knows numbers.

use super::{WriteError, WriteTransaction};
use crate::storage::engine::{Area, Intent};
use crate::types::TableId;

impl WriteTransaction {
    /// The error with names of tables, and rows by what identifies them.
    pub(super) fn with_names(&self, error: WriteError) -> WriteError {
        match error {
            WriteError::Conflict { conflict, .. } => {
                let what = self.name_of_intent(conflict.intent);
                WriteError::Conflict { conflict, what }
            }
            WriteError::Busy { busy, .. } => {
                let area = match busy.area {
                    Area::Table(table) => format!("table {}", self.name_of_table(table)),
                    Area::Deletions(table) => {
                        format!("the ends of relationships in table {}", self.name_of_table(table))
                    }
                    area => area.to_string(),
                };
                WriteError::Busy { busy, area }
            }
            error => error,
        }
    }

    fn name_of_intent(&self, intent: Intent) -> String {
        let table = self.name_of_table(intent.table());
        let pair = self.catalog().rel_table_by_id(intent.table()).map(|(_, pair)| (pair.source, pair.target));
        match (intent, pair) {
            (Intent::Node(table, row) | Intent::Row(table, row), _) => self.row_text(table, row),
            (Intent::Key(..), _) => format!("a key or UNIQUE value of {table}"),
            (Intent::Leaving(_, node), Some((source, _))) => {
                format!("the only {table} from {}", self.row_text(source, node))
            }
            (Intent::Arriving(_, node), Some((_, target))) => {
                format!("the only {table} to {}", self.row_text(target, node))
            }
            (Intent::Leaving(..) | Intent::Arriving(..), None) => format!("the only {table} of a node"),
            (Intent::Pattern(..), _) => format!("what MERGE looks for in {table}"),
        }
    }

    fn name_of_table(&self, table: TableId) -> String {
        self.catalog().table_by_id(table).map_or_else(|| table.to_string(), |entry| entry.name().to_owned())
    }
}
