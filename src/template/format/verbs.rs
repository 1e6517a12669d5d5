//! The directives of `printf`: `%`, flags, width, precision, the number of an argument, a verb.

use super::one::write_one;
use super::{Sink, write_value};
use crate::bounds::Bound;
use crate::value::Value;

/// What stands between `%` and the verb.
#[derive(Clone, Debug, Default)]
pub(super) struct Flags {
    pub(super) plus: bool,
    pub(super) minus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

/// Go refuses larger widths and precisions.
const NUMBER_MAX: usize = 1_000_000;

/// What a directive reads from: the format, and the arguments with the next one's place.
struct Reader<'f, 'v, 'a> {
    rest: &'f [u8],
    arguments: &'v [Value<'a>],
    next: usize,
    /// Whether any directive has named its argument.
    reordered: bool,
    /// Whether this directive has named one that there is not.
    bad_index: bool,
}

pub(crate) fn printf(
    format: &[u8],
    arguments: &[Value<'_>],
    sink: &mut Sink<'_>,
) -> Result<(), Bound> {
    let mut reader =
        Reader { rest: format, arguments, next: 0, reordered: false, bad_index: false };
    while let Some(at) = reader.rest.iter().position(|byte| *byte == b'%') {
        let (text, directive) = reader.rest.split_at(at);
        sink.write(text)?;
        reader.rest = directive.get(1..).unwrap_or_default();
        reader.directive(sink)?;
    }
    sink.write(reader.rest)?;
    if reader.reordered || reader.next >= arguments.len() {
        return Ok(());
    }
    sink.write(b"%!(EXTRA ")?;
    for (index, argument) in arguments.iter().enumerate().skip(reader.next) {
        sink.write(if index > reader.next { b", " } else { b"" })?;
        write_typed(argument, sink)?;
    }
    sink.write(b")")
}

/// `string=x`, as messages show an argument.
pub(super) fn write_typed(value: &Value<'_>, sink: &mut Sink<'_>) -> Result<(), Bound> {
    if !matches!(value, Value::Nil) {
        sink.write(value.type_name().as_bytes())?;
        sink.write(b"=")?;
    }
    write_value(value, sink)
}

impl<'a, 'v> Reader<'_, 'v, 'a> {
    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// One directive, behind its `%`.
    fn directive(&mut self, sink: &mut Sink<'_>) -> Result<(), Bound> {
        self.bad_index = false;
        let mut flags = self.flags();
        self.argument_index();
        if let Err(message) = self.width(&mut flags) {
            sink.write(message)?;
        }
        if let Err(message) = self.precision(&mut flags) {
            sink.write(message)?;
        }
        self.argument_index();
        let Some((verb, length)) = first_character(self.rest) else {
            return sink.write(b"%!(NOVERB)");
        };
        self.skip(length);
        let bad = |what: &str| format!("%!{verb}({what})").into_bytes();
        if verb == '%' {
            return sink.write(b"%");
        }
        if self.bad_index {
            return sink.write(&bad("BADINDEX"));
        }
        let Some(argument) = self.take() else { return sink.write(&bad("MISSING")) };
        write_one(argument, verb, &flags, sink)
    }

    fn take(&mut self) -> Option<&'v Value<'a>> {
        let argument = self.arguments.get(self.next)?;
        self.next += 1;
        Some(argument)
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        loop {
            match self.peek() {
                Some(b'+') => flags.plus = true,
                Some(b'-') => (flags.minus, flags.zero) = (true, false),
                Some(b'#') => flags.sharp = true,
                Some(b' ') => flags.space = true,
                Some(b'0') => flags.zero = !flags.minus,
                _ => return flags,
            }
            self.skip(1);
        }
    }

    /// `[3]`: the argument that the directive takes.
    fn argument_index(&mut self) {
        if self.peek() != Some(b'[') {
            return;
        }
        self.reordered = true;
        let end = self.rest.iter().position(|byte| *byte == b']');
        let inside = end.and_then(|end| self.rest.get(1..end)).unwrap_or_default();
        let number = std::str::from_utf8(inside).ok().and_then(|text| text.parse::<usize>().ok());
        match number.and_then(|number| number.checked_sub(1)) {
            Some(index) if index < self.arguments.len() => self.next = index,
            _ => self.bad_index = true,
        }
        self.skip(end.map_or(1, |end| end + 1));
    }

    fn width(&mut self, flags: &mut Flags) -> Result<(), &'static [u8]> {
        if self.peek() == Some(b'*') {
            self.skip(1);
            let width = self.star().ok_or(&b"%!(BADWIDTH)"[..])?;
            if width < 0 {
                (flags.minus, flags.zero) = (true, false);
            }
            flags.width = usize::try_from(width.unsigned_abs()).ok();
            return Ok(());
        }
        flags.width = self.number()?;
        Ok(())
    }

    fn precision(&mut self, flags: &mut Flags) -> Result<(), &'static [u8]> {
        if self.peek() != Some(b'.') {
            return Ok(());
        }
        self.skip(1);
        self.argument_index();
        if self.peek() == Some(b'*') {
            self.skip(1);
            let precision = self.star().ok_or(&b"%!(BADPREC)"[..])?;
            flags.precision = usize::try_from(precision).ok();
            return if precision < 0 { Err(b"%!(BADPREC)") } else { Ok(()) };
        }
        flags.precision = Some(self.number()?.unwrap_or(0));
        Ok(())
    }

    /// The argument that gives a width or a precision.
    fn star(&mut self) -> Option<i64> {
        let most = NUMBER_MAX as u64;
        match self.take()? {
            Value::Int(value) if value.unsigned_abs() <= most => Some(*value),
            _ => None,
        }
    }

    fn number(&mut self) -> Result<Option<usize>, &'static [u8]> {
        let length = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = std::str::from_utf8(self.rest.get(..length).unwrap_or_default());
        let number = digits.ok().filter(|digits| !digits.is_empty());
        self.skip(length);
        match number.map(str::parse::<usize>) {
            None => Ok(None),
            Some(Ok(number)) if number <= NUMBER_MAX => Ok(Some(number)),
            Some(_) => Err(b"%!(BADWIDTH)"),
        }
    }
}

/// The character that comes first, and its length; a byte that is no text as U+FFFD.
fn first_character(bytes: &[u8]) -> Option<(char, usize)> {
    let chunk = bytes.get(..bytes.len().min(4))?.utf8_chunks().next()?;
    match chunk.valid().chars().next() {
        Some(character) => Some((character, character.len_utf8())),
        None => Some(('\u{fffd}', 1)),
    }
}
