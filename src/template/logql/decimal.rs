//! Decimal arithmetic: `addf 0.1 0.2` is 0.3. Numbers are taken by their shortest digits, as sprig does
//! with a decimal library.

/// `digits` times ten to the power of `exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    digits: i128,
    exponent: i32,
}

/// A division goes on to this many digits behind the point.
const QUOTIENT_DECIMALS: i32 = 16;
const TEN_POWERS_MAX: u32 = 38;

impl Decimal {
    pub(super) const ZERO: Self = Self { digits: 0, exponent: 0 };

    /// `None` of what is no number.
    pub(super) fn from_float(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e')?;
        let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let digits = mantissa.replace('.', "").parse().ok()?;
        let exponent = exponent.parse::<i32>().ok()? - i32::try_from(decimals).ok()?;
        Some(Self { digits, exponent })
    }

    pub(super) fn to_float(self) -> f64 {
        format!("{}e{}", self.digits, self.exponent).parse().unwrap_or(0.0)
    }

    /// `None` where the digits are too many; the caller then takes floats.
    pub(super) fn add(self, other: Self) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        let digits = self.at(exponent)?.checked_add(other.at(exponent)?)?;
        Some(Self { digits, exponent })
    }

    pub(super) fn negate(self) -> Self {
        Self { digits: -self.digits, ..self }
    }

    pub(super) fn multiply(self, other: Self) -> Option<Self> {
        let digits = self.digits.checked_mul(other.digits)?;
        Some(Self { digits, exponent: self.exponent.checked_add(other.exponent)? }.shortened())
    }

    /// Rounded half away from zero. The divisor is not zero.
    pub(super) fn divide(self, divisor: Self) -> Option<Self> {
        // self / divisor, in units of the last digit that is kept.
        let shift = self.exponent - divisor.exponent + QUOTIENT_DECIMALS;
        let (numerator, denominator) = if shift >= 0 {
            (scaled(self.digits, shift)?, divisor.digits)
        } else {
            match scaled(divisor.digits, -shift) {
                Some(denominator) => (self.digits, denominator),
                // It is so much larger that no digit is left.
                None => return Some(Self::ZERO),
            }
        };
        let (quotient, rest) =
            (numerator.checked_div(denominator)?, numerator.checked_rem(denominator)?);
        let rounds = rest.unsigned_abs().checked_mul(2)? >= denominator.unsigned_abs();
        let away = if (numerator < 0) == (denominator < 0) { 1 } else { -1 };
        let digits = if rounds { quotient.checked_add(away)? } else { quotient };
        Some(Self { digits, exponent: -QUOTIENT_DECIMALS }.shortened())
    }

    fn at(self, exponent: i32) -> Option<i128> {
        scaled(self.digits, self.exponent - exponent)
    }

    fn shortened(mut self) -> Self {
        while self.digits != 0 && self.digits % 10 == 0 {
            self.digits /= 10;
            self.exponent += 1;
        }
        self
    }
}

fn scaled(digits: i128, power: i32) -> Option<i128> {
    let power = u32::try_from(power).ok().filter(|power| *power <= TEN_POWERS_MAX);
    if digits == 0 { Some(0) } else { digits.checked_mul(10_i128.checked_pow(power?)?) }
}
