//! `CALL name = value`.

use std::time::Duration;

use super::session::Session;
use crate::catalog::Dialect;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{Value, closest_name};

const NAMES: [&str; 3] = ["dialect", "threads", "timeout"];

impl Session {
    /// Changes a setting of this connection.
    pub(super) fn change_setting(&self, name: &str, value: &Value) -> Result<()> {
        let mut settings = self.settings.lock();
        match name.to_lowercase().as_str() {
            "dialect" => settings.dialect = Some(dialect(value)?),
            "threads" => settings.threads = number(name, value)?.max(1) as usize,
            "timeout" => {
                let limit = number(name, value)?;
                settings.timeout = (limit > 0).then(|| Duration::from_millis(limit));
            }
            other => {
                let error = Error::new(ErrorKind::Binder, format!("there is no setting {other}"));
                return Err(match closest_name(other, NAMES) {
                    Some(close) => error.with_hint(format!("Did you mean {close}?")),
                    None => error.with_hint(format!("There are {}", NAMES.join(", "))),
                });
            }
        }
        Ok(())
    }
}

fn dialect(value: &Value) -> Result<Dialect> {
    match value.as_str().map(str::to_lowercase).as_deref() {
        Some("opencypher") => Ok(Dialect::OpenCypher),
        Some("kuzu") => Ok(Dialect::Kuzu),
        _ => {
            let message = format!("{value} is no dialect; there are 'opencypher' and 'kuzu'");
            Err(Error::new(ErrorKind::Binder, message))
        }
    }
}

/// Threads, or milliseconds: a number that is not below zero.
fn number(name: &str, value: &Value) -> Result<u64> {
    value.as_i128().and_then(|number| u64::try_from(number).ok()).ok_or_else(|| {
        Error::new(ErrorKind::Binder, format!("{name} takes a number that is not below zero, not {value}"))
    })
}
