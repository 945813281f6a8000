//! The functions of the environment, as transformers sets it up.

use super::arguments::{integer, text, Arguments};
use super::budget::Budget;
use super::container_methods::new_dict;
use super::fault::{fault, Res};
use super::objects::{Function, Object};
use super::value::{Range, Value};
use crate::python_time::Now;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The sandbox has no longer range.
const LONGEST_RANGE: i128 = 100_000;

pub fn call(function: Function, arguments: Arguments, now: Now, budget: &Budget) -> Res<Value> {
    Ok(match function {
        Function::Range => range(arguments)?,
        Function::Dict => Value::Dict(Rc::new(new_dict(arguments, budget)?)),
        Function::Namespace => Value::Object(Rc::new(Object::Namespace(RefCell::new(new_dict(arguments, budget)?)))),
        Function::Cycler if arguments.list.is_empty() => return fault("at least one item has to be provided"),
        Function::Cycler => Value::Object(Rc::new(Object::Cycler { items: arguments.list, at: Cell::new(0) })),
        Function::Joiner => {
            let [separator] = arguments.bind("joiner", ["sep"], 0)?;
            let separator = separator.unwrap_or_else(|| Value::text(", "));
            Value::Object(Rc::new(Object::Joiner { separator, used: Cell::new(false) }))
        }
        Function::RaiseException => {
            let [message] = arguments.bind("raise_exception", ["message"], 1)?;
            return fault(&*message.unwrap_or(Value::None).to_text(budget)?);
        }
        Function::StrftimeNow => {
            let [format] = arguments.bind("strftime_now", ["format"], 1)?;
            let format = format.unwrap_or(Value::None);
            Value::text(now.format(text(&format, "strftime")?).or_else(|what| fault(what))?)
        }
        Function::Lipsum => return fault("lipsum() is text by chance, which no chat template needs"),
    })
}

fn range(arguments: Arguments) -> Res<Value> {
    let [first, second, step] = arguments.bind("range", ["", "", ""], 1)?;
    let bounds = |value: &Option<Value>| value.as_ref().map(integer).transpose();
    let (first, second, step) = (bounds(&first)?.unwrap_or_default(), bounds(&second)?, bounds(&step)?.unwrap_or(1));
    let (start, stop) = second.map_or((0, first), |stop| (first, stop));
    if step == 0 {
        return fault("range() arg 3 must not be zero");
    }
    let distance = i128::from(stop) - i128::from(start);
    let step_wide = i128::from(step);
    let length = if (distance > 0) == (step > 0) { (distance + step_wide - step_wide.signum()) / step_wide } else { 0 };
    if length > LONGEST_RANGE {
        return fault(format!("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({LONGEST_RANGE})."));
    }
    Ok(Value::Range(Rc::new(Range { start, step, stop, length: length.max(0) as usize })))
}
