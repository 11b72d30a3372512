//! A budget of money for a model whose price nobody knows: told, as it is never reached.

use super::Life;

impl Life {
    /// The words of warning, where they are called for.
    pub(super) async fn budget_without_price(&self) -> Option<String> {
        let limit = self.request().budget.cost?;
        let name = &self.request().model;
        // A model that cannot be opened is told of when it is asked.
        let model = self.worker.models.open(name).await.ok()?;
        if model.info().price.is_some() {
            return None;
        }
        Some(format!(
            "the budget of {limit} never stops this run: no price is known of {name}, only tokens \
             are counted; limit tokens (`--budget 500000t`) or calls (`--budget 40c`)"
        ))
    }
}
