//! The sandbox as the loop meets it: late, broken, idle.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use quire_agent::{End, SandboxSource, run};
use quire_domain::attempt::FailureKind;
use quire_domain::sandbox::{Sandbox, SandboxError};
use support::Stage;
use support::player::{Player, say, shell};

/// Is never ready.
struct Never;

#[async_trait]
impl SandboxSource for Never {
    async fn sandbox(&self) -> Result<Arc<dyn Sandbox>, SandboxError> {
        std::future::pending().await
    }
}

/// Could not be made.
struct Broken;

#[async_trait]
impl SandboxSource for Broken {
    async fn sandbox(&self) -> Result<Arc<dyn Sandbox>, SandboxError> {
        Err(SandboxError::Unsupported {
            what: "user namespaces".to_owned(),
            remedy: "allow them".to_owned(),
        })
    }
}

#[tokio::test]
async fn the_model_thinks_while_the_sandbox_is_made() {
    let stage = Stage::new(vec![say("Done.")]);
    stage.submit();
    let mut attempt = stage.attempt();
    attempt.sandbox = Arc::new(Never);
    assert!(matches!(run(attempt).await.unwrap(), End::Finished { .. }));
}

#[tokio::test]
async fn a_cancel_does_not_wait_for_a_sandbox() {
    let stage = Stage::new(vec![shell("echo a")]);
    stage.submit();
    let mut attempt = stage.attempt();
    attempt.sandbox = Arc::new(Never);
    let (record, cancel) = (stage.record.clone(), stage.cancel.clone());
    let watch = tokio::spawn(async move {
        while !record.bodies().iter().any(|body| body.kind() == "command_started") {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        cancel.cancel();
    });
    let end = tokio::time::timeout(Duration::from_secs(3), run(attempt)).await.unwrap().unwrap();
    watch.await.unwrap();
    assert_eq!(end, End::Cancelled);
    assert!(stage.kinds().ends_with("command_started\ncommand_finished\ninterrupted"));
}

#[tokio::test]
async fn a_sandbox_that_cannot_be_made_ends_the_attempt_with_what_to_do() {
    let stage = Stage::new(vec![shell("echo a"), say("Done.")]);
    stage.submit();
    let mut attempt = stage.attempt();
    attempt.sandbox = Arc::new(Broken);
    let End::Failed { kind, detail } = run(attempt).await.unwrap() else { panic!() };
    assert_eq!(kind, FailureKind::SandboxFailed);
    assert!(detail.contains("user namespaces; allow them"), "{detail}");
    // With a sandbox it goes on: the model is told that the call has no result.
    assert_eq!(stage.answer().await.0, "Done.");
}

#[tokio::test]
async fn an_idle_sandbox_is_folded_while_the_model_thinks() {
    let mut player = Player::script(vec![shell("echo a"), say("Done.")]);
    player.thinks = Duration::from_millis(150);
    let mut stage = Stage::playing(player);
    stage.settings.fold_after = Some(Duration::from_millis(20));
    stage.run().await;
    assert_eq!(stage.folds.load(Ordering::Relaxed), 1, "not before it was used");
}
