//! Timestamps as sops knows them: RFC 3339 with the offset kept as written, since `lastmodified` is authenticated
//! in that form.

use std::fmt::Write as _;

/// A calendar time with its offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    pub year: u16,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub nanosecond: u32,
    /// Minutes east of UTC.
    pub offset: i16,
}

impl Time {
    /// Parses strict RFC 3339 as Go's `time.Parse(time.RFC3339, _)` does: `T` and `Z` in upper case, seconds up to
    /// 59, any fraction (digits after the ninth are dropped).
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let (date, rest) = text.split_once('T')?;
        let (year, month, day) = parse_date(date, 2)?;
        let (clock, offset) = split_offset(rest)?;
        let (hour, minute, second, nanosecond) = parse_clock(clock, 2)?;
        Some(Self { year, month, day, hour, minute, second, nanosecond, offset })
    }

    /// Parses what go-yaml takes for a timestamp in a plain scalar: RFC 3339 with `T` or `t` and one- or two-digit
    /// fields, the same with a blank and no zone, or a date alone. The year has four digits.
    #[must_use]
    pub fn parse_yaml(text: &str) -> Option<Self> {
        let date_end = text.find(['T', 't', ' ']).unwrap_or(text.len());
        let (date, rest) = text.split_at_checked(date_end)?;
        let (year, month, day) = parse_date(date, 1)?;
        let midnight = Self { year, month, day, hour: 0, minute: 0, second: 0, nanosecond: 0, offset: 0 };
        let Some(separator) = rest.chars().next() else { return Some(midnight) };
        let rest = rest.get(1..)?;
        if separator == ' ' {
            let (hour, minute, second, nanosecond) = parse_clock(rest, 1)?;
            return Some(Self { hour, minute, second, nanosecond, ..midnight });
        }
        let (clock, offset) = split_offset(rest)?;
        let (hour, minute, second, nanosecond) = parse_clock(clock, 1)?;
        Some(Self { hour, minute, second, nanosecond, offset, ..midnight })
    }

    /// The time in UTC that is so many seconds after 1970 began.
    #[must_use]
    pub fn from_unix(seconds: u64) -> Self {
        const DAY: u64 = 86_400;
        /// Days of 400 years, after which the calendar repeats.
        const ERA: u64 = 146_097;
        let (days, clock) = (seconds / DAY, seconds % DAY);
        // Counted from 1 March of year 0, so that a leap day is the last of its year.
        let days = days + 719_468;
        let (era, day_of_era) = (days / ERA, days % ERA);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / (ERA - 1)) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let small = |number: u64| u8::try_from(number).unwrap_or(u8::MAX);
        Self {
            year: u16::try_from(year).unwrap_or(9999).min(9999),
            month: small(month),
            day: small(day),
            hour: small(clock / 3600),
            minute: small(clock / 60 % 60),
            second: small(clock % 60),
            nanosecond: 0,
            offset: 0,
        }
    }

    /// RFC 3339 with seconds precision, as sops prints `lastmodified` to authenticate the MAC, and times in dotenv
    /// and INI files.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        self.format(false)
    }

    /// RFC 3339 with the fraction, its trailing zeros cut (none when it is zero): how a time is hashed and printed
    /// in YAML and JSON.
    #[must_use]
    pub fn to_rfc3339_nano(self) -> String {
        self.format(true)
    }

    fn format(self, with_fraction: bool) -> String {
        let Self { year, month, day, hour, minute, second, .. } = self;
        let mut out = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if with_fraction && self.nanosecond != 0 {
            out.push('.');
            out.push_str(format!("{:09}", self.nanosecond).trim_end_matches('0'));
        }
        if self.offset == 0 {
            out.push('Z');
        } else {
            let sign = if self.offset < 0 { '-' } else { '+' };
            let minutes = self.offset.unsigned_abs();
            // Writing to a String cannot fail.
            let _ = write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
        }
        out
    }
}

/// Takes `Z`, `+hh:mm` or `-hh:mm` off the end: what stands before, and the minutes east of UTC.
fn split_offset(text: &str) -> Option<(&str, i16)> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let (clock, offset) = text.split_at_checked(text.rfind(['+', '-'])?)?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let minutes = i16::from(digits(hours, 2, 2, 24)?) * 60 + i16::from(digits(minutes, 2, 2, 60)?);
    Some((clock, if offset.starts_with('-') { -minutes } else { minutes }))
}

fn parse_date(text: &str, min_digits: usize) -> Option<(u16, u8, u8)> {
    let mut fields = text.split('-');
    let year = fields.next().filter(|year| year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit()))?;
    let year = year.parse().ok()?;
    let month = digits(fields.next()?, min_digits, 2, 12)?;
    let day = digits(fields.next()?, min_digits, 2, 31)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (fields.next().is_none() && month >= 1 && day >= 1 && day <= last).then_some((year, month, day))
}

fn parse_clock(text: &str, min_digits: usize) -> Option<(u8, u8, u8, u32)> {
    let (clock, fraction) = match text.find(['.', ',']) {
        Some(at) => (text.get(..at)?, Some(text.get(at + 1..)?)),
        None => (text, None),
    };
    let nanosecond = match fraction {
        Some(fraction) if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) => {
            return None;
        }
        Some(fraction) => {
            let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
            nine.parse().ok()?
        }
        None => 0,
    };
    let mut fields = clock.split(':');
    let hour = digits(fields.next()?, min_digits, 2, 23)?;
    let minute = digits(fields.next()?, min_digits, 2, 59)?;
    let second = digits(fields.next()?, min_digits, 2, 59)?;
    fields.next().is_none().then_some((hour, minute, second, nanosecond))
}

fn digits(text: &str, min: usize, max_digits: usize, max: u8) -> Option<u8> {
    let well_formed = (min..=max_digits).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !well_formed {
        return None;
    }
    text.parse().ok().filter(|value| *value <= max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_since_1970_are_what_date_prints() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_078_012_800, "2004-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Time::from_unix(seconds).to_rfc3339(), expected);
        }
    }

    #[test]
    fn rfc3339_keeps_offset_and_drops_fraction_on_request() {
        for (text, seconds, nano) in [
            ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
            ("2024-01-02T03:04:05.120Z", "2024-01-02T03:04:05Z", "2024-01-02T03:04:05.12Z"),
            ("2024-02-29T03:04:05+02:00", "2024-02-29T03:04:05+02:00", "2024-02-29T03:04:05+02:00"),
            ("2024-02-29T03:04:05-00:00", "2024-02-29T03:04:05Z", "2024-02-29T03:04:05Z"),
            ("2024-02-29T03:04:05-05:30", "2024-02-29T03:04:05-05:30", "2024-02-29T03:04:05-05:30"),
        ] {
            let time = Time::parse_rfc3339(text).unwrap();
            assert_eq!(time.to_rfc3339(), seconds);
            assert_eq!(time.to_rfc3339_nano(), nano);
        }
    }

    #[test]
    fn rfc3339_is_strict() {
        for text in [
            "",
            "2024-01-02",
            "2024-01-02 03:04:05Z",
            "2024-01-02t03:04:05Z",
            "2024-01-02T03:04:05",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-1-02T03:04:05Z",
            "'2024-01-02T03:04:05Z'",
            "2024-01-02T24:00:00Z",
            "2024-01-02T03:04:60Z",
            "2024-01-02T03:04:05.Z",
            "2024-01-02T03:04:05+2:00",
        ] {
            assert!(Time::parse_rfc3339(text).is_none(), "{text}");
        }
    }

    #[test]
    fn yaml_timestamps() {
        for (text, printed) in [
            ("2001-01-01", "2001-01-01T00:00:00Z"),
            ("2001-1-2", "2001-01-02T00:00:00Z"),
            ("2001-12-14t21:59:43.10-05:00", "2001-12-14T21:59:43.1-05:00"),
            ("2001-12-14 21:59:43.10", "2001-12-14T21:59:43.1Z"),
            ("2001-12-14T1:2:3Z", "2001-12-14T01:02:03Z"),
            // As Go does, which cannot read it again.
            ("2001-12-14T01:02:03-24:60", "2001-12-14T01:02:03-25:00"),
        ] {
            assert_eq!(Time::parse_yaml(text).unwrap().to_rfc3339_nano(), printed, "{text}");
        }
        for text in
            ["2001-02-30", "201-01-01", "2001-01-01T", "2001-01-01 ", "2001-12-14 21:59:43Z", "12:30:45"]
        {
            assert!(Time::parse_yaml(text).is_none(), "{text}");
        }
    }
}
