//! The words of the wire: what a server is asked and what it answers. No I/O.
