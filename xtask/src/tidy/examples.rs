//! Every operator of the DSL shows what it does: an example in its documentation whose output is asserted.
use super::Finding;
use super::files::File;

/// Where the methods of streams, tables and groups are.
const OPERATORS: [&str; 3] = ["dsl/src/operators/", "dsl/src/grouped/", "dsl/src/stream/builder.rs"];
/// Options that operators take; the examples of the operators show them.
const OPTIONS: [&str; 2] = ["Processing", "Printed<"];

pub(crate) fn check(files: &[File]) -> Vec<Finding> {
    let operators = files.iter().filter(|f| OPERATORS.iter().any(|o| f.path.starts_with(o)));
    operators.flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (mut docs, mut of_options, mut in_docs) = (String::new(), false, false);
    for (number, line) in file.text.lines().enumerate() {
        if line.starts_with("impl") {
            of_options = OPTIONS.iter().any(|options| line.contains(&format!(" {options}")));
        }
        if let Some(text) = line.strip_prefix("    ///") {
            if !in_docs {
                docs.clear();
            }
            in_docs = true;
            docs.push_str(text);
            docs.push('\n');
            continue;
        }
        in_docs = false;
        let Some(method) = line.strip_prefix("    pub fn ").filter(|_| !of_options) else {
            if !line.starts_with("    #[") {
                docs.clear();
            }
            continue;
        };
        // What `print` writes cannot be asserted; its options can.
        let prints = method.starts_with("print(");
        if !prints && !docs.contains("assert") || !docs.contains("```") {
            let name = method.split(['(', '<']).next().unwrap_or_default();
            findings.push(format!(
                "{}:{}: `{name}` has no example with an assertion",
                file.path,
                number + 1
            ));
        }
        docs.clear();
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_without_an_asserted_example_is_named() {
        let shown = "impl S {\n    /// Does.\n    ///\n    /// ```\n    /// assert!(true);\n    /// ```\n    #[must_use]\n    pub fn shown() {}\n";
        let text = format!(
            "{shown}    /// Hides.\n    pub fn hidden<T>() {{}}\n}}\nimpl Processing {{\n    pub fn named() {{}}\n}}\n"
        );
        let file = File {
            path: "dsl/src/operators/x.rs".into(),
            text,
        };
        let found = check(&[file]);
        assert_eq!(
            found,
            ["dsl/src/operators/x.rs:10: `hidden` has no example with an assertion"]
        );
    }
}
