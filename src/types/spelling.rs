//! "Did you mean …?": how far words are from each other, and the known name nearest to a misspelt one.

/// The candidate with the fewest edits from `name`, letter case counting least, if it is near enough to be
/// a likely slip: at most a third of the letters may differ.
pub fn closest_name<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let limit = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter_map(|candidate| Some((edit_distance(name, candidate, limit)?, candidate)))
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// How many letters must be changed, added, left out or swapped with their neighbour (Damerau and Levenshtein) to make a
/// word of another, whatever their case; none if more than `most`.
pub fn edit_distance(wanted: &str, candidate: &str, most: usize) -> Option<usize> {
    let letters = |word: &str| word.to_lowercase().chars().collect::<Vec<char>>();
    let (wanted, other) = (letters(wanted), letters(candidate));
    if wanted.len().abs_diff(other.len()) > most {
        return None;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in wanted.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, counterpart) in other.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != counterpart);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped =
                row > 0 && column > 0 && *letter == other[column - 1] && wanted[row - 1] == *counterpart;
            if swapped {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().filter(|distance| *distance <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Option<&str>) {
        let known = ["Person", "City", "LivesIn", "a"];
        assert_eq!(closest_name(name, known).as_deref(), expected);
    }

    #[test]
    fn slips_are_recognized_and_strangers_are_not() {
        check("person", Some("Person"));
        check("Presno", Some("Person"));
        check("Citty", Some("City"));
        check("Lives_In", Some("LivesIn"));
        check("Company", None);
        check("b", Some("a"));
        check("", Some("a"));
    }
}
