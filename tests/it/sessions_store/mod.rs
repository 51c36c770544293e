//! The session store, one suite for every backend. What needs the time to be moved runs where it can be.

/// Runs each test on the memory backend, on a real Redis, and over REST.
macro_rules! on_every_backend {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(&crate::sessions_store::bench::Bench::memory()).await;
            })*
        }

        mod native {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(&crate::sessions_store::bench::Bench::native()).await;
            })*
        }

        mod rest {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(&crate::sessions_store::bench::Bench::rest()).await;
            })*
        }
    };
}

pub mod bench;
mod ending;
mod eviction;
mod limits;
mod lists;
mod reading;
mod refreshing;
mod secrets;
mod time;
mod writing;
