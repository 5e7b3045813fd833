//! Text and bytes in the writings that other systems expect.

use std::fmt::Write;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rhai::{Blob, plugin::*};
use sha2::{Digest, Sha256};

use super::{Outcome, broke};

#[export_module]
pub(crate) mod functions {
    /// The base64 of a text's UTF-8 bytes.
    ///
    /// ```rhai
    /// base64_encode("Relais") == "UmVsYWlz"
    /// ```
    pub fn base64_encode(text: &str) -> String {
        STANDARD.encode(text)
    }

    /// The base64 of bytes.
    ///
    /// ```rhai
    /// base64_encode("Relais".to_blob()) == "UmVsYWlz"
    /// ```
    #[rhai_fn(name = "base64_encode")]
    pub fn base64_encode_bytes(bytes: Blob) -> String {
        STANDARD.encode(bytes)
    }

    /// The bytes behind base64 text; line breaks in it are passed over.
    ///
    /// ```rhai
    /// base64_decode("UmVsYWlz").as_string() == "Relais"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn base64_decode(text: &str) -> Outcome<Blob> {
        let compact: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        STANDARD.decode(compact).or_else(|_| broke("the text is not base64"))
    }

    /// The hexadecimal digits of a text's UTF-8 bytes.
    ///
    /// ```rhai
    /// hex_encode("AB") == "4142"
    /// ```
    pub fn hex_encode(text: &str) -> String {
        hex(text.as_bytes())
    }

    /// The hexadecimal digits of bytes.
    ///
    /// ```rhai
    /// hex_encode("AB".to_blob()) == "4142"
    /// ```
    #[rhai_fn(name = "hex_encode")]
    pub fn hex_encode_bytes(bytes: Blob) -> String {
        hex(&bytes)
    }

    /// The bytes behind hexadecimal digits.
    ///
    /// ```rhai
    /// hex_decode("4142").as_string() == "AB"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn hex_decode(text: &str) -> Outcome<Blob> {
        let digits: Option<Vec<u8>> =
            text.chars().map(|digit| digit.to_digit(16).map(|value| value as u8)).collect();
        match digits {
            Some(digits) if digits.len().is_multiple_of(2) => {
                Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
            }
            _ => broke("the text is not pairs of hexadecimal digits"),
        }
    }

    /// The SHA-256 of a text's UTF-8 bytes, in hexadecimal digits.
    ///
    /// ```rhai
    /// sha256("abc").starts_with("ba7816bf8f01cfea")
    /// ```
    pub fn sha256(text: &str) -> String {
        hex(&Sha256::digest(text))
    }

    /// The SHA-256 of bytes, in hexadecimal digits.
    ///
    /// ```rhai
    /// sha256("abc".to_blob()) == sha256("abc")
    /// ```
    #[rhai_fn(name = "sha256")]
    pub fn sha256_bytes(bytes: Blob) -> String {
        hex(&Sha256::digest(bytes))
    }

    /// Text as it may stand in a URL: everything but letters, digits and `-._~` is encoded.
    ///
    /// ```rhai
    /// url_encode("a b/é") == "a%20b%2F%C3%A9"
    /// ```
    pub fn url_encode(text: &str) -> String {
        let mut encoded = String::with_capacity(text.len());
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                write!(encoded, "%{byte:02X}").expect("a string takes all that is written");
            }
        }
        encoded
    }

    /// The text behind what a URL holds.
    ///
    /// ```rhai
    /// url_decode("a%20b%2F%C3%A9") == "a b/é"
    /// ```
    #[rhai_fn(return_raw)]
    pub fn url_decode(text: &str) -> Outcome<String> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            if *first != b'%' {
                bytes.push(*first);
                continue;
            }
            let digits = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
            let Some(byte) = digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) else {
                return broke("a `%` in the text is not followed by two hexadecimal digits");
            };
            bytes.push(byte);
            rest = &tail[2..];
        }
        String::from_utf8(bytes).or_else(|_| broke("the text is not UTF-8 behind its encoding"))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut digits, byte| {
        write!(digits, "{byte:02x}").expect("a string takes all that is written");
        digits
    })
}
