//! Grammar pairs to syntax tree, one file for each family of rules.
//!
//! Every function here that can call itself through others keeps its frame small: it takes a pair
//! (a few words) and returns a boxed error, and the branches of a large `match` only call.

mod atom;
mod clause;
mod command;
mod definition;
mod diagnose;
mod expression;
mod literal;
mod matcher;
mod pairs;
mod path;
mod precedence;
mod projection;
mod update;

use std::cell::Cell;

use pest::Parser;

use super::MAX_QUERY_DEPTH;
use super::ast::{Expression, Name, Span, Statement, TypeName};
use super::error::{ParseError, ParseErrorKind};
use super::scan::{bracket_depth, statement_spans};

/// The generated parser. Its rules are an inner matter of this module.
mod grammar {
    #[derive(pest_derive::Parser)]
    #[grammar = "parser/cypher.pest"]
    pub struct CypherGrammar;
}

use grammar::{CypherGrammar, Rule};
use matcher::{Whole, tokens_of};
use pairs::{Pair, Pairs};

/// What builds a part of the tree from the one pair of its rule.
type Build<'t, T> = fn(&Builder<'t>, Pair<'_>) -> Result<T>;
type Result<T> = std::result::Result<T, Box<ParseError>>;

/// Parses a script: statements with semicolons between them, perhaps none.
pub fn parse(text: &str) -> std::result::Result<Vec<Statement>, ParseError> {
    check_length(text)?;
    let spans = statement_spans(text)?;
    spans.into_iter().map(|span| parse_rule(text, span, Whole::Statement, Builder::statement)).collect()
}

/// Parses exactly one statement; a semicolon behind it is allowed.
pub fn parse_statement(text: &str) -> std::result::Result<Statement, ParseError> {
    check_length(text)?;
    let spans = statement_spans(text)?;
    match spans.as_slice() {
        [] => Err(ParseError::new(ParseErrorKind::Empty, Span::default(), text, "there is no statement")),
        [span] => parse_rule(text, *span, Whole::Statement, Builder::statement),
        [_, second, ..] => {
            let message = "one statement is wanted here, and this starts another";
            Err(ParseError::new(ParseErrorKind::Unexpected, *second, text, message))
        }
    }
}

/// Parses one expression, as in a default value that was stored as text.
pub fn parse_expression(text: &str) -> std::result::Result<Expression, ParseError> {
    parse_part(text, Whole::Expression, Builder::expression)
}

/// Parses the name of a data type, as in `CAST(x, 'INT64[]')`.
pub fn parse_type_name(text: &str) -> std::result::Result<TypeName, ParseError> {
    parse_part(text, Whole::TypeName, Builder::type_name)
}

fn parse_part<'t, T: Send>(
    text: &'t str,
    whole: Whole,
    build: Build<'t, T>,
) -> std::result::Result<T, ParseError> {
    check_length(text)?;
    parse_rule(text, Span::new(0, text.len() as u32), whole, build)
}

fn check_length(text: &str) -> std::result::Result<(), ParseError> {
    match u32::try_from(text.len()) {
        Ok(_) => Ok(()),
        Err(_) => {
            let message = "a text of more than 4 GiB cannot be parsed";
            Err(ParseError::new(ParseErrorKind::TooLong, Span::default(), "", message))
        }
    }
}

/// Parses a part of the text as a whole.
fn parse_rule<'t, T: Send>(
    text: &'t str,
    span: Span,
    whole: Whole,
    build: Build<'t, T>,
) -> std::result::Result<T, ParseError> {
    let depth = bracket_depth(text, span)?;
    let result = match depth <= SHALLOW_DEPTH {
        true => build_rule(text, span, whole, build),
        false => on_deep_stack(text, span, || build_rule(text, span, whole, build)),
    };
    result.map_err(|error| *error)
}

/// How deep brackets may nest before a text is parsed on a stack of its own. People write a dozen
/// levels; the generated parser needs up to 20 KiB for one in a build without optimization.
const SHALLOW_DEPTH: usize = 24;

/// What [`MAX_DEPTH`](super::MAX_DEPTH) levels need, with room to spare. Only what is used becomes memory.
const DEEP_STACK_BYTES: usize = 32 << 20;

fn on_deep_stack<T: Send>(text: &str, span: Span, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(DEEP_STACK_BYTES);
        let joined = builder.spawn_scoped(scope, work).map(|thread| thread.join());
        match joined {
            Ok(Ok(result)) => result,
            // A panic goes on where it would have gone without the thread.
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => Err(Box::new(ParseError::too_deep(span, text))),
        }
    })
}

fn build_rule<'t, T>(text: &'t str, span: Span, whole: Whole, build: Build<'t, T>) -> Result<T> {
    let builder = Builder { text, base: span.start, tallest: Cell::new(0), queries: Cell::new(0) };
    let own = span.of(text);
    let Some(tokens) = tokens_of(whole, own) else {
        return match CypherGrammar::parse(whole.rule(), own) {
            Err(error) => Err(builder.diagnose(span, error)),
            Ok(_) => builder.required(None, span),
        };
    };
    let whole = builder.required(Pairs::new(own, &tokens).next(), span)?;
    let mut parts = builder.parts(whole);
    build(&builder, parts.need()?)
}

/// Builds the tree of one statement.
struct Builder<'t> {
    /// The whole text, for line numbers.
    text: &'t str,
    /// Where the statement starts in it.
    base: u32,
    /// The height of the tallest expression built so far, see [`Builder::expression`].
    tallest: Cell<usize>,
    /// How many queries the one being built stands in.
    queries: Cell<usize>,
}

impl Builder<'_> {
    /// Where a pair stands in the whole text. The grammar lets a rule that ends in something optional
    /// swallow the white space behind it; that is left out.
    fn span(&self, pair: &Pair<'_>) -> Span {
        let start = self.base + pair.start();
        Span::new(start, start + pair.as_str().trim_end().len() as u32)
    }

    fn error<T>(&self, kind: ParseErrorKind, span: Span, message: impl Into<String>) -> Result<T> {
        Err(Box::new(ParseError::new(kind, span, self.text, message)))
    }

    fn unexpected<T>(&self, span: Span, message: impl Into<String>) -> Result<T> {
        self.error(ParseErrorKind::Unexpected, span, message)
    }

    fn hinted<T>(&self, span: Span, message: impl Into<String>, hint: &str) -> Result<T> {
        let mut error = ParseError::new(ParseErrorKind::Unexpected, span, self.text, message);
        error.hint = Some(hint.to_owned());
        Err(Box::new(error))
    }

    /// Builds something that stands in one more query, `FOREACH` included.
    fn inside_query<T>(&self, span: Span, build: impl FnOnce() -> Result<T>) -> Result<T> {
        let depth = self.queries.get();
        if depth > MAX_QUERY_DEPTH {
            let message = format!("queries are nested deeper than {MAX_QUERY_DEPTH} levels");
            return self.error(ParseErrorKind::TooDeep, span, message);
        }
        self.queries.set(depth + 1);
        let result = build();
        self.queries.set(depth);
        result
    }

    /// What the grammar promises to be there. That it is not would be a mistake of this module; it is
    /// told as an error, since a query must never end the process.
    fn required<T>(&self, found: Option<T>, span: Span) -> Result<T> {
        match found {
            Some(found) => Ok(found),
            None => self.unexpected(span, "this part of the text could not be understood"),
        }
    }

    /// The parts of a pair, keywords left out.
    fn parts<'p>(&self, pair: Pair<'p>) -> Parts<'_, 'p> {
        let span = self.span(&pair);
        Parts { builder: self, pairs: pair.into_inner(), span }
    }

    fn name(&self, pair: Pair<'_>) -> Name {
        Name::new(literal::unquoted(pair.as_str()), self.span(&pair))
    }

    fn names(&self, pair: Pair<'_>) -> Vec<Name> {
        pair.into_inner().filter(|part| !is_keyword(part.as_rule())).map(|part| self.name(part)).collect()
    }
}

/// Whether a rule is a keyword: the grammar keeps them together.
fn is_keyword(rule: Rule) -> bool {
    rule > Rule::kw_first && rule < Rule::kw_last
}

/// Whether a pair holds another directly, as in asking for the keyword `DISTINCT`.
fn has(pair: &Pair<'_>, rule: Rule) -> bool {
    pair.clone().into_inner().any(|part| part.as_rule() == rule)
}

/// The first keyword of a pair among its direct parts.
fn keyword(pair: &Pair<'_>) -> Option<Rule> {
    pair.clone().into_inner().map(|part| part.as_rule()).find(|rule| is_keyword(*rule))
}

/// The parts of a pair in order, without the keywords.
struct Parts<'b, 'p> {
    builder: &'b Builder<'b>,
    pairs: Pairs<'p>,
    span: Span,
}

impl<'p> Parts<'_, 'p> {
    /// The next part, which the grammar promises.
    fn need(&mut self) -> Result<Pair<'p>> {
        let found = self.next();
        self.builder.required(found, self.span)
    }

    /// The next part, when it has this rule.
    fn take_if(&mut self, rule: Rule) -> Option<Pair<'p>> {
        self.skip_keywords();
        match self.pairs.peek() {
            Some(pair) if pair.as_rule() == rule => self.pairs.next(),
            _ => None,
        }
    }

    fn skip_keywords(&mut self) {
        while self.pairs.peek().is_some_and(|pair| is_keyword(pair.as_rule())) {
            self.pairs.next();
        }
    }
}

impl<'p> Iterator for Parts<'_, 'p> {
    type Item = Pair<'p>;

    fn next(&mut self) -> Option<Pair<'p>> {
        self.pairs.by_ref().find(|pair| !is_keyword(pair.as_rule()))
    }
}
