//! The first message of a TLS client, read as far as it says whom it is for.

/// A larger hello is refused: real ones with post-quantum key shares have about 2 KiB.
pub(crate) const MOST_HELLO_BYTES: usize = 32 << 10;

/// What a client hello says that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientHello {
    /// The server's name, as written; none if the client sent none.
    pub(crate) server_name: Option<String>,
    /// Whether it has an encrypted part that could name another server.
    pub(crate) encrypted: bool,
}

/// Why bytes are no client hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadHello {
    /// They do not begin like TLS.
    NotTls,
    /// They do, and go on as no hello may.
    Malformed,
}

/// Reads `bytes`, which may hold the message in several records and more behind it. `None` while
/// there is not enough.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<ClientHello>, BadHello> {
    let Some(message) = message(bytes)? else { return Ok(None) };
    let mut reader = Reader(&message);
    body(&mut reader).map(Some).ok_or(BadHello::Malformed)
}

/// The handshake message, put together from its records.
fn message(bytes: &[u8]) -> Result<Option<Vec<u8>>, BadHello> {
    let mut message = Vec::new();
    let mut rest = bytes;
    loop {
        // Type 22 is a handshake; every version writes 3 as the first byte of its number.
        if rest.first().is_some_and(|kind| *kind != 22) || rest.get(1).is_some_and(|v| *v != 3) {
            let first = rest.len() == bytes.len();
            return Err(if first { BadHello::NotTls } else { BadHello::Malformed });
        }
        let [_, _, _, high, low, after @ ..] = rest else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length == 0 || length > 1 << 14 {
            return Err(BadHello::Malformed);
        }
        message.extend_from_slice(&after[..length.min(after.len())]);
        if let [kind, sizes @ ..] = message.as_slice() {
            // Type 1 is the client's hello.
            if *kind != 1 {
                return Err(BadHello::Malformed);
            }
            if let [a, b, c, body @ ..] = sizes {
                let size = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                if size > MOST_HELLO_BYTES {
                    return Err(BadHello::Malformed);
                }
                if body.len() >= size {
                    return Ok(Some(body[..size].to_vec()));
                }
            }
        }
        if after.len() < length {
            return Ok(None);
        }
        rest = &after[length..];
    }
}

/// `None` where it is cut short, or says what it must not.
fn body(reader: &mut Reader<'_>) -> Option<ClientHello> {
    // Version and random, session id, cipher suites, compression methods.
    reader.take(34)?;
    reader.short_list()?;
    reader.long_list()?;
    reader.short_list()?;
    let mut hello = ClientHello { server_name: None, encrypted: false };
    if reader.0.is_empty() {
        return Some(hello);
    }
    let mut extensions = Reader(reader.long_list()?);
    if !reader.0.is_empty() {
        return None;
    }
    while !extensions.0.is_empty() {
        let kind = extensions.number()?;
        let data = extensions.long_list()?;
        match kind {
            // server_name. Twice is what RFC 8446 forbids, and two readers would differ.
            0 => match (&hello.server_name, server_name(data)) {
                (None, Some(name)) => hello.server_name = Some(name),
                _ => return None,
            },
            // encrypted_client_hello, and encrypted_server_name before it.
            0xfe0d | 0xffce => hello.encrypted = true,
            _ => {}
        }
    }
    Some(hello)
}

/// The one host name of the list; `None` where there is not exactly one, or it is no text.
fn server_name(data: &[u8]) -> Option<String> {
    let mut reader = Reader(data);
    let mut list = Reader(reader.long_list()?);
    let kind = list.take(1)?;
    let name = list.long_list()?;
    let only = reader.0.is_empty() && list.0.is_empty() && kind == [0] && name.len() <= 255;
    only.then(|| String::from_utf8(name.to_vec()).ok()).flatten()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn short_list(&mut self) -> Option<&'a [u8]> {
        let length = self.take(1)?[0];
        self.take(usize::from(length))
    }

    fn long_list(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::from(length))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::{BadHello, ClientHello, read};

    /// What a real client sends first.
    fn hello(name: &str) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let name = name.to_owned().try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    /// The same message in records of `size` bytes.
    fn in_pieces(bytes: &[u8], size: usize) -> Vec<u8> {
        let mut pieces = Vec::new();
        for piece in bytes[5..].chunks(size) {
            pieces.extend([22, 3, 1]);
            pieces.extend(u16::try_from(piece.len()).unwrap().to_be_bytes());
            pieces.extend(piece);
        }
        pieces
    }

    #[test]
    fn a_real_hello_says_its_server_whole_and_in_pieces() {
        let bytes = hello("registry.example");
        let expected =
            ClientHello { server_name: Some("registry.example".to_owned()), encrypted: false };
        assert_eq!(read(&bytes), Ok(Some(expected.clone())));
        for size in [1, 2, 3, 7, 100] {
            assert_eq!(read(&in_pieces(&bytes, size)), Ok(Some(expected.clone())), "{size}");
        }
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]), Ok(None), "{length}");
        }
        // An address is not sent as a server's name.
        assert_eq!(read(&hello("127.0.0.1")).unwrap().unwrap().server_name, None);
    }

    /// A hello with these extensions.
    fn made(extensions: &[(u16, &[u8])]) -> Vec<u8> {
        let number = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
        let mut list = Vec::new();
        for (kind, data) in extensions {
            list.extend(kind.to_be_bytes());
            list.extend(number(data.len()));
            list.extend(*data);
        }
        let mut body = vec![3; 34];
        body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
        body.extend(number(list.len()));
        body.extend(list);
        let mut record = vec![22, 3, 1];
        record.extend(number(body.len() + 4));
        record.extend([1, 0]);
        record.extend(number(body.len()));
        record.extend(body);
        record
    }

    #[test]
    fn two_names_are_refused_and_an_encrypted_one_is_seen() {
        let name: &[u8] = b"\0\x06\0\0\x03a.b";
        let two: &[u8] = b"\0\x0c\0\0\x03a.b\0\0\x03c.d";
        let found = read(&made(&[(0, name), (0xfe0d, b"xyz")])).unwrap().unwrap();
        assert_eq!((found.server_name.as_deref(), found.encrypted), (Some("a.b"), true));
        assert_eq!(read(&made(&[(0, name), (0, name)])), Err(BadHello::Malformed));
        assert_eq!(read(&made(&[(0, two)])), Err(BadHello::Malformed));
        assert_eq!(read(&made(&[(0, b"\0\x06\x01\0\x03a.b")])), Err(BadHello::Malformed));
        assert_eq!(read(b"GET / HTTP/1.1\r\n"), Err(BadHello::NotTls));
        assert_eq!(read(b"SSH-2.0-x\r\n"), Err(BadHello::NotTls));
        assert_eq!(read(&[22, 3, 1, 0, 0]), Err(BadHello::Malformed));
        assert_eq!(read(&[22, 3, 1, 0xff, 0xff, 1]), Err(BadHello::Malformed));
        assert_eq!(read(&[22, 3, 1, 0, 9, 2]), Err(BadHello::Malformed));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let mut like = vec![22, 3, 1];
            like.extend(bytes);
            let _ = read(&like);
        }

        #[test]
        fn a_damaged_hello_never_panics_and_is_read_alike_in_pieces(
            at in 0usize..180, to in any::<u8>(), size in 1usize..300,
        ) {
            let mut bytes = hello("registry.example");
            let at = 5 + at % (bytes.len() - 5);
            bytes[at] = to;
            prop_assert_eq!(read(&bytes), read(&in_pieces(&bytes, size)));
        }
    }
}
