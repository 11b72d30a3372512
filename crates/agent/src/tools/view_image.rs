//! `view_image`: shows the model a picture of the sandbox.

use std::path::PathBuf;

use async_trait::async_trait;
use quire_domain::event::{EventBody, FileViewed};
use quire_domain::ids::CallId;
use quire_domain::journal::ChunkWriter;
use quire_domain::model::ToolSpec;
use quire_domain::sandbox::FileError;
use quire_domain::task::Image;
use quire_domain::transcript::{Part, ToolCall};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, Declined, Desk, Place, PreparedCall, Tool, ToolError, arguments, json_spec};
use crate::screen::grouped;

/// The largest picture, in bytes: what providers take, once it is base64.
const MAX_BYTES: u64 = 3_750_000;

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// A PNG, JPEG, GIF or WebP file.
    path: String,
}

/// The tool.
pub struct ViewImage;

impl Tool for ViewImage {
    fn spec(&self) -> ToolSpec {
        json_spec::<Args>("view_image", "Shows you a picture of the sandbox.")
    }

    fn prepare(&self, call: &ToolCall, place: &Place) -> Result<Box<dyn PreparedCall>, Declined> {
        let args: Args = arguments(call)?;
        if args.path.is_empty() || args.path.contains('\0') {
            return Err(Declined("`path` is no path.".to_owned()));
        }
        let path = place.resolve(&args.path);
        Ok(Box::new(ViewCall { call: call.id.clone(), path }))
    }
}

struct ViewCall {
    call: CallId,
    path: PathBuf,
}

#[async_trait]
impl PreparedCall for ViewCall {
    async fn run(
        self: Box<Self>,
        desk: &Desk<'_>,
        _: Option<Box<dyn ChunkWriter>>,
    ) -> Result<Answer, ToolError> {
        let sandbox = desk.sandbox().await?;
        let bytes = match sandbox.read_file(&self.path, MAX_BYTES).await {
            Ok(bytes) => bytes,
            Err(FileError::Sandbox(error)) => return Err(error.into()),
            Err(error) => return Err(Declined(format!("Nothing to show: {error}.")).into()),
        };
        let path = Place::text(&self.path);
        let Some(media_type) = media_type(&bytes) else {
            return Err(Declined(format!("`{path}` is no PNG, JPEG, GIF or WebP picture.")).into());
        };
        let size = bytes.len() as u64;
        let blob = desk.journal.put_blob(bytes).await?;
        let image = Image { blob, media_type: media_type.to_owned(), bytes: size };
        let viewed = FileViewed { call_id: self.call, path: path.clone(), image: image.clone() };
        let mut answer = Answer::of(format!("{path}: {media_type}, {} bytes", grouped(size)));
        answer.parts.push(Part::Image { image });
        Ok(answer.with(EventBody::FileViewed(viewed)))
    }
}

/// What kind of picture it is, by its first bytes and not by its name.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}
