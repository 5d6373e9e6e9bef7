//! Certificates for tests of TLS, made by the `openssl` command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

const EXTENSIONS: &str = "[req]
distinguished_name = subject
[subject]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[process]
basicConstraints = critical, CA:FALSE
subjectAltName = IP:127.0.0.1, DNS:localhost
extendedKeyUsage = serverAuth, clientAuth
";

/// An authority and one certificate that it signed, as PEM files of a folder.
#[derive(Debug)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes them in `folder`, which is made too.
    pub fn make(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("openssl.cnf"), EXTENSIONS)?;
        let made = Self {
            folder: folder.to_owned(),
        };
        made.openssl("authority", &[])?;
        made.openssl(
            "process",
            &["-CA", "authority.pem", "-CAkey", "authority.key"],
        )?;
        Ok(made)
    }

    fn openssl(&self, name: &str, signed_by: &[&str]) -> anyhow::Result<()> {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        let subject = format!("/CN={name}");
        let made = Command::new("openssl")
            .current_dir(&self.folder)
            .args([
                "req",
                "-x509",
                "-config",
                "openssl.cnf",
                "-extensions",
                name,
            ])
            .args([
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
            ])
            .args(["-days", "2", "-subj", &subject])
            .args(["-out", &certificate, "-keyout", &key])
            .args(signed_by)
            .output()
            .context("these tests need the openssl command")?;
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        ensure!(made.status.success(), "openssl: {said}");
        Ok(())
    }

    /// The flags that every process of a cluster takes.
    pub fn flags(&self) -> Vec<String> {
        let file = |name: &str| self.folder.join(name).display().to_string();
        [
            ("--tls-ca", "authority.pem"),
            ("--tls-cert", "process.pem"),
            ("--tls-key", "process.key"),
        ]
        .into_iter()
        .flat_map(|(flag, name)| [flag.to_owned(), file(name)])
        .collect()
    }
}
