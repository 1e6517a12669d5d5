//! Generates queries from a seed: sentences of the language, most of which are valid.

use platform::{Random, SeededRandom};

pub(super) struct Grammar<'a> {
    random: &'a SeededRandom,
}

impl<'a> Grammar<'a> {
    pub(super) fn new(random: &'a SeededRandom) -> Self {
        Self { random }
    }

    pub(super) fn query(&self) -> String {
        let depth = 1 + self.random.below(3);
        match self.random.below(12) {
            0 => self.scalar(depth),
            1 => self.largest(depth),
            _ => self.vector(depth),
        }
    }

    /// Only as the outermost operation: which of equal values is selected is not specified.
    fn largest(&self, depth: u64) -> String {
        let (name, count) = (self.pick(&["topk", "bottomk"]), self.pick(&["1", "3", "0", "100"]));
        format!("{name}{} ({count}, {})", self.grouping(), self.vector(depth - 1))
    }

    fn grouping(&self) -> String {
        match self.random.below(4) {
            0 => String::new(),
            1 => format!(" without ({})", self.pick(&["instance", "job, code", "le", ""])),
            _ => format!(" by ({})", self.pick(&["job", "job, instance", "code", "le", "", "pod"])),
        }
    }

    fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.random.below(from.len() as u64) as usize]
    }

    fn vector(&self, depth: u64) -> String {
        if depth == 0 {
            return self.selector();
        }
        match self.random.below(15) {
            12 => self.chain(depth),
            13 => self.signed(depth),
            14 => self.calendar(depth),
            0 => self.selector(),
            1 => self.math(depth),
            2 | 3 => self.over_window(depth),
            4 | 5 => self.aggregation(depth),
            6 => self.with_scalar(depth),
            7 | 8 => self.between_vectors(depth),
            9 => self.labels(depth),
            10 => self.absence(depth),
            _ => format!("histogram_quantile({}, {})", self.scalar(depth - 1), self.buckets()),
        }
    }

    fn selector(&self) -> String {
        self.bare_selector() + &self.modifiers()
    }

    fn bare_selector(&self) -> String {
        let selectors = [
            "up",
            "requests_total",
            "requests_total{job=\"api\"}",
            "requests_total{code!=\"200\"}",
            "requests_total{job=~\"a.*|db\",method=\"GET\"}",
            "latency_seconds_count",
            "latency_seconds_sum{job=\"db\"}",
            "latency_seconds_bucket{le=\"0.5\"}",
            "temperature",
            "temperature{room!~\"h.*\"}",
            "odd",
            "pod",
            "pod{pod=~\"pod-[0-3]\"}",
            "gaps",
            "flapping",
            "irregular_total",
            "quota",
            "build_info",
            "once",
            "late",
            "text",
            "nothing_here",
            "{__name__=~\"collide.*\"}",
            "{job=\"api\",__name__=~\"up|build_info\"}",
        ];
        self.pick(&selectors).to_owned()
    }

    fn modifiers(&self) -> String {
        match self.random.below(16) {
            0 => " offset 5m".to_owned(),
            1 => " offset -7m".to_owned(),
            2 => " @ 1700010007".to_owned(),
            3 => " @ start()".to_owned(),
            4 => " @ end() offset 1m".to_owned(),
            _ => String::new(),
        }
    }

    /// A window over samples, or a subquery whose inner window never ends on its grid.
    fn window(&self, depth: u64) -> String {
        if depth > 1 && self.random.below(4) == 0 {
            let range = self.pick(&["309s", "11m3s", "1h4s"]);
            let step = self.pick(&["10s", "30s", "1m", "2m", ""]);
            let inner = match self.random.below(5) {
                0 | 1 => self.bare_selector(),
                2 if depth > 2 => format!("({})", self.over_window(depth - 1)),
                3 => format!("({})", self.chain(depth - 1)),
                _ => format!("rate({}[{}])", self.bare_selector(), self.pick(&["67s", "5m3s"])),
            };
            return format!("{inner}[{range}:{step}]{}", self.modifiers());
        }
        let range = self.pick(&["1m", "2m", "5m", "13m", "1h", "47s"]);
        format!("{}[{range}]{}", self.bare_selector(), self.modifiers())
    }

    fn over_window(&self, depth: u64) -> String {
        let simple = [
            "rate",
            "increase",
            "irate",
            "delta",
            "idelta",
            "deriv",
            "changes",
            "resets",
            "avg_over_time",
            "min_over_time",
            "max_over_time",
            "sum_over_time",
            "count_over_time",
            "stddev_over_time",
            "stdvar_over_time",
            "last_over_time",
            "present_over_time",
        ];
        let window = self.window(depth);
        match self.random.below(10) {
            0 => format!("quantile_over_time({}, {window})", self.scalar(depth - 1)),
            1 => format!("predict_linear({window}, {})", self.scalar(depth - 1)),
            2 => format!("holt_winters({window}, 0.3, 0.6)"),
            _ => format!("{}({window})", self.pick(&simple)),
        }
    }

    fn math(&self, depth: u64) -> String {
        let names = [
            "abs",
            "ceil",
            "floor",
            "exp",
            "ln",
            "log2",
            "log10",
            "sqrt",
            "sgn",
            "sin",
            "cos",
            "tan",
            "asin",
            "acos",
            "atan",
            "sinh",
            "cosh",
            "tanh",
            "asinh",
            "acosh",
            "atanh",
            "deg",
            "rad",
            "timestamp",
            "hour",
            "minute",
            "month",
            "year",
            "day_of_week",
            "day_of_month",
            "day_of_year",
            "days_in_month",
            "sort",
            "sort_desc",
        ];
        let inner = self.vector(depth - 1);
        match self.random.below(8) {
            0 => format!("round({inner}, {})", self.pick(&["0.25", "5", "-3", "0"])),
            1 => format!("clamp({inner}, {}, {})", self.scalar(0), self.scalar(0)),
            2 => format!("clamp_min({inner}, {})", self.scalar(depth - 1)),
            3 => format!("-({inner})"),
            _ => format!("{}({inner})", self.pick(&names)),
        }
    }

    fn aggregation(&self, depth: u64) -> String {
        let inner = self.vector(depth - 1);
        let grouping = self.grouping();
        match self.random.below(5) {
            0 => {
                // 2.42 does not notice that a parameter may change between steps while its vector
                // does not.
                let parameter = self.scalar(depth - 1);
                let is_fixed = inner.contains('@') || parameter.contains('@');
                let parameter = if is_fixed { self.scalar(0) } else { parameter };
                format!("quantile ({parameter}, {inner}){grouping}")
            }
            1 => format!("count_values{grouping} (\"value\", {inner})"),
            _ => {
                let names = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];
                format!("{}{grouping} ({inner})", self.pick(&names))
            }
        }
    }

    /// Operators without parentheses, to test their precedence.
    fn chain(&self, depth: u64) -> String {
        let operators = [
            "+", "-", "*", "/", "%", "^", "atan2", "== bool", "> bool", "<= bool", ">", "!=",
            "and", "or", "unless",
        ];
        let operand = || match self.random.below(4) {
            0 => self.pick(&["2", "-1", "0.5", ".25", "1e-3", "0x1F", "+3", "time()"]).to_owned(),
            1 => format!("-{}", self.pick(&["temperature", "quota", "2", "(up)"])),
            2 if depth > 1 => self.aggregation(depth - 1),
            _ => self.pick(&["temperature", "quota", "up", "gaps", "build_info"]).to_owned(),
        };
        let mut text = operand();
        for _ in 0..1 + self.random.below(4) {
            text += &format!(" {} {}", self.pick(&operators), operand());
        }
        text
    }

    fn signed(&self, depth: u64) -> String {
        let inner = self.vector(depth - 1);
        match self.random.below(4) {
            0 => format!("-{inner}"),
            1 => format!("+ -({inner})"),
            2 => format!("-({inner}) ^ 2"),
            _ => format!("- - {}", self.bare_selector()),
        }
    }

    fn calendar(&self, depth: u64) -> String {
        let names =
            ["hour", "minute", "month", "year", "day_of_week", "day_of_year", "days_in_month"];
        let name = self.pick(&names);
        match self.random.below(4) {
            0 => format!("{name}()"),
            1 => format!("{name}(vector({}))", self.scalar(depth - 1)),
            2 => format!("{name}(moment)"),
            _ => format!(
                "vector({}) - timestamp({})",
                self.scalar(depth - 1),
                self.vector(depth - 1)
            ),
        }
    }

    fn with_scalar(&self, depth: u64) -> String {
        let operator = self.operator();
        let (vector, scalar) = (self.vector(depth - 1), self.scalar(depth - 1));
        match self.random.below(2) {
            0 => format!("({vector}) {operator} {scalar}"),
            _ => format!("{scalar} {operator} ({vector})"),
        }
    }

    fn operator(&self) -> &'static str {
        self.pick(&[
            "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "== bool",
            "!= bool", "> bool", "< bool", ">= bool", "<= bool",
        ])
    }

    fn between_vectors(&self, depth: u64) -> String {
        let (left, right) = (self.vector(depth - 1), self.vector(depth - 1));
        if self.random.below(3) == 0 {
            let operator = self.pick(&["and", "or", "unless"]);
            return format!("({left}) {operator} {} ({right})", self.matching());
        }
        let group = match self.random.below(4) {
            0 => " group_left ()",
            1 => " group_right (version)",
            2 => self.pick(&[" group_left (version, nothing)", " group_right", " group_left"]),
            _ => "",
        };
        let matching = self.matching();
        let group = if matching.is_empty() { "" } else { group };
        format!("({left}) {} {matching}{group} ({right})", self.operator())
    }

    fn matching(&self) -> &'static str {
        self.pick(&[
            "",
            "",
            "on (job)",
            "on (job, instance)",
            "ignoring (code, method)",
            "ignoring (le)",
            "on ()",
            "ignoring ()",
            "on (job, nothing)",
        ])
    }

    fn labels(&self, depth: u64) -> String {
        let inner = self.vector(depth - 1);
        match self.random.below(4) {
            0 => format!("label_join({inner}, \"joined\", \"-\", \"job\", \"instance\", \"none\")"),
            1 => format!("label_replace({inner}, \"job\", \"\", \"job\", \".*\")"),
            2 => format!(
                "label_replace({inner}, \"host\", \"$2/$1\", \"instance\", \"(.*)-(.*):80\")"
            ),
            _ => format!("label_replace({inner}, \"__name__\", \"new_name\", \"job\", \"api|db\")"),
        }
    }

    fn absence(&self, depth: u64) -> String {
        match self.random.below(2) {
            0 => format!("absent({})", self.vector(depth - 1)),
            _ => format!("absent_over_time({})", self.window(1)),
        }
    }

    fn buckets(&self) -> String {
        let buckets = [
            "latency_seconds_bucket",
            "rate(latency_seconds_bucket[5m])",
            "sum by (le) (rate(latency_seconds_bucket[5m]))",
            "sum by (le, job) (increase(latency_seconds_bucket[13m]))",
            "broken_bucket{kind!=\"not_growing\"}",
        ];
        self.pick(&buckets).to_owned()
    }

    fn scalar(&self, depth: u64) -> String {
        let literals =
            ["0", "1", "2", "-1", "0.5", "0.99", "10", "1e3", "NaN", "Inf", "-Inf", "0x1F", "1.5"];
        if depth == 0 {
            return self.pick(&literals).to_owned();
        }
        match self.random.below(6) {
            0 => "time()".to_owned(),
            1 => "pi()".to_owned(),
            2 => format!("scalar({})", self.vector(depth - 1)),
            3 => {
                let operator = self.pick(&["+", "-", "*", "/", "%", "^", "atan2", "> bool"]);
                format!("({} {operator} {})", self.scalar(depth - 1), self.scalar(depth - 1))
            }
            _ => self.pick(&literals).to_owned(),
        }
    }
}
