//! A server that gives prepared answers, for what no emulator can be brought to do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

/// A server on 127.0.0.1 and what it was asked.
#[derive(Debug)]
pub struct Canned {
    /// The URL for an endpoint.
    pub endpoint: String,
    requests: Receiver<String>,
}

impl Canned {
    /// Answers each request with the next of `answers` (status and body), and with the last one from then on.
    pub fn start(answers: Vec<(u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let endpoint = format!("http://{}", listener.local_addr().expect("has an address"));
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            let last = answers.last().cloned().expect("an answer");
            let mut answers = answers.into_iter();
            for stream in listener.incoming() {
                let mut stream = stream.expect("accepts");
                let request = read(&mut stream);
                let (status, body) = answers.next().unwrap_or_else(|| last.clone());
                let head = format!("HTTP/1.1 {status} Canned\r\nContent-Type: text/xml\r\nConnection: close\r\n");
                write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("answers");
                if sender.send(request).is_err() {
                    return;
                }
            }
        });
        Self { endpoint, requests }
    }

    /// Bodies of the requests so far, in order.
    pub fn requests(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}

fn read(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("reads a header");
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("reads the body");
    String::from_utf8(body).expect("is text")
}
