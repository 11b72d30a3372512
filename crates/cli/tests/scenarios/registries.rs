//! What `packages` lets out: hosts that the recipe configures, and none that the branch names.

use quire_testkit::Turn;

use crate::scene::Scene;

const RECIPE: &str = r#"
setup = "echo PIP_EXTRA_INDEX_URL=https://written.invalid >> \"$QUIRE_ENV\""
[variables]
PIP_INDEX_URL = "https://named.invalid/simple"
[network]
agent = "packages"
"#;

/// Asks the way out for a host, and prints its first line.
fn ask(host: &str) -> String {
    format!(
        "exec 3<>/dev/tcp/127.0.0.1/3128; printf 'CONNECT {host}:443 HTTP/1.1\\r\\nHost: \
         {host}:443\\r\\n\\r\\n' >&3; head -1 <&3; "
    )
}

#[test]
fn packages_means_hosts_that_the_recipe_configures_and_none_that_the_branch_names() {
    let command = ["named.invalid", "branch.invalid", "written.invalid"].map(ask).concat();
    let scene = Scene::where_model_says([Turn::shell(&command), Turn::say("Done.")]);
    scene.repository.write(".quire/environment.toml", RECIPE);
    scene.repository.write("requirements.txt", "--index-url https://branch.invalid\nx\n");
    scene.repository.write("pip.conf", "[global]\nindex-url = https://branch.invalid\n");
    scene.repository.commit("Name a host");
    let ended = scene.run(&[]).expect_code(0);
    let notes = ended.bodies("base_captured")[0]["notes"].to_string();
    assert!(notes.contains("packages: named.invalid: pip, $PIP_INDEX_URL"), "{notes}");
    assert!(!notes.contains("branch.invalid") && !notes.contains("written.invalid"), "{notes}");
    // What is allowed cannot be resolved; the others are not even looked up.
    let seen = ended.bodies("tool_answered")[0]["parts"].to_string();
    assert_eq!(seen.matches("HTTP/1.1 403").count(), 2, "{seen}");
    assert_eq!(seen.matches("HTTP/1.1 5").count(), 1, "{seen}");
}
