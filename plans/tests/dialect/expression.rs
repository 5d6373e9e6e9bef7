//! Random SQL expressions over the columns of a source.

use crate::random::Random;
use crate::rows::{Column, KEYS, Kind, WORDS};

/// The kind of value that an attribute wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Text,
    Ip,
    Number,
    Boolean,
    Time,
    Json,
}

/// Writes expressions.
pub(crate) struct Expressions<'a> {
    pub(crate) random: &'a mut Random,
    pub(crate) columns: &'a [Column],
    /// Whether the expression is inside an `each`.
    pub(crate) has_item: bool,
}

impl Expressions<'_> {
    pub(crate) fn of(&mut self, wanted: Wanted) -> String {
        match wanted {
            Wanted::Text => self.text(2),
            Wanted::Ip => self.ip(),
            Wanted::Number => self.number(2),
            Wanted::Boolean => match self.random.below(3) {
                0 => self.condition(),
                1 => self.column(&[Kind::Boolean]),
                _ => self.operand(),
            },
            Wanted::Time => self.time(),
            Wanted::Json => match self.random.below(3) {
                0 => format!("json_text({})", self.json()),
                1 => self.operand(),
                _ => self.json(),
            },
        }
    }

    /// A column of one of the kinds, or any one.
    fn column(&mut self, kinds: &[Kind]) -> String {
        let fitting: Vec<&Column> = self
            .columns
            .iter()
            .filter(|column| kinds.is_empty() || kinds.contains(&column.kind))
            .collect();
        match fitting.as_slice() {
            [] => self.operand(),
            fitting => self.random.pick(fitting).name.to_owned(),
        }
    }

    /// A place inside JSON, or NULL's nearest kin.
    pub(crate) fn json(&mut self) -> String {
        let fitting: Vec<&Column> = self
            .columns
            .iter()
            .filter(|column| column.kind == Kind::Json)
            .collect();
        let mut place = match fitting.as_slice() {
            _ if self.has_item && self.random.percent(70) => "item".to_owned(),
            [] => {
                return self.columns[self.random.below(self.columns.len())]
                    .name
                    .to_owned();
            }
            fitting => self.random.pick(fitting).name.to_owned(),
        };
        for _ in 0..self.random.below(3) {
            let key = *self.random.pick(&KEYS);
            // The value of a pair may be a credential. Only elements of an `each` hide it from
            // a path that names it.
            if key == "value" && place != "item" {
                continue;
            }
            place += &match self.random.below(8) {
                0 => format!("['{key}']"),
                1 => format!("[{}]", self.random.below(3)),
                _ => format!(".{key}"),
            };
        }
        place
    }

    /// A column, or a place inside one.
    pub(crate) fn operand(&mut self) -> String {
        let column = self.random.pick(self.columns);
        match column.kind {
            Kind::Json => self.json(),
            _ if self.has_item && self.random.percent(70) => self.json(),
            Kind::IpPort => {
                let part = self.random.pick(&["", ".ip", ".port"]);
                format!("{}{part}", column.name)
            }
            _ => column.name.to_owned(),
        }
    }

    pub(crate) fn text(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.operand();
        }
        let mut part = || self.text(depth - 1);
        let (one, two) = (part(), part());
        match self.random.below(22) {
            0..8 => self.operand(),
            8 => format!("coalesce({}, {})", self.varchar(&one), self.varchar(&two)),
            9 => format!("CASE WHEN {} THEN {one} END", self.condition()),
            10 => format!(
                "CASE WHEN {} THEN {} ELSE {} END",
                self.condition(),
                self.varchar(&one),
                self.varchar(&two)
            ),
            11 => format!(
                "nullif({}, '{}')",
                self.varchar(&one),
                self.random.pick(&WORDS)
            ),
            12 => format!("nullif({}, {})", self.varchar(&one), self.varchar(&two)),
            13 => format!("upper({})", self.varchar(&one)),
            14 => format!("{} || '-' || {}", self.varchar(&one), self.varchar(&two)),
            15 => format!(
                "concat({}, ' ', {})",
                self.varchar(&one),
                self.varchar(&two)
            ),
            16 => format!("CAST({one} AS VARCHAR)"),
            17 => format!("TRY_CAST({one} AS VARCHAR)"),
            18 => format!("json_text({})", self.json()),
            19 => format!("split_part(CAST({one} AS VARCHAR), '.', 1)"),
            20 => format!("trim(CAST({one} AS VARCHAR))"),
            _ => format!("substr(CAST({one} AS VARCHAR), 2)"),
        }
    }

    /// The expression as a text, mostly.
    fn varchar(&mut self, expression: &str) -> String {
        match self.random.percent(97) {
            true => format!("CAST({expression} AS VARCHAR)"),
            false => expression.to_owned(),
        }
    }

    fn ip(&mut self) -> String {
        match self.random.below(5) {
            0 => format!("try_ip({})", self.operand()),
            1 => self.column(&[Kind::Ip]),
            2 => {
                let (one, two) = (self.operand(), self.operand());
                format!("coalesce(try_ip({one}), try_ip({two}))")
            }
            3 => self.text(1),
            _ => self.operand(),
        }
    }

    fn number(&mut self, depth: usize) -> String {
        let kinds = [Kind::Int, Kind::Long, Kind::Double];
        if depth == 0 {
            return self.column(&kinds);
        }
        match self.random.below(14) {
            0..4 => self.column(&kinds),
            4 => self.operand(),
            5 => format!("{} / {}", self.number(0), self.number(0)),
            6 => format!("{} + 1", self.number(0)),
            7 => format!("{} * {}", self.number(depth - 1), self.number(0)),
            8 => format!("{} % {}", self.number(0), self.number(0)),
            9 => format!("CAST({} AS BIGINT)", self.operand()),
            10 => format!("TRY_CAST({} AS INT)", self.operand()),
            11 => format!("coalesce({}, {})", self.number(0), self.number(0)),
            12 => format!("CASE WHEN {} THEN {} END", self.condition(), self.number(0)),
            _ => format!("nullif({}, 3)", self.number(0)),
        }
    }

    fn time(&mut self) -> String {
        let kinds = [Kind::EpochS, Kind::EpochMs, Kind::Rfc3339];
        match self.random.below(6) {
            0 => format!("TRY_CAST({} AS TIMESTAMP)", self.operand()),
            1 => format!("to_timestamp({})", self.operand()),
            2 => format!("coalesce({}, {})", self.column(&kinds), self.column(&kinds)),
            _ => self.column(&kinds),
        }
    }

    pub(crate) fn condition(&mut self) -> String {
        let operand = self.operand();
        let number = self.number(0);
        match self.random.below(9) {
            0 => format!("{operand} IS NULL"),
            1 => format!("{operand} IS NOT NULL"),
            2 => format!("{number} > 5"),
            3 => format!("{number} / {} > 1", self.number(0)),
            4 => format!("CAST({operand} AS VARCHAR) LIKE '%1%'"),
            5 => format!("{operand} IN ('ok', 'fail')"),
            6 => format!("NOT (CAST({operand} AS VARCHAR) = '3')"),
            7 => self.column(&[Kind::Boolean]),
            _ => format!("{operand} = '{}'", self.random.pick(&WORDS)),
        }
    }
}
