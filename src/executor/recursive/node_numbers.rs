//! Nodes numbered in the order in which a search meets them, so that what it knows of each lies side by side.

use crate::types::GlobalId;

const PAGE_NODES: usize = 4096;

type Page = Option<Box<[u32; PAGE_NODES]>>;

/// Numbers of nodes, by table and offset. Memory grows with the parts of the tables that are met.
#[derive(Default)]
pub struct NodeNumbers {
    /// Numbers plus one; 0 is none.
    tables: Vec<(u32, Vec<Page>)>,
    nodes: Vec<u64>,
    /// How many pages there are.
    pages: usize,
}

impl NodeNumbers {
    /// The number of a node, and whether it is new.
    #[inline]
    pub fn number(&mut self, node: u64) -> (u32, bool) {
        let id = GlobalId(node);
        let table = id.table().0;
        let at = match self.tables.iter().position(|(known, _)| *known == table) {
            Some(at) => at,
            None => {
                self.tables.push((table, Vec::new()));
                self.tables.len() - 1
            }
        };
        let pages = &mut self.tables[at].1;
        let (page, slot) = (id.offset() as usize / PAGE_NODES, id.offset() as usize % PAGE_NODES);
        if pages.len() <= page {
            pages.resize_with(page + 1, || None);
        }
        let counted = &mut self.pages;
        let page = pages[page].get_or_insert_with(|| {
            *counted += 1;
            Box::new([0; PAGE_NODES])
        });
        let slot = &mut page[slot];
        if *slot != 0 {
            return (*slot - 1, false);
        }
        self.nodes.push(node);
        *slot = self.nodes.len() as u32;
        (*slot - 1, true)
    }

    /// The number of a node that was met.
    #[inline]
    pub fn get(&self, node: u64) -> Option<u32> {
        let id = GlobalId(node);
        let (_, pages) = self.tables.iter().find(|(known, _)| *known == id.table().0)?;
        let page = pages.get(id.offset() as usize / PAGE_NODES)?.as_deref()?;
        page[id.offset() as usize % PAGE_NODES].checked_sub(1)
    }

    /// The node of a number.
    #[inline]
    pub fn node(&self, number: u32) -> u64 {
        self.nodes[number as usize]
    }

    /// The nodes that have this number or a higher one, in their order.
    pub fn from(&self, number: u32) -> &[u64] {
        self.nodes.get(number as usize..).unwrap_or_default()
    }

    /// The memory of it.
    pub fn bytes(&self) -> usize {
        self.pages * size_of::<[u32; PAGE_NODES]>() + self.nodes.capacity() * 8
    }

    /// Forgets all nodes.
    pub fn clear(&mut self) {
        for node in self.nodes.drain(..) {
            let id = GlobalId(node);
            let table = self.tables.iter_mut().find(|(known, _)| *known == id.table().0);
            let page = table.and_then(|(_, pages)| pages.get_mut(id.offset() as usize / PAGE_NODES));
            if let Some(Some(page)) = page {
                page[id.offset() as usize % PAGE_NODES] = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TableId;

    #[test]
    fn nodes_are_numbered_as_they_come_and_forgotten() {
        let mut numbers = NodeNumbers::default();
        let node = |table: u32, offset: u64| GlobalId::new(TableId(table), offset).0;
        for _ in 0..2 {
            assert_eq!(numbers.number(node(1, 5)), (0, true));
            assert_eq!(numbers.number(node(2, 5)), (1, true));
            assert_eq!(numbers.number(node(1, 900_000)), (2, true));
            assert_eq!(numbers.number(node(1, 5)), (0, false));
            assert_eq!(numbers.get(node(1, 900_000)), Some(2));
            assert_eq!(numbers.get(node(1, 900_001)), None);
            assert_eq!(numbers.get(node(3, 5)), None);
            assert_eq!(numbers.bytes(), 3 * 4 * PAGE_NODES + numbers.nodes.capacity() * 8);
            assert_eq!((numbers.node(1), numbers.from(2)), (node(2, 5), &[node(1, 900_000)][..]));
            numbers.clear();
            assert_eq!(numbers.get(node(2, 5)), None);
        }
    }
}
