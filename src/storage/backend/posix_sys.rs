//! Calls that the standard library does not offer.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

/// Reserves blocks and extends the file to at least `offset + length`.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(super) fn allocate(file: &File, offset: u64, length: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    let narrow =
        |value: u64| libc::off_t::try_from(value).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge));
    let (offset, length) = (narrow(offset)?, narrow(length)?);
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and the call takes no pointers.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), offset, length) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// Elsewhere the caller writes zeros instead.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(super) fn allocate(_file: &File, _offset: u64, _length: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
