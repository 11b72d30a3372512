//! Each request begins with the bytes of the one before, up to the end of its list of items.

mod stage;

use quire_domain::transcript::{Item, Message, Part, Role};
use quire_models::play::Turn;

use stage::{DIALECTS, Stage, developer, picture, results, user};

#[tokio::test]
async fn over_twenty_steps_every_request_begins_with_the_one_before() {
    for dialect in DIALECTS {
        let mut turns: Vec<Turn> = (0..19)
            .map(|step| {
                let mut turn = if step % 5 == 4 {
                    Turn::call_text("apply_patch", format!("*** Begin Patch\n{step}"))
                } else {
                    Turn::shell(&format!("cat file-{step}"))
                };
                turn.reasoning = (step % 3 == 0).then(|| format!("Thought {step}."));
                turn.say = (step % 4 == 0).then(|| format!("Step {step}."));
                turn
            })
            .collect();
        turns.push(Turn::say("Done."));
        let stage = Stage::turns(turns).await;
        let model = stage.model(dialect).await;
        let mut items = vec![
            developer("The rules of the house."),
            Item::Message(Message {
                role: Role::User,
                parts: vec![Part::text("mend it"), picture()],
            }),
        ];
        for step in 0..20 {
            let reply = stage::ask(model.as_ref(), &items, &stage.ears).await.unwrap();
            let answers = results(&reply, &format!("[3f9a2c] exit 0\n{}", "line\n".repeat(80)));
            let calls = reply.tool_calls().count();
            items.push(Item::Reply(reply));
            if calls > 0 {
                items.push(answers);
            }
            if step == 7 {
                items.push(developer("AGENTS.md of a folder below."));
            }
            if step == 11 {
                items.push(user("and be quick"));
            }
        }
        let requests = stage.server.requests();
        assert_eq!(requests.len(), 20);
        for pair in requests.windows(2) {
            let before = pair[0].body.strip_suffix(b"]}").expect("the list comes last");
            assert!(pair[1].body.starts_with(before), "{dialect}");
        }
    }
}

#[tokio::test]
async fn marks_on_blocks_cost_less_than_a_hundredth_of_the_prefix() {
    let file = r#"{
        "id": "gate", "title": "Gate", "dialect": "messages", "base_url": "http://127.0.0.1:1/v1",
        "key_optional": true, "any_model": true, "cache_marks": "blocks"
    }"#;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("gate.json"), file).unwrap();
    let mut turns: Vec<Turn> = (0..19).map(|step| Turn::shell(&format!("step {step}"))).collect();
    turns.push(Turn::say("Done."));
    let stage = Stage::turns(turns).await;
    let mut settings = stage.settings.clone();
    settings.base_urls.insert("gate".to_owned(), stage.server.url());
    let catalogue = quire_models::Catalogue::load(Some(dir.path())).unwrap();
    let resolved = catalogue.resolve(Some("gate/some-model"), &settings).await.unwrap();
    let model = quire_models::connect(resolved, &settings);
    let mut items = vec![user(&"mend it ".repeat(500))];
    for _ in 0..20 {
        let reply = stage::ask(model.as_ref(), &items, &stage.ears).await.unwrap();
        let answers = results(&reply, &"line\n".repeat(80));
        items.push(Item::Reply(reply));
        items.push(answers);
    }
    let (mut shared, mut all) = (0, 0);
    for pair in stage.server.requests().windows(2) {
        shared += pair[0].body.iter().zip(&pair[1].body).take_while(|(a, b)| a == b).count();
        all += pair[0].body.len();
        let text = std::str::from_utf8(&pair[1].body).unwrap();
        assert_eq!(text.matches("cache_control").count(), 2);
    }
    assert!(shared * 100 >= all * 99, "{shared} of {all} bytes");
}
