//! What is said to providers and by them reaches no log, at the loudest level of every library, and no `Debug`. The HTTP
//! client tells hosts at that level, where the server never listens to it.

use super::*;
use crate::harness::oauth_server::Behaviour;
use parking_lot::Mutex;
use std::io::Write;
use std::sync::Arc;
use tracing_subscriber::fmt::MakeWriter;

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

#[tokio::test]
async fn nothing_that_is_said_to_providers_or_by_them_is_told() {
    let log = Log::default();
    let layer = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(layer);
    tracing::trace!("the log is heard");
    let (plain, tls) = (OauthServer::start(), OauthServer::start_tls());
    let outbound = Outbound::new(OutboundSettings { timeout: Duration::from_millis(300), ..local() });
    let strict = leading_to("10.0.0.1", trusting(&tls));
    let distrustful = Outbound::new(OutboundSettings { private: private("127.0.0.1"), ..local() });
    let mut said = String::new();
    for behaviour in [
        Behaviour::Faithful,
        Behaviour::Slow(Duration::from_secs(600)),
        Behaviour::refuse(400, r#"{"error":"canary","error_description":"canary"}"#),
        Behaviour::refuse_with(307, "location", "https://canary.example/canary"),
        Behaviour::Garbage(r#"{"access_token":["canary"]}"#),
        Behaviour::Endless,
        Behaviour::HangUp,
    ] {
        plain.behave(behaviour);
        let url = format!("{}?canary=canary", plain.token_url());
        let outcome = refreshed(&outbound, &url, &plain.issue()).await;
        said += &format!("{outcome:?}");
        said += &outcome.map_or_else(|failure| failure.to_string(), |_| String::new());
        said += &format!("{:?}", TargetUrl::parse(&url, outbound.settings()));
        said += &format!(
            "{:?}",
            outbound.post_form(&TargetUrl::parse(&url, outbound.settings()).unwrap(), None, &[]).await
        );
    }
    said += &format!("{:?}", refreshed(&strict, "https://provider.example/canary?canary", &tls.issue()).await);
    said += &format!("{:?}", refreshed(&distrustful, &tls.token_url(), &tls.issue()).await);
    said += &format!("{outbound:?} {strict:?} {distrustful:?}");
    assert!(said.contains("Refreshed") && said.contains("Forbidden") && said.contains("NotConsumed"), "{said}");
    let log = String::from_utf8(log.0.lock().clone()).unwrap();
    assert!(log.contains("the log is heard"));
    for secret in ["canary", CLIENT_ID, CLIENT_SECRET, "/token"] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
        assert!(!said.contains(secret), "{secret} is in {said}");
    }
    assert!(!said.contains("provider.example") && !said.contains("127.0.0.1:"), "{said}");
    let ours: Vec<&str> = log.lines().filter(|line| line.contains("agentapi")).collect();
    assert!(ours.iter().all(|line| !line.contains("provider.example") && !line.contains("127.0.0.1")), "{ours:?}");
}
