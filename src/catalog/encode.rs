//! The catalog as bytes: four letters, a version, then bincode (statistics likewise, in `encode_statistics`). The
//! types below mirror what stands on disk and nothing else in the crate derives serde; a change of them is a new version and a new mirror.
//! See `specs/format/catalog.md`.

use std::sync::Arc;

use bincode::config::{self, Configuration, Limit, LittleEndian, Varint};
use serde::{Deserialize, Serialize};

use super::Catalog;
use super::catalog::CatalogParts;
use super::schema::{
    ColumnSchema, Dialect, Multiplicity, NodeTableSchema, RelTableSchema, RelTypeSchema, SchemaMode,
};
use crate::types::{ColumnId, DataType, TableId};

const CATALOG_MAGIC: [u8; 4] = *b"QCAT";
const CATALOG_VERSION: u32 = 1;
const PREFIX_BYTES: usize = 8;
/// More than any catalog; a damaged length must not become an allocation.
const DECODE_BYTES_MAX: usize = 1 << 30;

/// Why bytes are not a catalog or statistics that this release reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The first bytes are not those of the structure.
    #[error("the {what} does not begin as one")]
    Magic { what: &'static str },
    /// Written by a newer release.
    #[error("the {what} has version {found}; this release reads up to {supported}")]
    Version { what: &'static str, found: u32, supported: u32 },
    /// The content breaks a rule.
    #[error("the {what} is damaged: {detail}")]
    Content { what: &'static str, detail: String },
}

#[derive(Serialize, Deserialize)]
struct StoredCatalog {
    version: u64,
    dialect: u8,
    schema_mode: u8,
    next_table: u32,
    next_column: u32,
    node_tables: Vec<StoredNodeTable>,
    rel_types: Vec<StoredRelType>,
    /// Kinds of objects that later releases add (sequences, macros, indexes, expiry): kind, content.
    objects: Vec<(u32, Vec<u8>)>,
}

#[derive(Serialize, Deserialize)]
struct StoredNodeTable {
    id: u32,
    name: String,
    columns: Vec<StoredColumn>,
    primary_key: Vec<u32>,
    open: bool,
    comment: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredRelType {
    name: String,
    /// Id, source, target.
    tables: Vec<(u32, u32, u32)>,
    columns: Vec<StoredColumn>,
    multiplicity: u8,
    open: bool,
    comment: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredColumn {
    id: u32,
    name: String,
    /// In the spelling of the language, which `DataType::parse` reads.
    data_type: String,
    default: Option<String>,
    not_null: bool,
    unique: bool,
    check: Option<String>,
    comment: Option<String>,
}

/// The catalog's bytes.
pub fn encode_catalog(catalog: &Catalog) -> Vec<u8> {
    let stored = StoredCatalog {
        version: catalog.version(),
        dialect: u8::from(catalog.dialect() == Dialect::Kuzu),
        schema_mode: u8::from(catalog.schema_mode() == SchemaMode::Flexible),
        next_table: catalog.next_table_id(),
        next_column: catalog.next_column_id(),
        node_tables: catalog.node_tables().iter().map(|table| store_node_table(table)).collect(),
        rel_types: catalog.rel_types().iter().map(|rel_type| store_rel_type(rel_type)).collect(),
        objects: Vec::new(),
    };
    encode(CATALOG_MAGIC, CATALOG_VERSION, &stored)
}

/// The inverse of `encode_catalog`.
pub fn decode_catalog(bytes: &[u8]) -> Result<Catalog, DecodeError> {
    const WHAT: &str = "catalog";
    let stored: StoredCatalog = decode(WHAT, CATALOG_MAGIC, CATALOG_VERSION, bytes)?;
    let content = |detail: String| DecodeError::Content { what: WHAT, detail };
    if let Some((kind, _)) = stored.objects.first() {
        return Err(content(format!("objects of kind {kind}, which this release does not know")));
    }
    let dialect = match stored.dialect {
        0 => Dialect::OpenCypher,
        1 => Dialect::Kuzu,
        other => return Err(content(format!("dialect {other}"))),
    };
    let schema_mode = match stored.schema_mode {
        0 => SchemaMode::Strict,
        1 => SchemaMode::Flexible,
        other => return Err(content(format!("schema mode {other}"))),
    };
    let node_tables = stored.node_tables.into_iter().map(load_node_table).collect::<Result<_, _>>();
    let rel_types = stored.rel_types.into_iter().map(load_rel_type).collect::<Result<_, _>>();
    let catalog = Catalog::from_parts(CatalogParts {
        version: stored.version,
        dialect,
        schema_mode,
        next_table: stored.next_table,
        next_column: stored.next_column,
        node_tables: node_tables.map_err(content)?,
        rel_types: rel_types.map_err(content)?,
    });
    check_references(&catalog).map_err(content)?;
    Ok(catalog)
}

fn configuration() -> Configuration<LittleEndian, Varint, Limit<DECODE_BYTES_MAX>> {
    config::standard().with_limit::<DECODE_BYTES_MAX>()
}

pub(super) fn encode(magic: [u8; 4], version: u32, content: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&magic);
    out.extend_from_slice(&version.to_le_bytes());
    // The mirrors have no map, no unsized sequence and no fallible field, and a vector takes any number of bytes.
    let body = bincode::serde::encode_to_vec(content, config::standard()).expect("mirrors always encode");
    out.extend_from_slice(&body);
    out
}

fn decode<T: for<'de> Deserialize<'de>>(
    what: &'static str,
    magic: [u8; 4],
    version: u32,
    bytes: &[u8],
) -> Result<T, DecodeError> {
    let (_, body) = body_of(what, magic, version, bytes)?;
    parse_body(what, body)
}

/// The version and the body, if the version is not above the newest.
pub(super) fn body_of<'b>(
    what: &'static str,
    magic: [u8; 4],
    newest: u32,
    bytes: &'b [u8],
) -> Result<(u32, &'b [u8]), DecodeError> {
    let Some((prefix, body)) = bytes.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(DecodeError::Magic { what });
    };
    let (letters, number) = prefix.split_at(4);
    if letters != magic {
        return Err(DecodeError::Magic { what });
    }
    let found = number.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
    if found == 0 || found > newest {
        return Err(DecodeError::Version { what, found, supported: newest });
    }
    Ok((found, body))
}

/// What a body says, which nothing may follow.
pub(super) fn parse_body<T: for<'de> Deserialize<'de>>(
    what: &'static str,
    body: &[u8],
) -> Result<T, DecodeError> {
    let content = |detail: String| DecodeError::Content { what, detail };
    let (value, used) = bincode::serde::decode_from_slice(body, configuration())
        .map_err(|error: bincode::error::DecodeError| content(error.to_string()))?;
    if used != body.len() {
        return Err(content(format!("{} bytes follow it", body.len() - used)));
    }
    Ok(value)
}

fn store_node_table(table: &NodeTableSchema) -> StoredNodeTable {
    StoredNodeTable {
        id: table.id.0,
        name: table.name.clone(),
        columns: table.columns.iter().map(store_column).collect(),
        primary_key: table.primary_key.iter().map(|id| id.0).collect(),
        open: table.open,
        comment: table.comment.clone(),
    }
}

fn load_node_table(stored: StoredNodeTable) -> Result<Arc<NodeTableSchema>, String> {
    let schema = NodeTableSchema {
        id: TableId(stored.id),
        name: stored.name,
        columns: stored.columns.into_iter().map(load_column).collect::<Result<_, _>>()?,
        primary_key: stored.primary_key.into_iter().map(ColumnId).collect(),
        open: stored.open,
        comment: stored.comment,
    };
    if schema.key_columns().count() != schema.primary_key.len() {
        return Err(format!("the primary key of {} names a column that does not exist", schema.name));
    }
    Ok(Arc::new(schema))
}

fn store_rel_type(rel_type: &RelTypeSchema) -> StoredRelType {
    StoredRelType {
        name: rel_type.name.clone(),
        tables: rel_type.tables.iter().map(|table| (table.id.0, table.source.0, table.target.0)).collect(),
        columns: rel_type.columns.iter().map(store_column).collect(),
        multiplicity: match rel_type.multiplicity {
            Multiplicity::ManyMany => 0,
            Multiplicity::ManyOne => 1,
            Multiplicity::OneMany => 2,
            Multiplicity::OneOne => 3,
        },
        open: rel_type.open,
        comment: rel_type.comment.clone(),
    }
}

fn load_rel_type(stored: StoredRelType) -> Result<Arc<RelTypeSchema>, String> {
    let multiplicity = match stored.multiplicity {
        0 => Multiplicity::ManyMany,
        1 => Multiplicity::ManyOne,
        2 => Multiplicity::OneMany,
        3 => Multiplicity::OneOne,
        other => return Err(format!("multiplicity {other} of {}", stored.name)),
    };
    let table = |(id, source, target)| RelTableSchema {
        id: TableId(id),
        source: TableId(source),
        target: TableId(target),
    };
    Ok(Arc::new(RelTypeSchema {
        name: stored.name,
        tables: stored.tables.into_iter().map(table).collect(),
        columns: stored.columns.into_iter().map(load_column).collect::<Result<_, _>>()?,
        multiplicity,
        open: stored.open,
        comment: stored.comment,
    }))
}

fn store_column(column: &ColumnSchema) -> StoredColumn {
    StoredColumn {
        id: column.id.0,
        name: column.name.clone(),
        data_type: column.data_type.to_string(),
        default: column.default.clone(),
        not_null: column.not_null,
        unique: column.unique,
        check: column.check.clone(),
        comment: column.comment.clone(),
    }
}

fn load_column(stored: StoredColumn) -> Result<ColumnSchema, String> {
    let data_type = DataType::parse(&stored.data_type).map_err(|error| error.to_string())?;
    Ok(ColumnSchema {
        id: ColumnId(stored.id),
        name: stored.name,
        data_type,
        default: stored.default,
        not_null: stored.not_null,
        unique: stored.unique,
        check: stored.check,
        comment: stored.comment,
    })
}

/// Every relationship table must end at node tables, and no id or name may stand for two things.
fn check_references(catalog: &Catalog) -> Result<(), String> {
    for (rel_type, table) in catalog.rel_tables() {
        for end in [table.source, table.target] {
            if catalog.node_table_by_id(end).is_none() {
                return Err(format!("{} ends at table {end}, which does not exist", rel_type.name));
            }
        }
    }
    let tables = catalog.node_tables().len() + catalog.rel_tables().count();
    let names = catalog.node_tables().len() + catalog.rel_types().len();
    if catalog.distinct_ids_and_names() != (tables, names) {
        return Err("two tables share an id or a name".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{NewColumn, NewNodeTable, NewRelType};

    fn sample() -> Catalog {
        let mut catalog = Catalog::new(Dialect::Kuzu, SchemaMode::Strict);
        let mut born = NewColumn::new("born", DataType::Date);
        born.default = Some("date('2000-01-01')".to_owned());
        born.check = Some("born > date('1800-01-01')".to_owned());
        let columns = vec![
            NewColumn::new("id", DataType::Int64),
            NewColumn::new("naïve", DataType::map(DataType::String, DataType::list(DataType::Double))),
            born,
        ];
        let person = NewNodeTable {
            name: "Person".to_owned(),
            columns,
            primary_key: vec!["id".to_owned()],
            open: false,
        };
        catalog.create_node_table(person).unwrap();
        let knows = NewRelType {
            name: "KNOWS".to_owned(),
            pairs: vec![("Person".to_owned(), "Person".to_owned())],
            columns: vec![NewColumn::new("weight", DataType::Decimal { precision: 18, scale: 3 })],
            multiplicity: Multiplicity::ManyOne,
            open: false,
        };
        catalog.create_rel_type(knows).unwrap();
        catalog.set_comment("KNOWS", Some("who knows whom".to_owned())).unwrap();
        catalog
    }

    #[track_caller]
    fn check_golden(bytes: &[u8], path: &str, golden: &[u8]) {
        if std::env::var_os("QUIRE_BLESS").is_some() {
            std::fs::write(path, bytes).unwrap();
            return;
        }
        assert_eq!(bytes, golden, "{path}: the format changed; a new version and a fixture are needed");
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/catalog_v1.bin");
        let golden = include_bytes!("../../tests/contract/catalog_v1.bin");
        check_golden(&encode_catalog(&sample()), path, golden);
    }

    #[test]
    fn what_was_encoded_comes_back() {
        assert_eq!(decode_catalog(&encode_catalog(&sample())), Ok(sample()));
        assert_eq!(decode_catalog(&encode_catalog(&Catalog::default())), Ok(Catalog::default()));
    }

    #[test]
    fn damaged_bytes_are_errors() {
        let bytes = encode_catalog(&sample());
        for cut in 0..bytes.len() {
            assert!(decode_catalog(&bytes[..cut]).is_err(), "{cut}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            // Some damage only changes a letter of a name; it must not panic, and checksums find it.
            let _ = decode_catalog(&damaged);
        }
        let mut newer = bytes;
        newer[4] = 2;
        let error = decode_catalog(&newer).unwrap_err();
        assert_eq!(error, DecodeError::Version { what: "catalog", found: 2, supported: 1 });
    }
}
