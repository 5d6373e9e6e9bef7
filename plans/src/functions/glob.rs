//! Globs: `*` matches any characters, `?` matches one. Case is ignored.

/// Whether the entire `text` matches.
pub(crate) fn matches(glob: &str, text: &str) -> bool {
    let (glob, text) = (glob.as_bytes(), text.as_bytes());
    let (mut g, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(&byte) if byte == b'?' || byte.eq_ignore_ascii_case(&text[t]) => {
                g += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else {
                    return false;
                };
                star = Some((at, from + 1));
                (g, t) = (at + 1, from + 1);
            }
        }
    }
    glob[g..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn globs_ignore_case_and_match_whole_texts() {
        assert!(matches("Create*", "createUser"));
        assert!(matches("*Key", "AccessKEY"));
        assert!(matches("a*b*c", "aXXbYYbc"));
        assert!(matches("*", ""));
        assert!(matches("g?t", "GET"));
        assert!(!matches("Create*", "ReCreate"));
        assert!(!matches("get", "gets"));
        assert!(!matches("", "x"));
    }
}
