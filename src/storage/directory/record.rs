//! The record of one table: how many rows there are and where its trees begin.

use super::tree::{IndexTree, TREE_REF_SIZE, TreeRef};
use crate::storage::page::ExtentRef;
use crate::types::{ColumnId, TableId};

const MAGIC: [u8; 4] = *b"QTAB";
const VERSION: u16 = 1;
const KIND_AT: usize = 6;
const TABLE_AT: usize = 8;
const KEY_TREES_AT: usize = 12;
const SERIALS_AT: usize = 14;
const ROW_BOUND_AT: usize = 16;
const ROW_COUNT_AT: usize = 24;
const ROWS_AT: usize = 32;
const FORWARD_AT: usize = ROWS_AT + TREE_REF_SIZE;
const BACKWARD_AT: usize = FORWARD_AT + TREE_REF_SIZE;
const RESERVED_AT: usize = BACKWARD_AT + TREE_REF_SIZE;
const LISTS_AT: usize = 256;
const KEY_TREE_BYTES: usize = 16;
const SERIAL_BYTES: usize = 16;

// The layout table in specs/format/directory.md shows these numbers.
const _: () = assert!(FORWARD_AT == 96 && BACKWARD_AT == 160 && RESERVED_AT == 224 && RESERVED_AT < LISTS_AT);

/// What a table's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    Node,
    Rel,
}

/// How the keys of a key tree are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyTreeKind {
    /// One integer-like column of at most 64 bits.
    Integer,
    /// Any other key, as bytes that sort as the values do.
    Bytes,
}

/// One immutable tree of the key index. Pages are numbered through its extents in order; the last is the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTreeRef {
    pub kind: KeyTreeKind,
    /// Levels of pages: 1 when the root is a leaf.
    pub levels: u8,
    /// Keys.
    pub entries: u64,
    pub extents: Vec<ExtentRef>,
}

/// One table in one version of the database.
#[derive(Clone)]
pub struct TableRecord {
    pub table: TableId,
    pub kind: TableKind,
    /// Offsets of rows are below this.
    pub row_bound: u64,
    /// Rows that exist.
    pub row_count: u64,
    /// Group pages of rows, by group number.
    pub rows: IndexTree,
    /// Group pages of the adjacency from source nodes, by group of the source.
    pub forward: IndexTree,
    /// Group pages of the adjacency from target nodes, by group of the target.
    pub backward: IndexTree,
    /// Oldest first: the base tree and those of later loads.
    pub key_trees: Vec<KeyTreeRef>,
    /// The next value of each SERIAL column that gave values.
    pub serials: Vec<(ColumnId, u64)>,
}

impl TableRecord {
    /// A table without rows.
    pub fn empty(table: TableId, kind: TableKind) -> TableRecord {
        TableRecord {
            table,
            kind,
            row_bound: 0,
            row_count: 0,
            rows: IndexTree::default(),
            forward: IndexTree::default(),
            backward: IndexTree::default(),
            key_trees: Vec::new(),
            serials: Vec::new(),
        }
    }

    /// The next value of a SERIAL column.
    pub fn next_serial(&self, column: ColumnId) -> u64 {
        self.serials.iter().find(|(id, _)| *id == column).map_or(0, |(_, next)| *next)
    }

    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; LISTS_AT];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC);
        put(MAGIC.len(), &VERSION.to_le_bytes());
        put(KIND_AT, &[u8::from(self.kind == TableKind::Rel)]);
        put(TABLE_AT, &self.table.0.to_le_bytes());
        // Both lists are a handful: trees are folded, and tables have few SERIAL columns.
        put(KEY_TREES_AT, &(self.key_trees.len() as u16).to_le_bytes());
        put(SERIALS_AT, &(self.serials.len() as u16).to_le_bytes());
        put(ROW_BOUND_AT, &self.row_bound.to_le_bytes());
        put(ROW_COUNT_AT, &self.row_count.to_le_bytes());
        put(ROWS_AT, &self.rows.reference().encode());
        put(FORWARD_AT, &self.forward.reference().encode());
        put(BACKWARD_AT, &self.backward.reference().encode());
        for tree in &self.key_trees {
            out.push(u8::from(tree.kind == KeyTreeKind::Bytes));
            out.push(tree.levels);
            out.extend_from_slice(&(tree.extents.len() as u16).to_le_bytes());
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&tree.entries.to_le_bytes());
            tree.extents.iter().for_each(|extent| out.extend_from_slice(&extent.encode()));
        }
        for (column, next) in &self.serials {
            out.extend_from_slice(&column.0.to_le_bytes());
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&next.to_le_bytes());
        }
        out
    }

    /// The inverse of `encode`; the error says what does not fit.
    pub fn decode(bytes: &[u8]) -> Result<TableRecord, String> {
        let Some((head, mut lists)) = bytes.split_at_checked(LISTS_AT) else {
            return Err(format!("a table record of {} bytes", bytes.len()));
        };
        if head[..4] != MAGIC || head[4..6] != VERSION.to_le_bytes() {
            return Err("not a table record of this format".to_owned());
        }
        if head[RESERVED_AT..].iter().any(|byte| *byte != 0) {
            return Err("bytes in the reserved part of a table record".to_owned());
        }
        let kind = match head[KIND_AT] {
            0 => TableKind::Node,
            1 => TableKind::Rel,
            other => return Err(format!("a table of kind {other}")),
        };
        let tree = |at: usize| TreeRef::decode(&array(head, at)).map(IndexTree::new);
        let mut record = TableRecord {
            table: TableId(u32::from_le_bytes(array(head, TABLE_AT))),
            kind,
            row_bound: u64::from_le_bytes(array(head, ROW_BOUND_AT)),
            row_count: u64::from_le_bytes(array(head, ROW_COUNT_AT)),
            rows: tree(ROWS_AT)?,
            forward: tree(FORWARD_AT)?,
            backward: tree(BACKWARD_AT)?,
            key_trees: Vec::new(),
            serials: Vec::new(),
        };
        if record.row_count > record.row_bound {
            return Err(format!("{} rows below offset {}", record.row_count, record.row_bound));
        }
        for _ in 0..u16::from_le_bytes(array(head, KEY_TREES_AT)) {
            record.key_trees.push(decode_key_tree(&mut lists)?);
        }
        for _ in 0..u16::from_le_bytes(array(head, SERIALS_AT)) {
            let bytes: [u8; SERIAL_BYTES] = take(&mut lists)?;
            let column = ColumnId(u32::from_le_bytes(array(&bytes, 0)));
            record.serials.push((column, u64::from_le_bytes(array(&bytes, 8))));
        }
        if !lists.is_empty() {
            return Err(format!("{} bytes after a table record", lists.len()));
        }
        Ok(record)
    }
}

fn decode_key_tree(lists: &mut &[u8]) -> Result<KeyTreeRef, String> {
    let head: [u8; KEY_TREE_BYTES] = take(lists)?;
    let kind = match head[0] {
        0 => KeyTreeKind::Integer,
        1 => KeyTreeKind::Bytes,
        other => return Err(format!("a key tree of kind {other}")),
    };
    let mut tree = KeyTreeRef {
        kind,
        levels: head[1],
        entries: u64::from_le_bytes(array(&head, 8)),
        extents: Vec::new(),
    };
    for _ in 0..u16::from_le_bytes(array(&head, 2)) {
        tree.extents.push(ExtentRef::decode(&take(lists)?));
    }
    Ok(tree)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], String> {
    let (first, rest) = bytes.split_first_chunk::<N>().ok_or("a table record that is cut short")?;
    *bytes = rest;
    Ok(*first)
}

/// Bytes from a place that the layout's constants keep inside.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::page::{PageId, PageRef};

    fn extent(page: u64) -> ExtentRef {
        let root = PageRef { page: PageId(page), counter: page + 1, checksum: 0xA1B2_C3D4, tag: [0; 16] };
        ExtentRef { root, first_page: PageId(page), depth: 0, byte_length: 100 + page }
    }

    fn sample() -> TableRecord {
        let tree = |page, length, height| IndexTree::new(TreeRef { root: extent(page), length, height });
        TableRecord {
            row_bound: 70_000,
            row_count: 69_999,
            rows: tree(5, 2, 1),
            forward: tree(6, 1, 0),
            backward: tree(7, 85, 1),
            key_trees: vec![
                KeyTreeRef {
                    kind: KeyTreeKind::Integer,
                    levels: 2,
                    entries: 69_000,
                    extents: vec![extent(8)],
                },
                KeyTreeRef {
                    kind: KeyTreeKind::Bytes,
                    levels: 1,
                    entries: 999,
                    extents: vec![extent(9), extent(10)],
                },
            ],
            serials: vec![(ColumnId(3), 70_001)],
            ..TableRecord::empty(TableId(11), TableKind::Rel)
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/table_record_v1.bin");
        let bytes = sample().encode();
        if std::env::var_os("QUIRE_BLESS").is_some() {
            std::fs::write(path, &bytes).unwrap();
        }
        let golden = include_bytes!("../../../tests/contract/table_record_v1.bin");
        assert_eq!(bytes, golden, "the format changed; a new version and a fixture are needed");
    }

    #[test]
    fn what_was_encoded_comes_back_and_damage_is_found() {
        let bytes = sample().encode();
        let decoded = TableRecord::decode(&bytes).unwrap();
        assert_eq!(decoded.encode(), bytes);
        assert_eq!((decoded.row_bound, decoded.key_trees), (70_000, sample().key_trees));
        assert_eq!((decoded.kind, decoded.serials), (TableKind::Rel, sample().serials));
        for cut in 0..bytes.len() {
            assert!(TableRecord::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        for (at, byte) in [(0, 1), (4, 2), (6, 2), (225, 1), (31, 9)] {
            let mut damaged = bytes.clone();
            damaged[at] = byte;
            assert!(TableRecord::decode(&damaged).is_err(), "{at}");
        }
    }
}
