//! The words of a prompt's inputs: what a stand-in's answers are made of.

/// The inputs as one text, and what can be taken from it.
#[derive(Debug, Clone)]
pub(super) struct Words {
    text: String,
    lower: Vec<String>,
    keywords: Vec<String>,
    numbers: Vec<f64>,
}

/// Words that say nothing about a text.
const STOP: [&str; 62] = [
    "about", "after", "again", "also", "and", "any", "are", "because", "been", "before", "being", "but",
    "can", "could", "did", "does", "each", "every", "for", "from", "had", "has", "have", "her", "here",
    "his", "how", "into", "its", "just", "more", "most", "not", "now", "off", "only", "other", "our", "out",
    "over", "please", "she", "should", "since", "some", "than", "that", "the", "their", "them", "then",
    "there", "they", "this", "was", "were", "what", "when", "which", "will", "with", "you",
];

impl Words {
    pub(super) fn of(inputs: &[(String, String)]) -> Self {
        let parts: Vec<&str> = inputs
            .iter()
            .filter(|(name, text)| {
                !matches!(name.as_str(), "tools" | "tool_call_results") && !text.is_empty()
            })
            .map(|(_, text)| text.as_str())
            .collect();
        let text = parts.join("\n");
        let tokens: Vec<&str> = text
            .split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '-' | '.')))
            .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
            .filter(|word| !word.is_empty())
            .collect();
        let mut keywords: Vec<String> = Vec::new();
        for token in &tokens {
            let keyword = token.to_lowercase();
            let telling = keyword.chars().count() > 2
                && keyword.chars().all(|c| c.is_alphabetic() || c == '-')
                && !STOP.contains(&keyword.as_str());
            if telling && !keywords.contains(&keyword) {
                keywords.push(keyword);
            }
        }
        let numbers =
            tokens.iter().filter_map(|token| token.parse().ok()).filter(|x: &f64| x.is_finite()).collect();
        let lower = tokens.iter().map(|token| token.to_lowercase()).collect();
        Self { text, lower, keywords, numbers }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Telling words in lower case, each once, in the text's order.
    pub(super) fn keywords(&self) -> &[String] {
        &self.keywords
    }

    /// The numbers of the text, in its order.
    pub(super) fn numbers(&self) -> &[f64] {
        &self.numbers
    }

    /// How many words of `phrase` occur in the text, in any of their forms.
    pub(super) fn overlap(&self, phrase: &str) -> usize {
        phrase_words(phrase)
            .iter()
            .filter(|word| {
                !STOP.contains(&word.as_str()) && self.lower.iter().any(|known| same_stem(known, word))
            })
            .count()
    }

    /// Every word of `phrase` occurs in the text.
    pub(super) fn contains_all(&self, phrase: &str) -> bool {
        let words = phrase_words(phrase);
        !words.is_empty() && words.iter().all(|word| self.lower.iter().any(|known| same_stem(known, word)))
    }

    /// A sentence of at most `limit` characters: the beginning of the text.
    pub(super) fn sentence(&self, limit: usize) -> String {
        let first = self
            .text
            .split_inclusive(['.', '!', '?', '\n'])
            .map(str::trim)
            .find(|part| part.chars().count() > 3);
        shorten(first.unwrap_or(self.text.trim()), limit)
    }

    /// A number that depends on the text and `salt` alone.
    pub(super) fn dice(&self, salt: &str) -> u64 {
        // FNV-1a: stable over versions and platforms, unlike the standard library's hasher.
        let bytes = self.text.bytes().chain([0]).chain(salt.bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        }) >> 16
    }
}

/// The words of a name or description: `zipCode`, `zip_code` and `Zip code` alike.
pub(super) fn phrase_words(phrase: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut previous_lower = false;
    for c in phrase.chars() {
        let starts = c.is_uppercase() && previous_lower;
        if (!c.is_alphanumeric() || starts) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        previous_lower = c.is_lowercase();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The same word, or one that only its ending tells apart: `customer` and `customers`, `urgent` and `urgency`.
fn same_stem(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let shared = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let longest = one.chars().count().max(other.chars().count());
    shared >= 4 && longest - shared <= 3
}

/// At most `limit` characters, cut between words where that is possible.
pub(super) fn shorten(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let cut: String = text.chars().take(limit).collect();
    match cut.rfind(' ') {
        Some(space) if space > 0 => cut[..space].trim_end_matches([',', ';', ':', ' ']).to_owned(),
        _ => cut,
    }
}
