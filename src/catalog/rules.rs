//! What names, columns and keys must fulfil.

use super::catalog::CatalogResult;
use super::error::CatalogError;
use super::schema::{ColumnSchema, NewColumn};
use crate::types::{ColumnId, DataType, closest_name};

/// Ids of columns that a schema declares are below; those from here on name what a table has by itself
/// (label set, ends of a relationship).
const RESERVED_COLUMNS: u32 = 0xFFFF_FF00;
/// Tables of one graph: the low 16 bits of a table id, all ones excluded.
pub(super) const TABLES_MAX: u32 = 0xFFFF;
/// Bytes of a name.
const NAME_BYTES_MAX: usize = 64 * 1024;

pub(super) fn duplicate_column(table: &str, column: &str) -> CatalogError {
    CatalogError::DuplicateColumn { table: table.to_owned(), column: column.to_owned() }
}

pub(super) fn duplicate_pair(name: &str, source: &str, target: &str) -> CatalogError {
    CatalogError::DuplicatePair {
        name: name.to_owned(),
        source_table: source.to_owned(),
        target_table: target.to_owned(),
    }
}

pub(super) fn tables_used_up() -> CatalogError {
    CatalogError::Limit { what: "tables ever created", limit: u64::from(TABLES_MAX) }
}

pub(super) fn check_name(name: &str) -> CatalogResult<()> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        let shown = name.chars().take(64).collect();
        return Err(CatalogError::InvalidName { name: shown });
    }
    Ok(())
}

pub(super) fn column_position(table: &str, columns: &[ColumnSchema], name: &str) -> CatalogResult<usize> {
    columns.iter().position(|column| column.name == name).ok_or_else(|| CatalogError::MissingColumn {
        table: table.to_owned(),
        column: name.to_owned(),
        suggestion: closest_name(name, columns.iter().map(|column| column.name.as_str())),
    })
}

/// Checks the columns to be added beside `existing` and gives them their ids.
pub(super) fn new_columns(
    table: &str,
    existing: &[ColumnSchema],
    new: Vec<NewColumn>,
    next_column: &mut u32,
) -> CatalogResult<Vec<ColumnSchema>> {
    let mut columns: Vec<ColumnSchema> = Vec::with_capacity(new.len());
    for column in new {
        check_name(&column.name)?;
        if existing.iter().chain(&columns).any(|other| other.name == column.name) {
            return Err(duplicate_column(table, &column.name));
        }
        if !can_be_stored(&column.data_type) {
            let NewColumn { name, data_type, .. } = column;
            return Err(CatalogError::InvalidColumnType { table: table.to_owned(), column: name, data_type });
        }
        if *next_column >= RESERVED_COLUMNS {
            return Err(CatalogError::Limit {
                what: "columns ever created",
                limit: u64::from(RESERVED_COLUMNS),
            });
        }
        columns.push(ColumnSchema {
            id: ColumnId(*next_column),
            name: column.name,
            data_type: column.data_type,
            default: column.default,
            not_null: column.not_null,
            unique: column.unique,
            check: column.check,
            comment: None,
        });
        *next_column += 1;
    }
    Ok(columns)
}

/// Finds the key's columns, checks that they can be keys and makes them NOT NULL.
pub(super) fn key_columns(
    table: &str,
    columns: &mut [ColumnSchema],
    names: &[String],
) -> CatalogResult<Vec<ColumnId>> {
    let mut key = Vec::with_capacity(names.len());
    for name in names {
        let Some(at) = columns.iter().position(|column| column.name == *name) else {
            return Err(CatalogError::UnknownKeyColumn {
                table: table.to_owned(),
                column: name.clone(),
                suggestion: closest_name(name, columns.iter().map(|column| column.name.as_str())),
            });
        };
        let column = &mut columns[at];
        if key.contains(&column.id) {
            return Err(CatalogError::DuplicateKeyColumn { table: table.to_owned(), column: name.clone() });
        }
        if !can_be_key(&column.data_type) {
            let data_type = column.data_type.clone();
            return Err(CatalogError::InvalidKeyType {
                table: table.to_owned(),
                column: name.clone(),
                data_type,
            });
        }
        column.not_null = true;
        key.push(column.id);
    }
    Ok(key)
}

/// Nodes, relationships and paths are made by queries; a stored value that names one would dangle.
pub(super) fn can_be_stored(data_type: &DataType) -> bool {
    match data_type {
        DataType::Node | DataType::Rel | DataType::Path | DataType::Id | DataType::Null => false,
        DataType::List(child) | DataType::Array(child, _) => can_be_stored(child),
        DataType::Map(key, value) => can_be_stored(key) && can_be_stored(value),
        DataType::Struct(fields) | DataType::Union(fields) => {
            fields.iter().all(|field| can_be_stored(&field.data_type))
        }
        _ => true,
    }
}

/// Keys are scalars with one type, so that encoded keys sort as their values do.
pub(super) fn can_be_key(data_type: &DataType) -> bool {
    !matches!(
        data_type,
        DataType::List(_)
            | DataType::Array(..)
            | DataType::Struct(_)
            | DataType::Map(..)
            | DataType::Union(_)
            | DataType::Json
            | DataType::Any
    ) && can_be_stored(data_type)
}
