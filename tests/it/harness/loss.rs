//! A proxy on the loopback interface that loses one answer, or holds one request back, when told to: those
//! of the next request that says certain words. Everything else passes.

use parking_lot::Mutex;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It is served, and the connection closed before its answer goes back.
    OfTheAnswer,
    /// The connection is closed at once, and the request stays under way until it is let go.
    OfTheWay,
}

struct Armed {
    loss: Loss,
    words: Vec<u8>,
    /// How many requests with these words pass before.
    passing: u32,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    armed: Mutex<Option<Armed>>,
    /// What of a held request has not reached the server, and the way there.
    held: Mutex<Option<(TcpStream, Vec<u8>)>>,
    /// What the server answered and nobody heard.
    unheard: Mutex<Vec<u8>>,
    open: Mutex<Vec<TcpStream>>,
}

/// A running proxy; it ends when it is dropped.
pub struct LossyProxy {
    shared: Arc<Shared>,
    port: u16,
    thread: Option<JoinHandle<()>>,
}

impl LossyProxy {
    /// A proxy before this port.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared::default());
        let known = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if known.stop.load(Ordering::SeqCst) {
                    break;
                }
                if let Ok(server) = TcpStream::connect(("127.0.0.1", server)) {
                    connect(&known, client, server);
                }
            }
        });
        LossyProxy { shared, port, thread: Some(thread) }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Does this to the next request that says these words, after `passing` others that do.
    pub fn arm(&self, loss: Loss, words: &str, passing: u32) {
        self.shared.unheard.lock().clear();
        *self.shared.armed.lock() = Some(Armed { loss, words: words.as_bytes().to_vec(), passing });
    }

    /// Lets the held request go on to the server.
    pub fn let_go(&self) {
        let (mut server, rest) = self.shared.held.lock().take().expect("a request is held");
        server.write_all(&rest).expect("the server still listens");
    }

    /// What the server answered and nobody heard.
    pub fn unheard(&self) -> String {
        let begun = Instant::now();
        while self.shared.unheard.lock().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing was lost");
            std::thread::sleep(Duration::from_millis(2));
        }
        String::from_utf8_lossy(&self.shared.unheard.lock()).into_owned()
    }
}

impl Drop for LossyProxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the thread; a listener that is gone already needs no waking.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        for stream in self.shared.open.lock().drain(..) {
            // One that is closed already is closed.
            stream.shutdown(Shutdown::Both).ok();
        }
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the proxy panicked");
        }
    }
}

fn connect(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) {
    let again = |stream: &TcpStream| stream.try_clone().expect("a second handle");
    shared.open.lock().extend([again(&client), again(&server)]);
    let unheard = Arc::new(AtomicBool::new(false));
    let (to, from) = (again(&server), again(&client));
    let (here, flag) = (Arc::clone(shared), Arc::clone(&unheard));
    std::thread::spawn(move || requests(&here, from, to, &flag));
    let here = Arc::clone(shared);
    std::thread::spawn(move || answers(&here, server, client, &unheard));
}

fn requests(shared: &Shared, mut client: TcpStream, mut server: TcpStream, unheard: &AtomicBool) {
    let mut said = Vec::new();
    let mut bytes = [0; 64 * 1024];
    while let Ok(count @ 1..) = client.read(&mut bytes) {
        said.extend_from_slice(&bytes[..count]);
        let mut armed = shared.armed.lock();
        let says = |armed: &Armed| said.windows(armed.words.len()).any(|window| window == armed.words);
        match armed.as_mut().filter(|armed| says(armed)) {
            Some(known @ Armed { passing: 1.., .. }) => {
                known.passing -= 1;
                said.clear();
            }
            Some(known) => {
                unheard.store(true, Ordering::SeqCst);
                let loss = known.loss;
                *armed = None;
                if loss == Loss::OfTheWay {
                    *shared.held.lock() = Some((server, bytes[..count].to_vec()));
                    client.shutdown(Shutdown::Both).expect("an open connection");
                    return;
                }
            }
            // Words may come in two pieces.
            None => drop(said.drain(..said.len().saturating_sub(100))),
        }
        drop(armed);
        if server.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // The other direction ends with it.
    server.shutdown(Shutdown::Both).ok();
}

fn answers(shared: &Shared, mut server: TcpStream, mut client: TcpStream, unheard: &AtomicBool) {
    let mut bytes = [0; 64 * 1024];
    while let Ok(count @ 1..) = server.read(&mut bytes) {
        if unheard.load(Ordering::SeqCst) {
            shared.unheard.lock().extend_from_slice(&bytes[..count]);
            client.shutdown(Shutdown::Both).ok();
        } else if client.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    client.shutdown(Shutdown::Both).ok();
}
