//! Renders a template: statements. Expressions are in evaluation.rs, calls in calls.rs.

use super::arguments::Arguments;
use super::budget::Budget;
use super::fault::{fault, Fault, Res};
use super::objects::{Loop, Macro, Object, Scope, FUNCTIONS};
use super::runtime::Runtime;
use super::syntax::*;
use super::text::html_escaped;
use super::value::{Dict, Key, Value};
use crate::python_time::Now;
use num_bigint::BigInt;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What follows a statement.
#[derive(Clone, Copy, PartialEq)]
pub enum Flow {
    On,
    Break,
    Continue,
}

pub struct Interpreter<'t> {
    pub(super) template: &'t Template,
    pub(super) constants: Vec<Value>,
    pub(super) names: Vec<Rc<str>>,
    /// Variables and functions by `Name`.
    pub(super) globals: Vec<Option<Value>>,
    pub(super) runtime: Runtime,
    pub(super) now: Now,
    pub(super) root: Rc<Scope>,
    pub(super) line: Cell<u32>,
    pub(super) call_depth: Cell<usize>,
    pub(super) auto_escape: Cell<bool>,
    /// What may hold itself, and is emptied at the end.
    pub(super) namespaces: RefCell<Vec<Rc<Object>>>,
    pub(super) macro_scopes: RefCell<Vec<Rc<Scope>>>,
}

impl Drop for Interpreter<'_> {
    fn drop(&mut self) {
        for namespace in self.namespaces.take() {
            if let Object::Namespace(fields) = &*namespace {
                fields.take();
            }
        }
        for scope in self.macro_scopes.take() {
            scope.values.take();
        }
        self.root.values.take();
    }
}

/// The text that a template makes of `variables`.
pub fn render(template: &Template, variables: &Dict, now: Now, fuel: u64) -> Result<String, Box<Fault>> {
    let constants = template.constants.iter().map(|constant| match constant {
        Constant::None => Value::None,
        Constant::Bool(flag) => Value::Bool(*flag),
        Constant::Integer(digits) => digits.parse::<BigInt>().unwrap_or_default().into(),
        Constant::Float(number) => Value::Float(*number),
        Constant::Text(text) => Value::text(text.as_str()),
    });
    let global = |name: &String| {
        let function = || FUNCTIONS.iter().find(|(own, _)| own == name).map(|(_, function)| *function);
        let own = variables.get(name.as_str()).cloned();
        own.or_else(|| function().map(|function| Value::Object(Rc::new(Object::Function(function)))))
    };
    let interpreter = Interpreter {
        template,
        constants: constants.collect(),
        names: template.names.iter().map(|name| Rc::from(name.as_str())).collect(),
        globals: template.names.iter().map(global).collect(),
        runtime: Runtime { budget: Budget::new(fuel) },
        now,
        root: Rc::new(Scope { values: RefCell::default(), outer: None }),
        line: Cell::new(0),
        call_depth: Cell::new(0),
        auto_escape: Cell::new(false),
        namespaces: RefCell::default(),
        macro_scopes: RefCell::default(),
    };
    let mut text = String::new();
    let root = interpreter.root.clone();
    interpreter.statements(&template.body, &root, &mut text)?;
    Ok(text)
}

impl Interpreter<'_> {
    pub(super) fn budget(&self) -> &Budget {
        &self.runtime.budget
    }

    pub(super) fn statements(&self, body: &[Statement], scope: &Rc<Scope>, out: &mut String) -> Res<Flow> {
        for statement in body {
            self.line.set(statement.line);
            let flow = self.budget().spend(1).and_then(|()| self.statement(&statement.kind, scope, out));
            let flow = flow.map_err(|mut fault| {
                if fault.line == 0 {
                    fault.line = statement.line;
                }
                fault
            })?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn statement(&self, kind: &StatementKind, scope: &Rc<Scope>, out: &mut String) -> Res<Flow> {
        match kind {
            StatementKind::Data(text) => {
                self.budget().spend_bytes(text.len())?;
                out.push_str(text);
            }
            StatementKind::Output(value) => {
                let value = self.evaluate(*value, scope)?;
                self.write(&value, out)?;
            }
            StatementKind::For(place) => self.for_loop(*place, scope, out)?,
            StatementKind::If { branches, otherwise } => {
                for (test, body) in branches {
                    if self.evaluate(*test, scope)?.is_true() {
                        return self.statements(body, scope, out);
                    }
                }
                return self.statements(otherwise, scope, out);
            }
            StatementKind::Set(target, value) => {
                let value = self.evaluate(*value, scope)?;
                self.assign(target, value, scope)?;
            }
            StatementKind::SetBlock { target, filter, body } => {
                let text = self.text_of(body, scope)?;
                let value = filter.map_or(Ok(text.clone()), |filter| self.filtered(filter, Some(text), scope))?;
                self.assign(target, value, scope)?;
            }
            StatementKind::With { values, body } => {
                let inner = Scope::inside(scope);
                for (target, value) in values {
                    let value = self.evaluate(*value, scope)?;
                    self.assign(target, value, &inner)?;
                }
                return self.statements(body, &inner, out);
            }
            StatementKind::Macro(place) => {
                let own = self.new_macro(*place, scope);
                self.macro_scopes.borrow_mut().push(scope.clone());
                scope.set(self.template.macros[*place as usize].name, own);
            }
            StatementKind::CallBlock { call, body } => {
                let caller = self.new_macro(*body, scope);
                let value = self.call_with(*call, Some(caller), scope)?;
                self.write(&value, out)?;
            }
            StatementKind::FilterBlock { filter, body } => {
                let text = self.text_of(body, scope)?;
                let value = self.filtered(*filter, Some(text), scope)?;
                self.write(&value, out)?;
            }
            StatementKind::Scope(body) => return self.statements(body, &Scope::inside(scope), out),
            StatementKind::AutoEscape(value, body) => {
                let before = self.auto_escape.replace(self.evaluate(*value, scope)?.is_true());
                let flow = self.statements(body, &Scope::inside(scope), out);
                self.auto_escape.set(before);
                return flow;
            }
            StatementKind::Block { scoped, body } => {
                return self.statements(body, &Scope::inside(if *scoped { scope } else { &self.root }), out);
            }
            StatementKind::Break => return Ok(Flow::Break),
            StatementKind::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn write(&self, value: &Value, out: &mut String) -> Res<()> {
        if self.auto_escape.get() && !matches!(value, Value::Markup(_)) {
            let text = value.to_text(self.budget())?;
            self.budget().spend_bytes(6 * text.len())?;
            out.push_str(&html_escaped(&text));
            return Ok(());
        }
        value.push_text(out, self.budget())
    }

    /// As the value of a macro or a block.
    pub(super) fn own_text(&self, text: String) -> Value {
        if self.auto_escape.get() { Value::Markup(text.into()) } else { Value::text(text) }
    }

    fn text_of(&self, body: &[Statement], scope: &Rc<Scope>) -> Res<Value> {
        let mut text = String::new();
        self.statements(body, &Scope::inside(scope), &mut text)?;
        Ok(self.own_text(text))
    }

    fn assign(&self, target: &Target, value: Value, scope: &Rc<Scope>) -> Res<()> {
        match target {
            Target::Name(name) => scope.set(*name, value),
            Target::NamespaceField(name, field) => {
                let Value::Object(object) = self.named(*name, scope) else {
                    return fault("cannot assign attribute on non-namespace object");
                };
                let Object::Namespace(fields) = &*object else {
                    return fault("cannot assign attribute on non-namespace object");
                };
                let field = &self.names[*field as usize];
                if field.starts_with("__") {
                    return fault(format!("access to attribute '{field}' of a namespace is unsafe."));
                }
                fields.borrow_mut().insert(Key::text(field.clone()), value);
            }
            Target::Tuple(targets) => {
                let items = value.items(self.budget())?;
                if items.len() != targets.len() {
                    let few = if items.len() < targets.len() { "not enough" } else { "too many" };
                    return fault(format!("{few} values to unpack (expected {}, got {})", targets.len(), items.len()));
                }
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item, scope)?;
                }
            }
        }
        Ok(())
    }

    fn for_loop(&self, place: u32, scope: &Rc<Scope>, out: &mut String) -> Res<()> {
        let iterated = self.evaluate(self.template.loops[place as usize].iterated, scope)?;
        self.loop_over(place, iterated, 0, scope, out)
    }

    /// `depth`: how often the loop calls itself around this one.
    pub(super) fn loop_over(
        &self,
        place: u32,
        iterated: Value,
        depth: usize,
        scope: &Rc<Scope>,
        out: &mut String,
    ) -> Res<()> {
        let statement = &self.template.loops[place as usize];
        let mut items = iterated.items(self.budget())?;
        if let Some(test) = statement.test {
            let mut kept = Vec::new();
            for item in items {
                let inner = Scope::inside(scope);
                self.assign(&statement.target, item.clone(), &inner)?;
                if self.evaluate(test, &inner)?.is_true() {
                    kept.push(item);
                }
            }
            items = kept;
        }
        if items.is_empty() {
            self.statements(&statement.otherwise, &Scope::inside(scope), out)?;
            return Ok(());
        }
        let own = Rc::new(Object::Loop(Loop {
            statement: place,
            scope: scope.clone(),
            items,
            at: Cell::new(0),
            depth,
            changed: RefCell::default(),
        }));
        let Object::Loop(state) = &*own else { return Ok(()) };
        for (at, item) in state.items.iter().enumerate() {
            self.budget().spend(1)?;
            state.at.set(at);
            let inner = Scope::inside(scope);
            inner.set(LOOP, Value::Object(own.clone()));
            self.assign(&statement.target, item.clone(), &inner)?;
            if self.statements(&statement.body, &inner, out)? == Flow::Break {
                break;
            }
        }
        Ok(())
    }

    fn new_macro(&self, place: u32, scope: &Rc<Scope>) -> Value {
        let definition = &self.template.macros[place as usize];
        Value::Object(Rc::new(Object::Macro(Macro {
            definition: place,
            name: self.names[definition.name as usize].clone(),
            parameters: definition.parameters.iter().map(|name| self.names[*name as usize].clone()).collect(),
            catches: [
                ("catch_varargs", definition.uses_varargs),
                ("catch_kwargs", definition.uses_kwargs),
                ("caller", definition.uses_caller),
            ],
            scope: scope.clone(),
        })))
    }

    /// The text of a macro's body.
    pub(super) fn call_macro(&self, own: &Macro, mut arguments: Arguments) -> Res<Value> {
        let definition = &self.template.macros[own.definition as usize];
        let scope = Scope::inside(&own.scope);
        let count = definition.parameters.len();
        let has_caller = definition.parameters.contains(&CALLER);
        let extra = arguments.list.split_off(arguments.list.len().min(count));
        let mut given = arguments.list.into_iter();
        let first_default = count - definition.defaults.len();
        for (place, name) in definition.parameters.iter().enumerate() {
            let text = &self.names[*name as usize];
            let named = |named: &mut Vec<(Rc<str>, Value)>| {
                let place = named.iter().position(|(own, _)| own == text)?;
                Some(named.remove(place).1)
            };
            let value = match given.next().or_else(|| named(&mut arguments.named)) {
                Some(value) => value,
                None if place >= first_default => self.evaluate(definition.defaults[place - first_default], &scope)?,
                None => Value::undefined(format!("parameter '{text}' was not provided")),
            };
            scope.set(*name, value);
        }
        if definition.uses_caller && !has_caller {
            let place = arguments.named.iter().position(|(name, _)| &**name == OWN_NAMES[CALLER as usize]);
            let caller = place.map(|place| arguments.named.remove(place).1);
            scope.set(CALLER, caller.unwrap_or_else(|| Value::undefined("No caller defined")));
        }
        if definition.uses_kwargs {
            let named = arguments.named.into_iter().map(|(name, value)| (Key::text(name), value));
            scope.set(KWARGS, Value::Dict(Rc::new(named.collect())));
        } else if let Some((name, _)) = arguments.named.first() {
            return fault(format!("macro '{}' takes no keyword argument '{name}'", own.name));
        }
        if definition.uses_varargs {
            scope.set(VARARGS, Value::tuple(extra));
        } else if !extra.is_empty() {
            return fault(format!("macro '{}' takes not more than {count} argument(s)", own.name));
        }
        let mut text = String::new();
        self.deeper(|| self.statements(&definition.body, &scope, &mut text))?;
        Ok(self.own_text(text))
    }
}
