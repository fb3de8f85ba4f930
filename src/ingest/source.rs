//! The files as a sequence of blocks of whole records, read in order with large reads.
//!
//! Files are read and not mapped: one that shrinks meanwhile gives an early end, never a fault signal. Memory
//! is one buffer per block under way plus the unfinished record that is carried to the next block.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::options::Dialect;
use super::row_error::{CsvError, CsvResult, RowError, RowErrorKind, shown};
use super::splitter::{ScanState, scan};
use super::structure::count_line_ends;

/// Whole records of one file.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// The buffer; only the first `length` bytes count.
    buffer: Vec<u8>,
    length: usize,
    /// Which of the files.
    pub(super) file: usize,
    /// Where the block starts in its file.
    pub(super) offset: u64,
    /// The line in which the block starts, counted from 1.
    pub(super) first_line: u64,
    /// Whether the file's first record is in here.
    pub(super) starts_file: bool,
}

impl Block {
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

/// How blocks are cut.
#[derive(Debug, Clone)]
pub(super) struct Cutting {
    pub(super) block_bytes: usize,
    pub(super) record_bytes_max: usize,
    pub(super) skip_lines: u64,
    /// Whether blank lines at a file's start are passed over, so that its first block has the header.
    pub(super) skip_blank_lines: bool,
}

#[derive(Debug)]
struct OpenFile {
    handle: File,
    /// Where the next block starts.
    offset: u64,
    line: u64,
    starts: bool,
    at_end: bool,
}

/// Reads the files one after another.
#[derive(Debug)]
pub(super) struct Source {
    files: Vec<PathBuf>,
    dialect: Dialect,
    cutting: Cutting,
    /// The file that the next block comes from.
    current: usize,
    open: Option<OpenFile>,
    /// Bytes that are read and belong to the next block.
    carry: Vec<u8>,
    scan_state: ScanState,
}

impl Source {
    pub(super) fn new(files: Vec<PathBuf>, dialect: Dialect, cutting: Cutting) -> Self {
        let scan_state = ScanState::default();
        Source { files, dialect, cutting, current: 0, open: None, carry: Vec::new(), scan_state }
    }

    /// The sizes of all files; those without a size (pipes) count as 0.
    pub(super) fn bytes_total(&self) -> u64 {
        self.files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|metadata| metadata.len()).sum()
    }

    /// Fills `block` with the next records; `false` at the end of the last file.
    pub(super) fn next_block(&mut self, block: &mut Block) -> CsvResult<bool> {
        while self.current < self.files.len() {
            if self.open.is_none() {
                self.open_current()?;
            }
            if self.fill(block)? {
                return Ok(true);
            }
            self.open = None;
            self.current += 1;
        }
        Ok(false)
    }

    fn open_current(&mut self) -> CsvResult<()> {
        let path = &self.files[self.current];
        let handle = File::open(path).map_err(|source| CsvError::io("opening", path, source))?;
        let mut open = OpenFile { handle, offset: 0, line: 1, starts: true, at_end: false };
        self.carry.clear();
        let head_bytes = self.cutting.block_bytes.max(4);
        read_more(&mut open, path, &mut self.carry, head_bytes)?;
        check_content(path, &self.carry)?;
        if self.carry.starts_with(b"\xef\xbb\xbf") {
            self.carry.drain(..3);
            open.offset = 3;
        }
        for _ in 0..self.cutting.skip_lines {
            skip_line(&mut open, path, &mut self.carry, head_bytes)?;
        }
        while self.cutting.skip_blank_lines && starts_blank(&mut open, path, &mut self.carry, head_bytes)? {
            skip_line(&mut open, path, &mut self.carry, head_bytes)?;
        }
        self.open = Some(open);
        Ok(())
    }

    fn fill(&mut self, block: &mut Block) -> CsvResult<bool> {
        let Some(open) = self.open.as_mut() else { return Ok(false) };
        let path = &self.files[self.current];
        let mut length = self.carry.len();
        let mut wanted = self.cutting.block_bytes.max(length);
        grow(&mut block.buffer, wanted);
        block.buffer[..length].copy_from_slice(&self.carry);
        self.scan_state.reset();
        loop {
            if !open.at_end {
                length = read_until_full(open, path, &mut block.buffer[..wanted], length)?;
            }
            scan(&self.dialect, &block.buffer[..length], open.at_end, &mut self.scan_state);
            if open.at_end || self.scan_state.records_end > 0 {
                break;
            }
            if length >= self.cutting.record_bytes_max {
                return Err(too_long(
                    path,
                    open.line,
                    &block.buffer[..length],
                    self.cutting.record_bytes_max,
                ));
            }
            wanted = (wanted * 2).min(self.cutting.record_bytes_max);
            grow(&mut block.buffer, wanted);
        }
        block.length = if open.at_end { length } else { self.scan_state.records_end };
        self.carry.clear();
        self.carry.extend_from_slice(&block.buffer[block.length..length]);
        block.file = self.current;
        block.offset = open.offset;
        block.first_line = open.line;
        block.starts_file = open.starts;
        open.starts = false;
        open.offset += block.length as u64;
        open.line += count_line_ends(block.bytes());
        Ok(block.length > 0)
    }
}

/// Buffers only grow, so that their bytes are zeroed once.
fn grow(buffer: &mut Vec<u8>, length: usize) {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
}

fn read_until_full(
    open: &mut OpenFile,
    path: &Path,
    buffer: &mut [u8],
    mut filled: usize,
) -> CsvResult<usize> {
    while filled < buffer.len() {
        match open.handle.read(&mut buffer[filled..]) {
            Ok(0) => {
                open.at_end = true;
                break;
            }
            Ok(count) => filled += count,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(CsvError::io("reading", path, fault)),
        }
    }
    Ok(filled)
}

/// Appends up to `count` bytes of the file to `bytes`.
fn read_more(open: &mut OpenFile, path: &Path, bytes: &mut Vec<u8>, count: usize) -> CsvResult<()> {
    let before = bytes.len();
    bytes.resize(before + count, 0);
    let filled = read_until_full(open, path, bytes, before)?;
    bytes.truncate(filled);
    Ok(())
}

fn starts_blank(open: &mut OpenFile, path: &Path, bytes: &mut Vec<u8>, step: usize) -> CsvResult<bool> {
    if bytes.is_empty() && !open.at_end {
        read_more(open, path, bytes, step)?;
    }
    Ok(matches!(bytes.first(), Some(b'\n' | b'\r')))
}

/// Drops one physical line from the front of `bytes`, whatever quotes it holds.
fn skip_line(open: &mut OpenFile, path: &Path, bytes: &mut Vec<u8>, step: usize) -> CsvResult<()> {
    loop {
        let end = memchr::memchr2(b'\n', b'\r', bytes);
        match end {
            Some(end) if bytes[end] == b'\n' || end + 1 < bytes.len() || open.at_end => {
                let paired = bytes[end] == b'\r' && bytes.get(end + 1) == Some(&b'\n');
                let dropped = end + 1 + usize::from(paired);
                bytes.drain(..dropped);
                open.offset += dropped as u64;
                open.line += 1;
                return Ok(());
            }
            None if open.at_end => {
                open.offset += bytes.len() as u64;
                bytes.clear();
                return Ok(());
            }
            _ => read_more(open, path, bytes, step)?,
        }
    }
}

/// Refuses what is certainly no UTF-8 text before its bytes turn up in a puzzling row error.
fn check_content(path: &Path, head: &[u8]) -> CsvResult<()> {
    let reason = match head {
        [0x1f, 0x8b, ..] => "it is compressed with gzip; decompress it first",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "it is compressed with zstd; decompress it first",
        [b'P', b'K', 3, 4, ..] => "it is a zip archive; unpack it first",
        [b'P', b'A', b'R', b'1', ..] => "it is a Parquet file",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it is UTF-16 text; only UTF-8 is read",
        _ => return Ok(()),
    };
    Err(CsvError::unusable(path, reason))
}

fn too_long(path: &Path, line: u64, record: &[u8], limit: usize) -> CsvError {
    CsvError::from(RowError {
        file: path.display().to_string(),
        line,
        column: None,
        field: None,
        record: shown(record),
        kind: RowErrorKind::RecordTooLong { limit },
        hint: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blocks of one file as (offset, first line, text).
    fn blocks(text: &[u8], block_bytes: usize, skip_lines: u64) -> CsvResult<Vec<(u64, u64, String)>> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        let cutting = Cutting { block_bytes, record_bytes_max: 1000, skip_lines, skip_blank_lines: false };
        let mut source = Source::new(vec![path], Dialect::default(), cutting);
        let mut block = Block::default();
        let mut found = Vec::new();
        while source.next_block(&mut block)? {
            found.push((block.offset, block.first_line, String::from_utf8_lossy(block.bytes()).into_owned()));
        }
        Ok(found)
    }

    fn check(text: &str, block_bytes: usize, skip_lines: u64, expected: &[(u64, u64, &str)]) {
        let found = blocks(text.as_bytes(), block_bytes, skip_lines).unwrap();
        let found: Vec<_> =
            found.iter().map(|(offset, line, text)| (*offset, *line, text.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn blocks_hold_whole_records() {
        check("", 4, 0, &[]);
        check("a\nb\nc", 1, 0, &[(0, 1, "a\nb\n"), (4, 3, "c")]);
        check("aa\nb\nc\n", 1, 0, &[(0, 1, "aa\n"), (3, 2, "b\n"), (5, 3, "c\n")]);
        check("a\nb\nc", 100, 0, &[(0, 1, "a\nb\nc")]);
        check("\"x\ny\"\nbbbbbbb\n", 3, 0, &[(0, 1, "\"x\ny\"\n"), (6, 3, "bbbbbbb\n")]);
        check("\u{feff}a\nb", 100, 0, &[(3, 1, "a\nb")]);
        check("a\r\nb\r\n", 2, 0, &[(0, 1, "a\r\n"), (3, 2, "b\r\n")]);
    }

    #[test]
    fn skipped_lines_are_physical_lines() {
        check("it's \"a\n# note\r\n1\n", 5, 2, &[(16, 3, "1\n")]);
        check("\u{feff}x\n1\n", 100, 1, &[(5, 2, "1\n")]);
        check("x", 100, 3, &[]);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let message = |bytes: &[u8]| blocks(bytes, 100, 0).unwrap_err().to_string();
        assert!(message(b"\x1f\x8b\x08\x00").contains("gzip"));
        assert!(message(b"\xff\xfea\0").contains("UTF-16"));
        let endless = format!("1,2\n3,\"{}", "x".repeat(2000));
        assert!(message(endless.as_bytes()).contains("longer than 1000 bytes"));
        assert!(message(endless.as_bytes()).contains("line 2"));
    }
}
