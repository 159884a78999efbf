//! Rust source without its comments and literals, so that rules about code do not trip over words.

/// The same number of lines; comments, strings and characters are blank.
pub(crate) fn code_of(source: &str) -> String {
    let mut lexer = Lexer {
        rest: source,
        code: String::with_capacity(source.len()),
    };
    while lexer.step() {}
    lexer.code
}

struct Lexer<'a> {
    rest: &'a str,
    code: String,
}

impl Lexer<'_> {
    /// Takes one piece of the source; false at its end.
    fn step(&mut self) -> bool {
        if self.rest.starts_with("//") {
            self.blank(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.blank(block_comment(self.rest));
        } else if let Some(length) = self.literal() {
            self.blank(length);
        } else if let Some(c) = self.rest.chars().next() {
            self.code.push(c);
            self.rest = self.rest.get(c.len_utf8()..).unwrap_or_default();
        } else {
            return false;
        }
        true
    }

    /// Length of the literal that starts here.
    fn literal(&self) -> Option<usize> {
        // `r` or `b` at the end of a word is no prefix.
        let inside_word = self.code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let prefix = if inside_word {
            0
        } else {
            self.rest.find(|c| !matches!(c, 'r' | 'b' | 'c'))?
        };
        let body = self.rest.get(prefix..)?;
        let raw = self.rest.get(..prefix)?.contains('r');
        if raw {
            let hashes = body.find(|c| c != '#')?;
            if !body.get(hashes..)?.starts_with('"') {
                return None;
            }
            let end = format!("\"{}", "#".repeat(hashes));
            let inner = body.get(hashes + 1..)?;
            return Some(prefix + hashes + 1 + inner.find(&end).map_or(inner.len(), |i| i + end.len()));
        }
        match body.chars().next()? {
            '"' => Some(prefix + quoted(body, '"')),
            '\'' if is_character(body) => Some(prefix + quoted(body, '\'')),
            _ => None,
        }
    }

    fn blank(&mut self, length: usize) {
        let (gone, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.code.extend(gone.chars().filter(|c| *c == '\n'));
        self.code.push(' ');
        self.rest = rest;
    }
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(rest) = text.get(at..).filter(|r| !r.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth = depth.saturating_sub(1);
            at += 2;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Length with both quotes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if !escaped && c == quote {
            return at + 1;
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}

/// A character literal, not a lifetime.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> String {
        code_of(source).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_literals_are_blank() {
        assert_eq!(words("a /* x /* y */ z */ b // c\nd"), "a b d");
        assert_eq!(words(r#"f("unsafe \" {") + 1"#), "f( ) + 1");
        assert_eq!(words("g(r#\"unsafe \" {\"#, b\"x\", br\"y\")"), "g( , , )");
        assert_eq!(words(r"h('\'', 'x', b'\n')"), "h( , , )");
    }

    #[test]
    fn lifetimes_and_words_that_end_like_prefixes_stay() {
        assert_eq!(
            words("fn f<'a>(x: &'a str) -> &'a str"),
            "fn f<'a>(x: &'a str) -> &'a str"
        );
        assert_eq!(words("let number = var\"text\";"), "let number = var ;");
    }

    #[test]
    fn lines_are_kept() {
        assert_eq!(code_of("a\n/*\n\n*/\n\"x\ny\"\nb").lines().count(), 7);
    }
}
