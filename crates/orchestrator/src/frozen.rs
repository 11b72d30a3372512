//! What attempts left in their sandboxes, as layers for those that go on from them.

use std::collections::BTreeMap;

use quire_domain::ids::AttemptId;
use quire_domain::sandbox::Layer;
use serde::{Deserialize, Serialize};

use crate::lease;
use crate::prepare::WORK;
use crate::worker::Worker;

/// Layers that hold until the machine restarts.
#[derive(Serialize, Deserialize)]
struct Frozen {
    boot: String,
    layers: BTreeMap<String, Layer>,
}

/// The layers that earlier attempts left, as they lie on disk, in the order of `continued`; empty
/// of those that left none. `None` if they are no longer kept: then only commits are left.
pub fn frozen_layers(
    worker: &Worker,
    continued: &[AttemptId],
) -> Option<Vec<BTreeMap<String, Layer>>> {
    continued
        .iter()
        .map(|attempt| {
            let text = std::fs::read(worker.place.upper(*attempt).join("frozen.json")).ok()?;
            let Frozen { boot, layers } = serde_json::from_slice(&text).ok()?;
            let there = layers.get(WORK).is_none_or(|layer| layer.path.exists());
            (there && boot == lease::boot()).then_some(layers)
        })
        .collect()
}

/// Notes the layers that an attempt left, for [`frozen_layers`].
pub fn keep_frozen(
    worker: &Worker,
    attempt: AttemptId,
    frozen: &BTreeMap<String, Layer>,
) -> std::io::Result<()> {
    let dir = worker.place.upper(attempt);
    let unfinished = dir.join("frozen.tmp");
    let frozen = Frozen { boot: lease::boot(), layers: frozen.clone() };
    std::fs::write(&unfinished, serde_json::to_vec(&frozen)?)?;
    std::fs::rename(unfinished, dir.join("frozen.json"))
}
