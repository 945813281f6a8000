//! Reading a safetensors file in place, and the header of a new one.

use crate::boundary::{guarded, guarded_or, lent_slice, Owned, OwnedText, Text};
use crate::safetensors_fault::{check_places, other_format, LENGTH_BYTES};
use memmap2::Mmap;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use safetensors::SafeTensors;
use serde::de::IntoDeserializer;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs::{metadata, File};
use std::os::unix::ffi::OsStrExt;

/// Ten times what the largest published models need.
const MAX_HEADER_BYTES: u64 = 16 << 20;
const METADATA_KEY: &str = "__metadata__";

/// A tensor as C sees it; all of it is borrowed.
#[repr(C)]
pub struct TensorRef {
    name: Text,
    dtype: Text,
    shape: *const i64,
    rank: usize,
    data: *const u8,
    size: usize,
}

struct Tensor {
    name: String,
    dtype: String,
    shape: Vec<i64>,
    start: usize,
    size: usize,
}

pub struct OpenFile {
    map: Mmap,
    tensors: Vec<Tensor>,
}

impl OpenFile {
    fn open(path: &OsStr) -> Result<Self, String> {
        // A FIFO or a device would block or never end, so the kind is checked before the file is opened.
        if !metadata(path).map_err(|fault| fault.to_string())?.is_file() {
            return Err("is not a regular file".into());
        }
        let file = File::open(path).map_err(|fault| fault.to_string())?;
        if file.metadata().map_err(|fault| fault.to_string())?.len() == 0 {
            return Err("is empty".into());
        }
        // Safety: the mapping is private to us; a file that is cut short while in use ends the process, as documented.
        let map = unsafe { Mmap::map(&file) }.map_err(|fault| fault.to_string())?;
        let tensors = read_tensors(&map)?;
        Ok(OpenFile { map, tensors })
    }
}

fn read_tensors(bytes: &[u8]) -> Result<Vec<Tensor>, String> {
    check_header(bytes)?;
    let parsed = SafeTensors::deserialize(bytes).map_err(|fault| fault.to_string())?;
    let mut tensors = Vec::with_capacity(parsed.len());
    for (name, view) in parsed.iter() {
        let shape: Result<Vec<i64>, _> = view.shape().iter().map(|&size| i64::try_from(size)).collect();
        tensors.push(Tensor {
            name: name.to_string(),
            dtype: view.dtype().to_string(),
            shape: shape.map_err(|_| format!("tensor {name} has a dimension above 2^63 - 1"))?,
            start: view.data().as_ptr() as usize - bytes.as_ptr() as usize,
            size: view.data().len(),
        });
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
}

/// What the library leaves open or says in words for programmers.
fn check_header(bytes: &[u8]) -> Result<(), String> {
    // The first eight bytes are a length, and may be those with which another format begins.
    if bytes.get(LENGTH_BYTES) != Some(&b'{') {
        if let Some(what) = other_format(bytes) {
            return Err(what);
        }
    }
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>().map(|chunk| u64::from_le_bytes(*chunk)) else {
        return Err(format!("is {} bytes long, expected at least {LENGTH_BYTES}: download it again", bytes.len()));
    };
    if length > MAX_HEADER_BYTES {
        return Err(format!(
            "says its header has {length} bytes, expected at most {MAX_HEADER_BYTES}: it is damaged or no safetensors, \
             download it again"
        ));
    }
    let size = bytes.len() as u64;
    let Some(header) = bytes[LENGTH_BYTES..].get(..length as usize) else {
        return Err(format!("says its header has {length} bytes, but the file has only {size} bytes: it was cut short, download it again"));
    };
    let begin = LENGTH_BYTES as u64 + length;
    check_places(header, begin, size - begin)
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_safetensors_open(path: Text, file: *mut *mut OpenFile) -> OwnedText {
    guarded(|| {
        let opened = OpenFile::open(OsStr::from_bytes(path.bytes()))?;
        *file = Box::into_raw(Box::new(opened));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_safetensors_free(file: *mut OpenFile) {
    if !file.is_null() {
        guarded_or((), || drop(Box::from_raw(file)));
    }
}

#[no_mangle]
pub extern "C" fn eqhf_safetensors_count(file: &OpenFile) -> usize {
    file.tensors.len()
}

/// # Safety
/// `index` is below the count.
#[no_mangle]
pub unsafe extern "C" fn eqhf_safetensors_tensor(file: &OpenFile, index: usize) -> TensorRef {
    let tensor = file.tensors.get_unchecked(index);
    TensorRef {
        name: Text::lend(&tensor.name),
        dtype: Text::lend(&tensor.dtype),
        shape: tensor.shape.as_ptr(),
        rank: tensor.shape.len(),
        data: file.map.as_ptr().add(tensor.start),
        size: tensor.size,
    }
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_safetensors_header(
    tensors: *const TensorRef,
    num_tensors: usize,
    metadata: *const Text,
    num_metadata: usize,
    header: *mut OwnedText,
    order: *mut usize,
) -> OwnedText {
    guarded(|| {
        let mut infos = Vec::with_capacity(num_tensors);
        for (index, tensor) in lent_slice(tensors, num_tensors).iter().enumerate() {
            infos.push(describe(index, tensor)?);
        }
        let mut pairs = BTreeMap::new();
        for pair in lent_slice(metadata, 2 * num_metadata).chunks(2) {
            pairs.insert(pair[0].utf8()?, pair[1].utf8()?);
        }
        let bytes = build_header(&mut infos, &pairs)?;
        for (place, described) in infos.iter().enumerate() {
            *order.add(place) = described.index;
        }
        *header = Owned::new(bytes);
        Ok(())
    })
}

struct Described {
    index: usize,
    name: String,
    info: TensorInfo,
}

unsafe fn describe(index: usize, tensor: &TensorRef) -> Result<Described, String> {
    let name = tensor.name.utf8().map_err(|fault| format!("the name of tensor {index} {fault}"))?.to_string();
    let dtype_name: &str = tensor.dtype.utf8()?;
    let dtype = Dtype::deserialize(dtype_name.into_deserializer())
        .map_err(|fault: serde::de::value::Error| format!("tensor {name}: {fault}"))?;
    let shape: Result<Vec<usize>, _> =
        lent_slice(tensor.shape, tensor.rank).iter().map(|&size| usize::try_from(size)).collect();
    let shape = shape.map_err(|_| format!("tensor {name} has a negative dimension"))?;
    Ok(Described { index, name, info: TensorInfo { dtype, shape, data_offsets: (0, tensor.size) } })
}

/// Orders the tensors as the library does (widest type first, so that every tensor is aligned, then by name), places them one
/// after the other and writes the header with its keys in a fixed order.
fn build_header(tensors: &mut [Described], metadata: &BTreeMap<&str, &str>) -> Result<Vec<u8>, String> {
    let mut names = HashSet::new();
    for tensor in tensors.iter() {
        if tensor.name == METADATA_KEY || !names.insert(tensor.name.as_str()) {
            return Err(format!("tensor {} occurs twice or has a reserved name", tensor.name));
        }
    }
    tensors.sort_by(|a, b| b.info.dtype.cmp(&a.info.dtype).then_with(|| a.name.cmp(&b.name)));
    let mut start = 0usize;
    for tensor in tensors.iter_mut() {
        let end = start.checked_add(tensor.info.data_offsets.1).ok_or("the tensors are too large together")?;
        tensor.info.data_offsets = (start, end);
        let alone = TensorInfo { data_offsets: (0, end - start), ..tensor.info.clone() };
        Metadata::new(None, vec![(tensor.name.clone(), alone)])
            .map_err(|fault| format!("tensor {}: {fault}", tensor.name))?;
        start = end;
    }
    let mut entries: Vec<String> = Vec::with_capacity(tensors.len() + 1);
    if !metadata.is_empty() {
        entries.push(entry(METADATA_KEY, metadata)?);
    }
    for tensor in tensors.iter() {
        entries.push(entry(&tensor.name, &tensor.info)?);
    }
    let mut json = format!("{{{}}}", entries.join(",")).into_bytes();
    json.resize(json.len().next_multiple_of(LENGTH_BYTES), b' ');
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut json);
    Ok(bytes)
}

fn entry(key: &str, value: &impl serde::Serialize) -> Result<String, String> {
    let text = |fault: serde_json::Error| fault.to_string();
    Ok(format!("{}:{}", serde_json::to_string(key).map_err(text)?, serde_json::to_string(value).map_err(text)?))
}
