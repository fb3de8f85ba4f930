//! Which names are visible. WITH replaces them all; inside a list comprehension one name is added for a while.

use super::bound::VariableId;

/// The visible names in the order in which they were bound; a later one hides an earlier one of the same name.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    names: Vec<(String, VariableId)>,
}

impl Scope {
    /// What the name stands for.
    pub fn find(&self, name: &str) -> Option<VariableId> {
        self.names.iter().rev().find(|(known, _)| known == name).map(|(_, variable)| *variable)
    }

    /// Makes a name visible.
    pub fn add(&mut self, name: &str, variable: VariableId) {
        self.names.push((name.to_owned(), variable));
    }

    /// Takes the name away that was made visible last.
    pub fn remove_last(&mut self) {
        self.names.pop();
    }

    /// All names, oldest first; hidden ones included.
    pub fn names(&self) -> &[(String, VariableId)] {
        &self.names
    }
}
