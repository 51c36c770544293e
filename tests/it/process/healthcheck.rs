//! `agentapi healthcheck`, beside a server as in its container.

use super::{Process, run};
use crate::harness::redis_server::{RedisServer, free_port};
use std::net::TcpListener;

/// Asks a server at this address: the exit code, and the one line that was printed.
#[track_caller]
fn check(address: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let (host, port) = address.rsplit_once(':').unwrap();
    let place = [("HOST", host), ("PORT", port)];
    let output = run(&["healthcheck"], &[&place, variables].concat());
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(said.matches('\n').count(), 1, "{said}");
    (output.status.code(), said.trim_end().to_owned())
}

/// Host and port of a process.
fn address(process: &mut Process) -> String {
    process.base().rsplit_once('/').unwrap().1.to_owned()
}

#[test]
fn a_server_that_serves_is_healthy_whatever_address_it_listens_on() {
    let mut process = Process::serve(&[]);
    let address = address(&mut process);
    let (_, port) = address.rsplit_once(':').unwrap();
    let healthy = (Some(0), format!("http://{address}/status answers 200"));
    assert_eq!(check(&address, &[]), healthy);
    // What listens on any address is asked on loopback.
    assert_eq!(check(&format!("0.0.0.0:{port}"), &[]), healthy);
    // Proxies are for what is elsewhere.
    assert_eq!(check(&address, &[("http_proxy", "http://127.0.0.1:9"), ("HTTP_PROXY", "http://127.0.0.1:9")]), healthy);
}

#[test]
fn a_server_whose_backend_is_away_is_not_healthy() {
    let redis = RedisServer::start();
    let mut process = Process::serve(&[("REDIS_URL", &redis.url())]);
    let address = address(&mut process);
    assert_eq!(check(&address, &[]).0, Some(0));
    drop(redis);
    let away = format!("agentapi: http://{address}/status answers 503");
    process.wait_for(|_, _| (check(&address, &[]) == (Some(1), away.clone())).then_some(()));
}

#[test]
fn over_tls_it_counts_that_the_server_answers_and_not_whom_its_certificate_names() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["agentapi.example".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("server.crt"), folder.path().join("server.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let files = [("TLS_CERT_FILE", certificate.to_str().unwrap()), ("TLS_KEY_FILE", key.to_str().unwrap())];
    let mut process = Process::serve(&files);
    let address = address(&mut process);
    assert_eq!(check(&address, &files), (Some(0), format!("https://{address}/status answers 200")));
    // Plain HTTP to a port of TLS is no answer.
    assert_eq!(check(&address, &[]).0, Some(1));
}

#[test]
fn nobody_there_and_somebody_who_does_not_answer_are_told_apart() {
    let nobody = format!("127.0.0.1:{}", free_port());
    assert_eq!(check(&nobody, &[]), (Some(1), format!("agentapi: http://{nobody}/status does not answer")));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let kept = listener.local_addr().unwrap().to_string();
    assert_eq!(check(&silent, &[]).0, Some(1));
    assert_eq!(check(&kept, &[]), (Some(1), format!("agentapi: http://{kept}/status does not answer in time")));
}

#[test]
fn a_wrong_variable_or_flag_is_a_wrong_call() {
    for (arguments, said) in [
        (["healthcheck", "--port", "many"], "PORT: is not a whole number"),
        (["healthcheck", "--host", "nowhere"], "HOST: is not an IP address"),
        (["healthcheck", "--url", "x"], "--url"),
    ] {
        let output = run(&arguments, &[]);
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), log.contains(said)), (Some(2), true), "{log}");
    }
}
