//! Lists that a buffer owns. As long as no two rows have the same list the lists lie one after the other; where rows come
//! from one list of another vector it is copied once, and the rows refer to it.

use std::sync::atomic::{AtomicU64, Ordering};

use rustc_hash::FxHashMap;

use super::buffer_append::Rows;
use super::{ListVector, ValueVector, VectorBuffer};

/// Fewer elements are copied sooner than looked for among the lists that were copied before; neighbours are seen anyway.
const LOOKED_FOR_FROM: u32 = 16;
/// After so many different lists of a vector its others are not looked for either.
const DIFFERENT_MAX: usize = 1024;

/// Lists over elements of one type.
#[derive(Debug)]
pub struct ListBuffer {
    /// The end of each row's list, after a 0.
    ends: Vec<u32>,
    /// Where each row's list begins; empty as long as that is the end before it.
    starts: Vec<u32>,
    child: Box<VectorBuffer>,
    /// Names the lists as they are now, by a number that no other lists have; 0 as long as nobody has asked.
    identity: AtomicU64,
    /// The elements before somebody pushed lists from outside.
    before: u32,
    copied: Option<Box<Copied>>,
    /// Rows whose list was there.
    shared: usize,
}

/// Which lists of a vector stand where.
#[derive(Debug, Default)]
struct Copied {
    identity: u64,
    places: FxHashMap<(u32, u32), u32>,
    found: bool,
}

impl Clone for ListBuffer {
    fn clone(&self) -> Self {
        ListBuffer {
            ends: self.ends.clone(),
            starts: self.starts.clone(),
            child: self.child.clone(),
            // The same lists, until one of both changes.
            identity: AtomicU64::new(self.identity()),
            before: self.before,
            copied: None,
            shared: self.shared,
        }
    }
}

impl ListBuffer {
    pub fn new(child: VectorBuffer) -> Self {
        ListBuffer {
            ends: vec![0],
            starts: Vec::new(),
            child: Box::new(child),
            identity: AtomicU64::new(0),
            before: 0,
            copied: None,
            shared: 0,
        }
    }

    /// How many lists there are.
    pub fn rows(&self) -> usize {
        self.ends.len() - 1
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let copied = self.copied.as_ref().map_or(0, |copied| copied.places.capacity() * 16);
        (self.ends.capacity() + self.starts.capacity()) * 4 + copied + self.child.bytes()
    }

    /// How many rows have a list that was kept for another one, since the lists were cleared.
    pub fn shared(&self) -> usize {
        self.shared
    }

    /// The lists as they are now.
    pub fn view(&self) -> ListVector<'_> {
        ListVector {
            offsets: &self.ends,
            starts: &self.starts,
            child: (&*self.child).into(),
            identity: self.identity(),
        }
    }

    fn identity(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        match self.identity.load(Ordering::Relaxed) {
            0 => {
                let new = NEXT.fetch_add(1, Ordering::Relaxed);
                let set = self.identity.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed);
                set.err().unwrap_or(new)
            }
            known => known,
        }
    }

    /// What comes after is another list of lists.
    fn changes(&mut self) {
        *self.identity.get_mut() = 0;
    }

    pub fn clear(&mut self) {
        self.changes();
        self.copied = None;
        self.ends.truncate(1);
        self.starts.clear();
        self.shared = 0;
        self.child.clear();
    }

    /// Drops the rows from `length` on; gives the elements that the others have.
    fn drop_rows(&mut self, length: usize) -> usize {
        self.changes();
        self.copied = None;
        self.ends.truncate(length + 1);
        self.starts.truncate(length);
        let last = if self.starts.is_empty() { self.ends.last() } else { self.ends.iter().max() };
        last.copied().unwrap_or(0) as usize
    }

    pub fn truncate(&mut self, length: usize) {
        let elements = self.drop_rows(length);
        self.child.truncate(elements);
    }

    /// As `truncate`, where elements may have been pushed for a row that is not there yet.
    pub(super) fn unwind(&mut self, length: usize) {
        let elements = self.drop_rows(length);
        self.child.unwind(elements);
    }

    /// Appends empty lists.
    pub fn push_empty(&mut self, count: usize) {
        self.changes();
        let at = self.child.len() as u32;
        self.ends.resize(self.ends.len() + count, at);
        if !self.starts.is_empty() {
            self.starts.resize(self.starts.len() + count, at);
        }
    }

    /// The ends to push to, as positions among the elements, and the elements, both in order. Follow with `finish`.
    pub fn parts_mut(&mut self) -> (&mut Vec<u32>, &mut VectorBuffer) {
        self.changes();
        self.copied = None;
        if self.rows() == self.starts.len() {
            self.before = self.child.len() as u32;
        }
        (&mut self.ends, &mut self.child)
    }

    /// Takes note of lists that were pushed from outside.
    pub fn finish(&mut self) {
        if !self.starts.is_empty() {
            while let Some(end) = self.ends.get(self.starts.len() + 1) {
                self.starts.push(self.before);
                self.before = *end;
            }
        }
    }

    /// Appends the list `start..end` of the elements.
    fn push(&mut self, start: u32, end: u32) {
        let rows = self.rows();
        if !self.starts.is_empty() || start != self.ends[rows] {
            if self.starts.is_empty() {
                self.starts.extend_from_slice(&self.ends[..rows]);
            }
            self.starts.push(start);
        }
        self.ends.push(end);
    }

    /// Appends rows of other lists; those that are not `valid` become empty.
    pub(super) fn append(
        &mut self,
        from: &ListVector<'_>,
        rows: Rows<'_>,
        all_valid: bool,
        valid: impl Fn(usize) -> bool,
    ) {
        self.changes();
        let elements = from.child.get();
        match rows {
            Rows::Range { start, length } if length > 1 && all_valid && from.starts.is_empty() => {
                self.append_neighbours(from, &elements, start, length);
            }
            _ => self.append_each(from, &elements, rows, valid),
        }
    }

    /// Appends different lists that lie one after the other.
    fn append_neighbours(
        &mut self,
        from: &ListVector<'_>,
        elements: &ValueVector<'_>,
        start: usize,
        length: usize,
    ) {
        let (first, last) = (from.offsets[start], from.offsets[start + length]);
        let base = self.child.len() as u32;
        self.child.append_range(elements, first as usize, (last - first) as usize);
        let moved = |end: &u32| end - first + base;
        if !self.starts.is_empty() {
            self.starts.extend(from.offsets[start..start + length].iter().map(moved));
        }
        self.ends.extend(from.offsets[start + 1..=start + length].iter().map(moved));
    }

    fn append_each(
        &mut self,
        from: &ListVector<'_>,
        elements: &ValueVector<'_>,
        rows: Rows<'_>,
        valid: impl Fn(usize) -> bool,
    ) {
        // The other vector may be another one each time, unless it has a name.
        let known = self.copied.as_ref().map_or(0, |copied| copied.identity);
        let mut copied = self.copied.take().filter(|_| known != 0 && known == from.identity);
        let mut last = ((0, 0), 0);
        for position in 0..rows.len() {
            let row = rows.get(position);
            let (start, end) = if valid(row) { from.range(row) } else { (0, 0) };
            if start == end {
                // Where an empty list stands does not matter.
                self.push_empty(1);
                continue;
            }
            let (place, length) = ((start as u32, end as u32), (end - start) as u32);
            let at = match last {
                (known, at) if known == place => {
                    self.shared += 1;
                    at
                }
                _ => match copied.as_mut().and_then(|copied| copied.place(place, length)) {
                    Some(at) => {
                        self.shared += 1;
                        at
                    }
                    None => {
                        let at = self.child.len() as u32;
                        self.child.append_range(elements, start, end - start);
                        if length >= LOOKED_FOR_FROM {
                            copied.get_or_insert_with(|| Copied::of(from.identity)).note(place, at);
                        }
                        at
                    }
                },
            };
            last = (place, at);
            self.push(at, at + length);
        }
        self.copied = copied;
    }
}

impl Copied {
    fn of(identity: u64) -> Box<Copied> {
        Box::new(Copied { identity, ..Copied::default() })
    }

    fn place(&mut self, list: (u32, u32), length: u32) -> Option<u32> {
        if length < LOOKED_FOR_FROM {
            return None;
        }
        let place = self.places.get(&list).copied();
        self.found |= place.is_some();
        place
    }

    fn note(&mut self, list: (u32, u32), at: u32) {
        if self.found || self.places.len() < DIFFERENT_MAX {
            self.places.insert(list, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Selection;
    use super::*;
    use crate::types::{DataType, Value};

    fn buffer(lists: &[Value]) -> VectorBuffer {
        let mut buffer = VectorBuffer::new(DataType::list(DataType::Int64));
        lists.iter().for_each(|list| buffer.push_value(list).unwrap());
        buffer
    }

    fn list(first: i64, length: i64) -> Value {
        Value::List((first..first + length).map(Value::Int64).collect())
    }

    fn elements(buffer: &VectorBuffer) -> usize {
        let lists = buffer.vector().list_reader().expect("the buffer has lists");
        (0..buffer.len()).map(|row| lists.range(row).1).max().unwrap_or(0)
    }

    fn check(found: &VectorBuffer, expected: &[Value]) {
        assert_eq!(found.len(), expected.len());
        for (row, expected) in expected.iter().enumerate() {
            let found = found.vector().value(row, found.data_type());
            assert!(found.equivalent(expected), "row {row}: {found:?}, not {expected:?}");
        }
    }

    #[test]
    fn a_list_that_many_rows_have_is_kept_once() {
        let all = [list(0, 100), list(7, 3), Value::Null, list(50, 200), list(0, 0)];
        let from = buffer(&all);
        let codes: Vec<u32> = (0..500).map(|row| row * 7 % 5).collect();
        let mut out = VectorBuffer::new(from.data_type().clone());
        let mut expected = Vec::new();
        // As rows come from batches: codes of a dictionary, listed rows, single rows.
        let vector = ValueVector::dictionary(&codes, &from);
        out.append(&vector, codes.len(), Selection::All);
        out.append_rows(&from.vector(), &codes);
        (0..100).for_each(|row| out.append_row(&vector, row));
        out.append_repeated(&from.vector(), 3, 50);
        for code in codes.iter().chain(&codes).chain(&codes[..100]).chain(&[3; 50]) {
            expected.push(all[*code as usize].clone());
        }
        check(&out, &expected);
        // Short lists are kept once where they are neighbours only.
        assert!(elements(&out) <= 300 + 3 * 220, "{}", elements(&out));
    }

    #[test]
    fn rows_with_one_list_can_be_dropped_written_and_followed_by_others() {
        let from = buffer(&[list(0, 40), list(100, 30)]);
        let mut out = VectorBuffer::new(from.data_type().clone());
        out.append_rows(&from.vector(), &[0, 0, 1, 0]);
        out.push_null();
        out.push_value(&list(5, 2)).unwrap();
        assert!(out.push_value(&Value::List(vec![Value::Int64(1), Value::from("x")])).is_err());
        out.append_range(&from.vector(), 0, 2);
        let (ends, child) = out.list_mut().unwrap();
        child.push(77i64);
        ends.push(child.len() as u32);
        child.push(78i64);
        ends.push(child.len() as u32);
        out.finish_rows(2, super::super::Validity::AllValid);
        let mut expected =
            vec![list(0, 40), list(0, 40), list(100, 30), list(0, 40), Value::Null, list(5, 2)];
        expected.extend([list(0, 40), list(100, 30), list(77, 1), list(78, 1)]);
        check(&out, &expected);
        let lists = out.vector();
        let Some(super::super::Values::List(lists)) = lists.values() else { panic!("no lists") };
        let (offsets, child) = lists.consecutive(out.vector().validity, out.len()).unwrap();
        assert_eq!((offsets.len(), child.len()), (11, 40 + 40 + 30 + 40 + 2 + 40 + 30 + 2));
        let mut copy = VectorBuffer::new(from.data_type().clone());
        copy.append_range(&out.vector().slice_from(1), 0, 4);
        check(&copy, &expected[1..5]);
        for length in [9, 6, 3, 1, 0] {
            out.truncate(length);
            check(&out, &expected[..length]);
        }
        out.append_rows(&from.vector(), &[1, 1]);
        check(&out, &[list(100, 30), list(100, 30)]);
        out.clear();
        out.append_range(&from.vector(), 0, 2);
        check(&out, &[list(0, 40), list(100, 30)]);
    }

    #[test]
    fn lists_are_named_anew_when_they_change() {
        let mut lists = buffer(&[list(0, 20)]);
        let name = |buffer: &VectorBuffer| buffer.vector().list_reader().map(|lists| lists.identity());
        let (first, copy) = (name(&lists), lists.clone());
        assert_eq!((name(&lists), name(&copy)), (first, first));
        lists.push_null();
        let second = name(&lists);
        assert!(second != first && name(&copy) == first);
        lists.truncate(1);
        assert!(![first, second].contains(&name(&lists)));
    }
}
