//! Commands in a sandbox: what they see, how they are connected, how they end.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod stage;

use std::time::{Duration, Instant};

use quire_domain::sandbox::{
    Command, CommandEvent, CommandIo, CommandSignal, ExitStatus, SandboxError, StartedCommand,
};
use stage::{Stage, bash, create, rest, run, sh};

#[tokio::test]
async fn a_command_sees_the_layer_and_what_it_writes_stays_above_it() {
    let stage = Stage::new().await;
    let layer = stage.layer("layer", &[("src/main.txt", "from the layer\n")]);
    let sandbox = create(&stage, stage.spec("a", vec![layer.clone()])).await;
    let (output, status) =
        run(&sandbox, bash("cat src/main.txt; echo new > src/new.txt; id -u; pwd; exit 3")).await;
    assert_eq!(output, "from the layer\n1000\n/workspace/tree\n");
    assert_eq!(status, ExitStatus::Code(3));
    assert_eq!(sh(&sandbox, "cat src/new.txt").await, "new\n");
    sandbox.end().await.unwrap();
    assert!(!layer.path.join("src/new.txt").exists());
    let above = stage.path("upper-a/work/upper/src/new.txt");
    assert_eq!(std::fs::read_to_string(above).unwrap(), "new\n");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_by_name() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("missing", vec![])).await;
    let command = Command { argv: vec!["no-such-program".to_owned()], ..bash("") };
    let Err(SandboxError::Spawn { program, source }) = sandbox.start(command).await.map(drop)
    else {
        panic!("it was started");
    };
    assert_eq!(
        (program.as_str(), source.kind()),
        ("no-such-program", std::io::ErrorKind::NotFound)
    );
}

#[tokio::test]
async fn output_and_error_are_kept_apart_when_asked() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("apart", vec![])).await;
    let command = Command { io: CommandIo::Separate, ..bash("echo out; echo err > /dev/stderr") };
    let mut output = sandbox.start(command).await.unwrap().output;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    loop {
        match output.next().await.unwrap() {
            CommandEvent::Output(bytes) => out.extend_from_slice(&bytes),
            CommandEvent::Error(bytes) => err.extend_from_slice(&bytes),
            CommandEvent::Exited(status) => {
                assert!(status.success());
                break;
            }
        }
    }
    assert_eq!((out.as_slice(), err.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
}

#[tokio::test]
async fn input_reaches_the_command_until_it_is_closed() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("input", vec![])).await;
    let command = Command { io: CommandIo::InputOutput, ..bash("sort; echo done") };
    let StartedCommand { mut output, control, .. } = sandbox.start(command).await.unwrap();
    control.write(b"b\na\n", Duration::from_secs(5)).await.unwrap();
    control.close_input().await.unwrap();
    assert_eq!(rest(&mut output).await, ("a\nb\ndone\n".to_owned(), ExitStatus::Code(0)));
}

#[tokio::test]
async fn a_terminal_is_one_of_the_size_that_was_asked_for() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("terminal", vec![])).await;
    let io = CommandIo::Terminal { columns: 101, rows: 37 };
    let command = Command { io, ..bash("tty; stty size; read line; echo \"got $line\"") };
    let StartedCommand { mut output, control, .. } = sandbox.start(command).await.unwrap();
    control.write(b"hello\n", Duration::from_secs(5)).await.unwrap();
    let (text, status) = rest(&mut output).await;
    assert_eq!(status, ExitStatus::Code(0));
    // What is typed shows wherever it falls between the lines.
    assert!(text.contains("/dev/pts/0\r\n") && text.contains("37 101\r\n"), "{text:?}");
    assert!(text.ends_with("got hello\r\n"), "{text:?}");
}

#[tokio::test]
async fn a_terminal_takes_another_size_and_the_command_is_told() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("resize", vec![])).await;
    let io = CommandIo::Terminal { columns: 80, rows: 24 };
    let script = "trap 'stty size; exit' WINCH; echo ready; while :; do read -t 1 x; done";
    let command = Command { io, ..bash(script) };
    let StartedCommand { mut output, control, .. } = sandbox.start(command).await.unwrap();
    let CommandEvent::Output(ready) = output.next().await.unwrap() else { panic!("it ended") };
    assert_eq!(&ready[..], b"ready\r\n");
    control.resize(132, 50).await.unwrap();
    assert_eq!(rest(&mut output).await, ("50 132\r\n".to_owned(), ExitStatus::Code(0)));
}

#[tokio::test]
async fn input_output_and_error_can_each_have_a_pipe() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("pipes", vec![])).await;
    let command =
        Command { io: CommandIo::InputSeparate, ..bash("tr a-z A-Z; echo e >&2; exit 3") };
    let StartedCommand { mut output, control, .. } = sandbox.start(command).await.unwrap();
    control.write(b"hello", Duration::from_secs(5)).await.unwrap();
    control.close_input().await.unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = loop {
        match output.next().await.unwrap() {
            CommandEvent::Output(bytes) => out.extend_from_slice(&bytes),
            CommandEvent::Error(bytes) => err.extend_from_slice(&bytes),
            CommandEvent::Exited(status) => break status,
        }
    };
    assert_eq!((out.as_slice(), err.as_slice()), (&b"HELLO"[..], &b"e\n"[..]));
    assert_eq!(status, ExitStatus::Code(3));
}

#[tokio::test]
async fn a_terminal_passes_on_an_interrupt_and_the_end_of_input() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("interrupt", vec![])).await;
    let io = CommandIo::Terminal { columns: 80, rows: 24 };
    let command = Command { io, ..bash("trap 'echo caught' INT; echo ready; cat; cat; echo end") };
    let StartedCommand { mut output, control, .. } = sandbox.start(command).await.unwrap();
    let mut seen = String::new();
    while !seen.contains("ready") {
        if let CommandEvent::Output(bytes) = output.next().await.unwrap() {
            seen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    control.signal(CommandSignal::Interrupt).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    control.close_input().await.unwrap();
    let (text, _) = rest(&mut output).await;
    assert!(text.contains("caught") && text.trim_end().ends_with("end"), "{text:?}");
}

#[tokio::test]
async fn a_signal_ends_the_command_and_its_group() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("signal", vec![])).await;
    let StartedCommand { mut output, control, .. } =
        sandbox.start(bash("sleep 100 & sleep 100; echo not here")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    control.signal(CommandSignal::Terminate).await.unwrap();
    let begun = Instant::now();
    assert_eq!(rest(&mut output).await, (String::new(), ExitStatus::Signal(15)));
    assert!(begun.elapsed() < Duration::from_millis(900), "its child held the output open");
    assert_eq!(sh(&sandbox, "pgrep sleep | wc -l").await.trim(), "0");
}

#[tokio::test]
async fn a_background_child_that_holds_the_output_delays_the_end_by_a_second_at_most() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("held", vec![])).await;
    let begun = Instant::now();
    let (output, status) = run(&sandbox, bash("sleep 60 & echo started")).await;
    assert_eq!((output.as_str(), status), ("started\n", ExitStatus::Code(0)));
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(3), "{took:?}");
    // It lives on: one sandbox for all commands.
    assert_eq!(sh(&sandbox, "pgrep -c sleep").await, "1\n");
}

#[tokio::test]
async fn a_command_whose_handles_are_dropped_goes_on() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("dropped", vec![])).await;
    let script = "for i in $(seq 20000); do echo $i some words to fill the pipe; done; touch done";
    drop(sandbox.start(bash(script)).await.unwrap());
    let waiting =
        sh(&sandbox, "for i in $(seq 300); do test -e done && break; sleep 0.02; done; ls");
    assert_eq!(waiting.await, "done\n");
}

#[tokio::test]
async fn a_command_waits_while_nobody_reads_and_loses_nothing() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("flood", vec![])).await;
    let mut output = sandbox.start(bash("head -c 300000000 /dev/zero")).await.unwrap().output;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut total = 0;
    loop {
        match output.next().await.unwrap() {
            CommandEvent::Output(bytes) => {
                assert!(bytes.len() <= 64 * 1024);
                total += bytes.len();
            }
            CommandEvent::Error(_) => panic!("nothing was kept apart"),
            CommandEvent::Exited(status) => {
                assert!(status.success());
                break;
            }
        }
    }
    assert_eq!(total, 300_000_000);
}

#[tokio::test]
async fn the_end_leaves_no_process_within_a_second() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("daemons", vec![])).await;
    sh(&sandbox, "for i in $(seq 20); do setsid nohup sleep 98765 >/dev/null 2>&1 & done").await;
    let count = || {
        let listed = std::process::Command::new("pgrep").args(["-fc", "sleep 98765"]).output();
        String::from_utf8(listed.unwrap().stdout).unwrap().trim().to_owned()
    };
    for _ in 0..200 {
        if count() == "20" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(count(), "20");
    let begun = Instant::now();
    sandbox.end().await.unwrap();
    assert_eq!(count(), "0");
    assert!(begun.elapsed() < Duration::from_secs(1));
    let Err(SandboxError::Gone(_)) = sandbox.start(bash("true")).await.map(drop) else {
        panic!("it is not gone");
    };
}

#[tokio::test]
async fn whoever_waits_for_a_command_of_a_sandbox_that_ends_is_told() {
    let stage = Stage::new().await;
    let sandbox = create(&stage, stage.spec("waiting", vec![])).await;
    let mut output = sandbox.start(bash("sleep 100")).await.unwrap().output;
    sandbox.end().await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(2), output.next()).await.unwrap();
    assert!(matches!(told, Err(SandboxError::Gone(_))), "{told:?}");
}

#[tokio::test]
async fn twenty_sandboxes_at_once_each_see_only_their_own() {
    let stage = Stage::new().await;
    let layer = stage.layer("shared", &[("a", "a")]);
    let made = (0..20).map(|number| {
        let (backend, spec) =
            (&stage.backend, stage.spec(&format!("n{number}"), vec![layer.clone()]));
        async move {
            let sandbox =
                quire_domain::sandbox::SandboxBackend::create(backend, spec).await.unwrap();
            sh(&sandbox, &format!("echo {number} > mine")).await;
            sandbox
        }
    });
    let mut sandboxes = Vec::new();
    for sandbox in made {
        sandboxes.push(sandbox.await);
    }
    for (number, sandbox) in sandboxes.iter().enumerate() {
        assert_eq!(sh(sandbox, "cat mine; ls").await, format!("{number}\na\nmine\n"));
    }
}
