//! A QR code as an image.

use std::fmt::Write as _;
use std::net::IpAddr;

use qrcodegen::{DataTooLong, QrCode, QrCodeEcc};

/// The light modules around a code
/// (<https://www.qrcode.com/en/howto/code.html>).
const MARGIN: i32 = 4;

/// The QR code of `text`, black on white, as an SVG image.
pub(super) fn svg(text: &str) -> Result<String, DataTooLong> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium)?;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            let (left, top) = (x + MARGIN, y + MARGIN);
            write!(path, "M{left} {top}h1v1h-1z").expect("memory takes any text");
        }
    }
    let size = code.size() + 2 * MARGIN;
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{size}v{size}H0z\"/>\
         <path d=\"{path}\"/></svg>"
    ))
}

/// Whether `host` leads each machine to itself.
pub(super) fn is_only_here(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
        if is_port { name } else { host }
    });
    let address = name.trim_matches(['[', ']']).parse();
    name == "localhost" || address.is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_an_image() {
        let image = svg("http://192.168.1.7:8080/demo").expect("it is short");
        // Version 3 has 29 modules on a side, with the margin 37.
        assert!(image.contains("viewBox=\"0 0 37 37\""), "{image:.200}");
        assert!(image.contains("<path d=\"M4 4h1v1h-1zM5 4h1v1h-1z"));
        assert!(svg(&"a".repeat(5000)).is_err());
    }

    #[test]
    fn a_loopback_address_is_only_here() {
        for host in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:8080",
            "[::1]:80",
            "[::1]",
        ] {
            assert!(is_only_here(host), "{host}");
        }
        for host in ["192.168.1.7:8080", "[fe80::1]:80", "h5.example.com", ""] {
            assert!(!is_only_here(host), "{host}");
        }
    }
}
