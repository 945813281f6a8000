//! Chat templates, rendered as transformers' `apply_chat_template` does it.
//!
//! A template comes with a model from somewhere, so it is bounded: by the size of its source, by fuel, which pays for
//! instructions and most bytes, and by the thread it runs on (chat_rendering.rs) where it finds work that takes no fuel.

use crate::python_json::{number_text, to_json};
use crate::python_time::Now;
use indexmap::IndexMap;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, Value};

/// Ten times the longest published template.
const MAX_SOURCE_BYTES: usize = 256 << 10;
/// Of one conversation. A long template takes some hundred steps a message, and a message has 30 bytes or more.
const FUEL_OF_A_CHAT: u64 = 250_000;
const FUEL_OF_A_BYTE: u64 = 2;

const NAME: &str = "chat_template";
/// Names a message's reasoning is given under; templates read the first two.
const REASONING_FIELDS: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

pub struct ChatTemplate {
    environment: Environment<'static>,
    variables: Value,
}

/// One rendering, in JSON; empty texts are none.
pub struct Chat {
    pub messages: String,
    pub more_messages: String,
    pub tools: String,
    pub variables: String,
    pub add_generation_prompt: bool,
}

impl ChatTemplate {
    pub fn new(source: &str, variables: &str, now: i64) -> Result<Self, String> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(format!("is {} bytes long, expected at most {MAX_SOURCE_BYTES}", source.len()));
        }
        let mut environment = environment(now)?;
        // Jinja's own reading of a source: a line may end in any way.
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        environment.add_template_owned(NAME, without_generation_tags(&source)).map_err(|fault| described(&fault))?;
        Ok(ChatTemplate { environment, variables: parsed(variables)? })
    }

    /// To render chats of up to `bytes` bytes.
    pub fn with_fuel_for(&self, bytes: usize) -> Self {
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(FUEL_OF_A_CHAT + FUEL_OF_A_BYTE.saturating_mul(bytes as u64)));
        ChatTemplate { environment, variables: self.variables.clone() }
    }

    pub fn fuel(&self) -> u64 {
        self.environment.fuel().unwrap_or_default()
    }

    pub fn render(&self, chat: &Chat) -> Result<String, String> {
        let own = [
            (Value::from("messages"), chat.messages()?),
            (Value::from("tools"), parsed(&chat.tools).map_err(|fault| format!("the tools: {fault}"))?),
            (Value::from("documents"), Value::from(())),
            (Value::from("add_generation_prompt"), Value::from(chat.add_generation_prompt)),
        ];
        let variables = parsed(&chat.variables).map_err(|fault| format!("the template's variables: {fault}"))?;
        let given = entries(&self.variables).into_iter().chain(entries(&variables));
        let template = self.environment.get_template(NAME).map_err(|fault| described(&fault))?;
        template.render(map(given.chain(own))).map_err(|fault| described(&fault))
    }
}

impl Chat {
    pub fn bytes(&self) -> usize {
        self.messages.len() + self.more_messages.len() + self.tools.len() + self.variables.len()
    }

    fn messages(&self) -> Result<Value, String> {
        let mut messages = Vec::new();
        for list in [&self.messages, &self.more_messages] {
            let list = parsed(list).map_err(|fault| format!("the messages: {fault}"))?;
            messages.extend(list.try_iter().into_iter().flatten().map(|value| message(&value)));
        }
        Ok(Value::from(messages))
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

fn described(fault: &Error) -> String {
    let mut text = match (fault.kind(), fault.detail()) {
        (ErrorKind::OutOfFuel, _) => "does more work than a chat template may".to_string(),
        (ErrorKind::InvalidOperation, Some(detail)) => detail.to_string(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    if let Some(line) = fault.line() {
        text = format!("line {line}: {text}");
    }
    text
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
