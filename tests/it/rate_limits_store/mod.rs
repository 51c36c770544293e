//! The rate limit store over every backend: the same answers, every script run, nobody let in twice.

/// Runs each test on the memory backend, on a real Redis, and over REST.
macro_rules! on_every_backend {
    ($($test:ident),* $(,)?) => {
        on_every_backend!(@on memory memory; $($test),*);
        on_every_backend!(@on native native; $($test),*);
        on_every_backend!(@on rest rest; $($test),*);
    };
    (@on $name:ident $make:ident; $($test:ident),*) => {
        mod $name {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(&crate::rate_limits_store::bench::Bench::$make()).await;
            })*
        }
    };
}

mod bench;
mod concurrency;
mod same_answers;
mod scripts;
