//! MERGE: one pattern, once as what is to be found and once as what is created where it is not.

use super::aggregate::AggregateContext;
use super::bind::Binder;
use super::bound::*;
use super::create::{Creating, OpenCreation};
use super::error::BindResult;
use crate::parser::ast::{MergeClause, Name};

impl Binder<'_> {
    /// `MERGE pattern [ON CREATE SET …] [ON MATCH SET …]`.
    pub fn bind_merge(&mut self, clause: &MergeClause) -> BindResult<BoundWrite> {
        self.aggregates = AggregateContext::forbidden("in MERGE");
        let mut open = OpenCreation::new(Creating::Merge);
        self.create_path(&clause.pattern, &mut open)?;
        self.finish_creation(&mut open);
        let created = std::mem::take(&mut open.pattern);
        let predicates = self.merged_predicates(&created)?;
        let mut nodes: Vec<VariableId> = created.nodes.iter().map(|node| node.variable).collect();
        nodes.extend(created.bound_before());
        let matched = BoundPattern {
            nodes,
            distinct_edges: self.distinct_edges(&open.edges),
            edges: open.edges,
            paths: Vec::new(),
        };
        let on_create = self.bind_set_items(&clause.on_create)?;
        let on_match = self.bind_set_items(&clause.on_match)?;
        let span = clause.span;
        Ok(BoundWrite::Merge(Box::new(BoundMerge {
            created,
            matched,
            predicates,
            on_create,
            on_match,
            span,
        })))
    }

    /// What is written in the pattern as comparisons with what found entities have.
    fn merged_predicates(&mut self, created: &NewPattern) -> BindResult<Vec<BoundExpression>> {
        let mut predicates = Vec::new();
        let nodes = created.nodes.iter().map(|node| (node.variable, &node.properties));
        let rels = created.rels.iter().map(|rel| (rel.variable, &rel.properties));
        for (variable, properties) in nodes.chain(rels) {
            for property in properties {
                let Some(merged) = property.merged else { continue };
                let span = property.value.span;
                let key = Name::new(property.name.clone(), span);
                let found = self.entity_property(variable, &key, span)?;
                let value = self.variable_expression(merged, span);
                predicates.push(self.equality(found, value, span)?);
            }
        }
        Ok(predicates)
    }
}
