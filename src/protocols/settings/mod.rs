//! How settings are declared, and the units in which a person writes them. Every crate from here
//! upwards declares its own section; the server nests them.

mod section;
mod units;

pub use section::{SectionDoc, SettingDoc};
pub use units::{ByteSize, HumanDuration, SizeLimit};
