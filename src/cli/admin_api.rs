//! A client of the admin API, for commands that ask a running server.

use super::{MISCONFIGURED, flags, output::complain};
use crate::base::env::{Env, Variable};
use crate::base::secret::Secret;
use crate::http::NDJSON;
use clap::ArgMatches;
use futures_util::Stream;
use reqwest::{Body, Client, Method, RequestBuilder, Response, Url};
use serde_json::Value;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

/// The longest that one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest that a tenant may take to be moved.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// Where the server is, what opens it, and how to print what it says.
pub(super) struct Asking {
    url: Option<Url>,
    key: Option<Secret>,
    /// Whether to print JSON.
    pub(super) json: bool,
}

impl Asking {
    pub(super) fn read(env: &mut Env) -> Asking {
        let url = Variable::new("AGENTAPI_URL", "Where the server is.").default("http://127.0.0.1:3284");
        let is_http = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let read = |text: &str| Url::parse(text).ok().filter(is_http);
        let url = env.parsed(url, "is not a URL of http or https", read);
        let key = env.secret(Variable::new("ADMIN_API_KEY", "Key of the admin API."));
        if key.is_none() {
            env.mistake("ADMIN_API_KEY", "is not set: the server asks for it");
        }
        let json = env.flag(Variable::new("AGENTAPI_JSON", "Whether to print JSON, for machines."));
        Asking { url, key, json: json.unwrap_or_default() }
    }
}

/// A server, asked as its operator.
pub(super) struct AdminApi {
    client: Client,
    url: Url,
    key: Secret,
}

impl AdminApi {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// A sentence for people, as with all methods here.
    pub(super) fn new(asking: Asking) -> Result<AdminApi, String> {
        let (Some(url), Some(key)) = (asking.url, asking.key) else { return Err("nothing to ask".to_owned()) };
        let client = Client::builder().timeout(PATIENCE).no_proxy();
        // Without TLS no certificates are needed, and not every image has some.
        let client = if url.scheme() == "http" { client.tls_certs_only([]) } else { client };
        let client = client.build().map_err(|_| "the HTTP client cannot be set up: are there CA certificates?")?;
        Ok(AdminApi { client, url, key })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, String> {
        self.ask(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.ask(Method::PATCH, path, Some(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<Value, String> {
        self.ask(Method::DELETE, path, None).await
    }

    /// The items of all pages of a list.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<Value>, String> {
        let (mut items, mut query) = (Vec::new(), "?limit=1000".to_owned());
        loop {
            let mut page = self.get(&format!("{path}{query}")).await?;
            items.extend(page.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default());
            match page.get("next_cursor").and_then(Value::as_str) {
                Some(cursor) => query = format!("?limit=1000&cursor={cursor}"),
                None => return Ok(items),
            }
        }
    }

    /// An answer that comes piece by piece, once it is known not to be a refusal.
    pub(super) async fn open(&self, path: &str) -> Result<Response, String> {
        self.send(Method::GET, path, |request| request.timeout(LONG)).await
    }

    /// Sends lines as they come, and takes the answer.
    pub(super) async fn send_lines(
        &self,
        path: &str,
        lines: impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static,
    ) -> Result<Value, String> {
        let lines = Body::wrap_stream(lines);
        let with = |request: RequestBuilder| request.timeout(LONG).header("content-type", NDJSON).body(lines);
        self.body(self.send(Method::POST, path, with).await?).await
    }

    /// The answer's body; a refusal is told in its own words.
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let with = |request: RequestBuilder| match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        self.body(self.send(method, path, with).await?).await
    }

    async fn body(&self, answer: Response) -> Result<Value, String> {
        let text = answer.text().await.map_err(|_| format!("{} broke off its answer", self.url))?;
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, String> {
        let url = self.url.join(path).map_err(|_| "the path is none".to_owned())?;
        let request = with(self.client.request(method, url).bearer_auth(self.key.expose()));
        // The client's own errors print the URL, which is the operator's own here, and nothing secret.
        let answer = request.send().await.map_err(|error| format!("{} does not answer: {error}", self.url))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.text().await.map_err(|_| format!("{} broke off its answer", self.url))?;
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let said = |member: &str| body.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
        Err(format!("{} answers {}: {}. {}", self.url, status.as_u16(), said("title"), said("detail")))
    }
}

/// Runs what asks a running server: 1 when it failed, 2 when it was told too little.
pub(super) fn ask(given: &ArgMatches, work: impl AsyncFnOnce(&AdminApi, bool) -> Result<ExitCode, String>) -> ExitCode {
    let asking = match flags::read(given, Asking::read) {
        Ok(asking) => asking,
        Err(mistakes) => return complain(&mistakes.to_string(), MISCONFIGURED),
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return complain("no runtime can be made", 1);
    };
    let ran = runtime.block_on(async {
        let json = asking.json;
        work(&AdminApi::new(asking)?, json).await
    });
    ran.unwrap_or_else(|why| complain(&why, 1))
}
