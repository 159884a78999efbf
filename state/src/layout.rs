//! How are the rows of a store laid out, and may a changed topology read them?
//!
//! A store is known by its name alone, so a topology that changes its kind would find rows of another shape. The layout
//! is written beside the marks and compared when the task is opened.
use std::fmt;

use crate::{StoreKind, StoreSpec, appended};

/// What the rows of most stores are written in. A format grows when the bytes of rows change; rows of older ones are read.
const FORMAT: u32 = 1;
/// Of stores with duplicates and without times: rows, and chunks of them. In format 1 there were only rows.
const CHUNKS: u32 = 2;

/// What decides the bytes of a store's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Also decides the bytes of the changelog.
    kind: String,
    format: u32,
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
            format: if appended::suits(kind) { CHUNKS } else { FORMAT },
            filing,
        }
    }

    /// Reads what `Display` wrote.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let parts = || {
            let (kind, filed) = text.split_once(FILED)?;
            let (format, filing) = filed.strip_prefix(FORMAT_IS)?.split_once(", ")?;
            let layout = Self {
                kind: kind.to_owned(),
                format: format.parse().ok()?,
                filing: filing.to_owned(),
            };
            (layout.to_string() == text).then_some(layout)
        };
        // Of damage, or of a version that wrote something else.
        parts().unwrap_or_else(|| Self {
            kind: text.split_once(FILED).map_or(&*text, |(kind, _)| kind).to_owned(),
            format: 0,
            filing: String::new(),
        })
    }

    /// `logged`: there is a changelog the rows can be made of.
    pub(crate) fn differs_from(&self, found: &Self, logged: bool) -> Change {
        let is_read = (1..=self.format).contains(&found.format);
        if self.kind == found.kind && self.filing == found.filing && is_read {
            Change::None
        } else if self.kind == found.kind && logged {
            Change::Rows
        } else {
            Change::Kind
        }
    }
}

const FILED: &str = " / ";
const FORMAT_IS: &str = "format ";

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, format, filing } = self;
        write!(f, "{kind}{FILED}{FORMAT_IS}{format}, {filing}")
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
    fn rows_of_an_older_format_are_read_and_those_of_a_newer_one_are_not() {
        let present = Layout::of(&StoreKind::Window {
            timestamped: false,
            window_size_ms: 10,
            retention_ms: 100,
            segment_interval_ms: 50,
            retain_duplicates: true,
        });
        let of_format = |format: u32| {
            let text = present.to_string().replace("format 2", &format!("format {format}"));
            Layout::read(text.as_bytes())
        };
        assert_ne!(of_format(1), present);
        let changes = [0, 1, 2, 3].map(|format| present.differs_from(&of_format(format), true));
        assert_eq!(changes, [Change::Rows, Change::None, Change::None, Change::Rows]);
        assert_eq!(present.differs_from(&of_format(3), false), Change::Kind);
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
