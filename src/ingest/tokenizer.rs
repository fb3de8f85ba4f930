//! From the bytes of a block to a table of fields, row by row.
//!
//! Stretches without quotes and carriage returns take a short loop over delimiter and line-feed positions;
//! everything else takes the general loop, which follows the same rules as the splitter.

use std::ops::Range;

use super::options::Dialect;
use super::row_error::RowErrorKind;
use super::structure::{StructuralCursor, structural_mask, window};

/// A stretch without quotes must be this long before the short loop is worth its start.
const PLAIN_BYTES_MIN: usize = 256;
/// So many records go through the general loop before quotes are looked for again.
const GENERAL_RUN: usize = 32;

/// One field of a block. Flags say how its text is to be read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Field {
    start: u32,
    /// Length in the upper 30 bits, then "holds escapes", then "was quoted".
    extent: u32,
}

impl Field {
    #[inline]
    fn plain(start: usize, end: usize) -> Self {
        Field { start: start as u32, extent: ((end - start) as u32) << 2 }
    }

    fn quoted(content: Range<usize>, escaped: bool) -> Self {
        let plain = Field::plain(content.start, content.end);
        Field { extent: plain.extent | u32::from(escaped) << 1 | 1, ..plain }
    }

    /// Where the text stands, without enclosing quotes.
    #[inline]
    pub(super) fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + (self.extent >> 2) as usize
    }

    #[inline]
    pub(super) fn is_quoted(self) -> bool {
        self.extent & 1 != 0
    }

    /// Whether escapes must be taken out of the text.
    #[inline]
    pub(super) fn is_escaped(self) -> bool {
        self.extent & 2 != 0
    }

    /// Neither quoted nor with a byte in it.
    #[inline]
    pub(super) fn is_empty_unquoted(self) -> bool {
        self.extent == 0
    }

    /// Where the field stands with its quotes.
    fn raw_range(self) -> Range<usize> {
        let Range { start, end } = self.range();
        if self.is_quoted() { start - 1..end + 1 } else { start..end }
    }
}

/// The longest block whose fields can be described.
pub(super) const BLOCK_BYTES_MAX: usize = 1 << 30;

/// Rows of fields; every row has as many fields as there are columns. They lie column by column, as they are
/// read.
#[derive(Debug, Default)]
pub(super) struct FieldTable {
    fields: Vec<Field>,
    width: usize,
    /// Room for rows: from one column's first field to the next one's.
    stride: usize,
    /// For each row the position of its record among the records of the block.
    ordinals: Vec<u32>,
}

impl FieldTable {
    #[inline]
    pub(super) fn rows(&self) -> usize {
        self.ordinals.len()
    }

    pub(super) fn ordinal(&self, row: usize) -> u32 {
        self.ordinals[row]
    }

    /// The fields of one column, row by row.
    #[inline]
    pub(super) fn column(&self, column: usize) -> &[Field] {
        let start = column * self.stride;
        self.fields.get(start..start + self.rows()).unwrap_or_default()
    }

    pub(super) fn field(&self, row: usize, column: usize) -> Field {
        self.fields[column * self.stride + row]
    }

    /// Where the record of a row stands, without its line end.
    pub(super) fn record_range(&self, row: usize) -> Range<usize> {
        let first = self.field(row, 0).raw_range();
        let last = self.field(row, self.width - 1).raw_range();
        first.start..last.end
    }

    fn clear(&mut self, width: usize, rows_max: usize) {
        self.ordinals.clear();
        if (self.width, self.stride) != (width, rows_max) {
            self.width = width;
            self.stride = rows_max;
            self.fields.resize(width * rows_max, Field::default());
        }
    }

    /// Appends a row where there is room for it.
    fn push(&mut self, row: &[Field], ordinal: u32) {
        let place = self.rows();
        for (column, &field) in row.iter().enumerate() {
            self.fields[column * self.stride + place] = field;
        }
        self.ordinals.push(ordinal);
    }
}

/// A record that is no row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    /// The position of the record among the records of the block.
    pub(super) ordinal: u32,
    pub(super) record: Range<usize>,
    pub(super) column: Option<usize>,
    pub(super) field: Option<Range<usize>>,
    pub(super) kind: FaultKind,
}

/// What is wrong with a record; lines are added by who knows where the block starts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum FaultKind {
    Row(RowErrorKind),
    /// Nothing behind the quote at this position can be told apart, so this is never passed over.
    Unterminated {
        quote: usize,
    },
}

/// What a pass over a record found.
enum Record {
    Row,
    Blank,
    Fault(Fault),
}

/// Walks over the records of a block.
pub(super) struct Tokenizer<'a> {
    dialect: &'a Dialect,
    bytes: &'a [u8],
    width: usize,
    position: usize,
    /// The position of the next record among the records of the block.
    ordinal: u32,
    /// The next quote or carriage return at or behind some earlier position.
    next_special: Option<usize>,
    valid_utf8: bool,
    /// The fields of the record under way.
    row: Vec<Field>,
}

impl<'a> Tokenizer<'a> {
    pub(super) fn new(dialect: &'a Dialect, bytes: &'a [u8], width: usize, valid_utf8: bool) -> Self {
        let row = Vec::with_capacity(width);
        Tokenizer { dialect, bytes, width, position: 0, ordinal: 0, next_special: None, valid_utf8, row }
    }

    pub(super) fn at_end(&self) -> bool {
        self.position >= self.bytes.len()
    }

    /// Takes the header off the front; a header of another width is a fault.
    pub(super) fn skip_header(&mut self) -> Result<(), Fault> {
        let mut cursor = self.cursor();
        while !self.at_end() {
            let fault = match self.record(&mut cursor) {
                Record::Blank => continue,
                Record::Row => return Ok(()),
                Record::Fault(fault) => fault,
            };
            let kind = match fault.kind {
                FaultKind::Row(
                    RowErrorKind::TooFewFields { expected, found }
                    | RowErrorKind::TooManyFields { expected, found },
                ) => FaultKind::Row(RowErrorKind::HeaderWidth { expected, found }),
                other => other,
            };
            return Err(Fault { kind, ..fault });
        }
        Ok(())
    }

    /// Replaces the table by the next rows, at most `rows_max`. Records in `skipped` (sorted) are passed over;
    /// other bad records are added to `faults`, after the first one the walk ends.
    pub(super) fn next_rows(
        &mut self,
        table: &mut FieldTable,
        rows_max: usize,
        skipped: &[u32],
        faults: &mut Vec<Fault>,
    ) {
        table.clear(self.width, rows_max);
        while table.rows() < rows_max && !self.at_end() {
            let plain_end = self.plain_end();
            if skipped.is_empty() && plain_end - self.position >= PLAIN_BYTES_MIN {
                self.plain_rows(table, rows_max, plain_end);
            }
            if !self.general_rows(table, rows_max, skipped, faults) {
                return;
            }
        }
    }

    /// Where the stretch without quotes and carriage returns ends that starts here.
    fn plain_end(&mut self) -> usize {
        if !self.valid_utf8 {
            return self.position;
        }
        if self.next_special.is_none_or(|special| special < self.position) {
            let rest = &self.bytes[self.position..];
            let found = match self.dialect.quote {
                Some(quote) => memchr::memchr2(quote, b'\r', rest),
                None => memchr::memchr(b'\r', rest),
            };
            self.next_special = Some(found.map_or(self.bytes.len(), |relative| self.position + relative));
        }
        self.next_special.unwrap_or(self.bytes.len())
    }

    /// Takes regular rows up to `limit`, and stops before the first record that is not one.
    fn plain_rows(&mut self, table: &mut FieldTable, rows_max: usize, limit: usize) {
        let bytes = &self.bytes[..limit];
        let (width, stride) = (self.width, table.stride);
        let fields = table.fields.as_mut_slice();
        let delimiter = self.dialect.delimiter;
        let before = table.ordinals.len();
        let mut row = before;
        let (mut slot, mut column, mut start) = (row, 0, self.position);
        let mut base = self.position;
        'blocks: while base < limit && row < rows_max {
            let chunk = window(bytes, base);
            let line_feeds = structural_mask(&chunk, b"\n");
            let mut any = line_feeds | structural_mask(&chunk, &[delimiter]);
            while any != 0 {
                let bit = any.trailing_zeros() as usize;
                any &= any - 1;
                column += 1;
                let ends = (line_feeds >> bit) & 1 == 1;
                if ends != (column == width) {
                    break 'blocks;
                }
                let Some(field) = fields.get_mut(slot) else { break 'blocks };
                *field = Field::plain(start, base + bit);
                slot += stride;
                start = base + bit + 1;
                if ends {
                    column = 0;
                    row += 1;
                    slot = row;
                    self.position = start;
                    if row == rows_max {
                        break 'blocks;
                    }
                }
            }
            base += 64;
        }
        let rows = (row - before) as u32;
        table.ordinals.extend(self.ordinal..self.ordinal + rows);
        self.ordinal += rows;
    }

    /// Takes a run of records one by one; `false` when a fault ends the walk.
    fn general_rows(
        &mut self,
        table: &mut FieldTable,
        rows_max: usize,
        skipped: &[u32],
        faults: &mut Vec<Fault>,
    ) -> bool {
        let mut cursor = self.cursor();
        for _ in 0..GENERAL_RUN {
            if table.rows() >= rows_max || self.at_end() {
                break;
            }
            let ordinal = self.ordinal;
            let record = self.record(&mut cursor);
            if !matches!(record, Record::Blank) {
                self.ordinal += 1;
                if skipped.binary_search(&ordinal).is_ok() {
                    continue;
                }
            }
            match record {
                Record::Blank => {}
                Record::Row => table.push(&self.row, ordinal),
                Record::Fault(fault) => {
                    faults.push(fault);
                    return false;
                }
            }
        }
        true
    }

    fn cursor(&self) -> StructuralCursor<'a> {
        let quote = self.dialect.quote.unwrap_or(b'\n');
        let escape = self.dialect.escape.filter(|_| self.dialect.quote.is_some()).unwrap_or(quote);
        let specials = [self.dialect.delimiter, b'\n', b'\r', quote, escape];
        StructuralCursor::new(self.bytes, self.position, specials)
    }

    /// Takes one record off the front; its fields are in `row`.
    fn record(&mut self, cursor: &mut StructuralCursor) -> Record {
        let record_start = self.position;
        self.row.clear();
        let mut fault = None;
        let mut start = record_start;
        let record_end = loop {
            let (field, stop) = self.field(cursor, start, &mut fault);
            self.row.push(field);
            if self.bytes.get(stop) != Some(&self.dialect.delimiter) {
                break stop;
            }
            start = stop + 1;
        };
        self.position = self.behind_line_end(cursor, record_end);
        if record_start == record_end && self.width != 1 {
            return Record::Blank;
        }
        let record = record_start..record_end;
        let fault = fault
            .or_else(|| self.width_fault(self.row.len()).map(|kind| (None, None, FaultKind::Row(kind))))
            .or_else(|| self.utf8_fault(&record, &self.row));
        match fault {
            None => Record::Row,
            Some((column, field, kind)) => {
                Record::Fault(Fault { ordinal: self.ordinal, record, column, field, kind })
            }
        }
    }

    /// Reads the field that starts at `start`: the field, and where its delimiter or line end stands (or the
    /// end of the block).
    fn field(
        &self,
        cursor: &mut StructuralCursor,
        start: usize,
        fault: &mut Option<FaultPlace>,
    ) -> (Field, usize) {
        let first = cursor.next().unwrap_or(self.bytes.len());
        if first != start
            || self.dialect.quote.is_none()
            || self.bytes.get(first).copied() != self.dialect.quote
        {
            let stop = self.skip_to_stop(cursor, first);
            return (Field::plain(start, stop), stop);
        }
        let (closing, escaped) = self.closing_quote(cursor);
        let Some(closing) = closing else {
            fault.get_or_insert((None, None, FaultKind::Unterminated { quote: start }));
            return (Field::plain(start, self.bytes.len()), self.bytes.len());
        };
        let next = cursor.next().unwrap_or(self.bytes.len());
        let stop = self.skip_to_stop(cursor, next);
        if stop != closing + 1 {
            let kind = FaultKind::Row(RowErrorKind::TextAfterQuote);
            fault.get_or_insert((None, Some(start..stop), kind));
        }
        (Field::quoted(start + 1..closing, escaped), stop)
    }

    /// The first delimiter, line end or end of the block from `position` on; quotes on the way are plain text.
    fn skip_to_stop(&self, cursor: &mut StructuralCursor, mut position: usize) -> usize {
        while let Some(&byte) = self.bytes.get(position) {
            if byte == self.dialect.delimiter || byte == b'\n' || byte == b'\r' {
                return position;
            }
            position = cursor.next().unwrap_or(self.bytes.len());
        }
        position
    }

    /// The closing quote of the field whose opening quote the cursor has passed, and whether escapes came before.
    fn closing_quote(&self, cursor: &mut StructuralCursor) -> (Option<usize>, bool) {
        let quote = self.dialect.quote;
        let escape = self.dialect.escape.or(quote);
        let mut escaped = false;
        while let Some(position) = cursor.next() {
            let byte = Some(self.bytes[position]);
            if byte == escape {
                let next = self.bytes.get(position + 1).copied();
                if next.is_some() && (next == quote || next == escape) {
                    escaped = true;
                    cursor.next();
                } else if escape == quote {
                    return (Some(position), escaped);
                }
            } else if byte == quote {
                return (Some(position), escaped);
            }
        }
        (None, escaped)
    }

    fn behind_line_end(&self, cursor: &mut StructuralCursor, end: usize) -> usize {
        if self.bytes.get(end) == Some(&b'\r') && self.bytes.get(end + 1) == Some(&b'\n') {
            cursor.next();
            return end + 2;
        }
        (end + 1).min(self.bytes.len())
    }

    fn width_fault(&self, found: usize) -> Option<RowErrorKind> {
        let expected = self.width;
        match found.cmp(&expected) {
            std::cmp::Ordering::Less => Some(RowErrorKind::TooFewFields { expected, found }),
            std::cmp::Ordering::Greater => Some(RowErrorKind::TooManyFields { expected, found }),
            std::cmp::Ordering::Equal => None,
        }
    }

    fn utf8_fault(&self, record: &Range<usize>, fields: &[Field]) -> Option<FaultPlace> {
        if self.valid_utf8 || simdutf8::basic::from_utf8(&self.bytes[record.clone()]).is_ok() {
            return None;
        }
        let bad = |field: &Field| simdutf8::basic::from_utf8(&self.bytes[field.range()]).is_err();
        let column = fields.iter().position(bad);
        let field = column.map(|column| fields[column].range());
        Some((column, field, FaultKind::Row(RowErrorKind::InvalidUtf8)))
    }
}

/// Column, field and kind of a fault.
type FaultPlace = (Option<usize>, Option<Range<usize>>, FaultKind);

/// Takes the escapes out of a quoted field's content.
pub(super) fn unescape(dialect: &Dialect, content: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let quote = dialect.quote;
    let escape = dialect.escape.or(quote);
    let mut rest = content.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        let next = rest.peek().copied();
        if Some(byte) == escape && next.is_some() && (next == quote || next == escape) {
            out.extend(rest.next());
        } else {
            out.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(dialect: &Dialect, text: &str, width: usize) -> Result<Vec<Vec<String>>, Fault> {
        let mut tokenizer = Tokenizer::new(dialect, text.as_bytes(), width, true);
        let (mut table, mut faults, mut rows) = (FieldTable::default(), Vec::new(), Vec::new());
        while !tokenizer.at_end() && faults.is_empty() {
            tokenizer.next_rows(&mut table, 3, &[], &mut faults);
            for row in 0..table.rows() {
                rows.push((0..width).map(|column| show(dialect, text, table.field(row, column))).collect());
            }
        }
        faults.into_iter().next().map_or(Ok(rows), Err)
    }

    fn show(dialect: &Dialect, text: &str, field: Field) -> String {
        let mut content = text.as_bytes()[field.range()].to_vec();
        if field.is_escaped() {
            unescape(dialect, &text.as_bytes()[field.range()], &mut content);
        }
        let content = String::from_utf8(content).unwrap();
        if field.is_quoted() { format!("<{content}>") } else { content }
    }

    fn check(text: &str, width: usize, expected: &[&[&str]]) {
        assert_eq!(rows(&Dialect::default(), text, width).unwrap(), expected, "{text:?}");
    }

    #[test]
    fn plain_rows() {
        check("", 2, &[]);
        check("1,2\n3,4\n", 2, &[&["1", "2"], &["3", "4"]]);
        check("1,2\n3,4", 2, &[&["1", "2"], &["3", "4"]]);
        check("1,2\r\n3,4\r5,6\n", 2, &[&["1", "2"], &["3", "4"], &["5", "6"]]);
        check(",\n,", 2, &[&["", ""], &["", ""]]);
        check("\n\n1,2\n\r\n\n3,4\n\n", 2, &[&["1", "2"], &["3", "4"]]);
        check("a\n\nb\n", 1, &[&["a"], &[""], &["b"]]);
        check(" a , b \n", 2, &[&[" a ", " b "]]);
    }

    #[test]
    fn quoted_fields() {
        check("\"a,b\",\"c\nd\"\n", 2, &[&["<a,b>", "<c\nd>"]]);
        check("2,\"Some more sample \"\"text\"\".\"", 2, &[&["2", "<Some more sample \"text\".>"]]);
        check("\"\",\"\"\"\"\n", 2, &[&["<>", "<\">"]]);
        check("5\" disk,a\"b\"\n", 2, &[&["5\" disk", "a\"b\""]]);
        check("\"a\r\nb\"\r\n\"c\"", 1, &[&["<a\r\nb>"], &["<c>"]]);
        check("it's,'x'\n", 2, &[&["it's", "'x'"]]);
    }

    #[test]
    fn other_dialects() {
        let backslash = Dialect { escape: Some(b'\\'), ..Dialect::default() };
        let found = rows(&backslash, "\"a\\\"b\\\\\",c\\d\n\"\\n\",\"\"\n", 2).unwrap();
        assert_eq!(found, [["<a\"b\\>", "c\\d"], ["<\\n>", "<>"]]);
        let unquoted = Dialect { quote: None, delimiter: b'|', ..Dialect::default() };
        assert_eq!(rows(&unquoted, "\"a|b\"\n", 2).unwrap(), [["\"a", "b\""]]);
    }

    #[test]
    fn long_stretches_change_between_both_loops() {
        let mut text = String::new();
        let mut expected = Vec::new();
        for row in 0..2000 {
            let (field, shown) = match row % 701 {
                3 => (format!("\"{row},\"\"\""), format!("<{row},\">")),
                _ => (row.to_string(), row.to_string()),
            };
            text.push_str(&format!("{field},{row}{}", if row % 977 == 5 { "\r\n" } else { "\n" }));
            expected.push(vec![shown, row.to_string()]);
        }
        assert_eq!(rows(&Dialect::default(), &text, 2).unwrap(), expected);
    }

    fn check_fault(text: &str, width: usize, ordinal: u32, kind: FaultKind) {
        let fault = rows(&Dialect::default(), text, width).unwrap_err();
        assert_eq!((fault.ordinal, fault.kind), (ordinal, kind), "{text:?}");
    }

    #[test]
    fn faults() {
        use RowErrorKind::*;
        check_fault("1,2\n\n3\n", 2, 1, FaultKind::Row(TooFewFields { expected: 2, found: 1 }));
        check_fault("1,2,3,\n", 2, 0, FaultKind::Row(TooManyFields { expected: 2, found: 4 }));
        check_fault("1,\"2\" \n", 2, 0, FaultKind::Row(TextAfterQuote));
        check_fault("1,\"2\"3\"\n", 2, 0, FaultKind::Row(TextAfterQuote));
        check_fault("1,2\n3,\"x\n", 2, 1, FaultKind::Unterminated { quote: 6 });
    }
}
