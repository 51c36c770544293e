//! A client of the admin API, for commands that ask a running server.

use crate::base::env::{Env, Variable};
use crate::base::secret::Secret;
use reqwest::{Client, Method, Url};
use serde_json::Value;
use std::time::Duration;

/// The longest that one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the server is, and what opens it.
pub(super) struct AdminApiSettings {
    url: Option<Url>,
    key: Option<Secret>,
}

impl AdminApiSettings {
    pub(super) fn read(env: &mut Env) -> AdminApiSettings {
        let url = Variable::new("AGENTAPI_URL", "Where the server is.").default("http://127.0.0.1:3284");
        let is_http = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let read = |text: &str| Url::parse(text).ok().filter(is_http);
        let url = env.parsed(url, "is not a URL of http or https", read);
        let key = env.secret(Variable::new("ADMIN_API_KEY", "Key of the admin API."));
        if key.is_none() {
            env.mistake("ADMIN_API_KEY", "is not set: the server asks for it");
        }
        AdminApiSettings { url, key }
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
    pub(super) fn new(settings: AdminApiSettings) -> Result<AdminApi, String> {
        let (Some(url), Some(key)) = (settings.url, settings.key) else { return Err("nothing to ask".to_owned()) };
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

    /// The answer's body; a refusal is told in its own words.
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let url = self.url.join(path).map_err(|_| "the path is none".to_owned())?;
        let mut request = self.client.request(method, url).bearer_auth(self.key.expose());
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        // The client's own errors print the URL, which is the operator's own here, and nothing secret.
        let answer = request.send().await.map_err(|error| format!("{} does not answer: {error}", self.url))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|_| format!("{} broke off its answer", self.url))?;
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(body);
        }
        let said = |member: &str| body.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
        Err(format!("{} answers {}: {}. {}", self.url, status.as_u16(), said("title"), said("detail")))
    }
}
