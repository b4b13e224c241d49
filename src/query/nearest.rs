//! "Did you mean": the name that is nearest to a mistyped one.

/// The nearest of some names; `None` where none is near.
pub(super) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let best = names.into_iter().map(|other| (distance(&name, &other.to_lowercase()), other)).min()?;
    (best.0 <= best.1.chars().count().max(name.chars().count()) / 2).then_some(best.1)
}

/// Levenshtein distance in characters.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replace = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_single_steps() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn only_a_near_name_is_offered() {
        let names = ["eventname", "eventtime", "actor"];
        assert_eq!(nearest("eventNam", names), Some("eventname"));
        assert_eq!(nearest("entirely different", names), None);
    }
}
