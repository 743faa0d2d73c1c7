//! The IP white list of an account.

use std::net::IpAddr;

use super::app::Knobs;

impl Knobs {
    /// Whether the IP white list lets an address in.
    pub(super) fn lists(&self, ip: IpAddr) -> bool {
        self.ip_list
            .as_ref()
            .is_none_or(|entries| entries.iter().any(|entry| covers(entry, ip)))
    }
}

/// Whether an entry of the IP white list, an address or `address/prefix`, covers an address.
fn covers(entry: &str, ip: IpAddr) -> bool {
    let (network, prefix) = entry.split_once('/').unwrap_or((entry, "128"));
    let Ok(prefix) = prefix.parse::<u32>() else {
        return false;
    };
    // A prefix of 0 covers everything: all bits are shifted out.
    let first_bits = |bits: u128, width: u32| {
        let rest = width - prefix.min(width);
        bits.checked_shr(rest).unwrap_or_default()
    };
    match (network.parse(), ip) {
        (Ok(IpAddr::V4(network)), IpAddr::V4(ip)) => {
            first_bits(network.to_bits().into(), 32) == first_bits(ip.to_bits().into(), 32)
        }
        (Ok(IpAddr::V6(network)), IpAddr::V6(ip)) => {
            first_bits(network.to_bits(), 128) == first_bits(ip.to_bits(), 128)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_list_covers_its_addresses() {
        let cases = [
            ("1.2.3.4", "1.2.3.4", true),
            ("1.2.3.4", "1.2.3.5", false),
            ("1.2.3.0/24", "1.2.3.255", true),
            ("1.2.3.0/24", "1.2.4.0", false),
            ("0.0.0.0/0", "9.9.9.9", true),
            ("2001:db8::/32", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "fe80::1", true),
            ("1.2.3.0/x", "1.2.3.1", false),
            ("nonsense", "1.2.3.1", false),
        ];
        for (entry, ip, expected) in cases {
            assert_eq!(covers(entry, ip.parse().unwrap()), expected, "{entry} {ip}");
        }
    }
}
