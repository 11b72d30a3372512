//! The `quire` command: the one binary, which wires everything.

mod administration;
mod args;
mod commands;
mod defaults;
mod exit;
mod installation;
mod nearest;
mod no_room;
mod remote;
mod settings;
mod show;
mod surroundings;
mod task_file;
mod when;

use std::process::ExitCode;

use clap::Parser;
use rustix::process::DumpableBehavior;

use crate::exit::{Exit, Stop};

/// Starts the zygote first, while the process is single-threaded and has read nothing.
fn main() -> ExitCode {
    if quire_sandbox::zygote::is_zygote() {
        quire_sandbox::zygote::main();
    }
    if let Some(exit) = commands::unpack_layer::if_asked() {
        return exit;
    }
    // An error is kept: commands that make no sandbox work without a zygote.
    let zygote = quire_sandbox::Zygote::spawn();
    // Keys and secrets are in this process's memory: no core dump is written of it, and no other
    // process of the person's reads it. Where the kernel does not know this, nothing is lost.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    raise_descriptors();
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Clap prints help to stdout and mistakes to stderr; a closed pipe is no failure.
            if error.use_stderr() {
                let _ = error.print();
                return Exit::Usage.into();
            }
            show::kept(error.print());
            return written(Exit::Done).into();
        }
    };
    match run(args, zygote) {
        Ok(exit) => written(exit).into(),
        Err(error) => {
            report(&error);
            error.downcast_ref::<Stop>().map_or(Exit::Failed, |stop| stop.exit).into()
        }
    }
}

/// Files and connections that this process may have open, where the system lets it: a connection of
/// a sandbox's way out takes up to six, and the usual 1,024 are few for many sandboxes.
const DESCRIPTORS: u64 = 65_536;

/// Takes as many as there may be. What cannot be had, the way out goes by what there is.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = maximum.unwrap_or(DESCRIPTORS).min(DESCRIPTORS);
    if current.is_some_and(|current| current < most) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum });
    }
}

/// The exit code of a command that ended with `exit`: it did not do what was asked if what it had
/// to print could not be written.
fn written(exit: Exit) -> Exit {
    match show::not_written() {
        None => exit,
        Some(error) => {
            report(&anyhow::anyhow!("cannot write to standard output: {error}"));
            if exit == Exit::Done { Exit::Failed } else { exit }
        }
    }
}

fn run(args: args::Args, zygote: std::io::Result<quire_sandbox::Zygote>) -> anyhow::Result<Exit> {
    let surroundings = surroundings::Surroundings::read()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, |n| n.get().min(4)))
        .enable_all()
        .build()?;
    let exit = runtime.block_on(commands::run(args, surroundings, zygote));
    // What still runs in the background must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    exit
}

/// Prints an error with its causes, a line each.
fn report(error: &anyhow::Error) {
    let mut text = format!("error: {error}");
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !said.contains(&cause) {
            text.push_str("\n  because ");
            text.push_str(&cause);
            said.push_str(&cause);
        }
    }
    // What a file of a repository holds may be part of it.
    show::err(&show::style::plain(&text, true));
}
