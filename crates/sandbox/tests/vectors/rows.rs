//! The list of rows, by what they are about.

mod identity;
mod limits;
mod namespaces;
mod network;
mod surface;
mod uses;
mod view;

use crate::row::Row;

/// All of them, in the order of the list.
pub fn all() -> Vec<Row> {
    [
        namespaces::rows(),
        identity::rows(),
        surface::rows(),
        network::rows(),
        view::rows(),
        limits::rows(),
        uses::rows(),
    ]
    .concat()
}
