//! Tokens into a syntax tree: expressions, in Jinja2's order of precedence.

use super::fault::Res;
use super::lexer::Kind;
use super::parser::{described, Parser};
use super::syntax::*;

/// As many brackets as Python reads inside each other.
const DEEPEST_BRACKETS: usize = 200;

impl Parser {
    fn add(&mut self, expression: Expr) -> ExprId {
        self.template.expressions.push(expression);
        self.template.expressions.len() as ExprId - 1
    }

    fn constant(&mut self, constant: Constant) -> ExprId {
        self.template.constants.push(constant);
        self.add(Expr::Constant(self.template.constants.len() as u32 - 1))
    }

    pub(super) fn expression(&mut self) -> Res<ExprId> {
        self.condition()
    }

    /// One expression, or a tuple of several without brackets. `ends` are words that end it.
    pub(super) fn tuple(&mut self, with_condition: bool, ends: &[&str]) -> Res<ExprId> {
        let mut items = Vec::new();
        let mut is_tuple = false;
        while !self.is_tuple_end(ends) {
            items.push(if with_condition { self.condition()? } else { self.or()? });
            if !self.skip_operator(",") {
                break;
            }
            is_tuple = true;
        }
        match (is_tuple, items.first()) {
            (false, Some(only)) => Ok(*only),
            (false, None) => self.fail(&format!("expected an expression, found {}", described(self.kind()))),
            (true, _) => Ok(self.add(Expr::Tuple(items))),
        }
    }

    fn is_tuple_end(&self, ends: &[&str]) -> bool {
        match self.kind() {
            Kind::VariableEnd | Kind::BlockEnd | Kind::End => true,
            Kind::Operator(operator) => *operator == ")",
            Kind::Name(name) => ends.contains(&name.as_str()),
            _ => false,
        }
    }

    /// What is assigned to, up to one of `ends`.
    pub(super) fn target(&mut self, with_fields: bool, ends: &[&str]) -> Res<Target> {
        let (mut targets, mut is_tuple) = (Vec::new(), false);
        while targets.is_empty() || !(self.is_tuple_end(ends) || self.is_operator("=")) {
            targets.push(self.one_target(with_fields)?);
            if !self.skip_operator(",") {
                break;
            }
            is_tuple = true;
        }
        Ok(match targets.pop() {
            Some(only) if !is_tuple => only,
            last => Target::Tuple(targets.into_iter().chain(last).collect()),
        })
    }

    fn one_target(&mut self, with_fields: bool) -> Res<Target> {
        if self.skip_operator("(") {
            self.enter()?;
            let target = self.target(with_fields, &[])?;
            self.expect_operator(")")?;
            self.depth -= 1;
            return Ok(target);
        }
        let name = self.expect_name()?;
        if matches!(name.as_str(), "true" | "false" | "True" | "False" | "none" | "None") {
            return self.fail(&format!("{name:?} cannot be assigned to"));
        }
        let place = self.name_of(&name);
        if with_fields && self.skip_operator(".") {
            let field = self.expect_name()?;
            return Ok(Target::NamespaceField(place, self.name_of(&field)));
        }
        Ok(Target::Name(place))
    }

    fn condition(&mut self) -> Res<ExprId> {
        let mut then = self.or()?;
        while self.skip_name("if") {
            let test = self.or()?;
            let otherwise = if self.skip_name("else") { Some(self.condition()?) } else { None };
            then = self.add(Expr::Condition { test, then, otherwise });
        }
        Ok(then)
    }

    fn or(&mut self) -> Res<ExprId> {
        let mut left = self.and()?;
        while self.skip_name("or") {
            let right = self.and()?;
            left = self.add(Expr::Or(left, right));
        }
        Ok(left)
    }

    fn and(&mut self) -> Res<ExprId> {
        let mut left = self.not()?;
        while self.skip_name("and") {
            let right = self.not()?;
            left = self.add(Expr::And(left, right));
        }
        Ok(left)
    }

    fn not(&mut self) -> Res<ExprId> {
        let mut count = 0;
        while self.skip_name("not") {
            count += 1;
        }
        let mut value = self.compare()?;
        for _ in 0..count {
            value = self.add(Expr::Not(value));
        }
        Ok(value)
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let comparison = match self.kind() {
            Kind::Operator("==") => Comparison::Eq,
            Kind::Operator("!=") => Comparison::Ne,
            Kind::Operator("<") => Comparison::Lt,
            Kind::Operator("<=") => Comparison::Le,
            Kind::Operator(">") => Comparison::Gt,
            Kind::Operator(">=") => Comparison::Ge,
            Kind::Name(name) if name == "in" => Comparison::In,
            Kind::Name(name) if name == "not" && matches!(self.peek(), Kind::Name(name) if name == "in") => {
                self.next();
                Comparison::NotIn
            }
            _ => return None,
        };
        self.next();
        Some(comparison)
    }

    fn compare(&mut self) -> Res<ExprId> {
        let first = self.sum()?;
        let mut others = Vec::new();
        while let Some(comparison) = self.comparison() {
            others.push((comparison, self.sum()?));
        }
        Ok(if others.is_empty() { first } else { self.add(Expr::Compare(first, others)) })
    }

    /// Operands by `operand`, joined from the left by the operators of `operators`.
    fn chain(&mut self, operators: &[(&str, Binary)], operand: fn(&mut Self) -> Res<ExprId>) -> Res<ExprId> {
        let mut left = operand(self)?;
        while let Some((text, binary)) = operators.iter().find(|(text, _)| self.is_operator(text)) {
            self.expect_operator(text)?;
            let right = operand(self)?;
            left = self.add(Expr::Binary(*binary, left, right));
        }
        Ok(left)
    }

    fn sum(&mut self) -> Res<ExprId> {
        self.chain(&[("+", Binary::Add), ("-", Binary::Sub)], Self::concat)
    }

    fn concat(&mut self) -> Res<ExprId> {
        let first = self.product()?;
        let mut parts = vec![first];
        while self.skip_operator("~") {
            parts.push(self.product()?);
        }
        Ok(if parts.len() == 1 { first } else { self.add(Expr::Concat(parts)) })
    }

    fn product(&mut self) -> Res<ExprId> {
        let operators =
            [("*", Binary::Mul), ("/", Binary::Div), ("//", Binary::FloorDiv), ("%", Binary::Mod)];
        self.chain(&operators, Self::power)
    }

    fn power(&mut self) -> Res<ExprId> {
        self.chain(&[("**", Binary::Pow)], |parser| parser.unary(true))
    }

    fn unary(&mut self, with_filters: bool) -> Res<ExprId> {
        let negative = self.is_operator("-");
        let value = if negative || self.is_operator("+") {
            self.next();
            self.enter()?;
            let value = self.unary(false)?;
            self.depth -= 1;
            self.add(if negative { Expr::Negative(value) } else { Expr::Positive(value) })
        } else {
            self.primary()?
        };
        let value = self.postfix(value)?;
        if with_filters { self.filters_and_tests(value) } else { Ok(value) }
    }

    fn enter(&mut self) -> Res<()> {
        self.depth += 1;
        if self.depth > DEEPEST_BRACKETS {
            return self.fail(&format!("more than {DEEPEST_BRACKETS} brackets inside each other"));
        }
        Ok(())
    }

    fn primary(&mut self) -> Res<ExprId> {
        match self.kind() {
            Kind::Name(_) | Kind::Text(_) | Kind::Integer(_) | Kind::Float(_) => {}
            Kind::Operator("(" | "[" | "{") => {
                self.enter()?;
                let value = self.bracketed()?;
                self.depth -= 1;
                return Ok(value);
            }
            other => return self.fail(&format!("unexpected {}", described(other))),
        }
        Ok(match self.next() {
            Kind::Name(name) => match name.as_str() {
                "true" | "True" => self.constant(Constant::Bool(true)),
                "false" | "False" => self.constant(Constant::Bool(false)),
                "none" | "None" => self.constant(Constant::None),
                _ => {
                    let name = self.name_of(&name);
                    self.add(Expr::Name(name))
                }
            },
            Kind::Text(mut text) => {
                while let Kind::Text(more) = self.kind() {
                    text.push_str(more);
                    self.next();
                }
                self.constant(Constant::Text(text))
            }
            Kind::Integer(digits) => self.constant(Constant::Integer(digits)),
            Kind::Float(number) => self.constant(Constant::Float(number)),
            _ => return self.fail("unexpected token"),
        })
    }

    fn bracketed(&mut self) -> Res<ExprId> {
        match self.next() {
            Kind::Operator("(") => {
                if self.skip_operator(")") {
                    return Ok(self.add(Expr::Tuple(Vec::new())));
                }
                let value = self.tuple(true, &[])?;
                self.expect_operator(")")?;
                Ok(value)
            }
            Kind::Operator("[") => {
                let items = self.list_until("]", Self::expression)?;
                Ok(self.add(Expr::List(items)))
            }
            _ => {
                let pairs = self.list_until("}", |parser| {
                    let key = parser.expression()?;
                    parser.expect_operator(":")?;
                    Ok((key, parser.expression()?))
                })?;
                Ok(self.add(Expr::Dict(pairs)))
            }
        }
    }

    fn list_until<T>(&mut self, end: &str, item: fn(&mut Self) -> Res<T>) -> Res<Vec<T>> {
        let mut items = Vec::new();
        while !self.is_operator(end) {
            if !items.is_empty() {
                self.expect_operator(",")?;
                if self.is_operator(end) {
                    break;
                }
            }
            items.push(item(self)?);
        }
        self.expect_operator(end)?;
        Ok(items)
    }

    fn postfix(&mut self, mut value: ExprId) -> Res<ExprId> {
        loop {
            if self.skip_operator(".") {
                value = match self.next() {
                    Kind::Name(name) => {
                        let name = self.name_of(&name);
                        self.add(Expr::Attribute(value, name))
                    }
                    Kind::Integer(digits) => {
                        let place = self.constant(Constant::Integer(digits));
                        self.add(Expr::Item(value, place))
                    }
                    other => return self.fail(&format!("expected a name or number, found {}", described(&other))),
                };
            } else if self.skip_operator("[") {
                self.enter()?;
                let items = self.list_until("]", Self::subscript)?;
                self.depth -= 1;
                let item = if let [only] = items[..] { only } else { self.add(Expr::Tuple(items)) };
                value = self.add(Expr::Item(value, item));
            } else if self.is_operator("(") {
                value = self.call(value)?;
            } else {
                return Ok(value);
            }
        }
    }

    fn subscript(&mut self) -> Res<ExprId> {
        let mut parts = [None; 3];
        if !self.is_operator(":") {
            let value = self.expression()?;
            if !self.is_operator(":") {
                return Ok(value);
            }
            parts[0] = Some(value);
        }
        for part in &mut parts[1..] {
            if !self.skip_operator(":") {
                break;
            }
            if !(self.is_operator(":") || self.is_operator("]") || self.is_operator(",")) {
                *part = Some(self.expression()?);
            }
        }
        Ok(self.add(Expr::Slice(parts)))
    }

    fn call(&mut self, value: ExprId) -> Res<ExprId> {
        let arguments = Box::new(self.arguments()?);
        Ok(self.add(Expr::Call(value, arguments)))
    }

    fn arguments(&mut self) -> Res<CallArguments> {
        let mut arguments = CallArguments::default();
        self.expect_operator("(")?;
        self.enter()?;
        let mut first = true;
        while !self.is_operator(")") {
            if !first {
                self.expect_operator(",")?;
                if self.is_operator(")") {
                    break;
                }
            }
            first = false;
            self.argument(&mut arguments)?;
        }
        self.expect_operator(")")?;
        self.depth -= 1;
        Ok(arguments)
    }

    fn argument(&mut self, arguments: &mut CallArguments) -> Res<()> {
        let has_rest = arguments.rest.is_some() || arguments.named_rest.is_some();
        let is_named = matches!(self.kind(), Kind::Name(_)) && matches!(self.peek(), Kind::Operator("="));
        let fits = if self.is_operator("**") || is_named {
            arguments.named_rest.is_none()
        } else {
            !has_rest && (self.is_operator("*") || arguments.named.is_empty())
        };
        if !fits {
            return self.fail("the arguments are in an order that no call has");
        }
        if self.skip_operator("*") {
            arguments.rest = Some(self.expression()?);
        } else if self.skip_operator("**") {
            arguments.named_rest = Some(self.expression()?);
        } else if is_named {
            let name = self.expect_name()?;
            self.expect_operator("=")?;
            let name = self.name_of(&name);
            arguments.named.push((name, self.expression()?));
        } else {
            arguments.positional.push(self.expression()?);
        }
        Ok(())
    }

    fn filters_and_tests(&mut self, mut value: ExprId) -> Res<ExprId> {
        loop {
            if self.skip_operator("|") {
                value = self.filter(Some(value))?;
            } else if self.skip_name("is") {
                value = self.test(value)?;
            } else if self.is_operator("(") {
                value = self.call(value)?;
            } else {
                return Ok(value);
            }
        }
    }

    fn dotted_name(&mut self) -> Res<Name> {
        let mut name = self.expect_name()?;
        while self.skip_operator(".") {
            name = format!("{name}.{}", self.expect_name()?);
        }
        Ok(self.name_of(&name))
    }

    /// Behind its "|".
    pub(super) fn filter(&mut self, value: Option<ExprId>) -> Res<ExprId> {
        let name = self.dotted_name()?;
        let arguments = if self.is_operator("(") { self.arguments()? } else { CallArguments::default() };
        Ok(self.add(Expr::Filter(value, name, Box::new(arguments))))
    }

    pub(super) fn filters(&mut self, mut value: ExprId) -> Res<ExprId> {
        while self.skip_operator("|") {
            value = self.filter(Some(value))?;
        }
        Ok(value)
    }

    /// Behind its "is".
    fn test(&mut self, value: ExprId) -> Res<ExprId> {
        let negated = self.skip_name("not");
        let name = self.dotted_name()?;
        let mut arguments = CallArguments::default();
        let has_argument = match self.kind() {
            Kind::Operator(operator) => matches!(*operator, "[" | "{"),
            Kind::Name(name) => !matches!(name.as_str(), "else" | "or" | "and"),
            Kind::Text(_) | Kind::Integer(_) | Kind::Float(_) => true,
            _ => false,
        };
        if self.is_operator("(") {
            arguments = self.arguments()?;
        } else if has_argument {
            if self.is_name("is") {
                return self.fail("tests cannot be chained with \"is\"");
            }
            let argument = self.primary()?;
            arguments.positional.push(self.postfix(argument)?);
        }
        let test = self.add(Expr::Test(value, name, Box::new(arguments)));
        Ok(if negated { self.add(Expr::Not(test)) } else { test })
    }
}
