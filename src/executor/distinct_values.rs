//! The different values that an aggregate over DISTINCT has seen in each group. Where there is one group, nodes and
//! integers that lie close together are bits, and where nearly each value is another one, they are only parted by their
//! hash and told apart part by part at the end, on all threads.

use parking_lot::Mutex;

use super::context::{Context, QueryContext};
use super::counters::{Counters, count};
use super::error::ExecutionResult;
use super::integer_bits::IntegerBits;
use super::key_table::{KeyScratch, KeyTable};
use super::operator::{Flow, Nothing, Operator};
use super::partitioned::{Benefit, PARTS, PIECE, PartQueue, Partitioned, Scatter};
use super::pipeline::{Source, drive};
use crate::functions::{BoundAggregate, StateColumn, go_on};
use crate::types::{DataType, GlobalId};
use crate::vector::{Multiplicity, Selection, ValueVector, Values, VectorBuffer};

/// Values of two workers from which on they are put together part by part.
const VALUES_MIN: usize = 8 << 10;

/// Values by group, each once.
pub struct DistinctValues {
    types: Vec<DataType>,
    seen: Seen,
    groups: Vec<u32>,
    /// The values; empty where the table keeps them (see `values`).
    columns: Vec<VectorBuffer>,
    ungrouped: bool,
    /// Whether the values have to stay in the order in which they were seen first.
    ordered: bool,
    parted: Vec<Partitioned>,
    benefit: Benefit,
    scratch: Scratch,
}

enum Seen {
    /// By table and offset.
    Nodes(Vec<(u32, Vec<u64>)>),
    /// By (group, values), or by values where there is one group; integers of a window as bits.
    Keys(Box<(KeyTable, KeyScratch, Option<IntegerBits>)>),
}

#[derive(Default)]
struct Scratch {
    scatter: Scatter,
    hashes: Vec<u64>,
    rows: Vec<u32>,
    found: Vec<u32>,
    new_rows: Vec<u32>,
    /// What the last rows were to the counters.
    passed: usize,
}

impl DistinctValues {
    /// For arguments of these types; `ungrouped` = there is one group.
    pub fn new(types: Vec<DataType>, ungrouped: bool) -> DistinctValues {
        let columns = types.iter().map(|data_type| VectorBuffer::new(data_type.clone())).collect();
        let seen = if ungrouped && types == [DataType::Node] {
            Seen::Nodes(Vec::new())
        } else {
            let group = (!ungrouped).then_some(DataType::UInt32);
            let bits = if ungrouped { IntegerBits::new(&types) } else { None };
            let key_types = group.into_iter().chain(types.iter().cloned()).collect();
            Seen::Keys(Box::new((KeyTable::new(key_types), KeyScratch::default(), bits)))
        };
        DistinctValues {
            types,
            seen,
            groups: Vec::new(),
            columns,
            ungrouped,
            ordered: false,
            parted: Vec::new(),
            benefit: Benefit::default(),
            scratch: Scratch::default(),
        }
    }

    /// The same for somebody who wants the values in the order in which they were seen first: they are told apart at
    /// once, and integers are not bits.
    pub fn in_order(types: Vec<DataType>, ungrouped: bool) -> DistinctValues {
        let mut values = DistinctValues { ordered: true, ..DistinctValues::new(types, ungrouped) };
        if let Seen::Keys(keys) = &mut values.seen {
            keys.2 = None;
        }
        values
    }

    /// Of the rows that were added last, those whose values were seen for the first time.
    pub fn first_rows(&self) -> &[u32] {
        &self.scratch.new_rows
    }

    /// Counts what was done with the rows that were added last.
    pub fn count(&self, counters: &Counters) {
        match &self.seen {
            Seen::Nodes(_) => count(&counters.dense_distincts, 1),
            Seen::Keys(keys) => count(&counters.integer_distincts, u64::from(keys.2.is_some())),
        }
        count(&counters.rows_passed_ungrouped, self.scratch.passed as u64);
    }

    /// The memory of it.
    pub fn bytes(&self) -> u64 {
        let seen = match &self.seen {
            Seen::Nodes(tables) => tables.iter().map(|(_, words)| words.capacity() as u64 * 8).sum(),
            Seen::Keys(keys) => keys.0.bytes() + keys.2.as_ref().map_or(0, IntegerBits::bytes),
        };
        let values: usize = self.columns.iter().map(VectorBuffer::bytes).sum();
        let parted: u64 = self.parted.iter().map(Partitioned::bytes).sum();
        seen + values as u64 + self.groups.capacity() as u64 * 4 + parted
    }

    /// The group of each value.
    pub fn groups(&self) -> &[u32] {
        &self.groups
    }

    /// The values that are told apart, a column per argument.
    pub fn values(&self) -> Vec<ValueVector<'_>> {
        match self.table().and_then(KeyTable::column) {
            Some(column) => vec![column.vector()],
            None => self.columns.iter().map(VectorBuffer::vector).collect(),
        }
    }

    fn table(&self) -> Option<&KeyTable> {
        match &self.seen {
            Seen::Nodes(_) => None,
            Seen::Keys(keys) => Some(&keys.0),
        }
    }

    /// Values that are not told apart yet.
    pub fn parted(&self) -> &[Partitioned] {
        &self.parted
    }

    /// Adds the selected rows; `groups` has one entry per row, or none when there is one group.
    pub fn add(
        &mut self,
        arguments: &[ValueVector<'_>],
        groups: &[u32],
        length: usize,
        selection: Selection<'_>,
    ) {
        self.scratch.passed = 0;
        if self.benefit.is_passing() {
            self.pass(arguments, length, selection);
            self.benefit.passed(self.scratch.passed);
            return;
        }
        self.add_each(arguments, groups, length, selection);
        if self.can_be_parted() && self.benefit.grouped(selection.count(length), self.groups.len()) {
            self.part();
        }
    }

    /// Whether what was added may be told apart later.
    fn can_be_parted(&self) -> bool {
        self.ungrouped && !self.ordered && matches!(&self.seen, Seen::Keys(keys) if keys.2.is_none())
    }

    /// Adds rows, each value once, and parts none of them.
    pub fn add_each(
        &mut self,
        arguments: &[ValueVector<'_>],
        groups: &[u32],
        length: usize,
        selection: Selection<'_>,
    ) {
        let Scratch { found, new_rows, .. } = &mut self.scratch;
        new_rows.clear();
        match &mut self.seen {
            Seen::Nodes(tables) => add_nodes(tables, &arguments[0], length, selection, new_rows),
            Seen::Keys(keys) => {
                let (table, scratch, bits) = &mut **keys;
                if !self.ungrouped {
                    let zeros;
                    let groups = if groups.len() < length {
                        zeros = vec![0; length];
                        &zeros[..]
                    } else {
                        groups
                    };
                    let mut columns = vec![ValueVector::flat(Values::U32(groups))];
                    columns.extend_from_slice(arguments);
                    table.groups(&columns, length, selection, scratch, found, new_rows);
                } else if let Some(bits) = bits {
                    bits.add(&arguments[0], length, selection, new_rows);
                    let mut others = Vec::new();
                    let beyond = Selection::Rows(bits.others());
                    table.groups(arguments, length, beyond, scratch, found, &mut others);
                    new_rows.extend(others);
                } else {
                    table.groups(arguments, length, selection, scratch, found, new_rows);
                }
            }
        }
        if self.ungrouped {
            self.groups.resize(self.groups.len() + new_rows.len(), 0);
        } else {
            let group = |row: &u32| groups.get(*row as usize).copied().unwrap_or(0);
            self.groups.extend(new_rows.iter().map(group));
        }
        if self.table().and_then(KeyTable::column).is_none() {
            let new_rows = &self.scratch.new_rows;
            self.columns.iter_mut().zip(arguments).for_each(|(to, from)| to.append_rows(from, new_rows));
        }
    }

    /// Parts rows as they are.
    fn pass(&mut self, arguments: &[ValueVector<'_>], length: usize, selection: Selection<'_>) {
        let Seen::Keys(keys) = &self.seen else { return };
        let Scratch { scatter, hashes, rows, passed, .. } = &mut self.scratch;
        rows.clear();
        selection.indices(length, rows);
        *passed = rows.len();
        keys.0.hashes(arguments, length, selection, hashes);
        scatter.order(rows, hashes);
        if self.parted.is_empty() {
            self.parted.push(Partitioned::new(&self.types));
        }
        let nothing = |_, _: &mut [VectorBuffer]| Ok::<(), std::convert::Infallible>(());
        if let Some(parted) = self.parted.last_mut() {
            // Nothing is appended that could fail.
            let Ok(()) = parted.append(arguments, scatter, nothing);
        }
    }

    /// Parts the values that were told apart.
    fn part(&mut self) {
        let fresh = DistinctValues::new(self.types.clone(), true);
        let before = (std::mem::take(&mut self.parted), std::mem::take(&mut self.benefit));
        let told_apart = std::mem::replace(self, fresh);
        (self.parted, self.benefit) = before;
        self.pass(&told_apart.values(), told_apart.groups.len(), Selection::All);
        self.benefit.start_anew();
    }

    /// Adds what another worker has seen; its group `i` is group `mapping[i]` here.
    pub fn merge(
        &mut self,
        mut other: DistinctValues,
        mapping: &[u32],
        query: &QueryContext,
    ) -> ExecutionResult<()> {
        let many = self.groups.len().min(other.groups.len()) >= VALUES_MIN;
        let is_parted = !self.parted.is_empty() || !other.parted.is_empty();
        if self.can_be_parted() && other.can_be_parted() && (many || is_parted) {
            self.part();
            other.part();
            self.parted.append(&mut other.parted);
            return Ok(());
        }
        // Both have parted nothing, or this one can not have.
        let groups: Vec<u32> = other.groups.iter().map(|group| mapping[*group as usize]).collect();
        let values = other.values();
        for (at, groups) in groups.chunks(PIECE).enumerate() {
            query.check()?;
            let values: Vec<ValueVector<'_>> =
                values.iter().map(|values| values.slice_from(at * PIECE)).collect();
            self.add_each(&values, groups, groups.len(), Selection::All);
        }
        Ok(())
    }

    /// Tells values apart that were parted, and feeds all to the aggregate's only group.
    pub fn settle(
        &mut self,
        aggregate: &BoundAggregate,
        state: &mut StateColumn,
        query: &QueryContext,
    ) -> ExecutionResult<()> {
        if self.parted.is_empty() {
            return Ok(());
        }
        self.part();
        state.resize(1);
        let source = PartsOfValues {
            types: &self.types,
            parts: PartQueue::new(self.parted.drain(..)),
            aggregate,
            state: Mutex::new(state),
        };
        drive(query, &source, &|| Ok(Box::new(Nothing)))
    }

    /// Feeds all values to the aggregate.
    pub fn feed(&self, state: &mut StateColumn) -> ExecutionResult<()> {
        let arguments = self.values();
        for (first, groups) in (0..).step_by(PIECE).zip(self.groups.chunks(PIECE)) {
            go_on("DISTINCT")?;
            let part: Vec<ValueVector<'_>> =
                arguments.iter().map(|values| values.slice_from(first)).collect();
            state.update(groups, &part, groups.len(), Selection::All, Multiplicity::One)?;
        }
        Ok(())
    }
}

/// Sets the bits of nodes, and notes the rows that were the first of theirs.
fn add_nodes(
    tables: &mut Vec<(u32, Vec<u64>)>,
    nodes: &ValueVector<'_>,
    length: usize,
    selection: Selection<'_>,
    new_rows: &mut Vec<u32>,
) {
    let Some(reader) = nodes.native_reader::<u64>() else { return };
    let nullable = !nodes.has_no_nulls();
    selection.for_each(length, |row| {
        if nullable && nodes.is_null(row) {
            return;
        }
        let id = GlobalId(reader.get(row));
        let table = id.table().0;
        let at = match tables.iter().position(|(known, _)| *known == table) {
            Some(at) => at,
            None => {
                tables.push((table, Vec::new()));
                tables.len() - 1
            }
        };
        let (word, bit) = (id.offset() as usize / 64, id.offset() % 64);
        let words = &mut tables[at].1;
        if words.len() <= word {
            words.resize((word + 1).next_power_of_two(), 0);
        }
        if words[word] >> bit & 1 == 0 {
            words[word] |= 1 << bit;
            new_rows.push(row as u32);
        }
    });
}

/// Values by part; a worker tells those of one part apart after the other.
struct PartsOfValues<'x> {
    types: &'x [DataType],
    parts: PartQueue,
    aggregate: &'x BoundAggregate,
    state: Mutex<&'x mut StateColumn>,
}

impl Source for PartsOfValues<'_> {
    fn next_morsel(&self) -> Option<u64> {
        self.parts.next()
    }

    fn run(&self, morsel: u64, context: &mut Context<'_>, _: &mut dyn Operator) -> ExecutionResult<Flow> {
        let own = self.parts.take(morsel);
        count(&context.query.counters.partitions_grouped, 1);
        let mut values = DistinctValues::new(self.types.to_vec(), true);
        if let Seen::Keys(keys) = &mut values.seen {
            keys.0.reserve(own.iter().map(|own| own.rows).sum());
        }
        for rows in own {
            rows.each_piece(context.query, |vectors, length| {
                values.add_each(vectors, &[], length, Selection::All);
                Ok(())
            })?;
        }
        let mut state = self.aggregate.new_states();
        state.resize(1);
        values.feed(&mut state)?;
        self.state.lock().merge(&state, &[0])?;
        Ok(Flow::Continue)
    }

    fn parallelism(&self) -> usize {
        PARTS
    }
}
