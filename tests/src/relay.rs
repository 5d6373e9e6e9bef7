//! A TCP relay between processes of a cluster. A test can cut its connections, hold traffic
//! back, and read the recorded bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http::RUNTIME;

/// A running relay. It ends when the test drops it.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    conditions: watch::Sender<Conditions>,
    recorded: Arc<Mutex<Vec<u8>>>,
    server: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Conditions {
    /// No traffic passes, although connections stay open.
    held: bool,
    /// How many times the connections were cut.
    cuts: u64,
}

/// The state shared by both directions of a connection.
#[derive(Clone)]
struct Connection {
    conditions: watch::Receiver<Conditions>,
    recorded: Arc<Mutex<Vec<u8>>>,
}

impl Relay {
    /// Starts a relay to `upstream`, which need not listen yet.
    pub fn start(upstream: SocketAddr) -> anyhow::Result<Self> {
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let conditions = watch::Sender::new(Conditions::default());
        let recorded = Arc::<Mutex<Vec<u8>>>::default();
        let connection = Connection {
            conditions: conditions.subscribe(),
            recorded: recorded.clone(),
        };
        let server = RUNTIME.spawn(serve(listener, upstream, connection));
        Ok(Self {
            address,
            conditions,
            recorded,
            server,
        })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection; new ones are accepted.
    pub fn cut(&self) {
        self.conditions
            .send_modify(|conditions| conditions.cuts += 1);
    }

    /// Holds back all traffic while `held` is set; connections stay open.
    pub fn hold(&self, held: bool) {
        self.conditions
            .send_modify(|conditions| conditions.held = held);
    }

    /// All bytes that were relayed.
    pub fn recorded(&self) -> Vec<u8> {
        lock(&self.recorded).clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, upstream: SocketAddr, connection: Connection) {
    while let Ok((near, _)) = listener.accept().await {
        let connection = connection.clone();
        tokio::spawn(async move {
            let Ok(far) = TcpStream::connect(upstream).await else {
                return;
            };
            let cuts = connection.conditions.borrow().cuts;
            let mut conditions = connection.conditions.clone();
            let (near_in, near_out) = near.into_split();
            let (far_in, far_out) = far.into_split();
            tokio::select! {
                () = connection.copy(near_in, far_out) => {}
                () = connection.copy(far_in, near_out) => {}
                _ = conditions.wait_for(|conditions| conditions.cuts != cuts) => {}
            }
        });
    }
}

impl Connection {
    /// Copies bytes until the connection ends.
    async fn copy(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut conditions = self.conditions.clone();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let Ok(size @ 1..) = from.read(&mut buffer).await else {
                return;
            };
            // The sender is dropped with the relay.
            if conditions
                .wait_for(|conditions| !conditions.held)
                .await
                .is_err()
            {
                return;
            }
            lock(&self.recorded).extend_from_slice(&buffer[..size]);
            if to.write_all(&buffer[..size]).await.is_err() {
                return;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    /// A server that sends each byte back.
    fn echo() -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let (mut from, mut to) = (stream.try_clone().unwrap(), stream);
                    std::io::copy(&mut from, &mut to)
                });
            }
        });
        address
    }

    fn connect(relay: &Relay) -> TcpStream {
        let stream = TcpStream::connect(relay.address()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
    }

    fn exchange(stream: &mut TcpStream, byte: u8) -> std::io::Result<u8> {
        stream.write_all(&[byte])?;
        let mut answer = [0];
        stream.read_exact(&mut answer)?;
        Ok(answer[0])
    }

    #[test]
    fn a_relay_copies_and_records_bytes() {
        let relay = Relay::start(echo()).unwrap();
        let mut stream = connect(&relay);
        assert_eq!(exchange(&mut stream, b'x').unwrap(), b'x');
        assert_eq!(relay.recorded(), b"xx");
    }

    #[test]
    fn a_cut_ends_connections_and_new_ones_are_accepted() {
        let relay = Relay::start(echo()).unwrap();
        let mut stream = connect(&relay);
        exchange(&mut stream, b'a').unwrap();
        relay.cut();
        let mut rest = Vec::new();
        assert!(!matches!(stream.read_to_end(&mut rest), Ok(1..)));
        assert_eq!(exchange(&mut connect(&relay), b'b').unwrap(), b'b');
    }

    #[test]
    fn held_bytes_arrive_after_the_hold_ends() {
        let relay = Relay::start(echo()).unwrap();
        let mut stream = connect(&relay);
        exchange(&mut stream, b'a').unwrap();
        relay.hold(true);
        stream
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let silence = exchange(&mut stream, b'b').unwrap_err();
        assert!(matches!(
            silence.kind(),
            ErrorKind::WouldBlock | ErrorKind::TimedOut
        ));
        relay.hold(false);
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut answer = [0];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, *b"b");
    }
}
