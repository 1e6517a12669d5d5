//! Values of labels as Go reads them.

pub(crate) fn parse_float(text: &[u8]) -> Result<f64, String> {
    let shown = model::quote_go(text);
    let failed = || format!("strconv.ParseFloat: parsing {shown}: invalid syntax");
    std::str::from_utf8(text).map_err(|_| failed())?.parse().map_err(|_| failed())
}

pub(crate) fn parse_duration(text: &[u8]) -> Result<i64, String> {
    crate::lex::parse_duration(std::str::from_utf8(text).unwrap_or_default())
}

pub(crate) fn parse_bytes(text: &[u8]) -> Result<u64, String> {
    let text = std::str::from_utf8(text).unwrap_or_default();
    crate::lex::parse_bytes(text).ok_or_else(|| "unhandled size name".to_owned())
}
