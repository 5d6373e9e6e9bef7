//! A passage between processes of a cluster that can be cut, held, and listened to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http::RUNTIME;

/// A running passage; it ends when the test drops it.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    heard: Arc<Mutex<Vec<u8>>>,
    server: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    /// Nothing passes, and nobody is told.
    held: bool,
    /// How often every connection was cut.
    cuts: u64,
}

/// What each direction of a connection needs.
#[derive(Clone)]
struct Passage {
    weather: watch::Receiver<Weather>,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Wire {
    /// Starts a passage to `upstream`, which need not be there yet.
    pub fn start(upstream: SocketAddr) -> anyhow::Result<Self> {
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let weather = watch::Sender::new(Weather::default());
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let passage = Passage {
            weather: weather.subscribe(),
            heard: heard.clone(),
        };
        let server = RUNTIME.spawn(serve(listener, upstream, passage));
        Ok(Self {
            address,
            weather,
            heard,
            server,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection; new ones are let through.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| weather.cuts += 1);
    }

    /// Lets nothing through while connections stay as they are.
    pub fn hold(&self, held: bool) {
        self.weather.send_modify(|weather| weather.held = held);
    }

    /// Every byte that passed.
    pub fn heard(&self) -> Vec<u8> {
        lock(&self.heard).clone()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, upstream: SocketAddr, passage: Passage) {
    while let Ok((near, _)) = listener.accept().await {
        let passage = passage.clone();
        tokio::spawn(async move {
            let Ok(far) = TcpStream::connect(upstream).await else {
                return;
            };
            let cuts = passage.weather.borrow().cuts;
            let mut weather = passage.weather.clone();
            let (near_in, near_out) = near.into_split();
            let (far_in, far_out) = far.into_split();
            tokio::select! {
                () = passage.pass(near_in, far_out) => {}
                () = passage.pass(far_in, near_out) => {}
                _ = weather.wait_for(|weather| weather.cuts != cuts) => {}
            }
        });
    }
}

impl Passage {
    /// Passes on what comes, until the connection ends.
    async fn pass(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut weather = self.weather.clone();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let Ok(size @ 1..) = from.read(&mut buffer).await else {
                return;
            };
            // The passage is dropped with its test.
            if weather.wait_for(|weather| !weather.held).await.is_err() {
                return;
            }
            lock(&self.heard).extend_from_slice(&buffer[..size]);
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

    /// A server that answers each byte by the same.
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

    fn connect(wire: &Wire) -> TcpStream {
        let stream = TcpStream::connect(wire.address()).unwrap();
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
    fn it_passes_bytes_on_and_hears_them() {
        let wire = Wire::start(echo()).unwrap();
        let mut stream = connect(&wire);
        assert_eq!(exchange(&mut stream, b'x').unwrap(), b'x');
        assert_eq!(wire.heard(), b"xx");
    }

    #[test]
    fn what_is_cut_ends_and_what_comes_later_passes() {
        let wire = Wire::start(echo()).unwrap();
        let mut stream = connect(&wire);
        exchange(&mut stream, b'a').unwrap();
        wire.cut();
        let mut rest = Vec::new();
        assert!(!matches!(stream.read_to_end(&mut rest), Ok(1..)));
        assert_eq!(exchange(&mut connect(&wire), b'b').unwrap(), b'b');
    }

    #[test]
    fn what_is_held_comes_once_it_is_let_go() {
        let wire = Wire::start(echo()).unwrap();
        let mut stream = connect(&wire);
        exchange(&mut stream, b'a').unwrap();
        wire.hold(true);
        stream
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let silence = exchange(&mut stream, b'b').unwrap_err();
        assert!(matches!(
            silence.kind(),
            ErrorKind::WouldBlock | ErrorKind::TimedOut
        ));
        wire.hold(false);
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut answer = [0];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, *b"b");
    }
}
