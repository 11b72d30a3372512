//! The name that a person may have meant.

/// The known name that is nearest to `name`, if few slips of a hand lie between them.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let slips = |known: &str| strsim::damerau_levenshtein(&known.to_lowercase(), &name);
    let near = known.into_iter().map(|known| (slips(known), known));
    let near = near.filter(|(slips, known)| slips * 3 <= known.chars().count().max(name.len()) + 1);
    near.min_by_key(|(slips, _)| *slips).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_hand_finds_the_name_and_another_name_does_not() {
        let known = ["web", "api-staging", "docs"];
        for (typed, meant) in [
            ("wbe", Some("web")),
            ("Web", Some("web")),
            ("api_staging", Some("api-staging")),
            ("dosc", Some("docs")),
            ("zzz", None),
            ("w", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }
}
