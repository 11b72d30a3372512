//! Rows to values: what was read has to be what was written, or the database is damaged.

use quire_domain::attempt::Attempt;
use quire_domain::ids::{AttemptId, Epoch, TaskId, TaskNumber, TurnId};
use quire_domain::task::{Task, Turn};
use quire_domain::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::error::StoreError;
use crate::sqlite::failure;

type Result<T> = std::result::Result<T, StoreError>;

pub(crate) fn task(row: &SqliteRow) -> Result<Task> {
    Ok(Task {
        number: TaskNumber(number(row, "number")?),
        id: TaskId(id(row, "id")?),
        title: text(row, "title")?,
        repository: text(row, "repository")?,
        created_at: Timestamp(number(row, "created_at")?),
        archived_at: optional_number(row, "archived_at")?.map(Timestamp),
    })
}

pub(crate) fn turn(row: &SqliteRow) -> Result<Turn> {
    Ok(Turn {
        id: TurnId(id(row, "id")?),
        task: TaskId(id(row, "task")?),
        ordinal: number(row, "ordinal")?,
        request: json(row, "request")?,
        chosen: optional_id(row, "chosen")?.map(AttemptId),
        created_at: Timestamp(number(row, "created_at")?),
    })
}

pub(crate) fn attempt(row: &SqliteRow) -> Result<Attempt> {
    Ok(Attempt {
        id: AttemptId(id(row, "id")?),
        turn: TurnId(id(row, "turn")?),
        task: TaskId(id(row, "task")?),
        ordinal: number(row, "ordinal")?,
        state: json(row, "state")?,
        epoch: Epoch(number(row, "epoch")?),
        spent: json(row, "spent")?,
        result: match column::<Option<String>>(row, "result")? {
            None => None,
            Some(text) => Some(parse("result", &text)?),
        },
        created_at: Timestamp(number(row, "created_at")?),
        updated_at: Timestamp(number(row, "updated_at")?),
    })
}

/// Whole numbers: SQLite has 64 bits with a sign.
pub(crate) fn number<T: TryFrom<i64>>(row: &SqliteRow, name: &str) -> Result<T> {
    let found: i64 = column(row, name)?;
    T::try_from(found).map_err(|_| damaged(name))
}

pub(crate) fn optional_number<T: TryFrom<i64>>(row: &SqliteRow, name: &str) -> Result<Option<T>> {
    let found: Option<i64> = column(row, name)?;
    found.map(|found| T::try_from(found).map_err(|_| damaged(name))).transpose()
}

pub(crate) fn id(row: &SqliteRow, name: &str) -> Result<Uuid> {
    optional_id(row, name)?.ok_or_else(|| damaged(name))
}

pub(crate) fn optional_id(row: &SqliteRow, name: &str) -> Result<Option<Uuid>> {
    let found: Option<&[u8]> = row.try_get(name).map_err(failure)?;
    found.map(|bytes| Uuid::from_slice(bytes).map_err(|_| damaged(name))).transpose()
}

pub(crate) fn text(row: &SqliteRow, name: &str) -> Result<String> {
    column(row, name)
}

pub(crate) fn optional_text(row: &SqliteRow, name: &str) -> Result<Option<String>> {
    column(row, name)
}

pub(crate) fn bytes(row: &SqliteRow, name: &str) -> Result<Vec<u8>> {
    column(row, name)
}

pub(crate) fn json<T: DeserializeOwned>(row: &SqliteRow, name: &str) -> Result<T> {
    parse(name, row.try_get(name).map_err(failure)?)
}

fn parse<T: DeserializeOwned>(name: &str, text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Damaged(format!("column `{name}`: {error}")))
}

fn column<'r, T>(row: &'r SqliteRow, name: &str) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(name).map_err(failure)
}

fn damaged(name: &str) -> StoreError {
    StoreError::Damaged(format!("column `{name}` holds what was never written"))
}

/// A value as JSON text.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Io(Box::new(error)))
}

/// A number as SQLite has it. Times and counts stay far below the bound.
pub(crate) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An id as SQLite has it.
pub(crate) fn blob(id: &Uuid) -> &[u8] {
    id.as_bytes()
}
