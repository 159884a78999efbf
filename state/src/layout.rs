//! How are the rows of a store laid out, and may a changed topology read them?
//!
//! A store is known by its name alone, so a topology that changes its kind would find rows of another shape. The layout
//! is written beside the marks and compared when the task is opened.
use std::fmt;

use crate::{StoreKind, StoreSpec};

/// Grows when the bytes of rows change: stores of an older version are restored from their changelogs.
const FORMAT: u32 = 1;

/// What decides the bytes of a store's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Also decides the bytes of the changelog.
    kind: String,
    /// Decides only where and how rows are filed here.
    filing: String,
}

/// What a changed layout means for the rows there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// They can be read.
    None,
    /// They cannot, but the changelog makes them anew.
    Rows,
    /// The changelog would not help either, or there is none.
    Kind,
}

impl Layout {
    pub(crate) fn of_store(spec: &StoreSpec) -> Self {
        let mut layout = Self::of(&spec.kind);
        if spec.keeps_headers() {
            layout.filing.push_str(", with headers");
        }
        layout
    }

    pub(crate) fn of(kind: &StoreKind) -> Self {
        let (name, filing) = match *kind {
            StoreKind::KeyValue { timestamped } => ("key-value", format!("timestamped {timestamped}")),
            StoreKind::Window {
                timestamped,
                segment_interval_ms,
                retain_duplicates: false,
                ..
            } => (
                "window",
                format!("timestamped {timestamped}, segments of {segment_interval_ms} ms"),
            ),
            StoreKind::Window {
                timestamped,
                segment_interval_ms,
                ..
            } => (
                "window with duplicates",
                // The layout of stores without times has the name it had before there were others.
                format!(
                    "{}segments of {segment_interval_ms} ms",
                    if timestamped { "timestamped, " } else { "" }
                ),
            ),
            StoreKind::Session {
                segment_interval_ms, ..
            } => ("session", format!("segments of {segment_interval_ms} ms")),
            StoreKind::Versioned {
                segment_interval_ms, ..
            } => (
                "versioned",
                format!("a row for each version, segments of {segment_interval_ms} ms"),
            ),
            // Its rows are never on disk, its changelog is that of a key-value store.
            StoreKind::Lru { timestamped, .. } => ("key-value", format!("timestamped {timestamped}")),
            StoreKind::Raw => ("raw", String::new()),
            StoreKind::Suppress => ("suppress", String::new()),
            StoreKind::RecordBuffer => ("record buffer", String::new()),
        };
        Self {
            kind: name.to_owned(),
            filing: format!("format {FORMAT}, {filing}"),
        }
    }

    /// Reads what `Display` wrote.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (kind, filing) = text.split_once(FILED).unwrap_or((&text, ""));
        Self {
            kind: kind.to_owned(),
            filing: filing.to_owned(),
        }
    }

    /// `logged`: there is a changelog the rows can be made of.
    pub(crate) fn differs_from(&self, found: &Self, logged: bool) -> Change {
        if self == found {
            Change::None
        } else if self.kind == found.kind && logged {
            Change::Rows
        } else {
            Change::Kind
        }
    }
}

const FILED: &str = " / ";

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{FILED}{}", self.kind, self.filing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LoggedHeaders, StoreBackend};

    #[test]
    fn a_layout_reads_what_it_wrote() {
        for kind in [StoreKind::KeyValue { timestamped: true }, StoreKind::Raw] {
            let layout = Layout::of(&kind);
            assert_eq!(Layout::read(layout.to_string().as_bytes()), layout);
        }
    }

    #[test]
    fn rows_that_keep_headers_or_times_are_no_other_rows() {
        let store = |kind, logged_headers| {
            Layout::of_store(&StoreSpec {
                name: "store".into(),
                kind,
                backend: StoreBackend::Persistent,
                caching: false,
                logging: true,
                logged_headers,
            })
        };
        let kind = StoreKind::KeyValue { timestamped: true };
        let plain = store(kind.clone(), LoggedHeaders::Never);
        assert_eq!(plain, Layout::of(&kind));
        assert_eq!(
            store(kind, LoggedHeaders::Kept).differs_from(&plain, true),
            Change::Rows
        );
        let duplicates = |timestamped| {
            Layout::of(&StoreKind::Window {
                timestamped,
                window_size_ms: 10,
                retention_ms: 100,
                segment_interval_ms: 50,
                retain_duplicates: true,
            })
        };
        assert_eq!(duplicates(true).differs_from(&duplicates(false), true), Change::Rows);
    }

    #[test]
    fn what_the_changelog_makes_anew_is_not_refused() {
        let layout = |timestamped| Layout::of(&StoreKind::KeyValue { timestamped });
        assert_eq!(layout(true).differs_from(&layout(true), false), Change::None);
        assert_eq!(layout(true).differs_from(&layout(false), true), Change::Rows);
        assert_eq!(layout(true).differs_from(&layout(false), false), Change::Kind);
        assert_eq!(
            layout(true).differs_from(&Layout::of(&StoreKind::Raw), true),
            Change::Kind
        );
    }
}
