//! `greenpatch tarpit`: each kind lets a client in with the first words of its protocol, and answers no request.

use super::support::place::GREENPATCH;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A tarpit that ends with the test.
struct Running(Child, u16);

impl Running {
    fn new(words: &[&str]) -> Running {
        let mut child =
            Command::new(GREENPATCH).arg("tarpit").args(words).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let port = line.trim_end().strip_prefix("127.0.0.1 ").unwrap_or_else(|| panic!("{line}"));
        Running(child, port.parse().unwrap_or_else(|_| panic!("{line}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads `count` bytes, which come sooner or later.
fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).expect("an answer");
    bytes
}

/// One word to a server, and what it answers to it.
type Step<'a> = (&'a [u8], &'a [u8]);

/// Says words to a tarpit, each in two parts, and reads the answers; then a request, which gets none.
fn talk(kind: &str, steps: &[Step], request: &[u8]) {
    let server = Running::new(&[kind]);
    let mut stream = TcpStream::connect(("127.0.0.1", server.1)).expect("a connection");
    for (words, answer) in steps {
        let middle = words.len() / 2;
        stream.write_all(&words[..middle]).expect("it is sent");
        std::thread::sleep(Duration::from_millis(30));
        stream.write_all(&words[middle..]).expect("it is sent");
        let bytes = read(&mut stream, answer.len());
        assert_eq!(&bytes, answer, "{kind}: {}", String::from_utf8_lossy(&bytes));
    }
    // An answer may be longer than its beginning, which is looked at.
    stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    while stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
    stream.write_all(request).expect("it is sent");
    let end = stream.read(&mut [0; 16]).expect_err(kind);
    assert_eq!(end.kind(), ErrorKind::WouldBlock, "{kind}: {end}");
}

#[test]
fn each_protocol_is_spoken_until_the_first_request() {
    talk("silent", &[], b"hello");
    talk(
        "redis",
        &[(b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"), (b"PING\r\n", b"+PONG\r\n")],
        b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
    );
    talk("redis", &[(b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n", b"%3\r\n$6\r\nserver\r\n")], b"*1\r\n$4\r\nKEYS\r\nPING\r\n");
    talk("memcached", &[(b"version\r\n", b"VERSION 1.6.0\r\n")], b"get a\r\n");
    talk(
        "http",
        &[(b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n")],
        b"x",
    );
    let bind = b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00";
    let long = b"\x30\x84\x00\x00\x00\x0d\x02\x02\x01\x02\x60\x07\x02\x01\x03\x04\x00\x80\x00";
    talk(
        "ldap",
        &[
            (bind, b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"),
            (long, b"\x30\x0d\x02\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00"),
        ],
        b"\x30\x05\x02\x01\x03\x63\x00",
    );
    let method = |channel: u8, body: &[u8]| [&[1, 0, channel, 0, 0, 0, body.len() as u8], body, &[0xce]].concat();
    let start = b"\0\x0a\0\x0a\0\x09\0\0\0\x27\x0ccapabilitiesF\0\0\0\x15\x12publisher_confirmst\x01\
          \0\0\0\x0ePLAIN AMQPLAIN\0\0\0\x05en_US";
    talk(
        "amqp",
        &[
            (b"AMQP\0\0\x09\x01", &method(0, start)),
            (&method(0, &[0, 10, 0, 11]), &method(0, &[0, 10, 0, 30, 7, 0xff, 0, 2, 0, 0, 0, 0])),
            (&[method(0, &[0, 10, 0, 31]), method(0, &[0, 10, 0, 40])].concat(), &method(0, &[0, 10, 0, 41, 0])),
            (&method(5, &[0, 20, 0, 10]), &method(5, &[0, 20, 0, 11, 0, 0, 0, 0])),
        ],
        &method(5, &[0, 50, 0, 10]),
    );
    talk("mqtt", &[(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00", b"\x20\x02\x00\x00")], b"\xc0\x00");
    talk("stomp", &[(b"CONNECT\n\n\0", b"CONNECTED\nversion:1.1\n")], b"SEND\n\n\0");
    talk("ssh", &[(b"", b"SSH-2.0-tarpit\r\n")], b"SSH-2.0-client\r\n");
    talk("smtp", &[(b"", b"220 tarpit ESMTP\r\n"), (b"EHLO me\r\n", b"250 tarpit\r\n")], b"MAIL FROM:<a>\r\n");
    talk("nats", &[(b"", b"INFO {")], b"");
}

#[test]
fn sql_servers_let_in_and_are_silent_from_the_first_query_on() {
    let start: &[u8] = b"\x00\x00\x00\x11\x00\x03\x00\x00user\x00me\x00\x00";
    let wish: &[u8] = b"\x00\x00\x00\x08\x04\xd2\x16\x2f";
    talk("postgresql", &[(wish, b"N"), (start, b"R\x00\x00\x00\x08\x00\x00\x00\x00S")], b"Q\x00\x00\x00\x05\x00");

    let fine = |number: u8| [7, 0, 0, number, 0, 0, 0, 2, 0, 0, 0];
    let server = Running::new(&["mysql"]);
    let mut stream = TcpStream::connect(("127.0.0.1", server.1)).expect("a connection");
    let head = read(&mut stream, 4);
    assert_eq!((head[1], head[3]), (0, 0));
    assert!(read(&mut stream, head[0].into()).starts_with(b"\x0a5.7.0-tarpit\0"));
    for (words, answer) in
        [(&b"\x02\0\0\x01xx"[..], fine(2)), (b"\x0a\0\0\0\x03set a = 1", fine(1)), (b"\x01\0\0\0\x0e", fine(1))]
    {
        stream.write_all(words).expect("it is sent");
        assert_eq!(read(&mut stream, answer.len()), answer);
    }
    stream.write_all(b"\x09\0\0\0\x03select 1").expect("it is sent");
    stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    assert_eq!(stream.read(&mut [0; 16]).expect_err("silence").kind(), ErrorKind::WouldBlock);

    let packet = |kind: u8, body: &[u8]| [&[kind, 1, 0, body.len() as u8 + 8, 0, 0, 1, 0], body].concat();
    let login = packet(16, &[0x24, 0, 0, 0, 4, 0, 0, 0x74]);
    let set: Vec<u8> = "Set x".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let set = packet(1, &[&[22, 0, 0, 0][..], &[0; 18], &set].concat());
    talk(
        "tds",
        &[
            (
                &packet(18, &[0, 0, 6, 0, 6, 0xff]),
                &[4, 1, 0, 26, 0, 52, 1, 0, 0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 15, 0, 0, 0, 0, 0, 2],
            ),
            (
                &login,
                &[
                    &[4, 1, 0, 46, 0, 52, 1, 0, 0xad, 22, 0, 1, 0x74, 0, 0, 4, 6][..],
                    b"t\0a\0r\0p\0i\0t\0",
                    &[15, 0, 0, 0, 0xfd, 0, 0, 0, 0],
                    &[0; 8],
                ]
                .concat(),
            ),
            (&set, &[4, 1, 0, 21, 0, 52, 1, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ],
        &packet(3, &[0; 4]),
    );
}

#[test]
fn kinds_without_a_protocol_and_what_cannot_be_had() {
    let server = Running::new(&["reset", "--bytes", "7"]);
    let mut stream = TcpStream::connect(("127.0.0.1", server.1)).expect("a connection");
    assert_eq!(read(&mut stream, 7), b".......");
    let server = Running::new(&["drip"]);
    let mut stream = TcpStream::connect(("127.0.0.1", server.1)).expect("a connection");
    assert_eq!(read(&mut stream, 2), b"..");
    let server = Running::new(&[]);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(("127.0.0.1", server.1)).expect("an address");
    socket.send(b"hello").expect("it is sent");
    socket.send(b"hello").expect("no one refuses it");
    let taken = server.1.to_string();
    let output = Command::new(GREENPATCH).args(["tarpit", "--port", &taken]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("port {taken} cannot be had")));
}
