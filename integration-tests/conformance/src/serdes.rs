//! The serdes of cases by name, over dynamic values.
use crate::value::Dyn;

/// A serde that a case names. Case format, section 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SerdeKind {
    Text,
    Long,
    Int,
    Double,
    Bytes,
    /// Text, failing on `poison` in both directions.
    Picky,
    TimeWindowed(Box<SerdeKind>, i64),
    SessionWindowed(Box<SerdeKind>),
}

/// Why a serde refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// The bytes or the text cannot be.
    #[error("{0}")]
    Bytes(&'static str),
    /// The serde is for another type.
    #[error("the value is of another type than the serde")]
    WrongType,
}

impl SerdeKind {
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        let mut parts = name.split(':');
        let inner = |parts: &mut std::str::Split<'_, char>| {
            parts
                .next()
                .ok_or_else(|| format!("serde {name} needs an inner serde"))
                .and_then(Self::parse)
                .map(Box::new)
        };
        Ok(match parts.next().unwrap_or_default() {
            "string" => Self::Text,
            "long" => Self::Long,
            "int" => Self::Int,
            "double" => Self::Double,
            "bytes" => Self::Bytes,
            "picky" => Self::Picky,
            "time-windowed" => {
                let inner = inner(&mut parts)?;
                let size = parts.next().and_then(|n| n.parse().ok());
                Self::TimeWindowed(inner, size.ok_or_else(|| format!("serde {name} needs a window size"))?)
            }
            "session-windowed" => Self::SessionWindowed(inner(&mut parts)?),
            _ => return Err(format!("unknown serde: {name}")),
        })
    }

    /// The same, but reading and writing everything; events and reports use it.
    pub(crate) fn lenient(&self) -> Self {
        if *self == Self::Picky { Self::Text } else { self.clone() }
    }

    /// Appends the bytes of a value that is not null.
    pub(crate) fn encode(&self, value: &Dyn, out: &mut Vec<u8>) -> Result<(), Refused> {
        match (self, value) {
            (Self::Picky, Dyn::Text(s)) if s == "poison" => return Err(Refused::Bytes("poison")),
            (Self::Text | Self::Picky, Dyn::Text(s)) => out.extend_from_slice(s.as_bytes()),
            (Self::Long, Dyn::Long(n)) => out.extend_from_slice(&n.to_be_bytes()),
            (Self::Int, Dyn::Int(n)) => out.extend_from_slice(&n.to_be_bytes()),
            (Self::Double, Dyn::Double(n)) => out.extend_from_slice(&n.to_be_bytes()),
            (Self::Bytes, Dyn::Bytes(b)) => out.extend_from_slice(b),
            (Self::TimeWindowed(inner, _), Dyn::Windowed { key, start, .. }) => {
                inner.encode(key, out)?;
                out.extend_from_slice(&start.to_be_bytes());
            }
            (Self::SessionWindowed(inner), Dyn::Windowed { key, start, end }) => {
                inner.encode(key, out)?;
                out.extend_from_slice(&end.to_be_bytes());
                out.extend_from_slice(&start.to_be_bytes());
            }
            _ => return Err(Refused::WrongType),
        }
        Ok(())
    }

    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<Dyn, Refused> {
        match self {
            Self::Text => Ok(Dyn::Text(String::from_utf8_lossy(bytes).into_owned())),
            Self::Picky if bytes == b"poison" => Err(Refused::Bytes("poison")),
            Self::Picky => Self::Text.decode(bytes),
            Self::Long => fixed(bytes).map(|b| Dyn::Long(i64::from_be_bytes(b))),
            Self::Int => fixed(bytes).map(|b| Dyn::Int(i32::from_be_bytes(b))),
            Self::Double => fixed(bytes).map(|b| Dyn::Double(f64::from_be_bytes(b))),
            Self::Bytes => Ok(Dyn::Bytes(bytes.to_vec())),
            Self::TimeWindowed(inner, size) => {
                let (key, start) = split_time(bytes)?;
                let key = Box::new(inner.decode(key)?);
                Ok(Dyn::Windowed {
                    key,
                    start,
                    end: start.saturating_add(*size),
                })
            }
            Self::SessionWindowed(inner) => {
                let (rest, start) = split_time(bytes)?;
                let (key, end) = split_time(rest)?;
                Ok(Dyn::Windowed {
                    key: Box::new(inner.decode(key)?),
                    start,
                    end,
                })
            }
        }
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Refused> {
    bytes.try_into().map_err(|_| Refused::Bytes("wrong number of bytes"))
}

fn split_time(bytes: &[u8]) -> Result<(&[u8], i64), Refused> {
    let (rest, time) = bytes
        .split_last_chunk::<8>()
        .ok_or(Refused::Bytes("too short for a windowed key"))?;
    Ok((rest, i64::from_be_bytes(*time)))
}
