//! What is stored about one credential of one account.

use std::fmt;

use rand::Rng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::clock::Timestamp;
use crate::credential::{Credential, Fingerprint};
use crate::upstream::Class;

/// Everything that the processes which share a store know about one credential.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The newest credential, kept after its end.
    pub credential: Option<Credential>,
    /// The node that fetched or confirmed it last, for people to read.
    pub renewed_by: Option<String>,
    /// The fingerprints of those before it, the latest first.
    #[serde(deserialize_with = "latest")]
    pub former: Vec<Fingerprint>,
    /// When classic tokens that nobody here replaced turned out to be dead long before their end:
    /// another program fetches with the same AppSecret.
    pub died_young: Vec<Timestamp>,
    /// Who is fetching a new one.
    #[serde(deserialize_with = "if_readable")]
    pub lease: Option<Lease>,
    /// How many fetches there were whose token may be the newest at WeChat though it is not
    /// the one above.
    pub strays: u64,
    /// How many of those were made harmless by a fetch that began after they were counted.
    pub settled: u64,
    /// When the first of the strays that are not settled may have been sent. What was issued
    /// before then dies soon after.
    pub strayed_at: Option<Timestamp>,
    /// What the last failure asks for; gone with a success.
    #[serde(deserialize_with = "if_readable")]
    pub backoff: Option<Backoff>,
    /// Calls to WeChat on the day of the last one.
    pub calls: Calls,
}

impl Record {
    /// How many former values a record remembers: a program that holds a still older token has
    /// not asked for hours.
    pub const FORMER: usize = 3;

    /// Counts a fetch, sent at `sent_at`, whose answer is not in this record.
    pub(crate) fn count_stray(&mut self, sent_at: Timestamp) {
        let first = self.strayed_at.filter(|_| self.strays > self.settled);
        self.strays += 1;
        self.strayed_at = Some(first.map_or(sent_at, |first| first.min(sent_at)));
    }

    /// When a fetch may have been sent, at the earliest, whose token is not in this record: that of
    /// a stray, or that of whoever holds the lease.
    pub(crate) fn superseded_since(&self) -> Option<Timestamp> {
        let strayed = self.strayed_at.filter(|_| self.strays > self.settled);
        let asked = self.lease.as_ref().map(|lease| lease.acquired_at);
        strayed.into_iter().chain(asked).min()
    }

    /// Ends a backoff for a failure that came before a success.
    pub(crate) fn end_backoff(&mut self, success_at: Timestamp) {
        self.backoff
            .take_if(|backoff| backoff.failed_at <= success_at);
    }

    /// Settles the strays that were counted when the fetch sent at `sent_at` began. If others
    /// have come since, they may have been sent as early as that.
    pub(crate) fn settle_strays(&mut self, strays_seen: u64, sent_at: Timestamp) {
        self.settled = self.settled.max(strays_seen);
        self.strayed_at = (self.strays > self.settled).then_some(sent_at);
    }
}

/// A part that another version wrote otherwise is left out; the credential beside it is not
/// given up for that.
fn if_readable<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let value = Option::<serde_json::Value>::deserialize(from)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

/// Former versions remembered more.
fn latest<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Fingerprint>, D::Error> {
    let mut former = Vec::deserialize(from)?;
    former.truncate(Record::FORMER);
    Ok(former)
}

/// The right to fetch, for a limited time.
///
/// It does not promise that nobody else fetches: a holder that was paused past `until` may still
/// send. That is what `strays` are counted for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// This one acquisition.
    pub attempt: Attempt,
    /// The node that fetches, for people to read.
    pub holder: String,
    /// When it was taken.
    pub acquired_at: Timestamp,
    /// When others may take it.
    pub until: Timestamp,
    /// The strays that were counted when it was taken: a fetch under it settles these.
    pub strays_seen: u64,
}

/// Names one acquisition of a lease.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(u64);

impl Attempt {
    /// A new one.
    pub fn random() -> Self {
        Self(rand::rng().next_u64())
    }

    /// The one that a test names.
    #[cfg(test)]
    pub(crate) const fn number(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Why and until when nobody calls WeChat for this credential.
///
/// It is stored, so that a restart does not forget it and several nodes do not multiply it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Backoff {
    /// The kind of the last failure.
    pub class: Class,
    /// What happened, in one line.
    pub error: String,
    /// WeChat's errcode, if it gave one.
    pub errcode: Option<i64>,
    /// WeChat's errmsg, if it gave one.
    pub errmsg: Option<String>,
    /// Failures of this class in a row.
    pub tries: u32,
    /// Failures of any class in a row.
    #[serde(default)]
    pub failures: u32,
    /// When the last of them came.
    pub failed_at: Timestamp,
    /// No call before this.
    pub next_at: Timestamp,
    /// The AppSecret that failed: with another one there is no reason to wait.
    pub secret: Fingerprint,
    /// The hosts that failed in a row: where the address is at fault, others need not wait.
    #[serde(default)]
    pub hosts: Vec<String>,
}

/// Calls to WeChat for one credential on one day, as WeChat counts days.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Calls {
    /// Days since the Unix epoch in UTC+8.
    pub day: i64,
    /// All calls.
    pub total: u32,
    /// Those that only made sure that no stray superseded the credential.
    pub confirming: u32,
    /// Those made because WeChat rejected the credential.
    pub rejected: u32,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::laws;
    use super::*;
    use crate::credential::Secret;
    use crate::laws::object_of;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + seconds)
    }

    #[test]
    fn strays_date_from_the_first_that_was_sent_in_whatever_order_they_are_counted() {
        let mut record = Record::default();
        record.count_stray(at(20));
        record.count_stray(at(10));
        record.count_stray(at(30));
        assert_eq!((record.strays, record.settled), (3, 0));
        assert_eq!(record.strayed_at, Some(at(10)));
    }

    #[test]
    fn a_stray_after_all_others_were_settled_dates_from_its_own_sending() {
        let mut record = Record::default();
        record.count_stray(at(10));
        record.settle_strays(1, at(20));
        assert_eq!((record.settled, record.strayed_at), (1, None));
        record.count_stray(at(30));
        assert_eq!(record.strayed_at, Some(at(30)));
        // Also where the time of the settled one was left in the record.
        record.settled = 2;
        record.count_stray(at(40));
        assert_eq!(record.strayed_at, Some(at(40)));
    }

    #[test]
    fn what_is_settled_stays_settled() {
        let mut record = Record::default();
        record.count_stray(at(10));
        record.count_stray(at(20));
        record.settle_strays(2, at(30));
        record.settle_strays(1, at(40));
        assert_eq!((record.settled, record.strayed_at), (2, None));
    }

    #[test]
    fn a_success_ends_a_backoff_that_is_no_later() {
        for (seconds, is_over) in [(-1, true), (0, true), (1, false)] {
            let mut record = Record {
                backoff: Some(Backoff {
                    class: Class::Transient,
                    error: String::new(),
                    errcode: None,
                    errmsg: None,
                    tries: 1,
                    failures: 1,
                    failed_at: at(seconds),
                    next_at: at(seconds) + Duration::from_secs(1),
                    secret: Secret::new("s").fingerprint(),
                    hosts: vec!["host".to_owned()],
                }),
                ..Record::default()
            };
            record.end_backoff(at(0));
            assert_eq!(record.backoff.is_none(), is_over, "{seconds}");
        }
    }

    proptest! {
        #[test]
        fn a_record_is_written_as_it_was_read(
            stored in object_of(&[
                "\"credential\":{\"value\":\"t\",\"generation\":7,\"first_seen\":1,\"confirmed_at\":1,\
                 \"expires_at\":-2,\"claimed_until\":9223372036854775807}",
                "\"renewed_by\":\"a\"", "\"former\":[\"ba7816bf8f01cfea\",\"+1\"]", "\"died_young\":[1]",
                "\"lease\":{\"attempt\":1,\"holder\":\"a\",\"acquired_at\":1,\"until\":2,\"strays_seen\":0}",
                "\"lease\":\"x\"", "\"strays\":18446744073709551615", "\"settled\":1", "\"strayed_at\":5",
                "\"backoff\":{\"class\":\"quota\"}", "\"calls\":{\"day\":1}", "\"later\":{}",
            ]),
            anything in any::<Vec<u8>>(),
        ) {
            laws::record(stored.as_bytes());
            laws::record(&anything);
        }
    }
}
