//! Spill files: rows that operators put aside when memory is short, in blocks of columns behind each other. A file lives
//! as long as somebody holds it and is removed then; `tmp/` is emptied when the database is opened. A database that is only
//! read has them in a folder for temporary files: in one of its own there, which whoever makes another one later removes if
//! nobody has it any more. Blocks go through the
//! codec and carry a checksum, and are read into buffers of the reader's own: never into frames.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::backend::{OpenMode, StorageBackend, StorageFile};
use super::codec::StorageCodec;
use super::column::bytes::{ByteReader, ByteWriter, Damage, Damaged};
use super::wal::values::{decode_vector, encode_vector};
use super::{StorageError, StorageResult};
use crate::types::DataType;
use crate::vector::{Shape, ValueVector, Values, VectorBuffer};

/// The folder of spill files.
pub const SPILL_FOLDER: &str = "tmp";

/// Where an open database puts rows aside.
pub struct SpillArea {
    place: Option<Place>,
    codec: Arc<dyn StorageCodec>,
    next: AtomicU64,
    bytes: AtomicU64,
}

enum Place {
    /// `tmp/` of the database.
    Own(Arc<dyn StorageBackend>),
    /// A folder of this process below another one, made by the first file and removed at the end.
    Temporary { folder: PathBuf, made: Mutex<Option<Made>> },
}

/// A folder that is there, and the lock that says whose it is.
struct Made {
    backend: Arc<dyn StorageBackend>,
    _owner: File,
}

impl SpillArea {
    fn new(place: Option<Place>, codec: Arc<dyn StorageCodec>) -> SpillArea {
        SpillArea { place, codec, next: AtomicU64::new(1), bytes: AtomicU64::new(0) }
    }

    /// Nowhere.
    pub fn none(codec: Arc<dyn StorageCodec>) -> SpillArea {
        SpillArea::new(None, codec)
    }

    /// Files in `tmp/` of a backend.
    pub fn own(backend: Arc<dyn StorageBackend>, codec: Arc<dyn StorageCodec>) -> SpillArea {
        SpillArea::new(Some(Place::Own(backend)), codec)
    }

    /// Files in a new folder of `parent`.
    pub fn below(parent: &Path, codec: Arc<dyn StorageCodec>) -> StorageResult<SpillArea> {
        if !cfg!(unix) {
            let detail = "a folder for temporary files is not supported on this operating system yet";
            let source = std::io::Error::new(std::io::ErrorKind::Unsupported, detail);
            return Err(io_error("use", parent, source));
        }
        let folder = parent.join(format!("{FOLDER_PREFIX}{}", Uuid::new_v4().simple()));
        let place = Place::Temporary { folder, made: Mutex::default() };
        Ok(SpillArea::new(Some(place), codec))
    }

    /// Whether rows can be put aside at all.
    pub fn is_there(&self) -> bool {
        self.place.is_some()
    }

    fn backend(&self) -> StorageResult<Option<Arc<dyn StorageBackend>>> {
        match &self.place {
            None => Ok(None),
            Some(Place::Own(backend)) => Ok(Some(Arc::clone(backend))),
            Some(Place::Temporary { folder, made }) => {
                let mut made = made.lock();
                let made = match &mut *made {
                    Some(made) => made,
                    none => none.insert(temporary(folder)?),
                };
                Ok(Some(Arc::clone(&made.backend)))
            }
        }
    }

    /// Bytes written since the database was opened.
    pub fn bytes_written(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// A new file; none where there is no place for one.
    pub fn file(self: &Arc<Self>) -> StorageResult<Option<SpillFile>> {
        let Some(backend) = self.backend()? else { return Ok(None) };
        let name = format!("{SPILL_FOLDER}/spill-{:06}", self.next.fetch_add(1, Relaxed));
        let file = backend.open(&name, OpenMode::Create)?;
        Ok(Some(SpillFile {
            file,
            codec: Arc::clone(&self.codec),
            backend,
            area: Arc::clone(self),
            name,
            // Nonces of one database must differ for ever; the offset within the file is added.
            nonce: Uuid::new_v4().as_u128(),
            end: AtomicU64::new(0),
        }))
    }
}

/// What a folder in a place for temporary files is called, before a number of its own.
const FOLDER_PREFIX: &str = "quire-";
/// Before that while it is being made.
const MAKING_PREFIX: &str = ".";
/// The file in it that its owner has locked.
const OWNER: &str = "OWNER";
/// Somebody who makes a folder needs no longer.
const MAKING_TIME: Duration = Duration::from_secs(60);

/// Makes a folder that has its lock from the moment on when it has its name.
#[cfg(unix)]
fn temporary(folder: &Path) -> StorageResult<Made> {
    use std::os::unix::fs::DirBuilderExt;
    let (parent, name) = (folder.parent().unwrap_or(folder), folder.file_name().unwrap_or_default());
    let making = parent.join(format!("{MAKING_PREFIX}{}", name.to_string_lossy()));
    // Others may look into the folder above.
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(parent).map_err(|error| io_error("create", parent, error))?;
    remove_abandoned(parent);
    let made = builder.create(&making).and_then(|()| {
        let owner = File::create_new(making.join(OWNER))?;
        if owner.try_lock().is_err() {
            // Where files cannot be locked nobody is to take the folder for one that is abandoned.
            fs::remove_file(making.join(OWNER))?;
        }
        fs::rename(&making, folder)?;
        Ok(owner)
    });
    let owner = made.map_err(|error| {
        let _ = fs::remove_dir_all(&making);
        io_error("create", folder, error)
    })?;
    let backend = super::backend::PosixBackend::new(folder);
    backend.create_dir(SPILL_FOLDER)?;
    Ok(Made { backend: backend.shared(), _owner: owner })
}

#[cfg(not(unix))]
fn temporary(folder: &Path) -> StorageResult<Made> {
    Err(io_error("create", folder, std::io::ErrorKind::Unsupported.into()))
}

/// Removes folders whose owners are gone without having done so: those whose lock nobody has. What cannot be looked at is
/// somebody else's.
#[cfg(unix)]
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let plain = name.strip_prefix(MAKING_PREFIX);
        let number = plain.unwrap_or(&name).strip_prefix(FOLDER_PREFIX);
        let is_ours = number.is_some_and(|number| Uuid::try_parse(number).is_ok());
        if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let is_old = |age: Duration| age > MAKING_TIME;
        let age = entry.metadata().and_then(|entry| entry.modified()).map(|time| time.elapsed());
        if plain.is_some() && !age.is_ok_and(|age| age.is_ok_and(is_old)) {
            continue;
        }
        let Ok(owner) = File::open(entry.path().join(OWNER)) else { continue };
        if owner.try_lock().is_ok() {
            // Who starts beside us may be at it, too.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn io_error(operation: &'static str, file: &Path, source: std::io::Error) -> StorageError {
    StorageError::Io { operation, file: file.display().to_string(), source }
}

impl Drop for SpillArea {
    fn drop(&mut self) {
        if let Some(Place::Temporary { folder, made }) = &mut self.place
            && made.get_mut().is_some()
        {
            // What stays is in a folder for what may be lost.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// One file of blocks. Several threads may write and read at once.
pub struct SpillFile {
    file: Arc<dyn StorageFile>,
    backend: Arc<dyn StorageBackend>,
    codec: Arc<dyn StorageCodec>,
    area: Arc<SpillArea>,
    name: String,
    nonce: u128,
    end: AtomicU64,
}

/// Where rows stand in a spill file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpillBlock {
    offset: u64,
    /// Bytes in the file.
    pub bytes: u64,
    pub rows: u32,
    checksum: u32,
}

impl SpillFile {
    /// Appends the first `rows` rows of columns of these types.
    pub fn write(
        &self,
        columns: &[ValueVector<'_>],
        types: &[DataType],
        rows: usize,
    ) -> StorageResult<SpillBlock> {
        let mut plain = ByteWriter::default();
        for (column, data_type) in columns.iter().zip(types) {
            write_column(column, data_type, rows, &mut plain);
        }
        // The place is taken by the plain length; a codec that needs more says so by another file of its own size.
        let mut stored = Vec::new();
        let reserved = plain.bytes.len() as u64 + CODEC_ROOM;
        let offset = self.end.fetch_add(reserved, Relaxed);
        let nonce = self.nonce.wrapping_add(u128::from(offset));
        self.codec.encode(nonce, &plain.bytes, &mut stored).map_err(|error| self.damaged(error.detail))?;
        if stored.len() as u64 > reserved {
            return Err(self.damaged("the codec makes more of a block than there is room for".to_owned()));
        }
        self.file.write_at(offset, &stored)?;
        self.area.bytes.fetch_add(stored.len() as u64, Relaxed);
        let rows = u32::try_from(rows).map_err(|_| StorageError::Limit {
            what: "the rows of a block that is put aside".to_owned(),
            limit: u64::from(u32::MAX),
        })?;
        Ok(SpillBlock { offset, bytes: stored.len() as u64, rows, checksum: crc32fast::hash(&stored) })
    }

    /// The columns of a block, as they were written.
    pub fn read(&self, block: &SpillBlock, types: &[DataType]) -> StorageResult<Vec<VectorBuffer>> {
        let mut stored = vec![0; usize::try_from(block.bytes).unwrap_or(usize::MAX)];
        self.file.read_at(block.offset, &mut stored)?;
        if crc32fast::hash(&stored) != block.checksum {
            return Err(self.damaged("a block is not as it was written".to_owned()));
        }
        let mut plain = Vec::new();
        let nonce = self.nonce.wrapping_add(u128::from(block.offset));
        self.codec.decode(nonce, &stored, &mut plain).map_err(|error| self.damaged(error.detail))?;
        let mut reader = ByteReader::new(&plain);
        let mut columns = Vec::with_capacity(types.len());
        for data_type in types {
            let column = read_column(&mut reader, data_type, block.rows as usize);
            columns.push(column.map_err(|damage| self.damaged(damage.0.to_owned()))?);
        }
        Ok(columns)
    }

    fn damaged(&self, detail: String) -> StorageError {
        let what = std::io::Error::new(std::io::ErrorKind::InvalidData, detail);
        StorageError::Io {
            operation: "reading rows that were put aside",
            file: self.name.clone(),
            source: what,
        }
    }
}

/// A column as its rows, and one of lists that many rows have as the different lists and the number of each row's.
const ROWS: u8 = 0;
const NUMBERED: u8 = 1;

fn write_column(column: &ValueVector<'_>, data_type: &DataType, rows: usize, out: &mut ByteWriter) {
    let lists = match column.shape {
        Shape::Flat(Values::List(lists)) if !lists.starts.is_empty() => lists,
        _ => {
            out.u8(ROWS);
            return encode_vector(column, data_type, rows, out);
        }
    };
    let mut known: FxHashMap<Option<(usize, usize)>, u32> = FxHashMap::default();
    let (mut numbers, mut first) = (Vec::with_capacity(rows), Vec::new());
    for row in 0..rows {
        let place = (!column.is_null(row)).then(|| lists.range(row));
        numbers.push(*known.entry(place).or_insert_with(|| {
            first.push(row as u32);
            first.len() as u32 - 1
        }));
    }
    let mut different = VectorBuffer::new(data_type.clone());
    different.append_rows(column, &first);
    out.u8(NUMBERED);
    out.u32(first.len() as u32);
    numbers.into_iter().for_each(|number| out.u32(number));
    encode_vector(&different.vector(), data_type, first.len(), out);
}

fn read_column(reader: &mut ByteReader<'_>, data_type: &DataType, rows: usize) -> Damaged<VectorBuffer> {
    let mut column = VectorBuffer::new(data_type.clone());
    if reader.u8()? == ROWS {
        decode_vector(reader, &mut column, rows)?;
        return Ok(column);
    }
    let count = reader.u32()?;
    let numbers = (0..rows).map(|_| reader.u32()).collect::<Damaged<Vec<u32>>>()?;
    if numbers.iter().any(|number| *number >= count) {
        return Err(Damage("a row has a list that is not there"));
    }
    let mut different = VectorBuffer::new(data_type.clone());
    decode_vector(reader, &mut different, count as usize)?;
    column.append_rows(&different.vector(), &numbers);
    Ok(column)
}

/// Bytes that a codec may add to a block.
const CODEC_ROOM: u64 = 64;

impl Drop for SpillFile {
    fn drop(&mut self) {
        // What stays is removed at the next open.
        let _ = self.backend.remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::backend::SimulatedBackend;
    use crate::storage::codec::Identity;
    use crate::types::{GlobalId, Interval, Value};

    fn area(disk: &SimulatedBackend) -> Arc<SpillArea> {
        disk.create_dir(SPILL_FOLDER).unwrap();
        Arc::new(SpillArea::own(disk.shared(), Arc::new(Identity)))
    }

    fn check(data_type: DataType, values: &[Value]) {
        let disk = SimulatedBackend::new(1);
        let file = area(&disk).file().unwrap().unwrap();
        let mut column = VectorBuffer::new(data_type.clone());
        values.iter().for_each(|value| column.push_value(value).unwrap());
        let types = [DataType::Int64, data_type.clone()];
        let mut numbers = VectorBuffer::new(DataType::Int64);
        numbers.extend::<i64>(&(0..values.len() as i64).collect::<Vec<_>>());
        let columns = [numbers.vector(), column.vector()];
        let blocks = [1, 2].map(|_| file.write(&columns, &types, values.len()).unwrap());
        for block in blocks {
            let back = file.read(&block, &types).unwrap();
            for (row, value) in values.iter().enumerate() {
                assert_eq!(back[0].vector().value(row, &DataType::Int64), Value::Int64(row as i64));
                let expected = column.vector().value(row, &data_type);
                let found = back[1].vector().value(row, &data_type);
                // As texts, since NaN is not equal to itself.
                assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{value:?}");
            }
        }
    }

    #[test]
    fn rows_of_every_type_come_back() {
        let text = |text: &str| Value::String(text.to_owned());
        let node = Value::Id(GlobalId(7 << 48 | 5));
        let list = |items: &[Value]| Value::List(items.to_vec());
        check(DataType::Int64, &[Value::Int64(-5), Value::Null, Value::Int64(i64::MAX)]);
        check(DataType::String, &[text("short"), text(&"long ".repeat(100)), Value::Null, text("")]);
        check(DataType::Double, &[Value::Double(f64::NAN), Value::Double(-0.0)]);
        check(DataType::Node, &[node.clone(), Value::Null]);
        check(DataType::Null, &[Value::Null, Value::Null]);
        check(DataType::Bool, &[Value::Bool(true), Value::Null, Value::Bool(false)]);
        check(DataType::Interval, &[Value::Interval(Interval::ZERO), Value::Null]);
        let lists = DataType::list(DataType::String);
        check(lists, &[list(&[text("a"), Value::Null]), Value::Null, list(&[])]);
        check(DataType::list(DataType::Node), &[list(&[node.clone(), node.clone()]), list(&[])]);
        let mixed = list(&[Value::Int64(1), text("two"), Value::Null, list(&[Value::Double(3.0)])]);
        check(DataType::Any, &[mixed, Value::Int64(4), node, Value::Null, text("five"), list(&[])]);
    }

    #[test]
    fn a_list_that_many_rows_have_is_written_once() {
        let file = area(&SimulatedBackend::new(3)).file().unwrap().unwrap();
        let data_type = DataType::list(DataType::Int64);
        let mut lists = VectorBuffer::new(data_type.clone());
        lists.push_value(&Value::List((0..1000).map(Value::Int64).collect())).unwrap();
        lists.push_null();
        lists.push_value(&Value::List(vec![Value::Int64(7)])).unwrap();
        let codes: Vec<u32> = (0..500).map(|row| row % 3).collect();
        let mut column = VectorBuffer::new(data_type.clone());
        column.append_rows(&lists.vector(), &codes);
        let types = [data_type.clone()];
        let block = file.write(&[column.vector().slice_from(1)], &types, 499).unwrap();
        assert!(block.bytes < 20_000, "{}", block.bytes);
        let back = file.read(&block, &types).unwrap();
        for row in 0..499 {
            let expected = lists.vector().value(codes[row + 1] as usize, &data_type);
            assert_eq!(back[0].vector().value(row, &data_type), expected);
        }
        assert!(back[0].bytes() < 30_000, "{}", back[0].bytes());
    }

    #[test]
    fn files_end_with_their_holders_and_full_disks_are_told() {
        let disk = SimulatedBackend::new(2);
        let area = area(&disk);
        let file = area.file().unwrap().unwrap();
        let mut column = VectorBuffer::new(DataType::Int64);
        column.extend::<i64>(&vec![3; 10_000]);
        let types = [DataType::Int64];
        let block = file.write(&[column.vector()], &types, 10_000).unwrap();
        assert!(area.bytes_written() >= 80_000);
        assert_eq!(disk.list(SPILL_FOLDER).unwrap().len(), 1);
        disk.set_capacity(Some(disk.used_bytes() + 1000));
        let error = file.write(&[column.vector()], &types, 10_000).unwrap_err();
        assert!(matches!(error, StorageError::DiskFull { .. }), "{error}");
        assert_eq!(file.read(&block, &types).unwrap()[0].len(), 10_000);
        disk.set_capacity(None);
        drop(file);
        assert!(disk.list(SPILL_FOLDER).unwrap().is_empty());
        assert!(Arc::new(SpillArea::none(Arc::new(Identity))).file().unwrap().is_none());
    }

    #[test]
    #[cfg(unix)]
    fn folders_whose_owner_is_gone_are_removed_and_no_others() {
        let parent = tempfile::tempdir().unwrap();
        let area = || Arc::new(SpillArea::below(parent.path(), Arc::new(Identity)).unwrap());
        let names = || {
            let entries = fs::read_dir(parent.path()).unwrap().flatten();
            let mut names: Vec<String> =
                entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        };
        let (living, types) = (area(), [DataType::Int64]);
        let file = living.file().unwrap().unwrap();
        let mut column = VectorBuffer::new(DataType::Int64);
        column.extend::<i64>(&[1, 2, 3]);
        let block = file.write(&[column.vector()], &types, 3).unwrap();
        let [own] = &names()[..] else { panic!("{:?}", names()) };
        // As a process that was killed leaves it, one that is being made, and what is not ours.
        let number = "0123456789abcdef0123456789abcdef";
        let [killed, making] = [format!("quire-{number}"), format!(".quire-{number}")];
        for folder in [&killed, &making] {
            fs::create_dir_all(parent.path().join(folder).join(SPILL_FOLDER)).unwrap();
            fs::write(parent.path().join(folder).join(OWNER), "").unwrap();
            fs::write(parent.path().join(folder).join("tmp/spill-000001"), "rows").unwrap();
        }
        let others = ["quire-notes", "quire-fedcba9876543210fedcba9876543210"];
        others.iter().for_each(|folder| fs::create_dir(parent.path().join(folder)).unwrap());
        fs::write(parent.path().join(others[0]).join(OWNER), "").unwrap();
        let next = area();
        assert!(names().contains(&killed), "nothing is looked at before it is needed");
        let _next = next.file().unwrap().unwrap();
        let left = names();
        assert!(!left.contains(&killed), "{left:?}");
        for name in [own, &making, others[0], others[1]] {
            assert!(left.iter().any(|left| left == name), "{name} of {left:?}");
        }
        assert_eq!(left.len(), 5, "{left:?}");
        assert_eq!(file.read(&block, &types).unwrap()[0].len(), 3);
        drop((file, living));
        assert!(!names().contains(own));
    }
}
