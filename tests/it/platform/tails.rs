//! Names that take all that is left of a path.

use crate::harness::app::App;
use crate::harness::raw::exchange;
use actix_web::HttpResponse;
use agentapi::base::text::Name;
use agentapi::http::{Access, Endpoints, PathArg, Problem};
use reqwest::StatusCode;
use serde_json::json;

async fn echo(PathArg(name): PathArg<Name>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(name))
}

async fn whole() -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json("all of them"))
}

/// A tail, the path before it, and two paths that it would match.
fn rows() -> Endpoints {
    Endpoints::under("/tails")
        .post("/of", Access::Public, whole)
        .post("/of/{*name}", Access::Public, echo)
        .get("/of/{*name}", Access::Public, echo)
        .put("/of/literal", Access::Public, whole)
        .put("/of/literal/{name}/more", Access::Public, echo)
}

#[tokio::test]
async fn a_tail_is_one_name_whether_its_slashes_are_encoded_or_not() {
    let app = App::with_rows(&[], rows);
    for (path, name) in [
        ("a", "a"),
        ("a/b", "a/b"),
        ("a%2Fb", "a/b"),
        ("a%2fb/c", "a/b/c"),
        ("/a/", "/a/"),
        ("%C3%A9/%25/%3F%23", "\u{e9}/%/?#"),
        ("a/more", "a/more"),
        ("literal/x", "literal/x"),
        ("a/%2e%2e/%2e", "a/../."),
    ] {
        // Byte by byte, as a client library would resolve some of them.
        let request = format!("POST /tails/of/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        let answer = exchange(&app.base, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(&json!(name).to_string()), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_tail_that_is_no_name_is_a_400_and_none_at_all_a_404() {
    let app = App::with_rows(&[], rows);
    let longest = "x/".repeat(128);
    let anyone = app.anyone();
    anyone.post(&format!("/tails/of/{longest}"), json!({})).await.expect(StatusCode::OK);
    for bad in ["a/%00", "%ff/a", "a/%zz", "a/%", "a%0a/b", &format!("{longest}x")] {
        anyone.post(&format!("/tails/of/{bad}"), json!({})).await.refused(400, "invalid_name");
    }
    anyone.post("/tails/of/", json!({})).await.refused(404, "not_found");
}

#[tokio::test]
async fn what_stands_beside_a_tail_goes_first_and_has_the_tails_other_methods() {
    let app = App::with_rows(&[], rows);
    let anyone = app.anyone();
    assert_eq!(anyone.post("/tails/of", json!({})).await.expect(StatusCode::OK), "all of them");
    for (path, own) in [("literal", "all of them"), ("literal/b/more", "b")] {
        let (url, as_a_tail) = (format!("/tails/of/{path}"), path);
        assert_eq!(anyone.put(&url, json!({})).await.expect(StatusCode::OK), own);
        assert_eq!(anyone.get(&url).await.expect(StatusCode::OK), as_a_tail);
        assert_eq!(anyone.post(&url, json!({})).await.expect(StatusCode::OK), as_a_tail);
        let refused = anyone.delete(&url).await;
        refused.refused(405, "method_not_allowed");
        assert_eq!(refused.header("allow"), "GET, HEAD, POST, PUT");
    }
    assert_eq!(anyone.delete("/tails/of/a/b").await.header("allow"), "GET, HEAD, POST");
    assert_eq!(anyone.delete("/tails/of").await.header("allow"), "POST");
    assert_eq!(anyone.head("/tails/of/a/b").await.status, StatusCode::OK);
}

#[test]
fn a_tail_is_described_as_a_name_that_may_hold_slashes() {
    let document = agentapi::http::openapi::document(&rows());
    let operation = &document["paths"]["/tails/of/{name}"]["post"];
    assert_eq!(operation["operationId"], "post_tails_of_name");
    let parameter = &operation["parameters"][0];
    assert_eq!((&parameter["name"], &parameter["in"]), (&json!("name"), &json!("path")));
    assert!(parameter["description"].as_str().is_some_and(|text| text.contains("slashes")), "{parameter}");
    assert!(document["paths"]["/tails/of/literal/{name}/more"]["put"]["parameters"][0]["description"].is_null());
    assert!(agentapi::http::markdown(&rows()).contains("| `POST /tails/of/{name}` |"));
    let names: Vec<String> =
        rows().rows().flat_map(|row| row.path_names().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert_eq!(names, ["name", "name", "name"]);
}

#[tokio::test]
async fn what_was_asked_of_a_tail_is_counted_by_its_pattern() {
    let app = App::with_rows(&[], rows);
    app.anyone().post("/tails/of/canary/of/a/name", json!({})).await.expect(StatusCode::OK);
    let text = app.anyone().get("/metrics").await.text;
    assert!(text.contains(r#"http_route="/tails/of/{name}""#) && !text.contains("canary"), "{text}");
}
