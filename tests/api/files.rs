//! Opening, closing and reopening; what is refused, and what the refusal says.

use std::path::Path;

use quiredb::{Database, Error, ErrorKind, SchemaMode};

use super::{COUNT_PEOPLE, People, number};

/// The error of opening the path.
fn refusal(path: &Path) -> Error {
    Database::open(path).err().expect("it cannot be opened")
}

#[test]
fn a_database_is_still_there_after_a_restart() {
    let people = People::on_disk();
    let folder = people.folder;
    people.database.close().unwrap();
    for read_only in [false, true, true, false] {
        let database = Database::builder().read_only(read_only).open(folder.path().join("db")).unwrap();
        let connection = database.connect().unwrap();
        assert_eq!(number(&connection, COUNT_PEOPLE), 3);
        assert_eq!(number(&connection, "MATCH (:Person {id: 1})-[k:Knows]->() RETURN sum(k.since)"), 3991);
        let report = database.check().unwrap();
        assert!(report.is_sound(), "{report:?}");
        // Dropping everything closes it as well.
    }
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("tmp")).unwrap();
    for name in ["letters.txt", "tmp/draft.txt"] {
        std::fs::write(folder.path().join(name), "dear reader").unwrap();
    }
    let error = refusal(folder.path());
    assert!(error.message().contains("holds letters.txt"), "{error}");
    let count = |path: &Path| std::fs::read_dir(path).unwrap().count();
    assert_eq!((count(folder.path()), count(&folder.path().join("tmp"))), (2, 1));
    // An empty directory becomes a database.
    let empty = tempfile::tempdir().unwrap();
    Database::open(empty.path()).unwrap().close().unwrap();
}

#[test]
fn an_empty_database_is_small() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path().join("deep/down/db")).unwrap();
    assert!(database.storage_stats().unwrap().file_bytes < 64 << 10);
    database.close().unwrap();
}

#[test]
fn one_process_writes() {
    let people = People::on_disk();
    let path = people.folder.path().join("db");
    let error = refusal(&path);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains(&format!("process {}", std::process::id())), "{error}");
    // A connection keeps the database open after its handle.
    let connection = people.connect();
    drop(people.database);
    assert_eq!(refusal(&path).kind(), ErrorKind::Unavailable);
    assert_eq!(number(&connection, COUNT_PEOPLE), 3);
    drop(connection);
    Database::open(&path).unwrap();
}

#[test]
fn readers_share_and_change_nothing() {
    let people = People::on_disk();
    let path = people.folder.path().join("db");
    people.database.close().unwrap();
    let open = || Database::builder().read_only(true).open(&path).unwrap();
    let (first, second) = (open(), open());
    for database in [&first, &second] {
        let connection = database.connect().unwrap();
        assert_eq!(number(&connection, COUNT_PEOPLE), 3);
        let error = connection.query("DROP TABLE Knows").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}

#[test]
fn reading_needs_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let error = Database::builder().read_only(true).open(&missing).err().unwrap();
    assert!(error.message().contains("missing"), "{error}");
    assert!(!missing.exists(), "nothing is made by a failed opening");
}

#[test]
fn a_file_is_no_directory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "text").unwrap();
    let error = refusal(&file);
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.message().contains("file"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), b"text");
}

#[test]
fn another_file_in_its_place_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data.quire");
    for content in [&b"SQLite format 3"[..], &[0x5a; 20_000], &[]] {
        std::fs::write(&file, content).unwrap();
        let error = refusal(folder.path());
        assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
        assert!(error.message().contains("data.quire"), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), content);
    }
}

#[test]
fn a_newer_format_is_named() {
    let people = People::on_disk();
    let folder = people.folder;
    people.database.close().unwrap();
    let file = folder.path().join("db/data.quire");
    let mut bytes = std::fs::read(&file).unwrap();
    for header in [0, 4096] {
        let header = &mut bytes[header..header + 4096];
        header[8..12].copy_from_slice(&7u32.to_le_bytes());
        let checksum = crc32fast::hash(&header[..4092]);
        header[4092..].copy_from_slice(&checksum.to_le_bytes());
    }
    std::fs::write(&file, &bytes).unwrap();
    let error = refusal(&folder.path().join("db"));
    assert_eq!(error.kind(), ErrorKind::Corruption);
    assert!(error.message().contains("version 7"), "{error}");
}

#[test]
fn damage_is_found_and_named() {
    let people = People::on_disk();
    let folder = people.folder;
    people.database.close().unwrap();
    let file = folder.path().join("db/data.quire");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[..8192].fill(0xff);
    std::fs::write(&file, &bytes).unwrap();
    let error = refusal(&folder.path().join("db"));
    assert_eq!(error.kind(), ErrorKind::Corruption);
}

#[test]
fn what_is_not_supported_yet_is_refused() {
    let error = Database::builder().schema_mode(SchemaMode::Flexible).in_memory().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotSupported);
    let error = Database::builder().read_only(true).in_memory().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotSupported);
}

#[test]
fn files_are_read_only_where_that_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, "1\n").unwrap();
    for (access, fine) in [(quiredb::FileAccess::None, false), (quiredb::FileAccess::Read, true)] {
        let database = Database::builder().file_access(access).in_memory().unwrap();
        let connection = database.connect().unwrap();
        connection.query("CREATE NODE TABLE A(id INT64 PRIMARY KEY)").unwrap();
        let result = connection.query(&format!("COPY A FROM '{}'", path.display()));
        assert_eq!(result.is_ok(), fine, "{access:?}: {result:?}");
    }
}
