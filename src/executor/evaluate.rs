//! Expressions over batches: a tree of kernels, each with the buffer of its result, evaluated vector by vector.

use std::sync::Arc;

use super::context::QueryContext;
use super::counters::count;
use super::error::ExecutionResult;
use super::evaluate_case::Case;
use super::evaluate_lists::{Comprehension, Quantified};
use super::evaluate_paths::PathNode;
use super::fetch::Gatherer;
use super::list_watch::ListWatch;
use crate::functions::{BoundScalar, KernelContext, select_true};
use crate::planner::physical_plan::{Expression, ExpressionKind};
use crate::storage::buffer_pool::PoolWorker;
use crate::types::{DataType, GlobalId, PhysicalType, TableId, Value};
use crate::vector::{Batch, Selection, SelectionBuffer, Validity, ValueVector, VectorBuffer};

/// An expression with its memory; every worker has its own.
pub struct Evaluator<'x> {
    root: Node,
    kernels: KernelContext,
    /// Where texts or lists are made that may become long.
    watch: Option<Arc<ListWatch>>,
    marker: std::marker::PhantomData<&'x ()>,
}

/// One node of an expression.
pub(super) enum Node {
    Column(usize),
    /// One row that stands for all; lists for IN are shared by all threads.
    Constant(Arc<VectorBuffer>),
    Call {
        function: Arc<BoundScalar>,
        arguments: Vec<Node>,
        out: VectorBuffer,
    },
    /// AND or, with `any`, OR.
    Connective {
        any: bool,
        operands: Vec<Node>,
        out: VectorBuffer,
    },
    Not {
        operand: Box<Node>,
        out: VectorBuffer,
    },
    IsNull {
        operand: Box<Node>,
        negated: bool,
        out: VectorBuffer,
    },
    Case(Box<Case>),
    TableName {
        operand: Box<Node>,
        tables: Vec<TableId>,
        names: VectorBuffer,
        codes: Vec<u32>,
    },
    HasTable {
        operand: Box<Node>,
        tables: Vec<TableId>,
        out: VectorBuffer,
    },
    Struct {
        fields: Vec<Node>,
        out: VectorBuffer,
    },
    Comprehension(Box<Comprehension>),
    Quantified(Box<Quantified>),
    Path(Box<PathNode>),
    FetchProperty(Box<FetchedProperty>),
}

/// A property of ids that are no column of the plan (elements of lists).
pub(super) struct FetchedProperty {
    operand: Node,
    gatherer: Gatherer,
    worker: PoolWorker,
    ids: Vec<u64>,
}

/// A result that takes more is not kept for the next batch.
pub(super) const KEPT_BYTES_MAX: usize = 1 << 20;
/// What errors call the reading of properties.
const PROPERTY: &str = "property";
const STRUCT: &str = "struct";

/// What the last evaluations of some expressions made, where that may be much.
pub fn made_by<'e, 'x: 'e>(evaluators: impl IntoIterator<Item = &'e mut Evaluator<'x>>) -> Option<u64> {
    evaluators.into_iter().filter_map(Evaluator::made).reduce(|sum, made| sum + made)
}

impl<'x> Evaluator<'x> {
    /// Prepares an expression; parameters become constants.
    pub fn new(expression: &Expression, query: &QueryContext) -> ExecutionResult<Evaluator<'x>> {
        let root = Node::new(expression, query)?;
        let mut kernels = KernelContext::new(query.seed(), query.now_nanos).sharing(query.element_sets());
        let watch = root.makes_wide().then(|| Arc::new(ListWatch::new(query)));
        if let Some(watch) = &watch {
            kernels = kernels.watched(Arc::clone(watch) as Arc<_>);
        }
        Ok(Evaluator { root, kernels, watch, marker: std::marker::PhantomData })
    }

    /// Prepares several.
    pub fn all(expressions: &[Expression], query: &QueryContext) -> ExecutionResult<Vec<Evaluator<'x>>> {
        expressions.iter().map(|expression| Evaluator::new(expression, query)).collect()
    }

    /// The value for every selected row; other rows hold nothing of use.
    pub fn evaluate<'s>(
        &'s mut self,
        query: &QueryContext,
        batch: &Batch<'s>,
    ) -> ExecutionResult<ValueVector<'s>> {
        self.release();
        let Evaluator { root, kernels, watch, .. } = self;
        let evaluated = root.evaluate(kernels, batch, batch.selection);
        note_sets(kernels, query);
        match watch {
            None => evaluated,
            Some(watch) => evaluated.map_err(|error| watch.told(error, query)),
        }
    }

    /// What the last evaluation made, where that may be much.
    pub fn made(&mut self) -> Option<u64> {
        let mut made = self.watch.as_ref()?.take_noted();
        self.root.each_buffer(&mut |buffer| made += buffer.bytes() as u64);
        Some(made)
    }

    /// Gives back what the last evaluation has left of wide values.
    fn release(&mut self) {
        if self.watch.is_some() {
            self.root.each_buffer(&mut |buffer| {
                if buffer.bytes() > KEPT_BYTES_MAX {
                    *buffer = VectorBuffer::new(buffer.data_type().clone());
                }
            });
        }
    }

    /// The selected rows for which the expression is true.
    pub fn select(
        &mut self,
        query: &QueryContext,
        batch: &Batch<'_>,
        out: &mut SelectionBuffer,
    ) -> ExecutionResult<()> {
        self.release();
        out.reset(batch.selection, batch.length);
        let narrowed = self.root.narrow(&mut self.kernels, batch, out);
        note_sets(&mut self.kernels, query);
        match &self.watch {
            None => narrowed,
            Some(watch) => narrowed.map_err(|error| watch.told(error, query)),
        }
    }
}

fn note_sets(kernels: &mut KernelContext, query: &QueryContext) {
    match kernels.take_sets_prepared() {
        0 => {}
        prepared => count(&query.counters.sets_prepared, prepared),
    }
}

/// The single value of an expression without columns (SKIP, LIMIT, keys of a lookup).
pub fn constant_value(expression: &Expression, query: &QueryContext) -> ExecutionResult<Value> {
    let mut evaluator = Evaluator::new(expression, query)?;
    let vector = evaluator.evaluate(query, &Batch::new(&[], 1))?;
    Ok(vector.value(0, &expression.data_type))
}

impl Node {
    pub(super) fn new(expression: &Expression, query: &QueryContext) -> ExecutionResult<Node> {
        let node = |e: &Expression| Node::new(e, query);
        let boxed = |e: &Expression| Node::new(e, query).map(Box::new);
        let all = |list: &[Expression]| list.iter().map(node).collect::<ExecutionResult<Vec<Node>>>();
        let out = || VectorBuffer::new(expression.data_type.clone());
        Ok(match &expression.kind {
            ExpressionKind::Column(at) => Node::Column(*at),
            ExpressionKind::Literal(value) => constant(value, &expression.data_type)?,
            ExpressionKind::Parameter(at) => {
                let value = query.parameters.get(*at as usize).unwrap_or(&Value::Null);
                constant(value, &expression.data_type)?
            }
            ExpressionKind::Once(number, operand) => match query.constant(*number) {
                Some(known) => Node::Constant(known),
                None => match node(operand)? {
                    Node::Constant(value) => Node::Constant(query.keep_constant(*number, value)),
                    // An error is left for the rows that reach it.
                    other => other,
                },
            },
            ExpressionKind::Call { function, arguments } => {
                let arguments = all(arguments)?;
                match constant_call(function, &arguments) {
                    Some(value) => constant(&value, &expression.data_type)?,
                    None => Node::Call { function: function.clone(), arguments, out: out() },
                }
            }
            ExpressionKind::And(list) => Node::Connective { any: false, operands: all(list)?, out: out() },
            ExpressionKind::Or(list) => Node::Connective { any: true, operands: all(list)?, out: out() },
            ExpressionKind::Not(operand) => Node::Not { operand: boxed(operand)?, out: out() },
            ExpressionKind::IsNull { operand, negated } => {
                Node::IsNull { operand: boxed(operand)?, negated: *negated, out: out() }
            }
            ExpressionKind::Case { branches, otherwise } => {
                let pair = |(when, then): &(Expression, Expression)| Ok((node(when)?, node(then)?));
                let branches = branches.iter().map(pair).collect::<ExecutionResult<_>>()?;
                let otherwise = otherwise.as_ref().map(|e| node(e)).transpose()?;
                Node::Case(Box::new(Case::new(branches, otherwise, &expression.data_type)))
            }
            ExpressionKind::TableName { operand, names, as_list } => {
                let mut texts = VectorBuffer::new(expression.data_type.clone());
                for (_, name) in names {
                    let name = Value::String(name.clone());
                    texts.push_value(&if *as_list { Value::List(vec![name]) } else { name })?;
                }
                // What is in none of the tables, as NULL is, has no name.
                texts.push_null();
                let tables = names.iter().map(|(table, _)| *table).collect();
                Node::TableName { operand: boxed(operand)?, tables, names: texts, codes: Vec::new() }
            }
            ExpressionKind::HasTable { operand, tables } => {
                Node::HasTable { operand: boxed(operand)?, tables: tables.clone(), out: out() }
            }
            ExpressionKind::FetchProperty { operand, column } => {
                Node::FetchProperty(Box::new(FetchedProperty {
                    operand: node(operand)?,
                    gatherer: Gatherer::new(std::slice::from_ref(column), query)?,
                    worker: query.transaction.worker()?,
                    ids: Vec::new(),
                }))
            }
            ExpressionKind::Struct(fields) => Node::Struct { fields: all(fields)?, out: out() },
            ExpressionKind::ListComprehension { .. } => {
                Node::Comprehension(Box::new(Comprehension::new(expression, query)?))
            }
            ExpressionKind::Quantifier { .. } => {
                Node::Quantified(Box::new(Quantified::new(expression, query)?))
            }
            ExpressionKind::Path(_)
            | ExpressionKind::PathLength(_)
            | ExpressionKind::PathNodes(_)
            | ExpressionKind::PathRels(_) => Node::Path(Box::new(PathNode::new(expression, query)?)),
        })
    }

    /// Whether texts or lists are made, or lists prepared for IN, that may become long.
    fn makes_wide(&self) -> bool {
        match self {
            Node::Column(_) | Node::Constant(_) => false,
            Node::Comprehension(_) | Node::Quantified(_) => true,
            Node::Path(path) => path.makes_lists() || path.operands().any(Node::makes_wide),
            Node::Call { function, arguments, .. } => {
                is_wide(&function.result) || function.name == "IN" || arguments.iter().any(Node::makes_wide)
            }
            Node::Connective { operands: nodes, .. } | Node::Struct { fields: nodes, .. } => {
                nodes.iter().any(Node::makes_wide)
            }
            Node::Not { operand, .. }
            | Node::IsNull { operand, .. }
            | Node::TableName { operand, .. }
            | Node::HasTable { operand, .. } => operand.makes_wide(),
            Node::Case(case) => {
                is_wide(case.out.data_type()) && !case.has_constants()
                    || case.operands().any(Node::makes_wide)
            }
            Node::FetchProperty(fetched) => fetched.gatherer.is_wide() || fetched.operand.makes_wide(),
        }
    }

    /// Calls `visit` with every buffer of a result.
    pub(super) fn each_buffer(&mut self, visit: &mut dyn FnMut(&mut VectorBuffer)) {
        match self {
            Node::Column(_) | Node::Constant(_) => {}
            Node::Comprehension(comprehension) => comprehension.each_buffer(visit),
            Node::Quantified(quantified) => quantified.each_buffer(visit),
            Node::Path(path) => path.each_buffer(visit),
            Node::Call { arguments: nodes, out, .. }
            | Node::Connective { operands: nodes, out, .. }
            | Node::Struct { fields: nodes, out } => {
                nodes.iter_mut().for_each(|node| node.each_buffer(visit));
                visit(out);
            }
            Node::Not { operand, .. }
            | Node::IsNull { operand, .. }
            | Node::TableName { operand, .. }
            | Node::HasTable { operand, .. } => operand.each_buffer(visit),
            Node::Case(case) => case.each_buffer(visit),
            Node::FetchProperty(fetched) => {
                fetched.operand.each_buffer(visit);
                fetched.gatherer.each_buffer(visit);
            }
        }
    }

    pub(super) fn evaluate<'s>(
        &'s mut self,
        kernels: &mut KernelContext,
        batch: &Batch<'s>,
        selection: Selection<'_>,
    ) -> ExecutionResult<ValueVector<'s>> {
        let length = batch.length;
        match self {
            Node::Column(at) => Ok(batch.columns[*at]),
            Node::Constant(value) => Ok(value.constant_vector()),
            Node::Call { function, arguments, out } => {
                let mut vectors = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    vectors.push(argument.evaluate(kernels, batch, selection)?);
                }
                Ok(function.evaluate(kernels, &vectors, length, selection, out)?)
            }
            Node::Connective { any, operands, out } => {
                connect(*any, operands, kernels, batch, selection, out)?;
                Ok(out.vector())
            }
            Node::Not { operand, out } => {
                let truth = operand.evaluate(kernels, batch, selection)?;
                fill_truths(out, length, |row| truth.bool_at(row).map(|truth| !truth));
                Ok(out.vector())
            }
            Node::IsNull { operand, negated, out } => {
                let value = operand.evaluate(kernels, batch, selection)?;
                fill_truths(out, length, |row| Some(value.is_null(row) != *negated));
                Ok(out.vector())
            }
            Node::Case(case) => case.evaluate(kernels, batch, selection),
            Node::TableName { operand, tables, names, codes } => {
                let ids = operand.evaluate(kernels, batch, selection)?;
                codes.clear();
                let position = |row| table_position(&ids, row, tables).unwrap_or(tables.len());
                codes.extend((0..length).map(|row| position(row) as u32));
                Ok(ValueVector::dictionary(codes, &*names))
            }
            Node::HasTable { operand, tables, out } => {
                let ids = operand.evaluate(kernels, batch, selection)?;
                fill_truths(out, length, |row| {
                    if ids.is_null(row) { None } else { Some(table_position(&ids, row, tables).is_some()) }
                });
                Ok(out.vector())
            }
            Node::Struct { fields, out } => {
                out.clear();
                let mut vectors = Vec::with_capacity(fields.len());
                for field in fields {
                    vectors.push(field.evaluate(kernels, batch, selection)?);
                }
                for (member, vector) in out.members_mut().into_iter().flatten().zip(&vectors) {
                    member.append_range(vector, 0, length);
                }
                out.finish_rows(length, Validity::AllValid);
                kernels.go_on(STRUCT, out.bytes() as u64)?;
                Ok(out.vector())
            }
            Node::Comprehension(comprehension) => comprehension.evaluate(kernels, batch, selection),
            Node::Quantified(quantified) => quantified.evaluate(kernels, batch, selection),
            Node::Path(path) => path.evaluate(kernels, batch, selection),
            Node::FetchProperty(fetched) => {
                let FetchedProperty { operand, gatherer, worker, ids } = &mut **fetched;
                let vector = operand.evaluate(kernels, batch, selection)?;
                ids.clear();
                // No table has the id that stands for NULL.
                ids.extend((0..length).map(|row| vector.u64_at(row).unwrap_or(u64::MAX)));
                gatherer.gather_rows(ids, worker)?;
                if gatherer.is_wide() {
                    kernels.go_on(PROPERTY, gatherer.bytes())?;
                }
                Ok(gatherer.vectors().next().unwrap_or_else(ValueVector::null))
            }
        }
    }

    /// Narrows `out` to the rows for which the expression is true; conjuncts see only what earlier ones left.
    pub(super) fn narrow(
        &mut self,
        kernels: &mut KernelContext,
        batch: &Batch<'_>,
        out: &mut SelectionBuffer,
    ) -> ExecutionResult<()> {
        match self {
            Node::Connective { any: false, operands, .. } => {
                for operand in operands {
                    if !out.is_empty() {
                        operand.narrow(kernels, batch, out)?;
                    }
                }
                Ok(())
            }
            Node::Connective { any: true, operands, .. } => {
                let (mut left, mut found) = (out.clone(), SelectionBuffer::default());
                found.reset(Selection::Rows(&[]), batch.length);
                for operand in operands {
                    let mut truths = left.clone();
                    operand.narrow(kernels, batch, &mut truths)?;
                    found.or(truths.view());
                    left.and_not(truths.view());
                }
                out.and(found.view());
                Ok(())
            }
            Node::Call { function, arguments, out: scratch } => {
                let mut narrowed = SelectionBuffer::default();
                let mut vectors = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    vectors.push(argument.evaluate(kernels, batch, out.view())?);
                }
                function.select(kernels, &vectors, batch.length, out.view(), scratch, &mut narrowed)?;
                *out = narrowed;
                Ok(())
            }
            Node::IsNull { operand, negated, .. } => {
                let selection = out.clone();
                let value = operand.evaluate(kernels, batch, selection.view())?;
                for (index, word) in out.words_mut().iter_mut().enumerate() {
                    let valid = match value.has_no_nulls() {
                        true => u64::MAX,
                        false => valid_rows(&value, index * 64, *word),
                    };
                    *word &= if *negated { valid } else { !valid };
                }
                Ok(())
            }
            node => {
                let selection = out.clone();
                let truths = node.evaluate(kernels, batch, selection.view())?;
                select_true(&truths, batch.length, out);
                Ok(())
            }
        }
    }
}

/// Which of the rows from `first` on, of those in `asked`, have a value.
fn valid_rows(value: &ValueVector<'_>, first: usize, asked: u64) -> u64 {
    let (mut left, mut valid) = (asked, 0);
    while left != 0 {
        let bit = left.trailing_zeros();
        valid |= u64::from(!value.is_null(first + bit as usize)) << bit;
        left &= left - 1;
    }
    valid
}

fn constant(value: &Value, data_type: &DataType) -> ExecutionResult<Node> {
    let mut buffer = VectorBuffer::new(data_type.clone());
    buffer.push_value(value)?;
    Ok(Node::Constant(Arc::new(buffer)))
}

/// What a call of parameters and literals gives, so that no batch computes it again; an error is left for the rows that
/// reach it.
fn constant_call(function: &BoundScalar, arguments: &[Node]) -> Option<Value> {
    let value = |node: &Node| match node {
        Node::Constant(buffer) => Some(buffer.vector().value(0, buffer.data_type())),
        _ => None,
    };
    let values: Option<Vec<Value>> = arguments.iter().map(value).collect();
    function.of_constants(&values?.iter().collect::<Vec<_>>())
}

/// Fills a BOOL buffer row by row; `None` is NULL.
pub(super) fn fill_truths(out: &mut VectorBuffer, length: usize, truth: impl Fn(usize) -> Option<bool>) {
    out.clear();
    for row in 0..length {
        match truth(row) {
            Some(truth) => out.push_bool(truth),
            None => out.push_null(),
        }
    }
}

/// Whether values of a type may be of any length.
pub(super) fn is_wide(data_type: &DataType) -> bool {
    let is_text = data_type.physical() == PhysicalType::Str;
    is_text
        || matches!(data_type, DataType::List(_) | DataType::Array(..) | DataType::Map(..) | DataType::Any)
        || data_type.fields().is_some_and(|fields| fields.iter().any(|field| is_wide(&field.data_type)))
}

/// The position of an id's table in a list.
fn table_position(ids: &ValueVector<'_>, row: usize, tables: &[TableId]) -> Option<usize> {
    let table = GlobalId(ids.u64_at(row)?).table();
    tables.iter().position(|other| TableId(other.0 & 0xFFFF) == table)
}

fn connect(
    any: bool,
    operands: &mut [Node],
    kernels: &mut KernelContext,
    batch: &Batch<'_>,
    selection: Selection<'_>,
    out: &mut VectorBuffer,
) -> ExecutionResult<()> {
    // For OR a true operand decides, for AND a false one; without one a NULL makes the whole NULL.
    let mut decided = vec![false; batch.length];
    let mut unknown = vec![false; batch.length];
    let mut left = SelectionBuffer::default();
    left.reset(selection, batch.length);
    for operand in operands {
        let truths = operand.evaluate(kernels, batch, left.view())?;
        let mut now = Vec::new();
        left.view().for_each(batch.length, |row| match truths.bool_at(row) {
            None => unknown[row] = true,
            Some(truth) if truth == any => now.push(row),
            Some(_) => {}
        });
        for row in now {
            decided[row] = true;
            left.words_mut()[row / 64] &= !(1 << (row % 64));
        }
    }
    fill_truths(out, batch.length, |row| match (decided[row], unknown[row]) {
        (true, _) => Some(any),
        (false, true) => None,
        (false, false) => Some(!any),
    });
    Ok(())
}
