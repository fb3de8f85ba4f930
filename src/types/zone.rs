//! Names of time zones, interned for the whole process so that a DATETIME is plain data.

use std::sync::Arc;

use parking_lot::RwLock;

use super::{TypeError, TypeResult};

/// An interned zone name; 0 means that there is none. On disk stands the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ZoneId(u32);

static NAMES: RwLock<Vec<Arc<str>>> = RwLock::new(Vec::new());

impl ZoneId {
    /// No zone, only an offset.
    pub const NONE: ZoneId = ZoneId(0);

    /// The id of a zone that the time zone database knows.
    pub fn intern(name: &str) -> TypeResult<ZoneId> {
        if let Some(known) = Self::find(&NAMES.read(), name) {
            return Ok(known);
        }
        let zone =
            jiff::tz::TimeZone::get(name).map_err(|_| TypeError::UnknownZone { name: name.to_owned() })?;
        let canonical = zone.iana_name().unwrap_or(name).to_owned();
        let mut names = NAMES.write();
        if let Some(known) = Self::find(&names, &canonical) {
            return Ok(known);
        }
        names.push(Arc::from(canonical));
        Ok(ZoneId(names.len() as u32))
    }

    fn find(names: &[Arc<str>], name: &str) -> Option<ZoneId> {
        let position = names.iter().position(|known| &**known == name)?;
        Some(ZoneId(position as u32 + 1))
    }

    /// The name, none for `NONE`.
    pub fn name(self) -> Option<Arc<str>> {
        let position = (self.0 as usize).checked_sub(1)?;
        NAMES.read().get(position).cloned()
    }

    /// The number that vectors hold.
    pub fn number(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_one_id() {
        let stockholm = ZoneId::intern("Europe/Stockholm").unwrap();
        assert_eq!(ZoneId::intern("Europe/Stockholm").unwrap(), stockholm);
        assert_eq!(stockholm.name().as_deref(), Some("Europe/Stockholm"));
        assert!(ZoneId::intern("Mars/Olympus").is_err());
        assert_eq!(ZoneId::NONE.name(), None);
    }
}
