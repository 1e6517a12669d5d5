//! The functions of the language itself.
//!
//! Here: `and`, `or`, `not`, `call`, `print`, `printf`, `println`. `compare`: `eq` and its like.
//! `items`: `index`, `slice`, `len`. `escape`: `html`, `js`, `urlquery`.

mod compare;
mod escape;
mod items;

pub(crate) use escape::query_escape;

use crate::format::{print, printf, println};
use crate::registry::{Arguments, Call, Failure, Function, Kind, Run};
use crate::value::Value;

pub(crate) fn functions() -> Vec<Function> {
    let lazy = |name, run| Function { name, parameters: &[Kind::Any], rest: Some(Kind::Any), run };
    let mut functions =
        vec![
            lazy("and", Run::And),
            lazy("or", Run::Or),
            Function::pure("not", &[Kind::Any], |_, arguments| {
                Ok((!arguments.get(0).is_true()).into())
            }),
            Function::pure("call", &[Kind::Any], call).with_rest(Kind::Any),
            Function::pure("print", &[], |call, arguments| {
                call.write(|sink| print(arguments.from(0), sink))
            })
            .with_rest(Kind::Any),
            Function::pure("println", &[], |call, arguments| {
                call.write(|sink| println(arguments.from(0), sink))
            })
            .with_rest(Kind::Any),
            Function::pure("printf", &[Kind::Text], |call, arguments| {
                let format = arguments.text(0);
                call.write(|sink| printf(&format, arguments.from(1), sink))
            })
            .with_rest(Kind::Any),
        ];
    functions.extend_from_slice(&compare::FUNCTIONS);
    functions.extend_from_slice(&items::FUNCTIONS);
    functions.extend_from_slice(&escape::FUNCTIONS);
    functions
}

/// There are no values that are functions.
fn call<'a>(_: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Result<Value<'a>, Failure> {
    Err(format!("non-function of type {}", arguments.get(0).type_name()).into())
}
