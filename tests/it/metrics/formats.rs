//! Who may see the metrics, and in which of two formats.

use super::exposition::Exposition;
use super::{two_ways, use_it};
use crate::harness::app::{App, On};
use reqwest::StatusCode;

#[tokio::test]
async fn the_text_format_is_the_default_and_whole_on_every_backend() {
    let (both, _double) = two_ways(&[]);
    for app in [App::on(On::Memory), App::on(On::Native), App::on(On::Rest), both] {
        use_it(&app).await;
        let answer = app.anyone().get("/metrics").await;
        assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        Exposition::read(&answer.text);
        assert!(!answer.text.contains("# EOF") && !answer.text.contains("# UNIT"), "{}", answer.text);
    }
}

#[tokio::test]
async fn openmetrics_is_for_those_who_ask_and_has_the_same_series() {
    let app = App::on(On::Memory);
    use_it(&app).await;
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let answer = app.anyone().with("accept", accept).get("/metrics").await;
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(answer.text.ends_with("# EOF\n"), "{}", answer.text);
    assert!(answer.text.contains("# TYPE agentapi_sessions_created counter\n"), "{}", answer.text);
    assert!(answer.text.contains("# UNIT http_server_request_duration_seconds seconds\n"), "{}", answer.text);
    let classic = app.anyone().get("/metrics").await.text;
    assert!(classic.contains("# TYPE agentapi_sessions_created_total counter\n"), "{classic}");
    let names = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let names = lines.map(|line| line.split(['{', ' ']).next().unwrap_or_default().to_owned());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(names(&answer.text), names(&classic));
}

#[tokio::test]
async fn a_metrics_token_protects_the_metrics_and_nothing_else() {
    let app = App::with(On::Memory, &[("METRICS_TOKEN", "a-token-for-metrics")]);
    let tenant = app.tenant().await;
    let by = |credential: &str| app.anyone().with("authorization", credential);
    let strangers = [
        app.anyone(),
        by("Bearer "),
        by("Bearer a-token-for-metric"),
        by("Bearer a-token-for-metrics2"),
        by("Basic a-token-for-metrics"),
        by("a-token-for-metrics"),
        (*tenant).clone(),
        app.admin(),
    ];
    for stranger in strangers {
        let answer = stranger.get("/metrics").await;
        answer.refused(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(!answer.text.contains("agentapi_"), "{}", answer.text);
    }
    for operator in [by("Bearer a-token-for-metrics"), by("bearer a-token-for-metrics")] {
        assert_eq!(operator.get("/metrics").await.status, StatusCode::OK);
    }
    by("Bearer a-token-for-metrics").get("/v1/sessions").await.refused(401, "unauthorized");
    app.anyone().get("/status").await.expect(StatusCode::OK);
}
