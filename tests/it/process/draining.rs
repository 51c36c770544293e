//! What happens between the signal and the end.

use super::Process;
use reqwest::StatusCode;

#[tokio::test]
async fn a_server_that_is_told_to_stop_turns_unready_goes_on_serving_and_closes_each_connection() {
    let mut process = Process::serve(&[("SHUTDOWN_DELAY", "2s")]);
    let anyone = process.anyone();
    let before = anyone.get("/health/ready").await;
    assert_eq!((before.status, before.header("connection")), (StatusCode::OK, ""));
    process.signal();
    process.wait_for(|_, log| log.contains("draining").then_some(()));
    let ready = anyone.get("/health/ready").await;
    assert_eq!((ready.status, ready.header("connection")), (StatusCode::SERVICE_UNAVAILABLE, "close"));
    let live = anyone.get("/health/live").await;
    assert_eq!((live.status, live.header("connection")), (StatusCode::OK, "close"));
    anyone.get("/v1/sessions").await.refused(401, "unauthorized");
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut process = Process::serve(&[("SHUTDOWN_DELAY", "1h")]);
    process.anyone().get("/health/live").await.expect(StatusCode::OK);
    process.signal();
    process.wait_for(|_, log| log.contains("draining").then_some(()));
    let (code, ..) = process.terminate();
    assert_eq!(code, Some(0));
}
