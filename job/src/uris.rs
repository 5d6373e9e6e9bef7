//! URIs as users write them, made absolute.

use std::path::{Path, PathBuf};

use url::Url;

use crate::failure::Failure;

/// The `file:` URI that `text`, a path or a URI, names; `folder` is where paths start.
pub(crate) fn absolute(flag: &str, text: &str, folder: &Path) -> Result<String, Failure> {
    Ok(to_uri(flag, &local(flag, text, folder)?)?.to_string())
}

/// As `absolute`, and with a slash at its end.
pub(crate) fn absolute_folder(flag: &str, text: &str, folder: &Path) -> Result<String, Failure> {
    let uri = absolute(flag, text, folder)?;
    Ok(format!("{}/", uri.trim_end_matches('/')))
}

/// The path that `text` names on this machine.
pub(crate) fn local(flag: &str, text: &str, folder: &Path) -> Result<PathBuf, Failure> {
    let refused = |message: String| {
        let remedy = "give a path or file:///PATH; other stores are not read or written yet";
        Failure::usage(format!("{flag} {text}: {message}"), remedy)
    };
    if text.is_empty() {
        return Err(refused("is empty".to_owned()));
    }
    let path = match text.split_once("://") {
        None => PathBuf::from(text),
        Some(("file", _)) => Url::parse(text)
            .ok()
            .and_then(|url| url.to_file_path().ok())
            .ok_or_else(|| refused("is not a file URI".to_owned()))?,
        Some((scheme, _)) => return Err(refused(format!("{scheme}:// is not known here"))),
    };
    Ok(clean(&folder.join(path)))
}

/// Without `.` and `..`, so that two spellings of a target are one dataset.
fn clean(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                cleaned.pop();
            }
            other => cleaned.push(other),
        }
    }
    cleaned
}

fn to_uri(flag: &str, path: &Path) -> Result<Url, Failure> {
    Url::from_file_path(path).map_err(|()| {
        let message = format!("{flag} {}: is not an absolute path", path.display());
        Failure::usage(message, "give an absolute path")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let uri = absolute("--output", text, Path::new("/users/me")).ok();
        assert_eq!(uri.as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn paths_and_file_uris_become_absolute_uris() {
        check("lake", "file:///users/me/lake");
        check("./lake/", "file:///users/me/lake");
        check("../you/lake", "file:///users/you/lake");
        check("/data/lake", "file:///data/lake");
        check("file:///data/lake", "file:///data/lake");
        check("a b+c", "file:///users/me/a%20b+c");
    }

    #[test]
    fn another_store_is_refused_with_what_is_known() {
        let refused = absolute("--output", "s3://bucket/lake", Path::new("/"));
        assert!(refused.is_err_and(|failure| {
            failure.message.contains("s3://") && failure.remedy.contains("file:///")
        }));
        assert!(absolute("--output", "", Path::new("/")).is_err());
        assert!(absolute("--output", "file://host/x", Path::new("/")).is_err());
    }

    #[test]
    fn a_folder_uri_ends_in_one_slash() {
        let uri = absolute_folder("--work", "w//", Path::new("/")).ok();
        assert_eq!(uri.as_deref(), Some("file:///w/"));
    }
}
