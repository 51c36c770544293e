//! As much RESP2 as the double needs, written for it alone: what is tested must not test itself.

use std::future::Future;
use std::io;
use std::pin::Pin;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A value as Redis sent it.
#[derive(Debug, Clone)]
pub enum Resp {
    Nil,
    Int(i64),
    Status(String),
    Error(String),
    Bulk(Vec<u8>),
    Array(Vec<Resp>),
}

pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub async fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Connection(BufReader::new(stream)))
    }

    /// Sends all commands at once and reads as many answers.
    pub async fn run(&mut self, commands: &[Vec<Vec<u8>>]) -> io::Result<Vec<Resp>> {
        let mut bytes = Vec::new();
        for command in commands {
            bytes.extend(format!("*{}\r\n", command.len()).bytes());
            for argument in command {
                bytes.extend(format!("${}\r\n", argument.len()).bytes());
                bytes.extend(argument);
                bytes.extend(b"\r\n");
            }
        }
        // Redis reads everything before it waits for anyone, so writing first cannot block for ever.
        self.0.get_mut().write_all(&bytes).await?;
        let mut answers = Vec::with_capacity(commands.len());
        for _ in commands {
            answers.push(self.read().await?);
        }
        Ok(answers)
    }

    /// What Redis says next without being asked.
    pub async fn heard(&mut self) -> io::Result<Resp> {
        self.read().await
    }

    fn read(&mut self) -> Pin<Box<dyn Future<Output = io::Result<Resp>> + Send + '_>> {
        Box::pin(async move {
            let mut line = String::new();
            self.0.read_line(&mut line).await?;
            let line = line.trim_end_matches("\r\n");
            let garbage = || io::Error::from(io::ErrorKind::InvalidData);
            let (kind, rest) = line.split_at_checked(1).ok_or_else(garbage)?;
            let number = || rest.parse::<i64>().map_err(|_| garbage());
            Ok(match kind {
                "+" => Resp::Status(rest.to_owned()),
                "-" => Resp::Error(rest.to_owned()),
                ":" => Resp::Int(number()?),
                "$" => match usize::try_from(number()?) {
                    Err(_) => Resp::Nil,
                    Ok(length) => {
                        let mut bytes = vec![0; length + 2];
                        self.0.read_exact(&mut bytes).await?;
                        bytes.truncate(length);
                        Resp::Bulk(bytes)
                    }
                },
                "*" => match usize::try_from(number()?) {
                    Err(_) => Resp::Nil,
                    Ok(length) => {
                        let mut items = Vec::new();
                        for _ in 0..length {
                            items.push(self.read().await?);
                        }
                        Resp::Array(items)
                    }
                },
                _ => return Err(garbage()),
            })
        })
    }
}
