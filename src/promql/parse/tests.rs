use super::*;
use crate::prettify;
use model::AnchoredRegex;
use platform::{OsRandom, Random, SeededRandom};
use proptest::prelude::*;

fn parsed(query: &str) -> Expr {
    match parse(query, &ParseOptions::everything()) {
        Ok(expr) => expr,
        Err(error) => panic!("{query}: {error}"),
    }
}

fn refused(query: &str) -> String {
    match parse(query, &ParseOptions::everything()) {
        Ok(expr) => panic!("{query} was taken for {expr}"),
        Err(error) => error.to_string(),
    }
}

/// A query and how it prints.
#[test]
fn queries_print_in_their_canonical_form() {
    for (query, printed) in [
        ("1 + 2 * 3", "1 + 2 * 3"),
        ("-1 ^ 2", "-1 ^ 2"),
        ("- x ^ 2", "-x ^ 2"),
        ("2 ^ 3 ^ 2", "2 ^ 3 ^ 2"),
        ("0x1F", "31"),
        ("1_000", "1000"),
        ("1h30m", "1h30m"),
        ("+iNf", "+Inf"),
        ("NAN", "NaN"),
        ("x{a='b',}", "x{a=\"b\"}"),
        (
            "{\"my.metric\", \"my label\" =~ 'a|b'}",
            "{\"my label\"=~\"a|b\",__name__=\"my.metric\"}",
        ),
        ("sum by (a,b,) (x)", "sum by (a, b) (x)"),
        ("sum (x) without (a)", "sum without (a) (x)"),
        ("sum by (\"a b\") (x)", "sum by (\"a b\") (x)"),
        ("topk(3, x)", "topk(3, x)"),
        ("rate(x[90s] offset -5m)", "rate(x[1m30s] offset -5m)"),
        ("x @ 3 offset 1m", "x @ 3.000 offset 1m"),
        ("x offset 1m @ end()", "x @ end() offset 1m"),
        ("rate(x[5m:])", "rate(x[5m:])"),
        (
            "max_over_time(rate(x[1m])[1h:5m] @ start())",
            "max_over_time(rate(x[1m])[1h:5m] @ start())",
        ),
        ("x > bool y", "x > bool y"),
        ("x * on (a) group_left (b) y", "x * on (a) group_left (b) y"),
        ("x - ignoring (a,) y", "x - ignoring (a) y"),
        ("x + on () y", "x + on () y"),
        ("x and y or z unless w", "x and y or z unless w"),
        ("x atan2 y", "x atan2 y"),
        ("x </ 3", "x </ 3"),
        ("rate(x[5m] anchored)", "rate(x[5m] anchored)"),
        ("x smoothed", "x smoothed"),
        ("x + fill(0) y", "x + fill (0) y"),
        ("x[step() * 2]", "x[step() * 2]"),
        ("x[max_of(5m, step())]", "x[max_of(5m, step())]"),
        ("\"a\\tb\"", "\"a\\tb\""),
        ("`a\\b`", "\"a\\\\b\""),
        ("x # the rest is silence\n + y", "x + y"),
        ("sum", "sum"),
        ("offset offset 5m", "offset offset 5m"),
        ("by{by=\"by\"}", "by{by=\"by\"}"),
        ("start + end", "start + end"),
    ] {
        assert_eq!(parsed(query).to_string(), printed, "{query}");
    }
}

/// A query and what is wrong with it.
#[test]
fn errors_name_their_place() {
    for (query, error) in [
        ("", "no expression found in input"),
        ("1 +", "1:4: parse error: unexpected end of input"),
        ("(1", "1:3: parse error: unclosed left parenthesis"),
        ("1)", "1:3: parse error: unexpected right parenthesis ')'"),
        ("x{", "1:3: parse error: unexpected end of input inside braces"),
        ("x y", "1:3: parse error: unexpected identifier \"y\""),
        ("x\n  y", "2:3: parse error: unexpected identifier \"y\""),
        ("nope(x)", "1:1: parse error: unknown function with name \"nope\""),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("x{__name__=\"y\"}", "metric name must not be set twice: \"x\" or \"y\""),
        (
            "x[5m] + 1",
            "1:1: parse error: binary expression must contain only scalar and instant vector types",
        ),
        ("1 and x", "set operator \"and\" not allowed in binary scalar expression"),
        ("1 == 2", "comparisons between scalars must use BOOL modifier"),
        ("1 + bool 2", "bool modifier can only be used on comparison operators"),
        ("rate(x)", "expected type range vector in call to function \"rate\", got instant vector"),
        ("abs()", "expected 1 argument(s) in call to \"abs\", got 0"),
        ("rate(x[0s])", "duration must be greater than 0"),
        (
            "-\"a\"",
            "unary expression only allowed on expressions of type scalar or instant vector, got \"string\"",
        ),
        ("x{a=~\"(\"}", "missing"),
        ("\"abc", "unterminated quoted string"),
        ("x @ NaN", "timestamp out of bounds"),
        ("sum by (a) (x) by (b)", "unexpected <by>"),
        (
            "x * on (a) group_left (a) y",
            "label \"a\" must not occur in ON and GROUP clause at once",
        ),
        (
            "topk(x)",
            "wrong number of arguments for aggregate expression provided, expected 2, got 1",
        ),
        ("abs(x,)", "trailing commas not allowed in function call args"),
        (
            "1e1000",
            "error parsing number: strconv.ParseFloat: parsing \"1e1000\": value out of range",
        ),
        ("x + fill(1) fill_left(2) y", "1:13: parse error: unexpected <fill_left>"),
        (
            "x + fill_left(1) fill_right(2) fill_left(3) y",
            "1:32: parse error: unexpected <fill_left>",
        ),
        (
            "x[step]",
            "1:7: parse error: unexpected \"]\" in subquery or range selector, expected number",
        ),
        ("sum(x[5m *])", "1:11: parse error: unexpected \"]\" in subquery or range selector"),
        (
            "x[5m:1m +]",
            "unexpected \"]\" in subquery selector, expected number, duration, step(), range(), or \"]\"",
        ),
        ("x offset step", "unexpected end of input in offset, expected number, duration, step()"),
        ("x[(-5m)]", "1:4: parse error: duration must be greater than 0"),
        ("x[5m / (0)]", "1:6: parse error: division by zero"),
        ("{\"x\", \"y\"}", "1:1: parse error: metric name must not be set twice: \"x\" or \"y\""),
        ("{__name__=\"x\", __name__=\"x\"}", "metric name must not be set twice: \"x\" or \"x\""),
        ("x{\"y\"}", "metric name must not be set twice: \"x\" or \"y\""),
        ("fill(1)", "1:1: parse error: unexpected <fill>"),
        ("0x1e", "1:1: parse error: bad number or duration syntax: \"0x1e\""),
        ("1..2", "bad number or duration syntax: \"1..\""),
        ("x[5mx]", "1:3: parse error: bad number or duration syntax: \"5mx\""),
        ("1a", "bad number or duration syntax: \"1\""),
        ("1.5h", "not a valid duration string: \"1.5h\""),
        ("\"\\u12\"", "illegal character U+0022 '\"' in escape sequence"),
        ("\"\\'\"", "unknown escape sequence U+0027 '''"),
        ("\"\\\n\"", "unknown escape sequence U+000A"),
        ("1!", "1:2: parse error: unexpected character after '!': '\u{fffd}'"),
        ("1 \u{1}", "unexpected character: '\\x01'"),
        ("x{\u{2028}", "unexpected character inside braces: '\\u2028'"),
        ("1!'", "unexpected character after '!': '\\''"),
    ] {
        let found = refused(query);
        assert!(found.contains(error), "{query}: {found}");
    }
}

#[test]
fn experiments_need_a_switch() {
    for query in ["info(x)", "limitk(2, x)", "x + fill(0) y", "mad_over_time(x[5m])"] {
        assert!(parse(query, &ParseOptions::default()).is_err(), "{query}");
        parsed(query);
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |times: usize| format!("{}1{}", "(".repeat(times), ")".repeat(times));
    parsed(&nested(DEPTH_MAX - 1));
    let signs = format!("{}x", "-".repeat(60_000));
    let sums = "1+".repeat(30_000) + "1";
    let powers = "1^".repeat(30_000) + "1";
    let calls = format!("{}x{}", "abs(".repeat(9_000), ")".repeat(9_000));
    let subqueries = format!("x{}", "[5m:]".repeat(9_000));
    let durations = format!("x[{}5m]", "(".repeat(60_000));
    let additions = format!("x[{}5m]", "1+".repeat(30_000));
    let deep = [nested(DEPTH_MAX), signs, sums, powers, calls, subqueries, durations, additions];
    for query in deep {
        refused(&query);
    }
    let message = refused(&" ".repeat(LENGTH_MAX + 1));
    assert!(message.contains("longer than 1048576; ask in parts"), "{message}");
}

#[test]
fn long_queries_are_read_whole_or_refused_with_advice() {
    let pod = |number: usize| format!("10\\\\.0\\\\.{}\\\\.{}:9100", number / 250, number % 250);
    let pods: Vec<String> = (0..30_000).map(pod).collect();
    let list = format!("up{{instance=~\"{}\"}}", pods.join("|"));
    let Expr::Vector(selector) = parsed(&list) else { panic!("a selector") };
    let literals = selector.matchers[0].literals().unwrap();
    assert_eq!((literals.len(), literals[0].as_str()), (30_000, "10.0.0.0:9100"));

    // In parentheses a sum of ten thousand is fifteen deep, in a row it is ten thousand deep.
    let mut terms: Vec<String> =
        (0..10_000).map(|number| format!("m{number}{{a=\"b\"}}")).collect();
    assert!(refused(&terms.join(" or ")).contains("put parts of a long chain in parentheses"));
    while terms.len() > 1 {
        terms = terms.chunks(2).map(|pair| format!("({})", pair.join(" or "))).collect();
    }
    parsed(&terms[0]);

    let storm = |pattern: &str, count: usize| {
        format!("up{{{}}}", format!("a=~\"{pattern}\",").repeat(count))
    };
    assert!(
        refused("up[# minutes\n5m]").contains("unexpected character in duration expression: '#'")
    );
    parsed(&storm("api-.*-[0-9]+", RegexBudget::COUNT_MAX));
    for (pattern, count) in
        [("api-.*-[0-9]+", RegexBudget::COUNT_MAX + 1), (r"\\pL{20}", RegexBudget::COUNT_MAX)]
    {
        let message = refused(&storm(pattern, count));
        assert!(message.contains("too many regular expressions"), "{message}");
    }
}

#[test]
fn a_regex_that_would_explode_is_refused() {
    for pattern in ["(((a{500}){500}){500})", "((a{1000}){1000})", "(x{900}y){900}"] {
        assert!(AnchoredRegex::new(pattern).is_err(), "{pattern}");
        assert!(!refused(&format!("x{{a=~\"{pattern}\"}}")).is_empty());
    }
    let deep = format!("{}a{}", "(".repeat(20_000), ")".repeat(20_000));
    assert!(AnchoredRegex::new(&deep).is_err());
}

/// Writes queries that make sense, mostly.
pub(crate) struct Writer {
    pub(crate) random: SeededRandom,
}

impl Writer {
    /// From `SEED`, or from a new one, which belongs into every failure's message.
    pub(crate) fn seeded() -> (u64, Self) {
        let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| OsRandom.next_u64());
        (seed, Self { random: SeededRandom::new(seed) })
    }

    fn pick<'a>(&self, from: &[&'a str]) -> &'a str {
        from[self.random.below(from.len() as u64) as usize]
    }

    fn maybe(&self, text: impl FnOnce() -> String) -> String {
        if self.random.below(3) == 0 { text() } else { String::new() }
    }

    fn duration(&self, depth: usize) -> String {
        if depth == 0 || self.random.below(3) > 0 {
            return self.pick(&["5m", "1h30m", "90", "1.5", "step()", "range()", "30s"]).to_owned();
        }
        let (left, right) = (self.duration(depth - 1), self.duration(depth - 1));
        match self.random.below(4) {
            0 => format!("({left})"),
            1 => format!("min_of({left}, {right})"),
            2 => format!("max_of({left}, {right})"),
            _ => format!("{left} {} {right}", self.pick(&["+", "-", "*", "/", "%", "^"])),
        }
    }

    fn selector(&self) -> String {
        let name = self.pick(&["up", "a:b", "sum", "offset", "{\"x.y\"}", "by", "{a=\"b\"}"]);
        if name.starts_with('{') {
            return name.to_owned();
        }
        let matcher = || {
            let value = self.pick(&["\"\"", "'a'", "`b.*`", "\"\\u00e9\""]);
            let operator = self.pick(&["=", "!=", "=~", "!~"]);
            format!("{{{}{operator}{value}}}", self.pick(&["a", "le", "\"b c\"", "on"]))
        };
        format!("{name}{}", self.maybe(matcher))
    }

    fn shift(&self) -> String {
        let at = self.maybe(|| format!(" @ {}", self.pick(&["3", "-1.5", "start()", "end()"])));
        let offset =
            self.maybe(|| format!(" offset {}", self.pick(&["5m", "-5m", "(step() * 2)"])));
        if self.random.below(2) == 0 { at + &offset } else { offset + &at }
    }

    fn range(&self, depth: usize) -> String {
        if depth > 0 && self.random.below(3) == 0 {
            let inner = self.vector(depth - 1);
            let step = self.maybe(|| self.duration(1));
            return format!("({inner})[{}:{step}]{}", self.duration(2), self.shift());
        }
        let edges = self.maybe(|| format!(" {}", self.pick(&["anchored", "smoothed"])));
        format!("{}[{}]{edges}{}", self.selector(), self.duration(2), self.shift())
    }

    fn grouping(&self) -> String {
        let labels = self.pick(&["()", "(a)", "(a, b)", "(\"b c\")", "(on, by)"]);
        format!(" {} {labels} ", self.pick(&["by", "without"]))
    }

    pub(crate) fn vector(&self, depth: usize) -> String {
        if depth == 0 {
            return self.selector() + &self.shift();
        }
        let depth = depth - 1;
        match self.random.below(9) {
            8 => {
                let names = [
                    "abs",
                    "histogram_count",
                    "histogram_stddev",
                    "sort",
                    "timestamp",
                    "absent",
                    "round",
                    "day_of_week",
                    "info",
                    "ln",
                    "start_timestamp",
                    "sgn",
                ];
                format!("{}({})", self.pick(&names), self.vector(depth))
            }
            0 => format!("({})", self.vector(depth)),
            1 => format!("-{}", self.vector(depth)),
            2 => {
                let names = [
                    "rate",
                    "delta",
                    "increase",
                    "changes",
                    "resets",
                    "irate",
                    "idelta",
                    "deriv",
                    "avg_over_time",
                    "sum_over_time",
                    "min_over_time",
                    "last_over_time",
                    "mad_over_time",
                    "stddev_over_time",
                    "absent_over_time",
                    "ts_of_max_over_time",
                ];
                format!("{}({})", self.pick(&names), self.range(depth))
            }
            3 => {
                let name = self.pick(&["sum", "avg", "count", "group", "stddev"]);
                format!("{name}{}({})", self.maybe(|| self.grouping()), self.vector(depth))
            }
            4 => {
                let name = self.pick(&["topk", "quantile", "limitk", "limit_ratio", "bottomk"]);
                format!("{name}({}, {})", self.scalar(depth), self.vector(depth))
            }
            5 if self.random.below(2) == 0 => {
                let quantile = self.scalar(depth);
                format!("histogram_quantile({quantile}, {})", self.vector(depth))
            }
            5 => format!("label_replace({}, 'a', '$1', 'b', '(.*)')", self.vector(depth)),
            _ => self.binary(depth),
        }
    }

    fn binary(&self, depth: usize) -> String {
        let (left, right) = (self.vector(depth), self.vector(depth));
        if self.random.below(3) == 0 {
            let operator = self.pick(&["and", "or", "unless", "and on (a)", "or ignoring (b)"]);
            return format!("{left} {operator} {right}");
        }
        let operator = self.pick(&["+", "-", "*", "/", "%", "^", "atan2", "==", "> bool", "</"]);
        let matching = self.pick(&["", "on (a)", "ignoring (a, b)", "on (a) group_left (c)"]);
        let fill = self.maybe(|| self.pick(&["fill (0)", "fill_left (-1)"]).to_owned());
        format!("{left} {operator} {matching} {fill} {right}")
    }

    fn scalar(&self, depth: usize) -> String {
        if depth == 0 {
            return self.pick(&["1", "0.5", "-3", "Inf", "NaN", "1e9", "1h", "pi()"]).to_owned();
        }
        match self.random.below(3) {
            0 => format!("scalar({})", self.vector(depth - 1)),
            1 => format!("({} * {})", self.scalar(depth - 1), self.scalar(depth - 1)),
            _ => self.scalar(0),
        }
    }
}

#[test]
fn what_prints_parses_to_the_same_tree() {
    let (seed, writer) = Writer::seeded();
    let mut understood = 0;
    for _ in 0..3_000 {
        let query = writer.vector(4);
        let Ok(expr) = parse(&query, &ParseOptions::everything()) else {
            continue;
        };
        understood += 1;
        let printed = expr.to_string();
        assert_eq!(parsed(&printed), expr, "SEED={seed}: {query} printed as {printed}");
        assert_eq!(parsed(&printed).to_string(), printed, "SEED={seed}");
        let pretty = prettify(&expr);
        assert_eq!(parsed(&pretty), expr, "SEED={seed}: {query} formatted as {pretty}");
    }
    assert!(understood > 2_000, "SEED={seed}: only {understood} queries were understood");
}

/// Anything that could be a token, and some things that could not.
const PIECES: [&str; 60] = [
    "x",
    "sum",
    "by",
    "without",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "=",
    "!=",
    "=~",
    "!~",
    "==",
    "<",
    ">=",
    "</",
    ">/",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "@",
    "offset",
    "on",
    "ignoring",
    "group_left",
    "bool",
    "fill",
    "anchored",
    "smoothed",
    "and",
    "or",
    "5m",
    "1",
    "0x",
    "1e",
    "''",
    "\"a\"",
    "`",
    "rate",
    "info",
    "step()",
    "start()",
    "max_of",
    "topk",
    "#",
    "\n",
    "é",
    "\u{0}",
    "histogram_quantile",
    "-",
    "(",
    ")",
    "unless",
];

proptest! {
    #[test]
    fn no_tokens_panic(
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40),
        spaced in any::<bool>(),
    ) {
        let query = pieces.join(if spaced { " " } else { "" });
        if let Ok(expr) = parse(&query, &ParseOptions::everything()) {
            prop_assert_eq!(parsed(&expr.to_string()), expr);
        }
        let _ = parse_selector(&query, &mut RegexBudget::default());
        let _ = parse_metric(&query);
    }

    #[test]
    fn no_text_panics(query in ".{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = parse(&query, &ParseOptions::everything());
        let _ = parse(&String::from_utf8_lossy(&bytes), &ParseOptions::everything());
        let _ = AnchoredRegex::new(&query);
        let _ = parse_duration(&query);
        let _ = crate::script::Script::parse("random", &format!("load 5m\n  {query}\n\n{query}"));
        let _ = crate::script::Script::parse("random", &format!("eval instant at 5m {query}\n  {query}"));
    }
}
