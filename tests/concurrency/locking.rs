//! Who may open a database beside whom, what the refused one is told, and what a reader leaves alone.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use quiredb::storage::backend::SimulatedBackend;
use quiredb::{Database, ErrorKind};

use crate::support::count;

const COUNT: &str = "MATCH (a:A) RETURN count(*) AS n";

fn define(database: &Database) {
    let connection = database.connect().unwrap();
    connection.query("CREATE NODE TABLE A(id INT64 PRIMARY KEY); CREATE (:A {id: 1})").unwrap();
}

fn quire(path: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quire"));
    command.arg(path).args(["--mode", "csv"]).args(arguments).env("NO_COLOR", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn output(mut command: Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A process that has the database open until its input ends.
struct Holder(Child);

impl Holder {
    fn open(path: &Path, arguments: &[&str]) -> Holder {
        let mut child = quire(path, arguments).spawn().unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "RETURN 'here' AS here;").unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap());
        while !line.contains("here") {
            assert!(lines.read_line(&mut line).unwrap() > 0, "it ended instead");
        }
        Holder(child)
    }

    fn end(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

#[test]
fn one_process_opens_it_once_for_writing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let database = Database::open(&path).unwrap();
    define(&database);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for path in [&path, &link, &folder.path().join("db/../db")] {
        for read_only in [false, true] {
            let error = Database::builder().read_only(read_only).open(path).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            let holder = format!("this process (process {}", std::process::id());
            assert!(error.message().contains(&holder), "{error}");
        }
    }
    // Whoever was refused has changed nothing, and the lock is still held.
    database.connect().unwrap().query("CREATE (:A {id: 2})").unwrap();
    assert!(Database::open(&path).is_err());
    database.close().unwrap();
    let again = Database::open(&link).unwrap();
    assert_eq!(count(&again.connect().unwrap(), COUNT), 2);
}

#[test]
fn readers_of_one_process_share_and_keep_writers_out() {
    let folder = tempfile::tempdir().unwrap();
    define(&Database::open(folder.path()).unwrap());
    let read = || Database::builder().read_only(true).open(folder.path()).unwrap();
    let (one, other) = (read(), read());
    assert_eq!(count(&one.connect().unwrap(), COUNT), 1);
    drop(one);
    let error = Database::open(folder.path()).err().unwrap();
    let name = format!("this process (process {}), which reads it", std::process::id());
    assert!(error.message().contains(&name), "{error}");
    assert_eq!(count(&other.connect().unwrap(), COUNT), 1);
    drop(other);
    Database::open(folder.path()).unwrap();
}

#[test]
fn another_process_is_named() {
    let folder = tempfile::tempdir().unwrap();
    define(&Database::open(folder.path()).unwrap());
    let holder = Holder::open(folder.path(), &[]);
    let name = format!("process {} (quire)", holder.0.id());
    for read_only in [false, true] {
        let error = Database::builder().read_only(read_only).open(folder.path()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains(&name), "{error}");
    }
    let (status, _, told) = output(quire(folder.path(), &["--read-only", "-c", COUNT]));
    assert_eq!(status, 2);
    assert!(told.contains(&name), "{told}");
    holder.end();
    assert_eq!(count(&Database::open(folder.path()).unwrap().connect().unwrap(), COUNT), 1);
}

#[test]
fn many_processes_read() {
    let folder = tempfile::tempdir().unwrap();
    define(&Database::open(folder.path()).unwrap());
    let mut readers: Vec<Holder> = (0..4).map(|_| Holder::open(folder.path(), &["--read-only"])).collect();
    let here = Database::builder().read_only(true).open(folder.path()).unwrap();
    assert_eq!(count(&here.connect().unwrap(), COUNT), 1);
    drop(here);
    while !readers.is_empty() {
        let (status, _, told) = output(quire(folder.path(), &["-c", "CREATE (:A {id: 2})"]));
        assert_eq!(status, 2, "{told}");
        for reader in &readers {
            assert!(told.contains(&format!("process {}", reader.0.id())), "{told}");
        }
        assert!(!told.contains(&format!("process {}", std::process::id())), "{told}");
        readers.pop().into_iter().for_each(Holder::end);
    }
    let (status, _, told) = output(quire(folder.path(), &["-c", "CREATE (:A {id: 2})"]));
    assert_eq!((status, told.as_str()), (0, ""));
}

/// Every file of a directory: its bytes and when it was changed.
fn files(folder: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (path, data) = (entry.path(), entry.metadata().unwrap());
        let bytes = if data.is_dir() { Vec::new() } else { std::fs::read(&path).unwrap() };
        if data.is_dir() {
            let name = entry.file_name().into_string().unwrap();
            all.extend(files(&path).into_iter().map(|(below, file)| (format!("{name}/{below}"), file)));
        }
        all.insert(entry.file_name().into_string().unwrap(), (bytes, data.modified().unwrap()));
    }
    all
}

fn forbid_writing(path: &Path, forbidden: bool) {
    use std::os::unix::fs::PermissionsExt;
    let is_folder = path.is_dir();
    let mode = match (is_folder, forbidden) {
        (true, true) => 0o555,
        (true, false) => 0o755,
        (false, true) => 0o444,
        (false, false) => 0o644,
    };
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    if is_folder {
        std::fs::read_dir(path).unwrap().flatten().for_each(|entry| forbid_writing(&entry.path(), forbidden));
    }
}

/// A database of which half stands in the log only, where nothing may be written: by somebody who may not. The
/// superuser may everything, so the reader is nobody then.
#[test]
fn a_read_only_medium_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("db"), folder.path().join("copy"));
    let database = Database::open(&path).unwrap();
    define(&database);
    database.checkpoint().unwrap();
    database.connect().unwrap().query("UNWIND range(2, 50) AS id CREATE (:A {id: id})").unwrap();
    let status = Command::new("cp").arg("-r").arg(&path).arg(&copy).status().unwrap();
    assert!(status.success());
    for has_lock in [true, false] {
        if !has_lock {
            forbid_writing(&copy, false);
            std::fs::remove_file(copy.join("LOCK")).unwrap();
        }
        forbid_writing(folder.path(), true);
        let before = files(&copy);
        let mut command = quire(&copy, &["--read-only", "-c", COUNT]);
        let mut writing = quire(&copy, &["-c", COUNT]);
        if std::fs::write(folder.path().join("probe"), "").is_ok() {
            use std::os::unix::process::CommandExt;
            command.uid(65534).gid(65534);
            writing.uid(65534).gid(65534);
        }
        match command.output() {
            Ok(run) if run.status.success() => assert_eq!(run.stdout, b"n\n50\n"),
            Ok(run) => panic!("{}", String::from_utf8_lossy(&run.stderr)),
            // The command lies where nobody else may look.
            Err(error) => return println!("not shown: {error}"),
        }
        let (status, _, told) = output(writing);
        assert_eq!(status, 2, "{told}");
        assert!(files(&copy) == before, "something was written");
        forbid_writing(folder.path(), false);
    }
}

#[test]
fn a_reader_writes_nothing() {
    let disk = SimulatedBackend::new(1);
    let open = |disk: &SimulatedBackend, read_only| {
        let builder = Database::builder().threads(1).buffer_pool_size(8 << 20).read_only(read_only);
        builder.backend(Arc::new(disk.clone())).open("unused")
    };
    let database = open(&disk, false).unwrap();
    define(&database);
    database.checkpoint().unwrap();
    database.connect().unwrap().query("UNWIND range(2, 50) AS id CREATE (:A {id: id})").unwrap();
    // The disk as a crash leaves it, with a log to be replayed.
    let left = disk.crash();
    let before = left.operations();
    let reader = open(&left, true).unwrap();
    let connection = reader.connect().unwrap();
    assert_eq!(count(&connection, COUNT), 50);
    for change in ["CREATE (:A {id: 99})", "CREATE NODE TABLE B(id INT64 PRIMARY KEY)", "CHECKPOINT"] {
        assert_eq!(connection.query(change).unwrap_err().kind(), ErrorKind::Unavailable, "{change}");
    }
    reader.check().unwrap();
    reader.close().unwrap();
    assert_eq!(left.operations(), before, "operations that change the disk");
}

/// What the last checkpoint meets is told, and nothing is lost by it.
#[test]
fn close_tells_what_went_wrong() {
    let (mut failed, mut at) = (0, 0);
    loop {
        let disk = SimulatedBackend::new(2);
        let open = |disk: &SimulatedBackend| {
            let builder = Database::builder().threads(1).buffer_pool_size(8 << 20);
            builder.backend(Arc::new(disk.clone())).open("unused").unwrap()
        };
        let database = open(&disk);
        define(&database);
        database.connect().unwrap().query("CREATE (:A {id: 2})").unwrap();
        let (before, all) = (disk.operations(), at);
        disk.fail_operation(before + all);
        let outcome = database.close();
        let done = disk.operations() - before;
        disk.clear_faults();
        failed += u64::from(outcome.is_err());
        let again = open(&disk);
        assert_eq!(count(&again.connect().unwrap(), COUNT), 2, "operation {at} failed: {outcome:?}");
        assert!(again.check().unwrap().is_sound());
        if done < all {
            break;
        }
        at += 1;
    }
    assert!(failed > 3, "{failed} of {at} operations were reported");
}
