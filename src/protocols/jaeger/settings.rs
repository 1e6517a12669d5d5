//! Settings of Jaeger's agent.

use crate::section;
use crate::settings::{ByteSize, TenantName};

section! {
    /// Jaeger: the datagrams that its clients send to an agent. Off unless an address is set: whoever
    /// reaches it may send. Thrift over HTTP and gRPC need no settings.
    JaegerSettings as "jaeger" {
        /// The address for Thrift's compact protocol, which most clients send: `":6831"` takes the host of
        /// the main address.
        compact_address: String = String::new(),
        /// The address for Thrift's binary protocol, which clients of Node send: `":6832"`.
        binary_address: String = String::new(),
        /// How much the kernel keeps of datagrams that are not read yet, its own records of some 800 bytes
        /// each included. Without the right to more (CAP_NET_ADMIN), `net.core.rmem_max` is the most.
        udp_buffer: ByteSize = ByteSize::mib(16),
        /// The tenant that the spans of datagrams are for.
        tenant: TenantName = TenantName::default(),
    }
}
