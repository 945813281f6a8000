//! Rows of a Parquet file or an Arrow stream for C: JSON objects, one a line, some at a time. They are made on a thread whose
//! memory is bounded, a little ahead of whoever reads them.

use crate::boundary::{guarded, guarded_or, lent_slice, OwnedText, Text};
use crate::bounded::{BoundedThread, Limits};
use crate::row_batches::{Batches, Wanted};
use crate::row_json::{Rows, TooLong, LONGEST_ROW};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::mpsc::{channel, sync_channel, Receiver, Sender, SyncSender};
use std::time::Duration;

/// Of rows handed over at once: a few hundred short pairs.
const CHUNK_BYTES: usize = 256 << 10;
const CHUNKS_AHEAD: usize = 2;
/// Zero bytes behind every chunk, which whoever parses it may read.
const PADDING: usize = 64;
/// Twice what the longest rows can need; one column of one page of a hostile file could say that it needs 2 GiB.
const HEAP_BYTES: isize = 1 << 30;
/// Of one chunk.
const TIME: Duration = Duration::from_secs(120);
/// The library recurses over a schema, of which one level is 7 bytes of a footer at least; see MAX_FOOTER_BYTES.
const STACK_BYTES: usize = 1 << 30;

enum Message {
    /// A JSON list of the columns that are not read.
    Opened(String),
    Chunk(Chunk),
    End,
    Fault(String),
}

struct Chunk {
    json: Vec<u8>,
    /// Of the file, up to its last row.
    bytes_read: u64,
}

/// What the thread has.
struct Producer {
    messages: SyncSender<Message>,
    returned: Receiver<Vec<u8>>,
}

/// Why a producer stops early.
enum Stop {
    NobodyReads,
    Fault(String),
}

impl From<String> for Stop {
    fn from(fault: String) -> Self {
        Stop::Fault(fault)
    }
}

impl Producer {
    fn work(&self, path: &OsStr, wanted: &Wanted) {
        let last = match self.produce(path, wanted) {
            Ok(()) => Message::End,
            Err(Stop::Fault(fault)) => Message::Fault(fault),
            Err(Stop::NobodyReads) => return,
        };
        let _ = self.messages.send(last);
    }

    fn produce(&self, path: &OsStr, wanted: &Wanted) -> Result<(), Stop> {
        let mut batches = Batches::open(path, wanted)?;
        self.send(Message::Opened(serde_json::to_string(&batches.unread).unwrap_or_default()))?;
        let mut json = Vec::new();
        let mut rows_before = 0;
        while let Some(batch) = batches.next() {
            // Rows before the fault are read first.
            let batch = match batch {
                Ok(batch) => batch,
                Err(fault) => {
                    self.flush(&mut json, batches.bytes_read(rows_before))?;
                    return Err(Stop::Fault(fault));
                }
            };
            if let Err(fault) = batches.labels.check(&batch, rows_before) {
                self.flush(&mut json, batches.bytes_read(rows_before))?;
                return Err(Stop::Fault(fault));
            }
            let rows = Rows::new(&batch, &batches.labels);
            for row in 0..batch.num_rows() {
                let begin = json.len();
                if let Err(TooLong) = rows.append(row, &mut json) {
                    json.truncate(begin);
                    self.flush(&mut json, batches.bytes_read(rows_before + row))?;
                    let place = rows_before + row + 1;
                    return Err(Stop::Fault(format!("row {place} is longer than {LONGEST_ROW} bytes as JSON")));
                }
                json.push(b'\n');
                if json.len() >= CHUNK_BYTES {
                    self.flush(&mut json, batches.bytes_read(rows_before + row + 1))?;
                }
            }
            rows_before += batch.num_rows();
        }
        self.flush(&mut json, batches.bytes_read(rows_before))
    }

    /// Sends what there is; `json` is empty then.
    fn flush(&self, json: &mut Vec<u8>, bytes_read: u64) -> Result<(), Stop> {
        if json.is_empty() {
            return Ok(());
        }
        json.resize(json.len() + PADDING, 0);
        // Memory goes round: it stays this thread's.
        let mut next = self.returned.try_recv().unwrap_or_default();
        next.clear();
        self.send(Message::Chunk(Chunk { json: std::mem::replace(json, next), bytes_read }))
    }

    fn send(&self, message: Message) -> Result<(), Stop> {
        self.messages.send(message).map_err(|_| Stop::NobodyReads)
    }
}

pub struct OpenRows {
    thread: BoundedThread,
    messages: Receiver<Message>,
    returned: Sender<Vec<u8>>,
    lent: Vec<u8>,
    bytes_read: u64,
    ended: bool,
    unread: String,
}

impl OpenRows {
    fn open(path: OsString, wanted: Wanted) -> Result<Self, String> {
        let (sender, messages) = sync_channel(CHUNKS_AHEAD);
        let (returned, receiver) = channel();
        let limits = Limits { stack_bytes: STACK_BYTES, heap_bytes: HEAP_BYTES, time: TIME };
        let producer = Producer { messages: sender, returned: receiver };
        let thread = BoundedThread::spawn(limits, move || producer.work(&path, &wanted))?;
        match thread.receive(&messages)? {
            Message::Opened(unread) => {
                Ok(OpenRows { thread, messages, returned, lent: Vec::new(), bytes_read: 0, ended: false, unread })
            }
            Message::Fault(fault) => Err(fault),
            _ => Err("the library gave up".into()),
        }
    }

    /// Some rows, none at the end.
    fn next(&mut self) -> Result<&[u8], String> {
        // The thread may have ended; then nobody needs the memory.
        let _ = self.returned.send(std::mem::take(&mut self.lent));
        if self.ended {
            return Ok(&[]);
        }
        match self.thread.receive(&self.messages)? {
            Message::Chunk(chunk) => (self.lent, self.bytes_read) = (chunk.json, chunk.bytes_read),
            Message::Fault(fault) => return Err(fault),
            _ => self.ended = true,
        }
        Ok(&self.lent[..self.lent.len().saturating_sub(PADDING)])
    }
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_rows_open(
    path: Text,
    columns: *const Text,
    num_columns: usize,
    num_required: usize,
    rows: *mut *mut OpenRows,
) -> OwnedText {
    guarded(|| {
        let names: Result<Vec<String>, String> =
            lent_slice(columns, num_columns).iter().map(|name| name.utf8().map(str::to_string)).collect();
        let wanted = Wanted { columns: names?, required: num_required.min(num_columns) };
        let opened = OpenRows::open(OsStr::from_bytes(path.bytes()).to_os_string(), wanted)?;
        *rows = Box::into_raw(Box::new(opened));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_rows_next(rows: &mut OpenRows, json: *mut Text) -> OwnedText {
    guarded(|| {
        *json = Text::lend_bytes(rows.next()?);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_rows_free(rows: *mut OpenRows) {
    if !rows.is_null() {
        guarded_or((), || drop(Box::from_raw(rows)));
    }
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_rows_bytes_read(rows: &OpenRows) -> u64 {
    rows.bytes_read
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_rows_unread_columns(rows: &OpenRows) -> Text {
    Text::lend(&rows.unread)
}
