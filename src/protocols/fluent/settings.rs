//! Settings of Fluentd's forward protocol.

use crate::section;
use crate::settings::{ByteSize, HumanDuration, Secret, TenantName};

section! {
    /// Fluentd's forward protocol, which Fluentd, Fluent Bit and Docker speak. Off unless an address
    /// is set: without a shared key whoever reaches it may send.
    FluentSettings as "fluent" {
        /// The address for connections: `":24224"` takes the host of the main address.
        address: String = String::new(),
        /// The address for encrypted connections; the certificate is that of `tls`.
        tls_address: String = String::new(),
        /// The key that senders must know as well. Empty: they need none.
        shared_key: Secret = Secret::default(),
        /// The tenant that records are for.
        tenant: TenantName = TenantName::default(),
        /// The largest message, which may hold many records.
        message_size: ByteSize = ByteSize::mib(32),
        /// The largest message after decompression.
        decompressed_size: ByteSize = ByteSize::mib(64),
        /// How long a connection may be silent before it is closed.
        idle_timeout: HumanDuration = HumanDuration::from_secs(3_600),
    }
}
