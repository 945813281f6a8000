//! Python's methods of lists, tuples, ranges, dictionaries and numbers.

use super::arguments::{given, integer, Arguments};
use super::attributes::bounds;
use super::budget::Budget;
use super::comparison::are_equal;
use super::fault::{fault, Res};
use super::value::{Dict, Key, Value, View};
use num_bigint::BigInt;
use num_traits::{FromPrimitive, Signed};
use std::rc::Rc;

pub fn call(own: &Value, name: &str, arguments: Arguments, budget: &Budget) -> Res<Value> {
    match own {
        Value::Dict(dict) => of_dict(dict, name, arguments, budget),
        Value::List(_) | Value::Tuple(_) | Value::Range(_) => of_list(own, name, arguments, budget),
        _ => of_number(own, name, arguments),
    }
}

fn of_dict(dict: &Rc<Dict>, name: &str, arguments: Arguments, budget: &Budget) -> Res<Value> {
    match name {
        "get" => {
            let [key, default] = arguments.bind(name, ["", ""], 1)?;
            let key = Key::new(key.unwrap_or(Value::None), budget)?;
            return Ok(dict.get(&key).cloned().or(default).unwrap_or(Value::None));
        }
        "fromkeys" => return from_keys(arguments, budget),
        _ => {}
    }
    arguments.none(name)?;
    Ok(match name {
        "items" => Value::View(View::Items, dict.clone()),
        "keys" => Value::View(View::Keys, dict.clone()),
        "values" => Value::View(View::Values, dict.clone()),
        _ => {
            budget.spend_items(2 * dict.len())?;
            Value::Dict(Rc::new((**dict).clone()))
        }
    })
}

pub fn from_keys(arguments: Arguments, budget: &Budget) -> Res<Value> {
    let [keys, value] = arguments.bind("fromkeys", ["", ""], 1)?;
    let value = value.unwrap_or(Value::None);
    let mut dict = Dict::new();
    for key in keys.unwrap_or(Value::None).items(budget)? {
        dict.insert(Key::new(key, budget)?, value.clone());
    }
    Ok(Value::Dict(Rc::new(dict)))
}

/// `dict(...)`: of a dictionary or of pairs, and of named values.
pub fn new_dict(arguments: Arguments, budget: &Budget) -> Res<Dict> {
    if arguments.list.len() > 1 {
        return fault(format!("dict expected at most 1 argument, got {}", arguments.list.len()));
    }
    let mut dict = match arguments.list.into_iter().next() {
        None => Dict::new(),
        Some(Value::Dict(dict)) => {
            budget.spend_items(2 * dict.len())?;
            (*dict).clone()
        }
        Some(pairs) => {
            let mut dict = Dict::new();
            for (place, pair) in pairs.items(budget)?.into_iter().enumerate() {
                let Ok([key, value]) = <[Value; 2]>::try_from(pair.items(budget)?) else {
                    return fault(format!("dictionary update sequence element #{place} has not length 2"));
                };
                dict.insert(Key::new(key, budget)?, value);
            }
            dict
        }
    };
    for (name, value) in arguments.named {
        dict.insert(Key::text(name), value);
    }
    Ok(dict)
}

fn of_list(own: &Value, name: &str, arguments: Arguments, budget: &Budget) -> Res<Value> {
    if name == "copy" {
        arguments.none(name)?;
        return Ok(Value::list(own.items(budget)?));
    }
    let [wanted, start, stop] = arguments.bind(name, ["", "", ""], 1)?;
    let wanted = wanted.unwrap_or(Value::None);
    let items = own.items(budget)?;
    let place = |bound: &Option<Value>| given(bound).map(integer).transpose();
    let (start, stop) = bounds(place(&start)?, place(&stop)?, items.len());
    let mut count = 0;
    for (place, item) in items.iter().enumerate().take(stop).skip(start) {
        if are_equal(item, &wanted, budget)? {
            if name == "index" {
                return Ok(Value::int(place));
            }
            count += 1;
        }
    }
    if name == "count" {
        return Ok(Value::int(count));
    }
    let mut text = String::new();
    wanted.push_repr(&mut text, budget)?;
    fault(format!("{text} is not in {}", own.type_name()))
}

fn of_number(own: &Value, name: &str, arguments: Arguments) -> Res<Value> {
    arguments.none(name)?;
    match (own, own.as_big(), name) {
        (_, _, "conjugate") => Ok(own.clone()),
        (_, Some(_), "is_integer") => Ok(Value::Bool(true)),
        (Value::Float(number), _, "is_integer") => Ok(Value::Bool(number.is_finite() && number.fract() == 0.0)),
        (_, Some(number), "bit_length") => Ok(Value::Int(number.bits() as i64)),
        (_, Some(number), "bit_count") => {
            Ok(Value::Int(number.abs().to_u64_digits().1.iter().map(|word| i64::from(word.count_ones())).sum()))
        }
        (_, Some(number), "as_integer_ratio") => Ok(Value::tuple(vec![number.into(), Value::Int(1)])),
        (Value::Float(number), _, "as_integer_ratio") if number.is_finite() => Ok(ratio(*number)),
        _ => fault(format!("'{}' object has no method '{name}' for chat templates", own.type_name())),
    }
}

fn ratio(number: f64) -> Value {
    let (mut number, mut power) = (number, 0u32);
    while number.fract() != 0.0 {
        number *= 2.0;
        power += 1;
    }
    Value::tuple(vec![BigInt::from_f64(number).unwrap_or_default().into(), (BigInt::from(1) << power).into()])
}
