//! H15, H17: what one sandbox takes from another, and what it shows another.

use std::sync::Arc;
use std::time::Duration;

use quire_domain::sandbox::{Layer, LayerOwner, Sandbox, SandboxUser};

use super::{Seen, holds};
use crate::stand::{Stand, run, sh};

/// H15: forks, busy loops and a disk that fills, beside a sandbox that asks for `true`.
pub async fn hungry(stand: &Stand) -> Seen {
    let mut spec = stand.spec("h15-hungry", SandboxUser::Agent);
    spec.limits.processes = 100;
    spec.limits.cpu_millis = 500;
    let hungry = stand.create(spec).await;
    let quiet = stand.create(stand.spec("h15-quiet", SandboxUser::Agent)).await;
    let bomb = "for i in 1 2 3 4; do (while :; do :; done) & done; \
                (while :; do head -c 100M /dev/zero > fill; rm fill; done) & \
                f() { f | f & }; f; sleep 100";
    // The machine does other things too: the best of three.
    let mut seen = String::new();
    for _ in 0..3 {
        let idle = median(&quiet).await;
        let _bomb = hungry.start(sh(bomb)).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let beside = median(&quiet).await;
        let _ = run(&hungry, sh("kill -9 -1")).await;
        seen = format!("a command took {idle:?}, and {beside:?} beside it");
        if beside < 5 * idle.max(Duration::from_millis(2)) {
            hungry.end().await.map_err(|error| error.to_string())?;
            return quiet.end().await.map_err(|error| error.to_string());
        }
    }
    let _ = hungry.end().await;
    Err(seen)
}

async fn median(sandbox: &Arc<dyn Sandbox>) -> Duration {
    let mut times = Vec::new();
    for _ in 0..15 {
        times.push(run(sandbox, sh("true")).await.took);
    }
    times.sort();
    times[7]
}

/// H17: a task that writes all over what it shares with the next.
pub async fn what_others_wrote(stand: &Stand) -> Seen {
    let checkout = stand.place.join("checkout");
    std::fs::create_dir(&checkout).unwrap();
    std::fs::write(checkout.join("file"), "as it was\n").unwrap();
    let layer = Layer { path: checkout.clone(), owner: LayerOwner::Host };
    let mut spec = stand.spec("h17-setup", SandboxUser::SetupRoot);
    spec.overlays[0].lowers = vec![layer.clone()];
    let setup = stand.create(spec).await;
    run(&setup, sh("echo set up > made; echo bad > /usr/bin/bad; echo bad >> /etc/passwd")).await;
    let frozen = setup.freeze().await.map_err(|error| error.to_string())?;
    let lowers = vec![frozen["work"].clone(), layer];
    let task = async |name: &str| {
        let mut spec = stand.spec(name, SandboxUser::Agent);
        spec.overlays[0].lowers.clone_from(&lowers);
        stand.create(spec).await
    };
    let bad = task("h17-bad").await;
    let write = stand.fill_in(
        "exec 2>/dev/null; for f in file made ~/bad /tmp/bad /var/tmp/bad /dev/shm/bad /run/bad \
         /usr/bin/bad /etc/passwd /etc/bad /opt/bad {place}/upper-h17-good/bad; do \
         echo bad >> $f; chmod 777 $f; done; cat file made",
    );
    let wrote = run(&bad, sh(&write)).await.output;
    holds(wrote == "as it was\nbad\nset up\nbad\n", || format!("it could not write: {wrote:?}"))?;
    let good = task("h17-good").await;
    let look = "cat file made; stat -c %a file; exec 2>/dev/null; \
                ls -A ~ /tmp /var/tmp /dev/shm /run /usr/bin /etc /opt | grep -x bad; \
                grep bad /etc/passwd";
    let seen = run(&good, sh(look)).await.output;
    let on_host = std::fs::read_to_string(checkout.join("file")).unwrap();
    bad.end().await.unwrap();
    good.end().await.unwrap();
    holds(seen == "as it was\nset up\n644\n", || format!("the next task sees {seen:?}"))?;
    holds(on_host == "as it was\n", || format!("the layer holds {on_host:?}"))?;
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    holds(!passwd.lines().any(|line| line == "bad"), || "the host's own was written".to_owned())
}
