//! Rules that were found in a text, each with those inside of it.

use super::grammar::Rule;
use super::matcher::Token;

/// One rule.
#[derive(Clone)]
pub(super) struct Pair<'t> {
    text: &'t str,
    tokens: &'t [Token],
    token: &'t Token,
    /// Its place among the tokens.
    at: usize,
}

impl<'t> Pair<'t> {
    pub(super) fn as_rule(&self) -> Rule {
        self.token.rule
    }

    /// Where it begins in the statement.
    pub(super) fn start(&self) -> u32 {
        self.token.start
    }

    pub(super) fn as_str(&self) -> &'t str {
        self.text.get(self.token.start as usize..self.token.end as usize).unwrap_or("")
    }

    /// The rules directly inside.
    pub(super) fn into_inner(self) -> Pairs<'t> {
        Pairs { text: self.text, tokens: self.tokens, at: self.at + 1, end: self.token.next as usize }
    }
}

/// Rules one behind the other.
#[derive(Clone)]
pub(super) struct Pairs<'t> {
    text: &'t str,
    tokens: &'t [Token],
    at: usize,
    end: usize,
}

impl<'t> Pairs<'t> {
    /// The rules that a text consists of.
    pub(super) fn new(text: &'t str, tokens: &'t [Token]) -> Pairs<'t> {
        Pairs { text, tokens, at: 0, end: tokens.len() }
    }

    /// The next rule, which stays.
    pub(super) fn peek(&self) -> Option<Pair<'t>> {
        let token = self.tokens.get(self.at).filter(|_| self.at < self.end)?;
        Some(Pair { text: self.text, tokens: self.tokens, token, at: self.at })
    }
}

impl<'t> Iterator for Pairs<'t> {
    type Item = Pair<'t>;

    fn next(&mut self) -> Option<Pair<'t>> {
        let pair = self.peek()?;
        self.at = pair.token.next as usize;
        Some(pair)
    }
}
