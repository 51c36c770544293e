//! The listening side: handlers that fail, the end of the server, TLS.

use crate::harness::app::{ADMIN_KEY, App, On, install_crypto};
use crate::harness::raw::{Raw, exchange};
use actix_web::HttpResponse;
use agentapi::app::Application;
use agentapi::base::clock::SystemClock;
use agentapi::base::env::Env;
use agentapi::config::Config;
use agentapi::http::server::{self, Site};
use agentapi::http::{Access, Endpoints, Platform};
use reqwest::StatusCode;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use tokio::sync::Semaphore;

/// The application, with endpoints that no store would have.
#[derive(Clone)]
struct Strange {
    inner: Application,
    /// Tells the test that a slow request is under way, and the request that it may end.
    under_way: mpsc::Sender<()>,
    may_end: Arc<Semaphore>,
}

impl Site for Strange {
    fn endpoints(&self) -> Endpoints {
        let (under_way, may_end) = (self.under_way.clone(), self.may_end.clone());
        let strange = Endpoints::under("/strange")
            .get("/panic", Access::Public, || async { panic!("canary-of-a-panic") })
            .get("/slow", Access::Public, move || {
                let (under_way, may_end) = (under_way.clone(), may_end.clone());
                async move {
                    under_way.send(()).unwrap();
                    may_end.acquire().await.unwrap().forget();
                    Ok(HttpResponse::Ok().body("done"))
                }
            });
        self.inner.endpoints().and(strange)
    }

    fn platform(&self) -> Platform {
        self.inner.platform()
    }
}

struct Running {
    base: String,
    handle: actix_web::dev::ServerHandle,
    thread: std::thread::JoinHandle<()>,
    under_way: mpsc::Receiver<()>,
    may_end: Arc<Semaphore>,
}

fn strange() -> Running {
    install_crypto();
    let mut env = Env::new([("WORKERS", "1"), ("REQUEST_TIMEOUT", "20s")].map(|(n, v)| (n.to_owned(), v.to_owned())));
    let config = Config::read(&mut env);
    env.finish().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (send, receive) = mpsc::channel();
    let (under_way, begun) = mpsc::channel();
    let may_end = Arc::new(Semaphore::new(0));
    let of_site = may_end.clone();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let settings = config.server.clone();
            let inner = Application::new(config, Arc::new(SystemClock)).unwrap();
            let site = Strange { inner, under_way, may_end: of_site };
            let server = server::serve(listener, &settings, site).unwrap();
            send.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    });
    Running { base, handle: receive.recv().unwrap(), thread, under_way: begun, may_end }
}

#[test]
fn a_handler_that_panics_is_a_500_problem_and_the_server_goes_on() {
    let running = strange();
    let mut connection = Raw::connect(&running.base);
    for _ in 0..3 {
        connection.send(b"GET /strange/panic HTTP/1.1\r\nHost: x\r\nX-Request-Id: my-id\r\n\r\n");
        let answer = connection.answer();
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert!(
            answer.contains("\"code\":\"internal_error\"") && answer.contains("\"request_id\":\"my-id\""),
            "{answer}"
        );
        assert!(!answer.contains("canary"), "{answer}");
    }
    connection.send(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(connection.answer().starts_with("HTTP/1.1 200 "), "on the same connection");
    drop(running.handle.stop(false));
    running.thread.join().unwrap();
}

#[test]
fn a_server_that_is_told_to_stop_finishes_what_is_under_way() {
    let running = strange();
    let mut connection = Raw::connect(&running.base);
    connection.send(b"GET /strange/slow HTTP/1.1\r\nHost: x\r\n\r\n");
    running.under_way.recv().unwrap();
    drop(running.handle.stop(true));
    // It takes a moment until nobody listens any more; then the request is let go.
    while TcpStream::connect(running.base.trim_start_matches("http://")).is_ok() {
        std::thread::yield_now();
    }
    running.may_end.add_permits(1);
    let answer = connection.answer();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("done"), "{answer}");
    running.thread.join().unwrap();
}

#[tokio::test]
async fn a_certificate_makes_it_https_and_nothing_else() {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (certificate, key) =
        (file("cert.pem", certified.cert.pem()), file("key.pem", certified.signing_key.serialize_pem()));
    let app = App::with(On::Memory, &[("TLS_CERT_FILE", &certificate), ("TLS_KEY_FILE", &key)]);
    let url = format!("{}/admin/v1/tenants", app.base.replace("http://", "https://"));
    let trusting = [reqwest::Certificate::from_pem(certified.cert.pem().as_bytes()).unwrap()];
    let client = |roots: &[reqwest::Certificate]| {
        reqwest::Client::builder().no_proxy().tls_certs_only(roots.to_vec()).build().unwrap()
    };
    let answer = client(&trusting).get(&url).bearer_auth(ADMIN_KEY).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(client(&[]).get(&url).send().await.is_err(), "a client that does not trust it");
    let plain = std::panic::catch_unwind(|| exchange(&app.base, b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert!(!plain.is_ok_and(|answer| answer.starts_with("HTTP/1.1 2")), "no plain HTTP beside it");
}
