//! Chat templates for C: compiled and rendered where they can do no harm.

use crate::boundary::{guarded, guarded_or, lent_slice, OwnedText, Text};
use crate::bounded::{run, Limits};
use crate::chat_template::{Chat, ChatTemplate};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Chats on one bounded thread: enough that starting it costs nothing beside them.
const CHATS_AT_ONCE: usize = 16;
/// Of 16 conversations of the longest kind. All that a template should need is a thousandth of both.
const HEAP_BYTES: isize = 128 << 20;
const TIME: Duration = Duration::from_secs(60);
/// Two bytes of source are at most one level of the syntax tree, which takes less than 2 KiB of stack to read or evaluate.
const COMPILE_STACK_BYTES: usize = 256 << 20;
/// One level of a value takes 5 fuel or more, and less than 640 bytes of stack when it is printed, compared or dropped.
const RENDER_STACK_BYTES: usize = 256 << 20;
const STACK_BYTES_OF_FUEL: usize = 128;

/// JSON texts, of which all but one of the message lists may be empty.
#[repr(C)]
pub struct LentChat {
    messages: Text,
    more_messages: Text,
    tools: Text,
    variables: Text,
    add_generation_prompt: i32,
}

impl LentChat {
    /// # Safety
    /// The texts are lent for the length of the call.
    unsafe fn copy(&self) -> Result<Chat, String> {
        let copy = |text: &Text| text.utf8().map(str::to_string);
        Ok(Chat {
            messages: copy(&self.messages)?,
            more_messages: copy(&self.more_messages)?,
            tools: copy(&self.tools)?,
            variables: copy(&self.variables)?,
            add_generation_prompt: self.add_generation_prompt != 0,
        })
    }
}

/// The place of a chat and what is wrong with it.
type Failure = (usize, String);

/// Texts of some chats.
fn render_some(template: &ChatTemplate, chats: Vec<Chat>) -> Result<Vec<String>, Failure> {
    let template = template.with_fuel_for(chats.iter().map(Chat::bytes).max().unwrap_or_default());
    let limits = Limits {
        stack_bytes: RENDER_STACK_BYTES + STACK_BYTES_OF_FUEL * template.fuel() as usize,
        heap_bytes: HEAP_BYTES,
        time: TIME,
    };
    let at = Arc::new(AtomicUsize::new(0));
    let reached = at.clone();
    let work = move || {
        let mut texts = Vec::with_capacity(chats.len());
        for (place, chat) in chats.iter().enumerate() {
            reached.store(place, Ordering::Relaxed);
            texts.push(template.render(chat).map_err(|fault| (place, fault))?);
        }
        Ok(texts)
    };
    run(&limits, work).map_err(|fault| (at.load(Ordering::Relaxed), fault))?
}

/// Hands out chats by the dozen and takes their texts, for several threads at once.
struct Rendering<'a> {
    template: &'a ChatTemplate,
    chats: &'a [LentChat],
    next: AtomicUsize,
    done: Mutex<(Vec<String>, Option<Failure>)>,
}

impl Rendering<'_> {
    fn done(&self) -> MutexGuard<'_, (Vec<String>, Option<Failure>)> {
        self.done.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn work(&self) {
        loop {
            let begin = self.next.fetch_add(CHATS_AT_ONCE, Ordering::Relaxed);
            if begin >= self.chats.len() {
                return;
            }
            let part = &self.chats[begin..self.chats.len().min(begin + CHATS_AT_ONCE)];
            // Safety: the texts are lent for the length of the call.
            let copies: Result<Vec<Chat>, Failure> =
                part.iter().enumerate().map(|(i, chat)| unsafe { chat.copy() }.map_err(|fault| (i, fault))).collect();
            match copies.and_then(|chats| render_some(self.template, chats)) {
                Ok(texts) => self.done().0[begin..].iter_mut().zip(texts).for_each(|(place, text)| *place = text),
                Err((place, fault)) => return self.fail((begin + place, fault)),
            }
        }
    }

    /// No further chats are taken; of those that are being rendered the first that fails counts.
    fn fail(&self, failure: Failure) {
        self.next.store(self.chats.len(), Ordering::Relaxed);
        let first = &mut self.done().1;
        if first.as_ref().is_none_or(|(place, _)| failure.0 < *place) {
            *first = Some(failure);
        }
    }
}

fn render_all(template: &ChatTemplate, chats: &[LentChat], threads: usize) -> Result<Vec<String>, Failure> {
    let done = Mutex::new((vec![String::new(); chats.len()], None));
    let rendering = Rendering { template, chats, next: AtomicUsize::new(0), done };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(chats.len().div_ceil(CHATS_AT_ONCE)) {
            scope.spawn(|| rendering.work());
        }
        rendering.work();
    });
    match rendering.done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        (_, Some(failure)) => Err(failure),
        (texts, None) => Ok(texts),
    }
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_chat_template_new(
    source: Text,
    variables: Text,
    now: i64,
    template: *mut *mut ChatTemplate,
) -> OwnedText {
    guarded(|| {
        let (source, variables) = (source.utf8()?.to_string(), variables.utf8()?.to_string());
        let limits = Limits { stack_bytes: COMPILE_STACK_BYTES, heap_bytes: HEAP_BYTES, time: TIME };
        let made = run(&limits, move || ChatTemplate::new(&source, &variables, now))??;
        *template = Box::into_raw(Box::new(made));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_chat_template_free(template: *mut ChatTemplate) {
    if !template.is_null() {
        guarded_or((), || drop(Box::from_raw(template)));
    }
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_chat_template_render(
    template: &ChatTemplate,
    chats: *const LentChat,
    num_chats: usize,
    threads: usize,
    texts: *mut OwnedText,
    failed: *mut usize,
) -> OwnedText {
    guarded(|| match render_all(template, lent_slice(chats, num_chats), threads) {
        Ok(rendered) => {
            for (place, text) in rendered.into_iter().enumerate() {
                *texts.add(place) = OwnedText::new(text.into_bytes());
            }
            Ok(())
        }
        Err((place, fault)) => {
            *failed = place;
            Err(fault)
        }
    })
}
