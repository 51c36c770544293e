//! Who may say what where: a [`Database`] opens a [`TenantDb`] for one tenant, and a store that holds it
//! can name no key of another.

use super::backend_clock::BackendClock;
use super::channel::Channel;
use super::command::{Batch, Command};
use super::error::Error;
use super::key::{Family, Key, Partition};
use super::listener::Listener;
use super::reply::Reply;
use super::server_info::ServerInfo;
use super::transport::{Nobody, RedisTransport, Subscriber};
use crate::base::clock::Timestamp;
use crate::base::deadline::Deadline;
use crate::base::text::TenantId;
use std::sync::Arc;

/// The owner of what belongs to no tenant. Not a tenant id: those have no `_`.
const SYSTEM: &str = "_system";

/// A key of the server's own.
pub(super) fn system_key(prefix: &str, family: &Family, parts: &[&str]) -> Key {
    Key::new(prefix, SYSTEM, Partition::FIRST, family, parts)
}

/// One backend with a key prefix.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    transport: Arc<dyn RedisTransport>,
    subscriber: Arc<dyn Subscriber>,
    prefix: Box<str>,
    clock: BackendClock,
}

impl Database {
    /// A database whose keys start with `prefix`, and in which nothing is heard of others.
    pub fn new(transport: Arc<dyn RedisTransport>, prefix: &str, clock: BackendClock) -> Self {
        Database(Arc::new(Inner { transport, subscriber: Arc::new(Nobody), prefix: prefix.into(), clock }))
    }

    /// The same, in which what is published is heard over `subscriber`.
    pub fn heard_over(self, subscriber: Arc<dyn Subscriber>) -> Self {
        let Inner { transport, prefix, clock, .. } = &*self.0;
        let (transport, prefix, clock) = (transport.clone(), prefix.clone(), clock.clone());
        Database(Arc::new(Inner { transport, subscriber, prefix, clock }))
    }

    /// The data of one tenant.
    pub fn tenant(&self, tenant: &TenantId) -> TenantDb {
        TenantDb { database: self.clone(), tenant: tenant.clone(), deadline: Deadline::NONE }
    }

    /// The backend's time now.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The data of the server itself: tenants and their API keys.
    pub fn system(&self) -> SystemDb {
        SystemDb { database: self.clone(), deadline: Deadline::NONE }
    }

    async fn run(&self, command: Command, deadline: Deadline) -> Result<Reply, Error> {
        let mut replies = self.0.transport.execute(&Batch::one(command).by(deadline)).await?;
        replies.pop().ok_or(Error::unexpected("one answer"))
    }

    async fn pipeline(&self, commands: Vec<Command>, deadline: Deadline) -> Result<Vec<Reply>, Error> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        self.0.transport.execute(&Batch::pipeline(commands).by(deadline)).await
    }

    /// Asks the backend for its time, which shows that it answers and keeps the clock true.
    pub async fn probe(&self, deadline: Deadline) -> Result<(), Error> {
        let asked = self.0.clock.local();
        let [seconds, micros] = self.run(Command::time(), deadline).await?.array_of()?;
        let millis = seconds.count()?.saturating_mul(1000).saturating_add(micros.count()? / 1000);
        self.0.clock.learn(asked, Timestamp::from_millis(millis));
        Ok(())
    }
}

/// One tenant's data.
#[derive(Clone)]
pub struct TenantDb {
    database: Database,
    tenant: TenantId,
    deadline: Deadline,
}

impl TenantDb {
    /// The same, for somebody who waits until then.
    pub fn by(self, deadline: Deadline) -> Self {
        TenantDb { deadline, ..self }
    }

    /// The key of `family` in a partition of this tenant.
    pub fn key(&self, partition: Partition, family: &Family, parts: &[&str]) -> Key {
        Key::new(&self.database.0.prefix, self.tenant.as_str(), partition, family, parts)
    }

    /// The key of this name in a partition of this tenant: a word and parts as they stand in a key. Nothing where the family
    /// has none such.
    pub fn named(&self, partition: Partition, family: &Family, name: &str) -> Option<Key> {
        Key::named(&self.database.0.prefix, self.tenant.as_str(), partition, family, name)
    }

    /// What stands in a key behind tenant and partition.
    pub fn name_of<'a>(&self, key: &'a Key) -> Option<&'a str> {
        key.name()
    }

    /// What every key of this tenant starts with, up to the digits of its partition.
    pub(super) fn key_start(&self) -> String {
        format!("{}:{{{}:", self.database.0.prefix, self.tenant)
    }

    /// Runs one command.
    pub async fn run(&self, command: Command) -> Result<Reply, Error> {
        self.database.run(command, self.deadline).await
    }

    /// Runs independent commands in one round trip; as many answers as commands, in order.
    pub async fn pipeline(&self, commands: Vec<Command>) -> Result<Vec<Reply>, Error> {
        self.database.pipeline(commands, self.deadline).await
    }

    /// The backend's time now.
    pub fn now(&self) -> Timestamp {
        self.database.now()
    }

    /// Whose data it is.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }
}

/// The server's own data, all in one partition, so that one script can change any of it.
#[derive(Clone)]
pub struct SystemDb {
    database: Database,
    deadline: Deadline,
}

impl SystemDb {
    /// The same, for somebody who waits until then.
    pub fn by(&self, deadline: Deadline) -> Self {
        SystemDb { deadline, ..self.clone() }
    }

    /// The key of `family`.
    pub fn key(&self, family: &Family, parts: &[&str]) -> Key {
        system_key(&self.database.0.prefix, family, parts)
    }

    /// The channel of this name, a word like that of a [`Family`].
    pub fn channel(&self, name: &'static str) -> Channel {
        Channel::new(&self.database.0.prefix, SYSTEM, name)
    }

    /// Listens to a channel, from when it is first asked for what is next.
    pub fn listen(&self, channel: &Channel) -> Listener {
        Listener::new(self.database.0.subscriber.clone(), channel.clone())
    }

    /// Runs one command.
    pub async fn run(&self, command: Command) -> Result<Reply, Error> {
        self.database.run(command, self.deadline).await
    }

    /// Runs independent commands in one round trip; as many answers as commands, in order.
    pub async fn pipeline(&self, commands: Vec<Command>) -> Result<Vec<Reply>, Error> {
        self.database.pipeline(commands, self.deadline).await
    }

    /// This process's own time now.
    pub(super) fn local_now(&self) -> Timestamp {
        self.database.0.clock.local()
    }

    /// Asks the backend about itself. For now and then: it may look at more than one key to tell.
    pub async fn info(&self) -> Result<ServerInfo, Error> {
        Ok(ServerInfo::parse(&self.run(Command::info()).await?.text()?))
    }

    /// The backend's time now.
    pub fn now(&self) -> Timestamp {
        self.database.now()
    }
}
