//! The first words of protocols, as a tarpit says them: each server lets a client in, and answers nothing from the first request on.
//!
//! None of them is a server: they know as much of a protocol as a client needs to believe that it is connected.

use std::io::{self, ErrorKind};

/// What came on a connection, and how far its words are.
#[derive(Default)]
pub struct Talk {
    /// What was read and not yet understood.
    pub read: Vec<u8>,
    /// The greeting was said.
    pub has_begun: bool,
    /// A request came that is not of the handshake: neither it nor what follows is answered.
    pub is_silent: bool,
}

/// Answers what came, of which it takes the whole messages. Called once without a word read, at the connection, and then whenever
/// something came. Fails where what came is not of the protocol.
pub type Answer = fn(&mut Talk) -> io::Result<Vec<u8>>;

impl Talk {
    /// Takes a whole message of `length` bytes; `None`: it is not yet there.
    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        (self.read.len() >= length).then(|| self.read.drain(..length).collect())
    }

    /// Takes a line, without its end; `None`: it is not yet there.
    fn line(&mut self) -> Option<String> {
        let end = self.read.iter().position(|byte| *byte == b'\n')?;
        let line = self.take(end + 1)?;
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Is it the first call? From the second on it is not.
    fn begins(&mut self) -> bool {
        !std::mem::replace(&mut self.has_begun, true)
    }
}

fn foreign<T>() -> io::Result<T> {
    Err(ErrorKind::InvalidData.into())
}

/// Reads a number of the network's order from its bytes.
fn big(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Answers messages that `take` finds, until one is not of the handshake. `take` returns `None` where no whole message is there.
fn each<M>(
    talk: &mut Talk,
    mut take: impl FnMut(&mut Talk) -> io::Result<Option<M>>,
    mut reply: impl FnMut(M) -> Option<Vec<u8>>,
) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    while !talk.is_silent {
        let Some(message) = take(talk)? else { break };
        match reply(message) {
            Some(words) => answer.extend(words),
            None => talk.is_silent = true,
        }
    }
    Ok(answer)
}

/// HTTP: the head of an answer, whose body is announced and does not come.
pub fn http(talk: &mut Talk) -> io::Result<Vec<u8>> {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n";
    let is_whole = talk.read.windows(4).any(|four| four == b"\r\n\r\n");
    talk.is_silent = is_whole;
    Ok(if is_whole { HEAD.to_vec() } else { vec![] })
}

/// PostgreSQL: refuses encryption, lets anybody in, and is silent from the first query on.
pub fn postgresql(talk: &mut Talk) -> io::Result<Vec<u8>> {
    /// The codes of the wishes for TLS and for GSSAPI; the major version of the start.
    const WISHES: [usize; 2] = [80_877_103, 80_877_104];
    const START: usize = 3;
    let mut answer = Vec::new();
    while !talk.is_silent && talk.read.len() >= 8 {
        let (length, code) = (big(&talk.read[..4]), big(&talk.read[4..8]));
        if !(8..=10_000).contains(&length) {
            return foreign();
        }
        if talk.take(length).is_none() {
            break;
        }
        if WISHES.contains(&code) {
            answer.push(b'N');
        } else if code >> 16 == START {
            talk.is_silent = true;
            answer.extend(postgresql_welcome());
        } else {
            return foreign();
        }
    }
    Ok(answer)
}

/// What PostgreSQL says to a client that it lets in without a password: the server's settings, and that it is ready.
fn postgresql_welcome() -> Vec<u8> {
    let message = |kind: u8, body: &[u8]| {
        let length = (body.len() as u32 + 4).to_be_bytes();
        [&[kind], &length[..], body].concat()
    };
    let mut welcome = message(b'R', &0u32.to_be_bytes());
    for setting in [
        "server_version\x0015.0\0",
        "server_encoding\0UTF8\0",
        "client_encoding\0UTF8\0",
        "DateStyle\0ISO, MDY\0",
        "TimeZone\0UTC\0",
        "integer_datetimes\0on\0",
        "standard_conforming_strings\0on\0",
    ] {
        welcome.extend(message(b'S', setting.as_bytes()));
    }
    welcome.extend(message(b'K', &[0, 0, 0, 1, 0, 0, 0, 1]));
    welcome.extend(message(b'Z', b"I"));
    welcome
}

/// MySQL: greets, lets anybody in, agrees to each SET, and is silent from the first other query on.
pub fn mysql(talk: &mut Talk) -> io::Result<Vec<u8>> {
    const QUERY: u8 = 3;
    const DATABASE: u8 = 2;
    const PING: u8 = 14;
    if talk.begins() {
        return Ok(mysql_greeting());
    }
    let take = |talk: &mut Talk| {
        let Some(head) = talk.read.get(..4) else { return Ok(None) };
        let length = usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16;
        Ok(talk.take(4 + length))
    };
    each(talk, take, |packet| {
        // The client's answer to the greeting has number 1, a command 0.
        let agrees = match (packet[3], packet.get(4)) {
            (0, Some(&QUERY)) => packet[5..].to_ascii_uppercase().starts_with(b"SET"),
            (0, command) => matches!(command, Some(&(DATABASE | PING))),
            _ => true,
        };
        agrees.then(|| vec![7, 0, 0, packet[3] + 1, 0, 0, 0, 2, 0, 0, 0])
    })
}

/// MySQL's greeting (protocol 10), by which a client begins: version, connection, two parts of a challenge, capabilities.
fn mysql_greeting() -> Vec<u8> {
    /// Protocol 4.1, secure connection, plugin authentication, and the older ones that clients ask for.
    const CAPABILITIES: u32 = 0x0008_a20f;
    const UTF8: u8 = 33;
    let mut body = vec![10];
    body.extend(b"5.7.0-tarpit\0");
    body.extend(1u32.to_le_bytes());
    body.extend(b"12345678\0");
    body.extend((CAPABILITIES as u16).to_le_bytes());
    body.push(UTF8);
    body.extend(2u16.to_le_bytes());
    body.extend(((CAPABILITIES >> 16) as u16).to_le_bytes());
    body.push(21);
    body.extend([0; 10]);
    body.extend(b"123456789012\0");
    body.extend(b"mysql_native_password\0");
    let length = body.len() as u32;
    [&length.to_le_bytes()[..3], &[0], &body].concat()
}

/// TDS (SQL Server, Sybase): has no encryption, lets anybody in, agrees to each SET, and is silent from the first other batch on.
pub fn tds(talk: &mut Talk) -> io::Result<Vec<u8>> {
    const BATCH: u8 = 1;
    const LOGIN: u8 = 16;
    const BEFORE_LOGIN: u8 = 18;
    /// The version from which a count of rows has eight bytes.
    const WIDE: u32 = 0x7209_0002;
    let take = |talk: &mut Talk| {
        // A message may be of several packets; the last has 1 in its status.
        let (mut at, mut body) = (0, Vec::new());
        while let Some(head) = talk.read.get(at..at + 8) {
            let length = big(&head[2..4]);
            let Some(packet) = talk.read.get(at + 8..at + length.max(8)) else { break };
            body.extend(packet);
            let (kind, is_last) = (head[0], head[1] & 1 == 1);
            at += length.max(8);
            if is_last {
                return Ok(talk.take(at).map(|_| (kind, body)));
            }
        }
        Ok(None)
    };
    let packet = |body: &[u8]| {
        let length = (body.len() as u16 + 8).to_be_bytes();
        [&[4, 1, length[0], length[1], 0, 52, 1, 0], body].concat()
    };
    let done = |is_wide: bool| [&[0xfd, 0, 0, 0, 0][..], &[0; 8][..if is_wide { 8 } else { 4 }]].concat();
    each(talk, take, |(kind, body)| match kind {
        // Version and encryption: not supported.
        BEFORE_LOGIN => Some(packet(&[0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 15, 0, 0, 0, 0, 0, 2])),
        LOGIN => {
            let version = u32::from_le_bytes(body.get(4..8)?.try_into().ok()?);
            let name: Vec<u8> = "tarpit".encode_utf16().flat_map(u16::to_le_bytes).collect();
            let words = [&[1][..], &version.to_be_bytes(), &[6], &name, &[15, 0, 0, 0]].concat();
            let length = (words.len() as u16).to_le_bytes();
            Some(packet(&[&[0xad][..], &length, &words, &done(version >= WIDE)].concat()))
        }
        BATCH => {
            // Headers, whose own length comes first, are there since the version that counts wide.
            let headers = body.get(..4).map_or(0, |four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]));
            let has_headers = (4..100).contains(&headers);
            let text = body.get(if has_headers { headers as usize } else { 0 }..)?;
            let word: Vec<u8> = text.iter().step_by(2).take(3).map(u8::to_ascii_uppercase).collect();
            (word == b"SET").then(|| packet(&done(has_headers)))
        }
        _ => None,
    })
}

/// Redis: says hello and PONG, agrees to what sets a connection up, and is silent from the first other command on.
pub fn redis(talk: &mut Talk) -> io::Result<Vec<u8>> {
    each(talk, redis_command, |words| {
        let word = |at: usize| words.get(at).map(|word| word.to_ascii_uppercase()).unwrap_or_default();
        let facts = "$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n:";
        let answer = match word(0).as_str() {
            "PING" => "+PONG\r\n".to_owned(),
            "HELLO" if word(1) == "3" => format!("%3\r\n{facts}3\r\n"),
            "HELLO" => format!("*6\r\n{facts}2\r\n"),
            "AUTH" | "CLIENT" | "SELECT" | "READONLY" => "+OK\r\n".to_owned(),
            _ => return None,
        };
        Some(answer.into_bytes())
    })
}

/// Takes one of Redis' commands, an array of strings or a line. `None`: it is not yet whole.
fn redis_command(talk: &mut Talk) -> io::Result<Option<Vec<String>>> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut rest = &talk.read[..];
    let mut line = || {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let line = text(&rest[..end]);
        rest = &rest[end + 2..];
        Some(line)
    };
    let Some(first) = line() else { return Ok(None) };
    let Some(count) = first.strip_prefix('*') else {
        talk.line();
        return Ok(Some(first.split(' ').map(str::to_owned).collect()));
    };
    let Ok(count) = count.parse::<usize>() else { return foreign() };
    let mut words = Vec::new();
    for _ in 0..count.min(1000) {
        // The length's line is not needed where no word has a line's end in it, as none of the handshake's has.
        let (Some(_), Some(word)) = (line(), line()) else { return Ok(None) };
        words.push(word);
    }
    let taken = talk.read.len() - rest.len();
    talk.take(taken);
    Ok(Some(words))
}

/// LDAP: lets anybody in, and is silent from the first search on.
pub fn ldap(talk: &mut Talk) -> io::Result<Vec<u8>> {
    const SEQUENCE: u8 = 0x30;
    const BIND: u8 = 0x60;
    const BOUND: [u8; 9] = [0x61, 7, 10, 1, 0, 4, 0, 4, 0];
    /// Returns the length that a field tells, and where its content begins; `None`: it is not yet there.
    fn length(field: &[u8]) -> Option<(usize, usize)> {
        match usize::from(*field.get(1)?) {
            short @ 0..0x80 => Some((short, 2)),
            long => {
                let bytes = field.get(2..2 + (long & 0x7f))?;
                (bytes.len() <= 4).then(|| (big(bytes), 2 + bytes.len()))
            }
        }
    }
    let take = |talk: &mut Talk| {
        if talk.read.first().is_some_and(|byte| *byte != SEQUENCE) {
            return foreign();
        }
        let Some((length, begin)) = length(&talk.read) else { return Ok(None) };
        Ok(talk.take(begin + length).map(|message| message[begin..].to_vec()))
    };
    each(talk, take, |message| {
        let (size, begin) = length(&message)?;
        let number = message.get(..begin + size)?;
        let is_bind = message.get(begin + size) == Some(&BIND);
        is_bind.then(|| [&[SEQUENCE, (number.len() + BOUND.len()) as u8], number, &BOUND].concat())
    })
}

/// memcached: tells its version, and is silent else.
pub fn memcached(talk: &mut Talk) -> io::Result<Vec<u8>> {
    let take = |talk: &mut Talk| Ok(talk.line());
    each(talk, take, |line| (line == "version").then(|| b"VERSION 1.6.0\r\n".to_vec()))
}

/// AMQP 0-9-1: opens a connection and its channels, and is silent from the first other method on.
pub fn amqp(talk: &mut Talk) -> io::Result<Vec<u8>> {
    const HEADER: &[u8] = b"AMQP";
    /// The version, the properties (what it can: confirm), the mechanisms, and the languages.
    const START: &[u8] = b"\0\x0a\0\x0a\0\x09\0\0\0\x27\x0ccapabilitiesF\0\0\0\x15\x12publisher_confirmst\x01\
          \0\0\0\x0ePLAIN AMQPLAIN\0\0\0\x05en_US";
    /// The most channels, the longest frame, and no heartbeat.
    const TUNE: &[u8] = &[0, 10, 0, 30, 7, 0xff, 0, 2, 0, 0, 0, 0];
    fn frame(channel: usize, body: &[u8]) -> Vec<u8> {
        let (channel, length) = ((channel as u16).to_be_bytes(), (body.len() as u32).to_be_bytes());
        [&[1], &channel[..], &length, body, &[0xce]].concat()
    }
    let take = |talk: &mut Talk| {
        let length = match talk.read.get(..7) {
            None => return Ok(None),
            Some(_) if talk.read.starts_with(HEADER) => 8,
            Some(head) => big(&head[3..7]) + 8,
        };
        Ok(talk.take(length))
    };
    each(talk, take, |message| {
        if message.starts_with(HEADER) {
            return Some(frame(0, START));
        }
        let channel = big(&message[1..3]);
        let method = message.get(7..11).unwrap_or_default();
        Some(match (message[0], method) {
            (8, _) => vec![],
            (1, [0, 10, 0, 11]) => frame(0, TUNE),
            (1, [0, 10, 0, 31]) => vec![],
            (1, [0, 10, 0, 40]) => frame(0, &[0, 10, 0, 41, 0]),
            (1, [0, 20, 0, 10]) => frame(channel, &[0, 20, 0, 11, 0, 0, 0, 0]),
            _ => return None,
        })
    })
}

/// MQTT 3.1.1 and 5: lets a client in, and is silent.
pub fn mqtt(talk: &mut Talk) -> io::Result<Vec<u8>> {
    // The version is behind the length (one byte, in a client that is short of words) and the protocol's name.
    let Some(version) = talk.read.get(8).copied() else { return Ok(vec![]) };
    talk.is_silent = true;
    Ok(if version >= 5 { vec![0x20, 3, 0, 0, 0] } else { vec![0x20, 2, 0, 0] })
}

/// NATS: tells what it is, answers the first PING, and is silent.
pub fn nats(talk: &mut Talk) -> io::Result<Vec<u8>> {
    const INFO: &str =
        r#"INFO {"server_id":"tarpit","version":"2.10.0","proto":1,"headers":true,"max_payload":1048576}"#;
    if talk.begins() {
        return Ok(format!("{INFO}\r\n").into_bytes());
    }
    let take = |talk: &mut Talk| Ok(talk.line());
    each(talk, take, |line| match line.split(' ').next() {
        Some("CONNECT") => Some(vec![]),
        Some("PING") => Some(b"PONG\r\n".to_vec()),
        _ => None,
    })
}

/// STOMP: lets anybody in, and is silent.
pub fn stomp(talk: &mut Talk) -> io::Result<Vec<u8>> {
    talk.is_silent = talk.read.contains(&0);
    Ok(if talk.is_silent { b"CONNECTED\nversion:1.1\nheart-beat:0,0\n\n\0".to_vec() } else { vec![] })
}

/// SMTP: greets, says hello, and is silent.
pub fn smtp(talk: &mut Talk) -> io::Result<Vec<u8>> {
    if talk.begins() {
        return Ok(b"220 tarpit ESMTP\r\n".to_vec());
    }
    let take = |talk: &mut Talk| Ok(talk.line());
    each(talk, take, |line| {
        let is_hello = ["EHLO", "HELO"].iter().any(|word| line.to_ascii_uppercase().starts_with(word));
        is_hello.then(|| b"250 tarpit\r\n".to_vec())
    })
}

/// SSH: tells its version, and is silent.
pub fn ssh(talk: &mut Talk) -> io::Result<Vec<u8>> {
    talk.is_silent = true;
    Ok(b"SSH-2.0-tarpit\r\n".to_vec())
}
