//! Long answers and long bodies: read and sent in pieces, never held whole.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use reqwest::Response;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncSeekExt};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::connection::Client;
use crate::error::{ClientError, of_transport};
use crate::request::{Call, Once};

/// An answer that is read in pieces.
pub struct Download {
    response: Response,
    client: Client,
}

/// Bytes of a file that are sent at once.
const PIECE: usize = 256 << 10;
/// How often a body is sent, at most.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);

impl Client {
    /// Makes a call whose answer may be long.
    pub async fn download(&self, call: Call) -> Result<Download, ClientError> {
        let call = call.header(ACCEPT, HeaderValue::from_static("*/*"));
        let response = self.send(call).await?;
        Ok(Download { response, client: self.clone() })
    }

    /// Sends a file of `length` bytes as the body of a call and reads the answer. A file that was
    /// cut off on its way is sent again from its beginning.
    pub async fn upload<T: DeserializeOwned>(
        &self,
        call: Call,
        file: std::fs::File,
        length: u64,
        kind: &'static str,
    ) -> Result<T, ClientError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.upload_once(&call, &file, length, kind).await {
                Err(error) if error.is_for_now() && tries < TRIES && call.once != Once::Never => {
                    tokio::time::sleep(PAUSE * tries).await;
                }
                other => return other,
            }
        }
    }

    async fn upload_once<T: DeserializeOwned>(
        &self,
        call: &Call,
        file: &std::fs::File,
        length: u64,
        kind: &'static str,
    ) -> Result<T, ClientError> {
        let file = file.try_clone().map_err(ClientError::Unread)?;
        let mut file = tokio::fs::File::from_std(file);
        file.rewind().await.map_err(ClientError::Unread)?;
        let body = reqwest::Body::wrap_stream(ReaderStream::with_capacity(file, PIECE));
        let request = self
            .build(call)
            .header(CONTENT_TYPE, kind)
            .header(CONTENT_LENGTH, length)
            // The whole transfer; the pieces have the client's own limit.
            .timeout(call.patience)
            .body(body);
        let sent = request.send().await;
        let response =
            sent.map_err(|error| of_transport(&error, &self.inner.server, call.patience))?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let bytes = self.whole(response, 1 << 20).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.bad(error.to_string()))
    }
}

impl Download {
    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let inner = &self.client.inner;
        let piece = self.response.chunk().await;
        piece.map_err(|error| of_transport(&error, &inner.server, inner.config.timeout))
    }

    /// All of it, at most `most` bytes.
    pub async fn whole(self, most: usize) -> Result<Bytes, ClientError> {
        self.client.whole(self.response, most).await
    }

    /// To be read as a file is.
    pub fn reader(self) -> impl AsyncRead + Send + Unpin {
        let stream = self.response.bytes_stream().map(|piece| piece.map_err(std::io::Error::other));
        let stream: std::pin::Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>> =
            Box::pin(stream);
        StreamReader::new(stream)
    }
}
