//! Connections between the processes of a cluster: with mutual TLS, or with a token on the
//! loopback of one machine. The scheduler's port is the only one, so securing it secures the
//! cluster.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use clap::Args;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::transport::channel::ResponseFuture;
use tonic::transport::{
    Certificate, Channel, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig,
};

use crate::token::{Token, TokenError};

const CONNECT: Duration = Duration::from_secs(5);
/// A silent peer is pinged after this time, and has the same time to respond.
pub const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// How a process secures its connections.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    #[command(flatten)]
    pub tls: Tls,
    /// File with the secret that scheduler, executors and clients share without TLS
    /// [default: ~/.config/lakebolt/token]. A scheduler makes it at its first start.
    #[arg(long, env = "LAKEBOLT_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Do without TLS beyond this machine's loopback. Others on the network can read the token
    /// and the data, and use the scheduler.
    #[arg(long, env = "LAKEBOLT_PLAIN_TCP")]
    pub plain_tcp: bool,
}

/// Certificates for mutual TLS: all three or none.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM file of the authority that signed the other side's certificate.
    #[arg(long, env = "LAKEBOLT_TLS_CA", value_name = "FILE", requires_all = ["tls_cert", "tls_key"])]
    pub tls_ca: Option<PathBuf>,
    /// PEM file of this process's certificate.
    #[arg(long, env = "LAKEBOLT_TLS_CERT", value_name = "FILE", requires_all = ["tls_ca", "tls_key"])]
    pub tls_cert: Option<PathBuf>,
    /// PEM file of the certificate's key.
    #[arg(long, env = "LAKEBOLT_TLS_KEY", value_name = "FILE", requires_all = ["tls_ca", "tls_cert"])]
    pub tls_key: Option<PathBuf>,
}

/// A wrong configuration of the connection. Retrying does not help.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A certificate option is missing.
    #[error("--tls-ca, --tls-cert and --tls-key belong together: give all three or none")]
    Incomplete,
    /// A certificate file is unreadable.
    #[error("{path} cannot be read")]
    Unreadable {
        path: String,
        #[source]
        source: std::io::Error,
    },
    /// The address is invalid.
    #[error("{address} is not the address of a scheduler: write HOST:PORT")]
    Address {
        address: String,
        #[source]
        source: tonic::transport::Error,
    },
    /// A certificate is invalid.
    #[error("the certificates cannot be used")]
    Certificates(#[source] tonic::transport::Error),
    /// The address is an `https` URL.
    #[error("{address} asks for TLS: give --tls-ca, --tls-cert and --tls-key")]
    NoCertificates { address: String },
    /// The address is not of this machine's loopback.
    #[error(
        "{address} is beyond this machine's loopback: give --tls-ca, --tls-cert and --tls-key, or \
         --plain-tcp in a network that you trust"
    )]
    PlainTcp { address: String },
    /// There is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

struct Certificates {
    authority: Certificate,
    own: Identity,
}

impl Transport {
    /// Connects to the scheduler at `address`, `HOST:PORT` or a URL, when it is first asked.
    pub fn connect(&self, address: &str) -> Result<Connection, TransportError> {
        let endpoint = self.tls.endpoint(address)?;
        let is_secure = endpoint.uri().scheme_str() == Some("https");
        let host = endpoint.uri().host().unwrap_or_default();
        if !is_secure && !self.plain_tcp && !is_loopback(host) {
            let address = address.to_owned();
            return Err(TransportError::PlainTcp { address });
        }
        let token_file = match (&self.token_file, is_secure) {
            (Some(file), _) => Some(file.clone()),
            (None, true) => None,
            (None, false) => Some(Token::default_file()?),
        };
        Ok(Connection {
            channel: endpoint.connect_lazy(),
            token_file: token_file.map(Into::into),
        })
    }

    /// Returns the token that a scheduler asks for. With TLS, certificates replace it unless a
    /// file is given.
    pub fn token(&self) -> Result<Option<Token>, TransportError> {
        let file = match (&self.token_file, &self.tls.tls_ca) {
            (None, Some(_)) => return Ok(None),
            (Some(file), _) => file.clone(),
            (None, None) => Token::default_file()?,
        };
        Ok(Some(Token::read_or_make(&file)?))
    }
}

/// A connection to a scheduler. Every request carries the token, if there is one.
#[derive(Clone, Debug)]
pub struct Connection {
    channel: Channel,
    token_file: Option<Arc<Path>>,
}

impl Service<Request<Body>> for Connection {
    type Response = Response<Body>;
    type Error = tonic::transport::Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::poll_ready(&mut self.channel, context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // It is read each time: the scheduler may make it after this process has started. Without
        // it the scheduler refuses the request, and says so.
        let token = self.token_file.as_deref().map(Token::read);
        if let Some(header) = token.and_then(|token| token.ok()?.header()) {
            request.headers_mut().insert(AUTHORIZATION, header);
        }
        Service::call(&mut self.channel, request)
    }
}

/// Whether a host is this machine and reached without its network.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl Tls {
    fn read(&self) -> Result<Option<Certificates>, TransportError> {
        match (&self.tls_ca, &self.tls_cert, &self.tls_key) {
            (None, None, None) => Ok(None),
            (Some(ca), Some(cert), Some(key)) => Ok(Some(Certificates {
                authority: Certificate::from_pem(read(ca)?),
                own: Identity::from_pem(read(cert)?, read(key)?),
            })),
            _ => Err(TransportError::Incomplete),
        }
    }

    /// Returns the TLS configuration of the scheduler's listener, if there are certificates.
    pub fn server(&self) -> Result<Option<ServerTlsConfig>, TransportError> {
        let certificates = self.read()?;
        Ok(certificates.map(|certificates| {
            ServerTlsConfig::new()
                .identity(certificates.own)
                .client_ca_root(certificates.authority)
        }))
    }

    /// Returns the endpoint of the scheduler at `address`, `HOST:PORT` or a URL. It does not
    /// connect yet.
    pub fn endpoint(&self, address: &str) -> Result<Endpoint, TransportError> {
        let certificates = self.read()?;
        let url = url(address, certificates.is_some());
        if url.starts_with("https://") && certificates.is_none() {
            let address = address.to_owned();
            return Err(TransportError::NoCertificates { address });
        }
        let endpoint = Endpoint::from_shared(url).map_err(|source| TransportError::Address {
            address: address.to_owned(),
            source,
        })?;
        let endpoint = endpoint
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        let Some(certificates) = certificates else {
            return Ok(endpoint);
        };
        let tls = ClientTlsConfig::new()
            .ca_certificate(certificates.authority)
            .identity(certificates.own);
        endpoint
            .tls_config(tls)
            .map_err(TransportError::Certificates)
    }
}

/// Returns the URL of an address. With certificates it is always `https`.
fn url(address: &str, secure: bool) -> String {
    let bare = address
        .strip_prefix("http://")
        .or_else(|| address.strip_prefix("https://"));
    match (bare, secure) {
        (None, false) => format!("http://{address}"),
        (_, true) => format!("https://{}", bare.unwrap_or(address)),
        (Some(_), false) => address.to_owned(),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TransportError> {
    std::fs::read(path).map_err(|source| TransportError::Unreadable {
        path: path.display().to_string(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_make_every_address_https() {
        assert_eq!(url("host:1", false), "http://host:1");
        assert_eq!(url("http://host:1", false), "http://host:1");
        for address in ["host:1", "http://host:1", "https://host:1"] {
            assert_eq!(url(address, true), "https://host:1");
        }
    }

    #[tokio::test]
    async fn plain_connections_leave_this_machine_only_when_they_are_asked_to() {
        let mut transport = Transport {
            token_file: Some("token".into()),
            ..Transport::default()
        };
        for near in ["127.0.0.1:1", "http://[::1]:1", "localhost:1"] {
            assert!(transport.connect(near).is_ok(), "{near}");
        }
        for far in [
            "10.0.0.1:1",
            "scheduler:1",
            "localhost.example:1",
            "[::2]:1",
        ] {
            transport.plain_tcp = false;
            let refused = transport.connect(far);
            assert!(
                matches!(refused, Err(TransportError::PlainTcp { .. })),
                "{far}"
            );
            transport.plain_tcp = true;
            assert!(transport.connect(far).is_ok(), "{far}");
        }
    }

    #[test]
    fn incomplete_certificates_are_rejected() {
        let half = Tls {
            tls_ca: Some("ca.pem".into()),
            ..Tls::default()
        };
        assert!(matches!(half.server(), Err(TransportError::Incomplete)));
        let bare = Tls::default().endpoint("https://host:1");
        assert!(matches!(bare, Err(TransportError::NoCertificates { .. })));
    }
}
