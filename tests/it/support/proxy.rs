//! A server in front of an emulator that can be brought to fail, to stall, and to tell what it is asked.

use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// A request as the proxy sees it, before it is passed on.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `PUT` …
    pub method: String,
    /// Path and query, percent-encoded.
    pub target: String,
    /// Counted from 1, over all connections.
    pub number: usize,
}

impl Request {
    /// True for a read of an object whose key ends like this.
    pub fn gets(&self, key: &str) -> bool {
        self.method == "GET" && self.target.split('?').next().is_some_and(|path| path.ends_with(key))
    }
}

/// What becomes of a request.
pub enum Action {
    /// Passed on.
    Forward,
    /// Passed on; the answer waits until this has run.
    ForwardThen(Box<dyn FnOnce() + Send>),
    /// Answered with a status and a body.
    Answer(u16, String),
    /// Passed on; the answer breaks off in the middle of its body.
    Truncate,
    /// Passed on; the answer stands still in the middle of its body, until the client has had enough.
    Stall,
    /// Passed on; a byte in the middle of the answer's body is another one.
    Corrupt,
    /// Passed on; the answer has half of its body, and its headers say that this is all.
    Shorten,
    /// Passed on; the connection is closed without the answer.
    Unheard,
    /// Not read; the connection is reset.
    Reset,
}

impl Action {
    /// An error as S3 writes it.
    pub fn error(status: u16, code: &str) -> Self {
        Self::Answer(status, error_xml(code))
    }
}

/// The body of an error of S3.
pub fn error_xml(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>told by a test</Message></Error>")
}

type Decide = dyn Fn(&Request) -> Action + Send + Sync;

/// A server on 127.0.0.1; its threads end with the test binary.
#[derive(Debug)]
pub struct Proxy {
    /// The URL for `--endpoint-url`.
    pub endpoint: String,
}

impl Proxy {
    /// Passes every request on to `upstream`, or does with it what `decide` says; that may block.
    pub fn start(upstream: &str, decide: impl Fn(&Request) -> Action + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let endpoint = format!("http://{}", listener.local_addr().expect("has an address"));
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let (decide, count): (Arc<Decide>, _) = (Arc::new(decide), Arc::new(AtomicUsize::new(0)));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (upstream, decide, count) = (upstream.clone(), Arc::clone(&decide), Arc::clone(&count));
                // a client that is killed breaks its connections; that is part of the tests
                std::thread::spawn(move || serve(client, &upstream, &*decide, &count));
            }
        });
        Self { endpoint }
    }

    /// Stalls the first request that `which` is true for.
    pub fn stalling(upstream: &str, which: impl Fn(&Request) -> bool + Send + Sync + 'static) -> (Self, Stall) {
        let (reached, at) = channel();
        let (release, released) = channel::<()>();
        let gate = std::sync::Mutex::new(Some((reached, released)));
        let proxy = Self::start(upstream, move |request| {
            let taken = which(request).then(|| gate.lock().expect("no panic").take()).flatten();
            if let Some((reached, released)) = taken {
                let _ = (reached.send(()), released.recv());
            }
            Action::Forward
        });
        (proxy, Stall { at, release })
    }
}

/// A request that waits.
pub struct Stall {
    at: Receiver<()>,
    release: Sender<()>,
}

impl Stall {
    /// Returns once the request is there.
    pub fn reached(&self) {
        self.at.recv_timeout(std::time::Duration::from_secs(60)).expect("the request comes");
    }

    /// Lets it go on.
    pub fn release(self) {
        let _ = self.release.send(());
    }
}

fn serve(mut client: TcpStream, upstream: &str, decide: &Decide, count: &AtomicUsize) -> Result<()> {
    let request = peek(&client, count)?;
    let action = decide(&request);
    if matches!(action, Action::Reset) {
        // closing with unread bytes sends a reset
        return Ok(());
    }
    let asked = read(&client)?;
    let answer = match &action {
        Action::Answer(status, body) => answer(*status, body),
        _ => forward(&asked, upstream)?,
    };
    match action {
        Action::ForwardThen(act) => act(),
        Action::Unheard => return Ok(()),
        Action::Truncate => return client.write_all(&answer[..middle(&answer)]),
        Action::Stall => {
            client.write_all(&answer[..middle(&answer)])?;
            return client.read_to_end(&mut Vec::new()).map(drop);
        }
        Action::Corrupt => return client.write_all(&corrupted(answer)),
        Action::Shorten => return client.write_all(&shortened(&answer)),
        _ => {}
    }
    client.write_all(&answer)
}

fn peek(client: &TcpStream, count: &AtomicUsize) -> Result<Request> {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let read = client.peek(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes[..read]);
        if let Some((line, _)) = text.split_once("\r\n") {
            let mut words = line.split(' ').map(str::to_owned);
            let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            return Ok(Request { method, target, number: count.fetch_add(1, Ordering::SeqCst) + 1 });
        }
        if read == 0 {
            return Err(Error::other("closed before a request"));
        }
        std::thread::yield_now();
    }
}

/// The whole request, made the only one of its connection.
fn read(client: &TcpStream) -> Result<Vec<u8>> {
    let mut reader = BufReader::new(client);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(Error::other)?;
        }
        if !header.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok([head.as_bytes(), b"Connection: close\r\n\r\n", &body].concat())
}

fn forward(request: &[u8], upstream: &str) -> Result<Vec<u8>> {
    let mut server = TcpStream::connect(upstream)?;
    server.write_all(request)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    let _ = server.shutdown(Shutdown::Both);
    Ok(answer)
}

fn answer(status: u16, body: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} Told\r\nContent-Type: application/xml\r\nConnection: close\r\n");
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Another byte, and no checksum that would tell: not every object has one.
fn corrupted(answer: Vec<u8>) -> Vec<u8> {
    let mut answer = without_header(&answer, "x-amz-checksum-");
    let at = middle(&answer);
    if let Some(byte) = answer.get_mut(at) {
        *byte ^= 0x10;
    }
    answer
}

fn without_header(answer: &[u8], name: &str) -> Vec<u8> {
    let head = String::from_utf8_lossy(&answer[..body(answer)]);
    let kept = head.split_inclusive("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with(name));
    [kept.collect::<String>().as_bytes(), &answer[body(answer)..]].concat()
}

/// Half of the body, and headers that fit it.
fn shortened(answer: &[u8]) -> Vec<u8> {
    let answer = without_header(&without_header(answer, "content-length:"), "x-amz-checksum-");
    let (start, end) = (body(&answer), middle(&answer));
    let head = String::from_utf8_lossy(&answer[..start]);
    let length = format!("Content-Length: {}\r\n\r\n", end - start);
    [head.trim_end().as_bytes(), b"\r\n", length.as_bytes(), &answer[start..end]].concat()
}

/// Where the body begins.
fn body(answer: &[u8]) -> usize {
    answer.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |head| head + 4)
}

/// Half of the body.
fn middle(answer: &[u8]) -> usize {
    let body = body(answer);
    body + (answer.len() - body) / 2
}
