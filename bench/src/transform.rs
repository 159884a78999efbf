//! What `relay` does with a value, and nothing else: the same function for Millstream and for the bare loop.

/// The number between the first and the second comma, with what is before and behind it.
fn parts(value: &str) -> Option<(&str, i32, &str)> {
    let (number, rest) = value.split_once(',')?;
    let (amount, padding) = rest.split_once(',')?;
    Some((number, amount.parse().ok()?, padding))
}

/// Whether the record goes on.
pub fn passes(value: &str) -> bool {
    parts(value).is_some_and(|(_, amount, _)| amount % 10 != 0)
}

/// The same text with the amount multiplied by three.
pub fn triple(value: &str) -> String {
    parts(value).map_or_else(String::new, |(number, amount, padding)| {
        format!("{number},{},{padding}", amount * 3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_dropped_and_the_amount_is_tripled() {
        assert!(passes("17,1234,pad,ding"));
        assert!(!passes("17,1230,padding"));
        assert_eq!(triple("17,1234,pad,ding"), "17,3702,pad,ding");
    }
}
