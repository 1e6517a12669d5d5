//! Settings of syslog.

use crate::section;
use crate::settings::{ByteSize, HumanDuration, TenantName, UtcOffset};

section! {
    /// Syslog, RFC 3164 and RFC 5424. Off unless an address is set: whoever reaches it may send.
    SyslogSettings as "syslog" {
        /// The address for datagrams: `":5140"` takes the host of the main address.
        udp_address: String = String::new(),
        /// How much the kernel keeps of datagrams that are not read yet, its own records of some 800 bytes
        /// each included. Without the right to more (CAP_NET_ADMIN), `net.core.rmem_max` is the most.
        udp_buffer: ByteSize = ByteSize::mib(16),
        /// The address for connections, with messages in lines or counted.
        tcp_address: String = String::new(),
        /// The address for encrypted connections; the certificate is that of `tls`.
        tls_address: String = String::new(),
        /// The tenant that messages are for.
        tenant: TenantName = TenantName::default(),
        /// How far the clocks of senders are ahead of UTC whose messages name no time zone, which
        /// those of RFC 3164 don't.
        utc_offset: UtcOffset = UtcOffset::default(),
        /// The longest message on a connection; a longer one is left out.
        message_size: ByteSize = ByteSize::kib(64),
        /// How long a connection may be silent before it is closed.
        idle_timeout: HumanDuration = HumanDuration::from_secs(3_600),
    }
}
