//! Python's `pprint.pformat`, for lines of 80 characters.

use super::arguments::Arguments;
use super::budget::Budget;
use super::comparison::sorted;
use super::fault::Res;
use super::runtime::Runtime;
use super::text::char_len;
use super::value::{Dict, Value};

const WIDTH: usize = 80;

/// The `pprint` filter.
pub fn pretty_print(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    arguments.none("pprint")?;
    let mut text = String::new();
    Printer { budget: &runtime.budget }.print(&value, 0, 0, &mut text)?;
    Ok(Value::text(text))
}

struct Printer<'a> {
    budget: &'a Budget,
}

impl Printer<'_> {
    /// `allowance`: characters that follow on the last line.
    fn print(&self, value: &Value, indent: usize, allowance: usize, into: &mut String) -> Res<()> {
        let text = self.line(value)?;
        let fits = char_len(&text) <= WIDTH.saturating_sub(indent + allowance);
        match value {
            Value::Dict(dict) if !fits => self.dict(dict, indent, allowance, into),
            Value::List(items) if !fits => self.list(items, ("[", "]"), indent, allowance, into),
            Value::Tuple(items) if !fits => {
                let end = if items.len() == 1 { ",)" } else { ")" };
                self.list(items, ("(", end), indent, allowance, into)
            }
            _ => {
                into.push_str(&text);
                Ok(())
            }
        }
    }

    /// As `repr`, with dictionaries in the order of their keys.
    fn line(&self, value: &Value) -> Res<String> {
        let mut text = String::new();
        match value {
            Value::Dict(dict) => {
                let parts: Res<Vec<String>> = self
                    .in_order(dict)?
                    .iter()
                    .map(|(key, value)| Ok(format!("{}: {}", self.line(key)?, self.line(value)?)))
                    .collect();
                text = format!("{{{}}}", parts?.join(", "));
            }
            Value::List(items) | Value::Tuple(items) => {
                let parts: Res<Vec<String>> = items.iter().map(|item| self.line(item)).collect();
                let (begin, end) = match value {
                    Value::List(_) => ("[", "]"),
                    _ if items.len() == 1 => ("(", ",)"),
                    _ => ("(", ")"),
                };
                text = format!("{begin}{}{end}", parts?.join(", "));
            }
            other => other.push_repr(&mut text, self.budget)?,
        }
        self.budget.spend_bytes(64 + text.len())?;
        Ok(text)
    }

    fn in_order(&self, dict: &Dict) -> Res<Vec<(Value, Value)>> {
        let pairs: Vec<(Value, Value)> = dict.iter().map(|(key, value)| (key.value().clone(), value.clone())).collect();
        sorted(pairs.clone(), false, self.budget).or(Ok(pairs))
    }

    fn dict(&self, dict: &Dict, indent: usize, allowance: usize, into: &mut String) -> Res<()> {
        into.push('{');
        let pairs = self.in_order(dict)?;
        for (place, (key, value)) in pairs.iter().enumerate() {
            self.separate(place, indent + 1, into)?;
            let key = self.line(key)?;
            let last = place + 1 == pairs.len();
            into.push_str(&key);
            into.push_str(": ");
            self.print(value, indent + char_len(&key) + 3, if last { allowance + 1 } else { 1 }, into)?;
        }
        into.push('}');
        Ok(())
    }

    fn list(
        &self,
        items: &[Value],
        (begin, end): (&str, &str),
        indent: usize,
        allowance: usize,
        into: &mut String,
    ) -> Res<()> {
        into.push_str(begin);
        for (place, item) in items.iter().enumerate() {
            self.separate(place, indent + 1, into)?;
            let last = place + 1 == items.len();
            self.print(item, indent + 1, if last { allowance + end.len() } else { 1 }, into)?;
        }
        into.push_str(end);
        Ok(())
    }

    fn separate(&self, place: usize, indent: usize, into: &mut String) -> Res<()> {
        if place > 0 {
            self.budget.spend_bytes(64 + indent)?;
            into.push_str(",\n");
            into.push_str(&" ".repeat(indent));
        }
        Ok(())
    }
}
