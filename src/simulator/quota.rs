//! How often an account has called each API, and whether it may once more.

use std::collections::BTreeMap;

use super::answer::Refusal;
use super::app::Quotas;
use super::endpoint::Endpoint;
use crate::clock::Timestamp;

/// Quotas are counted in China's time zone.
const UTC_OFFSET_SECONDS: i64 = 8 * 3600;
const DAY_SECONDS: i64 = 86_400;

/// The calls of an account in the current minute, day and month.
#[derive(Default)]
pub(super) struct Usage {
    minute: i64,
    hour: i64,
    day: i64,
    month: i64,
    this_minute: BTreeMap<Endpoint, u64>,
    this_hour: BTreeMap<Endpoint, u64>,
    today: BTreeMap<Endpoint, u64>,
    forced_today: u64,
    clears_this_month: u64,
}

impl Usage {
    /// Counts a call.
    ///
    /// # Errors
    /// 45011 when the minute's quota is used up, 45009 when the day's is, or WeCom's of the hour.
    pub(super) fn spend(
        &mut self,
        endpoint: Endpoint,
        quotas: &Quotas,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.begin(now);
        let this_minute = self.this_minute.entry(endpoint).or_default();
        let today = self.today.entry(endpoint).or_default();
        if *today >= daily(endpoint, quotas) {
            return Err(Refusal(45009));
        }
        if endpoint == Endpoint::StableToken && *this_minute >= quotas.stable_minute {
            return Err(Refusal(45011));
        }
        let this_hour = self.this_hour.entry(endpoint).or_default();
        let is_wecom_ticket = matches!(endpoint, Endpoint::GetJsapiTicket | Endpoint::TicketGet);
        if is_wecom_ticket && *this_hour >= quotas.wecom_ticket_hour {
            return Err(Refusal(45009));
        }
        *this_hour += 1;
        *this_minute += 1;
        *today += 1;
        Ok(())
    }

    /// How many calls of an API it has made in this hour.
    pub(super) fn in_this_hour(&mut self, endpoint: Endpoint, now: Timestamp) -> u64 {
        self.begin(now);
        self.this_hour.get(&endpoint).copied().unwrap_or_default()
    }

    /// Counts a `force_refresh`.
    ///
    /// # Errors
    /// 45009 when the day's are used up; which code WeChat gives is not documented.
    pub(super) fn force(&mut self, quotas: &Quotas, now: Timestamp) -> Result<(), Refusal> {
        self.begin(now);
        if self.forced_today >= quotas.forced_day {
            return Err(Refusal(45009));
        }
        self.forced_today += 1;
        Ok(())
    }

    /// Sets the day's count of all APIs, or of one, back to zero.
    ///
    /// # Errors
    /// 48006 when the month's clearings are used up.
    pub(super) fn clear(
        &mut self,
        only: Option<Endpoint>,
        quotas: &Quotas,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.begin(now);
        if self.clears_this_month >= quotas.clears_month {
            return Err(Refusal(48006));
        }
        self.clears_this_month += 1;
        self.today
            .retain(|endpoint, _| only.is_some_and(|only| only != *endpoint));
        Ok(())
    }

    /// The day's limit of an API, and how much of it is used.
    pub(super) fn of(&mut self, endpoint: Endpoint, quotas: &Quotas, now: Timestamp) -> (u64, u64) {
        self.begin(now);
        let used = self.today.get(&endpoint).copied().unwrap_or_default();
        (daily(endpoint, quotas), used)
    }

    fn begin(&mut self, now: Timestamp) {
        let local = now.as_secs() + UTC_OFFSET_SECONDS;
        let (minute, day) = (local.div_euclid(60), local.div_euclid(DAY_SECONDS));
        if self.minute != minute {
            self.minute = minute;
            self.this_minute.clear();
        }
        let hour = local.div_euclid(3600);
        if self.hour != hour {
            self.hour = hour;
            self.this_hour.clear();
        }
        if self.day != day {
            self.day = day;
            self.today.clear();
            self.forced_today = 0;
        }
        if self.month != month(day) {
            self.month = month(day);
            self.clears_this_month = 0;
        }
    }
}

const fn daily(endpoint: Endpoint, quotas: &Quotas) -> u64 {
    match endpoint {
        Endpoint::Token => quotas.token_day,
        Endpoint::StableToken => quotas.stable_day,
        Endpoint::GetTicket => quotas.ticket_day,
        Endpoint::GetToken | Endpoint::GetJsapiTicket | Endpoint::TicketGet => u64::MAX,
        _ => quotas.other_day,
    }
}

/// The months since March of the year 0 that lie before the given day, counted from 1970.
///
/// Years are taken to begin in March, so that the leap day is a year's last day
/// (<https://howardhinnant.github.io/date_algorithms.html>).
const fn month(day: i64) -> i64 {
    const DAYS_TO_1970: i64 = 719_468;
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let day = day + DAYS_TO_1970;
    let era = day.div_euclid(DAYS_OF_400_YEARS);
    let of_era = day.rem_euclid(DAYS_OF_400_YEARS);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    (era * 400 + year) * 12 + (5 * of_year + 2) / 153
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_change_on_the_first() {
        let days = |from: i64, to: i64| month(to) - month(from);
        let first_of_2024 = 19_723;
        assert_eq!(days(first_of_2024 - 1, first_of_2024), 1);
        assert_eq!(days(first_of_2024, first_of_2024 + 30), 0);
        assert_eq!(days(first_of_2024, first_of_2024 + 31), 1);
        // 29 February is February, 1 March is not.
        assert_eq!(days(first_of_2024 + 31, first_of_2024 + 59), 0);
        assert_eq!(days(first_of_2024 + 59, first_of_2024 + 60), 1);
        assert_eq!(days(first_of_2024, first_of_2024 + 366), 12);
    }
}
