//! Calls every function that an expression may call with hostile values. An error is fine,
//! because it quarantines the row. A panic or a result that fills the memory is not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use std::thread;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, Schema};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::physical_expr::PhysicalExpr;

use super::allowed::allowed;
use super::refusal::arguments;
use super::{FUNCTIONS, Listed};
use crate::session;

/// The longest text of a row, which is as long as a line may be.
const LONGEST: usize = 16 << 20;
/// The most bytes of a result.
const MOST_BYTES: usize = 4 * LONGEST + (1 << 20);
/// How many combinations of values are tried for each way to pass them.
const COMBINATIONS: usize = 150;
const LITERALS: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Json,
    Integer,
    Number,
    Time,
    Interval,
    List,
}

impl Kind {
    /// The kinds of values that an argument with that name is called with.
    fn of(name: &str, first: &str) -> &'static [Kind] {
        match name {
            "text" if first == "any time" => &[Kind::Text, Kind::Integer, Kind::Number, Kind::Time],
            "json" | "json_list" | "json_object" => &[Kind::Json],
            "text" | "characters" | "part" | "from" | "to" | "separator" | "format"
            | "algorithm" | "encoding" | "unit" | "pattern" | "flags" | "bytes" | "url"
            | "request_line" | "key" | "set" | "result_key" | "path" | "hex" | "item" => {
                &[Kind::Text]
            }
            "n" | "start" | "length" | "end" | "year" | "month" | "day" | "places" => {
                &[Kind::Integer]
            }
            "number" | "base" | "exponent" => &[Kind::Integer, Kind::Number],
            "time" | "origin" => &[Kind::Time],
            "interval" => &[Kind::Interval],
            "list" => &[Kind::List],
            "value" if first == "list" => &[Kind::Text],
            "value" => &[Kind::Text, Kind::Integer],
            "other" | "otherwise" if first == "number" => &[Kind::Number],
            "other" | "otherwise" if first == "list" => &[Kind::List],
            "other" | "otherwise" => &[Kind::Text],
            unknown => panic!("say what kind of values `{unknown}` has"),
        }
    }

    fn data_type(self) -> DataType {
        self.values()[0].data_type()
    }

    /// The values, NULL first and a harmless one second.
    fn values(self) -> &'static [ScalarValue] {
        static TEXTS: LazyLock<Vec<ScalarValue>> = LazyLock::new(texts);
        static JSON: LazyLock<Vec<ScalarValue>> = LazyLock::new(json);
        static INTEGERS: LazyLock<Vec<ScalarValue>> = LazyLock::new(integers);
        static NUMBERS: LazyLock<Vec<ScalarValue>> = LazyLock::new(numbers);
        static TIMES: LazyLock<Vec<ScalarValue>> = LazyLock::new(times);
        static INTERVALS: LazyLock<Vec<ScalarValue>> = LazyLock::new(intervals);
        static LISTS: LazyLock<Vec<ScalarValue>> = LazyLock::new(lists);
        match self {
            Self::Text => &TEXTS,
            Self::Json => &JSON,
            Self::Integer => &INTEGERS,
            Self::Number => &NUMBERS,
            Self::Time => &TIMES,
            Self::Interval => &INTERVALS,
            Self::List => &LISTS,
        }
    }
}

fn text(text: impl Into<String>) -> ScalarValue {
    ScalarValue::Utf8View(Some(text.into()))
}

fn texts() -> Vec<ScalarValue> {
    let mut values = vec![ScalarValue::Utf8View(None), text("a")];
    for each in [
        "",
        "é😀\u{301}x",
        "ŉİß",
        "-1",
        "9223372036854775808",
        "1e400",
        "%",
        "%Y-%m-%d %q %9999Y",
        "%H",
        "(",
        "(a|b)*\\1",
        "((((a{99}){99}){99}){99})",
        "g",
        "\0",
        "A=1,B=2,",
        "C:\\x\\..\\",
        "[::1",
        "2024-02-30T25:61:61Z",
        "+262142-12-31T23:59:59Z",
        "2024-01-01T00:00:00Z",
        "hour",
        "week",
        "hex",
        "base64",
        "6g",
        "sha256",
        "NaN",
        "GET / ",
        "%ff%",
        "\\",
    ] {
        values.push(text(each));
    }
    values
}

fn json() -> Vec<ScalarValue> {
    let mut values = vec![ScalarValue::Utf8View(None), text(r#"{"a":[{"a":"a"}]}"#)];
    for each in [
        "",
        "[",
        "{\"a\":",
        "{\"a\\u00\":1}",
        "[1,,]",
        "}",
        "[[]",
        "null",
        "{\"é\":\"\\ud800\"}",
        "\"",
        "1e999999",
    ] {
        values.push(text(each));
    }
    values.push(text("[".repeat(100_000)));
    values.push(text("{\"a\":".repeat(100_000)));
    values.push(text(format!(
        "{}1{}",
        "[".repeat(20_000),
        "]".repeat(20_000)
    )));
    values.push(text(format!(
        "{}1{}",
        "{\"a\":".repeat(20_000),
        "}".repeat(20_000)
    )));
    values
}

fn integers() -> Vec<ScalarValue> {
    let numbers = [
        1,
        0,
        -1,
        2,
        i64::MIN,
        i64::MAX,
        i64::MIN + 1,
        1 << 31,
        -(1 << 31),
        1 << 40,
        999_999_999_999,
    ];
    let numbers = numbers.map(|n| ScalarValue::Int64(Some(n)));
    std::iter::once(ScalarValue::Int64(None))
        .chain(numbers)
        .collect()
}

fn numbers() -> Vec<ScalarValue> {
    let numbers = [
        1.5,
        0.0,
        -0.0,
        -1.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        1e18,
        9.3e18,
    ];
    let numbers = numbers.map(|n| ScalarValue::Float64(Some(n)));
    std::iter::once(ScalarValue::Float64(None))
        .chain(numbers)
        .collect()
}

fn times() -> Vec<ScalarValue> {
    let of = |ms| ScalarValue::TimestampMillisecond(ms, Some("UTC".into()));
    let times = [
        1_704_067_200_000,
        0,
        -1,
        i64::MIN,
        i64::MAX,
        i64::MIN / 1000,
        i64::MAX / 1000,
        253_402_300_800_000,
        -62_135_596_800_001,
        8_210_266_876_800_000,
        -9_223_372_036_855,
        9_223_372_036_855,
    ];
    std::iter::once(None)
        .chain(times.map(Some))
        .map(of)
        .collect()
}

fn intervals() -> Vec<ScalarValue> {
    let of = |months, days, nanos| {
        ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanos)))
    };
    vec![
        ScalarValue::IntervalMonthDayNano(None),
        of(0, 0, 60_000_000_000),
        of(0, 0, 0),
        of(0, 0, 1),
        of(0, 0, -1),
        of(1, 0, 0),
        of(-1, 0, 0),
        of(1, 1, 1),
        of(i32::MAX, 0, 0),
        of(i32::MIN, 0, 0),
        of(0, i32::MAX, 0),
        of(0, i32::MIN, 0),
        of(0, 0, i64::MAX),
        of(0, 0, i64::MIN),
    ]
}

fn lists() -> Vec<ScalarValue> {
    let of = |items: &[Option<&str>]| {
        let items: Vec<ScalarValue> = items
            .iter()
            .map(|item| ScalarValue::Utf8View(item.map(str::to_owned)))
            .collect();
        let list = ScalarValue::new_list_nullable(&items, &DataType::Utf8View);
        ScalarValue::List(list)
    };
    vec![
        ScalarValue::new_null_list(DataType::Utf8View, true, 1),
        of(&[Some("a"), Some("b"), Some("a")]),
        of(&[]),
        of(&[None]),
        of(&[Some(""), None, Some("é😀 longer than a view")]),
        of(&[Some("a"); 300]),
    ]
}

/// A way to call a function.
struct Shape {
    name: &'static str,
    kinds: Vec<Kind>,
    constant: Vec<bool>,
    /// Whether it is the last one of its function, which is called with the longest text.
    is_last: bool,
}

/// Reads a signature: with and without each argument that may be left out, and with each
/// kind of value.
fn shapes(name: &'static str, signature: &'static str) -> Vec<Shape> {
    let arguments = arguments(signature);
    let first = match name {
        _ if name.starts_with("to_timestamp") => "any time",
        "to_unixtime" | "to_date" => "any time",
        _ => arguments.first().map_or("", |argument| argument.name),
    };
    let mut shapes = Vec::new();
    let mut open: Vec<Vec<Kind>> = vec![vec![]];
    let mut constant = Vec::new();
    let mut before = "";
    let optional = signature.find('[').unwrap_or(signature.len());
    for argument in &arguments {
        // Both point into the signature.
        if argument.name.as_ptr() as usize - signature.as_ptr() as usize > optional {
            shapes.extend(all_of(name, &open, &constant));
        }
        let word = if argument.name == "…" {
            before
        } else {
            argument.name
        };
        let with = |kinds: &Vec<Kind>| {
            let kinds = kinds.clone();
            Kind::of(word, first)
                .iter()
                .map(move |kind| [kinds.as_slice(), &[*kind]].concat())
        };
        open = open.iter().flat_map(with).collect();
        constant.push(argument.is_constant || (name == "in_set" && word == "set"));
        before = word;
    }
    shapes.extend(all_of(name, &open, &constant));
    if let Some(last) = shapes.last_mut() {
        last.is_last = true;
    }
    shapes
}

fn all_of(name: &'static str, open: &[Vec<Kind>], constant: &[bool]) -> Vec<Shape> {
    let shape = |kinds: &Vec<Kind>| Shape {
        name,
        kinds: kinds.clone(),
        constant: constant.to_vec(),
        is_last: false,
    };
    open.iter().map(shape).collect()
}

/// A function with literals for some arguments and columns for the others.
struct Planned {
    expr: Arc<dyn PhysicalExpr>,
    schema: Arc<Schema>,
}

impl Shape {
    /// `None` is a column.
    fn plan(&self, values: &[Option<&ScalarValue>]) -> Option<Planned> {
        let mut fields = Vec::new();
        let mut args: Vec<Expr> = Vec::new();
        for (at, (value, kind)) in values.iter().zip(&self.kinds).enumerate() {
            match value {
                Some(value) => args.push(lit((*value).clone())),
                None => {
                    let name = format!("c{at}");
                    fields.push(Field::new(&name, kind.data_type(), true));
                    args.push(col(name));
                }
            }
        }
        let state = session::compiling();
        let schema = Arc::new(Schema::new(fields));
        let scope = DFSchema::try_from(Arc::clone(&schema)).expect("names differ");
        let call = state.udf(self.name).expect("it exists").call(args);
        let expr = session::plan_expr(state, &call, &scope).ok()?;
        Some(Planned { expr, schema })
    }

    /// The values of a combination: the first ones change one argument only.
    fn combination(&self, number: usize, dice: &mut Dice) -> Vec<&'static ScalarValue> {
        let changed = number % self.kinds.len();
        let chosen = number / self.kinds.len();
        let single = chosen < self.kinds[changed].values().len();
        let values = self.kinds.iter().enumerate().map(|(at, kind)| {
            let values = kind.values();
            match (single, at == changed) {
                (true, true) => &values[chosen],
                (true, false) => &values[1],
                (false, _) => &values[dice.roll(values.len())],
            }
        });
        values.collect()
    }

    /// Returns what went wrong.
    fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut dice = Dice(7);
        if self.kinds.is_empty() {
            return wrong;
        }
        for number in 0..LITERALS * self.kinds.len() {
            let values = self.combination(number * 7, &mut dice);
            self.attempt(&values, &vec![true; values.len()], &mut wrong);
            for column in 0..values.len() {
                let literal: Vec<bool> = (0..values.len()).map(|at| at != column).collect();
                if !self.constant[column] {
                    self.attempt(&values, &literal, &mut wrong);
                }
            }
        }
        self.columns(&mut dice, &mut wrong);
        if self.is_last {
            self.longest(&mut wrong);
        }
        wrong.sort();
        wrong.dedup();
        wrong
    }

    /// Calls it with columns, except where a constant is required.
    fn columns(&self, dice: &mut Dice, wrong: &mut Vec<String>) {
        let harmless: Vec<Option<&ScalarValue>> = self
            .kinds
            .iter()
            .zip(&self.constant)
            .map(|(kind, constant)| constant.then(|| &kind.values()[1]))
            .collect();
        let Some(planned) = self.guarded(&[], wrong, || self.plan(&harmless)).flatten() else {
            return;
        };
        for number in 0..COMBINATIONS {
            let values = self.combination(number, dice);
            let columns: Vec<&ScalarValue> = values
                .iter()
                .zip(&self.constant)
                .filter(|(_, constant)| !**constant)
                .map(|(value, _)| *value)
                .collect();
            self.guarded(&values, wrong, || planned.result(&columns));
        }
    }

    /// Calls it with the longest text as the first text that need not be a constant.
    fn longest(&self, wrong: &mut Vec<String>) {
        static TEXT: LazyLock<ScalarValue> = LazyLock::new(|| text("a,b é/-".repeat(LONGEST / 8)));
        static JSON: LazyLock<ScalarValue> = LazyLock::new(|| {
            let item = format!("{{\"a\":\"{}\"}},", "x".repeat(55));
            text(format!("[{}1]", item.repeat(LONGEST / 64 - 1)))
        });
        let is_text = |kind: &Kind| matches!(kind, Kind::Text | Kind::Json);
        let first =
            (0..self.kinds.len()).find(|at| is_text(&self.kinds[*at]) && !self.constant[*at]);
        let Some(first) = first else {
            return;
        };
        let longest = match self.kinds[first] {
            Kind::Json => &*JSON,
            _ => &*TEXT,
        };
        let mut values: Vec<&ScalarValue> =
            self.kinds.iter().map(|kind| &kind.values()[1]).collect();
        values[first] = longest;
        let literal: Vec<bool> = (0..values.len()).map(|at| at != first).collect();
        self.attempt(&values, &literal, wrong);
    }

    fn attempt(&self, values: &[&ScalarValue], literal: &[bool], wrong: &mut Vec<String>) {
        let pairs = || values.iter().zip(literal);
        let literals: Vec<Option<&ScalarValue>> = pairs()
            .map(|(value, literal)| literal.then_some(*value))
            .collect();
        let columns: Vec<&ScalarValue> = pairs()
            .filter(|(_, literal)| !**literal)
            .map(|(value, _)| *value)
            .collect();
        self.guarded(values, wrong, || self.plan(&literals)?.result(&columns));
    }

    /// Runs something that must not panic, and measures its result.
    fn guarded<T: Measured>(
        &self,
        values: &[&ScalarValue],
        wrong: &mut Vec<String>,
        run: impl FnOnce() -> T,
    ) -> Option<T> {
        let what = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(result) if result.bytes() <= MOST_BYTES => return Some(result),
            Ok(result) => format!("gives {} MiB", result.bytes() >> 20),
            Err(_) => "panics".to_owned(),
        };
        let short = |value: &&ScalarValue| value.to_string().chars().take(40).collect::<String>();
        let values: Vec<String> = values.iter().map(short).collect();
        wrong.push(format!("{}({}) {what}", self.name, values.join(", ")));
        None
    }
}

impl Planned {
    /// Returns the result for one row.
    fn result(&self, columns: &[&ScalarValue]) -> Option<ArrayRef> {
        let columns = columns.iter().map(|value| value.to_array_of_size(1));
        let columns = columns.collect::<Result<_, _>>().ok()?;
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let row = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options);
        self.expr.evaluate(&row.ok()?).ok()?.into_array(1).ok()
    }
}

trait Measured {
    fn bytes(&self) -> usize;
}

impl Measured for Option<ArrayRef> {
    fn bytes(&self) -> usize {
        self.as_ref()
            .map_or(0, |array| array.get_array_memory_size())
    }
}

impl Measured for Option<Planned> {
    fn bytes(&self) -> usize {
        0
    }
}

/// Numbers that look random and are always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % sides
    }
}

#[test]
fn no_value_makes_a_function_panic_or_fill_the_memory() {
    let ours = FUNCTIONS.iter().filter(|listed| !listed.is_internal());
    let ours = ours.map(|listed: &Listed| (listed.name(), listed.signature));
    let theirs = allowed()
        .iter()
        .map(|allowed| (allowed.name, allowed.signature));
    let all: Vec<Shape> = ours
        .chain(theirs)
        .flat_map(|(name, signature)| shapes(name, signature))
        .collect();
    let check = |first: usize| {
        let own = all.iter().skip(first).step_by(2);
        own.flat_map(Shape::check).collect::<Vec<String>>()
    };
    let wrong = thread::scope(|scope| {
        let second = scope.spawn(|| check(1));
        let mut wrong = check(0);
        wrong.extend(second.join().expect("it catches panics"));
        wrong
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn most_shapes_can_be_planned_and_give_results() {
    let mut none = Vec::new();
    for allowed in allowed() {
        let works = shapes(allowed.name, allowed.signature).iter().any(|shape| {
            let values: Vec<&ScalarValue> =
                shape.kinds.iter().map(|kind| &kind.values()[1]).collect();
            let literals: Vec<Option<&ScalarValue>> = values.iter().map(|v| Some(*v)).collect();
            shape
                .plan(&literals)
                .and_then(|planned| planned.result(&[]))
                .is_some()
        });
        if !works {
            none.push(allowed.name);
        }
    }
    // They need a unit, a format or a number that the harmless values are not.
    let needy = [
        "date_part",
        "date_trunc",
        "decode",
        "digest",
        "encode",
        "to_date",
    ];
    let expected = none
        .iter()
        .filter(|name| !needy.contains(name) && !name.starts_with("to_timestamp"));
    assert_eq!(expected.collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn a_panic_and_a_large_result_are_found() {
    let shape = &shapes("upper", "upper(text)")[0];
    let mut wrong = Vec::new();
    let value = text("a");
    shape.guarded(&[&value], &mut wrong, || -> Option<ArrayRef> {
        panic!("as it should")
    });
    shape.guarded(&[&value], &mut wrong, || {
        text("a".repeat(MOST_BYTES + 1)).to_array_of_size(1).ok()
    });
    assert_eq!(wrong[0], "upper(a) panics");
    assert!(wrong[1].starts_with("upper(a) gives "), "{}", wrong[1]);
}
