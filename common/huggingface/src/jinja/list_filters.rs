//! Jinja2's filters of sequences and mappings.

use super::arguments::{flag, given, integer, size, text, Arguments};
use super::arithmetic::binary;
use super::comparison::{are_equal, compared, sorted};
use super::fault::{fault, Res};
use super::runtime::{without_case, Path, Runtime};
use super::syntax::Binary;
use super::text_filters::Filter;
use super::value::{Key, Value, View};
use std::cmp::Ordering;
use std::collections::HashSet;

pub fn by_name(name: &str) -> Option<Filter> {
    let filter: Filter = match name {
        "length" | "count" => length,
        "first" => first,
        "last" => last,
        // One that all runs and ranks agree on: data must not depend on chance.
        "random" => first,
        "list" => |runtime, value, arguments| {
            arguments.none("list")?;
            Ok(Value::list(value.items(&runtime.budget)?))
        },
        "items" => items,
        "reverse" => reverse,
        "join" => join,
        "sort" => sort,
        "dictsort" => dict_sort,
        "unique" => unique,
        "min" => |runtime, value, arguments| extreme(runtime, value, arguments, Ordering::Less),
        "max" => |runtime, value, arguments| extreme(runtime, value, arguments, Ordering::Greater),
        "sum" => sum,
        "map" => map,
        "select" => |runtime, value, arguments| selected(runtime, value, arguments, true, false),
        "reject" => |runtime, value, arguments| selected(runtime, value, arguments, false, false),
        "selectattr" => |runtime, value, arguments| selected(runtime, value, arguments, true, true),
        "rejectattr" => |runtime, value, arguments| selected(runtime, value, arguments, false, true),
        "batch" => batch,
        "slice" => slice,
        "groupby" => group_by,
        "default" | "d" => default,
        "attr" => |_, value, arguments| {
            let [name] = arguments.bind("attr", ["name"], 1)?;
            let name = name.unwrap_or(Value::None);
            let name = text(&name, "attr")?;
            if value.is_undefined() {
                return super::attributes::attribute(&value, name);
            }
            Ok(super::attributes::own_attribute(&value, name)
                .unwrap_or_else(|| Value::undefined(format!("'{} object' has no attribute '{name}'", value.type_name()))))
        },
        _ => return None,
    };
    Some(filter)
}

fn length(_: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    arguments.none("length")?;
    match value.len() {
        Some(length) => Ok(Value::int(length)),
        None => fault(format!("object of type '{}' has no len()", value.type_name())),
    }
}

fn first(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    arguments.none("first")?;
    let found = match &value {
        Value::Iterator(iterator) => iterator.items.borrow_mut().pop_front(),
        Value::List(items) | Value::Tuple(items) => items.first().cloned(),
        Value::Text(_) | Value::Markup(_) | Value::Range(_) => {
            Some(super::attributes::item(&value, &Value::Int(0), &runtime.budget)?).filter(|found| !found.is_undefined())
        }
        other => other.items(&runtime.budget)?.into_iter().next(),
    };
    Ok(found.unwrap_or_else(|| Value::undefined("No first item, sequence was empty.")))
}

fn last(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    arguments.none("last")?;
    if matches!(value, Value::Iterator(_) | Value::Object(_)) {
        return fault(format!("'{}' object is not reversible", value.type_name()));
    }
    let found = match &value {
        Value::List(items) | Value::Tuple(items) => items.last().cloned(),
        other => other.items(&runtime.budget)?.pop(),
    };
    Ok(found.unwrap_or_else(|| Value::undefined("No last item, sequence was empty.")))
}

fn items(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    arguments.none("items")?;
    let pairs = match &value {
        Value::Undefined(_) => Vec::new(),
        Value::Dict(dict) => Value::View(View::Items, dict.clone()).items(&runtime.budget)?,
        _ => return fault("Can only get item pairs from a mapping."),
    };
    Ok(Value::iterator("generator object do_items", pairs))
}

fn reverse(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    arguments.none("reverse")?;
    if let Some(text) = value.as_str() {
        runtime.budget.spend_bytes(text.len())?;
        return Ok(super::arithmetic::like(&value, text.chars().rev().collect::<String>()));
    }
    let is_iterator = matches!(value, Value::Iterator(_));
    let mut items = value.items(&runtime.budget)?;
    items.reverse();
    Ok(if is_iterator { Value::list(items) } else { Value::iterator("list_reverseiterator object", items) })
}

fn join(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [separator, attribute] = arguments.bind("join", ["d", "attribute"], 0)?;
    let path = Path::new(given(&attribute));
    let separator = separator.unwrap_or_else(|| Value::text("")).to_text(&runtime.budget)?;
    let mut joined = String::new();
    for (place, item) in value.items(&runtime.budget)?.iter().enumerate() {
        if place > 0 {
            runtime.budget.spend_bytes(separator.len())?;
            joined.push_str(&separator);
        }
        path.follow(item, None, &runtime.budget)?.push_text(&mut joined, &runtime.budget)?;
    }
    Ok(Value::text(joined))
}

fn cased(value: Value, case_sensitive: bool) -> Value {
    if case_sensitive { value } else { without_case(value) }
}

fn sort(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [reverse, sensitive, attribute] = arguments.bind("sort", ["reverse", "case_sensitive", "attribute"], 0)?;
    let sensitive = flag(&sensitive, false);
    let paths: Vec<Path> = match given(&attribute).and_then(Value::as_str) {
        Some(names) => names.split(',').map(|name| Path::new(Some(&Value::text(name)))).collect(),
        None => vec![Path::new(given(&attribute))],
    };
    let mut keyed = Vec::new();
    for item in value.items(&runtime.budget)? {
        let mut keys = Vec::new();
        for path in &paths {
            keys.push(cased(path.follow(&item, None, &runtime.budget)?, sensitive));
        }
        keyed.push((Value::list(keys), item));
    }
    let sorted = sorted(keyed, flag(&reverse, false), &runtime.budget)?;
    Ok(Value::list(sorted.into_iter().map(|(_, item)| item).collect()))
}

fn dict_sort(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [sensitive, by, reverse] = arguments.bind("dictsort", ["case_sensitive", "by", "reverse"], 0)?;
    let by_value = match by.as_ref().map(Value::as_str) {
        None | Some(Some("key")) => false,
        Some(Some("value")) => true,
        _ => return fault("You can only sort by either \"key\" or \"value\""),
    };
    let Value::Dict(dict) = &value else {
        return fault(format!("'{} object' has no attribute 'items'", value.type_name()));
    };
    let sensitive = flag(&sensitive, false);
    let pairs = dict.iter().map(|(key, value)| {
        let pair = Value::tuple(vec![key.value().clone(), value.clone()]);
        (cased(if by_value { value.clone() } else { key.value().clone() }, sensitive), pair)
    });
    let sorted = sorted(pairs.collect(), flag(&reverse, false), &runtime.budget)?;
    Ok(Value::list(sorted.into_iter().map(|(_, pair)| pair).collect()))
}

fn unique(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [sensitive, attribute] = arguments.bind("unique", ["case_sensitive", "attribute"], 0)?;
    let (sensitive, path) = (flag(&sensitive, false), Path::new(given(&attribute)));
    let (mut seen, mut kept) = (HashSet::new(), Vec::new());
    for item in value.items(&runtime.budget)? {
        let key = cased(path.follow(&item, None, &runtime.budget)?, sensitive);
        if seen.insert(Key::new(key, &runtime.budget)?) {
            kept.push(item);
        }
    }
    Ok(Value::iterator("generator object sync_do_unique", kept))
}

fn extreme(runtime: &Runtime, value: Value, arguments: Arguments, wanted: Ordering) -> Res<Value> {
    let [sensitive, attribute] = arguments.bind("min", ["case_sensitive", "attribute"], 0)?;
    let (sensitive, path) = (flag(&sensitive, false), Path::new(given(&attribute)));
    let sign = if wanted == Ordering::Less { "<" } else { ">" };
    let mut best: Option<(Value, Value)> = None;
    for item in value.items(&runtime.budget)? {
        let key = cased(path.follow(&item, None, &runtime.budget)?, sensitive);
        let is_better = match &best {
            Some((best, _)) => compared(&key, best, sign, &runtime.budget)? == Some(wanted),
            None => true,
        };
        if is_better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or_else(|| Value::undefined("No aggregated item, sequence was empty."), |(_, item)| item))
}

fn sum(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [attribute, start] = arguments.bind("sum", ["attribute", "start"], 0)?;
    let path = Path::new(given(&attribute));
    let mut sum = start.unwrap_or(Value::Int(0));
    if sum.as_str().is_some() {
        return fault("sum() can't sum strings [use ''.join(seq) instead]");
    }
    for item in value.items(&runtime.budget)? {
        sum = binary(Binary::Add, &sum, &path.follow(&item, None, &runtime.budget)?, &runtime.budget)?;
    }
    Ok(sum)
}

fn take_named(arguments: &mut Arguments, name: &str) -> Option<Value> {
    let place = arguments.named.iter().position(|(own, _)| **own == *name)?;
    Some(arguments.named.remove(place).1)
}

fn copied(arguments: &Arguments) -> Arguments {
    Arguments { list: arguments.list.clone(), named: arguments.named.clone() }
}

fn map(runtime: &Runtime, value: Value, mut arguments: Arguments) -> Res<Value> {
    let made = |items| Ok(Value::iterator("generator object sync_do_map", items));
    if !value.is_true() {
        return made(Vec::new());
    }
    let attribute = if arguments.list.is_empty() { take_named(&mut arguments, "attribute") } else { None };
    let mut mapped = Vec::new();
    if let Some(attribute) = attribute {
        let default = take_named(&mut arguments, "default");
        if let Some((name, _)) = arguments.named.first() {
            return fault(format!("Unexpected keyword argument '{name}'"));
        }
        let path = Path::new(Some(&attribute).filter(|value| !matches!(value, Value::None)));
        for item in value.items(&runtime.budget)? {
            mapped.push(path.follow(&item, given(&default), &runtime.budget)?);
        }
        return made(mapped);
    }
    if arguments.list.is_empty() {
        return fault("map requires a filter argument");
    }
    let name = arguments.list.remove(0);
    let name = text(&name, "map")?;
    for item in value.items(&runtime.budget)? {
        runtime.budget.spend(1)?;
        mapped.push(runtime.filter(name, item, copied(&arguments))?);
    }
    made(mapped)
}

fn selected(runtime: &Runtime, value: Value, mut arguments: Arguments, wanted: bool, by_attribute: bool) -> Res<Value> {
    let mut kept = Vec::new();
    if value.is_true() {
        let mut path = Path::new(None);
        if by_attribute {
            if arguments.list.is_empty() {
                return fault("Missing parameter for attribute name");
            }
            path = Path::new(Some(&arguments.list.remove(0)));
        }
        let test = if arguments.list.is_empty() { None } else { Some(arguments.list.remove(0)) };
        let test = test.as_ref().map(|test| text(test, "select")).transpose()?;
        for item in value.items(&runtime.budget)? {
            let tested = path.follow(&item, None, &runtime.budget)?;
            let holds = match test {
                Some(test) => runtime.test(test, &tested, copied(&arguments))?,
                None => tested.is_true(),
            };
            if holds == wanted {
                kept.push(item);
            }
        }
    }
    Ok(Value::iterator("generator object select_or_reject", kept))
}

fn batch(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [count, fill] = arguments.bind("batch", ["linecount", "fill_with"], 1)?;
    let count = size(&count.unwrap_or(Value::None))?;
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for item in value.items(&runtime.budget)? {
        match rows.last_mut() {
            Some(row) if row.len() != count => row.push(item),
            _ => rows.push(vec![item]),
        }
    }
    if let (Some(fill), Some(row)) = (given(&fill), rows.last_mut()) {
        let missing = count.saturating_sub(row.len());
        runtime.budget.spend_items(missing)?;
        row.extend(std::iter::repeat_n(fill.clone(), missing));
    }
    Ok(Value::iterator("generator object do_batch", rows.into_iter().map(Value::list).collect()))
}

fn slice(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [count, fill] = arguments.bind("slice", ["slices", "fill_with"], 1)?;
    let count = size(&count.unwrap_or(Value::None))?;
    let items = value.items(&runtime.budget)?;
    if count == 0 {
        return fault("integer division or modulo by zero");
    }
    runtime.budget.spend(count as u64)?;
    let (each, longer) = (items.len() / count, items.len() % count);
    let mut rest = items.into_iter();
    let mut columns = Vec::new();
    for place in 0..count {
        let mut column: Vec<Value> = rest.by_ref().take(each + usize::from(place < longer)).collect();
        if place >= longer {
            column.extend(given(&fill).cloned());
        }
        columns.push(Value::list(column));
    }
    Ok(Value::iterator("generator object sync_do_slice", columns))
}

fn group_by(runtime: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [attribute, default, sensitive] = arguments.bind("groupby", ["attribute", "default", "case_sensitive"], 1)?;
    let (path, budget) = (Path::new(attribute.as_ref()), &runtime.budget);
    let sensitive = flag(&sensitive, false);
    let mut keyed = Vec::new();
    for item in value.items(budget)? {
        keyed.push((cased(path.follow(&item, given(&default), budget)?, sensitive), item));
    }
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for (key, item) in sorted(keyed, false, budget)? {
        match groups.last_mut() {
            Some((last, items)) if are_equal(last, &key, budget)? => items.push(item),
            _ => groups.push((key, vec![item])),
        }
    }
    let mut pairs = Vec::new();
    for (_, items) in groups {
        // In the case that the first of them has.
        let key = path.follow(&items[0], given(&default), budget)?;
        pairs.push(Value::tuple(vec![key, Value::list(items)]));
    }
    Ok(Value::list(pairs))
}

fn default(_: &Runtime, value: Value, arguments: Arguments) -> Res<Value> {
    let [other, boolean] = arguments.bind("default", ["default_value", "boolean"], 0)?;
    if value.is_undefined() || (flag(&boolean, false) && !value.is_true()) {
        return Ok(other.unwrap_or_else(|| Value::text("")));
    }
    Ok(value)
}

pub fn divides(value: &Value, number: &Value, runtime: &Runtime) -> Res<bool> {
    integer(number)?;
    Ok(!binary(Binary::Mod, value, number, &runtime.budget)?.is_true())
}
