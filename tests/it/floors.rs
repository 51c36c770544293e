//! The architecture on one screen, held: every file stands on a floor, and what it imports lies below.

use std::path::Path;

/// Where a module is at home: the first row whose path the module's path starts with. `*` is any one slice.
const PLACES: &[(&str, &str)] = &[
    ("base", "base"),
    ("db::transport", "transport"),
    ("db", "db"),
    ("outbound", "outbound"),
    ("tenancy", "tenancy"),
    ("vault", "vault"),
    ("jobs", "jobs"),
    ("stores::*::routes", "edge"),
    ("stores", "store"),
    ("http", "http"),
    ("admin", "edge"),
    ("config", "config"),
    ("app", "app"),
    ("cli", "cli"),
    ("lib", "cli"),
    ("main", "cli"),
];

/// What each may import, itself included, from the ground up. `actix_web` and the clients are crates.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("base", &["base"]),
    ("transport", &["base", "db", "transport", "redis", "reqwest"]),
    ("db", &["base", "db", "transport"]),
    ("outbound", &["base", "outbound", "reqwest"]),
    ("tenancy", &["base", "db", "transport", "jobs", "tenancy"]),
    ("vault", &["base", "db", "transport", "tenancy", "vault"]),
    ("jobs", &["base", "db", "transport", "jobs"]),
    ("store", &["base", "db", "transport", "outbound", "tenancy", "vault", "jobs", "store"]),
    ("http", &["base", "db", "tenancy", "vault", "http", "actix_web"]),
    (
        "edge",
        &["base", "db", "transport", "outbound", "tenancy", "vault", "jobs", "store", "http", "edge", "actix_web"],
    ),
    ("config", &["base", "transport", "outbound", "tenancy", "vault", "store", "http", "config"]),
    (
        "app",
        &[
            "base",
            "db",
            "transport",
            "outbound",
            "tenancy",
            "vault",
            "jobs",
            "store",
            "http",
            "edge",
            "config",
            "app",
            "actix_web",
        ],
    ),
    (
        "cli",
        &[
            "base",
            "db",
            "transport",
            "tenancy",
            "vault",
            "jobs",
            "store",
            "http",
            "edge",
            "config",
            "app",
            "cli",
            "actix_web",
            "reqwest",
        ],
    ),
];

const CRATES: &[&str] = &["actix_web", "redis", "reqwest"];

fn place(module: &[String]) -> Option<&'static str> {
    let starts = |pattern: &str| {
        let mut segments = module.iter();
        pattern.split("::").all(|wanted| segments.next().is_some_and(|have| wanted == "*" || wanted == have))
    };
    CRATES
        .iter()
        .copied()
        .find(|name| module.first().is_some_and(|first| first == name))
        .or_else(|| PLACES.iter().find(|(pattern, _)| starts(pattern)).map(|(_, place)| *place))
}

/// The vertical slice that a module belongs to.
fn slice(module: &[String]) -> Option<&str> {
    match module {
        [stores, name, ..] if stores == "stores" => Some(name),
        [admin, ..] if admin == "admin" => Some(admin),
        _ => None,
    }
}

/// `stores/sessions/id.rs` is `stores::sessions::id`; a `mod.rs` is its folder.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

/// The paths that a use tree names: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(before: &[String], tree: &str, found: &mut Vec<Vec<String>>) {
    let tree = tree.trim_start();
    let end = tree.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(tree.len());
    let mut path = before.to_vec();
    path.extend(tree[..end].split("::").filter(|s| !s.is_empty()).map(|s| s.trim_matches(':').to_owned()));
    if !(tree[end..].starts_with('{') && (end == 0 || tree[..end].ends_with("::"))) {
        return found.push(path);
    }
    let (mut depth, mut start) = (0, end + 1);
    for (at, c) in tree.char_indices().skip_while(|(at, _)| *at < end) {
        match c {
            '{' => depth += 1,
            ',' if depth == 1 => {
                expand(&path, &tree[start..at], found);
                start = at + 1;
            }
            '}' if depth == 1 => return expand(&path, &tree[start..at], found),
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// Every module and crate that a file names.
fn imports(file: &str, text: &str) -> Vec<Vec<String>> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).fold(String::new(), |a, l| a + l + "\n");
    let mut found = Vec::new();
    let whole_word = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    for (at, word) in code.match_indices("crate::").filter(|(at, _)| whole_word(*at)) {
        expand(&[], &code[at + word.len()..], &mut found);
    }
    for (at, _) in code.match_indices("super::").filter(|(at, _)| whole_word(*at)) {
        let (mut parent, mut rest) = (module_of(file), &code[at..]);
        while let Some(after) = rest.strip_prefix("super::") {
            parent.pop();
            rest = after;
        }
        expand(&parent, rest, &mut found);
    }
    for name in CRATES {
        let named = |(at, _): (usize, &str)| whole_word(at).then(|| vec![name.to_string()]);
        found.extend(code.match_indices(&format!("{name}::")).filter_map(named));
    }
    found
}

/// What a file imports and must not.
fn violations(file: &str, text: &str) -> Vec<String> {
    let module = module_of(file);
    let Some(from) = place(&module) else { return vec![format!("{file} stands on no floor")] };
    let allowed = MAY_IMPORT.iter().find(|(place, _)| *place == from).map_or(&[][..], |(_, allowed)| allowed);
    let wrong = |path: &Vec<String>| {
        // Names at the crate's root are modules; whatever a path of `super` reaches beyond it is none.
        let Some(to) = place(path) else { return !path.is_empty() };
        let other_slice = matches!((slice(&module), slice(path)), (Some(ours), Some(theirs)) if ours != theirs);
        !allowed.contains(&to) || other_slice
    };
    imports(file, text)
        .iter()
        .filter(|path| wrong(path))
        .map(|path| format!("{file} ({from}) imports {}", path.join("::")))
        .collect()
}

fn files(folder: &Path, found: &mut Vec<(String, String)>, root: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found, root);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn imports_go_down_and_no_slice_knows_another() {
    let (root, mut all) = (Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), Vec::new());
    files(root, &mut all, root);
    assert!(all.len() > 80, "only {} files were found", all.len());
    let violations: Vec<String> = all.iter().flat_map(|(file, text)| violations(file, text)).collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn each_way_up_or_across_is_caught() {
    for (file, text) in [
        ("base/id.rs", "use crate::db::Key;"),
        ("db/key.rs", "fn f() { crate::tenancy::Tenant::new() }"),
        ("db/database.rs", "use redis::Client;"),
        ("tenancy/tenant.rs", "use crate::{base::id, stores::sessions};"),
        ("stores/sessions/store.rs", "use crate::http::Problem;"),
        ("stores/sessions/store.rs", "use actix_web::HttpResponse;"),
        ("stores/sessions/store.rs", "use super::routes;"),
        ("stores/sessions/store.rs", "use super::super::idempotency::Answer;"),
        (
            "stores/sessions/routes.rs",
            "use crate::{\n  base::{code::Code, id},\n  stores::{idempotency::{Answer}},\n};",
        ),
        ("stores/sessions/routes.rs", "use crate::admin::endpoints;"),
        ("stores/sessions/settings.rs", "use crate::config::Config;"),
        ("http/gate.rs", "use crate::stores::sessions::Sessions;"),
        ("http/gate.rs", "use crate::admin::endpoints;"),
        ("http/gate.rs", "pub use crate::config::Config;"),
        ("admin/tenants.rs", "use crate::stores::sessions::Sessions;"),
        ("config.rs", "use crate::app::Application;"),
        ("novelty/thing.rs", ""),
    ] {
        assert_eq!(violations(file, text).len(), 1, "{file}: {text}");
    }
}

#[test]
fn ways_down_and_words_in_comments_are_not() {
    for (file, text) in [
        ("stores/sessions/store.rs", "use crate::db::{self, Command};\nuse super::id::SessionId;"),
        ("stores/sessions/routes.rs", "use crate::http::Problem;\nuse super::{store::Sessions, JsonObject};"),
        ("http/gate.rs", "// crate::stores::sessions\n/// [`crate::admin`]\nuse crate::tenancy::Registry;"),
        ("app.rs", "use crate::stores::sessions::{Upkeep, routes as sessions};\nuse crate::config::Config;"),
    ] {
        assert_eq!(violations(file, text), Vec::<String>::new());
    }
}
