//! The languages that rules may be written in.

use promql::ParseOptions;

/// The language of a rule's expression: Mirador's own field `query_language`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    #[default]
    Promql,
    Logql,
    Traceql,
}

impl Language {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promql => "promql",
            Self::Logql => "logql",
            Self::Traceql => "traceql",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Promql, Self::Logql, Self::Traceql].into_iter().find(|one| one.as_str() == name)
    }
}

/// What expressions may say.
#[derive(Clone, Debug, Default)]
pub struct Languages {
    pub promql: ParseOptions,
    /// The language of rules that name none.
    pub default: Language,
}

impl Languages {
    /// Checks an expression, and answers it as its language prints it.
    pub(crate) fn check(&self, language: Language, query: &str) -> Result<String, String> {
        match language {
            Language::Promql => {
                let expr = promql::parse(query, &self.promql).map_err(|error| error.to_string())?;
                Ok(expr.to_string())
            }
            Language::Logql => match logql::parse(query).map_err(|error| error.to_string())? {
                logql::ast::Expr::Metric(expr) => Ok(expr.to_string()),
                logql::ast::Expr::Log(_) => {
                    let text = "the expression gives lines: a rule needs numbers, such as those of \
                                count_over_time({…}[5m])";
                    Err(text.to_owned())
                }
            },
            Language::Traceql => {
                let query = traceql::parse(query).map_err(|error| error.to_string())?;
                match query.is_metrics() {
                    true => Ok(query.to_string()),
                    false => {
                        Err("the expression gives traces: add a function of metrics, such as \
                                  `| rate()`"
                            .to_owned())
                    }
                }
            }
        }
    }
}
