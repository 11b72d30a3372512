//! Rows to values: what was read has to be what was written, or the database is damaged.

use quire_domain::access::Owner;
use quire_domain::attempt::Attempt;
use quire_domain::ids::{AttemptId, Epoch, TaskId, TaskNumber, TeamId, TurnId, UserId};
use quire_domain::task::{Task, Turn};
use quire_domain::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::error::StoreError;
use crate::sql::Row;

type Result<T> = std::result::Result<T, StoreError>;

pub(crate) fn task(row: &Row) -> Result<Task> {
    Ok(Task {
        number: TaskNumber(number(row, "number")?),
        id: TaskId(id(row, "id")?),
        title: text(row, "title")?,
        repository: text(row, "repository")?,
        created_at: Timestamp(number(row, "created_at")?),
        archived_at: optional_number(row, "archived_at")?.map(Timestamp),
    })
}

pub(crate) fn turn(row: &Row) -> Result<Turn> {
    Ok(Turn {
        id: TurnId(id(row, "id")?),
        task: TaskId(id(row, "task")?),
        ordinal: number(row, "ordinal")?,
        request: json(row, "request")?,
        chosen: optional_id(row, "chosen")?.map(AttemptId),
        created_at: Timestamp(number(row, "created_at")?),
    })
}

pub(crate) fn attempt(row: &Row) -> Result<Attempt> {
    Ok(Attempt {
        id: AttemptId(id(row, "id")?),
        turn: TurnId(id(row, "turn")?),
        task: TaskId(id(row, "task")?),
        ordinal: number(row, "ordinal")?,
        state: json(row, "state")?,
        epoch: Epoch(number(row, "epoch")?),
        spent: json(row, "spent")?,
        result: match row.text("result")? {
            None => None,
            Some(text) => Some(parse("result", text)?),
        },
        created_at: Timestamp(number(row, "created_at")?),
        updated_at: Timestamp(number(row, "updated_at")?),
    })
}

pub(crate) fn owner(row: &Row) -> Result<Owner> {
    Ok(Owner { team: TeamId(id(row, "team")?), author: UserId(id(row, "author")?) })
}

/// Whole numbers: a database has 64 bits with a sign.
pub(crate) fn number<T: TryFrom<i64>>(row: &Row, name: &str) -> Result<T> {
    optional_number(row, name)?.ok_or_else(|| damaged(name))
}

pub(crate) fn optional_number<T: TryFrom<i64>>(row: &Row, name: &str) -> Result<Option<T>> {
    row.integer(name)?.map(|found| T::try_from(found).map_err(|_| damaged(name))).transpose()
}

pub(crate) fn id(row: &Row, name: &str) -> Result<Uuid> {
    optional_id(row, name)?.ok_or_else(|| damaged(name))
}

pub(crate) fn optional_id(row: &Row, name: &str) -> Result<Option<Uuid>> {
    let found = row.bytes(name)?;
    found.map(|bytes| Uuid::from_slice(bytes).map_err(|_| damaged(name))).transpose()
}

pub(crate) fn text(row: &Row, name: &str) -> Result<String> {
    borrowed(row, name).map(str::to_owned)
}

pub(crate) fn optional_bytes(row: &Row, name: &str) -> Result<Option<Vec<u8>>> {
    Ok(row.bytes(name)?.map(<[u8]>::to_vec))
}

pub(crate) fn optional_text(row: &Row, name: &str) -> Result<Option<String>> {
    Ok(row.text(name)?.map(str::to_owned))
}

pub(crate) fn bytes(row: &Row, name: &str) -> Result<Vec<u8>> {
    Ok(row.bytes(name)?.ok_or_else(|| damaged(name))?.to_vec())
}

pub(crate) fn json<T: DeserializeOwned>(row: &Row, name: &str) -> Result<T> {
    parse(name, borrowed(row, name)?)
}

fn borrowed<'r>(row: &'r Row, name: &str) -> Result<&'r str> {
    row.text(name)?.ok_or_else(|| damaged(name))
}

fn parse<T: DeserializeOwned>(name: &str, text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Damaged(format!("column `{name}`: {error}")))
}

fn damaged(name: &str) -> StoreError {
    StoreError::Damaged(format!("column `{name}` holds what was never written"))
}

/// A value as JSON text.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Io(Box::new(error)))
}
