//! Each mode, with real sockets before a server that echoes.

use super::{ChaosProxy, Mode};
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A proxy before a server that echoes, and what that server read from each connection until its end.
fn proxy() -> (ChaosProxy, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let tell = tell.clone();
            std::thread::spawn(move || {
                let (mut all, mut buffer) = (Vec::new(), [0; 1024]);
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    all.extend(&buffer[..read]);
                    drop(stream.write_all(&buffer[..read]));
                }
                drop(tell.send(all));
            });
        }
    });
    (ChaosProxy::before(port), told)
}

fn connect(proxy: &ChaosProxy) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn echoed(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    stream.write_all(text.as_bytes())?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back)?;
    assert_eq!(back, text.as_bytes());
    Ok(())
}

/// Nothing arrives although there is time for it.
fn is_silent(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert_eq!(stream.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
}

#[test]
fn what_passes_is_counted() {
    let (proxy, told) = proxy();
    let (mut one, mut other) = (connect(&proxy), connect(&proxy));
    echoed(&mut one, "hello").unwrap();
    echoed(&mut other, "you").unwrap();
    let counts = proxy.counts();
    assert_eq!((counts.accepted.load(SeqCst), proxy.open()), (2, 2));
    assert_eq!((counts.to_server.load(SeqCst), counts.to_client.load(SeqCst)), (8, 8));
    one.shutdown(Shutdown::Write).unwrap();
    assert_eq!(told.recv().unwrap(), b"hello", "an end is carried on");
    assert_eq!(one.read(&mut [0; 8]).unwrap(), 0, "in both directions");
}

#[test]
fn new_connections_are_refused_while_old_ones_pass_and_the_port_comes_back() {
    let (proxy, _told) = proxy();
    let mut old = connect(&proxy);
    echoed(&mut old, "before").unwrap();
    proxy.set(Mode::Refuse);
    let refused = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    echoed(&mut old, "while").unwrap();
    proxy.set(Mode::Pass);
    echoed(&mut connect(&proxy), "after").unwrap();
    assert_eq!(proxy.counts().accepted.load(SeqCst), 2);
}

#[test]
fn new_connections_are_hung_up_on_while_old_ones_pass() {
    let (proxy, _told) = proxy();
    let mut old = connect(&proxy);
    echoed(&mut old, "before").unwrap();
    proxy.set(Mode::HangUp);
    assert_eq!(connect(&proxy).read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    echoed(&mut old, "while").unwrap();
    assert_eq!(proxy.counts().resets.load(SeqCst), 1);
}

#[test]
fn open_connections_are_reset_and_new_ones_pass() {
    let (proxy, _told) = proxy();
    let mut old = [connect(&proxy), connect(&proxy)];
    old.iter_mut().for_each(|old| echoed(old, "before").unwrap());
    assert_eq!(proxy.reset(), 2);
    assert_eq!(proxy.open(), 0);
    for old in &mut old {
        assert_eq!(old.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    echoed(&mut connect(&proxy), "after").unwrap();
    assert_eq!(proxy.counts().resets.load(SeqCst), 2);
}

#[test]
fn open_connections_become_black_holes_for_good_and_new_ones_pass() {
    let (proxy, told) = proxy();
    let mut old = connect(&proxy);
    echoed(&mut old, "before").unwrap();
    proxy.black_hole_existing();
    old.write_all(b"swallowed").unwrap();
    is_silent(&mut old);
    echoed(&mut connect(&proxy), "new").unwrap();
    proxy.set(Mode::Pass);
    old.write_all(b"!").unwrap();
    is_silent(&mut old);
    assert_eq!((proxy.counts().swallowed.load(SeqCst), proxy.open()), (10, 1));
    drop(old);
    assert_eq!(told.iter().take(2).collect::<Vec<_>>(), [b"new".to_vec(), b"before".to_vec()]);
}

#[test]
fn everything_becomes_a_black_hole_and_only_new_connections_get_out() {
    let (proxy, _told) = proxy();
    let mut old = connect(&proxy);
    echoed(&mut old, "before").unwrap();
    proxy.set(Mode::BlackHole);
    let mut new = connect(&proxy);
    for stream in [&mut old, &mut new] {
        stream.write_all(b"lost").unwrap();
        is_silent(stream);
    }
    assert_eq!(proxy.counts().swallowed.load(SeqCst), 8);
    proxy.set(Mode::Pass);
    for stream in [&mut old, &mut new] {
        stream.write_all(b"late").unwrap();
        is_silent(stream);
    }
    echoed(&mut connect(&proxy), "after").unwrap();
}

#[test]
fn each_direction_is_delayed() {
    let (proxy, _told) = proxy();
    let mut stream = connect(&proxy);
    proxy.set(Mode::Delay(Duration::from_millis(50)));
    let begun = Instant::now();
    echoed(&mut stream, "slow").unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
    assert_eq!(proxy.counts().delayed.load(SeqCst), 8);
}

#[test]
fn an_answer_drips_until_it_may_flow_again() {
    let (proxy, _told) = proxy();
    let mut stream = connect(&proxy);
    proxy.set(Mode::Drip(Duration::from_millis(20)));
    let begun = Instant::now();
    echoed(&mut stream, "drops").unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(80), "{:?}", begun.elapsed());
    assert_eq!(proxy.counts().dripped.load(SeqCst), 5);
    proxy.set(Mode::Pass);
    echoed(&mut stream, &"flood".repeat(100)).unwrap();
    assert_eq!(proxy.counts().dripped.load(SeqCst), 5);
}

#[test]
fn the_next_answer_is_cut_in_half_and_the_one_after_it_is_whole() {
    let (proxy, _told) = proxy();
    let mut stream = connect(&proxy);
    echoed(&mut stream, "before").unwrap();
    proxy.set(Mode::Truncate);
    stream.write_all(b"12345678").unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"1234");
    echoed(&mut connect(&proxy), "after").unwrap();
    assert_eq!(proxy.counts().truncated.load(SeqCst), 1);
}

#[test]
fn what_is_held_back_arrives_when_it_is_released_even_if_its_sender_has_left() {
    let (proxy, told) = proxy();
    let mut patient = connect(&proxy);
    proxy.set(Mode::Hold);
    patient.write_all(b"patient").unwrap();
    is_silent(&mut patient);
    let mut leaves = connect(&proxy);
    leaves.write_all(b"late first attempt").unwrap();
    let begun = Instant::now();
    while proxy.counts().held.load(SeqCst) < 25 {
        assert!(begun.elapsed() < Duration::from_secs(10));
        std::thread::yield_now();
    }
    SockRef::from(&leaves).set_linger(Some(Duration::ZERO)).unwrap();
    drop(leaves);
    assert!(told.try_recv().is_err() && proxy.counts().to_server.load(SeqCst) == 0);
    proxy.set(Mode::Pass);
    assert_eq!(told.recv().unwrap(), b"late first attempt");
    patient.read_exact(&mut [0; 7]).unwrap();
}

#[test]
fn a_server_that_is_not_there_is_a_connection_that_is_closed() {
    let proxy = ChaosProxy::before(crate::harness::redis_server::free_port());
    assert!(!matches!(connect(&proxy).read(&mut [0; 8]), Ok(1..)));
    assert_eq!(proxy.counts().unreachable.load(SeqCst), 1);
}
