//! Calls of functions, methods, macros and filters.

use super::arguments::Arguments;
use super::fault::{fault, Res};
use super::interpreter::Interpreter;
use super::objects::{Function, Object, Scope};
use super::syntax::*;
use super::value::Value;
use super::{container_methods, functions, text_methods};
use std::rc::Rc;

/// Macros that call each other; Python goes about half as deep.
const DEEPEST_CALLS: usize = 500;

impl Interpreter<'_> {
    /// Of a template's call; `caller` is the body of a call block.
    #[inline(never)]
    pub(super) fn call_with(&self, id: ExprId, caller: Option<Value>, scope: &Rc<Scope>) -> Res<Value> {
        let Expr::Call(callee, arguments) = &self.template.expressions[id as usize] else { return fault("expected a call") };
        let callee = self.evaluate(*callee, scope)?;
        let mut arguments = self.arguments(arguments, scope)?;
        if let Some(caller) = caller {
            arguments.named.push((OWN_NAMES[CALLER as usize].into(), caller));
        }
        self.call(&callee, arguments)
    }

    #[inline(never)]
    fn call(&self, callee: &Value, arguments: Arguments) -> Res<Value> {
        let object = match callee {
            Value::Object(object) => object,
            Value::Undefined(what) => return fault(&**what),
            other => return fault(format!("'{}' object is not callable", other.type_name())),
        };
        match &**object {
            Object::Method(own, name) => match own {
                Value::Text(_) | Value::Markup(_) => text_methods::call(own, name, arguments, self.budget()),
                Value::Object(object) => object.call_method(name, arguments.list, self.budget()),
                other => container_methods::call(other, name, arguments, self.budget()),
            },
            Object::Function(function) => {
                let value = functions::call(*function, arguments, self.now, self.budget())?;
                if let (Function::Namespace, Value::Object(object)) = (function, &value) {
                    self.namespaces.borrow_mut().push(object.clone());
                }
                Ok(value)
            }
            Object::Macro(own) => self.call_macro(own, arguments),
            Object::Joiner { separator, used } => {
                arguments.none("joiner")?;
                Ok(if used.replace(true) { separator.clone() } else { Value::text("") })
            }
            Object::Loop(own) => {
                if !self.template.loops[own.statement as usize].recursive {
                    return fault("The loop must have the 'recursive' marker to be called recursively.");
                }
                let [items] = arguments.bind("loop", ["iterable"], 1)?;
                let mut text = String::new();
                let items = items.unwrap_or(Value::None);
                self.deeper(|| self.loop_over(own.statement, items, own.depth + 1, &own.scope, &mut text))?;
                Ok(self.own_text(text))
            }
            other => fault(format!("'{}' object is not callable", other.type_name())),
        }
    }

    /// One call deeper than now.
    pub(super) fn deeper<T>(&self, work: impl FnOnce() -> Res<T>) -> Res<T> {
        let depth = self.call_depth.get();
        if depth >= DEEPEST_CALLS {
            return fault(format!("calls inside calls more than {DEEPEST_CALLS} deep"));
        }
        self.call_depth.set(depth + 1);
        let result = work();
        self.call_depth.set(depth);
        result
    }

    #[inline(never)]
    pub(super) fn arguments(&self, arguments: &CallArguments, scope: &Rc<Scope>) -> Res<Arguments> {
        let mut evaluated = Arguments::default();
        for id in &arguments.positional {
            evaluated.list.push(self.evaluate(*id, scope)?);
        }
        for (name, id) in &arguments.named {
            evaluated.named.push((self.names[*name as usize].clone(), self.evaluate(*id, scope)?));
        }
        if let Some(id) = arguments.rest {
            evaluated.list.extend(self.evaluate(id, scope)?.items(self.budget())?);
        }
        if let Some(id) = arguments.named_rest {
            let Value::Dict(dict) = self.evaluate(id, scope)? else { return fault("argument after ** must be a mapping") };
            self.budget().spend_items(dict.len())?;
            for (key, value) in dict.iter() {
                let Some(name) = key.value().as_str() else { return fault("keywords must be strings") };
                if evaluated.named.iter().any(|(own, _)| **own == *name) {
                    return fault(format!("got multiple values for keyword argument '{name}'"));
                }
                evaluated.named.push((name.into(), value.clone()));
            }
        }
        Ok(evaluated)
    }

    /// `value` in place of the one that the first filter of a block has not.
    #[inline(never)]
    pub(super) fn filtered(&self, id: ExprId, value: Option<Value>, scope: &Rc<Scope>) -> Res<Value> {
        let Expr::Filter(inner, name, arguments) = &self.template.expressions[id as usize] else {
            return self.evaluate(id, scope);
        };
        let input = match (inner, value) {
            (None, Some(value)) => value,
            (Some(inner), Some(value)) => self.filtered(*inner, Some(value), scope)?,
            (Some(inner), None) => self.evaluate(*inner, scope)?,
            (None, None) => return fault("a filter without a value"),
        };
        let arguments = self.arguments(arguments, scope)?;
        self.runtime.filter(&self.names[*name as usize], input, arguments)
    }
}
