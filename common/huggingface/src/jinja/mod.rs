//! Jinja2 as transformers sets it up for chat templates: its syntax, filters, tests and functions, with Python's values,
//! methods and texts. What a template may cost is bounded by fuel.

mod arguments;
mod arithmetic;
mod attributes;
mod budget;
mod calls;
mod comparison;
mod container_methods;
mod evaluation;
mod expressions;
mod fault;
mod functions;
mod interpreter;
mod json_reader;
mod json_text;
mod letters;
mod lexer;
mod list_filters;
mod number_filters;
mod number_format;
mod objects;
mod parser;
mod pretty_print;
mod printf;
mod runtime;
mod str_format;
mod syntax;
mod tests;
mod text;
mod text_filters;
mod text_methods;
mod text_parts;
mod text_wrap;
mod value;

pub use interpreter::render;
pub use parser::parse;
pub use syntax::Template;
pub use value::{Dict, Key, Value};
