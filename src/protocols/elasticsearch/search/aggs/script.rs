//! The arithmetic of `bucket_script`: numbers, `params.name`, `+ - * / %`, comparisons, `? :`,
//! parentheses and some functions of `Math`.

use super::super::error::{Result, SearchError};

/// A script that was read.
#[derive(Clone, Debug)]
pub(super) struct Script(Node);

#[derive(Clone, Debug)]
enum Node {
    Number(f64),
    Parameter(String),
    Negative(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Choice(Box<Node>, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
    And,
    Or,
}

/// By how tightly they bind, the loosest first.
const OPERATORS: &[&[(&str, Operator)]] = &[
    &[("||", Operator::Or)],
    &[("&&", Operator::And)],
    &[("==", Operator::Equal), ("!=", Operator::NotEqual)],
    &[
        ("<=", Operator::LessEqual),
        (">=", Operator::GreaterEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)],
];

type Function = fn(f64, f64) -> f64;

/// Functions with how many arguments they take.
const FUNCTIONS: &[(&str, usize, Function)] = &[
    ("Math.abs", 1, |x, _| x.abs()),
    ("Math.ceil", 1, |x, _| x.ceil()),
    ("Math.floor", 1, |x, _| x.floor()),
    ("Math.round", 1, |x, _| (x + 0.5).floor()),
    ("Math.sqrt", 1, |x, _| x.sqrt()),
    ("Math.log10", 1, |x, _| x.log10()),
    ("Math.log", 1, |x, _| x.ln()),
    ("Math.exp", 1, |x, _| x.exp()),
    ("Math.max", 2, f64::max),
    ("Math.min", 2, f64::min),
    ("Math.pow", 2, f64::powf),
];

const LENGTH_MAX: usize = 4 << 10;
const DEPTH_MAX: usize = 32;

impl Script {
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.len() > LENGTH_MAX {
            return Err(SearchError::parsing(format!(
                "[script] is longer than {LENGTH_MAX} bytes"
            )));
        }
        let mut parser = Parser { text, at: 0, depth: 0 };
        parser.eat("return");
        let node = parser.choice()?;
        parser.eat(";");
        match parser.rest().trim().is_empty() {
            true => Ok(Self(node)),
            false => Err(parser.wrong("an operator or the end")),
        }
    }

    /// A parameter that is not there is no number.
    pub(super) fn value(&self, parameters: &[(&str, f64)]) -> f64 {
        self.0.value(parameters)
    }
}

impl Node {
    fn value(&self, parameters: &[(&str, f64)]) -> f64 {
        match self {
            Self::Number(number) => *number,
            Self::Parameter(name) => parameters
                .iter()
                .find(|(known, _)| known == name)
                .map_or(f64::NAN, |(_, value)| *value),
            Self::Negative(inner) => -inner.value(parameters),
            Self::Binary(operator, left, right) => {
                operator.on(left.value(parameters), right.value(parameters))
            }
            Self::Choice(condition, then, otherwise) => match condition.value(parameters) != 0.0 {
                true => then.value(parameters),
                false => otherwise.value(parameters),
            },
            Self::Call(function, arguments) => {
                let argument =
                    |index: usize| arguments.get(index).map_or(0.0, |one| one.value(parameters));
                function(argument(0), argument(1))
            }
        }
    }
}

impl Operator {
    fn on(self, left: f64, right: f64) -> f64 {
        let truth = |holds: bool| f64::from(u8::from(holds));
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Remainder => left % right,
            Self::Less => truth(left < right),
            Self::LessEqual => truth(left <= right),
            Self::Greater => truth(left > right),
            Self::GreaterEqual => truth(left >= right),
            Self::Equal => truth(left == right),
            Self::NotEqual => truth(left != right),
            Self::And => truth(left != 0.0 && right != 0.0),
            Self::Or => truth(left != 0.0 || right != 0.0),
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, sign: &str) -> bool {
        self.skip_space();
        let is_next = self.rest().starts_with(sign);
        self.at += if is_next { sign.len() } else { 0 };
        is_next
    }

    fn wrong(&self, expected: &str) -> SearchError {
        let place = self.text[..self.at].chars().count() + 1;
        SearchError::parsing(format!(
            "[script] expected {expected} at character {place}: scripts are arithmetic on params.name, such \
             as params.a / params.b"
        ))
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.wrong(&format!("no more than {DEPTH_MAX} levels")));
        }
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn choice(&mut self) -> Result<Node> {
        self.deeper(|parser| {
            let condition = parser.binary(0)?;
            if !parser.eat("?") {
                return Ok(condition);
            }
            let then = parser.choice()?;
            if !parser.eat(":") {
                return Err(parser.wrong("':'"));
            }
            let otherwise = parser.choice()?;
            Ok(Node::Choice(Box::new(condition), Box::new(then), Box::new(otherwise)))
        })
    }

    fn binary(&mut self, level: usize) -> Result<Node> {
        let Some(operators) = OPERATORS.get(level) else { return self.operand() };
        let mut left = self.binary(level + 1)?;
        let mut count = 0;
        while let Some((_, operator)) = operators.iter().find(|(sign, _)| self.eat(sign)) {
            count += 1;
            // A long chain makes a deep tree.
            if count > CHAIN_MAX {
                return Err(self.wrong("a shorter script"));
            }
            let right = self.binary(level + 1)?;
            left = Node::Binary(*operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Node> {
        if self.eat("-") {
            return self.deeper(|parser| Ok(Node::Negative(Box::new(parser.operand()?))));
        }
        if self.eat("(") {
            let inner = self.choice()?;
            return if self.eat(")") { Ok(inner) } else { Err(self.wrong("')'")) };
        }
        for (name, count, function) in FUNCTIONS {
            if self.eat(name) {
                return self.call(*count, *function);
            }
        }
        self.skip_space();
        let length = |rest: &str, is_part: fn(char) -> bool| {
            rest.len() - rest.trim_start_matches(is_part).len()
        };
        if self.eat("params.") {
            let length = length(self.rest(), |c| c.is_alphanumeric() || c == '_');
            let name = self.rest()[..length].to_owned();
            self.at += length;
            return if name.is_empty() {
                Err(self.wrong("a name"))
            } else {
                Ok(Node::Parameter(name))
            };
        }
        let length = length(self.rest(), |c| c.is_ascii_digit() || c == '.');
        let number =
            self.rest()[..length].parse().map_err(|_| self.wrong("a number or params.name"))?;
        self.at += length;
        Ok(Node::Number(number))
    }

    fn call(&mut self, count: usize, function: Function) -> Result<Node> {
        if !self.eat("(") {
            return Err(self.wrong("'('"));
        }
        let mut arguments = Vec::new();
        for index in 0..count {
            if index > 0 && !self.eat(",") {
                return Err(self.wrong("','"));
            }
            arguments.push(self.choice()?);
        }
        if self.eat(")") { Ok(Node::Call(function, arguments)) } else { Err(self.wrong("')'")) }
    }
}

/// Operators of one kind in a row.
const CHAIN_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scripts_calculate() {
        let parameters = [("a", 6.0), ("b", 4.0)];
        for (script, expected) in [
            ("params.a / params.b", 1.5),
            ("params.a + params.b * 2", 14.0),
            ("(params.a - params.b) * -1", -2.0),
            ("params.a > params.b ? 1 : 0", 1.0),
            ("return Math.max(params.a, 10) % 7;", 3.0),
            ("Math.log10(100) + Math.sqrt(16)", 6.0),
        ] {
            assert_eq!(Script::parse(script).unwrap().value(&parameters), expected, "{script}");
        }
        assert!(Script::parse("params.x").unwrap().value(&parameters).is_nan());
        let error = Script::parse("params.a / ").unwrap_err();
        assert!(error.reason.contains("at character 12"), "{}", error.reason);
    }

    proptest! {
        #[test]
        fn any_text_is_a_script_or_an_error(text in "(params\\.|Math\\.|max|abs|[-a-c0-9+*/%()<>=!?:&|., 가]){0,40}") {
            if let Ok(script) = Script::parse(&text) {
                let _ = script.value(&[("a", 1.0)]);
            }
        }
    }
}
