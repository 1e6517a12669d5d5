//! The action `graphite`: labels from the parts of a dotted name.

use crate::rule::VALUE_MAX;
use model::{LabelsBuilder, METRIC_NAME};

/// `match: "app.*.requests.*"` and `labels: {job: "$1", code: "$2"}`.
#[derive(Clone, Debug)]
pub(crate) struct Graphite {
    /// What stands between the stars.
    fixed: Vec<String>,
    labels: Vec<(String, Vec<Piece>)>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    /// From 0: what a star stands for.
    Star(usize),
}

impl Graphite {
    pub(crate) fn new(pattern: &str, labels: Vec<(String, String)>) -> Self {
        let fixed: Vec<String> = pattern.split('*').map(str::to_owned).collect();
        let labels = labels.into_iter().map(|(name, text)| (name, pieces(&text))).collect();
        Self { fixed, labels }
    }

    /// Sets the labels where the metric's name matches.
    pub(crate) fn apply(&self, labels: &mut LabelsBuilder) {
        let name = labels.get(METRIC_NAME).unwrap_or_default().to_owned();
        let Some(stars) = self.stars(&name) else { return };
        for (label, pieces) in &self.labels {
            let mut value = String::new();
            for piece in pieces {
                match piece {
                    Piece::Text(text) => value.push_str(text),
                    Piece::Star(index) => value.push_str(stars.get(*index).unwrap_or(&"")),
                }
            }
            if value.len() <= VALUE_MAX {
                labels.set(label, &value);
            }
        }
    }

    /// What each star stands for: a text without dots.
    fn stars<'a>(&self, name: &'a str) -> Option<Vec<&'a str>> {
        let mut rest = name.strip_prefix(self.fixed.first()?.as_str())?;
        let mut stars = Vec::new();
        for (index, fixed) in self.fixed.iter().enumerate().skip(1) {
            let is_last = index + 1 == self.fixed.len();
            let length = match (fixed.as_str(), is_last) {
                ("", true) => rest.len(),
                (fixed, true) => rest.len().checked_sub(fixed.len())?,
                (fixed, false) => rest.find(fixed)?,
            };
            let (star, after) = rest.split_at_checked(length)?;
            if star.contains('.') {
                return None;
            }
            stars.push(star);
            rest = after.strip_prefix(fixed.as_str())?;
        }
        rest.is_empty().then_some(stars)
    }
}

/// `a-$1-b` as pieces; `$0` and a `$` before no digit are text.
fn pieces(text: &str) -> Vec<Piece> {
    let mut parts = text.split('$');
    let mut pieces = vec![Piece::Text(parts.next().unwrap_or_default().to_owned())];
    for part in parts {
        let braced = part.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (number, after) = braced.unwrap_or_else(|| part.split_at(digits));
        match number.parse::<usize>() {
            Ok(number) if number > 0 => {
                pieces.push(Piece::Star(number - 1));
                pieces.push(Piece::Text(after.to_owned()));
            }
            _ => pieces.push(Piece::Text(format!("${part}"))),
        }
    }
    pieces
}
