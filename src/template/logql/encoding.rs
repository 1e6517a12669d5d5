//! Base64 and the escapes of URLs.

use crate::builtins::query_escape;
use crate::registry::{Arguments, Call, Failure, Function, Kind};
use crate::value::Value;
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, PAD, STANDARD};

/// As Go's decoder: bits behind the last byte may be anything.
const DECODER: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, PAD.with_decode_allow_trailing_bits(true));

const TEXT: &[Kind] = &[Kind::Text];

pub(super) const FUNCTIONS: [Function; 4] = [
    Function::pure("b64enc", TEXT, b64enc),
    Function::pure("b64dec", TEXT, b64dec),
    Function::pure("urlencode", TEXT, |call, arguments| {
        let text = arguments.text(0);
        call.check_size(text.len().saturating_mul(3))?;
        Ok(query_escape(&text).into())
    }),
    Function::pure("urldecode", TEXT, urldecode),
];

fn b64enc<'a>(
    call: &mut Call<'_>,
    arguments: &mut Arguments<'a, '_>,
) -> Result<Value<'a>, Failure> {
    let text = arguments.text(0);
    call.check_size(text.len().saturating_mul(2))?;
    Ok(STANDARD.encode(text).into())
}

/// What is wrong with a text is given as the result, which is what sprig does.
fn b64dec<'a>(_: &mut Call<'_>, arguments: &mut Arguments<'a, '_>) -> Result<Value<'a>, Failure> {
    let text: Vec<u8> =
        arguments.text(0).iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    Ok(match DECODER.decode(&text) {
        Ok(decoded) => decoded.into(),
        Err(error) => {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _)
                | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                // The last four characters are not whole.
                _ if text.ends_with(b"=") => text.len(),
                _ => text.len() - text.len() % 4,
            };
            format!("illegal base64 data at input byte {at}").into()
        }
    })
}

fn urldecode<'a>(
    _: &mut Call<'_>,
    arguments: &mut Arguments<'a, '_>,
) -> Result<Value<'a>, Failure> {
    let text = arguments.text(0);
    let digit =
        |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(text.len());
    let mut rest = &text[..];
    loop {
        rest = match rest {
            [] => return Ok(out.into()),
            [b'+', rest @ ..] => {
                out.push(b' ');
                rest
            }
            [b'%', tail @ ..] => match tail {
                [high, low, tail @ ..] if digit(high).is_some() && digit(low).is_some() => {
                    out.push(digit(high).unwrap_or(0) * 16 + digit(low).unwrap_or(0));
                    tail
                }
                _ => {
                    let shown = model::quote_go(rest.get(..3).unwrap_or(rest));
                    return Err(format!("invalid URL escape {shown}").into());
                }
            },
            [byte, rest @ ..] => {
                out.push(*byte);
                rest
            }
        };
    }
}
