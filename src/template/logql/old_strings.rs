//! The old names: functions of Go's strings package, with the text first.

use super::strings::{cut, lower, mapped, replaced, trim_end, trim_space, trim_start, upper};
use crate::registry::{Function, Kind};

const TEXT: &[Kind] = &[Kind::Text];
const TWO_TEXTS: &[Kind] = &[Kind::Text, Kind::Text];

pub(super) const FUNCTIONS: [Function; 9] = [
    Function::pure("ToLower", TEXT, |call, arguments| mapped(call, arguments, lower)),
    Function::pure("ToUpper", TEXT, |call, arguments| mapped(call, arguments, upper)),
    Function::pure(
        "Replace",
        &[Kind::Text, Kind::Text, Kind::Text, Kind::Int],
        |call, arguments| {
            // A negative number is all.
            let most = usize::try_from(arguments.int(3)).unwrap_or(usize::MAX);
            let (old, new) = (arguments.text(1), arguments.text(2));
            replaced(call, arguments.text(0), &old, &new, most)
        },
    ),
    Function::pure("Trim", TWO_TEXTS, |_, arguments| {
        let set = arguments.text(1);
        Ok(cut(arguments.text(0), |text| trim_end(trim_start(text, &set), &set)).into())
    }),
    Function::pure("TrimLeft", TWO_TEXTS, |_, arguments| {
        let set = arguments.text(1);
        Ok(cut(arguments.text(0), |text| trim_start(text, &set)).into())
    }),
    Function::pure("TrimRight", TWO_TEXTS, |_, arguments| {
        let set = arguments.text(1);
        Ok(cut(arguments.text(0), |text| trim_end(text, &set)).into())
    }),
    Function::pure("TrimPrefix", TWO_TEXTS, |_, arguments| {
        let prefix = arguments.text(1);
        Ok(cut(arguments.text(0), |text| text.strip_prefix(&*prefix).unwrap_or(text)).into())
    }),
    Function::pure("TrimSuffix", TWO_TEXTS, |_, arguments| {
        let suffix = arguments.text(1);
        Ok(cut(arguments.text(0), |text| text.strip_suffix(&*suffix).unwrap_or(text)).into())
    }),
    Function::pure("TrimSpace", TEXT, |_, arguments| Ok(cut(arguments.text(0), trim_space).into())),
];
