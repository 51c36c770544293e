//! The least that a server of this kind does: one `GET` over one multiplexed connection, and the bytes returned.
//!
//! It runs in a process of its own, so that its CPU time can be told from that of the load.

use crate::Failure;
use actix_web::web::{Data, Path};
use actix_web::{App, HttpResponse, HttpServer, web};
use redis::aio::MultiplexedConnection;

/// Serves `GET /{key}` on the loopback with one worker until it is killed.
pub fn serve(port: u16, redis: u16) -> Result<(), Failure> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{redis}"))?;
    let system = actix_web::rt::System::new();
    let server = HttpServer::new(move || {
        let client = client.clone();
        // Runs on the worker's own runtime, so that no request's answer crosses a thread.
        let connect = move || {
            let client = client.clone();
            async move { client.get_multiplexed_async_connection().await }
        };
        App::new().data_factory(connect).route("/{key}", web::get().to(read))
    });
    system.block_on(server.workers(1).bind(("127.0.0.1", port))?.run())?;
    Ok(())
}

async fn read(connection: Data<MultiplexedConnection>, key: Path<String>) -> HttpResponse {
    let mut connection = connection.get_ref().clone();
    match redis::cmd("GET").arg(key.as_str()).query_async::<Option<Vec<u8>>>(&mut connection).await {
        Ok(Some(value)) => HttpResponse::Ok().body(value),
        Ok(None) => HttpResponse::NotFound().finish(),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}
