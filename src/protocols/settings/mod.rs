//! How settings are declared, and the units in which people write them. A protocol declares its own
//! section beside its code; the server's configuration nests them all.

mod by_tenant;
mod section;
mod units;
mod values;

pub use by_tenant::ByTenant;
pub use section::{SectionDoc, SettingDoc};
pub use units::{ByteSize, HumanDuration, SizeLimit};
pub use values::{Secret, Share, TenantName, UtcOffset};
