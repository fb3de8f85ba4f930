//! Plans as text: one line per operator, the root first, inputs indented below.

use std::fmt::Write;
use std::time::Duration;

use super::physical_plan::{
    Answer, Factor, PhysicalMessage, PhysicalOperator, PhysicalPlan, PhysicalSettle, PhysicalWrite, PlanNode,
    WriteStage,
};

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
pub fn explain(plan: &PhysicalPlan) -> String {
    explain_with(plan, &|_| None)
}

/// The same with what each operator did.
pub fn explain_with(plan: &PhysicalPlan, actuals: Actuals<'_>) -> String {
    let mut out = String::new();
    line(&plan.root, 0, &plan.stages, actuals, &mut out);
    out
}

/// An expected number of rows: all digits, as long as they can be read.
fn count_of(rows: f64) -> String {
    if rows < 1e15 { format!("{rows:.0}") } else { format!("{rows:.1e}") }
}

fn line(node: &PlanNode, depth: usize, stages: &[WriteStage], actuals: Actuals<'_>, out: &mut String) {
    let stage_of = |slot: usize| slot.checked_sub(1).and_then(|at| stages.get(at));
    let stage = match node.operator {
        PhysicalOperator::Kept { slot, behind } => stage_of(behind).map(|stage| (stage, slot == behind)),
        _ => None,
    };
    if let Some((stage, true)) = stage {
        return write_line(stage, depth, stages, actuals, out);
    }
    let (name, detail) = describe(&node.operator);
    let labels = node.labels.join(", ");
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "{:indent$}{name}{detail} [{labels}] ~{} rows",
        "",
        count_of(node.estimated_rows),
        indent = depth * 2
    );
    if let Some(Actual { rows, represented, time, memory }) = actuals(node) {
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
    inputs(&node.operator).into_iter().for_each(|input| line(input, depth + 1, stages, actuals, out));
    if let Some((stage, _)) = stage {
        write_line(stage, depth + 1, stages, actuals, out);
    }
}

fn write_line(
    stage: &WriteStage,
    depth: usize,
    stages: &[WriteStage],
    actuals: Actuals<'_>,
    out: &mut String,
) {
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
        line(&merge.found, depth + 1, &[], actuals, out);
    }
    line(&stage.input, depth + 1, stages, actuals, out);
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

fn describe(operator: &PhysicalOperator) -> (&'static str, String) {
    use PhysicalOperator as P;
    let none = String::new();
    match operator {
        P::Unit => ("Unit", none),
        P::Kept { .. } => ("KeptRows", none),
        P::ScanNodes { tables, filter } => {
            let pushed: usize = tables.iter().map(|table| table.pushed.len()).sum();
            let more = if filter.is_some() { ", filtered" } else { "" };
            ("ScanNodes", format!(" ({} tables, {pushed} pushed predicates{more})", tables.len()))
        }
        P::ScanWeighted { terms, .. } => {
            ("ScanWeighted", format!(" (message passing, {} terms)", terms.len()))
        }
        P::ScanRels { tables, .. } => ("ScanRels", format!(" ({} tables)", tables.len())),
        P::LookupNode { .. } => ("LookupNode", " (key index)".into()),
        P::LookupElements { .. } => ("LookupElements", " (a list of keys per row by the key index)".into()),
        P::LookupNodes { .. } => ("LookupNodes", " (a list of keys by the key index)".into()),
        P::Fetch { columns, .. } => ("Fetch", format!(" ({} columns)", columns.len())),
        P::Expand { edge, target, joining, .. } => {
            let bits = if target.is_some() { ", ends by bitmap" } else { "" };
            let joining = joining.map_or(none, |join| format!(", joining by bitmap {join}"));
            ("Expand", format!(" ({} adjacency indexes{bits}{joining})", edge.legs.len()))
        }
        P::ExpandInto { .. } => ("ExpandInto", none),
        P::Intersect { edges, .. } => ("Intersect", format!(" ({} lists)", edges.len())),
        P::ExpandRecursive { recursion, .. } => ("ExpandRecursive", format!(" ({})", recursion.describe())),
        P::Weight { .. } => ("Weight", " (message passing)".into()),
        P::Filter { .. } => ("Filter", none),
        P::DistinctRels { .. } => ("DistinctRels", " (trail)".into()),
        P::HashJoin { bitmap, .. } => {
            ("HashJoin", bitmap.map_or(none, |bitmap| format!(" (bitmap {})", bitmap.name)))
        }
        P::CountJoin { how, .. } => {
            let bitmap = how.bitmap.map_or(none, |bitmap| format!(", bitmap {}", bitmap.name));
            ("CountJoin", format!(" (sorted values{bitmap})"))
        }
        P::Joining { join, .. } => ("Joining", format!(" (bitmap {join})")),
        P::CrossProduct { .. } => ("CrossProduct", none),
        P::Project { .. } => ("Project", none),
        P::Aggregate { key_kind, aggregates, .. } => {
            let names: Vec<&str> = aggregates.iter().map(|aggregate| aggregate.function.name).collect();
            let kind = match key_kind {
                super::physical_plan::KeyKind::Single => "one group",
                super::physical_plan::KeyKind::DenseNode(_) => "by node offset",
                super::physical_plan::KeyKind::Hash => "by hash",
            };
            ("Aggregate", format!(" ({kind}: {})", names.join(", ")))
        }
        P::Distinct { first, .. } if !first.is_empty() => ("Distinct", " (until there are enough)".into()),
        P::Distinct { .. } => ("Distinct", none),
        P::Sort { keys, .. } => ("Sort", format!(" ({} keys)", keys.len())),
        P::TopK { keys, .. } => ("TopK", format!(" ({} keys)", keys.len())),
        P::Limit { ordered_for: Some(rows), .. } => {
            ("Limit", format!(" (joins ordered for the first {} rows)", count_of(*rows)))
        }
        P::Limit { .. } => ("Limit", none),
        P::Unwind { .. } => ("Unwind", none),
        P::Union { inputs } => ("Union", format!(" ({} branches)", inputs.len())),
        P::Number { .. } => ("Number", none),
        P::With { name, .. } => ("With", format!(" (rows {name})")),
        P::Shared { name, .. } => ("Shared", format!(" (rows {name})")),
        P::LimitEach { .. } => ("LimitEach", none),
        P::Weigh { answer, .. } => ("Weigh", format!(" ({}, message passing)", answer_name(*answer))),
        P::HasEdge { answer, .. } => ("HasEdge", format!(" ({})", answer_name(*answer))),
        P::Settle { kind, .. } => {
            let how = match kind {
                PhysicalSettle::Optional { beside: false, .. } => " (left join)",
                PhysicalSettle::Optional { beside: true, .. } => " (left join, beside others)",
                PhysicalSettle::Semi { absent: false, .. } => " (semi join)",
                PhysicalSettle::Semi { absent: true, .. } => " (anti join)",
                PhysicalSettle::Mark { .. } => " (mark join)",
                PhysicalSettle::Count { .. } => " (count)",
                PhysicalSettle::Counted { .. } => " (counted left join)",
                PhysicalSettle::Collect { .. } => " (collect)",
            };
            ("Settle", how.into())
        }
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
