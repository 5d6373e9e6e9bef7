//! `file_name`, `parent_folder` and `extension`: the parts of Windows and POSIX paths.

use std::borrow::Cow;

use super::definition::{Definition, Returns, one_text};
use super::text::{map_parts, text_type};

pub(super) static FILE_NAME: Definition = Definition {
    name: "file_name",
    arguments: one_text,
    returns: Returns::Fixed(text_type),
    invoke: |args| map_parts(args, |path| cut(path).name.map(Cow::Borrowed)),
};

pub(super) static PARENT_FOLDER: Definition = Definition {
    name: "parent_folder",
    arguments: one_text,
    returns: Returns::Fixed(text_type),
    invoke: |args| map_parts(args, |path| cut(path).parent.map(Cow::Borrowed)),
};

pub(super) static EXTENSION: Definition = Definition {
    name: "extension",
    arguments: one_text,
    returns: Returns::Fixed(text_type),
    invoke: |args| map_parts(args, |path| extension(path).map(Cow::Borrowed)),
};

/// The last two parts of a path. Separators at its end are ignored.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cut<'a> {
    parent: Option<&'a str>,
    name: Option<&'a str>,
}

fn cut(path: &str) -> Cut<'_> {
    let is_windows = is_windows(path);
    let is_separator = |c: char| c == '/' || (is_windows && c == '\\');
    let whole = path.trim_end_matches(is_separator);
    if whole.is_empty() || is_drive(whole) {
        return Cut::default();
    }
    let Some(at) = whole.rfind(is_separator) else {
        return Cut {
            parent: None,
            name: Some(whole),
        };
    };
    let before = whole[..at].trim_end_matches(is_separator);
    let parent = match before {
        // The host of a path such as `\\host\share` has no parent.
        "" if at > 0 => None,
        "" => Some(&whole[..=at]),
        drive if is_drive(drive) => Some(&whole[..=drive.len()]),
        folder => Some(folder),
    };
    Cut {
        parent,
        name: Some(&whole[at + 1..]),
    }
}

/// Whether backslashes separate the names of a path. A POSIX name may contain them.
fn is_windows(path: &str) -> bool {
    let starts_like_one = path.starts_with('\\') || path.get(..2).is_some_and(is_drive);
    starts_like_one || !path.contains('/')
}

fn is_drive(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b':'] if letter.is_ascii_alphabetic())
}

/// Returns the extension without its dot. A name such as `.bashrc` has none.
fn extension(path: &str) -> Option<&str> {
    let mut name = cut(path).name?;
    if is_windows(path) {
        // A colon separates the name of a stream from that of its file.
        name = name.split(':').next().unwrap_or(name);
    }
    let (stem, extension) = name.rsplit_once('.')?;
    (!stem.is_empty() && !extension.is_empty()).then_some(extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, parent: &str, name: &str, suffix: &str) {
        let or_empty = |part: Option<&str>| part.unwrap_or_default().to_owned();
        let found = cut(path);
        assert_eq!(or_empty(found.parent), parent, "{path}");
        assert_eq!(or_empty(found.name), name, "{path}");
        assert_eq!(or_empty(extension(path)), suffix, "{path}");
    }

    #[test]
    fn windows_paths_are_cut_at_both_separators() {
        check(r"C:\Windows\cmd.exe", r"C:\Windows", "cmd.exe", "exe");
        check(r"C:\cmd.EXE", r"C:\", "cmd.EXE", "EXE");
        check("c:/a/b.tar.gz", "c:/a", "b.tar.gz", "gz");
        check(r"\\host\share\a.txt", r"\\host\share", "a.txt", "txt");
        check(r"\Device\Disk\x", r"\Device\Disk", "x", "");
        check(
            r"a\b.txt:Zone.Identifier",
            "a",
            "b.txt:Zone.Identifier",
            "txt",
        );
        check(r"C:\Windows\", r"C:\", "Windows", "");
        for root in [r"C:\", "C:", r"\", ""] {
            check(root, "", "", "");
        }
        check(r"\\host", "", "host", "");
    }

    #[test]
    fn posix_names_may_contain_backslashes() {
        check("/usr/bin/python3.11", "/usr/bin", "python3.11", "11");
        check("/etc/", "/", "etc", "");
        check("/srv/u/.bashrc", "/srv/u", ".bashrc", "");
        check(r"/tmp/a\b.c", "/tmp", r"a\b.c", "c");
        check("a.sh", "", "a.sh", "sh");
        check("dir/a.", "dir", "a.", "");
        check("/é/ü.ß", "/é", "ü.ß", "ß");
        check("..", "", "..", "");
        check("/", "", "", "");
    }
}
