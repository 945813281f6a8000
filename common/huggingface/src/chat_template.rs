//! Chat templates, rendered as transformers' `apply_chat_template` does it.
//!
//! A template comes with a model from somewhere, so it is bounded: by fuel, which pays for instructions and for bytes, by the
//! size of its source, and by stacks that hold the deepest values that the fuel can build.

use crate::boundary::{guarded, guarded_or, lent_slice, OwnedText, Text};
use crate::python_json::{number_text, to_json};
use crate::python_time::Now;
use indexmap::IndexMap;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, Value};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

/// Ten times the longest published template.
const MAX_SOURCE_BYTES: usize = 256 << 10;
/// Of one conversation. A long template takes some hundred steps a message, and a message has 30 bytes or more.
const FUEL_OF_A_CHAT: u64 = 250_000;
const FUEL_OF_A_BYTE: u64 = 2;
/// Two bytes of source are at most one level of the syntax tree, which takes less than 512 bytes of stack.
const COMPILE_STACK_BYTES: usize = 128 << 20;
/// One level of a value takes 1.4 fuel or more, and less than 700 bytes of stack when it is printed, compared or dropped.
const RENDER_STACK_BYTES: usize = 16 << 20;
const STACK_BYTES_OF_FUEL: usize = 512;

const NAME: &str = "chat_template";
/// Names a message's reasoning is given under; templates read the first two.
const REASONING_FIELDS: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

pub struct ChatTemplate {
    environment: Environment<'static>,
    variables: Value,
}

/// One rendering. JSON texts, of which all but one of the message lists may be empty.
#[repr(C)]
pub struct Chat {
    messages: Text,
    more_messages: Text,
    tools: Text,
    variables: Text,
    add_generation_prompt: i32,
}

// Safety: what the texts point to is lent for reading.
unsafe impl Sync for Chat {}

struct Input {
    messages: Value,
    tools: Value,
    variables: Value,
    add_generation_prompt: bool,
}

impl ChatTemplate {
    fn new(source: &str, variables: &str, now: i64) -> Result<Self, String> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(format!("is {} bytes long, expected at most {MAX_SOURCE_BYTES}", source.len()));
        }
        let mut environment = environment(now)?;
        // Jinja's own reading of a source: a line may end in any way.
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        environment.add_template_owned(NAME, without_generation_tags(&source)).map_err(|fault| one_line(&fault))?;
        Ok(ChatTemplate { environment, variables: parsed(variables)? })
    }

    fn render(&self, environment: &Environment, input: Input) -> Result<String, String> {
        let own = [
            (Value::from("messages"), input.messages),
            (Value::from("tools"), input.tools),
            (Value::from("documents"), Value::from(())),
            (Value::from("add_generation_prompt"), Value::from(input.add_generation_prompt)),
        ];
        let given = entries(&self.variables).into_iter().chain(entries(&input.variables));
        let template = environment.get_template(NAME).map_err(|fault| one_line(&fault))?;
        template.render(map(given.chain(own))).map_err(|fault| one_line(&fault))
    }
}

fn environment(now: i64) -> Result<Environment<'static>, String> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(|fault| fault.to_string())?);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // Floats as Python prints them; all else is so already.
    environment.set_formatter(|out, state, value| match value.kind() {
        ValueKind::Number if !value.is_integer() => Ok(out.write_str(&number_text(value))?),
        _ => minijinja::escape_formatter(out, state, value),
    });
    environment.set_unknown_method_callback(method);
    environment.add_filter("tojson", to_json);
    environment.add_test("iterable", is_iterable);
    environment.add_test("sequence", is_sequence);
    environment.add_function("raise_exception", raise_exception);
    let now = Now::new(now);
    environment.add_function("strftime_now", move |format: &str| now.format(format));
    Ok(environment)
}

fn raise_exception(message: &str) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.to_string()))
}

/// As in Python, where nothing can be iterated over, but what is not there can.
fn is_iterable(value: &Value) -> bool {
    is_sequence(value) || value.kind() == ValueKind::Iterable
}

/// What has a length and items by number or key in Python: texts and mappings too.
fn is_sequence(value: &Value) -> bool {
    value.is_undefined() || matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map)
}

/// Python's methods: minijinja's and a few that templates use besides.
fn method(state: &mut State, value: &Value, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    let text = value.as_str().zip(arguments.first().and_then(Value::as_str));
    match (name, text, arguments.len()) {
        ("removeprefix", Some((text, prefix)), 1) => Ok(Value::from(text.strip_prefix(prefix).unwrap_or(text))),
        ("removesuffix", Some((text, suffix)), 1) => Ok(Value::from(text.strip_suffix(suffix).unwrap_or(text))),
        _ => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, arguments),
    }
}

/// transformers' own block, which marks what the assistant says and prints its body.
fn without_generation_tags(source: &str) -> String {
    let mut result = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(begin) = rest.find("{%") {
        let (before, tag) = rest.split_at(begin);
        result.push_str(before);
        let end = tag.find("%}").map_or(tag.len(), |end| end + 2);
        let (tag, after) = tag.split_at(end);
        let inner = tag.trim_start_matches("{%").trim_end_matches("%}");
        match inner.trim_matches(|c: char| c == '-' || c == '+' || c.is_whitespace()) {
            "generation" => result.push_str(&tag.replace("generation", "if true")),
            "endgeneration" => result.push_str(&tag.replace("endgeneration", "endif")),
            _ => result.push_str(tag),
        }
        rest = after;
    }
    result + rest
}

fn one_line(fault: &Error) -> String {
    let mut text = match (fault.kind(), fault.detail()) {
        (ErrorKind::OutOfFuel, _) => "does more work than a chat template may".to_string(),
        (ErrorKind::InvalidOperation, Some(detail)) => detail.to_string(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    if let Some(line) = fault.line() {
        text = format!("line {line}: {text}");
    }
    text.replace(['\n', '\r'], " ")
}

/// Of several values of one key, the last.
fn map(entries: impl Iterator<Item = (Value, Value)>) -> Value {
    Value::from_object(entries.collect::<IndexMap<Value, Value>>())
}

fn entries(map: &Value) -> Vec<(Value, Value)> {
    let keys = map.try_iter().into_iter().flatten();
    keys.map(|key| (key.clone(), map.get_item(&key).unwrap_or_default())).collect()
}

fn parsed(json: &str) -> Result<Value, String> {
    if json.is_empty() {
        return Ok(Value::from(()));
    }
    serde_json::from_str(json).map_err(|fault| fault.to_string())
}

/// A message as templates see it: fields that are null are not there, and reasoning has the names they read.
fn message(value: &Value) -> Value {
    let fields = || entries(value).into_iter().filter(|(_, field)| !field.is_none());
    let field = |name: &&str| value.get_attr(name).ok().filter(|field| !field.is_none() && !field.is_undefined());
    let Some(reasoning) = REASONING_FIELDS.iter().find_map(field) else {
        return map(fields());
    };
    let before = [(Value::from("thinking"), reasoning.clone())];
    let after = [(Value::from("reasoning_content"), reasoning)];
    map(before.into_iter().chain(fields()).chain(after))
}

impl Input {
    unsafe fn read(chat: &Chat) -> Result<Self, String> {
        let mut messages = Vec::new();
        for list in [&chat.messages, &chat.more_messages] {
            let list = parsed(list.utf8()?).map_err(|fault| format!("the messages: {fault}"))?;
            messages.extend(list.try_iter().into_iter().flatten().map(|value| message(&value)));
        }
        Ok(Input {
            messages: Value::from(messages),
            tools: parsed(chat.tools.utf8()?).map_err(|fault| format!("the tools: {fault}"))?,
            variables: parsed(chat.variables.utf8()?).map_err(|fault| format!("the template's variables: {fault}"))?,
            add_generation_prompt: chat.add_generation_prompt != 0,
        })
    }

    fn bytes(chat: &Chat) -> u64 {
        let sizes = [chat.messages.size(), chat.more_messages.size(), chat.tools.size(), chat.variables.size()];
        sizes.iter().sum::<usize>() as u64
    }
}

/// Runs `work` on `threads` stacks of the given size at once.
fn on_stacks<T: Send>(threads: usize, bytes: usize, work: impl Fn() -> T + Sync) -> Result<Vec<T>, String> {
    std::thread::scope(|scope| {
        let started: Result<Vec<_>, _> = (0..threads.max(1))
            .map(|_| std::thread::Builder::new().stack_size(bytes).spawn_scoped(scope, &work))
            .collect();
        let started = started.map_err(|fault| format!("a thread with a stack of {bytes} bytes: {fault}"))?;
        started.into_iter().map(|thread| thread.join().map_err(|_| "the library gave up".to_string())).collect()
    })
}

/// Texts of all chats, or the place and the fault of the first that has one.
fn render_all(template: &ChatTemplate, chats: &[Chat], threads: usize) -> Result<Vec<String>, (usize, String)> {
    let most = chats.iter().map(Input::bytes).max().unwrap_or(0);
    let fuel = FUEL_OF_A_CHAT + FUEL_OF_A_BYTE.saturating_mul(most);
    let mut environment = template.environment.clone();
    environment.set_fuel(Some(fuel));
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<(usize, String)>> = Mutex::new(None);
    let lock = || failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let work = || {
        let mut texts = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(chat) = chats.get(place) else { return texts };
            // Safety: the texts are lent for the length of the call.
            match unsafe { Input::read(chat) }.and_then(|input| template.render(&environment, input)) {
                Ok(text) => texts.push((place, text)),
                Err(fault) => {
                    next.store(chats.len(), Ordering::Relaxed);
                    let mut failure = lock();
                    if failure.as_ref().is_none_or(|(first, _)| place < *first) {
                        *failure = Some((place, fault));
                    }
                    return texts;
                }
            }
        }
    };
    let stack = RENDER_STACK_BYTES + STACK_BYTES_OF_FUEL * fuel as usize;
    let parts = on_stacks(threads.min(chats.len()), stack, work).map_err(|fault| (0, fault))?;
    if let Some(failure) = failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        return Err(failure);
    }
    let mut texts = vec![String::new(); chats.len()];
    for (place, text) in parts.into_iter().flatten() {
        texts[place] = text;
    }
    Ok(texts)
}

#[no_mangle]
pub unsafe extern "C" fn eqhf_chat_template_new(
    source: Text,
    variables: Text,
    now: i64,
    template: *mut *mut ChatTemplate,
) -> OwnedText {
    guarded(|| {
        let (source, variables) = (source.utf8()?, variables.utf8()?);
        let made = on_stacks(1, COMPILE_STACK_BYTES, || ChatTemplate::new(source, variables, now))?;
        *template = Box::into_raw(Box::new(made.into_iter().next().ok_or("no thread")??));
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
    chats: *const Chat,
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
