//! Record batches of a Parquet file or an Arrow stream: of some columns, some hundred rows at a time.

use crate::class_labels::ClassLabels;
use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_schema::{ArrowError, DataType, Fields};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::ProjectionMask;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::types::Type;
use std::ffi::OsStr;
use std::fs::{metadata, File};
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;

/// 512 rows of the longest kind are half the memory that reading may take.
const ROWS_AT_ONCE: usize = 512;
/// Enough for 50 000 pieces of columns; whoever reads the schema in it recurses, see row_reader.rs.
const MAX_FOOTER_BYTES: u32 = 8 << 20;
/// Messages with tools have 10.
const MAX_DEPTH: usize = 64;
/// Of columns that are not read and yet named.
const MOST_OTHERS: usize = 64;
/// Where `datasets` describes its columns, in the metadata of a file.
const DESCRIPTION: &str = "huggingface";
const PARQUET: &[u8; 4] = b"PAR1";
const ARROW_STREAM: &[u8; 4] = b"\xFF\xFF\xFF\xFF";

const CUT_SHORT: &str =
    "is cut short, an Arrow stream without its end: download it again, or close the writer that makes it";

/// The columns that are read; a file may lack all but the first `required` ones.
pub struct Wanted {
    pub columns: Vec<String>,
    pub required: usize,
}

impl Wanted {
    /// Places of the wanted columns among `names`.
    fn places(&self, names: &[&str]) -> Result<Vec<usize>, String> {
        for column in &self.columns[..self.required] {
            if !names.contains(&column.as_str()) {
                return Err(format!("has no column {}, it has {}", quoted(column), list_of(names)));
            }
        }
        Ok((0..names.len()).filter(|&place| self.columns.iter().any(|column| column == names[place])).collect())
    }

    fn others(&self, names: &[&str]) -> Vec<String> {
        let others = names.iter().filter(|&&name| !self.columns.iter().any(|column| column == name));
        others.take(MOST_OTHERS).map(|name| name.to_string()).collect()
    }
}

pub fn quoted(name: &str) -> String {
    const LONGEST: usize = 64;
    let short: String = name.chars().take(LONGEST).collect();
    format!("{short:?}{}", if short.len() < name.len() { "..." } else { "" })
}

fn list_of(names: &[&str]) -> String {
    const MOST: usize = 16;
    let mut list: Vec<String> = names.iter().take(MOST).map(|name| quoted(name)).collect();
    if names.len() > MOST {
        list.push("...".into());
    }
    if list.is_empty() {
        "none".into()
    } else {
        list.join(", ")
    }
}

/// A stream says itself where it ends: whoever reads it meets the end of the file only where some of it is missing.
struct StreamBytes {
    file: BufReader<File>,
    at_end: bool,
    bytes_read: u64,
}

impl StreamBytes {
    fn new(file: File) -> Self {
        StreamBytes { file: BufReader::new(file), at_end: false, bytes_read: 0 }
    }
}

impl Read for StreamBytes {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(bytes)?;
        self.at_end |= count == 0 && !bytes.is_empty();
        self.bytes_read += count as u64;
        Ok(count)
    }
}

fn stream_fault(fault: ArrowError) -> String {
    match &fault {
        ArrowError::IoError(_, cause) if cause.kind() == ErrorKind::UnexpectedEof => CUT_SHORT.into(),
        _ => fault.to_string(),
    }
}

fn next_of_stream(reader: &mut StreamReader<StreamBytes>) -> Option<Result<RecordBatch, String>> {
    match reader.next() {
        // The library takes the end of the file for that of the stream.
        None if reader.get_ref().at_end => Some(Err(CUT_SHORT.into())),
        batch => batch.map(|batch| batch.map_err(stream_fault)),
    }
}

enum Reader {
    Parquet(ParquetRecordBatchReader),
    Stream(Box<StreamReader<StreamBytes>>),
}

pub struct Batches {
    reader: Reader,
    file_bytes: u64,
    /// What a Parquet file says that it has.
    file_rows: u64,
    /// Names of columns that are not read, some of them where there are very many.
    pub unread: Vec<String>,
    pub labels: ClassLabels,
}

impl Batches {
    pub fn open(path: &OsStr, wanted: &Wanted) -> Result<Self, String> {
        // A FIFO or a device would block or never end, so the kind is checked before the file is opened.
        let found = metadata(path).map_err(|fault| fault.to_string())?;
        if !found.is_file() {
            return Err("is not a file".into());
        }
        let mut file = File::open(path).map_err(|fault| fault.to_string())?;
        let mut magic = [0; 4];
        file.read_exact(&mut magic).map_err(|fault| fault.to_string())?;
        file.rewind().map_err(|fault| fault.to_string())?;
        let mut batches = match &magic {
            PARQUET => Self::open_parquet(path, file, wanted)?,
            ARROW_STREAM => Self::open_stream(path, file, wanted)?,
            _ => return Err("begins neither as a Parquet file nor as an Arrow stream".into()),
        };
        batches.file_bytes = found.len();
        Ok(batches)
    }

    fn open_parquet(path: &OsStr, mut file: File, wanted: &Wanted) -> Result<Self, String> {
        check_footer(&mut file)?;
        let found = ParquetMetaDataReader::new().parse_and_finish(&file).map_err(|fault| fault.to_string())?;
        let (places, unread) = {
            let root = found.file_metadata().schema_descr().root_schema();
            if !is_shallow(root, MAX_DEPTH) {
                return Err(format!("has columns nested more than {MAX_DEPTH} levels deep"));
            }
            let names: Vec<&str> = root.get_fields().iter().map(|field| field.name()).collect();
            (wanted.places(&names)?, wanted.others(&names))
        };
        let pairs = found.file_metadata().key_value_metadata().into_iter().flatten();
        let described = pairs.into_iter().find(|pair| pair.key == DESCRIPTION).and_then(|pair| pair.value.as_deref());
        let labels = ClassLabels::of_file(described, path);
        let mask = ProjectionMask::roots(found.file_metadata().schema_descr(), places);
        let file_rows = u64::try_from(found.file_metadata().num_rows()).unwrap_or(0);
        let reader = open_columns(file, found, mask).map_err(|fault| fault.to_string())?;
        check_types(&reader_fields(&reader))?;
        Ok(Batches { reader: Reader::Parquet(reader), file_bytes: 0, file_rows, unread, labels })
    }

    fn open_stream(path: &OsStr, file: File, wanted: &Wanted) -> Result<Self, String> {
        let schema = {
            let again = file.try_clone().map_err(|fault| fault.to_string())?;
            StreamReader::try_new(StreamBytes::new(again), None).map_err(stream_fault)?.schema()
        };
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let (places, unread) = (wanted.places(&names)?, wanted.others(&names));
        let labels = ClassLabels::of_file(schema.metadata().get(DESCRIPTION).map(String::as_str), path);
        // Of a reader's own schema the columns that are left out are a part.
        check_types(&places.iter().map(|&place| schema.fields()[place].clone()).collect())?;
        let mut file = file;
        file.rewind().map_err(|fault| fault.to_string())?;
        let reader = StreamReader::try_new(StreamBytes::new(file), Some(places)).map_err(stream_fault)?;
        Ok(Batches { reader: Reader::Stream(Box::new(reader)), file_bytes: 0, file_rows: 0, unread, labels })
    }

    /// How much of the file stands for its first `rows` rows. The columns of a Parquet file are apart: there it is a share of
    /// the whole.
    pub fn bytes_read(&self, rows: usize) -> u64 {
        match &self.reader {
            Reader::Parquet(_) => {
                let share = rows as f64 / (self.file_rows as f64).max(1.0);
                (self.file_bytes as f64 * share.min(1.0)) as u64
            }
            Reader::Stream(reader) => reader.get_ref().bytes_read,
        }
    }

    /// After a fault it is not called again.
    pub fn next(&mut self) -> Option<Result<RecordBatch, String>> {
        match &mut self.reader {
            Reader::Parquet(reader) => reader.next().map(|batch| batch.map_err(|fault| fault.to_string())),
            Reader::Stream(reader) => next_of_stream(reader),
        }
    }
}

fn reader_fields(reader: &ParquetRecordBatchReader) -> Fields {
    arrow_array::RecordBatchReader::schema(reader).fields().clone()
}

fn open_columns(
    file: File,
    found: ParquetMetaData,
    mask: ProjectionMask,
) -> parquet::errors::Result<ParquetRecordBatchReader> {
    // What the writer's own types were does not matter: text is text.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::try_new(Arc::new(found), options)?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    builder.with_batch_size(ROWS_AT_ONCE).with_projection(mask).build()
}

fn check_footer(file: &mut File) -> Result<(), String> {
    let mut end = [0; 8];
    let found = file.seek(SeekFrom::End(-8)).and_then(|_| file.read_exact(&mut end));
    if found.is_err() || &end[4..] != PARQUET {
        return Err("begins as a Parquet file but does not end as one: it is cut off, or encrypted".into());
    }
    let bytes = u32::from_le_bytes([end[0], end[1], end[2], end[3]]);
    if bytes > MAX_FOOTER_BYTES {
        return Err(format!("says its footer has {bytes} bytes, expected at most {MAX_FOOTER_BYTES}"));
    }
    file.rewind().map_err(|fault| fault.to_string())
}

fn is_shallow(schema: &Type, levels_left: usize) -> bool {
    levels_left > 0
        && (!schema.is_group() || schema.get_fields().iter().all(|field| is_shallow(field, levels_left - 1)))
}

fn check_types(fields: &Fields) -> Result<(), String> {
    for field in fields {
        if let Some(other) = unreadable(field.data_type(), MAX_DEPTH) {
            let wanted = "text, numbers, true or false, or lists, structs and maps of those";
            return Err(format!("has a column {} of type {other}, expected {wanted}", quoted(field.name())));
        }
    }
    Ok(())
}

/// The first part of a type that row_json.rs does not write.
fn unreadable(found: &DataType, levels_left: usize) -> Option<String> {
    use DataType::*;
    if levels_left == 0 {
        return Some("nested too deeply".into());
    }
    match found {
        Null | Boolean | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 | Float32 | Float64 => None,
        Utf8 | LargeUtf8 | Utf8View => None,
        List(item) | LargeList(item) | FixedSizeList(item, _) => unreadable(item.data_type(), levels_left - 1),
        Map(entries, _) => match entries.data_type() {
            Struct(fields) if fields.len() == 2 && matches!(fields[0].data_type(), Utf8 | LargeUtf8 | Utf8View) => {
                unreadable(fields[1].data_type(), levels_left - 1)
            }
            _ => Some("map whose keys are no text".into()),
        },
        Struct(fields) => fields.iter().find_map(|field| unreadable(field.data_type(), levels_left - 1)),
        Dictionary(_, values) => unreadable(values, levels_left - 1),
        other => Some(other.to_string().chars().take(64).collect()),
    }
}
