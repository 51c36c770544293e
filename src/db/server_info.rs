//! What a backend tells of itself: the parts of `INFO` that somebody who runs it wants to know. Backends differ in what
//! they tell, so each part may be missing, and what is not of its form is missing too: a report is no reason to fail.

use crate::base::clock::Timestamp;

/// The longest word that is taken over: a version or the name of a policy.
const LONGEST_WORD: usize = 64;

/// What is known of the server behind the backend; `None` is what it did not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// The version of Redis that it is, or that it is like.
    pub redis_version: Option<String>,
    /// How long it runs, in seconds.
    pub uptime_seconds: Option<u64>,
    /// How many clients are connected.
    pub connected_clients: Option<u64>,
    /// How many may be.
    pub maxclients: Option<u64>,
    /// The memory that it takes, in bytes.
    pub used_memory: Option<u64>,
    /// The memory that it may take, in bytes; 0 is without a limit.
    pub maxmemory: Option<u64>,
    /// What it does when that is full, such as `volatile-lru`.
    pub maxmemory_policy: Option<String>,
    /// Look-ups that found their key since it runs.
    pub keyspace_hits: Option<u64>,
    /// Look-ups that did not.
    pub keyspace_misses: Option<u64>,
    /// Keys that were thrown out for want of memory since it runs.
    pub evicted_keys: Option<u64>,
    /// Whether it keeps an append-only file.
    pub aof_enabled: Option<bool>,
    /// When it last saved all its data.
    pub rdb_last_save_time: Option<Timestamp>,
    /// How that ended: `ok` or `err`.
    pub rdb_last_bgsave_status: Option<String>,
    /// Keys in all its databases, those that expired and were not cleared yet among them.
    pub keys: Option<u64>,
}

impl ServerInfo {
    /// Reads the answer to `INFO`: lines of `name:value` under headings.
    pub(super) fn parse(text: &str) -> ServerInfo {
        let mut info = ServerInfo::default();
        for line in text.lines() {
            if line.trim_end() == "# Keyspace" {
                // An empty server has the heading alone.
                info.keys.get_or_insert(0);
            }
            if let Some((name, value)) = line.split_once(':') {
                info.learn(name, value.trim());
            }
        }
        info
    }

    fn learn(&mut self, name: &str, value: &str) {
        let number = || value.parse().ok();
        let word = || {
            let is_one = !value.is_empty() && value.len() <= LONGEST_WORD;
            (is_one && value.bytes().all(|byte| byte.is_ascii_graphic())).then(|| value.to_owned())
        };
        match name {
            "redis_version" => self.redis_version = word(),
            "uptime_in_seconds" => self.uptime_seconds = number(),
            "connected_clients" => self.connected_clients = number(),
            "maxclients" => self.maxclients = number(),
            "used_memory" => self.used_memory = number(),
            "maxmemory" => self.maxmemory = number(),
            "maxmemory_policy" => self.maxmemory_policy = word(),
            "keyspace_hits" => self.keyspace_hits = number(),
            "keyspace_misses" => self.keyspace_misses = number(),
            "evicted_keys" => self.evicted_keys = number(),
            "aof_enabled" => self.aof_enabled = number().map(|number| number != 0),
            "rdb_last_save_time" => {
                self.rdb_last_save_time =
                    number().and_then(|seconds| seconds.checked_mul(1000)).map(Timestamp::from_millis);
            }
            "rdb_last_bgsave_status" => self.rdb_last_bgsave_status = word(),
            _ if is_database(name) => self.keys = self.keys.unwrap_or(0).checked_add(keys_of(value)),
            _ => {}
        }
    }
}

/// Whether a line is about one of the numbered databases: `db0`, `db15`.
fn is_database(name: &str) -> bool {
    name.strip_prefix("db").is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `keys=…` in the line of a database.
fn keys_of(value: &str) -> u64 {
    value.split(',').find_map(|part| part.strip_prefix("keys=")?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_read_from_the_answer_of_a_redis() {
        let text = "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:61\r\n\r\n# Clients\r\nconnected_clients:3\r\nmaxclients:10000\r\n\
                    # Memory\r\nused_memory:1048576\r\nused_memory_human:1.00M\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n\
                    # Persistence\r\nrdb_last_save_time:1700000000\r\nrdb_last_bgsave_status:ok\r\naof_enabled:1\r\n\
                    # Stats\r\nkeyspace_hits:10\r\nkeyspace_misses:5\r\nevicted_keys:2\r\n\
                    # Keyspace\r\ndb0:keys=7,expires=1,avg_ttl=0\r\ndb15:keys=2,expires=0,avg_ttl=0\r\n";
        let expected = ServerInfo {
            redis_version: Some("7.0.15".to_owned()),
            uptime_seconds: Some(61),
            connected_clients: Some(3),
            maxclients: Some(10_000),
            used_memory: Some(1_048_576),
            maxmemory: Some(0),
            maxmemory_policy: Some("noeviction".to_owned()),
            keyspace_hits: Some(10),
            keyspace_misses: Some(5),
            evicted_keys: Some(2),
            aof_enabled: Some(true),
            rdb_last_save_time: Some(Timestamp::from_millis(1_700_000_000_000)),
            rdb_last_bgsave_status: Some("ok".to_owned()),
            keys: Some(9),
        };
        assert_eq!(ServerInfo::parse(text), expected);
    }

    #[test]
    fn what_is_not_told_or_not_of_its_form_is_missing() {
        let long = format!("redis_version:{}", "7".repeat(65));
        for text in ["", "nonsense", ":", "used_memory:-1\nkeyspace_hits:x\nmaxmemory_policy:\ndbx:keys=1", &long] {
            assert_eq!(ServerInfo::parse(text), ServerInfo::default(), "{text}");
        }
        assert_eq!(ServerInfo::parse("redis_version:\u{1b}[31m").redis_version, None);
        assert_eq!(ServerInfo::parse("rdb_last_save_time:18446744073709551615").rdb_last_save_time, None);
        assert_eq!(ServerInfo::parse("# Keyspace\r\n").keys, Some(0));
    }
}
