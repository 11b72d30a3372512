//! Opens the pictures that a conversation names, once for each request.

use std::collections::HashMap;

use base64::Engine as _;
use quire_domain::ids::Sha256;
use quire_domain::model::ModelRequest;
use quire_domain::task::Image;
use quire_domain::transcript::{Item, Part};

/// Pictures by their blob, as base64.
#[derive(Default)]
pub(crate) struct Images {
    sees: bool,
    open: HashMap<Sha256, Option<String>>,
}

/// What stands for a picture in a request.
pub(crate) enum Shown<'a> {
    /// Its bytes as base64.
    Base64(&'a str),
    /// Words, as the model cannot see it or it is gone.
    Words(String),
}

impl Images {
    /// Opens all pictures of `request`, unless the model sees none.
    pub(crate) async fn open(request: &ModelRequest<'_>, sees: bool) -> Self {
        let mut images = Self { sees, open: HashMap::new() };
        if !sees {
            return images;
        }
        for image in all_parts(request.items).filter_map(|part| match part {
            Part::Image { image } => Some(image),
            Part::Text { .. } => None,
        }) {
            if !images.open.contains_key(&image.blob) {
                let bytes = request.images.open(image).await;
                let text = bytes.map(|b| base64::engine::general_purpose::STANDARD.encode(b));
                images.open.insert(image.blob.clone(), text);
            }
        }
        images
    }

    /// What to send for `image`.
    pub(crate) fn show(&self, image: &Image) -> Shown<'_> {
        match self.open.get(&image.blob) {
            Some(Some(text)) => Shown::Base64(text),
            _ if self.sees => {
                Shown::Words(format!("[a picture ({}) that is gone]", image.media_type))
            }
            _ => Shown::Words(format!(
                "[a picture ({}, {} bytes) that this model cannot see]",
                image.media_type, image.bytes
            )),
        }
    }

    /// Bytes of all pictures, for sizing a body.
    pub(crate) fn len(&self) -> usize {
        self.open.values().flatten().map(String::len).sum()
    }
}

fn all_parts(items: &[Item]) -> impl Iterator<Item = &Part> {
    items.iter().flat_map(|item| {
        let (message, results): (&[Part], _) = match item {
            Item::Message(message) => (&message.parts, &[][..]),
            Item::ToolResults { results } => (&[], results.as_slice()),
            Item::Reply(_) => (&[], &[][..]),
        };
        message.iter().chain(results.iter().flat_map(|result| &result.parts))
    })
}
