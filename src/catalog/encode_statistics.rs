//! Statistics as bytes. Version 2 has what version 1 has, and with it how values are spread and how uneven lists are;
//! version 3 has how their lengths are spread as well.

use serde::{Deserialize, Serialize};

use super::degrees::{COUNTERS, Degrees};
use super::distinct::DistinctSketch;
use super::distribution::{Distribution, TOP_VALUES};
use super::encode::{DecodeError, body_of, encode, parse_body};
use super::statistics::{ColumnStatistics, DirectionStatistics, Statistics, TableStatistics};
use super::stored_value::StoredValue;
use crate::types::{ColumnId, TableId, Value};

const WHAT: &str = "statistics";
const MAGIC: [u8; 4] = *b"QSTA";
const VERSION: u32 = 3;
/// Parts of a spread of lengths: these have 64 bits.
const LENGTHS_MAX: usize = 64;
/// More bounds than any histogram has.
const BOUNDS_MAX: usize = 256;

#[derive(Serialize, Deserialize)]
struct StoredStatistics {
    tables: Vec<StoredTable>,
}

#[derive(Serialize, Deserialize)]
struct StoredTable {
    id: u32,
    rows: u64,
    columns: Vec<StoredColumn>,
    forward: StoredDirection,
    backward: StoredDirection,
}

#[derive(Serialize, Deserialize)]
struct StoredDirection {
    edges: u64,
    nodes_with_edges: u64,
    max_degree: u64,
    squares: u64,
    lengths: Vec<(u64, u64)>,
    sketched_entries: u64,
    sketch: Vec<i64>,
}

#[derive(Serialize, Deserialize)]
struct StoredColumn {
    id: u32,
    min: Option<StoredValue>,
    max: Option<StoredValue>,
    null_count: u64,
    distinct: u64,
    sketch: Option<Vec<u8>>,
    distribution: Option<StoredDistribution>,
}

#[derive(Serialize, Deserialize)]
struct StoredDistribution {
    top: Vec<(StoredValue, u64)>,
    rest: u64,
    bounds: Vec<StoredValue>,
}

/// Version 2.
mod second {
    use serde::Deserialize;

    #[derive(Deserialize)]
    pub struct Stored {
        pub tables: Vec<Table>,
    }

    #[derive(Deserialize)]
    pub struct Table {
        pub id: u32,
        pub rows: u64,
        pub columns: Vec<super::StoredColumn>,
        pub forward: (u64, u64, u64, u64),
        pub backward: (u64, u64, u64, u64),
    }
}

/// Version 1.
mod first {
    use serde::Deserialize;

    use crate::catalog::stored_value::StoredValue;

    #[derive(Deserialize)]
    pub struct Stored {
        pub tables: Vec<Table>,
    }

    #[derive(Deserialize)]
    pub struct Table {
        pub id: u32,
        pub rows: u64,
        pub columns: Vec<Column>,
        pub forward: (u64, u64, u64),
        pub backward: (u64, u64, u64),
    }

    #[derive(Deserialize)]
    pub struct Column {
        pub id: u32,
        pub min: Option<StoredValue>,
        pub max: Option<StoredValue>,
        pub null_count: u64,
        pub distinct: u64,
        pub sketch: Option<Vec<u8>>,
    }
}

/// The bytes of the statistics.
pub fn encode_statistics(statistics: &Statistics) -> Vec<u8> {
    let tables = statistics.tables().map(|(id, table)| store_table(id, table)).collect();
    encode(MAGIC, VERSION, &StoredStatistics { tables })
}

/// The inverse of `encode_statistics`; reads all versions.
pub fn decode_statistics(bytes: &[u8]) -> Result<Statistics, DecodeError> {
    let (version, body) = body_of(WHAT, MAGIC, VERSION, bytes)?;
    let stored: StoredStatistics = match version {
        1 => widened(parse_body(WHAT, body)?),
        2 => widened_second(parse_body(WHAT, body)?),
        _ => parse_body(WHAT, body)?,
    };
    let mut statistics = Statistics::default();
    for table in stored.tables {
        let id = TableId(table.id);
        let loaded = load_table(table).map_err(|detail| DecodeError::Content { what: WHAT, detail })?;
        statistics.set_table(id, loaded);
    }
    Ok(statistics)
}

/// A direction of an older version.
fn direction_of((edges, nodes_with_edges, max_degree, squares): (u64, u64, u64, u64)) -> StoredDirection {
    StoredDirection {
        edges,
        nodes_with_edges,
        max_degree,
        squares,
        lengths: Vec::new(),
        sketched_entries: 0,
        sketch: Vec::new(),
    }
}

/// Version 2 as version 3.
fn widened_second(old: second::Stored) -> StoredStatistics {
    let table = |table: second::Table| StoredTable {
        id: table.id,
        rows: table.rows,
        columns: table.columns,
        forward: direction_of(table.forward),
        backward: direction_of(table.backward),
    };
    StoredStatistics { tables: old.tables.into_iter().map(table).collect() }
}

/// Version 1 as version 3.
fn widened(old: first::Stored) -> StoredStatistics {
    let direction = |(edges, nodes, longest): (u64, u64, u64)| direction_of((edges, nodes, longest, 0));
    let column = |column: first::Column| StoredColumn {
        id: column.id,
        min: column.min,
        max: column.max,
        null_count: column.null_count,
        distinct: column.distinct,
        sketch: column.sketch,
        distribution: None,
    };
    let table = |table: first::Table| StoredTable {
        id: table.id,
        rows: table.rows,
        columns: table.columns.into_iter().map(column).collect(),
        forward: direction(table.forward),
        backward: direction(table.backward),
    };
    StoredStatistics { tables: old.tables.into_iter().map(table).collect() }
}

fn store_table(id: TableId, table: &TableStatistics) -> StoredTable {
    let direction = |direction: &DirectionStatistics| StoredDirection {
        edges: direction.edges,
        nodes_with_edges: direction.nodes_with_edges,
        max_degree: direction.max_degree,
        squares: direction.squares,
        lengths: direction.degrees.lengths.clone(),
        sketched_entries: direction.degrees.entries,
        sketch: direction.degrees.sketch.clone(),
    };
    StoredTable {
        id: id.0,
        rows: table.rows,
        columns: table.columns.iter().map(|(id, column)| store_column(*id, column)).collect(),
        forward: direction(&table.forward),
        backward: direction(&table.backward),
    }
}

fn load_table(stored: StoredTable) -> Result<TableStatistics, String> {
    Ok(TableStatistics {
        rows: stored.rows,
        columns: stored.columns.into_iter().map(load_column).collect::<Result<_, _>>()?,
        forward: load_direction(stored.forward)?,
        backward: load_direction(stored.backward)?,
    })
}

fn load_direction(stored: StoredDirection) -> Result<DirectionStatistics, String> {
    if ![0, COUNTERS].contains(&stored.sketch.len()) || stored.lengths.len() > LENGTHS_MAX {
        return Err("a sketch of lists' lengths of the wrong size".to_owned());
    }
    let total = |sum: u64, part: &(u64, u64)| sum.checked_add(part.0)?.checked_add(part.1);
    if stored.lengths.iter().try_fold(0, total).is_none() {
        return Err("more lists than can be counted".to_owned());
    }
    let degrees =
        Degrees { lengths: stored.lengths, entries: stored.sketched_entries, sketch: stored.sketch };
    let StoredDirection { edges, nodes_with_edges, max_degree, squares, .. } = stored;
    Ok(DirectionStatistics { edges, nodes_with_edges, max_degree, squares, degrees })
}

fn store_column(id: ColumnId, column: &ColumnStatistics) -> StoredColumn {
    StoredColumn {
        id: id.0,
        min: column.min.as_ref().and_then(StoredValue::store),
        max: column.max.as_ref().and_then(StoredValue::store),
        null_count: column.null_count,
        distinct: column.distinct,
        sketch: column.sketch.as_ref().map(|sketch| sketch.to_bytes().to_vec()),
        distribution: column.distribution.as_ref().map(store_distribution),
    }
}

fn store_distribution(distribution: &Distribution) -> StoredDistribution {
    let top = distribution.top.iter();
    StoredDistribution {
        top: top.filter_map(|(value, rows)| Some((StoredValue::store(value)?, *rows))).collect(),
        rest: distribution.rest,
        bounds: distribution.bounds.iter().filter_map(StoredValue::store).collect(),
    }
}

fn load_column(stored: StoredColumn) -> Result<(ColumnId, ColumnStatistics), String> {
    let sketch = match stored.sketch {
        None => None,
        Some(bytes) => Some(DistinctSketch::from_bytes(&bytes).ok_or("a sketch of the wrong size")?),
    };
    let load = |value: Option<StoredValue>| value.map(StoredValue::load).transpose();
    let statistics = ColumnStatistics {
        min: load(stored.min)?,
        max: load(stored.max)?,
        null_count: stored.null_count,
        distinct: stored.distinct,
        sketch,
        distribution: stored.distribution.map(load_distribution).transpose()?,
    };
    Ok((ColumnId(stored.id), statistics))
}

fn load_distribution(stored: StoredDistribution) -> Result<Distribution, String> {
    if stored.top.len() > TOP_VALUES || stored.bounds.len() > BOUNDS_MAX {
        return Err("more frequent values or bounds than there may be".to_owned());
    }
    let top = stored.top.into_iter().map(|(value, rows)| Ok((value.load()?, rows)));
    let bounds: Vec<Value> =
        stored.bounds.into_iter().map(StoredValue::load).collect::<Result<_, String>>()?;
    if bounds.windows(2).any(|pair| pair[0].order(&pair[1]).is_gt()) {
        return Err("the bounds of a histogram do not rise".to_owned());
    }
    let total = |sum: u64, rows: u64| sum.checked_add(rows);
    let top: Vec<(Value, u64)> = top.collect::<Result<_, String>>()?;
    if top.iter().map(|(_, rows)| *rows).try_fold(stored.rest, total).is_none() {
        return Err("more rows than can be counted".to_owned());
    }
    Ok(Distribution { top, rest: stored.rest, bounds })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the version knows them.
    fn sample(version: u32) -> Statistics {
        let with_spread = version > 1;
        let mut statistics = Statistics::default();
        let mut sketch = DistinctSketch::new();
        (0..3).for_each(|value| sketch.insert_hash(value));
        let distribution = Distribution {
            top: vec![(Value::Int64(7), 200)],
            rest: 93,
            bounds: vec![Value::Int64(-1), Value::Int64(3), Value::Int64(90)],
        };
        let column = ColumnStatistics {
            min: Some(Value::Int64(-1)),
            max: Some(Value::String("zoë".to_owned())),
            null_count: 7,
            distinct: sketch.estimate(),
            sketch: Some(sketch),
            distribution: with_spread.then_some(distribution),
        };
        let table = statistics.table_mut(TableId(1));
        table.rows = 300;
        table.columns.insert(ColumnId(4), column);
        let squares = if with_spread { 9000 } else { 0 };
        let degrees = match version {
            3 => Degrees::of_lists(100, [44, 0, 1, 7].into_iter()),
            _ => Degrees::default(),
        };
        table.forward =
            DirectionStatistics { edges: 300, nodes_with_edges: 20, max_degree: 44, squares, degrees };
        statistics
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/statistics_v3.bin");
        if std::env::var_os("QUIRE_BLESS").is_some() {
            std::fs::write(path, encode_statistics(&sample(VERSION))).unwrap();
        }
        let golden = std::fs::read(path).unwrap();
        assert_eq!(
            encode_statistics(&sample(VERSION)),
            golden,
            "{path}: a new version and a fixture are needed"
        );
    }

    #[test]
    fn all_versions_are_read() {
        let statistics = sample(VERSION);
        assert_eq!(decode_statistics(&encode_statistics(&statistics)), Ok(statistics));
        let first = include_bytes!("../../tests/contract/statistics_v1.bin");
        assert_eq!(decode_statistics(first), Ok(sample(1)));
        let second = include_bytes!("../../tests/contract/statistics_v2.bin");
        assert_eq!(decode_statistics(second), Ok(sample(2)));
    }

    #[test]
    fn damaged_bytes_are_errors() {
        let bytes = encode_statistics(&sample(VERSION));
        for cut in 0..bytes.len() {
            assert!(decode_statistics(&bytes[..cut]).is_err(), "{cut}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            // Some damage only changes a number; it must not panic, and checksums find it.
            let _ = decode_statistics(&damaged);
        }
    }
}
