//! URIs as users write them, made absolute.

mod s3;

use std::path::{Path, PathBuf};

use url::Url;

use crate::failure::Failure;

/// The `file:` or `s3:` URI of `text`, which is a path or a URI. Paths are relative to
/// `folder`.
pub(crate) fn absolute(flag: &str, text: &str, folder: &Path) -> Result<String, Failure> {
    match s3::rest(text) {
        Some(rest) => s3::absolute(rest).map_err(|wrong| {
            let remedy = "write s3://BUCKET or s3://BUCKET/PREFIX";
            Failure::usage(format!("{flag} {text}: {wrong}"), remedy)
        }),
        None => {
            let path = path_of(text, folder).map_err(|wrong| {
                let remedy = "write a path, file:///PATH or s3://BUCKET/PREFIX";
                Failure::usage(format!("{flag} {text}: {wrong}"), remedy)
            })?;
            Ok(to_uri(flag, &path)?.to_string())
        }
    }
}

/// Like `absolute`, with a slash at the end.
pub(crate) fn absolute_folder(flag: &str, text: &str, folder: &Path) -> Result<String, Failure> {
    let uri = absolute(flag, text, folder)?;
    Ok(format!("{}/", uri.trim_end_matches('/')))
}

/// The local path of `text`; any other URI is an error.
pub(crate) fn local(flag: &str, text: &str, folder: &Path) -> Result<PathBuf, Failure> {
    path_of(text, folder).map_err(|wrong| {
        let remedy = "write a path or file:///PATH of this machine";
        Failure::usage(format!("{flag} {text}: {wrong}"), remedy)
    })
}

/// Whether `uri`, a result of `absolute`, is on S3.
pub(crate) fn is_s3(uri: &str) -> bool {
    s3::rest(uri).is_some()
}

/// `s3://BUCKET` of an S3 URI.
pub(crate) fn bucket(uri: &str) -> Option<String> {
    let bucket = s3::rest(uri)?.split('/').next()?;
    Some(format!("s3://{bucket}"))
}

fn path_of(text: &str, folder: &Path) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    let path = match text.split_once("://") {
        None => PathBuf::from(text),
        Some(("file", _)) => Url::parse(text)
            .ok()
            .and_then(|url| url.to_file_path().ok())
            .ok_or("is not a file URI")?,
        Some((scheme, _)) if s3::rest(text).is_some() => {
            return Err(format!("{scheme}:// cannot be used here"));
        }
        Some((scheme, _)) => return Err(format!("{scheme}:// is not supported")),
    };
    Ok(clean(&folder.join(path)))
}

/// Removes `.` and `..`, so that two spellings of a target name one dataset.
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
        Failure::usage(message, "write an absolute path")
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
    fn an_s3_uri_does_not_depend_on_the_folder() {
        check("s3://bucket/AWSLogs/", "s3://bucket/AWSLogs");
        check("s3a://bucket/a b", "s3://bucket/a b");
        assert_eq!(bucket("s3://lake/a/b").as_deref(), Some("s3://lake"));
        assert_eq!(bucket("s3://lake").as_deref(), Some("s3://lake"));
        assert_eq!(bucket("file:///lake"), None);
    }

    #[test]
    fn another_scheme_is_rejected_with_the_supported_ones() {
        let refused = absolute("--output", "gs://bucket/lake", Path::new("/"));
        assert!(refused.is_err_and(|failure| {
            failure.message.contains("gs://")
                && failure.remedy.contains("file:///")
                && failure.remedy.contains("s3://")
        }));
        let refused = absolute("--output", "s3://Bucket/lake", Path::new("/"));
        assert!(refused.is_err_and(|failure| failure.message.contains("bucket's name")));
        assert!(absolute("--output", "", Path::new("/")).is_err());
        assert!(absolute("--output", "file://host/x", Path::new("/")).is_err());
    }

    #[test]
    fn s3_is_rejected_where_a_local_path_is_needed() {
        let refused = local("--config", "s3://bucket/sources", Path::new("/"));
        assert!(refused.is_err_and(|failure| failure.message.contains("cannot be used here")));
    }

    #[test]
    fn a_folder_uri_ends_in_one_slash() {
        let uri = |text| absolute_folder("--work", text, Path::new("/")).ok();
        assert_eq!(uri("w//").as_deref(), Some("file:///w/"));
        assert_eq!(uri("s3://bucket").as_deref(), Some("s3://bucket/"));
        assert_eq!(uri("s3://bucket/w//").as_deref(), Some("s3://bucket/w/"));
    }
}
