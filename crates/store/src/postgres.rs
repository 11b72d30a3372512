//! The Postgres server: connecting, bringing the database up to date, and asking again where a
//! connection was lost.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Executor};

use crate::error::StoreError;
use crate::sql::{Query, failure};

type Result<T> = std::result::Result<T, StoreError>;

/// What brings the database from each version to the next, as `sqlite::MIGRATIONS` does for a file.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/postgres/0001_tasks.sql"),
    include_str!("../migrations/postgres/0002_environments.sql"),
    include_str!("../migrations/postgres/0003_server.sql"),
];

/// What whoever writes holds until the end of the transaction, so that there is one at a time, as
/// with SQLite: what is read stands until it commits, and numbers are committed in their order.
/// The bytes `Quire` and a 1.
pub(crate) const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(89568423527681)";

/// As [`BEGIN`], where the commit need not be on disk when it returns.
pub(crate) const BEGIN_LASTING: &str = "BEGIN; SET LOCAL synchronous_commit = off; \
    SELECT pg_advisory_xact_lock(89568423527681)";

/// How long we try to reach a server: a restart is over by then.
const REACHED_IN: Duration = Duration::from_secs(10);

/// How long one connection may take to be made.
const CONNECTED_IN: Duration = Duration::from_secs(5);

/// How long one answer may take. The server gives up before, unless it cannot be reached.
const ANSWERED_IN: Duration = Duration::from_secs(70);

/// What every connection asks of the server, in milliseconds: to wait for a lock no longer than
/// with SQLite, to give up what takes a minute, and to let go of a transaction whose process
/// stands still, as all others wait for it.
const LIMITS: [(&str, &str); 3] = [
    ("lock_timeout", "10000"),
    ("statement_timeout", "60000"),
    ("idle_in_transaction_session_timeout", "15000"),
];

/// A database of a server, and how to connect to it. Prints without the password.
#[derive(Clone)]
pub(crate) struct Server(Box<PgConnectOptions>);

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = self.0.get_database().unwrap_or(self.0.get_username());
        match self.0.get_socket() {
            Some(socket) => write!(f, "{}/{database}", socket.display()),
            None => write!(f, "{}:{}/{database}", self.0.get_host(), self.0.get_port()),
        }
    }
}

impl Server {
    /// Reads `postgres://person:password@host:port/database?sslmode=…`. What it leaves out is taken
    /// from where every program of Postgres takes it (`PGHOST` and so on, `~/.pgpass`).
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("postgres" | "postgresql")) {
            return Err(StoreError::BadUrl);
        }
        // The cause quotes parts of the address, and a password may be in it.
        let options = PgConnectOptions::from_str(url).map_err(|_| StoreError::BadUrl)?;
        let options = options.application_name("quire").options(LIMITS).disable_statement_logging();
        Ok(Self(Box::new(options)))
    }

    /// Connects and brings the database up to date.
    pub(crate) async fn open(&self) -> Result<Session> {
        let opened = async {
            let mut session = self.connect().await?;
            if version(&mut session).await? != known() {
                migrate(&mut session).await?;
            }
            Ok(session)
        };
        opened.await.map_err(|error| match error {
            StoreError::Unreachable(source) | StoreError::Io(source) => {
                StoreError::Connect { server: self.to_string(), source }
            }
            known => known,
        })
    }

    /// Connects for reading, and for what need not be on disk when it returns.
    pub(crate) async fn reading(&self) -> Result<Session> {
        let options = self.0.clone().options([("synchronous_commit", "off")]);
        Self(Box::new(options)).connect().await
    }

    /// Connects; waits for a server that is being started.
    async fn connect(&self) -> Result<Session> {
        let connection = self.reach().await?;
        Ok(Session { connection, server: self.clone(), busy: false, in_transaction: false })
    }

    async fn reach(&self) -> Result<PgConnection> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(20);
        loop {
            let error = match tokio::time::timeout(CONNECTED_IN, self.0.connect()).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => named(error),
                Err(late) => StoreError::Unreachable(Box::new(late)),
            };
            let passing = matches!(error, StoreError::Unreachable(_));
            if !passing || begun.elapsed() + pause > REACHED_IN {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }
}

/// A connection that is made anew where it was lost between two transactions.
pub(crate) struct Session {
    connection: PgConnection,
    server: Server,
    /// From when something was asked until its whole answer is there. Who finds it set was left in
    /// the middle of an answer, by somebody who stopped waiting or by the server.
    busy: bool,
    /// Whether a transaction is open: what is lost with it is not asked again.
    in_transaction: bool,
}

/// What of the rows is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    First,
    All,
    None,
}

/// What was asked for: how many rows were changed, or the rows.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) changed: u64,
    pub(crate) rows: Vec<PgRow>,
}

impl Session {
    /// Whether it was left in the middle of an answer.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Whether somebody else can have it now.
    pub(crate) fn usable(&self) -> bool {
        !self.busy && !self.in_transaction
    }

    /// Asks; outside of a transaction once more where the connection was lost. What is asked there
    /// reads, or writes the same when it is done twice.
    pub(crate) async fn ask(&mut self, query: &Query<'_>, rows: Rows) -> Result<Answer> {
        self.twice(Asked::Query(query, rows)).await
    }

    /// Runs statements without parameters, one after the other.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<()> {
        self.twice(Asked::Text(sql)).await?;
        Ok(())
    }

    /// Begins a transaction; this may be asked twice as nothing is done in it yet.
    pub(crate) async fn begin(&mut self, sql: &str) -> Result<()> {
        let begun = self.run(sql).await;
        self.in_transaction = !matches!(begun, Err(StoreError::Unreachable(_)));
        begun
    }

    /// Ends a transaction with `COMMIT` or `ROLLBACK`.
    pub(crate) async fn end(&mut self, sql: &str) -> Result<()> {
        self.run(sql).await?;
        self.in_transaction = false;
        Ok(())
    }

    async fn twice(&mut self, asked: Asked<'_>) -> Result<Answer> {
        let lost = match self.once(&asked).await {
            Err(StoreError::Unreachable(source)) => StoreError::Unreachable(source),
            answer => return answer,
        };
        if self.in_transaction {
            return Err(lost);
        }
        self.connection = self.server.reach().await?;
        self.once(&asked).await
    }

    async fn once(&mut self, asked: &Asked<'_>) -> Result<Answer> {
        self.busy = true;
        let at = &mut self.connection;
        let answer = match tokio::time::timeout(ANSWERED_IN, asked.of(at)).await {
            Ok(answer) => answer,
            Err(late) => Err(StoreError::Unreachable(Box::new(late))),
        };
        self.busy = matches!(answer, Err(StoreError::Unreachable(_)));
        answer
    }

    /// Says goodbye; what goes wrong then concerns nobody.
    pub(crate) async fn close(self) {
        let _ = tokio::time::timeout(CONNECTED_IN, self.connection.close()).await;
    }
}

/// What is asked of a server.
enum Asked<'a> {
    Query(&'a Query<'a>, Rows),
    Text(&'a str),
}

impl Asked<'_> {
    async fn of(&self, at: &mut PgConnection) -> Result<Answer> {
        let (query, rows) = match self {
            Self::Query(query, rows) => (query.postgres()?, *rows),
            Self::Text(sql) => {
                sqlx::raw_sql(AssertSqlSafe(*sql)).execute(at).await.map_err(named)?;
                return Ok(Answer::default());
            }
        };
        let rows = match rows {
            Rows::None => {
                let changed = at.execute(query).await.map_err(named)?.rows_affected();
                return Ok(Answer { changed, rows: Vec::new() });
            }
            Rows::First => at.fetch_optional(query).await.map_err(named)?.into_iter().collect(),
            Rows::All => at.fetch_all(query).await.map_err(named)?,
        };
        Ok(Answer { changed: 0, rows })
    }
}

fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// The version of what is there; 0 for an empty database.
async fn version(session: &mut Session) -> Result<i64> {
    let there = "SELECT CAST(count(*) AS BIGINT) AS there FROM pg_class
        WHERE oid = to_regclass('quire_version')";
    if number(session, there).await? == 0 {
        return Ok(0);
    }
    let found = number(session, "SELECT version AS there FROM quire_version").await?;
    if found > known() {
        return Err(StoreError::Newer { found, known: known() });
    }
    Ok(found)
}

async fn number(session: &mut Session, sql: &'static str) -> Result<i64> {
    let answer = session.ask(&crate::sql::query(sql), Rows::First).await?;
    let row = answer.rows.first().ok_or_else(|| failure(sqlx::Error::RowNotFound))?;
    sqlx::Row::try_get(row, "there").map_err(failure)
}

async fn migrate(session: &mut Session) -> Result<()> {
    session.begin(BEGIN).await?;
    // Another process may have been first.
    let found = usize::try_from(version(session).await?).unwrap_or(0);
    if found == 0 {
        session.run("CREATE TABLE quire_version (version BIGINT NOT NULL)").await?;
        session.run("INSERT INTO quire_version (version) VALUES (0)").await?;
    }
    for (done, migration) in MIGRATIONS.iter().enumerate().skip(found) {
        session.run(migration).await?;
        session.run(&format!("UPDATE quire_version SET version = {}", done + 1)).await?;
    }
    session.end("COMMIT").await
}

/// Names what went wrong, by the server's own code or by what became of the connection.
fn named(error: sqlx::Error) -> StoreError {
    if let sqlx::Error::Database(database) = &error {
        let Some(found) = database.try_downcast_ref::<PgDatabaseError>() else {
            return failure(error);
        };
        return match found.code() {
            // A lock that took too long, and transactions that were in each other's way.
            "55P03" | "40001" | "40P01" => StoreError::Busy,
            "53100" => StoreError::DiskFull,
            "XX001" | "XX002" => StoreError::Damaged(error.to_string()),
            // The server is starting or ending, has no place left, or ended this connection.
            "57P01" | "57P02" | "57P03" | "53300" | "25P03" | "57P05" => {
                StoreError::Unreachable(Box::new(error))
            }
            code if code.starts_with("08") => StoreError::Unreachable(Box::new(error)),
            _ => StoreError::Io(Box::new(error)),
        };
    }
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => StoreError::Unreachable(Box::new(error)),
        other => failure(other),
    }
}
