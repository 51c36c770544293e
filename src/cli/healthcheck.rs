//! `agentapi healthcheck`: whether the server beside it serves, for containers, where there is nothing else to ask with.

use super::output::{complain, print};
use super::{MISCONFIGURED, flags};
use crate::base::env::Env;
use crate::config;
use clap::ArgMatches;
use reqwest::{Client, StatusCode};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

/// Longer than `/status` ever takes, and short of the 3 s after which Docker gives up on the whole command.
const PATIENCE: Duration = Duration::from_secs(2);

/// The server's own variables, as far as they say how to reach it.
pub(super) struct Settings {
    address: SocketAddr,
    has_tls: bool,
}

impl Settings {
    pub(super) fn read(env: &mut Env) -> Settings {
        let (host, port) = config::address(env);
        Settings { address: SocketAddr::new(nearest(host), port), has_tls: env.text(config::TLS_CERT_FILE).is_some() }
    }

    fn url(&self) -> String {
        let scheme = if self.has_tls { "https" } else { "http" };
        format!("{scheme}://{}/status", self.address)
    }
}

/// Where to ask a server that listens on an address: on loopback, when that is any.
fn nearest(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

/// Asks once and prints a line: 0 when the answer is 200, 1 when it is another or none, 2 when called wrongly.
pub(super) fn run(given: &ArgMatches) -> ExitCode {
    let settings = match flags::read(given, Settings::read) {
        Ok(settings) => settings,
        Err(mistakes) => return complain(&mistakes.to_string(), MISCONFIGURED),
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return complain("no runtime can be made", 1);
    };
    let url = settings.url();
    match runtime.block_on(ask(&url)) {
        Ok(StatusCode::OK) => print(&format!("{url} answers 200\n")),
        Ok(status) => complain(&format!("{url} answers {}", status.as_u16()), 1),
        Err(why) => complain(&format!("{url} {why}"), 1),
    }
}

/// The status of the answer. With TLS no certificate is judged: it names the server as clients know it and not
/// as loopback, it may have been renewed or have expired, and nothing is said here that somebody else must not hear.
async fn ask(url: &str) -> Result<StatusCode, &'static str> {
    let client = Client::builder().timeout(PATIENCE).no_proxy().redirect(reqwest::redirect::Policy::none());
    let client = client.tls_certs_only([]).tls_danger_accept_invalid_certs(true);
    let client = client.build().map_err(|_| "cannot be asked: the HTTP client cannot be set up")?;
    let answer = client.get(url).send().await;
    answer.map(|answer| answer.status()).map_err(|error| match error.is_timeout() {
        true => "does not answer in time",
        false => "does not answer",
    })
}
