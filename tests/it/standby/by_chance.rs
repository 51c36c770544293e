//! Any sequence of operations on two servers, one of which is cut off now and then and whose returns fail halfway,
//! against a plain model: what was acknowledged is there, and what was ended is not.

use super::bench::{Fails, Server, World, always, create, created, data, id_of, name, new, object, patch, put};
use agentapi::stores::sessions::{
    Error, NewSession, PatchOutcome, PutOutcome, RefreshOutcome, RenewOutcome, RevokeOutcome, Session, SessionId,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

const USERS: [&str; 3] = ["u", "v", "w"];

#[derive(Debug, Clone, Copy)]
enum Step {
    Create {
        refresh: bool,
    },
    Read,
    Put,
    Patch,
    Delete,
    DeleteMany,
    RevokeAll {
        spares: bool,
    },
    Rotate,
    Refresh,
    Cut,
    Heal,
    /// A return of which so many steps succeed.
    HealPartly(usize, Fails),
}

/// Where, whose, which, what.
type Move = (bool, usize, usize, Step);

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let fails = prop_oneof![Just(Fails::Unsent), Just(Fails::Answerless), Just(Fails::Halfway), Just(Fails::Late)];
    let step = prop_oneof![
        6 => any::<bool>().prop_map(|refresh| Step::Create { refresh }),
        4 => Just(Step::Read),
        3 => Just(Step::Put),
        4 => Just(Step::Patch),
        3 => Just(Step::Delete),
        1 => Just(Step::DeleteMany),
        2 => any::<bool>().prop_map(|spares| Step::RevokeAll { spares }),
        3 => Just(Step::Rotate),
        3 => Just(Step::Refresh),
        3 => Just(Step::Cut),
        1 => Just(Step::Heal),
        2 => (0..14_usize, fails).prop_map(|(steps, fails)| Step::HealPartly(steps, fails)),
    ];
    prop::collection::vec((prop::bool::weighted(0.7), 0..USERS.len(), 0..64_usize, step), 1..60)
}

/// What the clients of a session know.
struct Known {
    id: SessionId,
    old: Vec<SessionId>,
    user: usize,
    members: BTreeMap<String, u64>,
    token: Option<String>,
    alive: bool,
    /// It was made by the server that was cut off, and the other one may not know it yet.
    may_be_held: bool,
    /// It was spared by name on one server: under another name that the other server gives it, it is not.
    pinned: bool,
    /// It was ended by the other server, and the one that is cut off cannot know.
    ended_unheard: bool,
}

impl Known {
    /// What a read has to find.
    fn is_as_expected(&self, found: Option<String>) {
        let found = found.map(|text| serde_json::from_str::<BTreeMap<String, u64>>(&text).unwrap());
        assert_eq!(found.as_ref(), self.alive.then_some(&self.members));
    }
}

struct Model {
    cut_off: Server,
    other: Server,
    known: Vec<Known>,
    is_cut: bool,
    counter: u64,
    acknowledged_in_outage: usize,
}

impl Model {
    fn new(world: &World) -> Model {
        let (cut_off, other) = (world.server(), world.server());
        Model { cut_off, other, known: Vec::new(), is_cut: false, counter: 0, acknowledged_in_outage: 0 }
    }

    async fn go(&mut self, world: &World, (here, user, which, step): Move) {
        let server = if here { &self.cut_off } else { &self.other };
        let may_refuse = here && self.is_cut;
        let sessions = server.sessions();
        // Makes the outcome of an operation on one session known: `None` if it was refused.
        fn granted<T: std::fmt::Debug>(outcome: Result<T, Error>, may_refuse: bool) -> Option<T> {
            match outcome {
                Ok(outcome) => Some(outcome),
                Err(Error::Backend(_)) if may_refuse => None,
                Err(error) => panic!("{error}"),
            }
        }
        self.counter += 1;
        match step {
            Step::Cut => {
                self.cut_off.cut().await;
                self.is_cut = true;
                return;
            }
            Step::Heal => return self.heal().await,
            Step::HealPartly(steps, fails) => {
                if self.is_cut {
                    self.cut_off.outage.set(false);
                    self.cut_off.fail_after(steps, fails);
                    if self.cut_off.standby.give_back().await.is_ok() {
                        return self.heal().await;
                    }
                    assert!(self.cut_off.way.failed.load(Ordering::SeqCst) > 0);
                    if which % 2 == 0 {
                        self.cut_off.cut().await;
                    } else {
                        // It goes on from here: the backend is there again.
                        self.cut_off.fail_after(0, Fails::Not);
                    }
                }
                return;
            }
            Step::Create { refresh } => {
                if !here {
                    // Within a second of a revocation that this server does not know yet it would end with the others.
                    world.advance(Duration::from_millis(1001));
                }
                let data = format!(r#"{{"n":{}}}"#, self.counter);
                let new = NewSession { refresh, data: object(&data), ..new(USERS[user]) };
                let (session, token) = created(&sessions, new).await;
                self.acknowledged_in_outage += usize::from(may_refuse);
                self.known.push(Known {
                    id: id_of(&session),
                    old: Vec::new(),
                    user,
                    members: BTreeMap::from([("n".to_owned(), self.counter)]),
                    token,
                    alive: true,
                    may_be_held: may_refuse,
                    pinned: false,
                    ended_unheard: false,
                });
                return;
            }
            Step::RevokeAll { spares } => {
                let of_user = |known: &&mut Known| known.user == user && known.alive;
                let count = self.known.iter_mut().filter(of_user).count().max(1);
                let mut of_user: Vec<_> = self.known.iter_mut().filter(of_user).collect();
                let spared = if spares && !of_user.is_empty() { Some(which % count) } else { None };
                let except = spared.map(|spared| of_user[spared].id.reference().clone());
                if granted(sessions.revoke_all(&name(USERS[user]), except.as_ref()).await, may_refuse).is_some() {
                    for (place, known) in of_user.iter_mut().enumerate() {
                        known.alive = spared == Some(place);
                        known.ended_unheard = !known.alive && !here && self.is_cut;
                        known.pinned |= known.alive && self.is_cut;
                    }
                }
                return;
            }
            _ => {}
        }
        let length = self.known.len();
        if length == 0 {
            return;
        }
        let counter = self.counter;
        let known = &mut self.known[which % length];
        // Elsewhere nobody knows yet that it was ended here.
        if !here && !known.alive && self.is_cut {
            return;
        }
        let may_be_unknown = if here { known.ended_unheard } else { known.may_be_held };
        let moved = |known: &mut Known, session: &Session| {
            known.old.push(std::mem::replace(&mut known.id, id_of(session)));
        };
        match step {
            Step::Read => {
                let read = sessions.read_many(std::slice::from_ref(&known.id)).await;
                let Some(read) = granted(read, may_refuse) else { return };
                let text = read[0].as_ref().map(|session| session.data.as_ref().unwrap().as_str().to_owned());
                if !(may_be_unknown && text.is_some() == here) {
                    known.is_as_expected(text);
                }
            }
            Step::Put if known.alive && !may_be_unknown => {
                let text = format!(r#"{{"n":{counter}}}"#);
                match granted(sessions.put(&known.id, put(USERS[known.user], &text), &always()).await, may_refuse) {
                    None => {}
                    Some(PutOutcome::Replaced(_)) => known.members = BTreeMap::from([("n".to_owned(), counter)]),
                    Some(other) => panic!("{other:?}"),
                }
            }
            Step::Put => {}
            Step::Patch => {
                let (member, change) = (format!("m{}", counter % 5), counter);
                let body = patch(&format!(r#"{{"{member}":{change}}}"#));
                match granted(sessions.patch(&known.id, &body, &always()).await, may_refuse) {
                    None => {}
                    Some(PatchOutcome::Patched(_)) => {
                        assert!(known.alive || known.ended_unheard);
                        known.members.insert(member, change);
                    }
                    Some(PatchOutcome::Absent) => assert!(!known.alive || may_be_unknown),
                    Some(other) => panic!("{other:?}"),
                }
            }
            Step::Delete => match granted(sessions.revoke(known.id.reference(), &always()).await, may_refuse) {
                None => {}
                Some(RevokeOutcome::Revoked) => known.alive = false,
                Some(RevokeOutcome::Absent) => assert!(!known.alive || may_be_unknown),
                Some(other) => panic!("{other:?}"),
            },
            Step::DeleteMany => {
                match granted(sessions.revoke_many(&[known.id.reference().clone()]).await, may_refuse) {
                    None => {}
                    Some(0) => assert!(!known.alive || may_be_unknown),
                    Some(_) => known.alive = false,
                }
            }
            Step::Rotate | Step::Refresh if known.pinned => {}
            Step::Rotate => match granted(sessions.rotate(&known.id, &always()).await, may_refuse) {
                None => {}
                Some(RenewOutcome::Renewed(session)) => {
                    assert!(known.alive || known.ended_unheard);
                    moved(known, &session);
                }
                Some(RenewOutcome::Absent) => assert!(!known.alive || may_be_unknown),
                Some(other) => panic!("{other:?}"),
            },
            Step::Refresh => {
                let Some(token) = known.token.clone() else { return };
                match granted(sessions.refresh(&token).await, may_refuse) {
                    None => {}
                    Some(RefreshOutcome::Refreshed { session, refresh }) => {
                        assert!(known.alive || known.ended_unheard);
                        moved(known, &session);
                        known.token = Some(refresh.token.expose().to_owned());
                    }
                    Some(RefreshOutcome::Invalid) => assert!(!known.alive || may_be_unknown),
                    Some(other) => panic!("{other:?}"),
                }
            }
            _ => {}
        }
    }

    async fn heal(&mut self) {
        self.cut_off.heal().await.unwrap();
        self.is_cut = false;
        for known in &mut self.known {
            (known.may_be_held, known.pinned, known.ended_unheard) = (false, false, false);
        }
        self.check().await;
    }

    /// Everything is as the model has it, on both servers.
    async fn check(&self) {
        for server in [&self.cut_off, &self.other] {
            let sessions = server.sessions();
            assert!(sessions.degraded().is_none());
            for known in &self.known {
                known.is_as_expected(data(&sessions, &known.id).await);
                for old in &known.old {
                    assert_eq!(data(&sessions, old).await, None, "an old id");
                }
            }
            let alive = self.known.iter().filter(|known| known.alive).count();
            assert_eq!(sessions.list(None, 1000).await.unwrap().items.len(), alive, "the indexes");
            for (number, user) in USERS.iter().enumerate() {
                let alive = self.known.iter().filter(|known| known.alive && known.user == number).count();
                assert_eq!(sessions.list_user(&name(user), None, 1000).await.unwrap().items.len(), alive);
            }
        }
    }
}

#[test]
fn no_acknowledged_write_is_lost_and_nothing_that_was_ended_is_alive() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut acknowledged = 0;
    let counted = std::cell::Cell::new(0);
    let config = Config { cases: 100, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&moves(), |moves| {
        runtime.block_on(async {
            let world = World::new();
            let mut model = Model::new(&world);
            for one in moves {
                model.go(&world, one).await;
            }
            model.heal().await;
            model.cut_off.arrive().await;
            model.check().await;
            // The refresh tokens of those that live still work.
            for known in model.known.iter().filter(|known| known.alive) {
                let Some(token) = &known.token else { continue };
                let refreshed = model.other.sessions().refresh(token).await.unwrap();
                assert!(matches!(refreshed, RefreshOutcome::Refreshed { .. }), "{refreshed:?}");
            }
            create(&model.cut_off.sessions(), "u").await;
            counted.set(counted.get() + model.acknowledged_in_outage);
        });
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
    acknowledged += counted.get();
    assert!(acknowledged > 100, "only {acknowledged} sessions were made in outages");
}
