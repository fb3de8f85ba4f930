//! The root page: where the catalog, the statistics, the free space and the table directory are, and the numbers
//! that are handed out next. One root is one consistent database; switching to the next is a commit.

use super::bytes::{get, get_u32, get_u64, put};
use super::{ExtentRef, PageRun, extent_runs};

/// The version of the layout.
pub const ROOT_VERSION: u32 = 1;
/// Bytes of a root.
pub const ROOT_SIZE: usize = 256;

const GENERATION_AT: usize = 8;
const COMMIT_VERSION_AT: usize = GENERATION_AT + 8;
const CATALOG_VERSION_AT: usize = COMMIT_VERSION_AT + 8;
const NEXT_TABLE_AT: usize = CATALOG_VERSION_AT + 8;
const NEXT_COLUMN_AT: usize = NEXT_TABLE_AT + 8;
const CATALOG_AT: usize = NEXT_COLUMN_AT + 8;
const STATISTICS_AT: usize = CATALOG_AT + ExtentRef::SIZE;
const FREE_SPACE_AT: usize = STATISTICS_AT + ExtentRef::SIZE;
const TABLE_DIRECTORY_AT: usize = FREE_SPACE_AT + ExtentRef::SIZE;
const RESERVED_AT: usize = TABLE_DIRECTORY_AT + ExtentRef::SIZE;

// The layout table in specs/format/database_file.md shows these numbers.
const _: () = assert!(CATALOG_AT == 48 && STATISTICS_AT == 96 && FREE_SPACE_AT == 144);
const _: () = assert!(TABLE_DIRECTORY_AT == 192 && RESERVED_AT == 240 && RESERVED_AT <= ROOT_SIZE);

/// The content of the root page. An extent of length zero means that there is nothing yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Root {
    /// The same as in the header that names this root; set by the switch.
    pub generation: u64,
    /// The newest commit version that is in the pages.
    pub commit_version: u64,
    /// The version of the catalog.
    pub catalog_version: u64,
    /// The next table id; ids are never given out twice.
    pub next_table_id: u64,
    /// The next column id; ids are never given out twice.
    pub next_column_id: u64,
    /// Names, types and ids.
    pub catalog: ExtentRef,
    /// Approximate statistics for the planner.
    pub statistics: ExtentRef,
    /// The pages that this root does not use; set by the switch.
    pub free_space: ExtentRef,
    /// The top of what leads to the tables' group pages.
    pub table_directory: ExtentRef,
}

impl Root {
    /// The bytes of the page; the rest of it is zero.
    pub fn encode(&self) -> [u8; ROOT_SIZE] {
        let mut out = [0; ROOT_SIZE];
        put(&mut out, 0, ROOT_VERSION.to_le_bytes());
        put(&mut out, GENERATION_AT, self.generation.to_le_bytes());
        put(&mut out, COMMIT_VERSION_AT, self.commit_version.to_le_bytes());
        put(&mut out, CATALOG_VERSION_AT, self.catalog_version.to_le_bytes());
        put(&mut out, NEXT_TABLE_AT, self.next_table_id.to_le_bytes());
        put(&mut out, NEXT_COLUMN_AT, self.next_column_id.to_le_bytes());
        put(&mut out, CATALOG_AT, self.catalog.encode());
        put(&mut out, STATISTICS_AT, self.statistics.encode());
        put(&mut out, FREE_SPACE_AT, self.free_space.encode());
        put(&mut out, TABLE_DIRECTORY_AT, self.table_directory.encode());
        out
    }

    /// The inverse of `encode`; the error says what does not fit.
    pub fn decode(bytes: &[u8]) -> Result<Root, String> {
        if bytes.len() != ROOT_SIZE {
            return Err(format!("{} bytes instead of {ROOT_SIZE}", bytes.len()));
        }
        match get_u32(bytes, 0) {
            ROOT_VERSION => {}
            version => return Err(format!("version {version} that this release does not know")),
        }
        if get::<4>(bytes, 4) != [0; 4] || bytes[RESERVED_AT..].iter().any(|&byte| byte != 0) {
            return Err("bytes in the reserved part".to_owned());
        }
        Ok(Root {
            generation: get_u64(bytes, GENERATION_AT),
            commit_version: get_u64(bytes, COMMIT_VERSION_AT),
            catalog_version: get_u64(bytes, CATALOG_VERSION_AT),
            next_table_id: get_u64(bytes, NEXT_TABLE_AT),
            next_column_id: get_u64(bytes, NEXT_COLUMN_AT),
            catalog: ExtentRef::decode(&get(bytes, CATALOG_AT)),
            statistics: ExtentRef::decode(&get(bytes, STATISTICS_AT)),
            free_space: ExtentRef::decode(&get(bytes, FREE_SPACE_AT)),
            table_directory: ExtentRef::decode(&get(bytes, TABLE_DIRECTORY_AT)),
        })
    }

    /// The pages of the four extents that the root names, apart from what those lead to.
    pub fn runs(&self) -> Vec<PageRun> {
        [&self.catalog, &self.statistics, &self.free_space, &self.table_directory]
            .into_iter()
            .flat_map(extent_runs)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::page::PageId;

    fn sample() -> Root {
        let extent =
            |page| ExtentRef { first_page: PageId(page), byte_length: 5 * page, ..ExtentRef::default() };
        Root {
            generation: 1,
            commit_version: 2,
            catalog_version: 3,
            next_table_id: 4,
            next_column_id: 5,
            catalog: extent(6),
            statistics: extent(7),
            free_space: extent(8),
            table_directory: extent(9),
        }
    }

    fn check_refused(at: usize, byte: u8, expected: &str) {
        let mut bytes = sample().encode();
        bytes[at] = byte;
        let error = Root::decode(&bytes).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn comes_back_as_it_was() {
        assert_eq!(Root::decode(&sample().encode()), Ok(sample()));
    }

    #[test]
    fn unknown_layouts_are_refused() {
        check_refused(0, 2, "version 2");
        check_refused(5, 1, "reserved");
        check_refused(255, 1, "reserved");
        assert!(Root::decode(&[0; 12]).is_err());
    }
}
