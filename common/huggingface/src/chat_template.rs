//! Chat templates, rendered as transformers' `apply_chat_template` does it.
//!
//! A template comes with a model from somewhere, so it is bounded: by the size of its source, by fuel, which pays for
//! instructions and most bytes, and by the thread it runs on (chat_rendering.rs) where it finds work that takes no fuel.

use crate::jinja::{parse, render, Dict, Key, Template, Value};
use crate::python_time::Now;
use std::rc::Rc;
use std::sync::Arc;

/// Ten times the longest published template.
const MAX_SOURCE_BYTES: usize = 256 << 10;
/// Of one conversation. A long template takes some hundred steps a message, and a message has 30 bytes or more.
const FUEL_OF_A_CHAT: u64 = 250_000;
const FUEL_OF_A_BYTE: u64 = 2;

/// Names a message's reasoning is given under; templates read the first two.
const REASONING_FIELDS: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

#[derive(Clone)]
pub struct ChatTemplate {
    template: Arc<Template>,
    /// JSON object.
    variables: Arc<str>,
    now: Now,
    fuel: u64,
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
        // Jinja's own reading of a source: a line may end in any way.
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        let template = parse(&source).map_err(|fault| fault.described())?;
        entries(variables).map_err(|fault| format!("the template's variables: {fault}"))?;
        Ok(ChatTemplate { template: Arc::new(template), variables: variables.into(), now: Now::new(now), fuel: FUEL_OF_A_CHAT })
    }

    /// To render chats of up to `bytes` bytes.
    pub fn with_fuel_for(&self, bytes: usize) -> Self {
        let fuel = FUEL_OF_A_CHAT + FUEL_OF_A_BYTE.saturating_mul(bytes as u64);
        ChatTemplate { fuel, ..self.clone() }
    }

    pub fn fuel(&self) -> u64 {
        self.fuel
    }

    pub fn render(&self, chat: &Chat) -> Result<String, String> {
        let mut variables = entries(&self.variables)?;
        variables.extend(entries(&chat.variables).map_err(|fault| format!("the template's variables: {fault}"))?);
        let tools = parsed(&chat.tools).map_err(|fault| format!("the tools: {fault}"))?;
        let own = [
            ("messages", chat.messages()?),
            ("tools", tools),
            ("documents", Value::None),
            ("add_generation_prompt", Value::Bool(chat.add_generation_prompt)),
        ];
        variables.extend(own.map(|(name, value)| (Key::text(name), value)));
        render(&self.template, &variables, self.now, self.fuel).map_err(|fault| fault.described())
    }
}

impl Chat {
    pub fn bytes(&self) -> usize {
        self.messages.len() + self.more_messages.len() + self.tools.len() + self.variables.len()
    }

    fn messages(&self) -> Result<Value, String> {
        let mut messages = Vec::new();
        for list in [&self.messages, &self.more_messages] {
            if let Value::List(list) = parsed(list).map_err(|fault| format!("the messages: {fault}"))? {
                messages.extend(list.iter().map(message));
            }
        }
        Ok(Value::list(messages))
    }
}

/// Of an object, or of nothing.
fn entries(json: &str) -> Result<Dict, String> {
    Ok(match parsed(json)? {
        Value::Dict(dict) => Rc::unwrap_or_clone(dict),
        _ => Dict::new(),
    })
}

fn parsed(json: &str) -> Result<Value, String> {
    if json.is_empty() {
        return Ok(Value::None);
    }
    serde_json::from_str(json).map_err(|fault| fault.to_string())
}

/// A message as templates see it: fields that are null are not there, and reasoning has the names they read.
fn message(value: &Value) -> Value {
    let Value::Dict(fields) = value else { return value.clone() };
    let given = |name: &&str| fields.get(*name).filter(|field| !matches!(field, Value::None));
    let reasoning = REASONING_FIELDS.iter().find_map(given);
    let mut seen = Dict::new();
    seen.extend(reasoning.map(|reasoning| (Key::text("thinking"), reasoning.clone())));
    let fields = fields.iter().filter(|(_, field)| !matches!(field, Value::None));
    seen.extend(fields.map(|(name, field)| (name.clone(), field.clone())));
    seen.extend(reasoning.map(|reasoning| (Key::text("reasoning_content"), reasoning.clone())));
    Value::Dict(Rc::new(seen))
}
