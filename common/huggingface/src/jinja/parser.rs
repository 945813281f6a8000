//! Tokens into a syntax tree: statements. Expressions are in expressions.rs.

use super::fault::{fault_at, Res};
use super::lexer::{tokens_of, Kind, Token};
use super::syntax::*;
use std::collections::HashMap;

/// Python compiles no deeper ones.
const DEEPEST_BLOCKS: usize = 100;

pub struct Parser {
    tokens: Vec<Token>,
    at: usize,
    pub(super) depth: usize,
    blocks: usize,
    pub(super) template: Template,
    places: HashMap<String, Name>,
    /// Of `block`s.
    block_names: Vec<String>,
}

pub fn parse(source: &str) -> Res<Template> {
    let tokens = tokens_of(source)?;
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        blocks: 0,
        template: Template::default(),
        places: HashMap::new(),
        block_names: Vec::new(),
    };
    for name in OWN_NAMES {
        parser.name_of(name);
    }
    parser.template.body = parser.statements(&[])?;
    Ok(parser.template)
}

impl Parser {
    pub(super) fn kind(&self) -> &Kind {
        &self.tokens[self.at].kind
    }

    pub(super) fn peek(&self) -> &Kind {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].kind
    }

    pub(super) fn line(&self) -> u32 {
        self.tokens[self.at].line
    }

    pub(super) fn next(&mut self) -> Kind {
        let kind = self.tokens[self.at].kind.clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        kind
    }

    pub(super) fn fail<T>(&self, text: &str) -> Res<T> {
        fault_at(self.line(), format!("syntax error: {text}"))
    }

    pub(super) fn is_operator(&self, operator: &str) -> bool {
        matches!(self.kind(), Kind::Operator(found) if *found == operator)
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self.kind(), Kind::Name(found) if found == name)
    }

    pub(super) fn skip_operator(&mut self, operator: &str) -> bool {
        let found = self.is_operator(operator);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn expect_operator(&mut self, operator: &str) -> Res<()> {
        if self.skip_operator(operator) {
            return Ok(());
        }
        self.fail(&format!("expected {operator:?}, found {}", described(self.kind())))
    }

    fn expect_word(&mut self, word: &str) -> Res<()> {
        if self.skip_name(word) {
            return Ok(());
        }
        self.fail(&format!("expected {word:?}, found {}", described(self.kind())))
    }

    pub(super) fn expect_name(&mut self) -> Res<String> {
        if let Kind::Name(name) = self.kind() {
            let name = name.clone();
            self.next();
            return Ok(name);
        }
        self.fail(&format!("expected a name, found {}", described(self.kind())))
    }

    pub(super) fn name_of(&mut self, name: &str) -> Name {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = self.template.names.len() as Name;
        self.template.names.push(name.to_string());
        self.places.insert(name.to_string(), place);
        place
    }

    /// Up to the tag that one of `ends` names, which stays, or the end of the source.
    fn statements(&mut self, ends: &[&str]) -> Res<Vec<Statement>> {
        let mut body = Vec::new();
        loop {
            let line = self.line();
            match self.next() {
                Kind::Data(text) => body.push(Statement { line, kind: StatementKind::Data(text) }),
                Kind::VariableBegin => {
                    let value = self.tuple(true, &[])?;
                    if !matches!(self.kind(), Kind::VariableEnd) {
                        return self.fail(&format!("expected \"}}}}\", found {}", described(self.kind())));
                    }
                    self.next();
                    body.push(Statement { line, kind: StatementKind::Output(value) });
                }
                Kind::BlockBegin => {
                    if matches!(self.kind(), Kind::Name(name) if ends.contains(&name.as_str())) {
                        return Ok(body);
                    }
                    self.statement(&mut body)?;
                    self.end_block()?;
                }
                _ if ends.is_empty() => return Ok(body),
                _ => return self.fail(&format!("unexpected end, expected {:?}", ends.join(" or "))),
            }
        }
    }

    fn end_block(&mut self) -> Res<()> {
        if matches!(self.kind(), Kind::BlockEnd) {
            self.next();
            return Ok(());
        }
        self.fail(&format!("expected the end of the tag, found {}", described(self.kind())))
    }

    /// Body of a statement; the tag that ends it is left out if it is the only one that may.
    fn body(&mut self, ends: &[&str]) -> Res<Vec<Statement>> {
        self.skip_operator(":");
        self.end_block()?;
        self.blocks += 1;
        if self.blocks > DEEPEST_BLOCKS {
            return self.fail(&format!("more than {DEEPEST_BLOCKS} statements inside each other"));
        }
        let body = self.statements(ends)?;
        self.blocks -= 1;
        if ends.len() == 1 {
            self.next();
        }
        Ok(body)
    }

    fn statement(&mut self, into: &mut Vec<Statement>) -> Res<()> {
        let line = self.line();
        let name = self.expect_name()?;
        let kind = match name.as_str() {
            "for" => self.for_loop()?,
            "if" => self.if_statement()?,
            "set" => self.set()?,
            "with" => self.with()?,
            "macro" => self.macro_definition()?,
            "call" => self.call_block()?,
            "filter" => {
                let filter = self.filter(None)?;
                let filter = self.filters(filter)?;
                StatementKind::FilterBlock { filter, body: self.body(&["endfilter"])? }
            }
            // transformers' own, which marks what the assistant says. It is a call block, so its names are its own.
            "generation" => StatementKind::Scope(self.body(&["endgeneration"])?),
            "autoescape" => StatementKind::AutoEscape(self.expression()?, self.body(&["endautoescape"])?),
            "block" => self.block()?,
            "print" => return self.print(line, into),
            "break" => StatementKind::Break,
            "continue" => StatementKind::Continue,
            "include" | "import" | "from" | "extends" => return self.fail("a chat template is one file: there is no other"),
            other => return self.fail(&format!("unknown tag {other:?}")),
        };
        into.push(Statement { line, kind });
        Ok(())
    }

    fn print(&mut self, line: u32, into: &mut Vec<Statement>) -> Res<()> {
        while !matches!(self.kind(), Kind::BlockEnd) {
            let value = self.expression()?;
            into.push(Statement { line, kind: StatementKind::Output(value) });
            if !matches!(self.kind(), Kind::BlockEnd) {
                self.expect_operator(",")?;
            }
        }
        Ok(())
    }

    fn for_loop(&mut self) -> Res<StatementKind> {
        let target = self.target(false, &["in"])?;
        self.expect_word("in")?;
        let iterated = self.tuple(false, &["recursive"])?;
        let test = if self.skip_name("if") { Some(self.expression()?) } else { None };
        let recursive = self.skip_name("recursive");
        let body = self.body(&["endfor", "else"])?;
        let otherwise = if self.expect_name()? == "endfor" { Vec::new() } else { self.body(&["endfor"])? };
        self.template.loops.push(For { target, iterated, test, recursive, body, otherwise });
        Ok(StatementKind::For(self.template.loops.len() as u32 - 1))
    }

    fn if_statement(&mut self) -> Res<StatementKind> {
        let mut branches = Vec::new();
        loop {
            let test = self.tuple(false, &[])?;
            let body = self.body(&["elif", "else", "endif"])?;
            branches.push((test, body));
            match self.expect_name()?.as_str() {
                "elif" => {}
                "else" => return Ok(StatementKind::If { branches, otherwise: self.body(&["endif"])? }),
                _ => return Ok(StatementKind::If { branches, otherwise: Vec::new() }),
            }
        }
    }

    fn set(&mut self) -> Res<StatementKind> {
        let target = self.target(true, &[])?;
        if self.skip_operator("=") {
            return Ok(StatementKind::Set(target, self.tuple(true, &[])?));
        }
        let mut filter = None;
        while self.skip_operator("|") {
            filter = Some(self.filter(filter)?);
        }
        Ok(StatementKind::SetBlock { target, filter, body: self.body(&["endset"])? })
    }

    fn with(&mut self) -> Res<StatementKind> {
        let mut values = Vec::new();
        while !matches!(self.kind(), Kind::BlockEnd) && !self.is_operator(":") {
            if !values.is_empty() {
                self.expect_operator(",")?;
            }
            let target = self.target(false, &[])?;
            self.expect_operator("=")?;
            values.push((target, self.expression()?));
        }
        Ok(StatementKind::With { values, body: self.body(&["endwith"])? })
    }

    fn block(&mut self) -> Res<StatementKind> {
        let name = self.expect_name()?;
        if self.block_names.contains(&name) {
            return self.fail(&format!("block {name:?} is there twice"));
        }
        let scoped = self.skip_name("scoped");
        self.skip_name("required");
        self.block_names.push(name.clone());
        let body = self.body(&["endblock"])?;
        self.skip_name(&name);
        Ok(StatementKind::Block { scoped, body })
    }

    fn signature(&mut self) -> Res<(Vec<Name>, Vec<ExprId>)> {
        let (mut parameters, mut defaults) = (Vec::new(), Vec::new());
        self.expect_operator("(")?;
        while !self.is_operator(")") {
            if !parameters.is_empty() {
                self.expect_operator(",")?;
            }
            let name = self.expect_name()?;
            let name = self.name_of(&name);
            parameters.push(name);
            if self.skip_operator("=") {
                defaults.push(self.expression()?);
            } else if !defaults.is_empty() {
                return self.fail("a parameter without a default follows one with a default");
            }
        }
        self.expect_operator(")")?;
        Ok((parameters, defaults))
    }

    fn macro_body(&mut self, name: Name, (parameters, defaults): (Vec<Name>, Vec<ExprId>), end: &str) -> Res<u32> {
        let begin = self.at;
        let body = self.body(&[end])?;
        let uses = |own: Name| {
            let word = OWN_NAMES[own as usize];
            self.tokens[begin..self.at].iter().any(|token| matches!(&token.kind, Kind::Name(name) if name == word))
        };
        let definition = MacroDefinition {
            name,
            uses_caller: uses(CALLER),
            uses_varargs: uses(VARARGS),
            uses_kwargs: uses(KWARGS),
            parameters,
            defaults,
            body,
        };
        self.template.macros.push(definition);
        Ok(self.template.macros.len() as u32 - 1)
    }

    fn macro_definition(&mut self) -> Res<StatementKind> {
        let name = self.expect_name()?;
        let name = self.name_of(&name);
        let signature = self.signature()?;
        Ok(StatementKind::Macro(self.macro_body(name, signature, "endmacro")?))
    }

    fn call_block(&mut self) -> Res<StatementKind> {
        let signature = if self.is_operator("(") { self.signature()? } else { Default::default() };
        let call = self.expression()?;
        if !matches!(self.template.expressions[call as usize], Expr::Call(..)) {
            return self.fail("expected a call");
        }
        Ok(StatementKind::CallBlock { call, body: self.macro_body(CALLER, signature, "endcall")? })
    }
}

pub fn described(kind: &Kind) -> String {
    match kind {
        Kind::Data(_) => "text".into(),
        Kind::BlockBegin => "\"{%\"".into(),
        Kind::BlockEnd => "the end of the tag".into(),
        Kind::VariableBegin => "\"{{\"".into(),
        Kind::VariableEnd => "\"}}\"".into(),
        Kind::Name(name) => format!("{name:?}"),
        Kind::Text(_) => "a text".into(),
        Kind::Integer(digits) => digits.clone(),
        Kind::Float(number) => number.to_string(),
        Kind::Operator(operator) => format!("{operator:?}"),
        Kind::End => "the end".into(),
    }
}
