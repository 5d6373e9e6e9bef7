//! Connections between the processes of a cluster, plain or with mutual TLS. The scheduler's
//! port is the only one, so securing it secures the cluster.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig};

const CONNECT: Duration = Duration::from_secs(5);
/// A silent peer is pinged after this time, and has the same time to respond.
pub const KEEP_ALIVE: Duration = Duration::from_secs(10);

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
}

struct Certificates {
    authority: Certificate,
    own: Identity,
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
