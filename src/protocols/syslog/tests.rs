//! Messages over UDP and TCP, and what becomes of them.

use crate::testing::TestServer;
use crate::{Accepted, Stopper, Transport};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UdpSocket;

fn server() -> TestServer {
    TestServer::new(|setup| {
        let syslog = &mut setup.settings.syslog;
        for address in [&mut syslog.udp_address, &mut syslog.tcp_address] {
            *address = ":0".to_owned();
        }
        syslog.utc_offset = "+09:00".parse().unwrap();
        syslog.tenant = serde_json::from_str("\"net\"").unwrap();
    })
}

fn transport(server: &TestServer, setting: &str) -> Transport {
    let protocol = server.protocols.iter().find(|protocol| protocol.name == "syslog").unwrap();
    let listener = protocol.listeners.iter().find(|listener| listener.setting == setting);
    listener.unwrap().transport.clone()
}

/// What a sender sends on a connection, which it then closes.
fn send(server: &TestServer, bytes: &[u8]) {
    let Transport::Tcp(serve) = transport(server, "syslog.tcp_address") else { panic!() };
    server.block_on(async {
        let (mut client, socket) = tokio::io::duplex(16);
        let (_stopper, stop) = Stopper::new();
        let peer = Some("10.0.0.9:1".parse().unwrap());
        let serving = tokio::spawn(serve(Accepted { socket: Box::new(socket), peer, stop }));
        client.write_all(bytes).await.unwrap();
        drop(client);
        serving.await.unwrap();
    });
}

#[test]
fn messages_of_both_kinds_become_lines() {
    let server = server();
    let new = "<11>1 2023-11-14T22:13:20Z web shop 7 m1 [a@1 b=\"c\"] hello";
    let old = "<34>Nov 15 07:13:20 web su: failed";
    send(&server, format!("{new}\n{old}\n").as_bytes());
    send(&server, format!("{} {new}{} {old}", new.len(), old.len()).as_bytes());
    send(&server, b"not ended");
    let new = r#"[net] {host_name="web", service_name="shop"} 1700000000000000000 "hello" a@1.b="c" detected_level="error" facility="user" msg_id="m1" proc_id="7" severity="err""#;
    let old = r#"[net] {host_name="web", service_name="su"} 1700000000000000000 "failed" detected_level="critical" facility="auth" severity="crit""#;
    let bare = r#"[net] {host_name="10.0.0.9", service_name="unknown_service"} 1700000000000000000 "not ended" detected_level="info" facility="user" severity="notice""#;
    assert_eq!(server.lines(), [bare, new, new, old, old]);
}

#[test]
fn datagrams_become_lines() {
    let server = server();
    let Transport::Udp(serve) = transport(&server, "syslog.udp_address") else { panic!() };
    server.block_on(async {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = socket.local_addr().unwrap();
        let (stopper, stop) = Stopper::new();
        let serving = tokio::spawn(serve(socket, stop));
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for number in 0..100 {
            client.send_to(format!("<14>app: {number}\n").as_bytes(), address).await.unwrap();
        }
        while server.lines().len() < 100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stopper.request();
        serving.await.unwrap();
    });
    let first = r#"[net] {host_name="127.0.0.1", service_name="app"} 1700000000000000000 "0" detected_level="info" facility="user" severity="info""#;
    assert_eq!(server.lines()[0], first);
}

#[test]
fn what_the_store_can_not_take_waits_and_is_lost_when_the_server_stops() {
    let server = server();
    let Transport::Tcp(serve) = transport(&server, "syslog.tcp_address") else { panic!() };
    server.break_disk();
    server.block_on(async {
        let (mut client, socket) = tokio::io::duplex(1 << 10);
        let (stopper, stop) = Stopper::new();
        let serving = tokio::spawn(serve(Accepted { socket: Box::new(socket), peer: None, stop }));
        client.write_all(b"<14>app: x\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!serving.is_finished(), "it waits");
        stopper.request();
        serving.await.unwrap();
    });
    assert!(server.lines().is_empty());
}
