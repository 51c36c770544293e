//! The JsonLogic engine as it is used here: what it knows, and how a compiled rule is run within its budget.

use super::context::Context;
use super::failure::Failure;
use super::{meter, operators};
use datalogic_rs::datavalue::OwnedDataValue;
use datalogic_rs::{DataValue, Engine, Logic};
use std::borrow::Cow;
use std::sync::LazyLock;

/// What every rule is compiled and run by. It holds the functions and nothing that changes.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    // Folding would evaluate at compile time, without a budget.
    let builder = Engine::builder().with_constant_folding(false);
    operators::functions().fold(builder, |builder, (name, function)| builder.add_operator(name, function)).build()
});

/// Whether a condition with this result holds.
pub(super) fn is_true(result: &DataValue<'_>) -> bool {
    ENGINE.truthy(result)
}

/// A rule in the engine's terms.
pub(super) struct Compiled {
    logic: Logic,
    nodes: usize,
}

impl Compiled {
    /// Compiles an expression that has so many nodes. None if the engine refuses it.
    pub(super) fn new(expression: OwnedDataValue, nodes: usize) -> Option<Compiled> {
        ENGINE.compile(expression).ok().map(|logic| Compiled { logic, nodes })
    }

    /// Evaluates the rule at `now` (unix seconds) and reads the result, which does not outlive that.
    ///
    /// # Errors
    /// An operator refused, or the work is more than one evaluation may do.
    pub(super) fn run<T>(
        &self,
        context: &Context<'_>,
        now: u64,
        read: impl FnOnce(&DataValue<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut scratch = context.scratch().ok_or(Failure::General(Cow::Borrowed("an evaluation is under way")))?;
        meter::begin(now, context.widest());
        let outcome = meter::spend_nodes(self.nodes)
            .and_then(|()| ENGINE.evaluate(&self.logic, context.root(), &scratch))
            .map_err(Failure::from)
            .and_then(read);
        scratch.empty();
        outcome
    }
}
