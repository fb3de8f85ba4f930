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

/// Locks a range of a file for as long as it is open, unless somebody else has. Beside the locks of whole files.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn lock_range(file: &File, offset: u64, length: u64) -> io::Result<bool> {
    match range_call(file, libc::F_OFD_SETLK, offset, length) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether somebody else has locked a part of the range.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn is_range_locked(file: &File, offset: u64, length: u64) -> io::Result<bool> {
    let found = range_call(file, libc::F_OFD_GETLK, offset, length)?;
    Ok(i32::from(found.l_type) != libc::F_UNLCK)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn range_call(file: &File, call: libc::c_int, offset: u64, length: u64) -> io::Result<libc::flock> {
    use std::os::fd::AsRawFd;

    let narrow =
        |value: u64| libc::off_t::try_from(value).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge));
    // SAFETY: all fields of the structure are numbers, for which zero is a value.
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    range.l_type = libc::F_WRLCK as libc::c_short;
    range.l_whence = libc::SEEK_SET as libc::c_short;
    range.l_start = narrow(offset)?;
    range.l_len = narrow(length)?;
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and the call writes to nothing but `range`.
    match unsafe { libc::fcntl(file.as_raw_fd(), call, &mut range) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(range),
    }
}

/// Elsewhere readers are not named.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn lock_range(_file: &File, _offset: u64, _length: u64) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Elsewhere readers are not named.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn is_range_locked(_file: &File, _offset: u64, _length: u64) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Elsewhere the caller writes zeros instead.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(super) fn allocate(_file: &File, _offset: u64, _length: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
