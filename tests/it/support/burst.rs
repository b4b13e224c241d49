//! microburst: a proxy that knows AWS's protocols and fails by rules.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::emulator::Emulator;

/// A proxy in front of an emulator. It leaves `Content-Length` out of every answer, which the lake's store does not take;
/// it is for what the AWS SDK reads.
#[derive(Debug)]
pub struct Burst(Emulator);

impl Burst {
    /// Starts one; `None` as for emulators.
    pub fn start(upstream: &str) -> Option<Self> {
        Emulator::run("microburst", Some(upstream)).map(Self)
    }

    /// The URL for `--endpoint-url`.
    pub fn endpoint(&self) -> &str {
        self.0.endpoint()
    }

    /// Replaces the rules, and forgets what was done by those before.
    pub fn rules(&self, rules: &Value) {
        self.ask("DELETE", "fired", "");
        self.ask("POST", "rules", &rules.to_string());
    }

    /// How often a rule was followed.
    pub fn fired(&self) -> usize {
        let fired: Value = serde_json::from_str(&self.ask("GET", "fired?limit=100000", "")).expect("JSON");
        fired.as_array().expect("a list").len()
    }

    fn ask(&self, method: &str, what: &str, body: &str) -> String {
        let address = self.endpoint().trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("microburst answers");
        let head = format!("{method} /_microburst/{what} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        write!(stream, "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .expect("asks");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer of HTTP");
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        body.to_owned()
    }
}
