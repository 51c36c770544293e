//! The ways to the backend, each tried by itself.

use super::findings::{Finding, of_obstacle, of_warning};
use crate::admin::Diagnosis;
use crate::app::Application;
use crate::base::clock::SystemClock;
use crate::base::deadline::Deadline;
use crate::config::{BackendSettings, Config};
use crate::db::transport::obstacle::Obstacle;
use std::sync::Arc;
use std::time::Duration;

/// The longest that one step on the way to a backend may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// One way, and what was found there.
pub(super) struct Way {
    pub(super) name: &'static str,
    pub(super) answers: bool,
    pub(super) diagnosis: Diagnosis,
}

/// Tries each, and both together where there are two.
pub(super) async fn look(config: &Config, findings: &mut Vec<Finding>) -> Vec<Way> {
    let backends = match &config.backend {
        BackendSettings::Both { native, rest, .. } => {
            vec![BackendSettings::Native(native.clone()), BackendSettings::Rest(rest.clone())]
        }
        one => vec![one.clone()],
    };
    let mut ways = Vec::new();
    for backend in backends {
        let name = name_of(&backend);
        let alone = Config { backend: backend.clone(), ..config.clone() };
        let app = match Application::new(alone, Arc::new(SystemClock)) {
            Ok(app) => app,
            Err(error) => {
                let mend = "Correct the URL and the certificates that it needs.";
                findings.push(Finding::new("critical", "unusable_settings", error.to_string(), mend).of(name));
                continue;
            }
        };
        let (diagnosis, failure) = app.diagnostician().look(Deadline::NONE).await;
        let answers = failure.is_none();
        match failure {
            None => findings.extend(lacking_root_keys(&app, name, findings).await),
            Some(error) => findings.push(match obstacle(&backend).await {
                Some(obstacle) => of_obstacle(name, obstacle),
                None => {
                    let mend = "Run this again; if it stays so, see the log of the backend.";
                    Finding::new("critical", "backend_failed", format!("It can be reached, but: {error}."), mend)
                        .of(name)
                }
            }),
        }
        // A way that does not answer has its own finding, which says more than a door that is shut.
        let told = diagnosis.warnings().iter().filter(|warning| warning.code != "door_open");
        findings.extend(told.map(|warning| of_warning(name, warning)));
        ways.push(Way { name, answers, diagnosis });
    }
    if ways.len() == 2 && ways.iter().all(|way| way.answers) {
        findings.extend(compare(config).await);
    }
    ways
}

fn name_of(backend: &BackendSettings) -> &'static str {
    match backend {
        BackendSettings::Memory => "memory",
        BackendSettings::Rest(_) => "rest",
        BackendSettings::Native(_) | BackendSettings::Both { .. } => "native",
    }
}

async fn obstacle(backend: &BackendSettings) -> Option<Obstacle> {
    match backend {
        BackendSettings::Native(settings) => settings.obstacle(settings.connection_timeout.min(PATIENCE)).await,
        BackendSettings::Rest(settings) => settings.obstacle(settings.command_timeout.min(PATIENCE)).await,
        _ => None,
    }
}

async fn lacking_root_keys(app: &Application, way: &'static str, before: &[Finding]) -> Option<Finding> {
    let code = "root_key_missing";
    let said = app.lacks_root_keys().await.filter(|_| !before.iter().any(|finding| finding.code == code))?;
    let mend = "Put the old root key into TOKEN_ENCRYPTION_KEYS_PREVIOUS: the server does not start without it.";
    Some(Finding::new("critical", code, said, mend).of(way))
}

/// Whether both ways lead to one database.
async fn compare(config: &Config) -> Option<Finding> {
    let app = Application::new(config.clone(), Arc::new(SystemClock)).ok()?;
    let code = "failover_off_different_databases";
    match app.ways_lead_to_one_database().await {
        Some(true) => None,
        Some(false) => Some(Finding::new(
            "critical",
            code,
            "UPSTASH_REDIS_REST_URL leads to another database than the native URL: there would be no failover.",
            "Correct one of the two, or set REDIS_REST_FALLBACK=false.",
        )),
        None => Some(Finding::new(
            "warning",
            "failover_unproven",
            "It could not be found out whether both ways lead to the same database.",
            "Run this again.",
        )),
    }
}
