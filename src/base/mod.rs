//! Floor 0: what every other floor may use and what knows none of them: codes, time, secrets, the
//! environment, checked text, objects in bodies and random identifiers.

pub mod clock;
pub mod code;
pub mod deadline;
pub mod duration;
pub mod env;
pub mod histogram;
pub mod id;
pub mod json_object;
pub mod lookups;
pub mod object;
pub mod patience;
pub mod precondition;
pub mod secret;
pub mod sparing;
pub mod sum;
pub mod text;
pub mod word;
