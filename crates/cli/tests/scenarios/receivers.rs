//! Far ends of notices, played: a receiver of webhooks and a mail server, both on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

/// What is to come has come by then; the first try after a failed one is due after 10 s.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A request that came.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(one, _)| one == name);
        found.map_or_else(|| panic!("no {name}: {self:?}"), |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// `task.ended` and the like.
    pub fn about(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }
}

/// Says what a request is answered; without an answer the connection is closed.
type Answers = dyn Fn(&Request) -> Option<String> + Send + Sync;

/// A receiver of webhooks.
pub struct Receiver {
    at: String,
    came: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    pub fn new(answers: impl Fn(&Request) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let came = Arc::<Mutex<Vec<Request>>>::default();
        let (heard, answers) = (Arc::clone(&came), Arc::new(answers));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (heard, answers) = (Arc::clone(&heard), Arc::clone(&answers));
                std::thread::spawn(move || receive(&stream.unwrap(), &heard, &*answers));
            }
        });
        Self { at, came }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    /// What came to a path, in its order.
    pub fn to(&self, path: &str) -> Vec<Request> {
        let came = held(&self.came);
        came.iter().filter(|request| request.path == path).cloned().collect()
    }

    /// What came to a path, once it satisfies this.
    pub fn until(&self, path: &str, satisfied: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        until(|| Some(self.to(path)).filter(|came| satisfied(came)))
            .unwrap_or_else(|| panic!("what came to {path}: {:#?}", self.to(path)))
    }
}

/// One request of each connection: the answer ends it.
fn receive(stream: &TcpStream, came: &Mutex<Vec<Request>>, answers: &Answers) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let first = line(&mut reader)?;
    let path = first.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    while let Some((name, value)) = line(&mut reader)?.split_once(": ") {
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let request = Request { path, headers, body: String::from_utf8(body).unwrap() };
    let answer = answers(&request);
    held(came).push(request);
    let head = answer?;
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()
}

/// How a mail server treats who talks to it.
#[derive(Clone)]
pub enum Encryption {
    /// It knows none.
    None,
    /// It offers `STARTTLS`, and takes passwords and mail only after it.
    Starts(Arc<ServerConfig>),
}

/// A mail server.
pub struct Mailbox {
    pub port: u16,
    said: Arc<Mutex<Vec<String>>>,
    mails: Arc<Mutex<Vec<String>>>,
}

impl Mailbox {
    pub fn new(encryption: Encryption) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (said, mails) = (Arc::default(), Arc::default());
        let (hears, takes) = (Arc::clone(&said), Arc::clone(&mails));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (hears, takes) = (Arc::clone(&hears), Arc::clone(&takes));
                let encryption = encryption.clone();
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let session = Session { hears: &hears, takes: &takes };
                    let _ = stream.write_all(b"220 mail.example\r\n");
                    let open = matches!(encryption, Encryption::None);
                    if session.talk(&mut stream, open) == Some(Next::Encrypt)
                        && let Encryption::Starts(config) = encryption
                    {
                        let connection = ServerConnection::new(config).unwrap();
                        session.talk(&mut StreamOwned::new(connection, stream), true);
                    }
                });
            }
        });
        Self { port, said, mails }
    }

    /// The commands that were said to it, in both states.
    pub fn said(&self) -> Vec<String> {
        held(&self.said).clone()
    }

    /// The mails, once there are so many.
    pub fn mails(&self, count: usize) -> Vec<String> {
        until(|| Some(held(&self.mails).clone()).filter(|mails| mails.len() >= count))
            .unwrap_or_else(|| panic!("no {count} mails; said: {:?}", self.said()))
    }
}

#[derive(PartialEq, Eq)]
enum Next {
    Encrypt,
    Nothing,
}

struct Session<'a> {
    hears: &'a Mutex<Vec<String>>,
    takes: &'a Mutex<Vec<String>>,
}

impl Session<'_> {
    /// `open`: everything is taken as it is; else only `STARTTLS` leads on.
    fn talk<S: Read + Write>(&self, stream: &mut S, open: bool) -> Option<Next> {
        loop {
            let said = line_of(stream)?;
            held(self.hears).push(said.clone());
            let word = said.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            let answer = match &*word {
                "EHLO" if open => "250-mail.example\r\n250 AUTH PLAIN",
                "EHLO" => "250-mail.example\r\n250 STARTTLS",
                "STARTTLS" => {
                    stream.write_all(b"220 go on\r\n").ok()?;
                    return Some(Next::Encrypt);
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").ok()?;
                    return Some(Next::Nothing);
                }
                _ if !open => "530 encrypt first",
                "AUTH" => "235 welcome",
                "DATA" => {
                    stream.write_all(b"354 write\r\n").ok()?;
                    let mut mail = String::new();
                    loop {
                        match &*line_of(stream)? {
                            "." => break,
                            line => mail.extend([line, "\n"]),
                        }
                    }
                    held(self.takes).push(mail);
                    "250 taken"
                }
                _ => "250 well",
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).ok()?;
        }
    }
}

/// A line byte by byte, so that nothing behind it is taken: what follows may be encrypted.
fn line_of(stream: &mut impl Read) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        line.extend(byte);
    }
    Some(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    Some(line.trim_end().to_owned())
}

/// The first answer within [`PATIENCE`].
pub fn until<T>(ask: impl Fn() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            answer => return answer,
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
