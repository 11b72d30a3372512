//! AGENTS.md: which files are shown, when, and how much of them.

mod support;

use quire_domain::event::{EventBody, InstructionsAt, InstructionsLoaded};
use quire_domain::task::Mode;
use support::Stage;
use support::player::{patch, say, shell};

fn loaded(stage: &Stage) -> Vec<InstructionsLoaded> {
    let bodies = stage.record.bodies();
    bodies
        .into_iter()
        .filter_map(|body| match body {
            EventBody::InstructionsLoaded(loaded) => Some(loaded),
            _ => None,
        })
        .collect()
}

fn shown(stage: &Stage) -> Vec<Vec<String>> {
    let paths = |loaded: InstructionsLoaded| loaded.files.into_iter().map(|f| f.path).collect();
    loaded(stage).into_iter().map(paths).collect()
}

#[tokio::test]
async fn the_start_shows_what_holds_there_and_names_the_rest() {
    let stage = Stage::new(vec![say("Done.")])
        .mode(Mode::Ask)
        .file("AGENTS.md", "Root rules.\n")
        .file("CLAUDE.md", "Not read: there is an AGENTS.md.\n")
        .file("web/AGENTS.md", "Not read: overridden.\n")
        .file("web/AGENTS.override.md", "Web rules.\n")
        .file("lib/.github/copilot-instructions.md", "Lib rules.\n")
        .file("docs/GEMINI.md", "Docs rules.\n")
        .file(
            ".agents/skills/release/SKILL.md",
            "---\nname: release\ndescription: Cuts one.\n---\n",
        );
    stage.desk.outside.lock().unwrap().push(("~/AGENTS.md".to_owned(), "My rules.\n".to_owned()));
    stage.run().await;
    let text =
        loaded(&stage).remove(0).text.replace(&stage.repo.path().display().to_string(), "/repo");
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn a_deeper_file_comes_with_the_result_that_first_touched_its_directory() {
    for command in [
        "cat web/src/a.ts",
        "cd web/src && ls",
        "x=web/src; ls $x/..",
        // Named by nothing but the change itself.
        "d=we; echo 2 > ${d}b/src/b.ts",
    ] {
        let stage = Stage::new(vec![shell(command), shell("cat web/src/a.ts"), say("Done.")])
            .file("web/src/a.ts", "1\n")
            .file("web/AGENTS.md", "Web rules.\n")
            .file("web/src/AGENTS.md", "Source rules.\n")
            .file("lib/AGENTS.md", "Lib rules.\n");
        stage.run().await;
        let expected: Vec<Vec<&str>> = vec![vec![], vec!["web/AGENTS.md", "web/src/AGENTS.md"]];
        assert_eq!(shown(&stage), expected, "{command}");
        assert!(matches!(loaded(&stage)[1].at, InstructionsAt::Call(_)));
        let requests = stage.requests();
        let after = serde_json::to_string(requests[1].last().unwrap()).unwrap();
        assert!(after.contains("Web rules.") && after.contains("Source rules."), "{after}");
        assert_eq!(requests[0], requests[1][..requests[0].len()], "nothing is put in front");
    }
}

#[tokio::test]
async fn a_patch_shows_the_instructions_of_what_it_changes() {
    let stage = Stage::new(vec![
        patch("*** Begin Patch\n*** Add File: web/a.ts\n+1\n*** End Patch"),
        say("Done."),
    ])
    .file("web/AGENTS.md", "Web rules.\n");
    stage.run().await;
    assert_eq!(shown(&stage)[1], vec!["web/AGENTS.md"]);
}

#[tokio::test]
async fn a_file_over_the_budget_is_cut_and_the_cut_is_recorded() {
    let stage = Stage::new(vec![shell("ls web"), say("Done.")])
        .file("AGENTS.md", &"é".repeat(40_000))
        .file("web/AGENTS.md", &"x".repeat(40_000));
    stage.desk.outside.lock().unwrap().push(("~/AGENTS.md".to_owned(), "z".repeat(1_001)));
    stage.run().await;
    let sizes: Vec<Vec<(u64, u64)>> = loaded(&stage)
        .iter()
        .map(|loaded| loaded.files.iter().map(|f| (f.bytes, f.shown_bytes)).collect())
        .collect();
    assert_eq!(sizes[0], vec![(1_001, 1_001), (80_000, 31_766)]);
    assert_eq!(sizes[1], vec![(40_000, 32_768)]);
    assert!(loaded(&stage)[1].text.ends_with("(Cut: 32,768 of 40,000 bytes are shown.)"));
}
