//! The intended differences between Prometheus 2.42 and Prometheus 3. The server answers like
//! Prometheus 3; where it does not, docs/prometheus-differences.md says why.
//!
//! Some differences need no entry here, because the data or the comparison avoid them: windows and
//! lookback include their left edge in 2.42 (no sample is on an edge); annotations (`warnings`,
//! `infos`) exist only in 3 (they are not compared); native histograms behave differently behind
//! 2.42's flag (none are sent).

use super::answers::Answer;

pub(super) struct Known {
    pub name: &'static str,
    /// An explanation for the reader.
    pub _reason: &'static str,
    /// Whether the difference explains these answers: the query, Prometheus' answer, the server's.
    pub applies: fn(&str, &Answer, &Answer) -> bool,
}

/// `holt_winters` is `double_exponential_smoothing` in 3; the same query is sent with both names.
pub(super) const RENAMED: &str = "renamed function";

pub(super) fn renamed(query: &str) -> String {
    query.replace("holt_winters", "double_exponential_smoothing")
}

const MATCH_PARAMETER: &str = "invalid parameter \"match[]\": ";

/// The beginning of errors of range queries in 3, which those of instant queries always had.
pub(super) const QUERY_PARAMETER: &str = "invalid parameter \"query\": ";

pub(super) const TABLE: &[Known] = &[
    Known {
        name: "dot and newline",
        _reason: "in 3 a dot matches a newline too",
        applies: |query, _, _| {
            query.contains("\"one.two\"") || query.contains("\"text\", \"(.*)\"")
        },
    },
    Known {
        name: "named parameter",
        _reason: "more errors about selectors begin with the name of the parameter",
        applies: |_, theirs, ours| {
            let parameters = [MATCH_PARAMETER, QUERY_PARAMETER];
            parameters.iter().any(|name| ours.error == format!("{name}{}", theirs.error))
        },
    },
    Known {
        name: "atan2 keeps names",
        _reason: "in 3 atan2 drops the metric name like every other arithmetic operator",
        applies: |query, theirs, ours| {
            let collide = ours.error == "vector cannot contain metrics with the same labelset";
            let apart = theirs.error.starts_with("vector cannot contain metrics with the same");
            query.contains("atan2") && (theirs.status == 200 || collide || apart)
        },
    },
    Known {
        name: "series that take turns",
        _reason: "in 3 the negatives of series that differ by name alone are one series, where they \
                  are never there at once",
        applies: |query, theirs, ours| {
            let collide = theirs.error == "vector cannot contain metrics with the same labelset";
            query.contains('-') && collide && ours.status == 200
        },
    },
    Known {
        name: "signs of zeros",
        _reason: "3 sums with a compensation that turns -0 into 0; sorting for a quantile may put \
                  either zero first",
        applies: |query, theirs, ours| {
            let names = ["quantile", "sum", "avg", "topk", "bottomk"];
            names.iter().any(|name| query.contains(name))
                && !theirs.data.is_null()
                && unsigned_zeros(theirs) == unsigned_zeros(ours)
        },
    },
    Known {
        name: "extrapolation to zero",
        _reason: "3 extrapolates by half an interval at most where a series begins in the window",
        applies: |query, theirs, _| {
            let sparse = ["twice", "gaps", "pod", "irregular_total", "odd", "flapping"];
            theirs.status == 200
                && ["rate(", "increase("].iter().any(|name| query.contains(name))
                && sparse.iter().any(|name| query.contains(name))
        },
    },
    Known {
        name: "NaN as a count",
        _reason: "3 says that the parameter is NaN, 2.42 that it is no integer",
        applies: |_, theirs, ours| {
            theirs.error == "Scalar value NaN overflows int64"
                && ours.error == "Parameter value is NaN"
        },
    },
    Known {
        name: "matches that are filtered",
        _reason: "in 3 many to one is an error even where a comparison drops all but one",
        applies: |_, theirs, ours| {
            theirs.status == 200 && ours.error.starts_with("multiple matches for labels: ")
        },
    },
    Known {
        name: "which error of matching",
        _reason: "which duplicate an error names, and which of two errors comes first, follows the \
                  order in the store and in the engine",
        applies: |_, theirs, ours| {
            let errors = ["found duplicate series for the match group", "multiple matches for"];
            let is_one = |answer: &Answer| errors.iter().any(|text| answer.error.starts_with(text));
            is_one(theirs) && is_one(ours)
        },
    },
    Known {
        name: "which of equals",
        _reason: "3 replaces the worst of the largest where 2 takes it out and puts another in, so \
                  that other equals are the next to go",
        applies: |query, theirs, ours| {
            let names = ["topk", "bottomk"];
            names.iter().any(|name| query.starts_with(name)) && same_values(theirs, ours)
        },
    },
    Known {
        name: "names in UTF-8",
        _reason: "in 3 every text is a name of a label",
        applies: |query, theirs, ours| {
            ours.status == 200
                && (theirs.error.contains("label name") || query == "sum(up) by (\"job\")")
        },
    },
    Known {
        name: "predict_linear of the past",
        _reason: "2.42 loses samples of a window that @ holds still; 3 does not",
        applies: |query, theirs, _| {
            query.contains("predict_linear") && query.contains('@') && theirs.status == 200
        },
    },
    Known {
        name: "durations and numbers",
        _reason: "in 3 a number is a duration, a duration may be an expression, and digits may be \
                  grouped by _; errors about them read otherwise",
        applies: |query, theirs, _| {
            const QUERIES: [&str; 13] = [
                "up[]",
                "up[5]",
                "up[5x]",
                "up[-5m]",
                "up[5m:x]",
                "up offset",
                "up offset 5",
                "up offset x",
                "1e",
                "0xg",
                "sum(up{job=\"x\"} offset)",
                "1..2",
                "1_000",
            ];
            theirs.status == 400 && QUERIES.contains(&query)
        },
    },
    Known {
        name: "@ has no name",
        _reason: "2.42 calls a misplaced @ by its number in the grammar",
        applies: |_, theirs, ours| theirs.error.replace("\"<Item 57385>\" ", "") == ours.error,
    },
    Known {
        name: "regex as written",
        _reason: "errors show a pattern as it was written in 3, and with its anchors in 2.42",
        applies: |_, theirs, ours| {
            let unanchored = theirs.error.replace("^(?:", "").replace(")$`", "`");
            theirs.status == ours.status && unanchored == ours.error
        },
    },
    Known {
        name: RENAMED,
        _reason: "the new name and its length show in errors",
        applies: |query, theirs, ours| {
            query.contains("holt_winters") && theirs.status == 400 && ours.status == 400
        },
    },
    Known {
        name: "NaN as a parameter",
        _reason: "2.42 takes NaN for a time or a step as whatever integer comes out",
        applies: |query, _, ours| query.ends_with("=NaN") && ours.status == 400,
    },
];

fn unsigned_zeros(answer: &Answer) -> String {
    answer.data.to_string().replace("\"-0\"", "\"0\"")
}

/// The same values at each time, regardless of which series has them.
fn same_values(theirs: &Answer, ours: &Answer) -> bool {
    let values = |answer: &Answer| {
        let mut points = Vec::new();
        for one in answer.data["result"].as_array().into_iter().flatten() {
            match one["values"].as_array() {
                Some(all) => points.extend(all.iter().map(ToString::to_string)),
                None => points.push(one["value"].to_string()),
            }
        }
        points.iter_mut().for_each(|point| *point = point.replace("\"-0\"", "\"0\""));
        points.sort();
        points
    };
    theirs.status == 200 && ours.status == 200 && values(theirs) == values(ours)
}
