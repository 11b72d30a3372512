//! The name that a person may have meant.

/// How like two names have to be.
const LIKE: f64 = 0.75;

/// The known name that is nearest to `name`, if one is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let like = |known: &&str| strsim::jaro_winkler(&known.to_lowercase(), &name);
    let near = known.into_iter().map(|known| (like(&known), known));
    let near = near.filter(|(likeness, _)| *likeness > LIKE);
    near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
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
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }
}
