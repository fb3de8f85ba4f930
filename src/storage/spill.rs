//! Spill files: rows that operators put aside when memory is short, in blocks of columns behind each other. A file lives
//! as long as somebody holds it and is removed then; `tmp/` is emptied when the database is opened. A database that is only
//! read has them in a folder for temporary files. Blocks go through the
//! codec and carry a checksum, and are read into buffers of the reader's own: never into frames.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use uuid::Uuid;

use super::backend::{OpenMode, StorageBackend, StorageFile};
use super::codec::StorageCodec;
use super::column::bytes::{ByteReader, ByteWriter};
use super::wal::values::{decode_vector, encode_vector};
use super::{StorageError, StorageResult};
use crate::types::DataType;
use crate::vector::{ValueVector, VectorBuffer};

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
    Temporary { folder: PathBuf, made: OnceLock<Arc<dyn StorageBackend>> },
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
    pub fn below(parent: &Path, codec: Arc<dyn StorageCodec>) -> SpillArea {
        let folder = parent.join(format!("quire-{}", Uuid::new_v4().simple()));
        let place = Place::Temporary { folder, made: OnceLock::new() };
        SpillArea::new(cfg!(unix).then_some(place), codec)
    }

    /// Whether rows can be put aside at all.
    pub fn is_there(&self) -> bool {
        self.place.is_some()
    }

    fn backend(&self) -> StorageResult<Option<Arc<dyn StorageBackend>>> {
        match &self.place {
            None => Ok(None),
            Some(Place::Own(backend)) => Ok(Some(Arc::clone(backend))),
            Some(Place::Temporary { folder, made }) => match made.get() {
                Some(backend) => Ok(Some(Arc::clone(backend))),
                None => {
                    let backend = temporary(folder)?;
                    Ok(backend.map(|backend| Arc::clone(made.get_or_init(|| backend))))
                }
            },
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

#[cfg(unix)]
fn temporary(folder: &Path) -> StorageResult<Option<Arc<dyn StorageBackend>>> {
    use std::os::unix::fs::DirBuilderExt;
    let backend = super::backend::PosixBackend::new(folder);
    // Others may look into the folder above.
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| StorageError::Io {
        operation: "create",
        file: folder.display().to_string(),
        source,
    })?;
    backend.create_dir(SPILL_FOLDER)?;
    Ok(Some(backend.shared()))
}

#[cfg(not(unix))]
fn temporary(_: &Path) -> StorageResult<Option<Arc<dyn StorageBackend>>> {
    Ok(None)
}

impl Drop for SpillArea {
    fn drop(&mut self) {
        if let Some(Place::Temporary { folder, made }) = &self.place
            && made.get().is_some()
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
            encode_vector(column, data_type, rows, &mut plain);
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
            let mut column = VectorBuffer::new(data_type.clone());
            decode_vector(&mut reader, &mut column, block.rows as usize)
                .map_err(|damage| self.damaged(damage.0.to_owned()))?;
            columns.push(column);
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
}
