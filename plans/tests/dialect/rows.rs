//! Sources of JSON lines with random columns, and random lines with hostile values.

use crate::json::{Json, quoted};
use crate::random::Random;

/// The first second of the day that all rows belong to.
pub(crate) const DAY: i32 = 19_737;
const DAY_START: usize = 19_737 * 86_400;

/// Texts that enums match.
pub(crate) const WORDS: [&str; 8] = ["ok", "fail", "allow", "deny", "get", "post", "tcp", "3"];

/// The keys in random objects. Expressions walk along them.
pub(crate) const KEYS: [&str; 8] = ["a", "b", "id", "name", "list", "user", "value", "type"];

/// Keys of credentials. No expression names them.
const SECRETS: [&str; 5] = [
    "password",
    "apiKey",
    "authorization",
    "sessionToken",
    "x-api-key",
];

/// What is in every credential, and in no caption of OCSF.
pub(crate) const SECRET: &str = "SECRETX";

const NAMES: [&str; 10] = [
    "user", "host", "src", "code", "size", "flag", "body", "at", "kind", "order",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Int,
    Long,
    Double,
    Boolean,
    Ip,
    Json,
    EpochS,
    EpochMs,
    Rfc3339,
    IpPort,
}

const KINDS: [Kind; 14] = [
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Int,
    Kind::Long,
    Kind::Double,
    Kind::Boolean,
    Kind::Ip,
    Kind::Json,
    Kind::Json,
    Kind::EpochS,
    Kind::EpochMs,
    Kind::Rfc3339,
    Kind::IpPort,
];

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int => "int",
            Self::Long => "long",
            Self::Double => "double",
            Self::Boolean => "boolean",
            Self::Ip => "ip",
            Self::Json => "json",
            Self::EpochS => "epoch_s",
            Self::EpochMs => "epoch_ms",
            Self::Rfc3339 => "rfc3339",
            Self::IpPort => "ip_port",
        }
    }
}

pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The names in the file.
    pub(crate) names: Vec<String>,
}

pub(crate) struct Source {
    pub(crate) columns: Vec<Column>,
    /// Whether `-` and the empty text are NULL.
    pub(crate) has_null: bool,
}

impl Source {
    pub(crate) fn new(random: &mut Random) -> Self {
        let count = 4 + random.below(7);
        let columns = NAMES[..count].iter().map(|name| {
            let names = match random.percent(10) {
                true => vec![(*name).to_owned(), format!("{name}.other")],
                false => vec![(*name).to_owned()],
            };
            Column {
                name,
                kind: *random.pick(&KINDS),
                names,
            }
        });
        Self {
            columns: columns.collect(),
            has_null: false,
        }
        .with_null(random)
    }

    fn with_null(mut self, random: &mut Random) -> Self {
        self.has_null = random.percent(30);
        self
    }

    /// The source's `source.toml`.
    pub(crate) fn toml(&self) -> String {
        let null = if self.has_null {
            "null = [\"-\", \"\"]\n"
        } else {
            ""
        };
        let mut toml = format!(
            "format = \"json_lines\"\nevents = [\"e\"]\n{null}[columns]\nt = \"epoch_s\"\n"
        );
        for column in &self.columns {
            let kind = quoted(column.kind.word());
            toml += &match column.names.as_slice() {
                [_] => format!("{} = {kind}\n", column.name),
                [own, other] => {
                    let (own, other) = (quoted(own), quoted(other));
                    format!(
                        "{} = {{ type = {kind}, names = [{own}, {other}] }}\n",
                        column.name
                    )
                }
                _ => unreachable!("a column has one or two names"),
            };
        }
        toml + "[base.set]\nseverity_id = 1\nmetadata.product.vendor_name = \"V\"\n\
                metadata.product.name = \"P\"\n[base.map]\ntime = \"t\"\n"
    }

    /// Whether a value of a column is NULL by the source's own rule.
    pub(crate) fn is_null(&self, text: &str) -> bool {
        self.has_null && (text == "-" || text.is_empty())
    }

    /// The kind of a column by one of its names in the file.
    pub(crate) fn kind(&self, name: &str) -> Option<Kind> {
        let mut columns = self.columns.iter();
        let found = columns.find(|column| column.names.iter().any(|known| known == name));
        found.map(|column| column.kind)
    }
}

/// Makes the lines of a case. Most of its values occur only once.
pub(crate) struct Rows<'a> {
    pub(crate) random: &'a mut Random,
    pub(crate) count: usize,
}

impl Rows<'_> {
    pub(crate) fn lines(&mut self, source: &Source) -> Vec<Json> {
        let count = 5 + self.random.below(26);
        (0..count).map(|_| self.line(source)).collect()
    }

    fn line(&mut self, source: &Source) -> Json {
        let mut members = Vec::new();
        let time = match self.random.below(100) {
            0 => None,
            1 => Some(Json::Null),
            2 => Some(Json::text("soon")),
            n if n < 10 => Some(Json::text(self.second().to_string())),
            _ => Some(Json::bare(self.second())),
        };
        members.extend(time.map(|time| ("t".to_owned(), time)));
        for column in &source.columns {
            for name in &column.names {
                if self.random.percent(85) {
                    members.push((name.clone(), self.column(column.kind)));
                }
            }
        }
        if self.random.percent(30) {
            members.push(("undeclared".to_owned(), self.value(2)));
        }
        Json::Object(members)
    }

    fn column(&mut self, kind: Kind) -> Json {
        // A value that a column's type refuses rejects the row, so most rows have none.
        let is_free = matches!(kind, Kind::Text | Kind::Json);
        if self.random.percent(if is_free { 20 } else { 3 }) {
            return self.hostile();
        }
        match kind {
            Kind::Text => self.word(),
            Kind::Int => self.integer(),
            Kind::Long => match self.random.below(4) {
                0 => Json::bare(i64::MAX - self.next() as i64),
                1 => Json::bare(-(self.next() as i64)),
                _ => self.integer(),
            },
            Kind::Double => {
                let number = self.next();
                match self.random.below(6) {
                    0 => Json::bare(format!("{number}e3")),
                    1 => Json::bare(format!("-{number}.25")),
                    2 => Json::text(format!("{number}.125")),
                    3 => Json::bare(format!("{number}.50")),
                    _ => Json::bare(format!("{number}.5")),
                }
            }
            Kind::Boolean => {
                let texts = ["true", "false", "yes", "no", "1", "0", "TRUE"];
                match self.random.below(3) {
                    0 => Json::text(*self.random.pick(&texts)),
                    1 => Json::bare("true"),
                    _ => Json::bare("false"),
                }
            }
            Kind::Ip => Json::Text(self.ip()),
            Kind::Json => self.value(3),
            Kind::EpochS => match self.random.below(4) {
                0 => Json::bare(format!("{}.{:03}", self.second(), self.random.below(1000))),
                1 => Json::text(self.second().to_string()),
                _ => Json::bare(self.second()),
            },
            Kind::EpochMs => Json::bare(self.second() * 1000 + self.random.below(1000)),
            Kind::Rfc3339 => self.calendar(),
            Kind::IpPort => {
                let port = 1024 + self.random.below(60_000);
                let ip = self.ip();
                match ip.contains(':') {
                    true => Json::Text(format!("[{ip}]:{port}")),
                    false => Json::Text(format!("{ip}:{port}")),
                }
            }
        }
    }

    fn next(&mut self) -> usize {
        self.count += 1;
        10_000 + self.count
    }

    fn second(&mut self) -> usize {
        DAY_START + self.random.below(86_400)
    }

    fn calendar(&mut self) -> Json {
        let (hour, minute) = (self.random.below(24), self.random.below(60));
        let ends = ["Z", ".123Z", "+02:00", ".123456Z", ""];
        let end = self.random.pick(&ends);
        let gap = self.random.pick(&["T", " "]);
        Json::Text(format!("2024-01-15{gap}{hour:02}:{minute:02}:07{end}"))
    }

    fn ip(&mut self) -> String {
        let number = self.next();
        let (high, low) = (number / 250 % 250, number % 250);
        match self.random.below(6) {
            0 => format!("2001:DB8::{number:X}"),
            1 => format!("2001:db8:0:0:0:0:{high:x}:{low:x}"),
            2 => format!("::ffff:10.1.{high}.{low}"),
            _ => format!("10.1.{high}.{low}"),
        }
    }

    fn integer(&mut self) -> Json {
        let number = match self.random.below(4) {
            0 => self.random.below(8),
            1 => self.random.below(65_536),
            _ => self.next(),
        };
        match self.random.below(5) {
            0 => Json::text(number.to_string()),
            1 if self.random.percent(30) => Json::text(format!("00{number}")),
            2 if self.random.percent(30) => Json::bare(format!("{number}.0")),
            _ => Json::bare(number),
        }
    }

    fn word(&mut self) -> Json {
        let number = self.next();
        Json::Text(match self.random.below(16) {
            0 | 1 => (*self.random.pick(&WORDS)).to_owned(),
            2 => self.random.pick(&WORDS).to_uppercase(),
            3 => format!("h{number}.example.com"),
            4 => format!("https://h{number}.example/p?q={number}"),
            5 => format!("/usr/bin/p{number}"),
            6 => format!("u{number}@example.com"),
            7 => format!(
                "00:1a:2b:3c:{:02X}:{:02x}",
                number / 250 % 250,
                number % 250
            ),
            8 => format!("Ünïcode {number} 漢字 🦀"),
            9 => format!("x{number}").repeat(60),
            10 => self.ip(),
            11 => number.to_string(),
            12 => match self.calendar() {
                Json::Text(text) => text,
                _ => unreachable!("a time is a text"),
            },
            13 => format!("failing {number}"),
            _ => format!("w{number}"),
        })
    }

    /// Any JSON. Some of its objects contain credentials.
    fn value(&mut self, depth: usize) -> Json {
        let choice = self.random.below(if depth == 0 { 6 } else { 14 });
        match choice {
            0 => Json::Null,
            1 => Json::bare(self.random.percent(50)),
            2 => self.integer(),
            3..6 => self.word(),
            6..9 => {
                let count = self.random.below(4);
                Json::List((0..count).map(|_| self.value(depth - 1)).collect())
            }
            9 => {
                let count = self.random.below(4);
                Json::List((0..count).map(|_| self.object(depth - 1)).collect())
            }
            _ => self.object(depth - 1),
        }
    }

    fn object(&mut self, depth: usize) -> Json {
        let mut members = Vec::new();
        for key in KEYS {
            if self.random.percent(45) {
                members.push((key.to_owned(), self.value(depth)));
            }
        }
        if self.random.percent(15) {
            let key = *self.random.pick(&SECRETS);
            members.push((key.to_owned(), self.secret()));
        } else if self.random.percent(8) {
            members.retain(|(key, _)| key != "name" && key != "value");
            members.push(("name".to_owned(), Json::text("Authorization")));
            members.push(("value".to_owned(), self.secret()));
        } else if self.random.percent(5) {
            members.push(("odd.key \"x\"".to_owned(), self.word()));
        }
        Json::Object(members)
    }

    fn secret(&mut self) -> Json {
        let secret = Json::Text(format!("{SECRET}{}", self.next()));
        match self.random.below(5) {
            0 => Json::List(vec![secret]),
            1 => Json::Object(vec![("inner".to_owned(), secret)]),
            _ => secret,
        }
    }

    /// A value that few columns expect.
    fn hostile(&mut self) -> Json {
        let number = self.next();
        match self.random.below(22) {
            0 => Json::text("NaN"),
            1 => Json::text("-inf"),
            2 => Json::bare("1e400"),
            3 => Json::bare(format!("{number}99999999999999999999")),
            4 => Json::bare(i64::MIN),
            5 => Json::text("-"),
            6 => Json::text(""),
            7 => Json::text(" "),
            8 => Json::text(format!("a\"b\\c\n\u{0}\u{7f}{number}")),
            9 => Json::text("null"),
            10 => Json::Null,
            11 => Json::List(Vec::new()),
            12 => Json::Object(Vec::new()),
            13 => self.value(3),
            14 => self.object(2),
            15 => Json::bare(format!("{number}.000000000000000001")),
            16 => Json::bare(-1),
            17 => Json::text(format!("203.0.113.10:{number}")),
            18 => Json::text(format!("{number},{number}")),
            19 => Json::text(format!("{{\"a\": \"q{number}\"}}")),
            20 => Json::bare(4_102_444_800_000u64 + number as u64),
            _ => self.word(),
        }
    }
}
