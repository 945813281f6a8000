//! Files compressed with gzip or Zstandard for C, unpacked a piece at a time.

use crate::boundary::{guarded, guarded_or, OwnedText, Text};
use flate2::bufread::GzDecoder;
use std::ffi::OsStr;
use std::fs::{metadata, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek};
use std::os::unix::ffi::OsStrExt;
use zstd::stream::read::Decoder as ZstdDecoder;

/// What any file may unpack to, and for each of its bytes: gzip cannot do more than that.
const LEAST_LIMIT: u64 = 64 << 20;
const LIMIT_FOR_A_BYTE: u64 = 1032;
/// Of a Zstandard file: 128 MiB of what is behind are kept, as its own program does.
const WINDOW_LOG_MAX: u32 = 27;
/// What a part of a file is told by.
const MAGIC_BYTES: u64 = 4;

type Source = BufReader<File>;

#[derive(Clone, Copy)]
enum Format {
    Gzip,
    Zstd,
}

impl Format {
    fn named(name: &str) -> Result<Self, String> {
        match name {
            "gzip" => Ok(Format::Gzip),
            "zstd" => Ok(Format::Zstd),
            other => Err(format!("no compression is called {other:?}")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Format::Gzip => "gzip",
            Format::Zstd => "zstd",
        }
    }

    /// Whether a part begins with these bytes; one of Zstandard may be a frame that unpacks to nothing.
    fn begins_with(self, start: &[u8]) -> bool {
        match self {
            Format::Gzip => start.starts_with(b"\x1F\x8B"),
            Format::Zstd => {
                let is_skipped = start.len() == 4 && start[0] & 0xF0 == 0x50 && start[1..] == *b"\x2A\x4D\x18";
                start.starts_with(b"\x28\xB5\x2F\xFD") || is_skipped
            }
        }
    }

    fn part(self, source: Source) -> io::Result<Part> {
        match self {
            Format::Gzip => Ok(Part::Gzip(GzDecoder::new(source))),
            Format::Zstd => {
                let mut reader = ZstdDecoder::with_buffer(source)?.single_frame();
                reader.window_log_max(WINDOW_LOG_MAX)?;
                Ok(Part::Zstd(reader))
            }
        }
    }

    fn fault(self, fault: &io::Error) -> String {
        let format = self.name();
        match fault.kind() {
            ErrorKind::UnexpectedEof => format!("is compressed with {format} and cut short"),
            _ => format!("is compressed with {format} and damaged: {fault}"),
        }
    }
}

/// One of the parts that follow each other in a file: a member of gzip, a frame of Zstandard.
enum Part {
    Gzip(GzDecoder<Source>),
    Zstd(ZstdDecoder<'static, Source>),
    None,
}

impl Part {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Part::Gzip(reader) => reader.read(bytes),
            Part::Zstd(reader) => reader.read(bytes),
            Part::None => Ok(0),
        }
    }

    fn source(&mut self) -> Option<&mut Source> {
        match self {
            Part::Gzip(reader) => Some(reader.get_mut()),
            Part::Zstd(reader) => Some(reader.get_mut()),
            Part::None => None,
        }
    }

    fn into_source(self) -> Option<Source> {
        match self {
            Part::Gzip(reader) => Some(reader.into_inner()),
            Part::Zstd(reader) => Some(reader.finish()),
            Part::None => None,
        }
    }
}

pub struct CompressedFile {
    part: Part,
    format: Format,
    size: u64,
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
        let format = Format::named(format)?;
        let source = BufReader::new(File::open(path).map_err(|fault| fault.to_string())?);
        let part = format.part(source).map_err(|fault| fault.to_string())?;
        let limit = LEAST_LIMIT.max(found.len().saturating_mul(LIMIT_FOR_A_BYTE));
        Ok(CompressedFile { part, format, size: found.len(), limit, unpacked: 0 })
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, String> {
        let count = loop {
            match self.part.read(bytes) {
                Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
                Err(fault) => return Err(self.format.fault(&fault)),
                Ok(0) if self.begin_next_part()? => {}
                Ok(count) => break count,
            }
        };
        self.unpacked += count as u64;
        if self.unpacked > self.limit {
            return Err(format!("unpacks to more than {} MiB, which is too much for its size", self.limit >> 20));
        }
        Ok(count)
    }

    /// Of the file itself, all of it at the end.
    fn bytes_read(&mut self) -> u64 {
        let position = self.part.source().map(|source| source.stream_position());
        position.and_then(Result::ok).unwrap_or(self.size)
    }

    /// False at the end of the file. Zeros between parts and behind the last one are what programs that write whole blocks fill
    /// them up with; anything else may be rows that were appended, and is not left out without a word.
    fn begin_next_part(&mut self) -> Result<bool, String> {
        let Some(mut source) = std::mem::replace(&mut self.part, Part::None).into_source() else {
            return Ok(false);
        };
        let end = source.stream_position().map_err(|fault| fault.to_string())?;
        let start = start_behind_zeros(&mut source).map_err(|fault| self.format.fault(&fault))?;
        if start.is_empty() {
            return Ok(false);
        }
        if !self.format.begins_with(&start) {
            let (count, format) = (self.size.saturating_sub(end), self.format.name());
            return Err(format!(
                "holds {count} bytes behind what is compressed with {format} that are not {format} themselves, expected \
                 none, or zeros: head -c {end} FILE > NEW cuts them off"
            ));
        }
        self.part = self.format.part(source).map_err(|fault| fault.to_string())?;
        Ok(true)
    }
}

/// Passes over zeros and looks at the first bytes behind them; empty at the end of the file.
fn start_behind_zeros(source: &mut Source) -> io::Result<Vec<u8>> {
    loop {
        let bytes = source.fill_buf()?;
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        let is_all = zeros == bytes.len();
        source.consume(zeros);
        if zeros == 0 || !is_all {
            break;
        }
    }
    let mut start = Vec::new();
    source.by_ref().take(MAGIC_BYTES).read_to_end(&mut start)?;
    source.seek_relative(-(start.len() as i64))?;
    Ok(start)
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
pub unsafe extern "C" fn eqhf_compressed_bytes_read(file: &mut CompressedFile) -> u64 {
    guarded_or(0, || file.bytes_read())
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_compressed_free(file: *mut CompressedFile) {
    if !file.is_null() {
        guarded_or((), || drop(Box::from_raw(file)));
    }
}
