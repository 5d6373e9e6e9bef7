//! The secret of a scheduler without TLS. It lets a process use the scheduler as its user, so it is
//! kept in a file that only this user can read.

use std::fmt;
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use http::HeaderValue;
use subtle::ConstantTimeEq;

/// Bytes of randomness in a new token.
const RANDOM: usize = 32;
/// A shorter one could be guessed.
const SHORTEST: usize = 32;
const LONGEST: usize = 1024;
const SCHEME: &[u8] = b"Bearer ";

/// A file that holds no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the token file {path} cannot be read or made")]
    Io {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{path} holds no token: 32 to 1024 visible ASCII characters on one line")]
    NoToken { path: String },
    #[error("{path} can be read by every user of this machine: run chmod 600 on it")]
    Exposed { path: String },
    #[error("there is no home folder to keep the token in: give --token-file FILE")]
    NoHome,
}

/// A token. It is never printed.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The file that is used if none is given: `.config/lakebolt/token` in the user's home folder.
    pub fn default_file() -> Result<PathBuf, TokenError> {
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        let home = home.ok_or(TokenError::NoHome)?;
        Ok(home.join(".config/lakebolt/token"))
    }

    /// Reads the token of a file.
    pub fn read(file: &Path) -> Result<Self, TokenError> {
        let failed = |source| TokenError::Io {
            path: file.display().to_string(),
            source,
        };
        let text = fs::read_to_string(file).map_err(failed)?;
        let token = text.trim_end();
        let fits = (SHORTEST..=LONGEST).contains(&token.len());
        match fits && token.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Self(token.to_owned())),
            false => Err(TokenError::NoToken {
                path: file.display().to_string(),
            }),
        }
    }

    /// Reads the token that a scheduler asks for. Makes the file and its folder if it does not
    /// exist. Refuses one that others can read.
    pub fn read_or_make(file: &Path) -> Result<Self, TokenError> {
        let failed = |source| TokenError::Io {
            path: file.display().to_string(),
            source,
        };
        match make(file) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        let mode = fs::metadata(file).map_err(failed)?.permissions().mode();
        // Its group may read it: orchestrators mount secrets so.
        if mode & 0o027 != 0 {
            return Err(TokenError::Exposed {
                path: file.display().to_string(),
            });
        }
        Self::read(file)
    }

    /// The value of the header `authorization`.
    pub fn header(&self) -> Option<HeaderValue> {
        let mut header = HeaderValue::try_from(format!("Bearer {}", self.0)).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// Whether a header's value holds this token. It takes the same time wherever they differ.
    pub fn is_in(&self, header: &HeaderValue) -> bool {
        let Some((scheme, token)) = header.as_bytes().split_at_checked(SCHEME.len()) else {
            return false;
        };
        scheme.eq_ignore_ascii_case(SCHEME) && bool::from(token.ct_eq(self.0.as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Makes the file in one step, so that nobody reads half a token.
fn make(file: &Path) -> io::Result<()> {
    if file.try_exists()? {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let mut made = tempfile::NamedTempFile::new_in(folder)?;
    made.as_file()
        .set_permissions(Permissions::from_mode(0o600))?;
    made.write_all(random()?.as_bytes())?;
    made.as_file().sync_all()?;
    made.persist_noclobber(file).map_err(|error| error.error)?;
    Ok(())
}

fn random() -> io::Result<String> {
    let mut bytes = [0; RANDOM];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{digits}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_token_is_made_once_and_only_its_user_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/b/token");
        let made = Token::read_or_make(&file).unwrap();
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        let again = Token::read_or_make(&file).unwrap();
        assert!(again.is_in(&made.header().unwrap()));
        assert_eq!(format!("{made:?}"), "Token(…)");
        let other = Token::read_or_make(&folder.path().join("other")).unwrap();
        assert!(!other.is_in(&made.header().unwrap()));
    }

    #[test]
    fn only_a_header_with_the_whole_token_is_accepted() {
        let token = Token("0123456789".repeat(4));
        let accepts = |text: &str| token.is_in(&HeaderValue::from_str(text).unwrap());
        let whole = format!("Bearer {}", token.0);
        assert!(accepts(&whole) && accepts(&whole.replace("Bearer", "bearer")));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            &token.0,
            &whole[..40],
            &format!("{whole}0"),
        ] {
            assert!(!accepts(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_file_that_others_read_and_one_without_a_token_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        Token::read_or_make(&file).unwrap();
        for exposed in [0o604, 0o620] {
            fs::set_permissions(&file, Permissions::from_mode(exposed)).unwrap();
            let refused = Token::read_or_make(&file);
            assert!(matches!(refused, Err(TokenError::Exposed { .. })));
        }
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        Token::read_or_make(&file).unwrap();
        for text in ["", "short", &"a b".repeat(20), &"x".repeat(2000)] {
            fs::write(&file, text).unwrap();
            let refused = Token::read_or_make(&file);
            assert!(matches!(refused, Err(TokenError::NoToken { .. })), "{text}");
        }
    }
}
