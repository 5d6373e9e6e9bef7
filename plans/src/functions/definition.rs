//! Adapts our function definitions to DataFusion's trait.

use std::any::Any;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// The definition of a function.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    /// Returns the types that the arguments are cast to.
    pub(crate) arguments: fn(&[DataType]) -> Result<Vec<DataType>>,
    pub(crate) returns: Returns,
    pub(crate) invoke: fn(&ScalarFunctionArgs) -> Result<ColumnarValue>,
}

/// The type of a function's result.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Returns {
    Fixed(fn() -> DataType),
    /// Depends on the argument types and the literal arguments.
    From(fn(&[FieldRef], &[Option<&ScalarValue>]) -> Result<DataType>),
}

/// A function with its entry on the reference page.
#[derive(Debug)]
pub struct Listed {
    pub(super) definition: &'static Definition,
    /// The call with the names of its arguments.
    pub signature: &'static str,
    /// The types of the arguments, in words.
    pub takes: &'static str,
    /// The type of the result, in words.
    pub gives: &'static str,
    /// One or more sentences about the result.
    pub about: &'static str,
    /// The result for NULL. Without it, a NULL argument gives NULL.
    pub nulls: Option<&'static str>,
    /// A call and its result. Functions that only compiled mappings call have none.
    pub example: Option<Example>,
}

/// A call as SQL, and its result as text.
#[derive(Debug)]
pub struct Example {
    /// An expression without columns.
    pub sql: &'static str,
    /// The result.
    pub result: &'static str,
}

impl Listed {
    /// Returns the name in SQL.
    pub fn name(&self) -> &'static str {
        self.definition.name
    }

    /// Whether only compiled mappings call the function.
    pub fn is_internal(&self) -> bool {
        self.example.is_none()
    }

    /// Adds the types of the arguments and of the result, in words.
    pub(super) const fn types(mut self, takes: &'static str, gives: &'static str) -> Self {
        self.takes = takes;
        self.gives = gives;
        self
    }

    /// Adds what the function does with NULL, if it does not simply give NULL.
    pub(super) const fn nulls(mut self, nulls: &'static str) -> Self {
        self.nulls = Some(nulls);
        self
    }
}

impl Definition {
    /// Creates the entry of a function for the SQL of users.
    pub(super) const fn listed(
        &'static self,
        signature: &'static str,
        about: &'static str,
        (sql, result): (&'static str, &'static str),
    ) -> Listed {
        Listed {
            definition: self,
            signature,
            takes: "",
            gives: "",
            about,
            nulls: None,
            example: Some(Example { sql, result }),
        }
    }

    /// Creates the entry of a function that only compiled mappings call.
    pub(super) const fn internal(
        &'static self,
        signature: &'static str,
        about: &'static str,
    ) -> Listed {
        Listed {
            definition: self,
            signature,
            takes: "",
            gives: "",
            about,
            nulls: None,
            example: None,
        }
    }

    pub(crate) fn udf(&'static self) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Function {
            definition: self,
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    }
}

#[derive(Debug)]
struct Function {
    definition: &'static Definition,
    signature: Signature,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.definition.name == other.definition.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.definition.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.definition.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        match self.definition.returns {
            Returns::Fixed(of) => Ok(of()),
            Returns::From(_) => exec_err!("the type of {} depends on its literals", self.name()),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let kind = match self.definition.returns {
            Returns::Fixed(of) => of(),
            Returns::From(of) => of(args.arg_fields, args.scalar_arguments)?,
        };
        Ok(Arc::new(Field::new(self.name(), kind, true)))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        (self.definition.arguments)(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        (self.definition.invoke)(&args)
    }
}

/// Requires at least one argument and casts all to text.
pub(crate) fn all_text(types: &[DataType]) -> Result<Vec<DataType>> {
    if types.is_empty() {
        return exec_err!("at least one argument is needed");
    }
    Ok(vec![DataType::Utf8View; types.len()])
}

/// Requires one argument and casts it to text.
pub(crate) fn one_text(types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [_] => all_text(types),
        _ => exec_err!("one argument is needed, not {}", types.len()),
    }
}

/// Returns the text of a literal argument.
pub(crate) fn literal_text(value: &ColumnarValue) -> Result<&str> {
    match value {
        ColumnarValue::Scalar(scalar) => match scalar.try_as_str() {
            Some(Some(text)) => Ok(text),
            _ => exec_err!("a text literal is needed, not {scalar}"),
        },
        ColumnarValue::Array(_) => exec_err!("a literal is needed, not a column"),
    }
}

type Entries<T> = HashMap<Box<[u8]>, Arc<T>>;

/// Caches parsed configurations by their text, so that they are not parsed for each batch.
pub(crate) struct Cache<T: 'static> {
    entries: Mutex<Option<Entries<T>>>,
}

impl<T: Any> Cache<T> {
    /// Maximum number of entries. Processes use few configurations, so a full cache is
    /// simply cleared.
    const LIMIT: usize = 4096;

    pub(crate) const fn new() -> Self {
        Self {
            entries: Mutex::new(None),
        }
    }

    pub(crate) fn get(&self, key: &[u8], make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        if let Some(found) = self.lock().get_or_insert_default().get(key) {
            return Ok(Arc::clone(found));
        }
        let made = Arc::new(make()?);
        let mut guard = self.lock();
        let entries = guard.get_or_insert_default();
        if entries.len() >= Self::LIMIT {
            entries.clear();
        }
        entries.insert(key.into(), Arc::clone(&made));
        Ok(made)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Entries<T>>> {
        self.entries
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
