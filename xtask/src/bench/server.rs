//! The played model behind HTTP: a thread for each connection, every request with its times.
//!
//! A client is given `http://127.0.0.1:PORT/r/<run>/<calls>/v1` as its base URL, so that requests
//! of runs at the same time do not mix.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;

use super::dialect::Dialect;
use super::script;

/// A request larger than this is not of this bench.
const MOST_BODY_BYTES: usize = 64 << 20;
/// A client that says nothing for so long is gone.
const IDLE: Duration = Duration::from_mins(2);

/// One request as it was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When its first line was read.
    pub arrived: Instant,
    /// When the last byte of the reply was written.
    pub answered: Instant,
    /// Size of its body.
    pub bytes: usize,
    /// Bytes of instructions and tools in it.
    pub fixed_bytes: usize,
    /// How many bytes of the request before, of the same conversation, it begins with; and how
    /// many that one had.
    pub shared: Option<(usize, usize)>,
}

#[derive(Default)]
struct Log {
    seen: HashMap<String, Vec<Seen>>,
    last_body: HashMap<String, Vec<u8>>,
}

/// A server that runs until this process ends.
pub struct Server {
    port: u16,
    log: Arc<Mutex<Log>>,
}

impl Server {
    /// Listens on a free port of the loopback interface.
    pub fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot listen on loopback")?;
        let port = listener.local_addr()?.port();
        let log: Arc<Mutex<Log>> = Arc::default();
        let shared = Arc::clone(&log);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = Arc::clone(&shared);
                // A connection that breaks is the client's affair: its run then has too few calls.
                std::thread::spawn(move || serve(&stream, &log).ok());
            }
        });
        Ok(Self { port, log })
    }

    /// The base URL of a run, without `/v1`.
    pub fn base(&self, run: &str, calls: usize) -> String {
        format!("http://127.0.0.1:{}/r/{run}/{calls}", self.port)
    }

    /// The requests of a run so far that offered tools or were a step, in order of arrival.
    pub fn seen(&self, run: &str) -> Vec<Seen> {
        let mut seen = locked(&self.log).seen.remove(run).unwrap_or_default();
        seen.sort_by_key(|request| request.arrived);
        seen
    }
}

fn locked(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: &TcpStream, log: &Mutex<Log>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IDLE))?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let arrived = Instant::now();
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let body = read_body(&mut reader, &mut writer)?;
        let Some(dialect) = Dialect::at(&path) else {
            respond(&mut writer, "application/json", r#"{"object":"list","data":[],"models":[]}"#)?;
            continue;
        };
        let (run, calls) = run_of(&path).context("no run in the path")?;
        let request: Value = serde_json::from_slice(&body).context("not JSON")?;
        let tools = dialect.tools(&request);
        let results = dialect.results(&request);
        let text = String::from_utf8_lossy(&body);
        let say = script::next(run, calls, results, &tools, &text);
        let side_call =
            tools.is_empty() && matches!(&say, script::Say::Words(w) if w == "Scripted");
        let (kind, reply) = dialect.reply(&request, &say, results, run);
        let fixed_bytes = dialect.fixed_bytes(&request);
        respond(&mut writer, kind, &reply)?;
        let answered = Instant::now();
        if side_call {
            continue;
        }
        let conversation = format!("{run}/{}", request["prompt_cache_key"]);
        let mut log = locked(log);
        let before = log.last_body.get(&conversation);
        let shared = before.map(|before| (common_prefix(before, &body), before.len()));
        let bytes = body.len();
        log.last_body.insert(conversation, body);
        let seen = Seen { arrived, answered, bytes, fixed_bytes, shared };
        log.seen.entry(run.to_owned()).or_default().push(seen);
    }
}

/// `/r/<run>/<calls>/v1/…` → run and calls.
fn run_of(path: &str) -> Option<(&str, usize)> {
    let mut parts = path.strip_prefix("/r/")?.split('/');
    Some((parts.next()?, parts.next()?.parse().ok()?))
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn read_body(
    reader: &mut BufReader<&TcpStream>,
    writer: &mut &TcpStream,
) -> anyhow::Result<Vec<u8>> {
    let (mut length, mut chunked) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        match line.split_once(':').map(|(name, value)| (name, value.trim())) {
            None if line.is_empty() => break,
            Some(("content-length", value)) => length = value.parse().context("content-length")?,
            Some(("transfer-encoding", value)) => chunked = value.contains("chunked"),
            Some(("expect", _)) => writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?,
            _ => {}
        }
    }
    if chunked {
        return read_chunks(reader);
    }
    anyhow::ensure!(length <= MOST_BODY_BYTES, "a body of {length} bytes");
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

fn read_chunks(reader: &mut BufReader<&TcpStream>) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16)?;
        anyhow::ensure!(body.len() + size <= MOST_BODY_BYTES, "a body without end");
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..])?;
        reader.read_line(&mut line)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn respond(writer: &mut &TcpStream, kind: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
    writer.write_all((head + body).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(server: &Server, run: &str, body: &str) -> String {
        let path = format!("/r/{run}/3/v1/responses");
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        let length = body.len();
        write!(stream, "POST {path} HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }

    #[test]
    fn requests_of_one_run_are_kept_with_what_they_share() {
        let server = Server::start().unwrap();
        let tools =
            r#"[{"type":"function","name":"shell","parameters":{"properties":{"command":{}}}}]"#;
        let first = format!(r#"{{"tools":{tools},"input":[{{"role":"user"}}"#);
        let reply = post(&server, "one", &format!("{first}]}}"));
        assert!(reply.contains("true step-0"), "{reply}");
        let second = format!(
            r#"{first},{{"type":"function_call_output"}},{{"type":"function_call_output"}}]}}"#
        );
        assert!(post(&server, "one", &second).contains(script::FINAL));
        let seen = server.seen("one");
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[1].shared, Some((first.len(), first.len() + 2)));
        assert!(seen[0].answered <= seen[1].arrived);
        assert!(server.seen("other").is_empty());
    }
}
