//! What the kernel does with the datagrams of a socket before a program reads them.
#![expect(clippy::disallowed_methods, reason = "/proc is not in the data folder")]

use rustix::net::sockopt::{
    set_socket_recv_buffer_size, set_socket_recv_buffer_size_force, socket_recv_buffer_size,
};
use std::fs;
use std::io;
use std::os::fd::AsFd;

/// Asks for a buffer of this size for what is not read yet, and answers what there is: without the right
/// to more, a process gets `net.core.rmem_max` at most. The kernel counts its own records of each datagram
/// as well, some 800 bytes for a short one.
pub fn set_receive_buffer(socket: impl AsFd, bytes: usize) -> io::Result<usize> {
    // The kernel doubles what it is asked for, and answers that.
    if set_socket_recv_buffer_size_force(&socket, bytes / 2).is_err() {
        set_socket_recv_buffer_size(&socket, bytes / 2)?;
    }
    Ok(socket_recv_buffer_size(&socket)?)
}

/// How many datagrams the kernel has thrown away because the buffer was full, since the socket is there.
/// `None` where that can't be read.
pub fn datagrams_dropped(socket: impl AsFd) -> Option<u64> {
    let inode = rustix::fs::fstat(socket).ok()?.st_ino;
    ["/proc/net/udp", "/proc/net/udp6"]
        .into_iter()
        .find_map(|table| dropped_of(&fs::read_to_string(table).ok()?, inode))
}

/// The thirteenth column of the line whose tenth column is the inode.
fn dropped_of(table: &str, inode: u64) -> Option<u64> {
    let inode = inode.to_string();
    let line = table.lines().find(|line| line.split_whitespace().nth(9) == Some(&*inode))?;
    line.split_whitespace().nth(12)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn the_kernel_tells_what_it_dropped() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(address) else { continue };
            let size = set_receive_buffer(&socket, 8 << 10).unwrap();
            assert!((4 << 10..64 << 10).contains(&size), "{size}");
            let sender = UdpSocket::bind(address).unwrap();
            sender.connect(socket.local_addr().unwrap()).unwrap();
            let before = datagrams_dropped(&socket);
            if before.is_none() {
                continue;
            }
            for _ in 0..1_000 {
                sender.send(&[0; 100]).unwrap();
            }
            let mut kept = 0;
            socket.set_nonblocking(true).unwrap();
            while socket.recv(&mut [0; 200]).is_ok() {
                kept += 1;
            }
            assert_eq!((before, datagrams_dropped(&socket)), (Some(0), Some(1_000 - kept)));
        }
    }

    #[test]
    fn tables_of_other_shapes_give_nothing() {
        assert_eq!(dropped_of("", 7), None);
        assert_eq!(dropped_of("a b c d e f g h i 7\n", 7), None);
        assert_eq!(dropped_of("a b c d e f g h i 7 2 x 5 more\n", 7), Some(5));
    }
}
