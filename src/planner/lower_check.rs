//! CHECKs as expressions over the columns that they read.

use super::cardinality::Estimator;
use super::error::PlanError;
use super::lower_expression::{ColumnKey, Lowering};
use super::physical_plan::TableCheck;
use crate::binder::bound::{BoundCheck, Variable};
use crate::catalog::{Catalog, Statistics};

/// Lowers conditions over these variables.
pub fn lower_checks(
    checks: &[BoundCheck],
    variables: &[Variable],
    catalog: &Catalog,
    statistics: &Statistics,
) -> Result<Vec<TableCheck>, PlanError> {
    let estimator = Estimator { catalog, statistics, arrays: true };
    let lowering = Lowering::new(variables, estimator);
    let lower = |check: &BoundCheck| {
        let schema: Vec<ColumnKey> =
            check.columns.iter().map(|column| ColumnKey::Variable(column.variable)).collect();
        let columns = check.columns.iter().zip(&schema);
        TableCheck {
            table: check.table,
            text: check.text.clone(),
            columns: columns
                .map(|(column, key)| (column.column, column.name.clone(), lowering.type_of(key)))
                .collect(),
            condition: lowering.expression(&check.condition, &schema),
        }
    };
    let lowered = checks.iter().map(lower).collect();
    lowering.faults.none_in(lowered)
}
