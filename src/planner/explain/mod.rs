//! Plans as text: one line per operator, the root first, inputs indented below.

mod text;

use std::fmt::Write;
use std::time::Duration;

use self::text::Names;
use super::physical_plan::{
    Answer, Expression, Factor, KeyKind, PhysicalAggregate, PhysicalMessage, PhysicalOperator, PhysicalPlan,
    PhysicalSettle, PhysicalWrite, PlanNode, WriteStage,
};
use crate::catalog::Catalog;

/// What an operator did when it was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actual {
    /// Rows that it put out.
    pub rows: u64,
    /// Rows that these stand for.
    pub represented: u64,
    /// Its own working time on all threads.
    pub time: Duration,
    /// The most bytes that it held at one time; none where it keeps no rows.
    pub memory: u64,
}

/// Says what a node did, where that is known.
pub type Actuals<'a> = &'a dyn Fn(&PlanNode) -> Option<Actual>;

/// The tree of operators with what they put out and how many rows are expected. A writing clause stands where its rows
/// are used, above the plan of its input.
pub fn explain(plan: &PhysicalPlan, catalog: &Catalog) -> String {
    explain_with(plan, catalog, &|_| None)
}

/// The same with what each operator did.
pub fn explain_with(plan: &PhysicalPlan, catalog: &Catalog, actuals: Actuals<'_>) -> String {
    let mut out = String::new();
    let names = Names { catalog, parameters: &plan.parameters };
    line(&plan.root, 0, &Shown { stages: &plan.stages, names, actuals }, &mut out);
    out
}

/// What all lines are made with.
#[derive(Clone, Copy)]
struct Shown<'a> {
    stages: &'a [WriteStage],
    names: Names<'a>,
    actuals: Actuals<'a>,
}

/// An expected number of rows: all digits, as long as they can be read.
fn count_of(rows: f64) -> String {
    // No rows are no rows, whatever the sign.
    let rows = rows + 0.0;
    if rows < 1e15 { format!("{rows:.0}") } else { format!("{rows:.1e}") }
}

fn line(node: &PlanNode, depth: usize, shown: &Shown<'_>, out: &mut String) {
    let stage_of = |slot: usize| slot.checked_sub(1).and_then(|at| shown.stages.get(at));
    let stage = match node.operator {
        PhysicalOperator::Kept { slot, behind } => stage_of(behind).map(|stage| (stage, slot == behind)),
        _ => None,
    };
    if let Some((stage, true)) = stage {
        return write_line(stage, depth, shown, out);
    }
    let (name, detail) = describe(node, &shown.names);
    let labels = node.labels.join(", ");
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "{:indent$}{name}{detail} [{labels}] ~{} rows",
        "",
        count_of(node.estimated_rows),
        indent = depth * 2
    );
    if let Some(Actual { rows, represented, time, memory }) = (shown.actuals)(node) {
        let _ = write!(out, ", {rows} actual");
        if represented != rows {
            let _ = write!(out, " for {represented}");
        }
        let _ = write!(out, ", {:.3} ms", time.as_secs_f64() * 1e3);
        if memory > 0 {
            let _ = write!(out, ", {} KiB held", memory.div_ceil(1024));
        }
    }
    out.push('\n');
    if let PhysicalOperator::ScanWeighted { terms, .. }
    | PhysicalOperator::Weight { terms, .. }
    | PhysicalOperator::Weigh { terms, .. } = &node.operator
    {
        for (sign, term) in terms {
            let sign = if *sign < 0 { '-' } else { '+' };
            let _ = write!(out, "{:indent$}{sign} ", "", indent = depth * 2 + 2);
            message(term, out);
            out.push('\n');
        }
    }
    inputs(&node.operator).into_iter().for_each(|input| line(input, depth + 1, shown, out));
    if let Some((stage, _)) = stage {
        write_line(stage, depth + 1, shown, out);
    }
}

fn write_line(stage: &WriteStage, depth: usize, shown: &Shown<'_>, out: &mut String) {
    use PhysicalWrite as W;
    let created = |create: &super::physical_plan::PhysicalCreate| {
        format!("{} nodes, {} relationships", create.nodes.len(), create.rels.len())
    };
    let text = match &stage.write {
        W::Keep => "Keep".to_owned(),
        W::Create(create) => format!("Create ({})", created(create)),
        W::Merge(merge) => {
            let how = if merge.one_by_one { ", row by row" } else { "" };
            format!("Merge ({}{how})", created(&merge.create))
        }
        W::Set(set) => {
            let items: usize = set.groups.iter().map(|group| group.items.len()).sum();
            format!("Set ({items} changes)")
        }
        W::Delete(delete) if delete.detach => "DetachDelete".to_owned(),
        W::Delete(_) => "Delete".to_owned(),
    };
    let labels = stage.labels.join(", ");
    let _ = writeln!(out, "{:indent$}{text} [{labels}]", "", indent = depth * 2);
    if let W::Merge(merge) = &stage.write {
        line(&merge.found, depth + 1, &Shown { stages: &[], ..*shown }, out);
    }
    line(&stage.input, depth + 1, shown, out);
}

fn message(node: &PhysicalMessage, out: &mut String) {
    out.push_str(&node.label);
    if node.late.is_some() {
        out.push('*');
    }
    if node.children.is_empty() {
        return;
    }
    out.push('(');
    for (at, step) in node.children.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        out.push_str(match step.factor {
            Factor::Each => "",
            Factor::AtLeastOne => "optional ",
            Factor::Exists => "some ",
            Factor::Absent => "no ",
        });
        if step.is_loop {
            out.push_str("loop");
        } else {
            message(&step.child, out);
        }
    }
    out.push(')');
}

fn describe(node: &PlanNode, names: &Names<'_>) -> (&'static str, String) {
    use PhysicalOperator as P;
    let none = String::new();
    let own = |at: usize| node.labels.get(at).map_or("", String::as_str);
    let cut = |expression: &Expression, input: &PlanNode| names.cut(expression, &input.labels);
    match &node.operator {
        P::Unit => ("Unit", none),
        P::Kept { .. } => ("KeptRows", none),
        P::ScanNodes { tables, filter } => {
            ("ScanNodes", format!(" ({})", names.scan(tables, filter.as_ref(), &node.labels)))
        }
        P::ScanWeighted { terms, .. } => {
            ("ScanWeighted", format!(" (message passing, {} terms)", terms.len()))
        }
        P::ScanRels { tables, filter, .. } => {
            ("ScanRels", format!(" ({})", names.scan(tables, filter.as_ref(), &node.labels)))
        }
        P::LookupNode { input, table, key, .. } => {
            let key: Vec<String> = key.iter().map(|key| cut(key, input)).collect();
            ("LookupNode", format!(" ({} by key {})", names.table(*table), key.join(", ")))
        }
        P::LookupElements { input, table, list, .. } => {
            ("LookupElements", format!(" ({} by keys in {})", names.table(*table), cut(list, input)))
        }
        P::LookupNodes { table, list } => {
            ("LookupNodes", format!(" ({} by keys in {})", names.table(*table), names.cut(list, &[])))
        }
        P::Fetch { input, .. } => {
            let fetched = node.labels.get(input.labels.len()..).unwrap_or_default();
            ("Fetch", format!(" ({})", fetched.join(", ")))
        }
        P::Expand { input, from, edge, target, joining, keep, .. } => {
            let edge = names.edge(label(input, *from), edge, own(keep.len()));
            let wanted = target.as_ref().map(|target| {
                let labels = vec![own(keep.len()).to_owned()];
                format!(", ends by bitmap of {}", names.scan(&target.tables, target.filter.as_ref(), &labels))
            });
            let joining = joining.map_or(none, |join| format!(", joining by bitmap {join}"));
            ("Expand", format!(" ({edge}{}{joining})", wanted.unwrap_or_default()))
        }
        P::ExpandInto { input, from, to, edge, .. } => {
            ("ExpandInto", format!(" ({})", names.edge(label(input, *from), edge, label(input, *to))))
        }
        P::Intersect { input, from, edges, keep, .. } => {
            let edge = |(from, edge): (&usize, _)| names.edge(label(input, *from), edge, own(keep.len()));
            let mut lists: Vec<String> = from.iter().zip(edges).map(edge).collect();
            lists.sort();
            ("Intersect", format!(" ({})", lists.join(", ")))
        }
        P::ExpandRecursive { input, recursion } => {
            let edge = names.edge(label(input, recursion.from), &recursion.edge, "");
            ("ExpandRecursive", format!(" ({edge}, {})", recursion.describe()))
        }
        P::Weight { .. } => ("Weight", " (message passing)".into()),
        P::Filter { input, predicate } => ("Filter", format!(" ({})", cut(predicate, input))),
        P::DistinctRels { .. } => ("DistinctRels", " (trail)".into()),
        P::HashJoin { probe, build, probe_keys, build_keys, bitmap } => {
            let key = |(left, right)| format!("{} = {}", cut(left, probe), cut(right, build));
            let keys: Vec<String> = probe_keys.iter().zip(build_keys).map(key).collect();
            let bitmap = bitmap.map_or(none, |bitmap| format!(", bitmap {}", bitmap.name));
            ("HashJoin", format!(" ({}{bitmap})", keys.join(", ")))
        }
        P::CountJoin { how, .. } => {
            let bitmap = how.bitmap.map_or(none, |bitmap| format!(", bitmap {}", bitmap.name));
            ("CountJoin", format!(" (sorted values{bitmap})"))
        }
        P::Joining { join, .. } => ("Joining", format!(" (bitmap {join})")),
        P::CrossProduct { .. } => ("CrossProduct", none),
        P::Project { .. } => ("Project", none),
        P::Aggregate { input, key_kind, aggregates, .. } => {
            let kind = match key_kind {
                KeyKind::Single => "one group",
                KeyKind::DenseNode(_) => "by node offset",
                KeyKind::Hash => "by hash",
            };
            let calls: Vec<String> = aggregates.iter().map(|call| aggregate(call, input, names)).collect();
            ("Aggregate", format!(" ({kind}: {})", calls.join(", ")))
        }
        P::Distinct { first, .. } if !first.is_empty() => ("Distinct", " (until there are enough)".into()),
        P::Distinct { .. } => ("Distinct", none),
        P::Sort { input, keys } => ("Sort", format!(" ({})", names.keys(keys, &input.labels))),
        P::TopK { input, keys, skip, limit } => {
            let limits = names.limits(skip.as_ref(), Some(limit));
            ("TopK", format!(" ({}, {limits})", names.keys(keys, &input.labels)))
        }
        P::Limit { skip, limit, ordered_for, .. } => {
            let first = ordered_for
                .map_or(none, |rows| format!(", joins ordered for the first {} rows", count_of(rows)));
            ("Limit", format!(" ({}{first})", names.limits(skip.as_ref(), limit.as_ref())))
        }
        P::Unwind { input, list, .. } => ("Unwind", format!(" ({})", cut(list, input))),
        P::Union { inputs } => ("Union", format!(" ({} branches)", inputs.len())),
        P::Number { .. } => ("Number", none),
        P::With { name, .. } => ("With", format!(" (rows {name})")),
        P::Shared { name, .. } => ("Shared", format!(" (rows {name})")),
        P::LimitEach { skip, limit, .. } => {
            ("LimitEach", format!(" ({})", names.limits(skip.as_ref(), limit.as_ref())))
        }
        P::Weigh { answer, .. } => ("Weigh", format!(" ({}, message passing)", answer_name(*answer))),
        P::HasEdge { input, ends, edges, answer } => {
            let edge = names.edge(label(input, ends[0]), &edges[0], label(input, ends[1]));
            ("HasEdge", format!(" ({}, {edge})", answer_name(*answer)))
        }
        P::Settle { kind, .. } => ("Settle", format!(" ({})", settled(kind))),
    }
}

fn label(input: &PlanNode, column: usize) -> &str {
    input.labels.get(column).map_or("", String::as_str)
}

fn aggregate(call: &PhysicalAggregate, input: &PlanNode, names: &Names<'_>) -> String {
    let arguments: Vec<String> =
        call.arguments.iter().map(|argument| names.cut(argument, &input.labels)).collect();
    let arguments = if arguments.is_empty() { "*".to_owned() } else { arguments.join(", ") };
    format!("{}({}{arguments})", call.function.name, if call.distinct { "DISTINCT " } else { "" })
}

fn settled(kind: &PhysicalSettle) -> &'static str {
    match kind {
        PhysicalSettle::Optional { beside: false, .. } => "left join",
        PhysicalSettle::Optional { beside: true, .. } => "left join, beside others",
        PhysicalSettle::Semi { absent: false, .. } => "semi join",
        PhysicalSettle::Semi { absent: true, .. } => "anti join",
        PhysicalSettle::Mark { .. } => "mark join",
        PhysicalSettle::Count { .. } => "count",
        PhysicalSettle::Counted { .. } => "counted left join",
        PhysicalSettle::Collect { .. } => "collect",
    }
}

fn answer_name(answer: Answer) -> &'static str {
    match answer {
        Answer::Exists => "semi join",
        Answer::Absent => "anti join",
        Answer::Counted { .. } => "counted left join",
        Answer::Mark => "mark join",
        Answer::Count => "count",
    }
}

/// The nodes below an operator.
pub fn inputs(operator: &PhysicalOperator) -> Vec<&PlanNode> {
    use PhysicalOperator as P;
    match operator {
        P::Unit
        | P::Kept { .. }
        | P::Shared { .. }
        | P::ScanNodes { .. }
        | P::LookupNodes { .. }
        | P::ScanWeighted { .. }
        | P::ScanRels { .. } => Vec::new(),
        P::LookupNode { input, .. }
        | P::LookupElements { input, .. }
        | P::Fetch { input, .. }
        | P::Expand { input, .. }
        | P::ExpandInto { input, .. }
        | P::Intersect { input, .. }
        | P::ExpandRecursive { input, .. }
        | P::Weight { input, .. }
        | P::Filter { input, .. }
        | P::Joining { input, .. }
        | P::DistinctRels { input, .. }
        | P::Project { input, .. }
        | P::Aggregate { input, .. }
        | P::Distinct { input, .. }
        | P::Sort { input, .. }
        | P::TopK { input, .. }
        | P::Limit { input, .. }
        | P::Unwind { input, .. }
        | P::Number { input, .. }
        | P::LimitEach { input, .. }
        | P::Weigh { input, .. }
        | P::HasEdge { input, .. }
        | P::Settle { input, .. } => vec![input],
        P::With { shared, input, .. } => vec![input, shared],
        P::HashJoin { probe, build, .. } | P::CountJoin { probe, build, .. } => vec![probe, build],
        P::CrossProduct { left, right } => vec![left, right],
        P::Union { inputs } => inputs.iter().collect(),
    }
}
