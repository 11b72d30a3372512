//! The HTTP API from outside: what the command line speaks to a server.
