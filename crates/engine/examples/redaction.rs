//! Measures redaction: bytes per second of output without a value, with few, and in small writes.
//!
//! `cargo run --release -p quire-engine --example redaction [MIB]`

#![allow(clippy::print_stdout, reason = "it prints its figures")]

use std::time::Instant;

use quire_domain::secret::Secret;
use quire_engine::Redaction;

fn main() {
    let mib: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_024);
    let values =
        ["sk-t0ken/4f9c+21-Qz", "glp-8Xb2kQ!vv90", "s3cr3t-of-the-registry", "p4ss w0rd#1"];
    for count in [1, 4] {
        let values = values.iter().take(count);
        let redaction = Redaction::of(values.map(|value| Secret::new(value.as_bytes().to_vec())));
        let line =
            "warning: unused variable `x` in crates/some/place.rs:17:4, see /usr/share/doc\n";
        let plain = line.repeat((64 << 10) / line.len());
        let with = format!("{plain}the key is sk-t0ken/4f9c+21-Qz here\n");
        for (name, text, piece) in [
            ("no value, 64 KiB writes", &plain, 64 << 10),
            ("a value in each 64 KiB", &with, 64 << 10),
            ("no value, 200 byte writes", &plain, 200),
        ] {
            let began = Instant::now();
            let mut stream = redaction.stream();
            let (mut out, mut done) = (Vec::new(), 0);
            while done < mib << 20 {
                for piece in text.as_bytes().chunks(piece) {
                    out.clear();
                    stream.push(piece, &mut out);
                }
                done += text.len();
            }
            let ms = began.elapsed().as_millis().max(1);
            let rate = (done as u128 >> 20) * 1_000 / ms;
            println!("{count} values, {name}: {rate} MiB/s");
        }
    }
}
