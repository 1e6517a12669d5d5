//! Settings of the Pushgateway.

use crate::section;
use crate::settings::{ByteSize, HumanDuration};

section! {
    /// The Pushgateway: for jobs that end before they can be scraped.
    PushgatewaySettings as "pushgateway" {
        /// How often the samples of all groups are written again, as if they were scraped. Longer than
        /// `promql.lookback`, and they vanish from queries in between.
        interval: HumanDuration = HumanDuration::from_secs(15),
        /// What all groups together may take in memory. A push that would pass it is refused.
        max_size: ByteSize = ByteSize::mib(256),
        /// Whether `PUT /pushgateway/api/v1/admin/wipe` may delete all groups of a tenant.
        admin_api: bool = false,
    }
}
