//! What the operating system's answers mean: which are tried again, which mean a full disk, which are final.

use std::io;
use std::thread;
use std::time::Duration;

use crate::storage::StorageError;

/// Attempts before a transient error counts as final. With the waits below they last about half a second.
const ATTEMPTS_MAX: u32 = 10;
/// The first wait; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_micros(500);

/// Wraps an error of the operating system; a full disk or an exhausted quota is its own kind, because
/// work goes on when there is room again.
pub(super) fn io_error(operation: &'static str, file: &str, source: io::Error) -> StorageError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StorageError::DiskFull { file: file.to_owned() }
        }
        _ => StorageError::Io { operation, file: file.to_owned(), source },
    }
}

/// Runs a call until it gives something else than a transient error, or too often.
pub(super) fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut wait = FIRST_WAIT;
    let mut attempt = 1;
    loop {
        match call() {
            Err(error) if is_transient(&error) && attempt < ATTEMPTS_MAX => {
                // An interrupted call is simply made again; only a busy device is given time.
                if error.kind() != io::ErrorKind::Interrupted {
                    thread::sleep(wait);
                    wait *= 2;
                }
                attempt += 1;
            }
            other => return other,
        }
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Fills `buffer` by as many reads as it takes; the end of the file before that is `UnexpectedEof`.
pub(super) fn read_fully(
    mut offset: u64,
    mut buffer: &mut [u8],
    mut read: impl FnMut(&mut [u8], u64) -> io::Result<usize>,
) -> io::Result<()> {
    while !buffer.is_empty() {
        let count = retry(|| read(buffer, offset))?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[count..];
        offset += count as u64;
    }
    Ok(())
}

/// Writes all of `bytes` by as many writes as it takes.
pub(super) fn write_fully(
    mut offset: u64,
    mut bytes: &[u8],
    mut write: impl FnMut(&[u8], u64) -> io::Result<usize>,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = retry(|| write(bytes, offset))?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[count..];
        offset += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device that answers from a script: `Ok(n)` moves at most n bytes.
    fn check(script: Vec<Result<usize, io::ErrorKind>>, expected: Result<Vec<u8>, io::ErrorKind>) {
        let mut script = script.into_iter();
        let mut buffer = [0; 6];
        let got = read_fully(100, &mut buffer, |out, offset| {
            let count = script.next().unwrap_or(Ok(usize::MAX)).map_err(io::Error::from)?.min(out.len());
            for (i, byte) in out[..count].iter_mut().enumerate() {
                *byte = (offset as usize + i) as u8;
            }
            Ok(count)
        });
        assert_eq!(got.map(|()| buffer.to_vec()).map_err(|e| e.kind()), expected);
    }

    #[test]
    fn short_and_interrupted_reads_are_continued() {
        let whole = vec![100, 101, 102, 103, 104, 105];
        check(vec![], Ok(whole.clone()));
        check(vec![Ok(2), Err(io::ErrorKind::Interrupted), Ok(1), Err(io::ErrorKind::WouldBlock)], Ok(whole));
        check(vec![Ok(2), Ok(0)], Err(io::ErrorKind::UnexpectedEof));
        check(vec![Ok(2), Err(io::ErrorKind::PermissionDenied)], Err(io::ErrorKind::PermissionDenied));
    }

    #[test]
    fn a_device_that_stays_busy_is_given_up() {
        check(vec![Err(io::ErrorKind::Interrupted); 100], Err(io::ErrorKind::Interrupted));
    }

    #[test]
    fn short_writes_are_continued() {
        let mut written = Vec::new();
        write_fully(7, b"abcdef", |bytes, offset| {
            let count = bytes.len().min(4);
            written.push((offset, bytes[..count].to_vec()));
            Ok(count)
        })
        .unwrap();
        assert_eq!(written, [(7, b"abcd".to_vec()), (11, b"ef".to_vec())]);
        let refused = write_fully(0, b"x", |_, _| Ok(0));
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::WriteZero);
    }

    #[test]
    fn a_full_disk_is_its_own_kind() {
        let full = io_error("write", "f", io::ErrorKind::StorageFull.into());
        assert!(matches!(full, StorageError::DiskFull { .. }));
        let quota = io_error("write", "f", io::ErrorKind::QuotaExceeded.into());
        assert!(matches!(quota, StorageError::DiskFull { .. }));
        assert!(matches!(io_error("write", "f", io::ErrorKind::Other.into()), StorageError::Io { .. }));
    }
}
