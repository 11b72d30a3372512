//! Prints the API's description: `cargo run -p quire-server --example openapi > docs/openapi.json`.

use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = serde_json::to_string_pretty(&quire_server::openapi())?;
    text.push('\n');
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
