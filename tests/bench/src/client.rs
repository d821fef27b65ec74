//! An HTTP/1.1 client that costs next to nothing: one connection, no runtime.
//! On a small machine a client's own work would otherwise be measured with the mesh's.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use mesh_schemas::{
    JobId, JobSpec,
    api::{JobDetail, JobView, Submitted},
    message::ObjectUrl,
};
use serde::de::DeserializeOwned;

/// Longest silence of the server, long-polls included.
const PATIENCE: Duration = Duration::from_secs(90);
/// After so long without a request the server may close the connection.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// Longest body that is read, in bytes.
const BODY_BYTES_MAX: usize = 64 << 20;
/// What most bodies are.
const JSON: &str = "application/json";
/// What a file is sent in.
const PIECE_BYTES: usize = 256 << 10;

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    host: String,
    token: Option<String>,
    reader: BufReader<TcpStream>,
    line: String,
    used: Instant,
}

/// Status and body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// Connects to a server such as `http://127.0.0.1:7700`.
    pub(crate) fn connect(server: &str, token: Option<String>) -> anyhow::Result<Self> {
        let host = server.strip_prefix("http://").context("only http:// is spoken here")?;
        let host = host.trim_end_matches('/').to_owned();
        let reader = BufReader::new(open(&host)?);
        Ok(Self { host, token, reader, line: String::new(), used: Instant::now() })
    }

    /// Longest wait for an answer on this connection.
    pub(crate) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.reader.get_ref().set_read_timeout(Some(patience))
    }

    pub(crate) fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        let request = self.request("GET", path, JSON, &[]);
        self.send(&request)?;
        self.receive()
    }

    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> anyhow::Result<Answer> {
        self.post_as(path, JSON, body)
    }

    /// POST of a body of another media type.
    pub(crate) fn post_as(
        &mut self,
        path: &str,
        media_type: &str,
        body: &[u8],
    ) -> anyhow::Result<Answer> {
        let request = self.request("POST", path, media_type, body);
        self.send(&request)?;
        self.receive()
    }

    /// GET of something that must be there.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, path: &str) -> anyhow::Result<T> {
        self.get(path)?.json().with_context(|| format!("GET {path}"))
    }

    /// Submits a job.
    pub(crate) fn submit(&mut self, spec: &JobSpec) -> anyhow::Result<JobId> {
        let answer = self.post("/api/v1/jobs", &serde_json::to_vec(spec)?)?;
        Ok(answer.json::<Submitted>()?.job)
    }

    /// Waits until the job has ended.
    pub(crate) fn finished(&mut self, job: JobId) -> anyhow::Result<JobView> {
        loop {
            let path = format!("/api/v1/jobs/{job}?until=finished&wait=60s");
            let job = self.read::<JobDetail>(&path)?.view;
            if job.state.is_terminal() {
                return Ok(job);
            }
        }
    }

    /// Cancels a job.
    pub(crate) fn cancel(&mut self, job: JobId) -> anyhow::Result<()> {
        let answer = self.post(&format!("/api/v1/jobs/{job}/cancel"), b"{}")?;
        ensure!(answer.status == 200, "cancel: {}", answer.text());
        Ok(())
    }

    fn request(&self, method: &str, path: &str, media_type: &str, body: &[u8]) -> Vec<u8> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.host);
        if let Some(token) = &self.token {
            head.push_str(&format!("authorization: Bearer {token}\r\n"));
        }
        if !body.is_empty() {
            let len = body.len();
            head.push_str(&format!("content-type: {media_type}\r\ncontent-length: {len}\r\n"));
        }
        head.push_str("\r\n");
        [head.as_bytes(), body].concat()
    }

    fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if self.used.elapsed() > IDLE_MAX {
            self.reader = BufReader::new(open(&self.host)?);
        }
        self.used = Instant::now();
        Ok(self.reader.get_ref().write_all(bytes)?)
    }

    fn receive(&mut self) -> anyhow::Result<Answer> {
        let status = self.line()?;
        let status: u16 = status
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .with_context(|| format!("the answer begins with {status:?}"))?;
        let mut len = 0;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => len = value.trim().parse()?,
                "transfer-encoding" => bail!("an answer in chunks is not read here"),
                _ => {}
            }
        }
        ensure!(len <= BODY_BYTES_MAX, "an answer of {len} bytes");
        let mut body = vec![0; len];
        self.reader.read_exact(&mut body)?;
        self.used = Instant::now();
        Ok(Answer { status, body })
    }

    fn line(&mut self) -> anyhow::Result<String> {
        self.line.clear();
        let read = self.reader.read_line(&mut self.line)?;
        ensure!(read > 0, "the server closed the connection");
        Ok(self.line.trim_end().to_owned())
    }
}

fn open(host: &str) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(host).with_context(|| format!("connecting to {host}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

impl Answer {
    pub(crate) const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.body))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        ensure!(self.is_success(), "the answer is {}", self.text());
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// Uploads a piece of a file as one object by one plain stream.
pub(crate) fn put_file(url: &ObjectUrl, file: &Path, from: u64, len: u64) -> anyhow::Result<()> {
    use std::io::{Seek as _, SeekFrom};
    let rest = url.url.strip_prefix("http://").context("only http:// is spoken here")?;
    let (host, path) = rest.split_once('/').context("a URL without a path")?;
    let mut client = Client::connect(&format!("http://{host}"), None)?;
    let mut head = format!("PUT /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len}\r\n");
    for (name, value) in &url.headers {
        if !["host", "content-length"].contains(&name.as_str()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("\r\n");
    let mut file = std::fs::File::open(file)?;
    file.seek(SeekFrom::Start(from))?;
    let mut file = file.take(len);
    let mut stream = client.reader.get_ref();
    stream.write_all(head.as_bytes())?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        stream.write_all(&piece[..read])?;
    }
    let answer = client.receive()?;
    ensure!(answer.is_success(), "PUT: {}", answer.text());
    Ok(())
}
