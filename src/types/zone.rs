//! Names of time zones, interned for the whole process so that a DATETIME is plain data.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::RwLock;

use super::calendar::{NANOS_PER_DAY, SECONDS_PER_DAY};
use super::{TypeError, TypeResult, Zoned};

const NANOS_PER_SECOND: i128 = 1_000_000_000;
/// 400 years, after which the calendar and so the rules of a zone repeat.
const SECONDS_PER_ERA: i128 = 146_097 * SECONDS_PER_DAY as i128;
/// Instants from the year 9000 on take their offset from the same day of an earlier era.
const ERA_LIMIT: i128 = 221_845_392_000;
/// Instants before the year -9000 take the zone's earliest offset.
const EARLIEST: i128 = -346_178_448_000;

/// An interned zone name; 0 means that there is none. On disk stands the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ZoneId(u32);

struct Entry {
    name: Arc<str>,
    zone: TimeZone,
}

static ZONES: RwLock<Vec<Entry>> = RwLock::new(Vec::new());

impl ZoneId {
    /// No zone, only an offset.
    pub const NONE: ZoneId = ZoneId(0);

    /// The id of a zone that the time zone database knows.
    pub fn intern(name: &str) -> TypeResult<ZoneId> {
        if let Some(known) = find(&ZONES.read(), name) {
            return Ok(known);
        }
        let zone = TimeZone::get(name).map_err(|_| TypeError::UnknownZone { name: name.to_owned() })?;
        let canonical = zone.iana_name().unwrap_or(name).to_owned();
        let mut zones = ZONES.write();
        if let Some(known) = find(&zones, &canonical) {
            return Ok(known);
        }
        zones.push(Entry { name: Arc::from(canonical), zone });
        Ok(ZoneId(zones.len() as u32))
    }

    /// The name, none for `NONE`.
    pub fn name(self) -> Option<Arc<str>> {
        let position = (self.0 as usize).checked_sub(1)?;
        ZONES.read().get(position).map(|entry| entry.name.clone())
    }

    /// The number that vectors hold.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The instant with the offset that the zone has then; none for `NONE`.
    pub fn at(self, nanos: i128) -> Option<Zoned> {
        let position = (self.0 as usize).checked_sub(1)?;
        let zones = ZONES.read();
        let offset_seconds = offset(&zones.get(position)?.zone, nanos.div_euclid(NANOS_PER_SECOND))?;
        Some(Zoned { nanos, offset_seconds, zone: self })
    }

    /// The instant at which the zone's clocks show a local time; in a gap the later reading, in a fold the earlier.
    pub fn at_local(self, local: i128) -> Option<Zoned> {
        let position = (self.0 as usize).checked_sub(1)?;
        let zones = ZONES.read();
        let zone = &zones.get(position)?.zone;
        let seconds = local.div_euclid(NANOS_PER_SECOND);
        // The offsets a day earlier and later are those before and after any change in between.
        let before = offset(zone, seconds - i128::from(SECONDS_PER_DAY))?;
        let after = offset(zone, seconds + i128::from(SECONDS_PER_DAY))?;
        let holds = |candidate: i32| offset(zone, seconds - i128::from(candidate)) == Some(candidate);
        let chosen = if holds(before) || !holds(after) { before } else { after };
        let nanos = local - i128::from(chosen) * NANOS_PER_SECOND;
        drop(zones);
        self.at(nanos)
    }
}

fn find(zones: &[Entry], name: &str) -> Option<ZoneId> {
    let position = zones.iter().position(|entry| &*entry.name == name)?;
    Some(ZoneId(position as u32 + 1))
}

/// Seconds east of UTC at an instant given in seconds.
fn offset(zone: &TimeZone, seconds: i128) -> Option<i32> {
    let seconds = if seconds >= ERA_LIMIT {
        ERA_LIMIT - SECONDS_PER_ERA + (seconds - ERA_LIMIT) % SECONDS_PER_ERA
    } else {
        seconds.max(EARLIEST)
    };
    let instant = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    Some(zone.to_offset(instant).seconds())
}

// One era in nanoseconds is what the arithmetic above repeats by.
const _: () = assert!(SECONDS_PER_ERA * NANOS_PER_SECOND == 146_097 * NANOS_PER_DAY as i128);

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

    #[test]
    fn gaps_and_folds_have_one_reading() {
        let stockholm = ZoneId::intern("Europe/Stockholm").unwrap();
        let local = |seconds: i128| stockholm.at_local(seconds * NANOS_PER_SECOND).unwrap();
        // 2024-03-31T02:30 does not exist, 2024-10-27T02:30 exists twice.
        assert_eq!(local(1_711_852_200).nanos, (1_711_852_200 - 3_600) * NANOS_PER_SECOND);
        assert_eq!(local(1_711_852_200).offset_seconds, 7_200);
        assert_eq!(local(1_729_996_200).offset_seconds, 7_200);
        assert_eq!(local(1_711_800_000).offset_seconds, 3_600);
    }
}
