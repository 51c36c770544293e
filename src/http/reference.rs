//! The reference for people, as a page at `/docs` and as `docs/api.md`: the endpoint table in words.

use super::endpoint::{Access, Endpoint};
use super::endpoints::Endpoints;
use super::openapi;
use crate::base::code::Code;
use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_SECURITY_POLICY;
use actix_web::web::Bytes;
use std::fmt::Write as _;

/// The endpoints that describe the others: `/openapi.json` and `/docs`.
pub fn documentation(described: &Endpoints) -> Endpoints {
    let description = Bytes::from(openapi::document(described).to_string());
    let page = Bytes::from(page(described));
    Endpoints::default()
        .get("/openapi.json", Access::Public, move || {
            let text = description.clone();
            async move { Ok(HttpResponse::Ok().content_type("application/json").body(text)) }
        })
        .says("This API as an OpenAPI 3.1 document")
        .answers_empty(200, "The document")
        .get("/docs", Access::Public, move || {
            let html = page.clone();
            async move {
                let policy = (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'");
                Ok(HttpResponse::Ok().insert_header(policy).content_type("text/html; charset=utf-8").body(html))
            }
        })
        .says("This API as a page to read")
        .answers_empty(200, "The page")
}

fn access(endpoint: &Endpoint) -> String {
    match endpoint.access {
        Access::Public => "anyone".to_owned(),
        Access::Admin => "admin key".to_owned(),
        Access::Tenant(scope) => format!("`{scope}`"),
    }
}

/// The reference as Markdown.
pub fn markdown(endpoints: &Endpoints) -> String {
    let mut text = String::from(
        "# HTTP API\n\nMade from the server's endpoint table; `/openapi.json` has every schema, `/docs` this reference.\n\n\
         A path starts at the server's root. \"Who\" names the scope that an API key needs; the admin key may\n\
         call a tenant's endpoints too, with `X-Tenant-Id`. Every answer has `X-Request-Id`; every error is\n\
         `application/problem+json` (RFC 9457) with one of the codes at the end. An answer that comes from the\n\
         server's own memory, because the backend cannot be asked, has `X-Degraded: memory`: of rate limits and circuit\n\
         breakers always, of sessions with `SESSION_FALLBACK=memory`.\n",
    );
    let mut tag = "";
    for endpoint in endpoints.rows() {
        if openapi::tag(endpoint) != tag {
            tag = openapi::tag(endpoint);
            push(
                &mut text,
                format_args!("\n## {tag}\n\n| call | who | does | answers | refuses |\n|---|---|---|---|---|\n"),
            );
        }
        push(&mut text, format_args!("{}\n", row(endpoint)));
    }
    text.push_str("\n## Error codes\n\n| code | status | meaning |\n|---|---|---|\n");
    for code in Code::ALL {
        push(&mut text, format_args!("| `{}` | {} | {} |\n", code.as_str(), code.status(), code.title()));
    }
    text
}

fn row(endpoint: &Endpoint) -> String {
    let parameters: Vec<&str> = endpoint.parameters().map(|parameter| parameter.name).collect();
    let query = if parameters.is_empty() { String::new() } else { format!("?{}=", parameters.join("=&")) };
    let answers: Vec<String> = endpoint.answers.iter().map(|a| format!("{} {}", a.status, a.meaning)).collect();
    let refusals: Vec<String> =
        endpoint.refusals.iter().map(|code| format!("{} `{}`", code.status(), code.as_str())).collect();
    format!(
        "| `{} {}{query}` | {} | {} | {} | {} |",
        endpoint.method,
        endpoint.path,
        access(endpoint),
        endpoint.summary,
        answers.join("; "),
        refusals.join(", "),
    )
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let written = text.write_fmt(arguments);
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The text with its `code` marks as elements.
fn inline(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(n, part)| if n % 2 == 1 { format!("<code>{}</code>", escape(part)) } else { escape(part) }).collect()
}

/// The reference as one page without scripts: it reads the same offline, and under a strict content policy.
fn page(endpoints: &Endpoints) -> String {
    let mut html = String::from(include_str!("reference.html"));
    let mut body = String::new();
    let mut tag = "";
    for endpoint in endpoints.rows() {
        if openapi::tag(endpoint) != tag {
            tag = openapi::tag(endpoint);
            push(&mut body, format_args!("<h2 id=\"{0}\">{0}</h2>\n", escape(tag)));
        }
        section(&mut body, endpoint);
    }
    push(&mut body, format_args!("<h2 id=\"errors\">error codes</h2>\n<table>"));
    for code in Code::ALL {
        let (name, status, title) = (code.as_str(), code.status(), escape(code.title()));
        push(
            &mut body,
            format_args!("<tr id=\"{name}\"><td><code>{name}</code></td><td>{status}</td><td>{title}</td></tr>\n"),
        );
    }
    body.push_str("</table>\n");
    html = html.replace("@body@", &body).replace("@version@", env!("CARGO_PKG_VERSION"));
    html
}

fn section(body: &mut String, endpoint: &Endpoint) {
    let (method, path) = (endpoint.method.as_str(), escape(&endpoint.path));
    push(body, format_args!("<section><h3><b class=\"{method}\">{method}</b> <code>{path}</code></h3>\n"));
    push(body, format_args!("<p>{}. Who: {}.</p>\n<ul>", inline(endpoint.summary), inline(&access(endpoint))));
    for parameter in endpoint.parameters() {
        push(body, format_args!("<li><code>?{}=</code> {}</li>", parameter.name, inline(parameter.meaning)));
    }
    for answer in &endpoint.answers {
        push(body, format_args!("<li><b>{}</b> {}</li>", answer.status, inline(answer.meaning)));
    }
    for code in openapi::refusals(endpoint) {
        let name = code.as_str();
        push(body, format_args!("<li><b>{}</b> <a href=\"#{name}\"><code>{name}</code></a></li>", code.status()));
    }
    body.push_str("</ul></section>\n");
}
