//! Names of data types.

use super::super::{Builder, Pair, Result, Rule};
use crate::parser::MAX_DEPTH;
use crate::parser::ast::{TypeName, TypeNameKind, TypedName};
use crate::parser::error::ParseError;

impl Builder<'_> {
    pub(in super::super) fn type_name(&self, pair: Pair<'_>) -> Result<TypeName> {
        Ok(self.type_of_height(pair)?.0)
    }

    pub(in super::super) fn typed_names(&self, pair: Pair<'_>) -> Result<Vec<TypedName>> {
        Ok(self.fields(pair)?.0)
    }

    /// A type and how many levels it has; `T[][][]` nests without nesting brackets.
    fn type_of_height(&self, pair: Pair<'_>) -> Result<(TypeName, usize)> {
        let mut parts = self.parts(pair);
        let base = parts.need()?;
        let start = self.span(&base);
        let (kind, mut height) = self.type_base(base)?;
        let mut type_name = TypeName { kind, span: start };
        for suffix in parts {
            let span = start.join(self.span(&suffix));
            let inner = Box::new(type_name);
            let kind = match suffix.as_rule() {
                Rule::type_array => TypeNameKind::Array(inner, self.unsigned(self.parts(suffix).need()?)?),
                _ => TypeNameKind::List(inner),
            };
            type_name = TypeName { kind, span };
            height += 1;
            if height > MAX_DEPTH {
                return Err(Box::new(ParseError::too_deep(span, self.text)));
            }
        }
        Ok((type_name, height))
    }

    fn type_base(&self, pair: Pair<'_>) -> Result<(TypeNameKind, usize)> {
        match pair.as_rule() {
            Rule::type_struct => {
                let (fields, height) = self.fields(pair)?;
                Ok((TypeNameKind::Struct(fields), height + 1))
            }
            Rule::type_union => {
                let (fields, height) = self.fields(pair)?;
                Ok((TypeNameKind::Union(fields), height + 1))
            }
            Rule::type_map => self.type_map(pair),
            _ => {
                let mut parts = self.parts(pair);
                let name = self.name(parts.need()?).text;
                let arguments = parts.map(|part| self.unsigned(part)).collect::<Result<Vec<_>>>()?;
                Ok((TypeNameKind::Named { name, arguments }, 1))
            }
        }
    }

    fn type_map(&self, pair: Pair<'_>) -> Result<(TypeNameKind, usize)> {
        let mut parts = self.parts(pair);
        let (key, key_height) = self.type_of_height(parts.need()?)?;
        let (value, value_height) = self.type_of_height(parts.need()?)?;
        Ok((TypeNameKind::Map(Box::new(key), Box::new(value)), key_height.max(value_height) + 1))
    }

    fn fields(&self, pair: Pair<'_>) -> Result<(Vec<TypedName>, usize)> {
        let mut fields = Vec::new();
        let mut tallest = 0;
        for field in self.parts(pair) {
            let mut parts = self.parts(field);
            let name = self.name(parts.need()?);
            let (type_name, height) = self.type_of_height(parts.need()?)?;
            tallest = tallest.max(height);
            fields.push(TypedName { name, type_name });
        }
        Ok((fields, tallest))
    }
}
