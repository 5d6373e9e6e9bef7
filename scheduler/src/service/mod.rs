//! The load service, `lakebolt.v1.Loads`: the loads that a cluster runs for its clients.
//! Start reading at `loads`; `client` is its other side.

pub mod client;
pub mod guard;
pub mod listen;
pub mod loads;
pub mod metrics;
pub mod notifications;
pub mod policy;
pub mod registry;
pub mod request;
pub mod run;
pub mod source;
#[cfg(test)]
mod tests;

pub use executor::transport::{Tls, Transport};

#[expect(unused_qualifications, reason = "generated")]
pub mod proto {
    tonic::include_proto!("lakebolt.v1");
}
