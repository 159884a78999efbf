//! Best and median of several runs, and how a figure is written.

/// The highest.
pub(crate) fn best(rates: &[f64]) -> Option<f64> {
    rates.iter().copied().max_by(f64::total_cmp)
}

/// The mean of the two in the middle when their number is even.
pub(crate) fn median(rates: &[f64]) -> Option<f64> {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}

/// `2 510`: tens are enough from a hundred on.
pub(crate) fn figure(value: Option<f64>) -> String {
    let Some(value) = value else {
        return "–".to_owned();
    };
    let rounded = if value < 100.0 {
        value.round()
    } else {
        (value / 10.0).round() * 10.0
    };
    let digits = format!("{rounded}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_between_the_two_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 10.0]), Some(3.0));
        assert_eq!(median(&[3.0, 1.0, 10.0, 5.0]), Some(4.0));
        assert_eq!(best(&[3.0, 1.0, 10.0, 5.0]), Some(10.0));
        assert_eq!((median(&[]), best(&[])), (None, None));
    }

    #[test]
    fn figures_have_groups_of_three_digits_and_no_false_precision() {
        let told = [53.4, 146.0, 994.9, 996.0, 2_514.0, 1_234_567.0].map(|v| figure(Some(v)));
        assert_eq!(told, ["53", "150", "990", "1 000", "2 510", "1 234 570"]);
        assert_eq!(figure(None), "–");
    }
}
