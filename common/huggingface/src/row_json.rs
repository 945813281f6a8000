//! Rows of a record batch as JSON objects. What is null is absent, of an object as of a row.

use crate::class_labels::{integers, ClassLabels, NO_LABEL};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, Int8Type, UInt16Type, UInt32Type,
    UInt64Type, UInt8Type,
};
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;
use serde::Serialize;
use std::ops::Range;

/// As for a line of a JSONL file.
pub const LONGEST_ROW: usize = 1 << 20;

/// The row would be longer.
#[derive(Debug)]
pub struct TooLong;

type ByRow<'a, T> = Box<dyn Fn(usize) -> T + 'a>;

enum Values<'a> {
    Nothing,
    Truth(&'a BooleanArray),
    Number(Box<dyn Fn(usize, &mut Vec<u8>) + 'a>),
    Text(ByRow<'a, &'a str>),
    Label(ByRow<'a, i64>, &'a [String]),
    List(ByRow<'a, Range<usize>>, Box<Column<'a>>),
    Object(Vec<Member<'a>>),
    Map(ByRow<'a, Range<usize>>, ByRow<'a, &'a str>, Box<Column<'a>>),
    Dictionary(Vec<usize>, Box<Column<'a>>),
}

struct Column<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

/// A column with its name as the JSON `"name":`.
struct Member<'a> {
    key: Vec<u8>,
    column: Column<'a>,
}

pub struct Rows<'a> {
    members: Vec<Member<'a>>,
}

impl<'a> Rows<'a> {
    /// Of types that row_batches.rs lets pass, with labels that ClassLabels::check lets pass.
    pub fn new(batch: &'a RecordBatch, labels: &'a ClassLabels) -> Self {
        let columns = batch.schema_ref().fields().iter().zip(batch.columns());
        let members = columns.map(|(field, array)| {
            let mut member = member(field.name(), array.as_ref());
            if let Some(names) = labels.of(field.name()) {
                give_names(array.as_ref(), names, &mut member.column);
            }
            member
        });
        Rows { members: members.collect() }
    }

    /// Appends one row; what `json` holds after a failure is of no use.
    pub fn append(&self, row: usize, json: &mut Vec<u8>) -> Result<(), TooLong> {
        let most = json.len() + LONGEST_ROW;
        append_object(&self.members, row, json, most)?;
        if json.len() > most {
            Err(TooLong)
        } else {
            Ok(())
        }
    }
}

fn member<'a>(name: &str, array: &'a dyn Array) -> Member<'a> {
    let mut key = Vec::new();
    append_json(name, &mut key);
    key.push(b':');
    Member { key, column: column(array) }
}

/// In place of class labels, or of those in lists.
fn give_names<'a>(array: &'a dyn Array, names: &'a [String], column: &mut Column<'a>) {
    if let Some(labels) = integers(array) {
        column.values = Values::Label(labels, names);
    } else if let (DataType::List(_), Values::List(_, items)) = (array.data_type(), &mut column.values) {
        give_names(array.as_list::<i32>().values().as_ref(), names, items);
    }
}

fn column(array: &dyn Array) -> Column<'_> {
    Column { nulls: array.nulls(), values: values(array) }
}

fn values(array: &dyn Array) -> Values<'_> {
    match array.data_type() {
        DataType::Boolean => Values::Truth(array.as_boolean()),
        DataType::Int8 => number::<Int8Type>(array),
        DataType::Int16 => number::<Int16Type>(array),
        DataType::Int32 => number::<Int32Type>(array),
        DataType::Int64 => number::<Int64Type>(array),
        DataType::UInt8 => number::<UInt8Type>(array),
        DataType::UInt16 => number::<UInt16Type>(array),
        DataType::UInt32 => number::<UInt32Type>(array),
        DataType::UInt64 => number::<UInt64Type>(array),
        DataType::Float32 => float::<Float32Type>(array),
        DataType::Float64 => float::<Float64Type>(array),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Values::Text(text(array)),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => list(array),
        DataType::Struct(fields) => {
            let parts = fields.iter().zip(array.as_struct().columns());
            Values::Object(parts.map(|(field, part)| member(field.name(), part.as_ref())).collect())
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let ranges = ranges(map.value_offsets());
            Values::Map(ranges, text(map.keys().as_ref()), Box::new(column(map.values().as_ref())))
        }
        DataType::Dictionary(..) => dictionary(array),
        _ => Values::Nothing,
    }
}

fn number<T: ArrowPrimitiveType>(array: &dyn Array) -> Values<'_>
where
    T::Native: Serialize,
{
    let numbers = array.as_primitive::<T>();
    Values::Number(Box::new(move |row, json| append_json(&numbers.value(row), json)))
}

/// JSON has no number that is not finite: it is a text, which no field of numbers takes for one.
fn float<T: ArrowPrimitiveType>(array: &dyn Array) -> Values<'_>
where
    T::Native: Serialize + Into<f64>,
{
    let numbers = array.as_primitive::<T>();
    Values::Number(Box::new(move |row, json| match Into::<f64>::into(numbers.value(row)) {
        number if number.is_finite() => append_json(&numbers.value(row), json),
        number => append_json(number.to_string().as_str(), json),
    }))
}

fn text(array: &dyn Array) -> ByRow<'_, &str> {
    match array.data_type() {
        DataType::LargeUtf8 => {
            let texts = array.as_string::<i64>();
            Box::new(move |row| texts.value(row))
        }
        DataType::Utf8View => {
            let texts = array.as_string_view();
            Box::new(move |row| texts.value(row))
        }
        _ => {
            let texts = array.as_string::<i32>();
            Box::new(move |row| texts.value(row))
        }
    }
}

fn ranges<T: Copy + TryInto<usize>>(offsets: &[T]) -> ByRow<'_, Range<usize>> {
    // The library has checked that offsets are not negative.
    let place = |offset: T| offset.try_into().unwrap_or_default();
    Box::new(move |row| place(offsets[row])..place(offsets[row + 1]))
}

fn list(array: &dyn Array) -> Values<'_> {
    match array.data_type() {
        DataType::LargeList(_) => {
            let lists = array.as_list::<i64>();
            Values::List(ranges(lists.value_offsets()), Box::new(column(lists.values().as_ref())))
        }
        DataType::FixedSizeList(_, size) => {
            let (lists, size) = (array.as_fixed_size_list(), usize::try_from(*size).unwrap_or_default());
            let range: ByRow<Range<usize>> = Box::new(move |row| row * size..(row + 1) * size);
            Values::List(range, Box::new(column(lists.values().as_ref())))
        }
        _ => {
            let lists = array.as_list::<i32>();
            Values::List(ranges(lists.value_offsets()), Box::new(column(lists.values().as_ref())))
        }
    }
}

fn dictionary(array: &dyn Array) -> Values<'_> {
    let dictionary = array.as_any_dictionary();
    if dictionary.values().is_empty() {
        return Values::Nothing;
    }
    Values::Dictionary(dictionary.normalized_keys(), Box::new(column(dictionary.values().as_ref())))
}

impl Column<'_> {
    fn is_absent(&self, row: usize) -> bool {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return true;
        }
        match &self.values {
            Values::Nothing => true,
            Values::Label(label, _) => label(row) == NO_LABEL,
            Values::Dictionary(keys, values) => values.is_absent(keys[row]),
            _ => false,
        }
    }

    /// Of a row that is not absent.
    fn append(&self, row: usize, json: &mut Vec<u8>, most: usize) -> Result<(), TooLong> {
        if json.len() > most {
            return Err(TooLong);
        }
        match &self.values {
            Values::Nothing => json.extend_from_slice(b"null"),
            Values::Truth(truth) => append_json(&truth.value(row), json),
            Values::Number(append_number) => append_number(row, json),
            Values::Text(text) => return append_text(text(row), json, most),
            Values::Label(label, names) => {
                let name = usize::try_from(label(row)).ok().and_then(|place| names.get(place));
                return append_text(name.map_or("", String::as_str), json, most);
            }
            Values::List(range, items) => return append_list(range(row), items, json, most),
            Values::Object(members) => return append_object(members, row, json, most),
            Values::Map(range, key, values) => return append_map(range(row), key, values, json, most),
            Values::Dictionary(keys, values) => return values.append(keys[row], json, most),
        }
        Ok(())
    }
}

fn append_json(value: &(impl Serialize + ?Sized), json: &mut Vec<u8>) {
    // Texts and numbers always have a JSON, and memory never refuses.
    serde_json::to_writer(json, value).unwrap_or_default();
}

fn append_text(text: &str, json: &mut Vec<u8>, most: usize) -> Result<(), TooLong> {
    if json.len() + text.len() > most {
        return Err(TooLong);
    }
    append_json(text, json);
    Ok(())
}

fn append_list(range: Range<usize>, items: &Column, json: &mut Vec<u8>, most: usize) -> Result<(), TooLong> {
    json.push(b'[');
    for place in range.clone() {
        if place > range.start {
            json.push(b',');
        }
        if json.len() > most {
            return Err(TooLong);
        } else if items.is_absent(place) {
            json.extend_from_slice(b"null");
        } else {
            items.append(place, json, most)?;
        }
    }
    json.push(b']');
    Ok(())
}

fn append_object(members: &[Member], row: usize, json: &mut Vec<u8>, most: usize) -> Result<(), TooLong> {
    json.push(b'{');
    let mut first = true;
    for Member { key, column } in members {
        if column.is_absent(row) {
            continue;
        }
        if !first {
            json.push(b',');
        }
        first = false;
        json.extend_from_slice(key);
        column.append(row, json, most)?;
    }
    json.push(b'}');
    Ok(())
}

fn append_map(
    range: Range<usize>,
    key: &ByRow<&str>,
    values: &Column,
    json: &mut Vec<u8>,
    most: usize,
) -> Result<(), TooLong> {
    json.push(b'{');
    let mut first = true;
    for place in range.filter(|&place| !values.is_absent(place)) {
        if !first {
            json.push(b',');
        }
        first = false;
        append_text(key(place), json, most)?;
        json.push(b':');
        values.append(place, json, most)?;
    }
    json.push(b'}');
    Ok(())
}
