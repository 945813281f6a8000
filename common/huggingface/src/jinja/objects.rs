//! Values that are made by a template's own means: macros, loops, namespaces, and functions of the environment.

use super::arguments::Arguments;
use super::budget::Budget;
use super::fault::{fault, Res};
use super::syntax::Name;
use super::value::{push_dict, Dict, Value};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

pub enum Object {
    Namespace(RefCell<Dict>),
    Macro(Macro),
    /// A method of a value that is not called yet.
    Method(Value, &'static str),
    Function(Function),
    Loop(Loop),
    Cycler { items: Vec<Value>, at: Cell<usize> },
    Joiner { separator: Value, used: Cell<bool> },
}

#[derive(Clone, Copy, PartialEq)]
pub enum Function {
    Range,
    Dict,
    Lipsum,
    Cycler,
    Joiner,
    Namespace,
    RaiseException,
    StrftimeNow,
}

pub const FUNCTIONS: [(&str, Function); 8] = [
    ("range", Function::Range),
    ("dict", Function::Dict),
    ("lipsum", Function::Lipsum),
    ("cycler", Function::Cycler),
    ("joiner", Function::Joiner),
    ("namespace", Function::Namespace),
    ("raise_exception", Function::RaiseException),
    ("strftime_now", Function::StrftimeNow),
];

/// Names and their values; those that are not here are looked for outside.
pub struct Scope {
    pub values: RefCell<Vec<(Name, Value)>>,
    pub outer: Option<Rc<Scope>>,
}

impl Scope {
    pub fn inside(outer: &Rc<Scope>) -> Rc<Scope> {
        Rc::new(Scope { values: RefCell::default(), outer: Some(outer.clone()) })
    }

    pub fn set(&self, name: Name, value: Value) {
        let mut values = self.values.borrow_mut();
        match values.iter_mut().find(|(own, _)| *own == name) {
            Some((_, old)) => *old = value,
            None => values.push((name, value)),
        }
    }

    pub fn get(&self, name: Name) -> Option<Value> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some((_, value)) = here.values.borrow().iter().find(|(own, _)| *own == name) {
                return Some(value.clone());
            }
            scope = here.outer.as_deref();
        }
        None
    }
}

pub struct Macro {
    /// Place in `Template::macros`.
    pub definition: u32,
    pub name: Rc<str>,
    pub parameters: Vec<Rc<str>>,
    pub catches: [(&'static str, bool); 3],
    pub scope: Rc<Scope>,
}

pub struct Loop {
    /// Place in `Template::loops`.
    pub statement: u32,
    pub scope: Rc<Scope>,
    pub items: Vec<Value>,
    pub at: Cell<usize>,
    pub depth: usize,
    pub changed: RefCell<Option<Vec<Value>>>,
}

impl Object {
    pub fn type_name(&self) -> &'static str {
        match self {
            Object::Namespace(_) => "TemplateNamespace",
            Object::Macro(_) => "Macro",
            Object::Method(..) => "builtin_function_or_method",
            Object::Function(_) => "function",
            Object::Loop(_) => "LoopContext",
            Object::Cycler { .. } => "Cycler",
            Object::Joiner { .. } => "Joiner",
        }
    }

    pub fn is_callable(&self) -> bool {
        !matches!(self, Object::Namespace(_) | Object::Cycler { .. })
    }

    pub fn len(&self) -> Option<usize> {
        match self {
            Object::Loop(own) => Some(own.items.len()),
            _ => None,
        }
    }

    pub fn is_iterable(&self) -> bool {
        matches!(self, Object::Loop(_))
    }

    pub fn items(&self, value: &Value) -> Res<Vec<Value>> {
        fault(format!("'{}' object is not iterable", value.type_name()))
    }

    pub fn is_same_method(&self, other: &Object) -> bool {
        match (self, other) {
            (Object::Method(a, one), Object::Method(b, another)) => one == another && super::comparison::is_same(a, b),
            (Object::Function(one), Object::Function(another)) => one == another,
            _ => false,
        }
    }

    pub fn push_repr(&self, into: &mut String, budget: &Budget) -> Res<()> {
        match self {
            Object::Namespace(fields) => {
                into.push_str("<Namespace ");
                // A namespace that holds itself ends here, as Python's recursion does.
                match fields.try_borrow_mut() {
                    Ok(fields) => push_dict(into, &fields, budget)?,
                    Err(_) => return fault("a namespace that holds itself has no text"),
                }
                into.push('>');
            }
            Object::Macro(own) => into.push_str(&format!("<Macro '{}'>", own.name)),
            Object::Method(value, name) => {
                into.push_str(&format!("<built-in method {name} of {} object>", value.type_name()));
            }
            Object::Loop(own) => into.push_str(&format!("<LoopContext {}/{}>", own.at.get() + 1, own.items.len())),
            other => into.push_str(&format!("<{}>", other.type_name())),
        }
        Ok(())
    }

    /// A field; None where there is none of that name.
    pub fn attribute(&self, name: &str) -> Option<Value> {
        match self {
            Object::Namespace(fields) => fields.borrow().get(name).cloned(),
            Object::Macro(own) => match name {
                "name" => Some(Value::Text(own.name.clone())),
                "arguments" => Some(Value::tuple(own.parameters.iter().map(|name| Value::Text(name.clone())).collect())),
                _ => own.catches.iter().find(|(own, _)| *own == name).map(|(_, caught)| Value::Bool(*caught)),
            },
            Object::Loop(own) => own.attribute(name),
            Object::Cycler { items, at } if name == "current" => Some(items[at.get()].clone()),
            _ => None,
        }
    }

    pub fn method(&self, name: &str) -> Option<&'static str> {
        let methods: &[&'static str] = match self {
            Object::Loop(_) => &["cycle", "changed"],
            Object::Cycler { .. } => &["next", "reset"],
            Object::Function(Function::Dict) => &["fromkeys"],
            _ => &[],
        };
        methods.iter().find(|own| **own == name).copied()
    }

    pub fn call_method(&self, name: &str, arguments: Vec<Value>, budget: &Budget) -> Res<Value> {
        match (self, name) {
            (Object::Loop(own), "cycle") if !arguments.is_empty() => Ok(arguments[own.at.get() % arguments.len()].clone()),
            (Object::Loop(_), "cycle") => fault("no items for cycling given"),
            (Object::Loop(own), _) => {
                let mut last = own.changed.borrow_mut();
                let now = Value::list(arguments);
                let before = last.take().map(Value::list);
                let changed = match &before {
                    Some(before) => !super::comparison::are_equal(before, &now, budget)?,
                    None => true,
                };
                *last = Some(now.items(budget)?);
                Ok(Value::Bool(changed))
            }
            (Object::Cycler { items, at }, "next") => {
                let item = items[at.get()].clone();
                at.set((at.get() + 1) % items.len());
                Ok(item)
            }
            (Object::Function(_), "fromkeys") => {
                super::container_methods::from_keys(Arguments { list: arguments, named: Vec::new() }, budget)
            }
            (Object::Cycler { at, .. }, _) => {
                at.set(0);
                Ok(Value::None)
            }
            _ => fault(format!("'{}' object has no method '{name}'", self.type_name())),
        }
    }
}

impl Loop {
    fn attribute(&self, name: &str) -> Option<Value> {
        let (at, length) = (self.at.get(), self.items.len());
        Some(match name {
            "index" => Value::int(at + 1),
            "index0" => Value::int(at),
            "revindex" => Value::int(length - at),
            "revindex0" => Value::int(length - at - 1),
            "first" => Value::Bool(at == 0),
            "last" => Value::Bool(at + 1 == length),
            "length" => Value::int(length),
            "depth" => Value::int(self.depth + 1),
            "depth0" => Value::int(self.depth),
            "previtem" if at == 0 => Value::undefined("there is no previous item"),
            "previtem" => self.items[at - 1].clone(),
            "nextitem" => match self.items.get(at + 1) {
                Some(item) => item.clone(),
                None => Value::undefined("there is no next item"),
            },
            _ => return None,
        })
    }
}
