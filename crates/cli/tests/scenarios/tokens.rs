//! Tokens from the command line, against a real `quire serve`: who has one gets what it is for, until
//! it is taken back.

use crate::served::Served;

#[test]
fn a_token_is_shown_once_does_what_it_is_for_and_ends_when_it_is_taken_back() {
    let two = Served::start("");
    for args in [&["team", "add", "web"][..], &["user", "add", "ann", "--team", "web"]] {
        let (_, stderr, code) = two.admin(args);
        assert_eq!(code, 0, "{stderr}");
    }
    // Whose it is has to be said where there are several people.
    let (_, stderr, code) = two.admin(&["token", "create", "laptop"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("--user NAME"), "{stderr}");
    let (_, stderr, code) = two.admin(&["token", "create", "bot", "--service", "web"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("--scope"), "{stderr}");

    let (token, stderr, _) = two.admin(&["token", "create", "laptop", "--user", "ann"]);
    assert!(token.starts_with("quire_") && stderr.contains("not shown again"), "{stderr}");
    two.sign_in(&token, "ann").expect_code(0);
    let service = ["token", "create", "bot", "--service", "web", "--scope", "read_tasks"];
    let (bot, ..) = two.admin(&service);
    two.sign_in(&bot, "bot").expect_code(0);

    // From elsewhere: one's own, and no more than one has.
    let args = ["token", "create", "ci", "--remote=ann", "--json", "--days", "1", "--team", "web"];
    let made = two.quire(&[&args[..], &["--scope", "read_tasks,write_tasks"]].concat());
    let made = &made.expect_code(0).json()[0];
    let info = &made["info"];
    let day = info["expires_at"].as_u64().unwrap() - info["created_at"].as_u64().unwrap();
    assert_eq!((info["service"].as_bool(), day), (Some(false), 24 * 60 * 60 * 1000));
    two.sign_in(made["token"].as_str().unwrap(), "ci").expect_code(0);
    two.quire(&["task", "list", "--remote=ci"]).expect_code(0);
    for refused in ["ci", "bot"] {
        let remote = format!("--remote={refused}");
        two.quire(&["token", "list", &remote]).expect_code(2);
        two.quire(&["token", "create", "more", &remote]).expect_code(2);
        two.quire(&["audit", &remote]).expect_code(2);
    }
    let more =
        ["token", "create", "x", "--remote=ann", "--service", "web", "--scope", "read_tasks"];
    two.quire(&more).expect_code(2);

    // Lists have no secret, and know both.
    let listed = two.quire(&["token", "list", "--remote=ann"]).expect_code(0).stdout;
    assert!(listed.contains("laptop") && listed.contains("ann in web"), "{listed}");
    assert!(!listed.contains("quire_") && !listed.contains("bot"), "{listed}");
    let (listed, ..) = two.admin(&["token", "list", "--json"]);
    assert!(["laptop", "ci", "bot"].iter().all(|name| listed.contains(name)), "{listed}");
    assert!(!listed.contains(token.trim()), "{listed}");

    // Taken back, a token ends with its next use.
    let id = info["id"].as_str().unwrap();
    two.quire(&["token", "revoke", id, "--remote=ann"]).expect_code(0);
    let gone = two.quire(&["task", "list", "--remote=ci"]).expect_code(2);
    assert!(gone.stderr.contains("taken back"), "{}", gone.stderr);
    let (listed, ..) = two.admin(&["token", "list", "--service", "web", "--json"]);
    let bot: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(two.admin(&["token", "revoke", bot["id"].as_str().unwrap()]).2, 0);
    two.quire(&["task", "list", "--remote=bot"]).expect_code(2);
    let unknown = two.quire(&["token", "revoke", &uuid(), "--remote=ann"]).expect_code(2);
    assert!(unknown.stderr.contains("token"), "{}", unknown.stderr);

    // All of it is in the record, with who did it and from where.
    let (record, ..) =
        two.admin(&["audit", "--since", "1h", "--action", "token.", "--json", "--all"]);
    let rows: Vec<serde_json::Value> =
        record.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let actions: Vec<_> = rows.iter().rev().map(|row| row["action"].as_str().unwrap()).collect();
    let (create, revoke) = ("token.create", "token.revoke");
    assert_eq!(actions, [create, create, create, revoke, revoke]);
    assert_eq!(rows[2]["user"], "ann");
    assert_eq!(rows[4]["address"], "command line");
    assert_eq!(two.admin(&["audit", "--until", "1h", "--json"]).0, "");
    assert_eq!(two.admin(&["audit", "--since", "yesterday"]).2, 2);
}

fn uuid() -> String {
    "01900000-0000-7000-8000-000000000000".to_owned()
}
