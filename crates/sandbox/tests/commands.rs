//! Commands in a sandbox.

mod stage;

use quire_domain::sandbox::ExitStatus;
use stage::{Stage, bash, create, run, sh};

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
