//! The page file: references, header, root, free list, extents, and a whole database.

use std::sync::Arc;

use quiredb::storage::backend::{MemoryBackend, OpenMode, StorageBackend};
use quiredb::storage::page::{
    Access, CreateOptions, ExtentRef, FILE_NAME, Header, HeaderFlags, Lsn, PAGE_SIZE, PageFile, PageId,
    PageRef, PageRun, Root, RootChange, choose_header, encode_free_list,
};
use uuid::Uuid;

use super::golden;

const UUID: Uuid = Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);

fn page_ref(page: u64) -> PageRef {
    PageRef {
        page: PageId(page),
        counter: 0x0605_0403_0201,
        checksum: 0xa1b2_c3d4,
        tag: std::array::from_fn(|at| 0xf0 + at as u8),
    }
}

fn extent_ref(page: u64) -> ExtentRef {
    ExtentRef {
        root: page_ref(page + 3),
        first_page: PageId(page),
        depth: 1,
        byte_length: 3 * PAGE_SIZE as u64 - 7,
    }
}

#[test]
fn page_references() {
    let bytes = golden("page_ref_v1.bin", &page_ref(0xfedc_ba98_7654).encode());
    assert_eq!(PageRef::decode(&bytes.try_into().unwrap()), page_ref(0xfedc_ba98_7654));
}

#[test]
fn extent_references() {
    let bytes = golden("extent_ref_v1.bin", &extent_ref(77).encode());
    assert_eq!(ExtentRef::decode(&bytes.try_into().unwrap()), extent_ref(77));
}

#[test]
fn headers() {
    let header = Header {
        uuid: UUID,
        codec: 0,
        flags: HeaderFlags { flexible_schema: true, kuzu_dialect: true },
        generation: 0x0102_0304_0506_0708,
        page_count: 0x1112_1314_1516_1718,
        counter_mark: 0x2122_2324_2526_2728,
        checkpoint: Lsn { segment: 0x3132_3334_3536_3738, offset: 0x4142_4344_4546_4748 },
        root: extent_ref(2),
    };
    let bytes: [u8; PAGE_SIZE] = golden("header_v1.bin", &header.encode()).try_into().unwrap();
    assert_eq!(choose_header(FILE_NAME, &[bytes, bytes]).unwrap().header, header);
}

#[test]
fn roots() {
    let root = Root {
        generation: 1,
        commit_version: 2,
        catalog_version: 3,
        next_table_id: 4,
        next_column_id: 5,
        catalog: extent_ref(10),
        statistics: extent_ref(20),
        free_space: extent_ref(30),
        table_directory: extent_ref(40),
    };
    let bytes = golden("root_v1.bin", &root.encode());
    assert_eq!(Root::decode(&bytes).unwrap(), root);
}

#[test]
fn free_lists() {
    let runs = [(5, 1), (9, 20), (1 << 40, 1 << 18)];
    let runs = runs.map(|(first, count)| PageRun { first: PageId(first), count });
    golden("free_list_v1.bin", &encode_free_list(&runs, 128));
}

/// Bytes that depend on their place.
fn content(length: u64, seed: u64) -> Vec<u8> {
    (0..length).map(|at| ((at * 7 + at / 256 + seed) % 256) as u8).collect()
}

/// A database with a free list, an extent of two pages under a reference page, and extents of one page.
fn write_database() -> (MemoryBackend, Root) {
    let backend = MemoryBackend::new();
    let flags = HeaderFlags { flexible_schema: false, kuzu_dialect: true };
    let options = CreateOptions { uuid: UUID, flags, ..CreateOptions::default() };
    let file = PageFile::create(&backend, &options).unwrap();
    let switch = |file: &Arc<PageFile>, directory: u64| {
        let batch = file.begin_batch().unwrap();
        let root = Root {
            catalog: batch.write_extent(&content(100, directory)).unwrap(),
            table_directory: batch.write_extent(&content(directory, 3)).unwrap(),
            next_table_id: directory,
            ..file.root()
        };
        let change = RootChange { root, retired: vec![], checkpoint: Lsn { segment: 1, offset: 32 } };
        file.switch_root(batch, change).unwrap()
    };
    switch(&file, 20_000);
    let root = switch(&file, 5000);
    (backend, root)
}

#[test]
fn a_database_of_format_1_is_read() {
    let (backend, root) = write_database();
    let file = backend.open(FILE_NAME, OpenMode::Read).unwrap();
    let mut bytes = vec![0; file.size().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    let fixture = golden("database_v1.bin", &bytes);

    let backend = MemoryBackend::new();
    backend.open(FILE_NAME, OpenMode::Create).unwrap().write_at(0, &fixture).unwrap();
    let file = PageFile::open(&backend, Access::Read).unwrap();
    assert_eq!(file.root(), root);
    assert_eq!(file.uuid(), UUID);
    assert!(file.header().flags.kuzu_dialect);
    assert_eq!(file.header().checkpoint, Lsn { segment: 1, offset: 32 });
    assert_eq!(file.read_extent(&root.catalog, "catalog").unwrap(), content(100, 5000));
    assert_eq!(file.read_extent(&root.table_directory, "directory").unwrap(), content(5000, 3));
    assert!(!file.unused_pages().unwrap().is_empty());
}
