//! The directory as it is read from where it is stored.

use super::Version;

/// The directory as a [`super::Backend`] holds it. It is in few pieces of memory: there may be very
/// many entries, and the gaps that so many small pieces leave are never filled again.
#[derive(Clone, PartialEq, Eq)]
pub struct Entries {
    /// The last change.
    pub version: Version,
    names: String,
    contents: Vec<u8>,
    /// Where the name and the content of each end.
    ends: Vec<(usize, usize)>,
}

impl Entries {
    /// Nothing yet.
    pub const fn new(version: Version) -> Self {
        Self {
            version,
            names: String::new(),
            contents: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Adds what is stored under a name.
    pub fn push(&mut self, name: &str, content: &[u8]) {
        self.names += name;
        self.contents.extend_from_slice(content);
        self.ends.push((self.names.len(), self.contents.len()));
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// What is stored, with its names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let begins = [(0, 0)].into_iter().chain(self.ends.iter().copied());
        let between = begins.zip(&self.ends);
        between.map(|(begin, end)| {
            let (name, content) = (begin.0..end.0, begin.1..end.1);
            (&self.names[name], &self.contents[content])
        })
    }
}

impl Default for Entries {
    fn default() -> Self {
        Self::new(Version::ABSENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_there_comes_out_in_its_order() {
        let put: [(&str, &[u8]); 4] = [("b", b"1"), ("", b""), ("微", b""), ("a", b"\xff2")];
        let mut entries = Entries::default();
        assert!(entries.is_empty());
        for (name, content) in put {
            entries.push(name, content);
        }
        assert_eq!(entries.len(), 4);
        assert_eq!(entries.iter().collect::<Vec<_>>(), put);
    }
}
