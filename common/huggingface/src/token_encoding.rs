//! Many texts to token ids, on threads whose memory and time are bounded: what a tokenizer.json makes of a text is its own
//! choice, and no bound of tokenizer_parts.rs counts all of it.

use crate::boundary::{caught, Text};
use crate::bounded::{begin_task, BoundedThread, Limits};
use crate::tokenizer_parts::{part_name, take_fault, Encoder};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Handed to a thread at once: enough that handing them over costs nothing beside them.
const MOST_AT_ONCE: usize = 64;
/// Shares of a thread, so that all end at one time.
const SHARES: usize = 8;
/// The words a thread remembers, and a text: 300 bytes for each of its bytes where each letter is a word.
const HEAP_BYTES: isize = 512 << 20;
const HEAP_BYTES_OF_A_BYTE: isize = 1 << 10;
const STACK_BYTES: usize = 16 << 20;

/// The place of a text and what is wrong with it.
pub type Failure = (usize, String);
type Ids = Vec<i32>;

#[derive(Clone, Copy)]
pub struct Settings {
    pub threads: usize,
    pub add_special_tokens: bool,
    /// Of a processor, for one text.
    pub time: Duration,
}

fn encode(encoder: &Encoder, text: &str, add_special_tokens: bool) -> Result<Ids, String> {
    begin_task(HEAP_BYTES + HEAP_BYTES_OF_A_BYTE * text.len() as isize);
    take_fault();
    let encoding = caught(|| encoder.encode_fast(text, add_special_tokens))?;
    if let Some(fault) = take_fault() {
        return Err(fault);
    }
    let encoding = encoding.map_err(|fault| fault.to_string())?;
    let signed: Result<Ids, _> = encoding.get_ids().iter().map(|&id| i32::try_from(id)).collect();
    signed.map_err(|_| "a token id is above 2147483647".to_string())
}

/// A bounded thread that encodes what it is sent, and what is known of it.
struct EncodingThread {
    thread: BoundedThread,
    texts: Sender<Vec<String>>,
    ids: Receiver<Result<Vec<Ids>, Failure>>,
    at: Arc<AtomicUsize>,
}

impl EncodingThread {
    fn spawn(encoder: &Arc<Encoder>, settings: Settings) -> Result<Self, String> {
        let (texts, coming) = channel::<Vec<String>>();
        let (done, ids) = channel();
        let at = Arc::new(AtomicUsize::new(0));
        let (reached, encoder) = (at.clone(), encoder.clone());
        let work = move || {
            while let Ok(texts) = coming.recv() {
                let encode = |(place, text): (usize, &String)| {
                    reached.store(place, Ordering::Relaxed);
                    encode(&encoder, text, settings.add_special_tokens).map_err(|fault| (place, fault))
                };
                let result: Result<Vec<Ids>, Failure> = texts.iter().enumerate().map(encode).collect();
                if done.send(result).is_err() {
                    return;
                }
            }
        };
        let limits = Limits { stack_bytes: STACK_BYTES, heap_bytes: HEAP_BYTES, time: settings.time };
        Ok(EncodingThread { thread: BoundedThread::spawn(limits, work)?, texts, ids, at })
    }

    fn encode(&self, texts: Vec<String>) -> Result<Vec<Ids>, Failure> {
        // Where nobody takes them, nothing comes back.
        let _ = self.texts.send(texts);
        self.thread.receive(&self.ids).map_err(|fault| {
            let part = part_name(self.thread.place());
            (self.at.load(Ordering::Relaxed), format!("its {part} {fault} for this text"))
        })?
    }

    fn join(self) {
        drop(self.texts);
        self.thread.join();
    }
}

/// Hands out texts and takes their ids, for several threads at once.
struct Encoding<'a> {
    encoder: &'a Arc<Encoder>,
    texts: &'a [Text],
    settings: Settings,
    at_once: usize,
    next: AtomicUsize,
    done: Mutex<(Vec<Ids>, Option<Failure>)>,
}

impl Encoding<'_> {
    fn done(&self) -> MutexGuard<'_, (Vec<Ids>, Option<Failure>)> {
        self.done.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn work(&self) {
        let thread = match EncodingThread::spawn(self.encoder, self.settings) {
            Ok(thread) => thread,
            Err(fault) => return self.fail((0, fault)),
        };
        loop {
            let begin = self.next.fetch_add(self.at_once, Ordering::Relaxed);
            if begin >= self.texts.len() {
                return thread.join();
            }
            let part = &self.texts[begin..self.texts.len().min(begin + self.at_once)];
            match copied(part).and_then(|texts| thread.encode(texts)) {
                Ok(ids) => self.done().0[begin..].iter_mut().zip(ids).for_each(|(place, ids)| *place = ids),
                // The thread may be at it for ever, and has all that it needs.
                Err((place, fault)) => return self.fail((begin + place, fault)),
            }
        }
    }

    /// No further texts are taken; of those that are being encoded the first that fails counts.
    fn fail(&self, failure: Failure) {
        self.next.store(self.texts.len(), Ordering::Relaxed);
        let first = &mut self.done().1;
        if first.as_ref().is_none_or(|(place, _)| failure.0 < *place) {
            *first = Some(failure);
        }
    }
}

/// A thread that never ends would read what is lent for this call alone.
fn copied(texts: &[Text]) -> Result<Vec<String>, Failure> {
    let copy = |(place, text): (usize, &Text)| {
        // Safety: the texts are lent for the length of the call.
        let text = unsafe { text.utf8() };
        text.map(str::to_string).map_err(|fault| (place, format!("the text {fault}")))
    };
    texts.iter().enumerate().map(copy).collect()
}

/// The ids of each text, in order.
pub fn encode_all(encoder: &Arc<Encoder>, texts: &[Text], settings: Settings) -> Result<Vec<Ids>, Failure> {
    let at_once = (texts.len() / (SHARES * settings.threads.max(1))).clamp(1, MOST_AT_ONCE);
    let done = Mutex::new((vec![Ids::new(); texts.len()], None));
    let encoding = Encoding { encoder, texts, settings, at_once, next: AtomicUsize::new(0), done };
    std::thread::scope(|scope| {
        for _ in 1..settings.threads.min(texts.len().div_ceil(at_once)) {
            scope.spawn(|| encoding.work());
        }
        if !texts.is_empty() {
            encoding.work();
        }
    });
    match encoding.done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        (_, Some(failure)) => Err(failure),
        (ids, None) => Ok(ids),
    }
}
