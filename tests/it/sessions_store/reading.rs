//! Creating and reading.

use super::bench::{Bench, created, data_of, id, id_of, name, new, object};
use agentapi::stores::sessions::{CreateOutcome, NewSession, Touch};

on_every_backend!(
    a_session_reads_back_as_it_was_created,
    a_read_is_one_command,
    a_chosen_id_is_taken_once,
    ids_like_the_servers_own_are_reserved,
    hostile_names_stay_apart,
    many_are_read_in_one_round_trip,
    what_cannot_be_read_is_absent_and_counted,
    another_tenant_does_not_see_it,
);

async fn a_session_reads_back_as_it_was_created(bench: &Bench) {
    let sessions = bench.sessions();
    let data = r#"{"n":1.0,"big":123456789012345678901234567890,"t":"\u00e9"}"#;
    let session = created(
        &sessions,
        NewSession { data: object(data), metadata: object(r#"{"ip_address":"192.0.2.1"}"#), ..new("u1") },
    )
    .await;
    assert_eq!((session.version, session.ttl), (1, 3600));
    assert_eq!(session.expires_at.since(session.created_at).as_secs(), 3600);
    let read = sessions.read(&id_of(&session), Touch::Yes).await.unwrap().unwrap();
    assert_eq!(data_of(&read), data);
    assert_eq!(read.created_at, session.created_at);
    assert_eq!(read.expires_at, session.expires_at);
    let json = serde_json::to_value(&read).unwrap();
    let members: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "id",
        "ref",
        "user_id",
        "data",
        "metadata",
        "version",
        "created_at",
        "last_activity",
        "expires_at",
        "absolute_expires_at",
        "ttl",
    ];
    expected.sort_unstable();
    assert_eq!(members, expected);
    assert_eq!(json["metadata"]["ip_address"], "192.0.2.1");
    assert!(!sessions.exists(&id("never")).await.unwrap());
}

async fn a_read_is_one_command(bench: &Bench) {
    let sessions = bench.sessions();
    let session = created(&sessions, new("u1")).await;
    let (read, cost) = bench.cost(sessions.read(&id_of(&session), Touch::Yes)).await;
    assert!(read.unwrap().is_some());
    assert_eq!(cost, (1, 1));
    let (_, cost) = bench.cost(sessions.create(new("u1"))).await;
    assert_eq!(cost, (1, 1), "a creation is one script");
}

async fn a_chosen_id_is_taken_once(bench: &Bench) {
    let sessions = bench.sessions();
    let chosen = || NewSession { id: Some(id("mine")), ..new("u1") };
    let session = created(&sessions, chosen()).await;
    assert_eq!(session.id, Some(name("mine")));
    assert!(matches!(sessions.create(chosen()).await.unwrap(), CreateOutcome::Exists));
    let other = NewSession { id: Some(id("mine")), ..new("u2") };
    assert!(matches!(sessions.create(other).await.unwrap(), CreateOutcome::Exists));
}

async fn ids_like_the_servers_own_are_reserved(bench: &Bench) {
    let sessions = bench.sessions();
    for text in ["ses_x", "sref_00aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        let outcome = sessions.create(NewSession { id: Some(id(text)), ..new("u1") }).await.unwrap();
        assert!(matches!(outcome, CreateOutcome::ReservedId), "{text}");
    }
}

async fn hostile_names_stay_apart(bench: &Bench) {
    let sessions = bench.sessions();
    let names = ["*", "?", "[a]", "{", "}", "a:b", "a/b", "..", "a b", "{x}", "%2A", "🦀", "u1", "u1:*", "'\"\\"];
    for text in names {
        let session =
            NewSession { id: Some(id(text)), metadata: object(&format!("{{\"n\":{}}}", text.len())), ..new(text) };
        created(&sessions, session).await;
    }
    for text in names {
        let read = sessions.read(&id(text), Touch::No).await.unwrap().unwrap();
        assert_eq!((read.id, read.user_id), (Some(name(text)), name(text)));
        assert_eq!(sessions.list_user(&name(text), None, 100).await.unwrap().items.len(), 1, "{text}");
    }
    assert_eq!(sessions.revoke_all(&name("*"), None).await.unwrap(), 1);
    assert_eq!(sessions.list(None, 100).await.unwrap().items.len(), names.len() - 1);
}

async fn many_are_read_in_one_round_trip(bench: &Bench) {
    let sessions = bench.sessions();
    let mut ids = Vec::new();
    for user in 0..20 {
        ids.push(id_of(&created(&sessions, new(&format!("u{user}"))).await));
        ids.push(id(&format!("absent{user}")));
    }
    let (read, cost) = bench.cost(sessions.read_many(&ids)).await;
    assert_eq!(cost, (1, 40));
    for (at, session) in read.unwrap().into_iter().enumerate() {
        assert_eq!(session.map(|session| session.user_id), (at % 2 == 0).then(|| name(&format!("u{}", at / 2))));
    }
    assert!(sessions.read_many(&[]).await.unwrap().is_empty());
}

async fn what_cannot_be_read_is_absent_and_counted(bench: &Bench) {
    let sessions = bench.sessions();
    let session = created(&sessions, new("u1")).await;
    let at = id_of(&session);
    let text = session.reference.to_string();
    let key = format!("agentapi:{{acme:{}}}:session:{}", &text[5..7], &text[7..]);
    let good = bench.raw(&["HGET", &key, "times"]).await.text().unwrap();
    for (field, bad) in [("data", "{"), ("metadata", "[]"), ("times", "1 2 3"), ("version", "x")] {
        bench
            .raw(&["HSET", &key, "data", "{}", "metadata", "{}", "version", "1", "times", &good])
            .await
            .count()
            .unwrap();
        assert!(sessions.read(&at, Touch::Yes).await.unwrap().is_some());
        bench.raw(&["HSET", &key, field, bad]).await.count().unwrap();
        let before = bench.upkeep.unreadable();
        assert!(sessions.read(&at, Touch::Yes).await.unwrap().is_none(), "{field}");
        assert_eq!(bench.upkeep.unreadable(), before + 1, "{field}");
    }
    bench.raw(&["SET", &key, "no hash"]).await.done().unwrap();
    assert!(sessions.read(&at, Touch::Yes).await.unwrap().is_none());
    // What cannot be read does not hold its name for ever.
    bench.raw(&["DEL", &key]).await.count().unwrap();
    bench.raw(&["HSET", &key, "user", "u1", "times", "nonsense"]).await.count().unwrap();
    created(&sessions, NewSession { id: Some(at.clone()), ..new("u1") }).await;
    assert!(sessions.exists(&at).await.unwrap());
}

async fn another_tenant_does_not_see_it(bench: &Bench) {
    let session = created(&bench.sessions(), NewSession { id: Some(id("shared name")), ..new("u1") }).await;
    let settings = agentapi::stores::sessions::SessionSettings::default();
    let others = agentapi::stores::sessions::Sessions::new(bench.other_tenant.clone(), settings, bench.upkeep.clone());
    assert!(others.read(&id_of(&session), Touch::Yes).await.unwrap().is_none());
    assert_eq!(others.revoke_all(&name("u1"), None).await.unwrap(), 0);
    assert!(others.list(None, 10).await.unwrap().items.is_empty());
    assert!(bench.sessions().exists(&id("shared name")).await.unwrap());
}
