//! Joiners, initializers and folds by name.
use crate::value::{Dyn, FunctionFailed};

/// Joins two values, either of which may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joiner {
    Concat,
    WithKey,
    Sum,
    Left,
    Right,
    NullIfSame,
    FailIfSame,
}

impl Joiner {
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        Ok(match name {
            "concat" => Self::Concat,
            "with-key" => Self::WithKey,
            "sum" => Self::Sum,
            "left" => Self::Left,
            "right" => Self::Right,
            "null-if-same" => Self::NullIfSame,
            "fail-if-same" => Self::FailIfSame,
            _ => return Err(format!("unknown joiner: {name}")),
        })
    }

    pub(crate) fn apply(self, key: &Dyn, left: &Dyn, right: &Dyn) -> Result<Dyn, FunctionFailed> {
        let concat = || Dyn::Text(format!("{}+{}", left.text(), right.text()));
        Ok(match self {
            Self::Concat => concat(),
            Self::WithKey => Dyn::Text(format!("{}:{}+{}", key.text(), left.text(), right.text())),
            Self::Sum => Dyn::Long(left.number()?.wrapping_add(right.number()?)),
            Self::Left => left.clone(),
            Self::Right => right.clone(),
            Self::NullIfSame if left == right => Dyn::Null,
            Self::FailIfSame if left == right => return Err(FunctionFailed("fail-if-same".into())),
            Self::NullIfSame | Self::FailIfSame => concat(),
        })
    }
}

/// The first value of an aggregation.
pub(crate) fn initializer(name: &str) -> Result<Dyn, String> {
    if let Some(constant) = name.strip_prefix("const:") {
        return Ok(Dyn::of_text(constant));
    }
    match name {
        "empty" => Ok(Dyn::of_text("")),
        "zero" => Ok(Dyn::Long(0)),
        "null" => Ok(Dyn::Null),
        _ => Err(format!("unknown initializer: {name}")),
    }
}

/// Aggregators, adders, subtractors, reducers and session mergers.
#[derive(Clone, Debug)]
pub(crate) enum Fold {
    Joined(&'static str),
    Sum,
    Sub,
    Max,
    Min,
    Count,
    First,
    Last,
    NullIf(String),
    NullBelow(i64),
    FailIf(String),
}

impl Fold {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, argument) = text
            .split_once(':')
            .map_or((text, ""), |(name, argument)| (name, argument));
        Ok(match name {
            "concat" => Self::Joined(""),
            "plus" => Self::Joined("+"),
            "minus" => Self::Joined("-"),
            "and" => Self::Joined("&"),
            "sum" => Self::Sum,
            "sub" => Self::Sub,
            "max" => Self::Max,
            "min" => Self::Min,
            "count" => Self::Count,
            "first" => Self::First,
            "last" => Self::Last,
            "null-if" => Self::NullIf(argument.to_owned()),
            "null-below" => Self::NullBelow(argument.parse().map_err(|_| format!("{text} needs a number"))?),
            "fail-if" => Self::FailIf(argument.to_owned()),
            _ => return Err(format!("unknown aggregator: {text}")),
        })
    }

    /// The running result and the next value to the new result.
    pub(crate) fn apply(&self, agg: &Dyn, next: &Dyn) -> Result<Dyn, FunctionFailed> {
        let concat = |between: &str| Dyn::Text(format!("{}{between}{}", agg.text(), next.text()));
        Ok(match self {
            Self::Joined(between) => concat(between),
            Self::Sum => Dyn::Long(agg.number()?.wrapping_add(next.number()?)),
            Self::Sub => Dyn::Long(agg.number()?.wrapping_sub(next.number()?)),
            Self::Max if !agg.is_null() => Dyn::Long(agg.number()?.max(next.number()?)),
            Self::Min if !agg.is_null() => Dyn::Long(agg.number()?.min(next.number()?)),
            Self::Max | Self::Min => Dyn::Long(next.number()?),
            Self::Count => Dyn::Long(agg.number()?.wrapping_add(1)),
            Self::First => agg.clone(),
            Self::Last => next.clone(),
            Self::NullIf(x) if next.text() == *x => Dyn::Null,
            Self::FailIf(x) if next.text() == *x => return Err(FunctionFailed(format!("fail-if:{x}"))),
            Self::NullIf(_) | Self::FailIf(_) => concat(""),
            Self::NullBelow(limit) => {
                let sum = agg.number()?.wrapping_add(next.number()?);
                if sum < *limit { Dyn::Null } else { Dyn::Long(sum) }
            }
        })
    }
}
