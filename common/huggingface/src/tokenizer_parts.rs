//! What a tokenizer.json rewrites and splits a text with, where the library's own would work without end or fail in silence.
//!
//! The library takes a search that gives up for one that finds nothing, passes over what a normalizer says while it encodes,
//! and lets a text grow as it likes. Here a search that takes too many steps is a fault, and so is a text that grows too much;
//! all else is the library's own. Memory and time, which these bounds do not count, are those of token_encoding.rs.

use crate::bounded::enter;
use fancy_regex::{Regex, RegexBuilder};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::cell::RefCell;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{NormalizerWrapper, Replace};
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::tokenizer::pattern::{Invert, Pattern};
use tokenizers::{DecoderWrapper, Encoding, ModelWrapper, PostProcessor, PostProcessorWrapper, TokenizerImpl};
use tokenizers::{NormalizedString, Normalizer, Offsets, PreTokenizedString, PreTokenizer, SplitDelimiterBehavior};

/// A tokenizer.json, read.
pub type Encoder =
    TokenizerImpl<ModelWrapper, BoundedNormalizer, BoundedPreTokenizer, WatchedPostProcessor, DecoderWrapper>;

/// Of one search. A pattern that finds nothing in 1 MiB of text takes some steps for each byte of it.
const STEPS_BACK: usize = 16 << 20;
/// A character of one byte may become one of three, and a ligature 18 letters.
const GROWTH: usize = 32;
/// What is put before a text is not to count.
const GROWTH_OF_ANY: usize = 64 << 10;
/// Of a pattern in a message.
const SHOWN_CHARS: usize = 80;

/// Places of a bounded thread while it encodes.
const ELSEWHERE: usize = 0;
const NORMALIZER: usize = 1;
const PRE_TOKENIZER: usize = 2;
const POST_PROCESSOR: usize = 3;

pub fn part_name(place: usize) -> &'static str {
    match place {
        NORMALIZER => "normalizer",
        PRE_TOKENIZER => "pre_tokenizer",
        POST_PROCESSOR => "post_processor",
        _ => "model",
    }
}

thread_local! {
    /// The first thing that went wrong since the last take_fault().
    static FAULT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What the library passed over.
pub fn take_fault() -> Option<String> {
    FAULT.take()
}

fn has_failed() -> bool {
    FAULT.with_borrow(Option::is_some)
}

fn noted(fault: tokenizers::Error) -> tokenizers::Error {
    FAULT.with_borrow_mut(|first| _ = first.get_or_insert_with(|| fault.to_string()));
    fault
}

fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if shown.len() < text.len() { "..." } else { "" };
    format!("{shown:?}{more}")
}

/// The pattern of a part.
pub struct Search {
    regex: Regex,
    /// `Split of "\\s+"`
    part: String,
}

impl Search {
    fn new(part: &str, pattern: &str, is_regex: bool) -> Result<Self, String> {
        let source = if is_regex { pattern.into() } else { fancy_regex::escape(pattern) };
        let regex = RegexBuilder::new(&source).backtrack_limit(STEPS_BACK).build().map_err(|fault| fault.to_string())?;
        Ok(Search { regex, part: format!("{part} of {}", quoted(pattern)) })
    }
}

impl Pattern for &Search {
    fn find_matches(&self, inside: &str) -> tokenizers::Result<Vec<(Offsets, bool)>> {
        (&self.regex).find_matches(inside).map_err(|fault| {
            format!(
                "its {} takes too much work: one search may take {STEPS_BACK} steps back, and has given up: {fault}",
                self.part
            )
            .into()
        })
    }
}

/// A search whose matches are to be replaced, and what the text may then have.
struct Growing<'a> {
    search: &'a Search,
    content_bytes: usize,
    bound: Bound,
}

impl Pattern for Growing<'_> {
    fn find_matches(&self, inside: &str) -> tokenizers::Result<Vec<(Offsets, bool)>> {
        let matches = self.search.find_matches(inside)?;
        let bytes = |&((begin, end), is_match): &(Offsets, bool)| if is_match { self.content_bytes } else { end - begin };
        self.bound.check(matches.iter().map(bytes).sum(), &self.search.part)?;
        Ok(matches)
    }
}

/// How long a text may become.
#[derive(Clone, Copy)]
struct Bound {
    text_bytes: usize,
}

impl Bound {
    fn check(self, bytes: usize, part: &str) -> tokenizers::Result<()> {
        let most = GROWTH_OF_ANY + GROWTH * self.text_bytes;
        if bytes <= most {
            return Ok(());
        }
        let text_bytes = self.text_bytes;
        Err(format!("its {part} makes {bytes} bytes of a text of {text_bytes}, expected at most {most}").into())
    }
}

pub enum BoundedNormalizer {
    Sequence(Vec<BoundedNormalizer>),
    Replace { search: Search, content: String },
    Other(NormalizerWrapper),
}

impl BoundedNormalizer {
    fn apply(&self, text: &mut NormalizedString, bound: Bound) -> tokenizers::Result<()> {
        match self {
            Self::Sequence(parts) => parts.iter().try_for_each(|part| part.apply(text, bound)),
            Self::Replace { search, content } => {
                text.replace(Growing { search, content_bytes: content.len(), bound }, content)
            }
            Self::Other(part) => {
                part.normalize(text)?;
                bound.check(text.get().len(), "normalizer")
            }
        }
    }
}

impl Normalizer for BoundedNormalizer {
    fn normalize(&self, text: &mut NormalizedString) -> tokenizers::Result<()> {
        if has_failed() {
            return Ok(()); // of an earlier piece of the text, which is refused anyhow
        }
        enter(NORMALIZER);
        let bound = Bound { text_bytes: text.len_original() };
        let result = self.apply(text, bound).map_err(noted);
        enter(ELSEWHERE);
        result
    }
}

impl TryFrom<NormalizerWrapper> for BoundedNormalizer {
    type Error = String;

    fn try_from(part: NormalizerWrapper) -> Result<Self, String> {
        Ok(match part {
            NormalizerWrapper::Sequence(parts) => {
                Self::Sequence(parts.into_iter().map(Self::try_from).collect::<Result<_, _>>()?)
            }
            NormalizerWrapper::Replace(part) => {
                let search = match pattern_of(&part)? {
                    ReplacePattern::String(pattern) => Search::new("Replace", &pattern, false),
                    ReplacePattern::Regex(pattern) => Search::new("Replace", &pattern, true),
                };
                Self::Replace { search: search?, content: part.content }
            }
            part => Self::Other(part),
        })
    }
}

/// The library shows it as JSON alone.
fn pattern_of(part: &Replace) -> Result<ReplacePattern, String> {
    let mut json = serde_json::to_value(part).map_err(|fault| fault.to_string())?;
    serde_json::from_value(json["pattern"].take()).map_err(|fault| fault.to_string())
}

impl<'de> Deserialize<'de> for BoundedNormalizer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NormalizerWrapper::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

pub enum BoundedPreTokenizer {
    Sequence(Vec<BoundedPreTokenizer>),
    Split { search: Search, behavior: SplitDelimiterBehavior, invert: bool },
    Other(PreTokenizerWrapper),
}

impl BoundedPreTokenizer {
    fn apply(&self, text: &mut PreTokenizedString) -> tokenizers::Result<()> {
        match self {
            Self::Sequence(parts) => parts.iter().try_for_each(|part| part.apply(text)),
            Self::Split { search, behavior, invert: true } => {
                text.split(|_, piece| piece.split(Invert(search), *behavior))
            }
            Self::Split { search, behavior, invert: false } => text.split(|_, piece| piece.split(search, *behavior)),
            Self::Other(part) => part.pre_tokenize(text),
        }
    }
}

impl PreTokenizer for BoundedPreTokenizer {
    fn pre_tokenize(&self, text: &mut PreTokenizedString) -> tokenizers::Result<()> {
        if has_failed() {
            return Err("its normalizer has failed".into());
        }
        enter(PRE_TOKENIZER);
        let result = self.apply(text).map_err(noted);
        enter(ELSEWHERE);
        result
    }
}

impl TryFrom<PreTokenizerWrapper> for BoundedPreTokenizer {
    type Error = String;

    fn try_from(part: PreTokenizerWrapper) -> Result<Self, String> {
        Ok(match part {
            PreTokenizerWrapper::Sequence(parts) => {
                Self::Sequence(parts.into_iter().map(Self::try_from).collect::<Result<_, _>>()?)
            }
            PreTokenizerWrapper::Split(Split { pattern, behavior, invert, .. }) => {
                let search = match &pattern {
                    SplitPattern::String(pattern) => Search::new("Split", pattern, false),
                    SplitPattern::Regex(pattern) => Search::new("Split", pattern, true),
                };
                Self::Split { search: search?, behavior, invert }
            }
            part => Self::Other(part),
        })
    }
}

impl<'de> Deserialize<'de> for BoundedPreTokenizer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PreTokenizerWrapper::deserialize(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

/// The library's own: it may repeat a text as often as it likes, which takes memory and time alone.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct WatchedPostProcessor(PostProcessorWrapper);

impl PostProcessor for WatchedPostProcessor {
    fn added_tokens(&self, is_pair: bool) -> usize {
        self.0.added_tokens(is_pair)
    }

    fn process_encodings(&self, encodings: Vec<Encoding>, add_special_tokens: bool) -> tokenizers::Result<Vec<Encoding>> {
        enter(POST_PROCESSOR);
        let result = self.0.process_encodings(encodings, add_special_tokens);
        enter(ELSEWHERE);
        result
    }
}
