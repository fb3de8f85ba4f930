//! Where results go: standard output or a file, through one buffer that is written in large pieces.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Bytes after which the buffer is written.
const BUFFER_BYTES: usize = 64 << 10;

/// The place that results are written to.
pub struct Output {
    pub buffer: Vec<u8>,
    file: Option<File>,
}

impl Output {
    /// Standard output.
    pub fn standard() -> Output {
        Output { buffer: Vec::with_capacity(BUFFER_BYTES), file: None }
    }

    /// From now on results go to a file, which is made anew, or to standard output.
    pub fn redirect(&mut self, path: Option<&Path>) -> io::Result<()> {
        self.flush()?;
        self.file = path.map(File::create).transpose()?;
        Ok(())
    }

    /// Whether results go to a file.
    pub fn is_file(&self) -> bool {
        self.file.is_some()
    }

    /// Writes the buffer if it has grown large.
    pub fn drain(&mut self) -> io::Result<()> {
        if self.buffer.len() >= BUFFER_BYTES { self.write() } else { Ok(()) }
    }

    /// Writes the buffer, so that whoever reads the other end gets everything.
    pub fn flush(&mut self) -> io::Result<()> {
        self.write()?;
        match &mut self.file {
            Some(file) => file.flush(),
            None => io::stdout().flush(),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let result = match &mut self.file {
            Some(file) => file.write_all(&self.buffer),
            None => io::stdout().write_all(&self.buffer),
        };
        self.buffer.clear();
        result
    }
}
