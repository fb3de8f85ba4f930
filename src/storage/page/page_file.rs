//! The page file: making and opening it, and the state that reading and writing share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use super::allocator::{Allocator, SpaceStats};
use super::buffers::Buffers;
use super::checksum::PageChecksum;
use super::header::{ChosenHeader, HEADER_PAGES, Header, HeaderFlags, Lsn, choose_header};
use super::logged_root::LoggedRoot;
use super::root::Root;
use super::switch::HeaderState;
use super::{ExtentRef, PAGE_SIZE, PageId, PageRef, PageRun};
use crate::storage::backend::{OpenMode, StorageBackend, StorageFile};
use crate::storage::codec::{Identity, StorageCodec, keyless};
use crate::storage::{StorageError, StorageResult};

/// The name of the page file in the database directory.
pub const FILE_NAME: &str = "data.quire";
/// A database is made under this name and renamed when it is whole.
const NEW_FILE_NAME: &str = "data.quire.new";

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing is written, not even to mend a header.
    Read,
    /// Reading and writing.
    Write,
}

/// What is settled when a database is created.
#[derive(Clone)]
pub struct CreateOptions {
    /// In every checksum; drawn anew by default.
    pub uuid: Uuid,
    /// How pages are stored; as they are by default.
    pub codec: Arc<dyn StorageCodec>,
    /// Schema mode and dialect.
    pub flags: HeaderFlags,
}

impl Default for CreateOptions {
    fn default() -> Self {
        CreateOptions { uuid: Uuid::new_v4(), codec: Arc::new(Identity), flags: HeaderFlags::default() }
    }
}

/// What was read and written since the file was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IoStats {
    /// Pages read and verified, headers included.
    pub pages_read: u64,
    /// Pages written, headers included.
    pub pages_written: u64,
    /// Calls that made the file durable.
    pub syncs: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    pub pages_read: AtomicU64,
    pub pages_written: AtomicU64,
    pub syncs: AtomicU64,
}

/// The root in force and the header that names it.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub header: Header,
    /// The header's root, or one that only the log names so far.
    pub root: Root,
    /// Counts the roots that were in force, from 1.
    pub step: u64,
    /// The step of the header's root.
    pub durable_step: u64,
}

pub(super) type ReuseHook = Box<dyn Fn(PageRun) + Send + Sync>;

/// An open page file. All methods may be called from several threads; root switches take turns.
pub struct PageFile {
    pub(super) file: Arc<dyn StorageFile>,
    pub(super) codec: Arc<dyn StorageCodec>,
    pub(super) checksum: PageChecksum,
    pub(super) counters: Counters,
    pub(super) buffers: Buffers,
    /// Published after a switch, never before.
    pub(super) current: RwLock<Arc<Current>>,
    /// Taken by a switch from its beginning to its end, before all other locks.
    pub(super) switch: Mutex<()>,
    /// Free space; read from the file at the first write.
    pub(super) space: Mutex<Option<Allocator>>,
    /// The headers as they lie on disk and the write counters that they allow. Locked after `space`.
    pub(super) headers: Mutex<HeaderState>,
    /// Snapshots by the step whose root they read.
    holds: Mutex<BTreeMap<u64, u64>>,
    /// What the log has changed since the header, as far as free space does not know it yet.
    pub(super) logged: Mutex<Vec<LoggedRoot>>,
    /// Pages that wait for the next header to be free.
    pub(super) retired_ahead: AtomicU64,
    pub(super) on_reuse: OnceLock<ReuseHook>,
    poisoned: OnceLock<String>,
    access: Access,
    is_memory: bool,
}

impl PageFile {
    /// Makes a new database: an empty root, durable under its name or not there at all.
    pub fn create(backend: &dyn StorageBackend, options: &CreateOptions) -> StorageResult<Arc<PageFile>> {
        backend.create_dir("")?;
        if backend.exists(FILE_NAME)? {
            let source = std::io::ErrorKind::AlreadyExists.into();
            return Err(StorageError::Io { operation: "create", file: FILE_NAME.to_owned(), source });
        }
        let file = backend.open(NEW_FILE_NAME, OpenMode::CreateOrOpen)?;
        file.truncate(0)?;
        write_empty(&*file, options)?;
        drop(file);
        backend.rename(NEW_FILE_NAME, FILE_NAME)?;
        backend.sync_dir("")?;
        PageFile::open_with_codec(backend, Access::Write, options.codec.clone())
    }

    /// Opens a database that was stored without a key.
    pub fn open(backend: &dyn StorageBackend, access: Access) -> StorageResult<Arc<PageFile>> {
        let (file, chosen) = open_headers(backend, access)?;
        let id = chosen.header.codec;
        let codec = keyless(id).ok_or_else(|| StorageError::BadHeader {
            file: FILE_NAME.to_owned(),
            detail: format!(
                "it is stored by codec {id}, which this release does not have or which needs a key"
            ),
        })?;
        PageFile::start(file, chosen, codec, access, backend.is_memory())
    }

    /// Opens a database with the codec that it was created with.
    pub fn open_with_codec(
        backend: &dyn StorageBackend,
        access: Access,
        codec: Arc<dyn StorageCodec>,
    ) -> StorageResult<Arc<PageFile>> {
        let (file, chosen) = open_headers(backend, access)?;
        if chosen.header.codec != codec.id() {
            let detail = format!("it is stored by codec {}, not {}", chosen.header.codec, codec.id());
            return Err(StorageError::BadHeader { file: FILE_NAME.to_owned(), detail });
        }
        PageFile::start(file, chosen, codec, access, backend.is_memory())
    }

    fn start(
        file: Arc<dyn StorageFile>,
        chosen: ChosenHeader,
        codec: Arc<dyn StorageCodec>,
        access: Access,
        is_memory: bool,
    ) -> StorageResult<Arc<PageFile>> {
        let header = chosen.header.clone();
        let start = |header, root| Arc::new(Current { header, root, step: 1, durable_step: 1 });
        let page_file = PageFile {
            file,
            codec,
            checksum: PageChecksum::new(&header.uuid),
            counters: Counters::default(),
            buffers: Buffers::default(),
            current: RwLock::new(start(header.clone(), Root::default())),
            switch: Mutex::new(()),
            space: Mutex::new(None),
            headers: Mutex::new(HeaderState::new(chosen)),
            holds: Mutex::default(),
            logged: Mutex::default(),
            retired_ahead: AtomicU64::new(0),
            on_reuse: OnceLock::new(),
            poisoned: OnceLock::new(),
            access,
            is_memory,
        };
        page_file.counters.pages_read.fetch_add(HEADER_PAGES, Ordering::Relaxed);
        let root = page_file.read_root(&header)?;
        if access == Access::Write {
            page_file.settle_headers()?;
        }
        *page_file.current.write() = start(header, root);
        Ok(Arc::new(page_file))
    }

    fn read_root(&self, header: &Header) -> StorageResult<Root> {
        let bytes = self.read_extent(&header.root, "root")?;
        let root = Root::decode(&bytes).map_err(|detail| self.corrupt(&header.root, "root", detail))?;
        if root.generation != header.generation {
            let detail = format!("generation {} under a header of {}", root.generation, header.generation);
            return Err(self.corrupt(&header.root, "root", detail));
        }
        Ok(root)
    }

    /// The root in force.
    pub fn root(&self) -> Root {
        self.current.read().root
    }

    /// The header in force.
    pub fn header(&self) -> Header {
        self.current.read().header.clone()
    }

    /// The database's uuid.
    pub fn uuid(&self) -> Uuid {
        self.current.read().header.uuid
    }

    /// The codec that pages go through.
    pub fn codec(&self) -> &Arc<dyn StorageCodec> {
        &self.codec
    }

    /// The root in force, whose pages stay readable for as long as the hold lives.
    pub fn hold(self: &Arc<Self>) -> GenerationHold {
        let mut holds = self.holds.lock();
        // Read under the lock: a switch that publishes later finds this hold.
        let current = self.current.read().clone();
        *holds.entry(current.step).or_default() += 1;
        GenerationHold { page_file: self.clone(), root: current.root, step: current.step }
    }

    /// The oldest step whose root a hold reads.
    pub(super) fn oldest_hold(&self) -> Option<u64> {
        self.holds.lock().first_key_value().map(|(&generation, _)| generation)
    }

    fn let_go(&self, step: u64) {
        let mut holds = self.holds.lock();
        if let Some(count) = holds.get_mut(&step) {
            *count -= 1;
            if *count == 0 {
                holds.remove(&step);
            }
        }
        drop(holds);
        self.reuse_unheld();
    }

    /// Sets what is called with pages before they may be written again: the buffer pool forgets them. The hook
    /// may wait, and no lock of this file is held while it runs. Only the first call counts.
    pub fn set_on_reuse(&self, hook: impl Fn(PageRun) + Send + Sync + 'static) {
        let _ = self.on_reuse.set(Box::new(hook));
    }

    /// What was read and written since the file was opened.
    pub fn io_stats(&self) -> IoStats {
        IoStats {
            pages_read: self.counters.pages_read.load(Ordering::Relaxed),
            pages_written: self.counters.pages_written.load(Ordering::Relaxed),
            syncs: self.counters.syncs.load(Ordering::Relaxed),
        }
    }

    /// Numbers of pages by what may become of them; reads the free list where that has not happened yet.
    pub fn space_stats(&self) -> StorageResult<SpaceStats> {
        match &*self.space.lock() {
            Some(space) => Ok(space.stats()),
            None => Ok(self.space_on_disk()?.stats()),
        }
    }

    /// The pages that the header's root does not use, ascending, as its own list on disk says. Together with
    /// what it reaches and the two headers these are all pages of `header().page_count`.
    pub fn unused_pages(&self) -> StorageResult<Vec<PageRun>> {
        Ok(self.read_free_list()?.runs().collect())
    }

    /// Makes everything written so far durable. A failure poisons the writer: what the system has forgotten
    /// then is not known.
    pub fn sync(&self) -> StorageResult<()> {
        self.check_writable()?;
        self.sync_file().inspect_err(|error| self.poison(format!("a sync failed: {error}")))
    }

    /// Whether the pages live in this process's memory.
    pub fn is_memory(&self) -> bool {
        self.is_memory
    }

    pub(super) fn sync_file(&self) -> StorageResult<()> {
        if self.is_memory {
            return Ok(());
        }
        self.counters.syncs.fetch_add(1, Ordering::Relaxed);
        self.file.sync()
    }

    /// An error when nothing may be written any more, or never might.
    pub fn check_writable(&self) -> StorageResult<()> {
        if self.access == Access::Read {
            return Err(StorageError::ReadOnly);
        }
        match self.poisoned.get() {
            Some(reason) => Err(StorageError::Poisoned { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Refuses all writes from now on. The first reason stays.
    pub fn poison(&self, reason: impl Into<String>) {
        let _ = self.poisoned.set(reason.into());
    }
}

/// Keeps a root's pages from being written again.
pub struct GenerationHold {
    page_file: Arc<PageFile>,
    root: Root,
    step: u64,
}

impl GenerationHold {
    /// The root whose pages stay as they are.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The generation of that root.
    pub fn generation(&self) -> u64 {
        self.root.generation
    }

    /// The file that it belongs to.
    pub fn page_file(&self) -> &Arc<PageFile> {
        &self.page_file
    }
}

impl Drop for GenerationHold {
    fn drop(&mut self) {
        self.page_file.let_go(self.step);
    }
}

/// The three pages of an empty database, made durable.
fn write_empty(file: &dyn StorageFile, options: &CreateOptions) -> StorageResult<()> {
    let root_page = PageId(HEADER_PAGES);
    let root = Root { generation: 1, ..Root::default() }.encode();
    let mut page = vec![0; PAGE_SIZE];
    page[..root.len()].copy_from_slice(&root);
    let tag = options.codec.seal_page(root_page, 0, &mut page).map_err(|error| StorageError::Corrupt {
        file: FILE_NAME.to_owned(),
        page: root_page,
        what: "root".to_owned(),
        detail: error.detail,
    })?;
    let checksum = PageChecksum::new(&options.uuid).of(root_page, &page);
    let header = Header {
        uuid: options.uuid,
        codec: options.codec.id(),
        flags: options.flags,
        generation: 1,
        page_count: HEADER_PAGES + 1,
        counter_mark: 1,
        checkpoint: Lsn::default(),
        root: ExtentRef {
            root: PageRef { page: root_page, counter: 0, checksum, tag },
            first_page: root_page,
            depth: 0,
            byte_length: root.len() as u64,
        },
    }
    .encode();
    file.write_at(0, &[&header[..], &header[..], &page].concat())?;
    file.sync()
}

fn open_headers(
    backend: &dyn StorageBackend,
    access: Access,
) -> StorageResult<(Arc<dyn StorageFile>, ChosenHeader)> {
    let mode = match access {
        Access::Read => OpenMode::Read,
        Access::Write => OpenMode::Write,
    };
    let file = backend.open(FILE_NAME, mode)?;
    if access == Access::Write {
        // Whoever made the file may have ended before its name was durable.
        backend.sync_dir("")?;
    }
    let bad = |detail: String| StorageError::BadHeader { file: FILE_NAME.to_owned(), detail };
    let size = file.size()?;
    if size < HEADER_PAGES * PAGE_SIZE as u64 {
        return Err(bad(format!("it has only {size} bytes")));
    }
    let mut copies = [[0; PAGE_SIZE]; 2];
    file.read_at(0, copies.as_flattened_mut())?;
    let chosen = choose_header(FILE_NAME, &copies)?;
    let needed = chosen.header.page_count.saturating_mul(PAGE_SIZE as u64);
    match size < needed {
        true => Err(bad(format!("it was cut to {size} of at least {needed} bytes"))),
        false => Ok((file, chosen)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::backend::MemoryBackend;
    use crate::storage::page::{RootChange, extent_runs};

    fn pattern(length: usize, seed: usize) -> Vec<u8> {
        (0..length).map(|i| ((i * 31 + i / 251 + seed) % 256) as u8).collect()
    }

    /// Extents of a length come back whole, by the page and after opening again.
    fn check(length: usize) {
        let backend = MemoryBackend::new();
        let file = PageFile::create(&backend, &CreateOptions::default()).unwrap();
        let bytes = pattern(length, length);
        let batch = file.begin_batch().unwrap();
        let extent = batch.write_extent(&bytes).unwrap();
        let mut writer = batch.extent_writer(length as u64 + 100_000).unwrap();
        bytes.chunks(700).for_each(|piece| writer.push(piece).unwrap());
        let streamed = writer.finish().unwrap();
        let root = Root { catalog: extent, table_directory: streamed, ..file.root() };
        file.switch_root(batch, RootChange { root, ..RootChange::default() }).unwrap();
        drop(file);

        let file = PageFile::open(&backend, Access::Read).unwrap();
        assert_eq!(file.root().catalog, extent);
        assert_eq!(file.read_extent(&extent, "test").unwrap(), bytes);
        assert_eq!(file.read_extent(&streamed, "test").unwrap(), bytes);
        let pages = extent.page_count();
        let all = file.read_references(&extent, 0..pages, "test").unwrap();
        for range in [pages / 2..pages, 0..pages.min(1), pages / 3..pages / 2] {
            let some = file.read_references(&extent, range.clone(), "test").unwrap();
            assert_eq!(some, all[range.start as usize..range.end as usize]);
        }
        let mut used: u64 = file.root().runs().iter().map(|run| run.count).sum();
        used += extent_runs(&file.header().root).iter().map(|run| run.count).sum::<u64>();
        let unused: u64 = file.unused_pages().unwrap().iter().map(|run| run.count).sum();
        assert_eq!(used + unused + HEADER_PAGES, file.header().page_count);
    }

    #[test]
    fn extents_of_all_depths_come_back() {
        for length in [0, 1, 4096, 4097, 128 * 4096, 128 * 4096 + 1, 300_000, 128 * 128 * 4096 + 5] {
            check(length);
        }
    }
}
