//! A stand-in for Upstash: `POST /pipeline` of its REST API, as far as reading and writing values goes, before a Redis.
//!
//! It counts its requests and tells their number under `/requests`.

use crate::Failure;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Serves on the loopback with one worker until it is killed.
pub fn serve(port: u16, redis: u16) -> Result<(), Failure> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{redis}"))?;
    let requests = Arc::new(AtomicU64::new(0));
    let system = actix_web::rt::System::new();
    let server = HttpServer::new(move || {
        let client = client.clone();
        let connect = move || {
            let client = client.clone();
            async move { client.get_multiplexed_async_connection().await }
        };
        App::new()
            .app_data(Data::from(Arc::clone(&requests)))
            .data_factory(connect)
            .route("/pipeline", web::post().to(pipeline))
            .route("/requests", web::get().to(count))
    });
    system.block_on(server.workers(1).bind(("127.0.0.1", port))?.run())?;
    Ok(())
}

async fn count(requests: Data<AtomicU64>) -> String {
    requests.load(Ordering::Relaxed).to_string()
}

async fn pipeline(requests: Data<AtomicU64>, redis: Data<MultiplexedConnection>, body: Bytes) -> HttpResponse {
    requests.fetch_add(1, Ordering::Relaxed);
    let Ok(commands) = serde_json::from_slice::<Vec<Vec<String>>>(&body) else {
        return HttpResponse::BadRequest().json(json!({"error": "ERR failed to parse pipeline request"}));
    };
    let mut pipe = redis::Pipeline::with_capacity(commands.len());
    for command in commands {
        let mut packed = redis::Cmd::new();
        command.iter().for_each(|argument| {
            packed.arg(argument);
        });
        pipe.add_command(packed);
    }
    match pipe.query_async::<Vec<redis::Value>>(&mut redis.get_ref().clone()).await {
        Ok(values) => HttpResponse::Ok().json(values.iter().map(result).collect::<Vec<_>>()),
        Err(_) => HttpResponse::BadRequest().json(json!({"error": "ERR the pipeline failed"})),
    }
}

/// As with `Upstash-Encoding: base64`, where `OK` alone stays as it is.
fn result(value: &redis::Value) -> Value {
    match value {
        redis::Value::Okay => json!({"result": "OK"}),
        redis::Value::BulkString(bytes) => json!({"result": STANDARD.encode(bytes)}),
        redis::Value::Int(number) => json!({"result": number}),
        redis::Value::Nil => json!({"result": null}),
        _ => json!({"error": "ERR this stand-in knows plain values alone"}),
    }
}
