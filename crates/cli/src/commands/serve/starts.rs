//! Where tasks start, looked at once for all who ask within a second: a hundred submits to one
//! branch cost one look at it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex as Shared, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// The most that is remembered; what is over is forgotten then.
const MOST: usize = 1_024;

/// What was found, by what was asked for. One look at a time for each, and none where the last one
/// is young enough.
pub struct Recent<K, V> {
    all: Shared<HashMap<K, Cell<V>>>,
    keep: Duration,
}

/// What was found last, and when. Held while somebody looks.
type Cell<V> = Arc<Mutex<Option<(Instant, V)>>>;

impl<K: Hash + Eq + Clone, V: Clone> Recent<K, V> {
    /// Remembers for `keep`.
    pub fn for_(keep: Duration) -> Self {
        Self { all: Shared::default(), keep }
    }

    /// What is known of `key`, else what `look` finds now. A failure is not remembered, and who
    /// waited for it looks again.
    pub async fn get<E>(&self, key: &K, look: impl Future<Output = Result<V, E>>) -> Result<V, E> {
        let cell = self.cell(key);
        let mut known = cell.lock().await;
        if let Some((at, value)) = known.as_ref()
            && at.elapsed() < self.keep
        {
            return Ok(value.clone());
        }
        // From before the look: what changes meanwhile may not have been seen.
        let begun = Instant::now();
        let value = look.await?;
        *known = Some((begun, value.clone()));
        Ok(value)
    }

    fn cell(&self, key: &K) -> Cell<V> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, cell| {
                let known = cell.try_lock();
                !known.is_ok_and(|known| {
                    known.as_ref().is_none_or(|(at, _)| at.elapsed() >= self.keep)
                })
            });
        }
        Arc::clone(all.entry(key.clone()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn many_who_ask_at_once_cost_one_look_and_a_failure_is_looked_at_again() {
        let recent = Recent::<&str, u32>::for_(Duration::from_millis(400));
        let looks = AtomicU32::new(0);
        let look = || async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            match looks.fetch_add(1, Ordering::Relaxed) {
                0 => Err("not now"),
                seen => Ok(seen),
            }
        };
        assert_eq!(recent.get(&"a", look()).await, Err("not now"));
        let asked = (0..50).map(|_| recent.get(&"a", look()));
        let all = futures::future::join_all(asked).await;
        assert!(all.iter().all(|found| *found == Ok(1)), "{all:?}");
        assert_eq!(recent.get(&"b", look()).await, Ok(2));
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(recent.get(&"a", look()).await, Ok(3));
    }
}
