//! Where two texts differ.

use serde::Serialize;

/// A piece of one of two texts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Span {
    /// Where it stands.
    pub kind: SpanKind,
    /// The piece.
    pub text: String,
}

/// In which of the two texts a piece stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// In both.
    Equal,
    /// In the first one alone.
    Removed,
    /// In the second one alone.
    Added,
}

/// The words of longer texts are not compared one by one.
const MAX_WORDS: usize = 512;

/// The pieces of the first and of the second text.
pub(super) fn compare(first: &str, second: &str) -> (Vec<Span>, Vec<Span>) {
    let (a, b) = (words(first), words(second));
    let head = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let ends = a[head..].iter().rev().zip(b[head..].iter().rev());
    let tail = ends.take_while(|(a, b)| a == b).count();
    let (mid_a, mid_b) = (&a[head..a.len() - tail], &b[head..b.len() - tail]);
    let common = common(mid_a, mid_b);
    let mark = |words: &[&str], kept: &[bool], kind| {
        let mut spans = Vec::new();
        push(&mut spans, SpanKind::Equal, &a[..head].concat());
        for (word, kept) in words.iter().zip(kept) {
            push(&mut spans, if *kept { SpanKind::Equal } else { kind }, word);
        }
        push(&mut spans, SpanKind::Equal, &a[a.len() - tail..].concat());
        spans
    };
    (
        mark(mid_a, &common.0, SpanKind::Removed),
        mark(mid_b, &common.1, SpanKind::Added),
    )
}

fn push(spans: &mut Vec<Span>, kind: SpanKind, text: &str) {
    match spans.last_mut() {
        _ if text.is_empty() => {}
        Some(last) if last.kind == kind => last.text.push_str(text),
        _ => spans.push(Span {
            kind,
            text: text.to_owned(),
        }),
    }
}

/// Runs of letters and digits, and what stands between them, character by character.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric();
        let end = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        words.push(&rest[..end]);
        rest = &rest[end..];
    }
    words
}

/// Which words of both belong to their longest common sequence.
fn common(a: &[&str], b: &[&str]) -> (Vec<bool>, Vec<bool>) {
    let (mut in_a, mut in_b) = (vec![false; a.len()], vec![false; b.len()]);
    if a.len() > MAX_WORDS || b.len() > MAX_WORDS {
        return (in_a, in_b);
    }
    let width = b.len() + 1;
    let mut longest = vec![0_u16; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i * width + j] = if a[i] == b[j] {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            (in_a[i], in_b[j]) = (true, true);
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    (in_a, in_b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marked(spans: &[Span]) -> String {
        let marked = spans.iter().map(|span| match span.kind {
            SpanKind::Equal => span.text.clone(),
            SpanKind::Removed => format!("[-{}-]", span.text),
            SpanKind::Added => format!("[+{}+]", span.text),
        });
        marked.collect()
    }

    #[test]
    fn what_differs_is_marked_and_nothing_else() {
        for (a, b, marked_a, marked_b) in [
            (
                "url=http://a/",
                "url=https://a/",
                "url=[-http-]://a/",
                "url=[+https+]://a/",
            ),
            (
                "a?x=1&amp;y=2",
                "a?x=1&y=2",
                "a?x=1&[-amp;-]y=2",
                "a?x=1&y=2",
            ),
            ("a", "a?x=1", "a", "a[+?x=1+]"),
            ("same", "same", "same", "same"),
            ("", "x", "", "[+x+]"),
        ] {
            let (first, second) = compare(a, b);
            assert_eq!(
                (marked(&first), marked(&second)),
                (marked_a.into(), marked_b.into())
            );
        }
    }

    proptest! {
        #[test]
        fn the_pieces_make_up_the_texts_and_their_common_part(
            a in "[a-c=&/#]{0,12}", b in "[a-c=&/#]{0,12}",
        ) {
            let (first, second) = compare(&a, &b);
            let all = |spans: &[Span]| spans.iter().map(|span| &*span.text).collect::<String>();
            let equal = |spans: &[Span]| {
                let equal = spans.iter().filter(|span| span.kind == SpanKind::Equal);
                equal.map(|span| &*span.text).collect::<String>()
            };
            prop_assert_eq!(all(&first), a);
            prop_assert_eq!(all(&second), b);
            prop_assert_eq!(equal(&first), equal(&second));
        }
    }
}
