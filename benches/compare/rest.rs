//! The REST backend, as many callers use it at once: operations per second, and requests per operation.
//!
//! It speaks to a stand-in for Upstash, before the same Redis. The callers read one value through the layer that lets
//! them share requests, each its next when it has the one before.

use crate::Failure;
use crate::load::{Measurement, Told, measured};
use crate::processes::Process;
use crate::server;
use agentapi::base::clock::SystemClock;
use agentapi::base::secret::Secret;
use agentapi::base::text::TenantId;
use agentapi::db::transport::layers::pipelining::{IN_FLIGHT, Pipelining};
use agentapi::db::transport::rest::{MAX_REPLY_BYTES, Rest, RestSettings, RestUrl};
use agentapi::db::{BackendClock, Command, Database, Error, Expiry, Family, Key, Partition, TenantDb};
use futures_util::future::try_join_all;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CALLERS: usize = 64;
const TIME: Duration = Duration::from_millis(1500);
const FAMILY: Family =
    Family { name: "bench", parts: "", kind: "string", routed_by: "", lives: "", holds: "", stays: None };

/// The callers, and the stand-in that they speak to.
pub struct Callers {
    stand_in: Process,
    runtime: actix_web::rt::SystemRunner,
    tenant: TenantDb,
    key: Key,
}

impl Callers {
    /// Starts the stand-in and stores a value of `length` bytes through it.
    pub fn start(redis: &Process, length: usize) -> Result<Callers, Failure> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.install_default().map_err(|_| "a TLS provider is installed already")?;
        let stand_in = Process::of_this_program("stand-in", redis.port())?;
        let rest = Rest::new(&RestSettings {
            url: RestUrl::parse(&format!("http://127.0.0.1:{}", stand_in.port()))?,
            token: Secret::new("token".to_owned()),
            connection_timeout: Duration::from_secs(1),
            command_timeout: Duration::from_secs(3),
            max_connections: 10,
            ca_pem: None,
            max_reply_bytes: MAX_REPLY_BYTES,
        })?;
        let transport = Arc::new(Pipelining::new(Arc::new(rest), IN_FLIGHT));
        let database = Database::new(transport, "bench", BackendClock::new(Arc::new(SystemClock)));
        let tenant = database.tenant(&TenantId::parse("bench")?);
        let key = tenant.key(Partition::FIRST, &FAMILY, &[]);
        let runtime = actix_web::rt::System::new();
        let set = Command::set(&key, "x".repeat(length), Expiry::Never);
        runtime.block_on(tenant.run(set))?.done()?;
        Ok(Callers { stand_in, runtime, tenant, key })
    }

    /// One round: what was measured, with operations in place of requests, and how many requests one took.
    pub fn read(&self, redis: &Process) -> Result<(Measurement, f64), Failure> {
        let mut requests = 0.0;
        let measurement = measured(None, &[&self.stand_in], redis, || {
            let before = self.requests()?;
            let began = Instant::now();
            let counts = self.runtime.block_on(try_join_all((0..CALLERS).map(|_| self.call_until(began + TIME))))?;
            let lasted = began.elapsed();
            let operations = f64::from(counts.iter().sum::<u32>());
            requests = (self.requests()? - before) / operations;
            Ok(Told { requests: operations, per_second: operations / lasted.as_secs_f64(), p99_millis: None })
        })?;
        Ok((measurement, requests))
    }

    async fn call_until(&self, end: Instant) -> Result<u32, Error> {
        let mut count = 0;
        while Instant::now() < end {
            self.tenant.run(Command::get(&self.key)).await?.bytes()?;
            count += 1;
        }
        Ok(count)
    }

    fn requests(&self) -> Result<f64, Failure> {
        let answer = server::call(&self.stand_in, "GET", "/requests", "", None)?.expect(200)?;
        Ok(String::from_utf8(answer)?.parse()?)
    }
}
