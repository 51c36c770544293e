//! Where traces go, by the variables that OpenTelemetry gives them everywhere.

use crate::base::env::{Env, Variable};
use crate::base::secret::Secret;
use std::fmt;
use url::Url;

/// Where traces go.
#[derive(Clone)]
pub struct TraceSettings {
    /// Where the collector takes traces by OTLP over HTTP: `http://localhost:4318/v1/traces`.
    pub endpoint: String,
    /// What is sent along: a name, and what may be a credential.
    pub headers: Vec<(String, Secret)>,
    /// What this service is called there.
    pub service: String,
    /// Of requests that come without a trace, the part that begins one: 0 to 1.
    pub ratio: f64,
}

impl fmt::Debug for TraceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceSettings").field("ratio", &self.ratio).finish_non_exhaustive()
    }
}

impl TraceSettings {
    /// Reads them; none without an endpoint.
    pub(super) fn read(env: &mut Env) -> Option<TraceSettings> {
        let endpoint = "OpenTelemetry collector that takes traces by OTLP over HTTP, such as http://localhost:4318. Nothing is traced when not set.";
        let endpoint = env.parsed(
            Variable::new("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            "is not an http or https URL without a user, a query or a fragment",
            endpoint_of,
        );
        let headers =
            "Headers for it, such as authorization=Bearer%20KEY: name=value, comma separated, values percent-encoded.";
        let headers = env.secret(Variable::new("OTEL_EXPORTER_OTLP_HEADERS", headers));
        let headers = headers.map(|text| headers_of(text.expose()));
        if headers.as_ref().is_some_and(Option::is_none) {
            env.mistake(
                "OTEL_EXPORTER_OTLP_HEADERS",
                "is not name=value, comma separated, with values percent-encoded",
            );
        }
        let service = Variable::new("OTEL_SERVICE_NAME", "What this service is called in traces.").default("agentapi");
        let service = env.text(service);
        let ratio =
            "Of requests that come without a trace, the part that begins one: 0 to 1. Others follow their caller.";
        let ratio = env.parsed(
            Variable::new("OTEL_TRACES_SAMPLER_ARG", ratio).default("1"),
            "is not a number from 0 to 1",
            |text| text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)),
        );
        Some(TraceSettings {
            endpoint: endpoint?,
            headers: headers.flatten().unwrap_or_default(),
            service: service.unwrap_or_default(),
            ratio: ratio?,
        })
    }
}

/// The place of traces below a collector's address (OpenTelemetry Protocol 1.x, "OTLP/HTTP Request").
fn endpoint_of(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())?;
    // Libraries print URLs where something fails.
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    (is_plain && url.fragment().is_none()).then(|| format!("{}/v1/traces", url.as_str().trim_end_matches('/')))
}

fn headers_of(text: &str) -> Option<Vec<(String, Secret)>> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.trim(), percent_encoding::percent_decode_str(value.trim()).decode_utf8().ok()?);
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_value = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        (is_name && is_value).then(|| (name.to_ascii_lowercase(), Secret::new(value.into_owned())))
    };
    text.split(',').filter(|text| !text.trim().is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address_below_which_traces_have_a_place_of_their_own() {
        for (text, endpoint) in [
            ("http://localhost:4318", Some("http://localhost:4318/v1/traces")),
            ("https://otel.example.com/otlp/", Some("https://otel.example.com/otlp/v1/traces")),
            ("localhost:4318", None),
            ("grpc://localhost:4317", None),
            ("https://user:secret@otel.example.com", None),
            ("https://otel.example.com/?key=secret", None),
        ] {
            assert_eq!(endpoint_of(text).as_deref(), endpoint, "{text}");
        }
    }

    #[test]
    fn headers_are_pairs_whose_values_are_percent_encoded() {
        let read = |text: &str| {
            let pairs = headers_of(text)?;
            Some(pairs.iter().map(|(name, value)| format!("{name}: {}", value.expose())).collect::<Vec<_>>().join(", "))
        };
        assert_eq!(
            read("authorization=Bearer%20a%3Db, X-Team = x").as_deref(),
            Some("authorization: Bearer a=b, x-team: x")
        );
        assert_eq!(read("").as_deref(), Some(""));
        for wrong in ["authorization", "a b=c", "a=%0a", "a=%ff"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
