//! Prints what a turn costs us: writing a request of 20 items and reading its reply, over loopback.
//!
//! `cargo run --release -p quire-models --example turn_cost`

#![expect(clippy::print_stdout, reason = "this is what the example is for")]

use std::error::Error;
use std::time::{Duration, Instant};

use quire_domain::model::{ImageSource, LiveReply, ModelRequest, ReplyDelta};
use quire_domain::task::Image;
use quire_domain::transcript::{Item, Message, Part, Role, ToolResult};
use quire_models::play::{PlayOptions, PlayServer, Script, Turn, serve};
use quire_models::{Catalogue, Settings, connect};

const ROUNDS: u32 = 500;
const OURS: &str = "/proc/thread-self/schedstat";

struct Nothing;

#[async_trait::async_trait]
impl ImageSource for Nothing {
    async fn open(&self, _: &Image) -> Option<bytes::Bytes> {
        None
    }
}

impl LiveReply for Nothing {
    fn delta(&self, _: ReplyDelta<'_>) {}
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let catalogue = Catalogue::load(None)?;
    println!("catalogue                        {:>8.1} µs", micros(start.elapsed()));

    // Nobody listens there: what it costs is the client with the machine's certificates.
    let mut settings = Settings::with_base_url("openai", "https://127.0.0.1:1/v1");
    settings.tries = 1;
    let model = connect(catalogue.resolve(Some("openai/any"), &settings).await?, &settings);
    let start = Instant::now();
    let request = ModelRequest {
        instructions: "",
        tools: &[],
        items: &[],
        images: &Nothing,
        cache_key: "a",
        live: &Nothing,
    };
    let refused = model.reply(request).await.is_err();
    println!("https client (refused: {refused})    {:>8.1} µs", micros(start.elapsed()));

    // The server has a thread of its own, so that this thread's CPU time is the client's.
    let turns = (0..20).map(|step| Turn::shell(&format!("cat file-{step}")));
    let script = Script::of(turns);
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let server = serve(script, ([127, 0, 0, 1], 0).into(), PlayOptions::default()).await;
            let thread = std::fs::read_link("/proc/thread-self").unwrap_or_default();
            let url = server.as_ref().map(PlayServer::url).map_err(ToString::to_string);
            let _ = send.send((url, format!("/proc/{}/schedstat", thread.display())));
            std::future::pending::<()>().await;
        });
        Ok::<(), std::io::Error>(())
    });
    let (url, server) = receive.recv()?;
    let url = url?;

    for name in ["demo", "chat", "messages"] {
        let settings = Settings::with_base_url("scripted", &url);
        let resolved = catalogue.resolve(Some(&format!("scripted/{name}")), &settings).await?;
        let model = connect(resolved, &settings);
        let parts = vec![Part::text("mend it")];
        let mut items = vec![Item::Message(Message { role: Role::User, parts })];
        let ask = |items: Vec<Item>| {
            let model = &model;
            async move {
                let request = ModelRequest {
                    instructions: "You mend programs.",
                    tools: &[],
                    items: &items,
                    images: &Nothing,
                    cache_key: "a",
                    live: &Nothing,
                };
                (model.reply(request).await, items)
            }
        };
        let start = Instant::now();
        let (reply, same) = ask(items).await;
        items = same;
        println!("{name:<9} first (client, connect) {:>8.1} µs", micros(start.elapsed()));
        items.push(Item::Reply(reply?));
        while items.len() < 20 {
            let Some(Item::Reply(last)) = items.last() else { break };
            let results = last
                .tool_calls()
                .map(|call| ToolResult {
                    call_id: call.id.clone(),
                    parts: vec![Part::text("line of output\n".repeat(270))],
                    ok: true,
                })
                .collect();
            items.push(Item::ToolResults { results });
            let (reply, same) = ask(items).await;
            items = same;
            items.push(Item::Reply(reply?));
        }
        items.pop();
        let (wall, cpu, its_cpu) = (Instant::now(), cpu_time(OURS), cpu_time(&server));
        for _ in 0..ROUNDS {
            let (reply, same) = ask(items).await;
            items = same;
            reply?;
        }
        println!(
            "{name:<9} turn of {} items      {:>8.1} µs wall, {:>6.1} µs CPU, server {:>6.1} µs CPU",
            items.len(),
            micros(wall.elapsed() / ROUNDS),
            micros(cpu_time(OURS).saturating_sub(cpu) / ROUNDS),
            micros(cpu_time(&server).saturating_sub(its_cpu) / ROUNDS),
        );
    }
    Ok(())
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// CPU time of a thread, from the kernel's own count in nanoseconds.
fn cpu_time(thread: &str) -> Duration {
    let text = std::fs::read_to_string(thread).unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0);
    Duration::from_nanos(nanos)
}
