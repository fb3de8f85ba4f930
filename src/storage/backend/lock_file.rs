//! The content of the LOCK file: who holds the database, so that whoever is refused can be told, and the
//! reserved table of reader slots. The lock itself is the operating system's, never the content of the file.

use std::process;

/// The first bytes of a LOCK file.
pub const LOCK_MAGIC: [u8; 8] = *b"QUIRELCK";
/// The version of the layout.
pub const LOCK_VERSION: u32 = 1;

const VERSION_AT: usize = LOCK_MAGIC.len();
const PROCESS_AT: usize = VERSION_AT + 4;
const PROGRAM_LENGTH_AT: usize = PROCESS_AT + 4;
const PROGRAM_AT: usize = PROGRAM_LENGTH_AT + 4;
/// Bytes of the part that names the writer.
pub const HOLDER_SIZE: usize = 128;
const PROGRAM_SIZE: usize = HOLDER_SIZE - PROGRAM_AT;

/// Readers that are named; more are let in without a name.
pub(super) const SLOTS: u64 = 64;
/// Bytes of a reader's slot.
pub const SLOT_SIZE: usize = 32;

// Reader slots follow from byte 128, see specs/format/database_file.md.
const _: () = assert!(PROGRAM_AT == 20 && PROGRAM_SIZE == 108 && HOLDER_SIZE == 128);

/// The writer's entry for this process.
pub(super) fn encode_holder() -> [u8; HOLDER_SIZE] {
    encode(process::id(), &program_name())
}

fn encode(process: u32, program: &str) -> [u8; HOLDER_SIZE] {
    let mut length = program.len().min(PROGRAM_SIZE);
    while !program.is_char_boundary(length) {
        length -= 1;
    }
    let mut out = [0; HOLDER_SIZE];
    out[..VERSION_AT].copy_from_slice(&LOCK_MAGIC);
    out[VERSION_AT..PROCESS_AT].copy_from_slice(&LOCK_VERSION.to_le_bytes());
    out[PROCESS_AT..PROGRAM_LENGTH_AT].copy_from_slice(&process.to_le_bytes());
    out[PROGRAM_LENGTH_AT..PROGRAM_AT].copy_from_slice(&(length as u32).to_le_bytes());
    out[PROGRAM_AT..PROGRAM_AT + length].copy_from_slice(&program.as_bytes()[..length]);
    out
}

/// An entry that names nobody: what a writer leaves when it lets go.
pub(super) fn encode_nobody() -> [u8; HOLDER_SIZE] {
    encode(0, "")
}

/// What to call the holder, as far as the bytes tell; they may be missing, stale or half written.
pub(super) fn describe_holder(bytes: &[u8]) -> String {
    read_holder(bytes).unwrap_or_else(|| "another process".to_owned())
}

fn read_holder(bytes: &[u8]) -> Option<String> {
    if bytes.get(..VERSION_AT)? != LOCK_MAGIC {
        return None;
    }
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (process, length) = (word(PROCESS_AT)?, word(PROGRAM_LENGTH_AT)? as usize);
    let program = std::str::from_utf8(bytes.get(PROGRAM_AT..PROGRAM_AT.checked_add(length)?)?).ok()?;
    match process {
        0 => None,
        _ if process == process::id() => Some(format!("this process (process {process}, {program})")),
        _ => Some(format!("process {process} ({program})")),
    }
}

/// Where the slot of this number stands.
pub(super) fn slot_at(slot: u64) -> u64 {
    HOLDER_SIZE as u64 + slot * SLOT_SIZE as u64
}

/// This process's entry in the table of readers.
pub(super) fn encode_slot() -> [u8; SLOT_SIZE] {
    let mut out = [0; SLOT_SIZE];
    out[..8].copy_from_slice(&u64::from(process::id()).to_le_bytes());
    out
}

/// What to call the readers whose slots are locked.
pub(super) fn describe_readers(slots: &[[u8; SLOT_SIZE]]) -> String {
    let number = |slot: &[u8; SLOT_SIZE]| slot.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let mut readers: Vec<u64> = slots.iter().map(number).filter(|process| *process != 0).collect();
    readers.sort_unstable();
    readers.dedup();
    let own = u64::from(process::id());
    let name = |process: &u64| match *process == own {
        true => format!("this process (process {process})"),
        false => format!("process {process}"),
    };
    match readers.iter().map(name).collect::<Vec<String>>().as_slice() {
        [] => "somebody who reads it".to_owned(),
        [one] => format!("{one}, which reads it"),
        all => format!("{}, which read it", all.join(", ")),
    }
}

fn program_name() -> String {
    std::env::current_exe()
        .ok()
        .and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "unknown program".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: &str) {
        assert_eq!(describe_holder(bytes), expected);
    }

    #[test]
    fn holders_are_named_as_far_as_the_file_tells() {
        check(&encode(u32::MAX, "notebook"), "process 4294967295 (notebook)");
        check(&encode(process::id(), "x"), &format!("this process (process {}, x)", process::id()));
        check(&encode_nobody(), "another process");
        check(b"", "another process");
        check(&encode(7, "notebook")[..22], "another process");
        let mut wild = encode(7, "notebook");
        wild[PROGRAM_LENGTH_AT..PROGRAM_AT].fill(0xff);
        check(&wild, "another process");
    }

    #[test]
    fn readers_are_named_once() {
        let check = |slots: &[u64], expected: &str| {
            let slots: Vec<[u8; SLOT_SIZE]> = slots
                .iter()
                .map(|process| {
                    let mut slot = [0; SLOT_SIZE];
                    slot[..8].copy_from_slice(&process.to_le_bytes());
                    slot
                })
                .collect();
            assert_eq!(describe_readers(&slots), expected);
        };
        check(&[], "somebody who reads it");
        check(&[0], "somebody who reads it");
        check(&[u64::MAX], &format!("process {}, which reads it", u64::MAX));
        check(&[1 << 40, 1 << 41, 1 << 40], "process 1099511627776, process 2199023255552, which read it");
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let name = "ä".repeat(100);
        check(&encode(7, &name), &format!("process 7 ({})", "ä".repeat(PROGRAM_SIZE / 2)));
    }
}
