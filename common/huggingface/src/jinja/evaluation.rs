//! Values of expressions.

use super::arithmetic::{binary, negative, positive};
use super::attributes::{attribute, item, slice};
use super::comparison::{are_equal, compared, contains};
use super::fault::{fault, Res};
use super::interpreter::Interpreter;
use super::objects::Scope;
use super::syntax::*;
use super::value::{Dict, Key, Value};
use std::cmp::Ordering;
use std::rc::Rc;

impl Interpreter<'_> {
    pub(super) fn evaluate(&self, id: ExprId, scope: &Rc<Scope>) -> Res<Value> {
        self.budget().spend(1)?;
        match &self.template.expressions[id as usize] {
            Expr::Constant(place) => Ok(self.constants[*place as usize].clone()),
            Expr::Name(name) => Ok(self.named(*name, scope)),
            Expr::Attribute(value, name) => {
                let value = self.evaluate(*value, scope)?;
                attribute(&value, &self.names[*name as usize])
            }
            Expr::Item(value, key) => self.item(*value, *key, scope),
            Expr::Call(..) => self.call_with(id, None, scope),
            Expr::Filter(..) => self.filtered(id, None, scope),
            Expr::Test(value, name, arguments) => {
                let value = self.evaluate(*value, scope)?;
                let arguments = self.arguments(arguments, scope)?;
                self.runtime.test(&self.names[*name as usize], &value, arguments).map(Value::Bool)
            }
            Expr::Not(value) => Ok(Value::Bool(!self.evaluate(*value, scope)?.is_true())),
            Expr::And(left, right) => {
                let left = self.evaluate(*left, scope)?;
                if left.is_true() { self.evaluate(*right, scope) } else { Ok(left) }
            }
            Expr::Or(left, right) => {
                let left = self.evaluate(*left, scope)?;
                if left.is_true() { Ok(left) } else { self.evaluate(*right, scope) }
            }
            Expr::Condition { test, then, otherwise } => self.condition(*test, *then, *otherwise, scope),
            Expr::Binary(operator, left, right) => self.binary(*operator, *left, *right, scope),
            Expr::Compare(first, others) => self.compare(*first, others, scope),
            other => self.built(other, scope),
        }
    }

    #[inline(never)]
    fn condition(&self, test: ExprId, then: ExprId, otherwise: Option<ExprId>, scope: &Rc<Scope>) -> Res<Value> {
        if self.evaluate(test, scope)?.is_true() {
            return self.evaluate(then, scope);
        }
        match otherwise {
            Some(otherwise) => self.evaluate(otherwise, scope),
            None => Ok(Value::undefined(format!(
                "the inline if-expression on line {} evaluated to false and no else section was defined.",
                self.line.get()
            ))),
        }
    }

    #[inline(never)]
    fn binary(&self, operator: Binary, left: ExprId, right: ExprId, scope: &Rc<Scope>) -> Res<Value> {
        let left = self.evaluate(left, scope)?;
        let right = self.evaluate(right, scope)?;
        binary(operator, &left, &right, self.budget())
    }

    #[inline(never)]
    fn item(&self, value: ExprId, key: ExprId, scope: &Rc<Scope>) -> Res<Value> {
        let value = self.evaluate(value, scope)?;
        if let Expr::Slice(parts) = &self.template.expressions[key as usize] {
            let part = |part: Option<ExprId>| part.map_or(Ok(Value::None), |part| self.evaluate(part, scope));
            return slice(&value, &[part(parts[0])?, part(parts[1])?, part(parts[2])?], self.budget());
        }
        item(&value, &self.evaluate(key, scope)?, self.budget())
    }

    /// Expressions that make a value of several.
    #[inline(never)]
    fn built(&self, expression: &Expr, scope: &Rc<Scope>) -> Res<Value> {
        let all = |ids: &[ExprId]| ids.iter().map(|id| self.evaluate(*id, scope)).collect::<Res<Vec<Value>>>();
        match expression {
            Expr::List(items) => Ok(Value::list(all(items)?)),
            Expr::Tuple(items) => Ok(Value::tuple(all(items)?)),
            Expr::Dict(pairs) => {
                let mut dict = Dict::with_capacity(pairs.len());
                for (key, value) in pairs {
                    let key = Key::new(self.evaluate(*key, scope)?, self.budget())?;
                    dict.insert(key, self.evaluate(*value, scope)?);
                }
                Ok(Value::Dict(Rc::new(dict)))
            }
            Expr::Concat(parts) => {
                let mut text = String::new();
                for part in all(parts)? {
                    part.push_text(&mut text, self.budget())?;
                }
                Ok(Value::text(text))
            }
            Expr::Negative(value) => negative(&self.evaluate(*value, scope)?),
            Expr::Positive(value) => positive(&self.evaluate(*value, scope)?),
            _ => fault("a slice stands where no value has slices"),
        }
    }

    pub(super) fn named(&self, name: Name, scope: &Scope) -> Value {
        let found = scope.get(name).or_else(|| self.globals[name as usize].clone());
        found.unwrap_or_else(|| Value::undefined(format!("'{}' is undefined", self.names[name as usize])))
    }

    #[inline(never)]
    fn compare(&self, first: ExprId, others: &[(Comparison, ExprId)], scope: &Rc<Scope>) -> Res<Value> {
        let mut left = self.evaluate(first, scope)?;
        for (comparison, right) in others {
            let right = self.evaluate(*right, scope)?;
            if !self.holds(*comparison, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    fn holds(&self, comparison: Comparison, left: &Value, right: &Value) -> Res<bool> {
        let order = |sign: &str| compared(left, right, sign, self.budget());
        Ok(match comparison {
            Comparison::Eq => are_equal(left, right, self.budget())?,
            Comparison::Ne => !are_equal(left, right, self.budget())?,
            Comparison::In => contains(right, left, self.budget())?,
            Comparison::NotIn => !contains(right, left, self.budget())?,
            Comparison::Lt => order("<")? == Some(Ordering::Less),
            Comparison::Gt => order(">")? == Some(Ordering::Greater),
            Comparison::Le => matches!(order("<=")?, Some(Ordering::Less | Ordering::Equal)),
            Comparison::Ge => matches!(order(">=")?, Some(Ordering::Greater | Ordering::Equal)),
        })
    }
}
