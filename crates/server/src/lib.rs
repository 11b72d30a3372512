//! The HTTP API of an installation: routes, event streams, access, deliveries.
