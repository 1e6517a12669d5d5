//! Where people look: paths of Prometheus' pages, and the server's own address.

use crate::builtins::query_escape;
use crate::registry::{Arguments, Call, Failure, Function, Kind};
use crate::value::Value;

pub(super) const FUNCTIONS: [Function; 4] = [
    Function::pure("graphLink", &[Kind::Text], |call, arguments| link(call, arguments, 0)),
    Function::pure("tableLink", &[Kind::Text], |call, arguments| link(call, arguments, 1)),
    Function::of_data("externalURL", &[]),
    Function::of_data("pathPrefix", &[]),
];

fn link<'a>(
    call: &mut Call<'_>,
    arguments: &mut Arguments<'a, '_>,
    tab: u8,
) -> Result<Value<'a>, Failure> {
    let expression = arguments.text(0);
    call.check_size(expression.len().saturating_mul(3))?;
    Ok(path(&expression, tab).into())
}

fn path(expression: &[u8], tab: u8) -> Vec<u8> {
    let tab = format!("&g0.tab={tab}");
    [b"/graph?g0.expr=", &*query_escape(expression), tab.as_bytes()].concat()
}

/// The path of a table of an expression, which an alert names as what raised it.
pub fn table_link(expression: &str) -> String {
    String::from_utf8(path(expression.as_bytes(), 1)).unwrap_or_default()
}
