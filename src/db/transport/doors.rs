//! The ways to the backend, for whoever wants to know how they are: none to the embedded one, one to a Redis,
//! two to a database that is reached natively and over REST.

use super::door::Door;
use super::layers::failover::{Proof, Switch};
use std::sync::Arc;

/// A handle on all of them; clones share it.
#[derive(Clone)]
pub struct Doors(Ways);

#[derive(Clone)]
enum Ways {
    None,
    One(Arc<Door>),
    Two([Arc<Door>; 2], Arc<Switch>),
}

/// How failover stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// REST would be taken if the native way were shut.
    Ready,
    /// REST is in use.
    Active,
    /// It is off: it is not known yet whether both ways lead to the same database.
    Unproven,
    /// It is off: they do not.
    Off,
}

impl Readiness {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Readiness::Ready => "ready",
            Readiness::Active => "active",
            Readiness::Unproven => "unproven",
            Readiness::Off => "off",
        }
    }
}

impl Doors {
    /// The backend is in this process.
    pub fn none() -> Self {
        Doors(Ways::None)
    }

    /// There is one way.
    pub fn one(door: Arc<Door>) -> Self {
        Doors(Ways::One(door))
    }

    /// There are two, the native one first, and what decides between them.
    pub fn two(native: Arc<Door>, rest: Arc<Door>, switch: Arc<Switch>) -> Self {
        Doors(Ways::Two([native, rest], switch))
    }

    /// All of them.
    pub fn all(&self) -> &[Arc<Door>] {
        match &self.0 {
            Ways::None => &[],
            Ways::One(door) => std::slice::from_ref(door),
            Ways::Two(doors, _) => doors,
        }
    }

    /// The one in use; none leads to the embedded backend.
    pub fn in_use(&self) -> Option<&Arc<Door>> {
        match &self.0 {
            Ways::None => None,
            Ways::One(door) => Some(door),
            Ways::Two(_, switch) => Some(switch.in_use()),
        }
    }

    /// The name of the one in use, or `memory`.
    pub fn transport(&self) -> &'static str {
        self.in_use().map_or("memory", |door| door.name())
    }

    /// What decides between two.
    pub fn switch(&self) -> Option<&Switch> {
        match &self.0 {
            Ways::Two(_, switch) => Some(switch),
            _ => None,
        }
    }

    /// How failover stands, where there are two.
    pub fn failover(&self) -> Option<Readiness> {
        let switch = self.switch()?;
        Some(match switch.proof() {
            _ if switch.is_on_rest() => Readiness::Active,
            Proof::Same => Readiness::Ready,
            Proof::None => Readiness::Unproven,
            Proof::Different => Readiness::Off,
        })
    }

    /// Grows when a door opens or closes or another is taken: what was found out before may not hold any more.
    pub fn changes(&self) -> u64 {
        self.all().iter().map(|door| door.changes()).sum::<u64>() + self.switch().map_or(0, Switch::switches)
    }
}
