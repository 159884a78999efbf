//! What an aggregation does to its result when a record comes: counting, reducing and aggregating in one form.
use std::sync::Arc;

use crate::{
    engine::{BoxError, ProcessError, TaskContext},
    serde::SharedSerde,
};

/// The result after a record.
pub(crate) enum Folded<'a, A> {
    /// Made by the user's function.
    Owned(A),
    /// The record's value itself: the first record of a reduction.
    Borrowed(&'a A),
    /// The row is deleted.
    Nothing,
}
impl<A> Folded<'_, A> {
    pub(crate) fn as_ref(&self) -> Option<&A> {
        match self {
            Self::Owned(value) => Some(value),
            Self::Borrowed(value) => Some(value),
            Self::Nothing => None,
        }
    }
}
impl<A> From<Option<A>> for Folded<'_, A> {
    fn from(value: Option<A>) -> Self {
        value.map_or(Self::Nothing, Self::Owned)
    }
}

type Function<K, V, A> = Arc<dyn for<'a> Fn(&K, &'a V, Option<A>) -> Result<Folded<'a, A>, BoxError> + Send + Sync>;
type Initializer<A> = Arc<dyn Fn() -> A + Send + Sync>;

/// Key, value and the result so far (None: there is none) to the new result.
pub(crate) struct Fold<K, V, A> {
    pub(crate) apply: Function<K, V, A>,
    /// None for reductions, which have nothing before the first value.
    pub(crate) initial: Option<Initializer<A>>,
}
impl<K, V, A> Clone for Fold<K, V, A> {
    fn clone(&self) -> Self {
        Self {
            apply: self.apply.clone(),
            initial: self.initial.clone(),
        }
    }
}

impl<K, V, A> Fold<K, V, A> {
    /// What the old value of the first update is said to be, as in Kafka Streams: the initial result, unless it is null.
    pub(crate) fn old_of_first(
        &self,
        cx: &TaskContext,
        node: &Arc<str>,
        serde: &SharedSerde<A>,
    ) -> Result<Option<A>, Box<ProcessError>> {
        let initial = self.initial.as_ref().map(|initial| cx.call(node, || initial()));
        Ok(initial.transpose()?.filter(|initial| !serde.is_null(initial)))
    }
}

impl<K: 'static, V: 'static> Fold<K, V, i64> {
    pub(crate) fn count() -> Self {
        Self {
            apply: Arc::new(|_, _, old| Ok(Folded::Owned(old.unwrap_or(0).wrapping_add(1)))),
            initial: Some(Arc::new(|| 0)),
        }
    }
}
impl<K: 'static, V: 'static> Fold<K, V, V> {
    pub(crate) fn reduce<E: Into<BoxError>>(f: impl Fn(V, &V) -> Result<Option<V>, E> + Send + Sync + 'static) -> Self {
        Self {
            apply: Arc::new(move |_, value, old| match old {
                None => Ok(Folded::Borrowed(value)),
                Some(old) => f(old, value).map(Into::into).map_err(Into::into),
            }),
            initial: None,
        }
    }
}
impl<K: 'static, V: 'static> Fold<K, Option<V>, V> {
    pub(crate) fn reduce_opt<E: Into<BoxError>>(
        f: impl Fn(V, Option<&V>) -> Result<Option<V>, E> + Send + Sync + 'static,
    ) -> Self {
        Self {
            apply: Arc::new(move |_, value, old| match old {
                None => Ok(value.as_ref().map_or(Folded::Nothing, Folded::Borrowed)),
                Some(old) => f(old, value.as_ref()).map(Into::into).map_err(Into::into),
            }),
            initial: None,
        }
    }
}
impl<K: 'static, V: 'static, A: 'static> Fold<K, V, A> {
    pub(crate) fn aggregate<E: Into<BoxError>>(
        initial: impl Fn() -> A + Send + Sync + 'static,
        f: impl Fn(&K, &V, A) -> Result<Option<A>, E> + Send + Sync + 'static,
    ) -> Self {
        let initial: Initializer<A> = Arc::new(initial);
        let start = initial.clone();
        Self {
            apply: Arc::new(move |key, value, old| {
                f(key, value, old.unwrap_or_else(|| start()))
                    .map(Into::into)
                    .map_err(Into::into)
            }),
            initial: Some(initial),
        }
    }
}
