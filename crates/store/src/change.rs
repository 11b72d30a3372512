//! What changed since somebody last looked, in the order in which it was committed.

use crate::list::{self, ListFilter, Listed};
use crate::rows;
use crate::sql::{Builder, Connection, query};
use crate::store::{Result, Store};

/// Tasks that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The tasks as they are now, each once, in the order of their last changes.
    pub tasks: Vec<Listed>,
    /// Up to where this goes: what to ask with the next time.
    pub upto: u64,
    /// Whether there is more already.
    pub more: bool,
}

/// The most tasks of one answer.
const MOST: u32 = 500;

impl Store {
    /// The number of the newest change. Who lists after asking for it misses nothing by going on
    /// from there.
    pub async fn newest_change(&self) -> Result<u64> {
        newest(self.database.reader().await?.connection()?).await
    }

    /// The tasks that changed after the change `after`, at most `limit` (1 to 500) of them.
    ///
    /// Of `filter` the teams, the author and the repository count. The rest does not: who watches
    /// the tasks at work has to hear of the one that is no longer among them.
    pub async fn changed_since(
        &self,
        after: u64,
        filter: &ListFilter,
        limit: u32,
    ) -> Result<Changes> {
        filter.check()?;
        let limit = limit.clamp(1, MOST);
        let mut reader = self.database.reader().await?;
        let connection = reader.connection()?;
        // Before the tasks: what is committed between the two is above it, and comes next time.
        let newest = newest(connection).await?;
        let nothing = filter.teams.as_ref().is_some_and(Vec::is_empty);
        if newest <= after || nothing {
            return Ok(Changes { tasks: Vec::new(), upto: newest.max(after), more: false });
        }
        let mut query = Builder::new("SELECT * FROM tasks WHERE changed > ");
        query.bind(after).push(" AND changed <= ").bind(newest);
        list::narrow(&mut query, filter);
        query.push(" ORDER BY changed LIMIT ").bind(u64::from(limit) + 1);
        let rows = query.query().fetch_all(connection).await?;
        drop(reader);
        let more = rows.len() > limit as usize;
        let tasks = rows.iter().take(limit as usize).map(list::task);
        let mut tasks = tasks.collect::<Result<Vec<_>>>()?;
        self.add_attempts(&mut tasks).await?;
        let upto = tasks.last().filter(|_| more).map_or(newest, |task| task.changed);
        Ok(Changes { tasks, upto, more })
    }
}

async fn newest(connection: &mut Connection) -> Result<u64> {
    let row = query("SELECT value FROM counters WHERE name = 'changed'").fetch_one(connection);
    rows::number(&row.await?, "value")
}
