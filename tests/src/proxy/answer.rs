//! Answers HTTP requests in the target's place: with errors, or with a lie.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Reads each request of the connection to its end and answers it with the status and no body.
pub(super) async fn serve(mut client: TcpStream, status: u16) {
    let mut bytes = Vec::new();
    while let Some(body) = read_head(&mut client, &mut bytes).await {
        if read_body(&mut client, &mut bytes, body).await.is_none() {
            return;
        }
        let answer =
            format!("HTTP/1.1 {status} So It Is\r\ncontent-length: 0\r\netag: \"lie\"\r\n\r\n");
        if client.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads up to the end of a head, which is taken away; the length of the body that follows.
async fn read_head(client: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<usize> {
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = bytes.drain(..end + 4).collect();
            let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
            let (_, length) = head.split_once("content-length:").unwrap_or(("", "0"));
            return length.split_whitespace().next()?.parse().ok();
        }
        if bytes.len() > HEAD_BYTES_MAX || client.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

async fn read_body(client: &mut TcpStream, bytes: &mut Vec<u8>, mut left: usize) -> Option<()> {
    loop {
        let here = left.min(bytes.len());
        bytes.drain(..here);
        left -= here;
        if left == 0 {
            return Some(());
        }
        if client.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}
