//! The manifests. No cluster judges them here; what can be wrong without one is looked for.

use super::{configure, is_read, path, text, variables, yaml};
use crate::harness::app::{ADMIN_KEY, ROOT_KEY};
use crate::harness::table::rows_where;
use agentapi::http::Access;
use reqwest::Method;
use serde_json::Value;
use std::time::Duration;

const FOLDER: &str = "deploy/kubernetes";

#[track_caller]
fn manifest(name: &str) -> Value {
    yaml(&format!("{FOLDER}/{name}.yaml"))
}

fn deployment() -> (Value, Value) {
    let deployment = manifest("deployment");
    let pod = deployment["spec"]["template"]["spec"].clone();
    assert_eq!(pod["containers"].as_array().map(Vec::len), Some(1));
    let container = pod["containers"][0].clone();
    (pod, container)
}

#[test]
fn every_manifest_is_of_a_kind_and_named_as_the_others() {
    let mut files: Vec<String> = std::fs::read_dir(path(FOLDER))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let of_kinds = files.iter().filter(|file| *file != "kustomization.yaml");
    for file in of_kinds {
        let manifest = yaml(&format!("{FOLDER}/{file}"));
        let kind = manifest["kind"].as_str().unwrap_or_else(|| panic!("{file} has no kind"));
        assert_eq!(kind.to_lowercase(), file.split('.').next().unwrap(), "{file}");
        assert!(manifest["apiVersion"].is_string(), "{file}");
        assert_eq!(manifest["metadata"]["name"], "agentapi", "{file}");
    }
    // What is applied exists, and the example of a secret is not applied.
    for resource in manifest("kustomization")["resources"].as_array().unwrap() {
        assert!(files.iter().any(|file| file == resource) && resource != "secret.example.yaml", "{resource}");
    }
    assert_eq!(manifest("kustomization")["images"][0]["newTag"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn all_that_selects_pods_selects_those_of_the_deployment() {
    let labels = manifest("deployment")["spec"]["template"]["metadata"]["labels"].clone();
    let (pod, _) = deployment();
    for selector in [
        manifest("deployment")["spec"]["selector"]["matchLabels"].clone(),
        manifest("service")["spec"]["selector"].clone(),
        manifest("poddisruptionbudget")["spec"]["selector"]["matchLabels"].clone(),
        manifest("networkpolicy")["spec"]["podSelector"]["matchLabels"].clone(),
        pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"].clone(),
    ] {
        assert_eq!(selector, labels);
    }
    assert_eq!(
        manifest("horizontalpodautoscaler")["spec"]["scaleTargetRef"]["name"],
        manifest("deployment")["metadata"]["name"]
    );
}

#[test]
fn probes_ask_endpoints_that_anyone_may_ask_and_only_readiness_asks_the_backend() {
    let (_, container) = deployment();
    let rows = rows_where(|access| access == Access::Public);
    let path = |probe: &str| container[probe]["httpGet"]["path"].as_str().unwrap().to_owned();
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let there = rows.iter().any(|row| row.method == Method::GET && row.path == path(probe));
        assert!(there, "{probe} asks {}", path(probe));
        assert_eq!(container[probe]["httpGet"]["port"], container["ports"][0]["name"]);
    }
    assert_eq!([path("startupProbe"), path("livenessProbe")], ["/health/live", "/health/live"]);
    assert_eq!(path("readinessProbe"), "/health/ready");
    let port = variables().into_iter().find(|variable| variable.name == "PORT").unwrap().default;
    assert_eq!(container["ports"][0]["containerPort"].to_string(), port);
    assert_eq!(manifest("service")["spec"]["ports"][0]["targetPort"], container["ports"][0]["name"]);
    assert_eq!(manifest("networkpolicy")["spec"]["ingress"][0]["ports"][0]["port"].to_string(), port);
}

#[test]
fn variables_are_real_and_no_secret_stands_in_a_manifest() {
    let (_, container) = deployment();
    let variables = variables();
    let is_secret = |name: &str| variables.iter().any(|variable| variable.is_secret && variable.name == name);
    let settings = manifest("configmap")["data"].as_object().unwrap().clone();
    let secrets = manifest("secret.example")["stringData"].as_object().unwrap().clone();
    for name in settings.keys() {
        assert!(is_read(name, &variables) && !is_secret(name) && !name.ends_with("_FILE"), "{name}");
    }
    let mut taken = Vec::new();
    for variable in container["env"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        assert!(is_secret(name) && variable["value"].is_null(), "{name}");
        assert_eq!(variable["valueFrom"]["secretKeyRef"], serde_json::json!({"name": "agentapi", "key": name}));
        taken.push(name);
    }
    assert_eq!(taken.len(), secrets.len());
    let value = |value: &Value| value.as_str().unwrap().to_owned();
    let settings = settings.iter().map(|(name, set)| (name.clone(), value(set)));
    for (name, placeholder) in &secrets {
        assert!(taken.contains(&name.as_str()), "{name} is taken by nobody");
        let placeholder = value(placeholder);
        assert!(placeholder.starts_with('<') && placeholder.ends_with('>'), "{name} has a value");
        let refused = configure(settings.clone().chain([(name.clone(), placeholder)])).err().expect(name);
        assert!(refused.contains(name), "{refused}");
    }
    let real = [
        ("ADMIN_API_KEY", ADMIN_KEY),
        ("TOKEN_ENCRYPTION_KEY", ROOT_KEY),
        ("REDIS_URL", "redis://:password@redis:6379/0"),
    ];
    let config = configure(settings.chain(real.map(|(name, value)| (name.to_owned(), value.to_owned())))).unwrap();
    let (pod, _) = deployment();
    let grace = Duration::from_secs(pod["terminationGracePeriodSeconds"].as_u64().unwrap());
    assert!(grace > config.server.shutdown_delay + config.server.shutdown_grace);
}

#[test]
fn pods_run_as_the_images_user_and_may_write_and_gain_nothing() {
    let (pod, container) = deployment();
    let user = format!("USER {0}:{1}\n", pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]);
    assert!(text("Dockerfile.multitenant").contains(&user), "{user}");
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["automountServiceAccountToken"], false);
    let context = &container["securityContext"];
    assert_eq!(
        (&context["readOnlyRootFilesystem"], &context["allowPrivilegeEscalation"]),
        (&true.into(), &false.into())
    );
    assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]));
    assert!(
        container["resources"]["requests"]["memory"].is_string()
            && container["resources"]["limits"]["memory"].is_string()
    );
}
