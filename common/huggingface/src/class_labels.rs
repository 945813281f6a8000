//! Names of class labels: `datasets` writes a ClassLabel as an integer and its names beside the schema.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int16Type, Int32Type, Int64Type, Int8Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Of the description beside a schema, whose names are in memory twice.
const MOST_BYTES: u64 = 16 << 20;
/// What a ClassLabel has where nobody has labelled a row.
pub const NO_LABEL: i64 = -1;

/// The names of the labels of some columns; of a list they are its items'.
#[derive(Default)]
pub struct ClassLabels {
    names: HashMap<String, Vec<String>>,
}

impl ClassLabels {
    /// From the "huggingface" metadata of a schema; from dataset_info.json in the folder of `file` where there is none.
    pub fn of_file(metadata: Option<&str>, file: &OsStr) -> Self {
        match metadata {
            Some(json) => Self::from_json(json, "/info/features"),
            None => beside(Path::new(file)).map(|json| Self::from_json(&json, "/features")).unwrap_or_default(),
        }
    }

    /// Whoever describes a schema otherwise has no class labels.
    fn from_json(json: &str, place: &str) -> Self {
        let description: Value = serde_json::from_str(json).unwrap_or_default();
        let Some(features) = description.pointer(place).and_then(Value::as_object) else {
            return Self::default();
        };
        let named = features.iter().filter_map(|(column, feature)| Some((column.clone(), names_of(feature)?)));
        ClassLabels { names: named.collect() }
    }

    pub fn of(&self, column: &str) -> Option<&[String]> {
        self.names.get(column).map(Vec::as_slice)
    }

    /// That every label of a batch has a name; rows are counted from `rows_before`.
    pub fn check(&self, batch: &RecordBatch, rows_before: usize) -> Result<(), String> {
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let Some(names) = self.of(field.name()) else { continue };
            let (labels, row_of): (&dyn Array, Box<dyn Fn(usize) -> usize + '_>) = match array.data_type() {
                DataType::List(_) => {
                    let offsets = array.as_list::<i32>().value_offsets();
                    let row_of = move |item: usize| offsets.partition_point(|&end| end as usize <= item).saturating_sub(1);
                    (array.as_list::<i32>().values().as_ref(), Box::new(row_of))
                }
                _ => (array.as_ref(), Box::new(|row| row)),
            };
            let Some(label_of) = integers(labels) else { continue };
            let is_wrong = |&place: &usize| {
                let label = label_of(place);
                labels.is_valid(place) && label != NO_LABEL && usize::try_from(label).map_or(true, |l| l >= names.len())
            };
            if let Some(place) = (0..labels.len()).find(is_wrong) {
                return Err(format!(
                    "row {}: column {:?} has the class label {}, expected one of its {} names, from 0",
                    rows_before + row_of(place) + 1,
                    field.name(),
                    label_of(place),
                    names.len()
                ));
            }
        }
        Ok(())
    }
}

/// Of ClassLabel(names), List(ClassLabel(names)) and Sequence(ClassLabel(names)).
fn names_of(feature: &Value) -> Option<Vec<String>> {
    let feature = feature.as_object()?;
    let is_label = |one: &Map<String, Value>| one.get("_type").and_then(Value::as_str) == Some("ClassLabel");
    let label = if is_label(feature) { feature } else { feature.get("feature")?.as_object().filter(|one| is_label(one))? };
    label.get("names")?.as_array()?.iter().map(|name| name.as_str().map(str::to_string)).collect()
}

fn beside(file: &Path) -> Option<String> {
    let info = file.parent()?.join("dataset_info.json");
    // A FIFO would block.
    if !info.metadata().ok()?.is_file() {
        return None;
    }
    let mut json = String::new();
    File::open(info).ok()?.take(MOST_BYTES).read_to_string(&mut json).ok()?;
    Some(json)
}

/// The integer at a place of an array of them.
pub fn integers(array: &dyn Array) -> Option<Box<dyn Fn(usize) -> i64 + '_>> {
    match array.data_type() {
        DataType::Int8 => {
            let values = array.as_primitive::<Int8Type>();
            Some(Box::new(move |place| values.value(place).into()))
        }
        DataType::Int16 => {
            let values = array.as_primitive::<Int16Type>();
            Some(Box::new(move |place| values.value(place).into()))
        }
        DataType::Int32 => {
            let values = array.as_primitive::<Int32Type>();
            Some(Box::new(move |place| values.value(place).into()))
        }
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>();
            Some(Box::new(move |place| values.value(place)))
        }
        _ => None,
    }
}
