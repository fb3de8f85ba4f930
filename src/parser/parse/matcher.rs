//! Finds the rules of the grammar in a text: walks the table that `build.rs` makes of `cypher.pest`. The parser that pest
//! generates from the same file says why a text fits none, where there is time for it.

use pest::unicode::{WHITE_SPACE, XID_CONTINUE, XID_START};

use super::grammar::Rule;

/// A part of the grammar. Numbers are places in the table.
enum Part {
    Text(&'static str),
    /// In letters of either case.
    Word(&'static str),
    Range(char, char),
    Letter(fn(char) -> bool),
    /// What becomes a token; in an atomic one nothing else does, and white space is not skipped.
    Rule {
        rule: Rule,
        body: u16,
        atomic: bool,
    },
    Sequence(&'static [u16]),
    Choice(&'static [u16]),
    Optional(u16),
    Repeat(u16),
    Ahead(u16),
    NotAhead(u16),
    Start,
    End,
}

// The beginnings of parts as sets of bytes, the parts with the places of their beginnings, and where some rules stand.
include!(concat!(env!("OUT_DIR"), "/grammar_table.rs"));

/// In the place of the next byte at the end of a text; no text has it.
const END_OF_TEXT: u8 = 255;

/// A rule that was found, in front of those inside of it.
pub(super) struct Token {
    pub(super) rule: Rule,
    pub(super) start: u32,
    pub(super) end: u32,
    /// Where the token behind all those inside of it stands.
    pub(super) next: u32,
}

/// What a whole text is read as.
#[derive(Clone, Copy)]
pub(super) enum Whole {
    Statement,
    Expression,
    TypeName,
}

impl Whole {
    /// The rule that reaches to the end of its input.
    pub(super) fn rule(self) -> Rule {
        match self {
            Whole::Statement => Rule::single_statement,
            Whole::Expression => Rule::single_expression,
            Whole::TypeName => Rule::single_type,
        }
    }

    fn place(self) -> u16 {
        match self {
            Whole::Statement => SINGLE_STATEMENT,
            Whole::Expression => SINGLE_EXPRESSION,
            Whole::TypeName => SINGLE_TYPE,
        }
    }
}

/// The rules that a text of less than 4 GiB consists of, if it fits.
pub(super) fn tokens_of(whole: Whole, text: &str) -> Option<Vec<Token>> {
    // Few texts have a rule for every other letter.
    let tokens = Vec::with_capacity(text.len() / 2 + 16);
    let mut matcher = Matcher { text, position: 0, atomic: false, tokens };
    matcher.finds(whole.place()).then_some(matcher.tokens)
}

struct Matcher<'t> {
    text: &'t str,
    position: usize,
    atomic: bool,
    tokens: Vec<Token>,
}

impl Matcher<'_> {
    /// Goes past a part of the grammar. Where it is not found, all is as it was.
    fn finds(&mut self, place: u16) -> bool {
        // Places come from the table itself.
        let (beginning, part) = &PARTS[usize::from(place)];
        let next = self.text.as_bytes().get(self.position).copied().unwrap_or(END_OF_TEXT);
        if BEGINNINGS[usize::from(*beginning)][usize::from(next >> 6)] >> (next & 63) & 1 == 0 {
            return false;
        }
        match part {
            Part::Text(text) => self.takes(text, |found| found == text.as_bytes()),
            Part::Word(word) => self.takes(word, |found| found.eq_ignore_ascii_case(word.as_bytes())),
            Part::Range(from, to) => self.takes_letter(|letter| (*from..=*to).contains(&letter)),
            Part::Letter(belongs) => self.takes_letter(belongs),
            Part::Rule { rule, body, atomic } => self.rule(*rule, *body, *atomic),
            Part::Sequence(parts) => self.sequence(parts),
            Part::Choice(parts) => parts.iter().any(|part| self.finds(*part)),
            Part::Optional(part) => {
                self.finds(*part);
                true
            }
            Part::Repeat(part) => {
                self.repeated(*part);
                true
            }
            Part::Ahead(part) => self.ahead(*part),
            Part::NotAhead(part) => !self.ahead(*part),
            Part::Start => self.position == 0,
            Part::End => self.at_end(),
        }
    }

    /// What is left of the text: parts end where letters end.
    fn rest(&self) -> &str {
        self.text.get(self.position..).unwrap_or("")
    }

    fn takes(&mut self, wanted: &str, is_it: impl Fn(&[u8]) -> bool) -> bool {
        let end = self.position + wanted.len();
        let found = self.text.as_bytes().get(self.position..end).is_some_and(is_it);
        if found {
            self.position = end;
        }
        found
    }

    fn takes_letter(&mut self, belongs: impl Fn(char) -> bool) -> bool {
        let letter = self.rest().chars().next().filter(|letter| belongs(*letter));
        self.position += letter.map_or(0, char::len_utf8);
        letter.is_some()
    }

    fn rule(&mut self, rule: Rule, body: u16, atomic: bool) -> bool {
        if self.atomic {
            return self.finds(body);
        }
        let (at, start) = (self.tokens.len(), self.position as u32);
        self.tokens.push(Token { rule, start, end: start, next: 0 });
        self.atomic = atomic;
        let found = self.finds(body);
        self.atomic = false;
        let next = self.tokens.len() as u32;
        match self.tokens.get_mut(at).filter(|_| found) {
            Some(token) => (token.end, token.next) = (self.position as u32, next),
            None => self.tokens.truncate(at),
        }
        found
    }

    /// The end of the text is a token of its own.
    fn at_end(&mut self) -> bool {
        let (at, next) = (self.position as u32, self.tokens.len() as u32 + 1);
        let is_end = self.position == self.text.len();
        if is_end && !self.atomic {
            self.tokens.push(Token { rule: Rule::EOI, start: at, end: at, next });
        }
        is_end
    }

    fn sequence(&mut self, parts: &[u16]) -> bool {
        let before = (self.position, self.tokens.len());
        let mut parts = parts.iter();
        let mut found = parts.next().is_none_or(|part| self.finds(*part));
        for part in parts {
            if !found {
                break;
            }
            self.skip();
            found = self.finds(*part);
        }
        if !found {
            self.back_to(before);
        }
        found
    }

    fn repeated(&mut self, part: u16) {
        let mut found = self.finds(part);
        while found {
            let before = (self.position, self.tokens.len());
            self.skip();
            found = self.finds(part);
            if !found {
                self.back_to(before);
            }
        }
    }

    fn ahead(&mut self, part: u16) -> bool {
        let before = (self.position, self.tokens.len());
        let found = self.finds(part);
        self.back_to(before);
        found
    }

    fn back_to(&mut self, (position, tokens): (usize, usize)) {
        self.position = position;
        self.tokens.truncate(tokens);
    }

    /// Goes past white space and comments, where the grammar has them between any two parts.
    fn skip(&mut self) {
        if !self.atomic {
            self.atomic = true;
            while self.finds(WHITESPACE) {}
            self.atomic = false;
        }
    }
}

fn starts_name(letter: char) -> bool {
    letter.is_ascii_alphabetic() || !letter.is_ascii() && XID_START(letter)
}

fn goes_on_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || !letter.is_ascii() && XID_CONTINUE(letter)
}

fn is_space(letter: char) -> bool {
    WHITE_SPACE(letter)
}

#[cfg(test)]
mod tests {
    use pest::Parser;
    use proptest::prelude::*;

    use super::super::grammar::CypherGrammar;
    use super::*;

    const TEXTS: [&str; 16] = [
        "MATCH (a:Person {id: $id})-[k:knows*1..3]->(b:!A&B|C WHERE b.x = 1), p = (c)<--() WHERE NOT a.x IS NULL RETURN *",
        "OPTIONAL MATCH p = shortestPath((a)-[* SHORTEST 1..4 (r, n | WHERE r.x | {r.a}, {n.b})]-(`b c`)) RETURN p",
        "WITH DISTINCT a.b AS c, count(*) AS d ORDER BY c DESC NULLS LAST SKIP 1 LIMIT $n WHERE d > .5e-3 RETURN c;",
        "EXPLAIN UNWIND [x IN [1, 0x1F, 0o7, 1_0] WHERE x:A|B | x * 2] AS y RETURN CASE y WHEN 1 THEN 'a\\'' ELSE \"é\" END",
        "CREATE (a:A {b: {c: [1]}})-[:R]->(b) MERGE (c) ON CREATE SET c.x = 1, c:L ON MATCH SET c += $m REMOVE c.y DETACH DELETE d",
        "FOREACH (x IN range(1, 2) | SET x.y = list_transform(l, z -> z + 1)) /* // ' */ // x\n CALL { WITH a RETURN 1 AS x }",
        "CALL (a, b) { MATCH (c) RETURN c } IN 2 CONCURRENT TRANSACTIONS OF 10 ROWS ON ERROR BREAK RETURN c UNION ALL RETURN 1",
        "CALL db.labels() YIELD label AS l WHERE l STARTS WITH 'a' RETURN EXISTS { (a)-->(b) } AND COUNT { MATCH (a) RETURN a }",
        "CREATE NODE TABLE IF NOT EXISTS P(a INT64 DEFAULT 1 PRIMARY KEY, b STRUCT(c DECIMAL(1, 2)[], d MAP(A, B))[3], PRIMARY KEY (a))",
        "CREATE REL TABLE r(FROM a TO b, FROM c TO d MANY_ONE, x DATE NOT NULL, ONE_ONE) WITH (storage = 'x')",
        "ALTER TABLE a ADD COLUMN IF NOT EXISTS b INT64 DEFAULT -1",
        "COPY a(b, c) FROM ['x.csv', \"y\"] (HEADER = true, DELIM '|')",
        "LOAD WITH HEADERS (a INT64) FROM 'x' WHERE a <> 1 RETURN a",
        "CREATE INDEX x FOR (n:A) ON (n.b, n.c) OPTIONS {a: 1}",
        "CREATE CONSTRAINT x IF NOT EXISTS FOR ()-[r:R]-() REQUIRE (r.a, r.b) IS NODE KEY",
        "BEGIN TRANSACTION READ ONLY",
    ];

    /// The rules in a text with their places, as pest finds them and as they are found here.
    fn check(whole: Whole, text: &str) {
        let place = |pair: pest::iterators::Pair<'_, Rule>| {
            (pair.as_rule(), pair.as_span().start() as u32, pair.as_span().end() as u32)
        };
        let expected = CypherGrammar::parse(whole.rule(), text).ok();
        let expected = expected.map(|pairs| pairs.flatten().map(place).collect::<Vec<_>>());
        let found = tokens_of(whole, text);
        let found = found.map(|all| all.iter().map(|token| (token.rule, token.start, token.end)).collect());
        assert_eq!(expected, found, "{text}");
    }

    #[test]
    fn pest_finds_the_same_rules() {
        for text in TEXTS {
            check(Whole::Statement, text);
            assert!(text.contains(';') || tokens_of(Whole::Statement, text).is_some(), "{text}");
        }
        for text in ["1 + 2", "-a.b[1..2]", "", " x", "\u{FEFF}'é' || \u{A0}é "] {
            check(Whole::Expression, text);
        }
        for text in ["INT64[][3]", "STRUCT(a MAP(B, C))", "1"] {
            check(Whole::TypeName, text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn pest_finds_the_same_rules_in_pieces(pieces in prop::collection::vec((0..16usize, 0..140usize, 0..60usize), 1..4)) {
            let cut = |(text, start, length): (usize, usize, usize)| -> String {
                TEXTS[text].chars().skip(start).take(length).collect()
            };
            let text = pieces.into_iter().map(cut).collect::<Vec<_>>().join(" ");
            check(Whole::Statement, &text);
            check(Whole::Statement, &format!("MATCH (n) RETURN {text}"));
            check(Whole::Expression, &text);
        }
    }
}
