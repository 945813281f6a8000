//! Files compressed with gzip or Zstandard for C, unpacked a piece at a time.

use crate::boundary::{guarded, guarded_or, OwnedText, Text};
use flate2::read::MultiGzDecoder;
use std::ffi::OsStr;
use std::fs::{metadata, File};
use std::io::{BufReader, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;

/// What any file may unpack to, and for each of its bytes: gzip cannot do more than that.
const LEAST_LIMIT: u64 = 64 << 20;
const LIMIT_FOR_A_BYTE: u64 = 1032;
/// Of a Zstandard file: 128 MiB of what is behind are kept, as its own program does.
const WINDOW_LOG_MAX: u32 = 27;

pub struct CompressedFile {
    reader: Box<dyn Read>,
    format: &'static str,
    limit: u64,
    unpacked: u64,
}

impl CompressedFile {
    fn open(path: &OsStr, format: &str) -> Result<Self, String> {
        let found = metadata(path).map_err(|fault| fault.to_string())?;
        // A FIFO or a device would block or never end.
        if !found.is_file() {
            return Err("is not a file".into());
        }
        let file = BufReader::new(File::open(path).map_err(|fault| fault.to_string())?);
        let (format, reader): (_, Box<dyn Read>) = match format {
            "gzip" => ("gzip", Box::new(MultiGzDecoder::new(file))),
            "zstd" => ("zstd", Box::new(zstd_reader(file).map_err(|fault| fault.to_string())?)),
            other => return Err(format!("no compression is called {other:?}")),
        };
        let limit = LEAST_LIMIT.max(found.len().saturating_mul(LIMIT_FOR_A_BYTE));
        Ok(CompressedFile { reader, format, limit, unpacked: 0 })
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, String> {
        let count = loop {
            match self.reader.read(bytes) {
                Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
                Err(fault) if fault.kind() == ErrorKind::UnexpectedEof => {
                    return Err(format!("is compressed with {} and cut short", self.format));
                }
                Err(fault) => return Err(format!("is compressed with {} and damaged: {fault}", self.format)),
                Ok(count) => break count,
            }
        };
        self.unpacked += count as u64;
        if self.unpacked > self.limit {
            return Err(format!("unpacks to more than {} MiB, which is too much for its size", self.limit >> 20));
        }
        Ok(count)
    }
}

fn zstd_reader(file: BufReader<File>) -> std::io::Result<zstd::stream::read::Decoder<'static, BufReader<File>>> {
    let mut reader = zstd::stream::read::Decoder::with_buffer(file)?;
    reader.window_log_max(WINDOW_LOG_MAX)?;
    Ok(reader)
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_compressed_open(path: Text, format: Text, file: *mut *mut CompressedFile) -> OwnedText {
    guarded(|| {
        let opened = CompressedFile::open(OsStr::from_bytes(path.bytes()), format.utf8()?)?;
        *file = Box::into_raw(Box::new(opened));
        Ok(())
    })
}

/// `bytes` has room for `size` of them, all of which are initialised.
#[no_mangle]
pub unsafe extern "C" fn eqhf_compressed_read(
    file: &mut CompressedFile,
    bytes: *mut u8,
    size: usize,
    count: *mut usize,
) -> OwnedText {
    guarded(|| {
        *count = if size == 0 { 0 } else { file.read(std::slice::from_raw_parts_mut(bytes, size))? };
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_compressed_free(file: *mut CompressedFile) {
    if !file.is_null() {
        guarded_or((), || drop(Box::from_raw(file)));
    }
}
