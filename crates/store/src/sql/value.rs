//! Values for the parameters of a statement.

use std::borrow::Cow;

use quire_domain::ids::{AttemptId, Epoch, TaskId, TaskNumber, TeamId, TurnId, UserId};
use quire_domain::time::Timestamp;
use uuid::Uuid;

/// What a parameter is bound to. `None` is NULL, which has a type too: Postgres wants to know it
/// before the first value comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value<'q> {
    /// 64 bits with a sign.
    Integer(Option<i64>),
    /// UTF-8; Postgres keeps another character in the place of one that is a zero.
    Text(Option<Cow<'q, str>>),
    /// Any bytes.
    Bytes(Option<Cow<'q, [u8]>>),
}

/// What can be bound to a parameter.
pub(crate) trait Bind<'q> {
    /// The NULL of its type.
    const NULL: Value<'q>;

    /// As it is bound.
    fn value(self) -> Value<'q>;
}

impl<'q, T: Bind<'q>> Bind<'q> for Option<T> {
    const NULL: Value<'q> = T::NULL;

    fn value(self) -> Value<'q> {
        self.map_or(T::NULL, T::value)
    }
}

impl<'q, T> Bind<'q> for &'q Option<T>
where
    &'q T: Bind<'q>,
{
    const NULL: Value<'q> = <&'q T>::NULL;

    fn value(self) -> Value<'q> {
        self.as_ref().value()
    }
}

macro_rules! bind {
    ($kind:ident: $($type:ty => |$it:ident| $made:expr;)+) => {$(
        impl<'q> Bind<'q> for $type {
            const NULL: Value<'q> = Value::$kind(None);

            fn value(self) -> Value<'q> {
                let $it = self;
                Value::$kind(Some($made))
            }
        }
    )+};
}

bind! { Integer:
    i64 => |it| it;
    u8 => |it| i64::from(it);
    u32 => |it| i64::from(it);
    // Times and counts stay far below the bound.
    u64 => |it| i64::try_from(it).unwrap_or(i64::MAX);
    bool => |it| i64::from(it);
    Timestamp => |it| i64::try_from(it.0).unwrap_or(i64::MAX);
    TaskNumber => |it| i64::try_from(it.0).unwrap_or(i64::MAX);
    Epoch => |it| i64::from(it.0);
}

bind! { Text:
    &'q str => |it| Cow::Borrowed(it);
    &'q String => |it| Cow::Borrowed(it.as_str());
    String => |it| Cow::Owned(it);
}

bind! { Bytes:
    &'q [u8] => |it| Cow::Borrowed(it);
    &'q Vec<u8> => |it| Cow::Borrowed(it.as_slice());
    Vec<u8> => |it| Cow::Owned(it);
    Uuid => |it| Cow::Owned(it.as_bytes().to_vec());
    TaskId => |it| Cow::Owned(it.0.as_bytes().to_vec());
    TurnId => |it| Cow::Owned(it.0.as_bytes().to_vec());
    AttemptId => |it| Cow::Owned(it.0.as_bytes().to_vec());
    UserId => |it| Cow::Owned(it.0.as_bytes().to_vec());
    TeamId => |it| Cow::Owned(it.0.as_bytes().to_vec());
}
