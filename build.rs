//! Makes a table of the grammar: its parts, each with the bytes that it can begin with. `parser/parse/matcher.rs` walks
//! it and leaves out what cannot succeed at the next byte, which is nearly all that a parsing expression grammar tries.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use pest_meta::ast::RuleType;
use pest_meta::optimizer::{OptimizedExpr as Expression, OptimizedRule, optimize};
use pest_meta::parser;

const GRAMMAR: &str = "src/parser/cypher.pest";

/// A set of bytes; 255, which is in no text, stands for the end of the text.
type Bytes = [u64; 4];
const NONE: Bytes = [0; 4];
const ALL: Bytes = [u64::MAX; 4];
const END: u8 = 255;

/// The next bytes with which a part can succeed.
#[derive(Clone, Copy, PartialEq)]
struct Begins {
    /// Where it takes some of the text.
    taking: Bytes,
    /// Where it takes none.
    staying: Bytes,
}

/// The table while it is written.
struct Table {
    begins: HashMap<String, Begins>,
    /// Where each rule stands.
    places: HashMap<String, usize>,
    sets: Vec<Bytes>,
    parts: Vec<(usize, String)>,
}

fn main() {
    println!("cargo:rerun-if-changed={GRAMMAR}");
    println!("cargo:rerun-if-changed=build.rs");
    let text = std::fs::read_to_string(GRAMMAR).expect("the grammar is part of the package");
    let pairs = parser::parse(parser::Rule::grammar_rules, &text).unwrap_or_else(|error| panic!("{error}"));
    let rules = parser::consume_rules(pairs).unwrap_or_else(|errors| panic!("{errors:?}"));
    let rules = optimize(rules);
    let folder = std::env::var("OUT_DIR").expect("Cargo says where");
    let file = Path::new(&folder).join("grammar_table.rs");
    std::fs::write(file, table(&rules)).expect("the folder can be written to");
}

fn table(rules: &[OptimizedRule]) -> String {
    let places = rules.iter().enumerate().map(|(at, rule)| (rule.name.clone(), at)).collect();
    let parts = vec![(0, String::new()); rules.len()];
    let mut table = Table { begins: HashMap::new(), places, sets: vec![ALL], parts };
    table.find_begins(rules);
    for (at, rule) in rules.iter().enumerate() {
        let part = match rule.ty {
            RuleType::Silent => table.part(&rule.expr),
            RuleType::Normal | RuleType::Atomic => {
                let (body, atomic) = (table.place(&rule.expr), rule.ty == RuleType::Atomic);
                format!("Part::Rule {{ rule: Rule::{}, body: {body}, atomic: {atomic} }}", rule.name)
            }
            _ => panic!("rules of the kind of {} are not known here", rule.name),
        };
        let begins = table.begins[&rule.name];
        table.parts[at] = (table.set(union(begins.taking, begins.staying)), part);
    }
    table.written()
}

impl Table {
    /// What each rule begins with, from nothing up until nothing more is found: rules name each other in circles.
    fn find_begins(&mut self, rules: &[OptimizedRule]) {
        let none = Begins { taking: NONE, staying: NONE };
        self.begins = rules.iter().map(|rule| (rule.name.clone(), none)).collect();
        loop {
            let found = rules.iter().map(|rule| (rule.name.clone(), self.begins_of(&rule.expr))).collect();
            if self.begins == found {
                return;
            }
            self.begins = found;
        }
    }

    fn begins_of(&self, part: &Expression) -> Begins {
        let takes = |taking: Bytes| Begins { taking, staying: NONE };
        let stays = |staying: Bytes| Begins { taking: NONE, staying };
        match part {
            Expression::Str(text) | Expression::Insens(text) if text.is_empty() => stays(ALL),
            Expression::Str(text) => takes(one(text.as_bytes()[0])),
            Expression::Insens(text) => {
                let first = text.as_bytes()[0];
                takes(union(one(first.to_ascii_lowercase()), one(first.to_ascii_uppercase())))
            }
            Expression::Range(from, to) => {
                takes(set(|byte| (from.as_bytes()[0]..=to.as_bytes()[0]).contains(&byte)))
            }
            Expression::Ident(name) => match builtin(name) {
                Some((_, begins)) => begins,
                None => self.begins[name],
            },
            Expression::PosPred(inner) => stays(self.can_begin(inner)),
            Expression::NegPred(_) => stays(ALL),
            Expression::Seq(first, second) => {
                let (first, second) = (self.begins_of(first), self.begins_of(second));
                // Between the two there can be white space.
                let space = self.begins["WHITESPACE"].taking;
                let behind = intersection(first.staying, union(second.taking, space));
                Begins {
                    taking: union(first.taking, behind),
                    staying: intersection(first.staying, second.staying),
                }
            }
            Expression::Choice(first, second) => {
                let (first, second) = (self.begins_of(first), self.begins_of(second));
                Begins {
                    taking: union(first.taking, second.taking),
                    staying: union(first.staying, second.staying),
                }
            }
            Expression::Opt(inner) | Expression::Rep(inner) => {
                Begins { taking: self.begins_of(inner).taking, staying: ALL }
            }
            other => panic!("{other:?} is not known here"),
        }
    }

    fn can_begin(&self, part: &Expression) -> Bytes {
        let Begins { taking, staying } = self.begins_of(part);
        union(taking, staying)
    }

    /// Where the part stands in the table, in which it is put if it is no rule.
    fn place(&mut self, part: &Expression) -> usize {
        if let Expression::Ident(name) = part
            && let Some(place) = self.places.get(name)
        {
            return *place;
        }
        let written = self.part(part);
        let begins = self.can_begin(part);
        let entry = (self.set(begins), written);
        match self.parts.iter().skip(self.places.len()).position(|known| *known == entry) {
            Some(at) => at + self.places.len(),
            None => {
                self.parts.push(entry);
                self.parts.len() - 1
            }
        }
    }

    fn part(&mut self, part: &Expression) -> String {
        match part {
            Expression::Str(text) => format!("Part::Text({text:?})"),
            Expression::Insens(text) => format!("Part::Word({text:?})"),
            Expression::Range(from, to) => {
                let letter = |text: &str| text.chars().next().expect("a range has two ends");
                format!("Part::Range({:?}, {:?})", letter(from), letter(to))
            }
            Expression::Ident(name) => match builtin(name) {
                Some((part, _)) => part.to_owned(),
                None => format!("Part::Sequence(&[{}])", self.places[name]),
            },
            Expression::PosPred(inner) => format!("Part::Ahead({})", self.place(inner)),
            Expression::NegPred(inner) => format!("Part::NotAhead({})", self.place(inner)),
            Expression::Seq(..) => format!("Part::Sequence(&{:?})", self.places_of(part)),
            Expression::Choice(..) => format!("Part::Choice(&{:?})", self.places_of(part)),
            Expression::Opt(inner) => format!("Part::Optional({})", self.place(inner)),
            Expression::Rep(inner) => format!("Part::Repeat({})", self.place(inner)),
            other => panic!("{other:?} is not known here"),
        }
    }

    /// The places of the members of a sequence or of a choice, which the grammar's tree has as pairs.
    fn places_of(&mut self, part: &Expression) -> Vec<usize> {
        let mut places = Vec::new();
        let mut rest = part;
        loop {
            rest = match (part, rest) {
                (Expression::Seq(..), Expression::Seq(first, second))
                | (Expression::Choice(..), Expression::Choice(first, second)) => {
                    places.push(self.place(first));
                    second
                }
                _ => {
                    places.push(self.place(rest));
                    return places;
                }
            };
        }
    }

    fn set(&mut self, bytes: Bytes) -> usize {
        self.sets.iter().position(|known| *known == bytes).unwrap_or_else(|| {
            self.sets.push(bytes);
            self.sets.len() - 1
        })
    }

    fn written(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| writeln!(text, "{line}").expect("a string takes all");
        line(format!("static BEGINNINGS: [[u64; 4]; {}] = {:?};", self.sets.len(), self.sets));
        line(format!("static PARTS: [(u16, Part); {}] = [", self.parts.len()));
        self.parts.iter().for_each(|(set, part)| line(format!("    ({set}, {part}),")));
        line("];".to_owned());
        for name in ["WHITESPACE", "single_statement", "single_expression", "single_type"] {
            line(format!("const {}: u16 = {};", name.to_uppercase(), self.places[name]));
        }
        text
    }
}

/// Rules that every grammar has: how they are written here, and what they begin with.
fn builtin(name: &str) -> Option<(&'static str, Begins)> {
    let takes = |taking: Bytes| Begins { taking, staying: NONE };
    let letters = |ascii: fn(&u8) -> bool| takes(set(|byte| byte != END && (byte >= 0x80 || ascii(&byte))));
    let only = |ascii: fn(&u8) -> bool| takes(set(|byte| ascii(&byte)));
    Some(match name {
        "SOI" => ("Part::Start", Begins { taking: NONE, staying: ALL }),
        "EOI" => ("Part::End", Begins { taking: NONE, staying: one(END) }),
        "ANY" => ("Part::Letter(|_| true)", letters(|_| true)),
        "ASCII_ALPHA" => {
            ("Part::Letter(|letter| letter.is_ascii_alphabetic())", only(u8::is_ascii_alphabetic))
        }
        "ASCII_DIGIT" => ("Part::Letter(|letter| letter.is_ascii_digit())", only(u8::is_ascii_digit)),
        "ASCII_HEX_DIGIT" => {
            ("Part::Letter(|letter| letter.is_ascii_hexdigit())", only(u8::is_ascii_hexdigit))
        }
        "ASCII_OCT_DIGIT" => {
            ("Part::Letter(|letter| letter.is_digit(8))", only(|byte| (b'0'..=b'7').contains(byte)))
        }
        "XID_START" => ("Part::Letter(starts_name)", letters(u8::is_ascii_alphabetic)),
        "XID_CONTINUE" => {
            let inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            ("Part::Letter(goes_on_name)", letters(inside))
        }
        "WHITE_SPACE" => ("Part::Letter(is_space)", letters(|byte| matches!(byte, b'\t'..=b'\r' | b' '))),
        _ => return None,
    })
}

fn set(holds: impl Fn(u8) -> bool) -> Bytes {
    (0..=u8::MAX).filter(|byte| holds(*byte)).fold(NONE, |all, byte| union(all, one(byte)))
}

fn one(byte: u8) -> Bytes {
    let mut bytes = NONE;
    bytes[usize::from(byte >> 6)] |= 1 << (byte & 63);
    bytes
}

fn union(a: Bytes, b: Bytes) -> Bytes {
    std::array::from_fn(|at| a[at] | b[at])
}

fn intersection(a: Bytes, b: Bytes) -> Bytes {
    std::array::from_fn(|at| a[at] & b[at])
}
