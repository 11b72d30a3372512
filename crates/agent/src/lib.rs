//! The loop: asks a model, runs its tools in a sandbox, writes down what happened, and decides
//! when it is done. It knows no HTTP, database, forge, git on the host, or which sandbox it has.
//!
//! [`run`] takes an [`AttemptRun`] and drives it to an [`End`]. What happens next is decided by
//! [`next_step()`] from the [`Transcript`], a fold of the log; the driver performs it and records
//! it.

mod changes;
mod compaction;
mod contracts;
mod control;
mod driver;
mod gate;
mod instructions;
mod next_step;
mod observation;
mod output;
mod prompts;
mod run;
mod screen;
mod session;
mod stop;
mod stuck;
mod tools;
mod transcript;

pub use contracts::{
    ContractError, Findings, Finish, Inputs, InstructionTree, Judgement, OutsideFile, Purse,
    ReadText, SandboxSource,
};
pub use control::readable;
pub use next_step::{Limits, Step, next_step};
pub use output::Form;
pub use run::{AgentError, AttemptRun, End, Settings, run};
pub use screen::Screen;
pub use transcript::{CommandRecord, Commands, GateRecord, Person, Stands, Transcript};
