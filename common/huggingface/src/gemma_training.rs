//! Byte-pair merges learnt from text, in Gemma's layout.
//!
//! The merges are learnt here and not by the library's BpeTrainer: that one walks hash maps with a random seed, and where the
//! same token arises from two pairs its queue holds a pair twice, so that ties, and with them the file, may differ between
//! two runs. Model, normaliser, decoder and file format are the library's.

use crate::boundary::{guarded, lent_slice, Owned, OwnedText, Text};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::{c_int, c_void};
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::Replace;
use tokenizers::pre_tokenizers::split::Split;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

const SPECIAL_TOKENS: [&str; 5] = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"];
const BOS_ID: u32 = 2;
const SPACE: char = '▁';
/// Rarer than this, a pair is a word's accident and not a piece of the language.
const MIN_PAIR_COUNT: i64 = 2;
/// Enough for the letters, digits and marks of one script, even where the vocabulary is small.
const MIN_ALPHABET: usize = 128;
/// How far it is, is told after so many.
const TEXTS_BETWEEN: usize = 256;
const MERGES_BETWEEN: usize = 16;

type Id = u32;
type Pair = (Id, Id);

#[no_mangle]
pub unsafe extern "C" fn eqhf_train_gemma_tokenizer(
    texts: *const Text,
    num_texts: usize,
    vocab_size: usize,
    watcher: Watcher,
    json: *mut OwnedText,
) -> OwnedText {
    guarded(|| {
        let texts: Result<Vec<&str>, String> = lent_slice(texts, num_texts)
            .iter()
            .enumerate()
            .map(|(i, text)| text.utf8().map_err(|fault| format!("text {i} {fault}")))
            .collect();
        let trained = train(&texts?, vocab_size, watcher).map_err(|fault| fault.to_string())?;
        *json = Owned::new(trained.into_bytes());
        Ok(())
    })
}

/// Who is told how far the training is, and may end it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Watcher {
    /// Not 0: it is to end.
    told: Option<unsafe extern "C" fn(*mut c_void, c_int, f64) -> c_int>,
    context: *mut c_void,
}

#[derive(Clone, Copy)]
enum Part {
    Words = 0,
    Merges = 1,
}

impl Watcher {
    fn tell(self, part: Part, done: usize, total: usize) -> Result<(), String> {
        let share = done as f64 / total.max(1) as f64;
        // Safety: whoever asked for the training has given both for as long as it lasts.
        let is_to_end = self.told.is_some_and(|told| unsafe { told(self.context, part as c_int, share) } != 0);
        if is_to_end { Err("it was ended".into()) } else { Ok(()) }
    }
}

fn train(texts: &[&str], vocab_size: usize, watcher: Watcher) -> tokenizers::Result<String> {
    let mut words: BTreeMap<String, i64> = BTreeMap::new();
    for (i, text) in texts.iter().enumerate() {
        if i % TEXTS_BETWEEN == 0 {
            watcher.tell(Part::Words, i, texts.len())?;
        }
        for word in split_words(&text.replace(' ', &SPACE.to_string())) {
            *words.entry(word).or_default() += 1;
        }
    }
    let mut tokens: Vec<String> = SPECIAL_TOKENS.iter().map(|token| token.to_string()).collect();
    tokens.extend((0..=255u8).map(|byte| format!("<0x{byte:02X}>")));
    let room = vocab_size.saturating_sub(tokens.len());
    let alphabet = choose_alphabet(&words, (room / 2).max(room.min(MIN_ALPHABET)));
    let first_letter = tokens.len() as Id;
    tokens.extend(alphabet.iter().map(char::to_string));

    let letter_ids: HashMap<char, Id> = alphabet.iter().copied().zip(first_letter..).collect();
    let pieces = words.iter().flat_map(|(word, &count)| spell(word, &letter_ids).map(move |ids| (ids, count)));
    let merges = learn_merges(pieces.collect(), &mut tokens, vocab_size, watcher)?;
    assemble(tokens, merges)
}

/// Cuts before a space, at a change between letters and others, and around every digit and mark. So an answer's "B" is the same
/// token after a newline, before a full stop and alone, and no token spans the end of a prompt and the start of its answer.
fn split_words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut previous = None;
    for c in text.chars() {
        let joins = c.is_alphabetic() && previous.is_some_and(|p: char| p.is_alphabetic() || p == SPACE);
        match words.last_mut() {
            Some(word) if joins => word.push(c),
            _ => words.push(c.to_string()),
        }
        previous = Some(c);
    }
    words
}

/// The `limit` most frequent characters, ties by code point, in order of code point; the space always.
fn choose_alphabet(words: &BTreeMap<String, i64>, limit: usize) -> BTreeSet<char> {
    let mut counts: BTreeMap<char, i64> = BTreeMap::new();
    for (word, count) in words {
        for c in word.chars() {
            *counts.entry(c).or_default() += count;
        }
    }
    counts.insert(SPACE, i64::MAX);
    let mut by_count: Vec<(char, i64)> = counts.into_iter().collect();
    by_count.sort_by_key(|&(c, count)| (Reverse(count), c));
    by_count.into_iter().take(limit).map(|(c, _)| c).collect()
}

/// The word in ids of letters, cut where a character is not in the alphabet.
fn spell<'a>(word: &'a str, letter_ids: &'a HashMap<char, Id>) -> impl Iterator<Item = Vec<Id>> + 'a {
    word.split(|c| !letter_ids.contains_key(&c))
        .filter(|part| !part.is_empty())
        .map(|part| part.chars().map(|c| letter_ids[&c]).collect())
}

/// Merges the most frequent pair (ties: the smaller ids) until the vocabulary is full or no pair is frequent.
/// Appends the new tokens to `tokens`.
fn learn_merges(
    mut words: Vec<(Vec<Id>, i64)>,
    tokens: &mut Vec<String>,
    vocab_size: usize,
    watcher: Watcher,
) -> Result<Vec<Pair>, String> {
    let first = tokens.len();
    let mut known: HashMap<String, Id> = tokens.iter().cloned().zip(0..).collect();
    let mut pairs = PairCounts::default();
    for (index, (ids, count)) in words.iter().enumerate() {
        pairs.add_word(index, ids, *count);
    }
    let mut merges = Vec::new();
    while tokens.len() < vocab_size {
        if merges.len() % MERGES_BETWEEN == 0 {
            watcher.tell(Part::Merges, tokens.len() - first, vocab_size - first)?;
        }
        let Some(pair) = pairs.most_frequent() else { break };
        let text = format!("{}{}", tokens[pair.0 as usize], tokens[pair.1 as usize]);
        let merged = *known.entry(text).or_insert_with_key(|text| {
            tokens.push(text.clone());
            (tokens.len() - 1) as Id
        });
        merges.push(pair);
        for index in pairs.words_with(pair) {
            let (ids, count) = &mut words[index];
            pairs.add_word(index, ids, -*count);
            *ids = merge_pair(ids, pair, merged);
            pairs.add_word(index, ids, *count);
        }
    }
    Ok(merges)
}

fn merge_pair(ids: &[Id], pair: Pair, merged: Id) -> Vec<Id> {
    let mut result = Vec::with_capacity(ids.len());
    let mut i = 0;
    while i < ids.len() {
        let here = i + 1 < ids.len() && (ids[i], ids[i + 1]) == pair;
        result.push(if here { merged } else { ids[i] });
        i += if here { 2 } else { 1 };
    }
    result
}

/// How often each pair of neighbours occurs, and in which words it may.
#[derive(Default)]
struct PairCounts {
    counts: HashMap<Pair, i64>,
    by_count: BTreeSet<(i64, Reverse<Pair>)>,
    seen_in: HashMap<Pair, HashSet<usize>>,
}

impl PairCounts {
    fn add_word(&mut self, index: usize, ids: &[Id], count: i64) {
        for pair in ids.windows(2).map(|window| (window[0], window[1])) {
            let total = self.counts.entry(pair).or_default();
            self.by_count.remove(&(*total, Reverse(pair)));
            *total += count;
            self.by_count.insert((*total, Reverse(pair)));
            self.seen_in.entry(pair).or_default().insert(index);
        }
    }

    fn most_frequent(&self) -> Option<Pair> {
        self.by_count.last().filter(|(count, _)| *count >= MIN_PAIR_COUNT).map(|(_, Reverse(pair))| *pair)
    }

    fn words_with(&mut self, pair: Pair) -> HashSet<usize> {
        self.seen_in.remove(&pair).unwrap_or_default()
    }
}

/// The tokenizer.json, as Gemma's: spaces become "▁", <bos> is prepended, unknown characters fall back to bytes.
fn assemble(tokens: Vec<String>, merges: Vec<Pair>) -> tokenizers::Result<String> {
    let spelled = |id: Id| tokens[id as usize].clone();
    let merges: Vec<(String, String)> = merges.into_iter().map(|(a, b)| (spelled(a), spelled(b))).collect();
    let vocab: tokenizers::models::bpe::Vocab = tokens.iter().cloned().zip(0..).collect();
    let model = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .unk_token("<unk>".into())
        .fuse_unk(true)
        .byte_fallback(true)
        .build()?;
    let decoder = Sequence::new(vec![
        Replace::new(SPACE.to_string(), " ")?.into(),
        ByteFallback::new().into(),
        Fuse::new().into(),
    ]);
    let template = TemplateProcessing::builder()
        .try_single("<bos>:0 $A:0")?
        .try_pair("<bos>:0 $A:0 <bos>:1 $B:1")?
        .special_tokens(vec![("<bos>", BOS_ID)])
        .build()?;

    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_normalizer(Some(Replace::new(" ", SPACE.to_string())?))?;
    tokenizer.with_pre_tokenizer(Some(Split::new(" ", SplitDelimiterBehavior::MergedWithPrevious, false)?));
    tokenizer.with_post_processor(Some(template));
    tokenizer.with_decoder(Some(decoder));
    tokenizer.add_special_tokens(SPECIAL_TOKENS.map(|token| AddedToken::from(token, true)))?;
    tokenizer.to_string(false)
}
