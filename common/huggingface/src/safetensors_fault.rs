//! Why a file under the name of safetensors is none: what it is in its place, or where its tensors do not lie as they should.

use safetensors::tensor::Dtype;
use serde::de::{Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::Deserialize;
use std::collections::HashSet;

pub const LENGTH_BYTES: usize = 8;
const METADATA_KEY: &str = "__metadata__";
/// Where a tar archive says that it is one.
const TAR_MAGIC: std::ops::Range<usize> = 257..262;

/// How files of other formats begin, and what to do with them.
const OTHERS: &[(&[u8], &str)] = &[
    (b"GGUF", GGUF),
    (b"tjgg", GGUF),
    (b"lmgg", GGUF),
    (b"PK\x03\x04", ZIP),
    (b"\x80\x02", PICKLE),
    (b"\x80\x03", PICKLE),
    (b"\x80\x04", PICKLE),
    (b"\x80\x05", PICKLE),
    (b"\x1F\x8B", "is compressed with gzip, expected safetensors: gzip -dc FILE > NEW unpacks it"),
    (b"\x28\xB5\x2F\xFD", "is compressed with zstd, expected safetensors: zstd -dc FILE > NEW unpacks it"),
    (b"\xFD7zXZ\0", "is compressed with xz, expected safetensors: xz -dc FILE > NEW unpacks it"),
    (b"BZh", "is compressed with bzip2, expected safetensors: bzip2 -dc FILE > NEW unpacks it"),
    (b"7z\xBC\xAF\x27\x1C", "is a 7z archive, expected safetensors: 7z x takes the files out of it"),
    (b"\x89HDF\r\n\x1A\n", HDF5),
    (b"\x93NUMPY", "is a NumPy array, expected safetensors: safetensors.numpy.save_file writes them"),
];
const GGUF: &str = "is a GGUF file, which is for inference, expected safetensors: take the Hugging Face folder from which \
                    it was made";
const ZIP: &str = "is a zip archive, as torch.save makes them around a pickle, expected safetensors; pickles can run code \
                   and are never read: transformers' save_pretrained saves safetensors";
const PICKLE: &str = "is a pickle, expected safetensors; pickles can run code and are never read: transformers' \
                      save_pretrained saves safetensors";
const HDF5: &str = "is an HDF5 file, as Keras and TensorFlow write them, expected safetensors: transformers' \
                    save_pretrained saves safetensors";

/// What a file is that is no safetensors; `None` where that is not known.
pub fn other_format(bytes: &[u8]) -> Option<String> {
    if let Some((_, what)) = OTHERS.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Some((*what).into());
    }
    if bytes.get(TAR_MAGIC) == Some(b"ustar".as_slice()) {
        return Some("is a tar archive, expected safetensors: tar -xf takes the files out of it".into());
    }
    let start = bytes.first_chunk::<LENGTH_BYTES>()?;
    if *start == [0; LENGTH_BYTES] {
        return Some("begins with zeros: the download or the copy is not complete, download it again".into());
    }
    // As a length this would be some 10^18.
    let is_text = start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(24)]).escape_debug().to_string();
    is_text.then(|| format!("is text that begins with \"{}\", expected safetensors: download it again", shown()))
}

/// The place of a tensor as the header says it.
#[derive(Deserialize)]
struct Place {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl Place {
    fn known_type(&self) -> Option<Dtype> {
        let name: &str = &self.dtype;
        let known: Result<Dtype, serde::de::value::Error> = Dtype::deserialize(name.into_deserializer());
        known.ok()
    }

    /// In bytes; `None` where that is no number of them.
    fn size(&self, dtype: Dtype) -> Option<u64> {
        let elements = self.shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size))?;
        let bits = elements.checked_mul(dtype.bitsize() as u64)?;
        (bits % 8 == 0).then_some(bits / 8)
    }
}

/// The header's tensors in the order in which it names them, each name once.
struct Places(Vec<(String, Place)>);

impl<'de> Deserialize<'de> for Places {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Places;

            fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
                formatter.write_str("an object with a key for each tensor")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Places, A::Error> {
                let mut names = HashSet::new();
                let mut places = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !names.insert(name.clone()) {
                        return Err(serde::de::Error::custom(format!("tensor {name} occurs twice")));
                    }
                    if name == METADATA_KEY {
                        map.next_value::<serde::de::IgnoredAny>()?;
                    } else {
                        places.push((name, map.next_value()?));
                    }
                }
                Ok(Places(places))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Throws out a header in which a name occurs twice (the library keeps the last one), and tensors that overlap, leave bytes
/// between them or behind the last one, or are cut off. `data` is what is behind the header, which begins at `begin`.
pub fn check_places(header: &[u8], begin: u64, data: u64) -> Result<(), String> {
    let Places(mut places) =
        serde_json::from_slice(header).map_err(|fault| format!("has a header that is not valid: {fault}"))?;
    places.sort_by_key(|(_, place)| place.data_offsets);
    let last = places.iter().map(|(_, place)| place.data_offsets.1).max().unwrap_or(0);
    if data < last {
        let (size, wanted) = (begin + data, begin.saturating_add(last));
        return Err(format!("has {size} of {wanted} bytes: it was cut short, download it again"));
    }
    let mut end = 0;
    let mut before = "";
    for (name, place) in &places {
        check_place(name, place, end, before)?;
        end = place.data_offsets.1;
        before = name;
    }
    if data > end {
        let (more, whole) = (data - end, begin + end);
        return Err(format!(
            "holds {more} bytes behind its last tensor, expected none: something was appended to it; download it again, or \
             cut them off: head -c {whole} FILE > NEW"
        ));
    }
    Ok(())
}

fn check_place(name: &str, place: &Place, end: u64, before: &str) -> Result<(), String> {
    const ADVICE: &str = "the program that wrote it is at fault, or it is damaged: download it again, or save it with \
                          safetensors' save_file";
    let (from, to) = place.data_offsets;
    if from > end {
        return Err(format!("holds {} bytes before tensor {name} that belong to no tensor: {ADVICE}", from - end));
    }
    if from < end {
        return Err(format!("has tensor {name} begin before tensor {before} ends: {ADVICE}"));
    }
    let (shape, dtype) = (&place.shape, &place.dtype);
    let Some(known) = place.known_type() else {
        return Err(format!("has tensor {name} of type {dtype}, expected one of safetensors, such as F32 and BF16: {ADVICE}"));
    };
    let size = place.size(known).ok_or(format!("has tensor {name} of the impossible shape {shape:?}: {ADVICE}"))?;
    if to.checked_sub(from) != Some(size) {
        return Err(format!(
            "has tensor {name} of shape {shape:?} and type {dtype}, which is {size} bytes, in a place from {from} to {to}: \
             {ADVICE}"
        ));
    }
    Ok(())
}
