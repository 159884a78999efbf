//! The function language of cases: steps joined by `|`, evaluated for one record.
use crate::value::{Dyn, FunctionFailed};

/// What the steps of an expression pass on.
#[derive(Clone, Debug, PartialEq)]
enum Current {
    Value(Dyn),
    Bool(bool),
    List(Vec<Dyn>),
}

impl Current {
    fn value(&self) -> Result<&Dyn, FunctionFailed> {
        match self {
            Self::Value(v) => Ok(v),
            Self::Bool(_) | Self::List(_) => {
                Err(FunctionFailed("a list or truth value where a value is needed".into()))
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Key,
    Value,
    Pair,
    Const(Dyn),
    Bool(bool),
    IsNull,
    NotNull,
    Eq(String),
    Ne(String),
    Contains(String),
    Starts(String),
    Gt(i64),
    Lt(i64),
    Even,
    Text,
    IfNull(String),
    Words,
    Repeat(usize),
    FailIf(String),
    OnValue(OnValue),
}

/// Steps that give null for null.
#[derive(Clone, Debug)]
enum OnValue {
    Identity,
    Upper,
    Lower,
    Append(String),
    Prepend(String),
    Length,
    ParseLong,
    Plus(i64),
    Times(i64),
    Mod(i64),
    NullIf(String),
    NullIfContains(String),
    Prefix(usize),
    Field(usize),
    WindowKey,
    WindowStart,
    WindowEnd,
}

/// A parsed expression.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    steps: Vec<Step>,
}

impl Expr {
    /// Refuses unknown steps.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let steps = text.split('|').map(parse_step).collect::<Result<_, _>>()?;
        Ok(Self { steps })
    }

    fn run(&self, key: &Dyn, value: &Dyn) -> Result<Current, FunctionFailed> {
        let mut current = Current::Value(value.clone());
        for step in &self.steps {
            current = step.apply(current, key, value)?;
        }
        Ok(current)
    }

    pub(crate) fn apply(&self, key: &Dyn, value: &Dyn) -> Result<Dyn, FunctionFailed> {
        self.run(key, value)?.value().cloned()
    }

    pub(crate) fn test(&self, key: &Dyn, value: &Dyn) -> Result<bool, FunctionFailed> {
        Ok(self.run(key, value)? == Current::Bool(true))
    }

    pub(crate) fn list(&self, key: &Dyn, value: &Dyn) -> Result<Vec<Dyn>, FunctionFailed> {
        match self.run(key, value)? {
            Current::List(list) => Ok(list),
            Current::Value(_) | Current::Bool(_) => Err(FunctionFailed("not a list".into())),
        }
    }
}

fn parse_step(text: &str) -> Result<Step, String> {
    let (name, argument) = match text.split_once(':') {
        Some((name, argument)) => (name, Some(argument)),
        None => (text, None),
    };
    let string = || {
        argument
            .map(str::to_owned)
            .ok_or_else(|| format!("function step {name} needs an argument"))
    };
    let long = || {
        string()?
            .parse::<i64>()
            .map_err(|_| format!("function step {text} needs a number"))
    };
    let count = || {
        string()?
            .parse::<usize>()
            .map_err(|_| format!("function step {text} needs a count"))
    };
    Ok(match name {
        "key" => Step::Key,
        "value" => Step::Value,
        "pair" => Step::Pair,
        "const" => Step::Const(Dyn::Text(string()?)),
        "const-long" => Step::Const(Dyn::Long(long()?)),
        "null" => Step::Const(Dyn::Null),
        "true" => Step::Bool(true),
        "false" => Step::Bool(false),
        "is-null" => Step::IsNull,
        "not-null" => Step::NotNull,
        "eq" => Step::Eq(string()?),
        "ne" => Step::Ne(string()?),
        "contains" => Step::Contains(string()?),
        "starts" => Step::Starts(string()?),
        "gt" => Step::Gt(long()?),
        "lt" => Step::Lt(long()?),
        "even" => Step::Even,
        "text" => Step::Text,
        "if-null" => Step::IfNull(string()?),
        "words" => Step::Words,
        "repeat" => Step::Repeat(count()?),
        "fail-if" => Step::FailIf(string()?),
        _ => Step::OnValue(match name {
            "identity" => OnValue::Identity,
            "upper" => OnValue::Upper,
            "lower" => OnValue::Lower,
            "append" => OnValue::Append(string()?),
            "prepend" => OnValue::Prepend(string()?),
            "length" => OnValue::Length,
            "parse-long" => OnValue::ParseLong,
            "plus" => OnValue::Plus(long()?),
            "times" => OnValue::Times(long()?),
            "mod" => OnValue::Mod(long()?),
            "null-if" => OnValue::NullIf(string()?),
            "null-if-contains" => OnValue::NullIfContains(string()?),
            "prefix" => OnValue::Prefix(count()?),
            "field" => OnValue::Field(count()?),
            "window-key" => OnValue::WindowKey,
            "window-start" => OnValue::WindowStart,
            "window-end" => OnValue::WindowEnd,
            _ => return Err(format!("unknown function step: {name}")),
        }),
    })
}

impl Step {
    fn apply(&self, current: Current, key: &Dyn, value: &Dyn) -> Result<Current, FunctionFailed> {
        let on_number = |cur: &Dyn, test: &dyn Fn(i64) -> bool| -> Result<Current, FunctionFailed> {
            Ok(Current::Bool(!cur.is_null() && test(cur.number()?)))
        };
        let on_text = |cur: &Dyn, test: &dyn Fn(&str) -> bool| Current::Bool(!cur.is_null() && test(&cur.text()));
        Ok(match self {
            Self::Key => Current::Value(key.clone()),
            Self::Value => Current::Value(value.clone()),
            Self::Pair => Current::Value(Dyn::Text(format!("{}={}", key.text(), value.text()))),
            Self::Const(constant) => Current::Value(constant.clone()),
            Self::Bool(b) => Current::Bool(*b),
            Self::IsNull => Current::Bool(current.value()?.is_null()),
            Self::NotNull => Current::Bool(!current.value()?.is_null()),
            Self::Eq(x) => Current::Bool(current.value()?.text() == *x),
            Self::Ne(x) => Current::Bool(current.value()?.text() != *x),
            Self::Contains(x) => on_text(current.value()?, &|s| s.contains(x.as_str())),
            Self::Starts(x) => on_text(current.value()?, &|s| s.starts_with(x.as_str())),
            Self::Gt(n) => on_number(current.value()?, &|v| v > *n)?,
            Self::Lt(n) => on_number(current.value()?, &|v| v < *n)?,
            Self::Even => on_number(current.value()?, &|v| v % 2 == 0)?,
            Self::Text => Current::Value(Dyn::Text(current.value()?.text())),
            Self::IfNull(x) => match current {
                Current::Value(Dyn::Null) => Current::Value(Dyn::of_text(x)),
                other => other,
            },
            Self::Words => Current::List(words(current.value()?)),
            Self::Repeat(n) => Current::List(vec![current.value()?.clone(); *n]),
            Self::FailIf(x) => {
                if current.value()?.text() == *x {
                    return Err(FunctionFailed(format!("fail-if:{x}")));
                }
                current
            }
            Self::OnValue(step) => match current.value()? {
                Dyn::Null => Current::Value(Dyn::Null),
                cur => Current::Value(step.apply(cur)?),
            },
        })
    }
}

/// As Java's `split(" ")`: empty parts at the end are left out.
fn words(cur: &Dyn) -> Vec<Dyn> {
    let text = cur.text();
    if cur.is_null() || text.is_empty() {
        return Vec::new();
    }
    let mut parts: Vec<&str> = text.split(' ').collect();
    while parts.last().is_some_and(|p| p.is_empty()) {
        parts.pop();
    }
    parts.into_iter().map(Dyn::of_text).collect()
}

impl OnValue {
    fn apply(&self, cur: &Dyn) -> Result<Dyn, FunctionFailed> {
        let window = || match cur {
            Dyn::Windowed { key, start, end } => Ok(((**key).clone(), *start, *end)),
            other => Err(FunctionFailed(format!("not a windowed key: {}", other.text()))),
        };
        Ok(match self {
            Self::Identity => cur.clone(),
            Self::Upper => Dyn::Text(cur.text().to_uppercase()),
            Self::Lower => Dyn::Text(cur.text().to_lowercase()),
            Self::Append(x) => Dyn::Text(cur.text() + x),
            Self::Prepend(x) => Dyn::Text(format!("{x}{}", cur.text())),
            Self::Length => Dyn::Long(i64::try_from(cur.text().encode_utf16().count()).unwrap_or(i64::MAX)),
            Self::ParseLong => Dyn::Long(cur.number()?),
            Self::Plus(n) => Dyn::Long(cur.number()?.wrapping_add(*n)),
            Self::Times(n) => Dyn::Long(cur.number()?.wrapping_mul(*n)),
            Self::Mod(n) => {
                let rest = cur.number()?.checked_rem(*n);
                Dyn::Long(rest.ok_or_else(|| FunctionFailed("division by zero".into()))?)
            }
            Self::NullIf(x) if cur.text() == *x => Dyn::Null,
            Self::NullIfContains(x) if cur.text().contains(x.as_str()) => Dyn::Null,
            Self::NullIf(_) | Self::NullIfContains(_) => cur.clone(),
            Self::Prefix(n) => Dyn::Text(cur.text().chars().take(*n).collect()),
            Self::Field(n) => match cur.text().split(',').nth(*n) {
                Some(part) if !part.is_empty() => Dyn::of_text(part),
                Some(_) | None => Dyn::Null,
            },
            Self::WindowKey => window()?.0,
            Self::WindowStart => Dyn::Long(window()?.1),
            Self::WindowEnd => Dyn::Long(window()?.2),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(expr: &str, value: Dyn) -> Dyn {
        Expr::parse(expr)
            .and_then(|e| e.apply(&Dyn::of_text("k"), &value).map_err(|e| e.to_string()))
            .unwrap()
    }

    #[test]
    fn steps_chain_and_null_passes_through() {
        assert_eq!(
            eval("upper|append:!|prepend:a:b", Dyn::of_text("x")),
            Dyn::of_text("a:bX!")
        );
        assert_eq!(eval("upper|plus:1", Dyn::Null), Dyn::Null);
        assert_eq!(eval("if-null:none|pair", Dyn::Null), Dyn::of_text("k=null"));
        assert_eq!(eval("field:1", Dyn::of_text("a,b")), Dyn::of_text("b"));
        assert_eq!(eval("field:1", Dyn::of_text("a,")), Dyn::Null);
        assert_eq!(eval("mod:3", Dyn::of_text("-7")), Dyn::Long(-1));
    }

    #[test]
    fn unknown_steps_are_refused() {
        assert!(Expr::parse("upper|nonsense").is_err());
    }
}
