//! The Rust types that keys and values of a case have in the DSL, and their conversion to the dynamic value.
//!
//! The DSL is typed, cases are not: most steps use [`Dyn`], but some operators decide a type themselves (a count is an
//! `i64`, a windowed key a `Windowed<K>`, a table seen as a stream has `Option<V>`).
use std::marker::PhantomData;

use millstream_dsl::{
    serde::{Serde, SerdeError},
    window::{Window, Windowed},
};

use crate::{
    serdes::{Refused, SerdeKind},
    value::Dyn,
};

/// A type that a key or value can have.
pub(crate) trait Like: Clone + Send + Sync + Sized + 'static {
    fn to_dyn(&self) -> Dyn;
    /// None: the value is of another type, as after a wrong cast in Java.
    fn from_dyn(value: Dyn) -> Option<Self>;
}

impl Like for Dyn {
    fn to_dyn(&self) -> Dyn {
        self.clone()
    }
    fn from_dyn(value: Dyn) -> Option<Self> {
        Some(value)
    }
}

/// A value of a stream: null, as the streams of tables have it, is none.
pub(crate) type Nullable = Option<Dyn>;

pub(crate) fn nullable(value: Dyn) -> Nullable {
    (!value.is_null()).then_some(value)
}

impl Like for i64 {
    fn to_dyn(&self) -> Dyn {
        Dyn::Long(*self)
    }
    fn from_dyn(value: Dyn) -> Option<Self> {
        match value {
            Dyn::Long(n) => Some(n),
            _ => None,
        }
    }
}

impl<T: Like> Like for Option<T> {
    fn to_dyn(&self) -> Dyn {
        self.as_ref().map_or(Dyn::Null, T::to_dyn)
    }
    fn from_dyn(value: Dyn) -> Option<Self> {
        if value.is_null() {
            Some(None)
        } else {
            T::from_dyn(value).map(Some)
        }
    }
}

impl<T: Like> Like for Windowed<T> {
    fn to_dyn(&self) -> Dyn {
        Dyn::Windowed {
            key: Box::new(self.key.to_dyn()),
            start: self.window.start,
            end: self.window.end,
        }
    }
    fn from_dyn(value: Dyn) -> Option<Self> {
        match value {
            Dyn::Windowed { key, start, end } => Some(Self {
                key: T::from_dyn(*key)?,
                window: Window { start, end },
            }),
            _ => None,
        }
    }
}

/// A serde of a case for one of these types.
#[derive(Clone, Debug)]
pub(crate) struct LikeSerde<T> {
    kind: SerdeKind,
    of: PhantomData<fn() -> T>,
}

impl<T> LikeSerde<T> {
    pub(crate) fn new(kind: SerdeKind) -> Self {
        Self { kind, of: PhantomData }
    }
}

impl<T: Like> Serde<T> for LikeSerde<T> {
    fn serialize(&self, value: &T, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.kind.encode(&value.to_dyn(), out).map_err(|e| match e {
            Refused::WrongType => SerdeError::wrong_type(e.to_string()),
            Refused::Bytes(_) => SerdeError::new(e.to_string()),
        })
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<T, SerdeError> {
        let value = self.kind.decode(bytes).map_err(|e| SerdeError::new(e.to_string()))?;
        T::from_dyn(value).ok_or_else(|| SerdeError::wrong_type("the serde is for another type"))
    }

    fn is_null(&self, value: &T) -> bool {
        value.to_dyn().is_null()
    }

    fn null(&self) -> Option<T> {
        T::from_dyn(Dyn::Null)
    }
}
