//! How much of what there is: for those who watch an installation.

use crate::rows;
use crate::sql::query;
use crate::store::{Result, Store};

/// How much there is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// Tasks that are not archived, by the words of their states.
    pub tasks: Vec<(String, u64)>,
    /// Attempts that wait for a worker of a server.
    pub offered: u64,
    /// Notices that are on their way.
    pub undelivered: u64,
}

impl Store {
    /// How much there is.
    pub async fn figures(&self) -> Result<Figures> {
        let mut reader = self.database.reader().await?;
        let connection = reader.connection()?;
        let states = query(
            "SELECT state_word, count(*) AS n FROM tasks WHERE archived_at IS NULL
             GROUP BY state_word ORDER BY state_word",
        )
        .fetch_all(connection)
        .await?;
        let one = query(
            "SELECT (SELECT count(*) FROM attempts WHERE offered = 1) AS offered,
                    (SELECT count(*) FROM deliveries WHERE state = 'waiting') AS undelivered",
        )
        .fetch_one(connection)
        .await?;
        let tasks = states
            .iter()
            .map(|row| Ok((rows::text(row, "state_word")?, rows::number(row, "n")?)))
            .collect::<Result<_>>()?;
        let offered = rows::number(&one, "offered")?;
        Ok(Figures { tasks, offered, undelivered: rows::number(&one, "undelivered")? })
    }
}
