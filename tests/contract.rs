//! The bytes of the formats, compared with files that earlier releases wrote. `QUIRE_BLESS=1` writes new files;
//! a change of an old one is a change of the format and needs a new version.

#[path = "contract/pages.rs"]
mod pages;
#[path = "contract/tables.rs"]
mod tables;
#[path = "contract/wal.rs"]
mod wal;
#[path = "contract/writesets.rs"]
mod writesets;

use std::path::PathBuf;

/// Compares bytes with a fixture and gives the fixture.
fn golden(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/contract").join(name);
    if std::env::var_os("QUIRE_BLESS").is_some() {
        std::fs::write(&path, bytes).expect("the fixture can be written");
    }
    let fixture = std::fs::read(&path).expect("the fixture is there");
    assert!(fixture == bytes, "{name} differs: the format changed, a new version and a fixture are needed");
    fixture
}
