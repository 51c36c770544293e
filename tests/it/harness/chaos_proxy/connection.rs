//! What the proxy's thread does: it listens as long as it should, and carries each connection's bytes in the
//! ways that are in force.

use super::{Mode, Shared};
use bytes::BytesMut;
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// A socket on a loopback port that others may be bound to as well.
pub(super) fn bound(port: u16) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("a socket");
    socket.set_reuse_address(true).expect("a socket");
    socket.set_nonblocking(true).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).expect("a loopback port");
    socket
}

/// Accepts connections until the proxy ends.
pub(super) async fn accept(shared: Arc<Shared>, port: u16) {
    let mut orders = shared.orders.subscribe();
    let mut listener: Option<TcpListener> = None;
    loop {
        let order = *orders.borrow_and_update();
        if order.ends {
            return;
        }
        let listens = order.mode != Mode::Refuse;
        if listens != listener.is_some() {
            listener = listens.then(|| {
                let socket = bound(port);
                socket.listen(1024).expect("the port is reserved");
                TcpListener::from_std(socket.into()).expect("a runtime")
            });
        }
        shared.listens.store(listens, SeqCst);
        let next = async {
            match &listener {
                Some(listener) => listener.accept().await.expect("a connection").0,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = orders.changed() => changed.expect("the owner holds the sender"),
            client = next => {
                // In the set before it is counted: who resets all that were counted must find it.
                let number = shared.counts.accepted.load(SeqCst);
                shared.open.lock().insert(number);
                shared.counts.accepted.fetch_add(1, SeqCst);
                let connection = Connection { shared: shared.clone(), number, black: AtomicBool::new(false) };
                tokio::spawn(connection.serve(client));
            }
        }
    }
}

struct Connection {
    shared: Arc<Shared>,
    number: u64,
    /// Bytes were lost here, so none may come through any more.
    black: AtomicBool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Towards {
    Server,
    Client,
}

impl Connection {
    async fn serve(self, mut client: TcpStream) {
        let mut orders = self.shared.orders.subscribe();
        let hung_up = orders.borrow().mode == Mode::HangUp;
        let reset = hung_up
            || tokio::select! {
                _ = orders.wait_for(|orders| self.number < orders.reset_below) => true,
                // However it ended, both sides are closed now.
                _ = self.relay(&mut client) => false,
            };
        if reset {
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("an open socket");
            self.shared.counts.resets.fetch_add(1, SeqCst);
        }
        drop(client);
        self.shared.open.lock().remove(&self.number);
    }

    async fn relay(&self, client: &mut TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let (reads_client, writes_client) = client.split();
        if self.is_black() {
            return self.carry(reads_client, None, Towards::Server).await;
        }
        let server = TcpStream::connect(self.shared.server).await;
        let unreachable = |_: &io::Error| _ = self.shared.counts.unreachable.fetch_add(1, SeqCst);
        let mut server = server.inspect_err(unreachable)?;
        server.set_nodelay(true)?;
        let (reads_server, writes_server) = server.split();
        let up = self.carry(reads_client, Some(writes_server), Towards::Server);
        tokio::try_join!(up, self.carry(reads_server, Some(writes_client), Towards::Client)).map(drop)
    }

    fn is_black(&self) -> bool {
        let order = *self.shared.orders.borrow();
        self.black.load(SeqCst) || order.mode == Mode::BlackHole || self.number < order.black_below
    }

    /// Carries bytes one way until that way ends. What is done is counted first: who sees it may look.
    async fn carry(&self, mut from: ReadHalf<'_>, to: Option<WriteHalf<'_>>, towards: Towards) -> io::Result<()> {
        let (counts, mut orders) = (&self.shared.counts, self.shared.orders.subscribe());
        let (mut waiting, mut ended, mut to) = (BytesMut::with_capacity(16 * 1024), false, to);
        loop {
            let before = waiting.len();
            tokio::select! {
                changed = orders.changed() => changed.map_err(|_| ErrorKind::BrokenPipe)?,
                read = from.read_buf(&mut waiting), if !ended => ended = !matches!(read, Ok(1..)),
            }
            let mode = orders.borrow_and_update().mode;
            let Some(to) = to.as_mut().filter(|_| !self.is_black()) else {
                self.black.fetch_or(!waiting.is_empty(), SeqCst);
                counts.swallowed.fetch_add(waiting.len() as u64, SeqCst);
                waiting.clear();
                match towards {
                    // That the server closed is swallowed too; that the client left ends it.
                    Towards::Client if ended => std::future::pending().await,
                    Towards::Server if ended => return Err(ErrorKind::BrokenPipe.into()),
                    _ => continue,
                }
            };
            match (mode, towards) {
                (Mode::Hold, Towards::Server) => {
                    counts.held.fetch_add((waiting.len() - before) as u64, SeqCst);
                    continue;
                }
                (Mode::Delay(time), _) if !waiting.is_empty() => {
                    counts.delayed.fetch_add(waiting.len() as u64, SeqCst);
                    tokio::time::sleep(time).await;
                }
                (Mode::Drip(interval), Towards::Client) => {
                    while !waiting.is_empty() && orders.borrow().mode == mode {
                        counts.dripped.fetch_add(1, SeqCst);
                        counts.to_client.fetch_add(1, SeqCst);
                        to.write_all(&waiting.split_to(1)).await?;
                        tokio::time::sleep(interval).await;
                    }
                }
                (Mode::Truncate, Towards::Client) if !waiting.is_empty() && self.truncates() => {
                    counts.truncated.fetch_add(1, SeqCst);
                    to.write_all(&waiting[..waiting.len() / 2]).await?;
                    return Err(ErrorKind::ConnectionAborted.into());
                }
                _ => {}
            }
            let carried = if towards == Towards::Server { &counts.to_server } else { &counts.to_client };
            carried.fetch_add(waiting.len() as u64, SeqCst);
            to.write_all(&waiting.split()).await?;
            if ended {
                return to.shutdown().await;
            }
        }
    }

    /// Whether this answer is the next one.
    fn truncates(&self) -> bool {
        self.shared.orders.send_if_modified(|orders| {
            let is_next = orders.mode == Mode::Truncate;
            orders.mode = if is_next { Mode::Pass } else { orders.mode };
            is_next
        })
    }
}
