//! JSON as the tests write it: numbers keep their texts.

#[derive(Clone, Debug)]
pub(crate) enum Json {
    Null,
    /// A number, `true` or `false`.
    Bare(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers and booleans are passed too"
    )]
    pub(crate) fn bare(text: impl ToString) -> Self {
        Self::Bare(text.to_string())
    }

    pub(crate) fn write(&self, to: &mut String) {
        match self {
            Self::Null => to.push_str("null"),
            Self::Bare(text) => to.push_str(text),
            Self::Text(text) => to.push_str(&quoted(text)),
            Self::List(items) => {
                to.push('[');
                for (index, item) in items.iter().enumerate() {
                    to.push_str(if index > 0 { "," } else { "" });
                    item.write(to);
                }
                to.push(']');
            }
            Self::Object(members) => {
                to.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    to.push_str(if index > 0 { "," } else { "" });
                    to.push_str(&quoted(key));
                    to.push(':');
                    value.write(to);
                }
                to.push('}');
            }
        }
    }

    /// Calls `each` with the text of every scalar and the keys around it.
    pub(crate) fn leaves<'a>(
        &'a self,
        path: &mut Vec<&'a str>,
        each: &mut impl FnMut(&[&str], &str),
    ) {
        match self {
            Self::Null => {}
            Self::Bare(text) | Self::Text(text) => each(path, text),
            Self::List(items) => {
                path.push("[]");
                items.iter().for_each(|item| item.leaves(path, each));
                path.pop();
            }
            Self::Object(members) => {
                for (key, value) in members {
                    path.push(key);
                    value.leaves(path, each);
                    path.pop();
                }
            }
        }
    }
}

/// A text as JSON and TOML quote it.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}
