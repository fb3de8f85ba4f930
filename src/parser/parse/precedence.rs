//! Which operators bind tighter than others, and the tree that follows from it (Pratt, 1973).

use super::expression::Step;
use super::pairs::Pairs;
use super::{Builder, Rule};
use crate::parser::ast::Span;

/// On which side of an operator its operands stand.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Before,
    Between,
    Behind,
}

/// Where an operator stands and how tightly it binds: the levels of openCypher's precedence, the loosest first; Kuzu's bit
/// operators lie between them.
fn operator(rule: Rule) -> Option<(Place, u8)> {
    Some(match rule {
        Rule::op_or => (Place::Between, 1),
        Rule::op_xor => (Place::Between, 2),
        Rule::op_and => (Place::Between, 3),
        Rule::op_not => (Place::Before, 4),
        Rule::op_equal
        | Rule::op_not_equal
        | Rule::op_less
        | Rule::op_less_equal
        | Rule::op_greater
        | Rule::op_greater_equal => (Place::Between, 5),
        Rule::op_in | Rule::op_starts | Rule::op_ends | Rule::op_contains | Rule::op_regex => {
            (Place::Between, 6)
        }
        Rule::op_is_null => (Place::Behind, 6),
        Rule::op_bit_and => (Place::Between, 7),
        Rule::op_shift_left | Rule::op_shift_right => (Place::Between, 8),
        Rule::op_add | Rule::op_subtract | Rule::op_concat => (Place::Between, 9),
        Rule::op_multiply | Rule::op_divide | Rule::op_modulo => (Place::Between, 10),
        Rule::op_power => (Place::Between, 11),
        Rule::op_negative | Rule::op_positive => (Place::Before, 12),
        Rule::property
        | Rule::all_properties
        | Rule::index
        | Rule::has_labels
        | Rule::call_arguments
        | Rule::map_projection => (Place::Behind, 13),
        _ => return None,
    })
}

impl Builder<'_> {
    /// The tree of all that follows up to an operator of this level or a looser one.
    pub(super) fn tighter_than(&self, level: u8, parts: &mut Pairs<'_>, span: Span) -> Step {
        let first = self.required(parts.next(), span)?;
        let mut tree = match operator(first.as_rule()) {
            // The operand of a sign may begin with a sign of the same level.
            Some((Place::Before, own)) => {
                let operand = self.tighter_than(own - 1, parts, span)?;
                self.prefix(first, operand)?
            }
            _ => self.operand(first)?,
        };
        while let Some(sign) = parts.peek()
            && let Some((place, own)) = operator(sign.as_rule())
            && own > level
        {
            parts.next();
            tree = match place {
                Place::Behind => self.postfix(tree, sign)?,
                _ => {
                    let right = self.tighter_than(own, parts, span)?;
                    self.infix(tree, sign, right)?
                }
            };
        }
        Ok(tree)
    }
}
