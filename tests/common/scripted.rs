//! A server that answers as it is told and writes every request down: a hostile registry, a token
//! server. It speaks HTTP/1.1 without TLS and closes after each answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Answer { status, headers: String::new(), body: Vec::new() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers += &format!("{name}: {value}\r\n");
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

pub(crate) struct Scripted {
    /// `localhost:PORT`.
    pub(crate) host: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Scripted {
    /// The threads end with the connections, the last one with the process.
    pub(crate) fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let host = format!("localhost:{}", listener.local_addr().expect("its number").port());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || serve(&client, &log, &*answer));
            }
        });
        Scripted { host, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(client: &TcpStream, log: &Mutex<Vec<Request>>, answer: &dyn Fn(&Request) -> Answer) {
    let mut first = [0];
    let mut reader = BufReader::new(client);
    // TLS begins with 0x16, a request with a letter. What other servers say then is not TLS either.
    if !matches!(client.peek(&mut first), Ok(1)) || first[0] == 0x16 {
        let mut out = client;
        let _ = out.write_all(b"HTTP/1.1 400 this is no TLS\r\n\r\n");
        let _ = client.shutdown(std::net::Shutdown::Write);
        let _ = std::io::copy(&mut reader, &mut std::io::sink());
        return;
    }
    let Some(request) = read(&mut reader) else { return };
    log.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
    let Answer { status, headers, body } = answer(&request);
    let head = format!(
        "HTTP/1.1 {status} scripted\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    let mut out = client;
    let sent = out.write_all(head.as_bytes());
    if sent.is_ok() && request.method != "HEAD" {
        let _ = out.write_all(&body);
    }
    let _ = client.shutdown(std::net::Shutdown::Write);
    // Closing with something unread would reset what was just sent.
    let _ = std::io::copy(&mut reader, &mut std::io::sink());
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let request = Request { method, path, headers };
    let length = request.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    Some(request)
}
