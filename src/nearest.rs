//! What a misspelt name was probably meant to be.

/// The name of `known` that is nearest to `word`; `None` only when nothing is known.
///
/// A name that begins or ends with the other (`key` and `key_sha256`) counts as one letter away.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known.into_iter().min_by_key(|name| {
        let holds = |long: &str, short: &str| long.starts_with(short) || long.ends_with(short);
        if holds(name, word) || holds(word, name) {
            1
        } else {
            distance(word, name)
        }
    })
}

/// How many letters must be put in, left out or changed to get from `a` to `b`
/// (<https://en.wikipedia.org/wiki/Levenshtein_distance>).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_letters() {
        for (a, b, letters) in [
            ("", "", 0),
            ("", "abc", 3),
            ("listen", "listen", 0),
            ("lisen", "listen", 1),
            ("pagehosts", "page_hosts", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), letters, "{a} {b}");
            assert_eq!(distance(b, a), letters, "{b} {a}");
        }
    }

    #[test]
    fn the_nearest_name_is_found() {
        let known = ["name", "key_sha256", "accounts", "scopes"];
        assert_eq!(nearest("acounts", known), Some("accounts"));
        assert_eq!(nearest("key", known), Some("key_sha256"));
        assert_eq!(nearest("name", []), None);
    }
}
