//! Statements as a whole, loading, and commands.

use super::{Builder, Pair, Result, Rule, has, keyword};
use crate::parser::ast::{
    AttachDatabase, BeginTransaction, CopyFrom, CopyOption, CopyTo, DatabaseDirectory, ExtensionAction,
    ExtensionCommand, FileName, FunctionCall, Name, ScanSource, ScanSourceKind, SetOption, Statement,
    StatementKind, StatementMode,
};

impl Builder<'_> {
    pub(super) fn statement(&self, pair: Pair<'_>) -> Result<Statement> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let mode = match parts.take_if(Rule::mode) {
            None => StatementMode::Run,
            Some(mode) if has(&mode, Rule::kw_profile) => StatementMode::Profile,
            Some(mode) if has(&mode, Rule::kw_logical) => StatementMode::ExplainLogical,
            Some(_) => StatementMode::Explain,
        };
        let kind = self.statement_kind(parts.need()?)?;
        Ok(Statement { mode, kind, span })
    }

    fn statement_kind(&self, pair: Pair<'_>) -> Result<StatementKind> {
        match pair.as_rule() {
            Rule::query => Ok(StatementKind::Query(Box::new(self.query(pair, false)?))),
            Rule::set_option => self.set_option(pair),
            Rule::create_node_table => self.create_node_table(pair),
            Rule::create_rel_table => self.create_rel_table(pair),
            Rule::create_sequence => self.create_sequence(pair),
            Rule::create_type => self.create_type(pair),
            Rule::create_macro => self.create_macro(pair),
            Rule::create_graph => self.create_graph(pair),
            Rule::create_index => self.create_index(pair),
            Rule::create_constraint => self.create_constraint(pair),
            Rule::alter_table => self.alter_table(pair),
            Rule::drop_object => self.drop_object(pair),
            Rule::comment_on => self.comment_on(pair),
            _ => self.command(pair),
        }
    }

    fn command(&self, pair: Pair<'_>) -> Result<StatementKind> {
        match pair.as_rule() {
            Rule::copy_from => self.copy_from(pair),
            Rule::copy_to => self.copy_to(pair),
            Rule::export_database => Ok(StatementKind::ExportDatabase(self.database_directory(pair)?)),
            Rule::import_database => Ok(StatementKind::ImportDatabase(self.database_directory(pair)?)),
            Rule::attach => self.attach(pair),
            Rule::detach => Ok(StatementKind::Detach(self.name(self.parts(pair).need()?))),
            Rule::use_statement => Ok(StatementKind::Use(self.name(self.parts(pair).need()?))),
            Rule::install | Rule::extension => self.extension(pair),
            Rule::begin => {
                Ok(StatementKind::Begin(BeginTransaction { read_only: has(&pair, Rule::kw_only) }))
            }
            Rule::commit => Ok(StatementKind::Commit),
            Rule::rollback => Ok(StatementKind::Rollback),
            Rule::checkpoint => Ok(StatementKind::Checkpoint),
            Rule::vacuum => Ok(StatementKind::Vacuum),
            _ => self.unexpected(self.span(&pair), "this statement could not be understood"),
        }
    }

    fn set_option(&self, pair: Pair<'_>) -> Result<StatementKind> {
        let mut parts = self.parts(pair);
        let name = self.name(parts.need()?);
        let value = self.expression(parts.need()?)?;
        Ok(StatementKind::SetOption(SetOption { name, value }))
    }

    fn copy_from(&self, pair: Pair<'_>) -> Result<StatementKind> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let table = self.name(parts.need()?);
        let columns = parts.take_if(Rule::name_list).map(|columns| self.names(columns));
        let source = self.scan_source(parts.need()?)?;
        let by_column = parts.take_if(Rule::by_column).is_some();
        let options = self.options(parts.next())?;
        let copy = CopyFrom { table, columns, source, by_column, options, span };
        Ok(StatementKind::CopyFrom(Box::new(copy)))
    }

    fn copy_to(&self, pair: Pair<'_>) -> Result<StatementKind> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let query = self.query(parts.need()?, false)?;
        let file = self.file_name(parts.need()?)?;
        let options = self.options(parts.next())?;
        Ok(StatementKind::CopyTo(Box::new(CopyTo { query, file, options, span })))
    }

    pub(super) fn scan_source(&self, pair: Pair<'_>) -> Result<ScanSource> {
        let span = self.span(&pair);
        let inner = self.parts(pair).need()?;
        let kind = match inner.as_rule() {
            Rule::files | Rule::file_tuple => {
                let files = self.parts(inner).map(|file| self.file_name(file)).collect::<Result<Vec<_>>>()?;
                ScanSourceKind::Files(files)
            }
            Rule::query => ScanSourceKind::Query(Box::new(self.query(inner, false)?)),
            Rule::parameter => ScanSourceKind::Parameter(self.parameter(inner)),
            Rule::scan_function => self.scan_function(inner)?,
            _ => ScanSourceKind::Object(self.names(self.parts(inner).need()?)),
        };
        Ok(ScanSource { kind, span })
    }

    fn scan_function(&self, pair: Pair<'_>) -> Result<ScanSourceKind> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let name = self.names(parts.need()?);
        let arguments = self.arguments(parts.need()?)?;
        let call = FunctionCall { name, distinct: false, arguments, star: false, span };
        Ok(ScanSourceKind::Function(Box::new(call)))
    }

    fn file_name(&self, pair: Pair<'_>) -> Result<FileName> {
        let span = self.span(&pair);
        Ok(FileName { path: self.string(pair)?, span })
    }

    pub(super) fn options(&self, pair: Option<Pair<'_>>) -> Result<Vec<CopyOption>> {
        match pair {
            Some(pair) => self.parts(pair).map(|option| self.option(option)).collect(),
            None => Ok(Vec::new()),
        }
    }

    fn option(&self, pair: Pair<'_>) -> Result<CopyOption> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let name = self.name(parts.need()?);
        let value = match parts.next() {
            Some(value) if value.as_rule() == Rule::expression => Some(self.expression(value)?),
            Some(value) => Some(self.atom(value)?),
            None => None,
        };
        Ok(CopyOption { name, value, span })
    }

    fn database_directory(&self, pair: Pair<'_>) -> Result<DatabaseDirectory> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let directory = self.file_name(parts.need()?)?;
        Ok(DatabaseDirectory { directory, options: self.options(parts.next())?, span })
    }

    fn attach(&self, pair: Pair<'_>) -> Result<StatementKind> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let path = self.file_name(parts.need()?)?;
        let alias = parts.take_if(Rule::name).map(|alias| self.name(alias));
        let options = self.options(parts.next())?;
        Ok(StatementKind::Attach(AttachDatabase { path, alias, options, span }))
    }

    fn extension(&self, pair: Pair<'_>) -> Result<StatementKind> {
        let span = self.span(&pair);
        let action = match keyword(&pair) {
            Some(Rule::kw_install) => ExtensionAction::Install,
            Some(Rule::kw_update) => ExtensionAction::Update,
            Some(Rule::kw_uninstall) => ExtensionAction::Uninstall,
            _ => ExtensionAction::Load,
        };
        let mut parts = self.parts(pair);
        let name = parts.need()?;
        let name = match name.as_rule() {
            Rule::string => {
                let span = self.span(&name);
                Name::new(self.string(name)?, span)
            }
            _ => self.name(name),
        };
        let repository = parts.next().map(|part| self.file_name(part)).transpose()?;
        Ok(StatementKind::Extension(ExtensionCommand { action, name, repository, span }))
    }
}
