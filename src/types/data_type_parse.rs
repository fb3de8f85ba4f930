//! Types from their text: `INT64`, `DECIMAL(18, 3)`, `STRUCT(a INT64, b STRING[])[3]`.

use super::{DataType, Field, TimestampUnit, TypeError, TypeResult};

/// Deeper types are refused, so that no recursive pass over a type can exhaust the stack.
const DEPTH_MAX: usize = 64;

impl DataType {
    /// Parses a type as written in DDL and CAST, in any case, with the aliases of Kuzu and SQL.
    pub fn parse(text: &str) -> TypeResult<DataType> {
        let mut reader = Reader { text, position: 0 };
        let data_type = reader.data_type(0)?;
        reader.skip_space();
        if reader.position < text.len() {
            return Err(reader.error("text follows the type"));
        }
        Ok(data_type)
    }
}

struct Reader<'t> {
    text: &'t str,
    position: usize,
}

impl<'t> Reader<'t> {
    fn error(&self, detail: &'static str) -> TypeError {
        let text = self.text.chars().take(80).collect();
        TypeError::UnknownType { text, detail }
    }

    fn rest(&self) -> &'t str {
        // The position only ever advances by whole characters.
        &self.text[self.position..]
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start().len();
    }

    fn accept(&mut self, letter: char) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(letter);
        if found {
            self.position += letter.len_utf8();
        }
        found
    }

    fn expect(&mut self, letter: char, detail: &'static str) -> TypeResult<()> {
        if self.accept(letter) { Ok(()) } else { Err(self.error(detail)) }
    }

    fn word(&mut self) -> &'t str {
        self.skip_space();
        let rest = self.rest();
        let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
        self.position += end;
        &rest[..end]
    }

    fn number(&mut self) -> TypeResult<u32> {
        self.word().parse().map_err(|_| self.error("a number is missing"))
    }

    fn name(&mut self) -> TypeResult<String> {
        if !self.accept('`') {
            let word = self.word();
            return if word.is_empty() {
                Err(self.error("a field name is missing"))
            } else {
                Ok(word.to_owned())
            };
        }
        let mut name = String::new();
        loop {
            let end = self.rest().find('`').ok_or_else(|| self.error("a quoted name has no end"))?;
            name.push_str(&self.rest()[..end]);
            self.position += end + 1;
            if !self.rest().starts_with('`') {
                return Ok(name);
            }
            name.push('`');
            self.position += 1;
        }
    }

    fn data_type(&mut self, depth: usize) -> TypeResult<DataType> {
        if depth > DEPTH_MAX {
            return Err(self.error("nested too deeply"));
        }
        let word = self.word().to_ascii_uppercase();
        let mut data_type = match word.as_str() {
            "DECIMAL" | "NUMERIC" => self.decimal()?,
            "STRUCT" => DataType::Struct(self.fields(depth)?),
            "UNION" => DataType::Union(self.fields(depth)?),
            "MAP" => self.map(depth)?,
            "LIST" => self.list(depth)?,
            "TIMESTAMP" => self.timestamp(),
            name => scalar(name).ok_or_else(|| self.error(""))?,
        };
        let mut wraps = depth;
        while self.accept('[') {
            wraps += 1;
            if wraps > DEPTH_MAX {
                return Err(self.error("nested too deeply"));
            }
            data_type = if self.accept(']') {
                DataType::list(data_type)
            } else {
                let length = self.number()?;
                self.expect(']', "']' is missing")?;
                if length == 0 {
                    return Err(self.error("an array needs at least one element"));
                }
                DataType::Array(Box::new(data_type), length)
            };
        }
        Ok(data_type)
    }

    fn decimal(&mut self) -> TypeResult<DataType> {
        if !self.accept('(') {
            return Ok(DataType::Decimal { precision: 18, scale: 3 });
        }
        let precision = self.number()?;
        let scale = if self.accept(',') { self.number()? } else { 0 };
        self.expect(')', "')' is missing")?;
        if precision == 0 || precision > u32::from(DataType::DECIMAL_PRECISION_MAX) || scale > precision {
            return Err(self.error("precision is 1 to 38, scale at most the precision"));
        }
        Ok(DataType::Decimal { precision: precision as u8, scale: scale as u8 })
    }

    fn fields(&mut self, depth: usize) -> TypeResult<Vec<Field>> {
        self.expect('(', "'(' is missing")?;
        let mut fields: Vec<Field> = Vec::new();
        loop {
            let name = self.name()?;
            // `name: type` is accepted beside `name type`.
            self.accept(':');
            if fields.iter().any(|field| field.name.eq_ignore_ascii_case(&name)) {
                return Err(self.error("two fields have the same name"));
            }
            fields.push(Field { name, data_type: self.data_type(depth + 1)? });
            if !self.accept(',') {
                break;
            }
        }
        self.expect(')', "')' is missing")?;
        Ok(fields)
    }

    fn map(&mut self, depth: usize) -> TypeResult<DataType> {
        self.expect('(', "'(' is missing")?;
        let key = self.data_type(depth + 1)?;
        self.expect(',', "a map needs a key and a value type")?;
        let value = self.data_type(depth + 1)?;
        self.expect(')', "')' is missing")?;
        Ok(DataType::map(key, value))
    }

    fn list(&mut self, depth: usize) -> TypeResult<DataType> {
        let close = if self.accept('<') {
            '>'
        } else {
            self.expect('(', "a list needs an element type")?;
            ')'
        };
        let element = self.data_type(depth + 1)?;
        self.expect(close, "the list's element type has no end")?;
        Ok(DataType::list(element))
    }

    fn timestamp(&mut self) -> DataType {
        let start = self.position;
        let words = [self.word(), self.word(), self.word()].map(str::to_ascii_uppercase);
        if words == ["WITH", "TIME", "ZONE"] {
            return DataType::TimestampTz;
        }
        self.position = start;
        DataType::Timestamp(TimestampUnit::Us)
    }
}

fn scalar(name: &str) -> Option<DataType> {
    Some(match name {
        "NULL" => DataType::Null,
        "BOOL" | "BOOLEAN" => DataType::Bool,
        "INT8" | "TINYINT" => DataType::Int8,
        "INT16" | "SMALLINT" => DataType::Int16,
        "INT32" | "INT" | "INTEGER" => DataType::Int32,
        "INT64" | "BIGINT" | "LONG" => DataType::Int64,
        "INT128" | "HUGEINT" => DataType::Int128,
        "UINT8" | "UTINYINT" => DataType::UInt8,
        "UINT16" | "USMALLINT" => DataType::UInt16,
        "UINT32" | "UINT" => DataType::UInt32,
        "UINT64" | "UBIGINT" => DataType::UInt64,
        "FLOAT" | "REAL" | "FLOAT4" | "FLOAT32" => DataType::Float,
        "DOUBLE" | "FLOAT8" | "FLOAT64" => DataType::Double,
        "STRING" | "VARCHAR" | "TEXT" | "CHAR" => DataType::String,
        "BLOB" | "BYTEA" | "BYTES" => DataType::Blob,
        "UUID" => DataType::Uuid,
        "DATE" => DataType::Date,
        "TIME" => DataType::Time,
        "LOCALTIME" => DataType::LocalTime,
        "LOCALDATETIME" => DataType::LocalDateTime,
        "DATETIME" => DataType::DateTime,
        "TIMESTAMP_S" | "TIMESTAMP_SEC" => DataType::Timestamp(TimestampUnit::S),
        "TIMESTAMP_MS" => DataType::Timestamp(TimestampUnit::Ms),
        "TIMESTAMP_US" => DataType::Timestamp(TimestampUnit::Us),
        "TIMESTAMP_NS" => DataType::Timestamp(TimestampUnit::Ns),
        "TIMESTAMP_TZ" | "TIMESTAMPTZ" => DataType::TimestampTz,
        "INTERVAL" | "DURATION" => DataType::Interval,
        "SERIAL" => DataType::Serial,
        "JSON" => DataType::Json,
        "ANY" => DataType::Any,
        "NODE" => DataType::Node,
        "REL" | "RELATIONSHIP" => DataType::Rel,
        "PATH" | "RECURSIVE_REL" => DataType::Path,
        "INTERNAL_ID" => DataType::Id,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, shown: &str) {
        let parsed = DataType::parse(text).unwrap();
        assert_eq!(parsed.to_string(), shown);
        assert_eq!(DataType::parse(shown).unwrap(), parsed);
    }

    #[test]
    fn types_parse_and_show() {
        check("int64", "INT64");
        check("FLOAT64", "DOUBLE");
        check("Decimal(18,3)", "DECIMAL(18, 3)");
        check("STRUCT(a INT64, `b c` STRING[])[3]", "STRUCT(a INT64, `b c` STRING[])[3]");
        check("map(string, int[])", "MAP(STRING, INT32[])");
        check("timestamp with time zone", "TIMESTAMP_TZ");
        check("LIST<TIMESTAMP>", "TIMESTAMP[]");
        check("UNION(price FLOAT, note STRING)", "UNION(price FLOAT, note STRING)");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "INT65",
            "DECIMAL(39,1)",
            "STRUCT()",
            "STRUCT(a INT64, A INT8)",
            "INT64[",
            "INT64[0]",
            "MAP(INT64)",
        ] {
            assert!(DataType::parse(text).is_err(), "{text}");
        }
        assert!(DataType::parse(&format!("INT64{}", "[]".repeat(1000))).is_err());
        assert!(DataType::parse(&"LIST(".repeat(100_000)).is_err());
    }
}
