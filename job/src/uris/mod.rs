//! URIs as users write them, made absolute.

mod s3;

use std::path::{Path, PathBuf};

use url::Url;

use crate::failure::Failure;

/// The `file:` or `s3:` URI that `text`, a path or a URI, names; `folder` is where paths start.
pub(crate) fn absolute(flag: &str, text: &str, folder: &Path) -> Result<String, Failure> {
    match s3::rest(text) {
        Some(rest) => s3::absolute(rest).map_err(|wrong| {
            let remedy = "write s3://BUCKET or s3://BUCKET/PREFIX";
            Failure::usage(format!("{flag} {text}: {wrong}"), remedy)
        }),
        None => {
            let path = path_of(text, folder).map_err(|wrong| {
                let remedy = "give a path, file:///PATH or s3://BUCKET/PREFIX";
                Failure::usage(format!("{flag} {text}: {wrong}"), remedy)
            })?;
            Ok(to_uri(flag, &path)?.to_string())
        }
    }
}

/// As `absolute`, and with a slash at its end.
pub(crate) fn absolute_folder(flag: &str, text: &str, folder: &Path) -> Result<String, Failure> {
    let uri = absolute(flag, text, folder)?;
    Ok(format!("{}/", uri.trim_end_matches('/')))
}

/// The path on this machine that `text` names, where nothing else will do.
pub(crate) fn local(flag: &str, text: &str, folder: &Path) -> Result<PathBuf, Failure> {
    path_of(text, folder).map_err(|wrong| {
        let remedy = "give a path or file:///PATH of this machine";
        Failure::usage(format!("{flag} {text}: {wrong}"), remedy)
    })
}

/// Whether a URI as `absolute` gives it is of S3.
pub(crate) fn is_s3(uri: &str) -> bool {
    s3::rest(uri).is_some()
}

/// `s3://BUCKET` of a URI of S3.
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
        Some((scheme, _)) => return Err(format!("{scheme}:// is not known here")),
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
    fn a_uri_of_s3_stays_what_it_is_in_any_folder() {
        check("s3://bucket/AWSLogs/", "s3://bucket/AWSLogs");
        check("s3a://bucket/a b", "s3://bucket/a b");
        assert_eq!(bucket("s3://lake/a/b").as_deref(), Some("s3://lake"));
        assert_eq!(bucket("s3://lake").as_deref(), Some("s3://lake"));
        assert_eq!(bucket("file:///lake"), None);
    }

    #[test]
    fn another_store_is_refused_with_what_is_known() {
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
    fn where_only_a_path_will_do_s3_is_refused() {
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
