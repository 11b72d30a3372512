//! Every route that the API's description names, asked by everybody who may come to the door.
#![allow(clippy::unwrap_used, reason = "for tests")]

mod people;
#[path = "../stage/mod.rs"]
mod stage;
mod table;
mod things;

use std::collections::BTreeSet;
use std::time::Duration;

use people::{COLUMNS, People, Sent};
use quire_domain::time::Timestamp;
use quire_server::Settings;
use quire_store::AuditFilter;
use reqwest::{Method, Response};
use stage::Stage;
use table::{ROWS, Row};
use things::{CANARY, Things};

/// What changes nothing, though it is asked with POST.
const READS: [&str; 1] = ["POST /api/v1/repositories/{name}/known"];

/// Who is of the team, by their columns: what is in it is theirs to read.
const OF_THE_TEAM: [&str; 4] = ["viewer", "member", "admin", "narrow"];

#[tokio::test]
async fn every_route_answers_everybody_as_the_table_says_and_tells_no_team_of_another() {
    let described = described();
    let expected: BTreeSet<String> = ROWS.iter().map(|row| row.route.to_owned()).collect();
    assert_eq!(described, expected, "each route has its row, and each row its route");

    let settings =
        Settings { single_user: false, requests_per_second: 100_000, ..Settings::default() };
    let stage = Stage::with(settings).await;
    let people = People::come(&stage).await;
    let store = &stage.parts.store;
    store.add_repository(people.team, "src", None, Timestamp(1)).await.unwrap();
    let mut walk = Walk { stage, people, round: 0, seen: BTreeSet::new(), wrong: Vec::new() };
    for row in ROWS {
        walk.strangers(row).await;
        for (column, name) in COLUMNS.iter().enumerate() {
            walk.known(row, column, name).await;
        }
    }
    assert!(walk.wrong.is_empty(), "{}", walk.wrong.join("\n"));
    assert!(walk.seen.len() > 15, "whose it is saw it in {:?}", walk.seen);
    for page in ["/sign-in", "/sign-in.css", "/sign-in.js", "/api/v1/openapi.json"] {
        let answer = walk.stage.bare(Method::GET, page).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{page} is for everybody");
    }
}

/// A walk under way, and what was not as it should be.
struct Walk {
    stage: Stage,
    people: People,
    round: usize,
    /// Where the team's own administrator read the words: what shows nothing proves nothing.
    seen: BTreeSet<&'static str>,
    wrong: Vec<String>,
}

impl Walk {
    /// Who is not signed in, or whose page is another's.
    async fn strangers(&mut self, row: &Row) {
        let things = self.things().await;
        let mut all = self.people.strangers.clone();
        all.push(("link", things.link.clone()));
        for (name, sent) in all {
            let opens = name == "link" && row.route == "GET /api/v1/shared";
            let status = if row.public() || opens { row.done } else { 401 };
            let answer = self.ask(row, &things, &sent, "").await;
            self.check(row, name, &answer, status);
            if !opens {
                self.tells_nothing(row, name, &answer);
            }
            self.did_nothing(row, name, &answer);
        }
        if !row.route.starts_with("GET ") {
            let status = if row.public() { row.done } else { 403 };
            let answer = self.ask(row, &things, &self.people.browser.clone(), "").await;
            self.check(row, "browser without the header", &answer, status);
            self.did_nothing(row, "browser without the header", &answer);
        }
    }

    /// Who is signed in, in the role of a column.
    async fn known(&mut self, row: &'static Row, column: usize, name: &str) {
        let things = self.things().await;
        let (sent, user) = self.people.known[column].clone();
        let session = people::session(&self.stage, user).await.1;
        let answer = self.ask(row, &things, &sent, &session).await;
        let may = row.may(column);
        self.check(row, name, &answer, row.status(column));
        if name == "admin" && answer.text.contains(CANARY) {
            self.seen.insert(row.route);
        }
        let of_the_team = OF_THE_TEAM.contains(&name);
        // Who administers the server reads what was done in all teams.
        let reads_all = name == "server" && row.route.starts_with("GET /api/v1/audit");
        if !may || !(of_the_team || reads_all) {
            self.tells_nothing(row, name, &answer);
        }
        if answer.status == 404 {
            // To others it is not there, whatever it lacks.
            let absent = answer.text.contains("\"detail\":\"there is no ");
            if absent == may {
                self.wrong(row, name, &format!("told `{}`", answer.text));
            }
        }
        if !may {
            self.did_nothing(row, name, &answer);
        } else if row.done < 300 && is_written_down(row) && answer.written == 0 {
            self.wrong(row, name, "was done, and is not written down");
        }
    }

    async fn things(&mut self) -> Things {
        self.round += 1;
        Things::made(&self.stage, &self.people, self.round).await
    }

    async fn ask(&mut self, row: &Row, things: &Things, sent: &Sent, session: &str) -> Answer {
        self.round += 1;
        let before = self.newest().await;
        let (method, path) = row.route.split_once(' ').unwrap();
        let session = if session.is_empty() { "0000000000000000" } else { session };
        let path = things.path(&path.replace("{session}", session)) + row.query;
        let method: Method = method.parse().unwrap();
        let mut request = sent.on(self.stage.bare(method, &path));
        if path.contains("/pushes") {
            request = request.body("no pack");
        } else if !row.body.is_empty() {
            let body = row.body.replace('%', &self.round.to_string());
            request = request.header("content-type", "application/json").body(body);
        }
        let mut response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let streams =
            response.headers().get("content-type").is_some_and(|it| it == "text/event-stream");
        let text = if streams && status == 200 {
            beginning(&mut response).await
        } else {
            String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned()
        };
        Answer { status, text, written: self.newest().await - before }
    }

    /// The number of the newest row of the record.
    async fn newest(&self) -> u64 {
        let filter = AuditFilter { limit: 1, ..AuditFilter::default() };
        let rows = self.stage.parts.store.audit(&filter).await.unwrap();
        rows.first().map_or(0, |row| row.number)
    }

    fn check(&mut self, row: &Row, name: &str, answer: &Answer, status: u16) {
        if answer.status != status {
            let what = format!("{}, and not {status}: {}", answer.status, answer.text);
            self.wrong(row, name, &what);
        }
    }

    fn tells_nothing(&mut self, row: &Row, name: &str, answer: &Answer) {
        if answer.text.contains(CANARY) {
            self.wrong(row, name, &format!("was told `{}`", answer.text));
        }
    }

    fn did_nothing(&mut self, row: &Row, name: &str, answer: &Answer) {
        if !row.public() && answer.written > 0 {
            self.wrong(row, name, "may not, and something was written down as done");
        }
    }

    fn wrong(&mut self, row: &Row, name: &str, what: &str) {
        let what: String = what.chars().take(400).collect();
        self.wrong.push(format!("{}{} as {name}: {what}", row.route, row.query));
    }
}

/// What came back, and how many rows the record has more.
struct Answer {
    status: u16,
    text: String,
    written: u64,
}

/// What a stream begins with: it goes on for ever.
async fn beginning(response: &mut Response) -> String {
    let mut text = String::new();
    let read = async {
        while let Ok(Some(bytes)) = response.chunk().await {
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(300), read).await;
    text
}

/// Whether what comes of it has to be in the record.
fn is_written_down(row: &Row) -> bool {
    let changes = !row.route.starts_with("GET ") && !READS.contains(&row.route);
    changes || row.route.ends_with("/export")
}

/// All routes of the description, as `METHOD /path`.
fn described() -> BTreeSet<String> {
    let document = serde_json::to_value(quire_server::openapi()).unwrap();
    let mut routes = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            routes.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    routes
}
