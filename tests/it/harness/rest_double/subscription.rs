//! `/subscribe/CHANNEL`: a response that goes on for as long as the client stays, a line per message.

use super::Shared;
use super::resp::{Connection, Resp};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use std::io;

/// The channel that a path asks to hear. A slash in its name is a slash in the path or encoded, as everything else.
pub(super) fn channel(request: &HttpRequest) -> Option<String> {
    let (_, channel) = request.uri().path().split_once("/subscribe/")?;
    Some(percent_encoding::percent_decode_str(channel).decode_utf8_lossy().into_owned())
}

pub(super) async fn answer(channel: &str, shared: web::Data<Shared>) -> io::Result<HttpResponse> {
    let cuts = shared.cuts.subscribe();
    let mut connection = Connection::open(shared.redis_port).await?;
    let subscribed = connection.run(&[vec![b"SUBSCRIBE".to_vec(), channel.as_bytes().to_vec()]]).await?;
    let first = line(subscribed.first().expect("one answer"));
    let rest = stream::unfold((connection, cuts), |(mut connection, mut cuts)| async {
        let said = tokio::select! {
            said = connection.heard() => said,
            _ = cuts.changed() => Err(io::ErrorKind::ConnectionAborted.into()),
        };
        Some((said.map(|said| line(&said)), (connection, cuts)))
    });
    let lines = futures_util::StreamExt::chain(stream::iter([Ok(first)]), rest);
    Ok(HttpResponse::Ok().content_type("text/event-stream").streaming(lines))
}

/// `data: kind,channel,what`.
fn line(said: &Resp) -> Bytes {
    let Resp::Array(parts) = said else { panic!("a push is an array: {said:?}") };
    let text = |part: &Resp| match part {
        Resp::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Resp::Int(number) => number.to_string(),
        other => panic!("a part of a push is text or a number: {other:?}"),
    };
    let parts: Vec<String> = parts.iter().map(text).collect();
    Bytes::from(format!("data: {}\n\n", parts.join(",")))
}
