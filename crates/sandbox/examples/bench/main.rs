//! Figures of the native backend on this machine, beside what others take: `cargo run --release -p
//! quire-sandbox --example bench [rounds]`; `cargo xtask bench --sandboxes` runs it.
#![allow(clippy::print_stdout, reason = "printing is its job")]
#![allow(clippy::disallowed_methods, reason = "it drives other programs, and trees of its own")]

mod freeze;
mod peers;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use quire_domain::environment::Limits;
use quire_domain::sandbox::{
    Command, CommandEvent, CommandIo, Layer, LayerOwner, OverlayMount, Sandbox, SandboxBackend,
    SandboxBase, SandboxSpec, SandboxUser, Upper,
};
use quire_sandbox::{NativeBackend, NativeConfig, Zygote, zygote};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    if zygote::is_zygote() {
        zygote::main();
    }
    let zygote = Zygote::spawn()?;
    let rounds = std::env::args().nth(1).map_or(Ok(40), |text| text.parse())?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(zygote, rounds))
}

async fn run(zygote: Zygote, rounds: usize) -> Outcome<()> {
    let home = std::env::temp_dir().join(format!("quire-bench-{}", std::process::id()));
    std::fs::create_dir_all(&home)?;
    let config = NativeConfig { state_dir: home.join("state") };
    let begun = Instant::now();
    let backend = NativeBackend::new(zygote, config).await?;
    println!("backend ready                         {:>8.2} ms", ms(begun.elapsed()));
    tokio::time::sleep(Duration::from_millis(200)).await;
    println!("one that stands ready, stem and bud: {} KiB PSS", standing_pss()?);
    let small = tree(&home.join("layer-500"), 500)?;
    let large = tree(&home.join("layer-50000"), 50_000)?;
    let mut figures =
        [("layer of 500 files", Figures::new()), ("layer of 50,000 files, 1 GB", Figures::new())];
    // In turn, so that a busy moment of the machine meets both; the first ones copy /etc.
    for round in 0..rounds + 3 {
        if round == 3 {
            for (_, figures) in &mut figures {
                figures.clear();
            }
        }
        measure(&backend, &home, &small, &mut figures[0].1).await?;
        measure(&backend, &home, &large, &mut figures[1].1).await?;
    }
    let ours = Percentiles::of(figures[1].1.get(FIRST).cloned().unwrap_or_default());
    for (name, figures) in figures {
        println!("{name}:");
        print(figures);
    }
    let cold = fresh(&home, &large, rounds.min(20)).await?;
    budget("create to first command, from the pool, p50", ours.p50, 3.0, "ms");
    budget("the same, nothing standing ready, p50", cold.p50, 10.0, "ms");
    budget("the same, p95", cold.p95, 10.0, "ms");
    peers::compare(&home, &large.path, ours.p50)?;
    freeze::cost(&backend, &home, &small).await?;
    at_once(&backend, &home, 16).await?;
    at_once(&backend, &home, 100).await?;
    at_once(&backend, &home, 200).await?;
    std::fs::remove_dir_all(home)?;
    Ok(())
}

/// The figure that the budgets are about.
const FIRST: &str = "2 create to first command done";

/// The first sandbox of a process, over layers that are there: nothing stands ready, and the copy
/// of `/etc` is looked over.
async fn fresh(home: &Path, layer: &Layer, rounds: usize) -> Outcome<Percentiles> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let config = NativeConfig { state_dir: home.join("state") };
        let backend = NativeBackend::new(Zygote::spawn()?, config).await?;
        let upper = home.join("upper");
        let begun = Instant::now();
        let sandbox = backend.create(spec("fresh", &upper, layer)).await?;
        finish(&*sandbox, &["/bin/true"]).await?;
        times.push(ms(begun.elapsed()));
        sandbox.end().await?;
        backend.erase(&upper).await?;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    Ok(Percentiles::of(times))
}

/// Of many measurements.
struct Percentiles {
    p10: f64,
    p50: f64,
    p90: f64,
    p95: f64,
}

impl Percentiles {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |part: usize| {
            let last = values.len().saturating_sub(1);
            values.get((last * part).div_ceil(100)).copied().unwrap_or(f64::NAN)
        };
        Self { p10: at(10), p50: at(50), p90: at(90), p95: at(95) }
    }
}

fn budget(name: &str, value: f64, most: f64, unit: &str) {
    let kept = if value <= most { "kept" } else { "missed" };
    println!("{name}: {value:.2} {unit}, budget {most} {unit}, {kept}");
}

/// Milliseconds by name; the first two characters order the names.
type Figures = BTreeMap<&'static str, Vec<f64>>;

async fn measure(
    backend: &NativeBackend,
    home: &Path,
    layer: &Layer,
    figures: &mut Figures,
) -> Outcome<()> {
    let upper = home.join("upper");
    let mut note = |name, begun: Instant| {
        figures.entry(name).or_default().push(ms(begun.elapsed()));
    };
    let begun = Instant::now();
    let sandbox = backend.create(spec("bench", &upper, layer)).await?;
    note("1 create", begun);
    finish(&*sandbox, &["/bin/true"]).await?;
    note(FIRST, begun);
    for _ in 0..10 {
        let begun = Instant::now();
        finish(&*sandbox, &["/bin/true"]).await?;
        note("3 command in a living sandbox", begun);
    }
    let begun = Instant::now();
    sandbox.fold().await?;
    note("4 fold", begun);
    let begun = Instant::now();
    finish(&*sandbox, &["/bin/true"]).await?;
    note("5 unfold and command", begun);
    let begun = Instant::now();
    sandbox.end().await?;
    note("6 end", begun);
    backend.discard(&upper).await?;
    // As between attempts: a stem has time to get ready.
    tokio::time::sleep(Duration::from_millis(30)).await;
    Ok(())
}

fn print(figures: Figures) {
    for (name, values) in figures {
        let Percentiles { p10, p50, p90, p95 } = Percentiles::of(values);
        let name = &name[2..];
        println!("  {name:<32} p10 {p10:>6.2}  p50 {p50:>6.2}  p90 {p90:>6.2}  p95 {p95:>6.2} ms");
    }
}

/// Many alive together: how long to make them, and their share of memory.
async fn at_once(backend: &NativeBackend, home: &Path, count: usize) -> Outcome<()> {
    let layer = Layer { path: home.join("layer-500"), owner: LayerOwner::Host };
    let (before, kernel, begun) = (used_memory()?, kernel_memory()?, Instant::now());
    let made = futures_of((0..count).map(|number| {
        let upper = home.join(format!("many-{number}"));
        backend.create(spec(&format!("m{number}"), &upper, &layer))
    }))
    .await?;
    println!("{count} at once: made in {:.0} ms", ms(begun.elapsed()));
    let grown = used_memory()?.saturating_sub(before);
    let kernel = kernel_memory()?.saturating_sub(kernel);
    println!(
        "  memory of the machine: {} KiB each (budget 2048), {} KiB of it the kernel's; guests: {} \
         KiB PSS each",
        grown / count as u64,
        kernel / count as u64,
        guests_pss()?
    );
    let begun = Instant::now();
    for sandbox in &made {
        sandbox.end().await?;
    }
    println!("  ended in {:.0} ms", ms(begun.elapsed()));
    for number in 0..count {
        backend.discard(&home.join(format!("many-{number}"))).await?;
    }
    Ok(())
}

/// Awaits all, side by side.
async fn futures_of<T, E, F>(all: impl Iterator<Item = F>) -> Result<Vec<T>, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut pending: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        let mut waiting = false;
        for (future, slot) in pending.iter_mut().zip(&mut done) {
            if slot.is_some() {
                continue;
            }
            match future.as_mut().poll(cx) {
                std::task::Poll::Ready(Ok(value)) => *slot = Some(value),
                std::task::Poll::Ready(Err(error)) => return std::task::Poll::Ready(Err(error)),
                std::task::Poll::Pending => waiting = true,
            }
        }
        if waiting { std::task::Poll::Pending } else { std::task::Poll::Ready(Ok(())) }
    })
    .await?;
    Ok(done.into_iter().flatten().collect())
}

async fn finish(sandbox: &dyn Sandbox, argv: &[&str]) -> Outcome<()> {
    let command = Command {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        env: BTreeMap::new(),
        workdir: None,
        io: CommandIo::Output,
    };
    let mut output = sandbox.start(command).await?.output;
    while !matches!(output.next().await?, CommandEvent::Exited(_)) {}
    Ok(())
}

fn spec(name: &str, upper: &Path, layer: &Layer) -> SandboxSpec {
    SandboxSpec {
        name: name.to_owned(),
        base: SandboxBase::Host,
        system: BTreeMap::new(),
        overlays: vec![OverlayMount {
            target: PathBuf::from("/workspace/tree"),
            lowers: vec![layer.clone()],
            name: "work".to_owned(),
        }],
        binds: Vec::new(),
        upper: Upper::Disk(upper.to_owned()),
        workdir: PathBuf::from("/workspace/tree"),
        home: PathBuf::from("/home/quire"),
        env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        user: SandboxUser::Agent,
        limits: Limits { processes: 300, ..Limits::default() },
        egress: None,
    }
}

/// A tree of files of 20 KB, a hundred to a directory.
fn tree(path: &Path, files: usize) -> Outcome<Layer> {
    let mut text = vec![b'x'; 20_000];
    for number in 0..files {
        let directory = path.join(format!("d{}", number / 100));
        if number % 100 == 0 {
            std::fs::create_dir_all(&directory)?;
        }
        // No two alike, so that git has to keep each.
        text[..8].copy_from_slice(&(number as u64).to_le_bytes());
        std::fs::write(directory.join(format!("f{number}")), &text)?;
    }
    Ok(Layer { path: path.to_owned(), owner: LayerOwner::Host })
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// In KiB.
fn used_memory() -> Outcome<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let field = |name| field(&text, name);
    Ok(field("MemTotal:") - field("MemFree:") - field("Cached:") - field("Buffers:"))
}

/// What the kernel keeps for itself of it, in KiB.
fn kernel_memory() -> Outcome<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let own = ["Slab:", "KernelStack:", "PageTables:", "Percpu:"];
    Ok(own.iter().map(|name| field(&text, name)).sum())
}

fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// The proportional share of what stands ready, by stem and bud together, in KiB.
fn standing_pss() -> Outcome<u64> {
    // The zygote's children that are no guests.
    let own = std::process::id();
    let zygotes = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"))?;
    let (mut total, mut buds) = (0, 0);
    for zygote in zygotes.split_whitespace() {
        let children = std::fs::read_to_string(format!("/proc/{zygote}/task/{zygote}/children"))?;
        for child in children.split_whitespace() {
            let path = PathBuf::from("/proc").join(child);
            let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
            buds += u64::from(name.trim() == "quire-bud");
            total += pss(&path);
        }
    }
    Ok(total / buds.max(1))
}

fn pss(process: &Path) -> u64 {
    let rollup = std::fs::read_to_string(process.join("smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The mean of the guests' proportional share, in KiB.
fn guests_pss() -> Outcome<u64> {
    let (mut total, mut count) = (0, 0);
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let Ok(status) = std::fs::read_to_string(path.join("status")) else { continue };
        // A guest is process 1 of its own namespace.
        let bud = status.starts_with("Name:\tquire-bud");
        let guest = !bud
            && status.lines().any(|line| {
                line.starts_with("NSpid:")
                    && line.split_whitespace().count() > 2
                    && line.ends_with("\t1")
            });
        if !guest {
            continue;
        }
        total += pss(&path);
        count += 1;
    }
    Ok(total / count.max(1))
}
