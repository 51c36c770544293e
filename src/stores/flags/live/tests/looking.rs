//! What is known, and how it becomes what the backend has.

use super::*;

#[tokio::test]
async fn what_is_in_use_is_asked_for_once_a_look() {
    let world = world();
    let (live, acme) = (world.server(), tenant("acme"));
    world.put(&live, &acme, 1).await;
    assert_eq!(value(&live, &acme).await, (json!(1), false));
    world.asked();
    for _ in 0..100 {
        world.clock.advance(Duration::from_millis(8));
        assert_eq!(value(&live, &acme).await, (json!(1), false));
    }
    assert_eq!(world.asked(), 0, "no command while the last look is young");
    world.clock.advance(SECOND);
    for _ in 0..100 {
        value(&live, &acme).await;
    }
    assert_eq!(world.asked(), 1, "one look, whatever the number of those who wait for it");
}

#[tokio::test]
async fn a_look_finds_the_changes_of_others_and_loads_nothing_else() {
    let world = world();
    let (here, there, acme, other) = (world.server(), world.server(), tenant("acme"), tenant("other"));
    for id in [&acme, &other] {
        world.put(&there, id, 1).await;
        assert_eq!(value(&here, id).await.0, json!(1));
    }
    world.clock.advance(SECOND);
    value(&here, &acme).await;
    world.put(&there, &acme, 2).await;
    assert_eq!(value(&here, &acme).await.0, json!(1), "as young as that");
    world.clock.advance(SECOND);
    world.asked();
    assert_eq!(value(&here, &acme).await.0, json!(2));
    assert_eq!(world.asked(), 3, "a look, what it found, and what that is now");
    world.clock.advance(SECOND);
    assert_eq!(value(&here, &other).await.0, json!(1));
    assert_eq!(world.asked(), 1, "a look that found nothing new");
}

#[tokio::test]
async fn the_last_known_goes_on_and_is_called_stale_after_a_while() {
    let world = world();
    let (live, acme, other) = (world.server(), tenant("acme"), tenant("other"));
    world.put(&live, &acme, 1).await;
    assert_eq!(value(&live, &acme).await, (json!(1), false));
    world.backend.is_away.store(true, Ordering::SeqCst);
    world.clock.advance(Duration::from_secs(29));
    assert_eq!(value(&live, &acme).await, (json!(1), false));
    world.clock.advance(SECOND);
    assert_eq!(value(&live, &acme).await, (json!(1), true));
    world.asked();
    world.outage.set(true);
    for _ in 0..10 {
        assert_eq!(value(&live, &acme).await, (json!(1), true));
    }
    assert_eq!(world.asked(), 0, "what is away is not asked");
    assert!(live.current(&other, Deadline::NONE).await.is_err(), "nobody knows its flags");
    world.backend.is_away.store(false, Ordering::SeqCst);
    world.outage.set(false);
    world.put(&world.server(), &acme, 2).await;
    assert_eq!(value(&live, &acme).await, (json!(2), false));
}

#[tokio::test]
async fn a_change_that_nobody_noted_is_found_when_versions_are_compared() {
    let world = world();
    let (here, there, acme) = (world.server(), world.server(), tenant("acme"));
    world.put(&there, &acme, 1).await;
    assert_eq!(value(&here, &acme).await.0, json!(1));
    world.put(&there, &acme, 2).await;
    let system = world.database.system();
    // As if the writer had ended before it noted anything since the last look.
    system.run(Command::del(&keys::changes(&system))).await.unwrap().int().unwrap();
    looks::note(&system, &tenant("witness")).await.unwrap();
    let mut seen = here.seen.lock().await;
    *seen = looks::look(&system, &Seen::default()).await.unwrap().1;
    drop(seen);
    world.clock.advance(SECOND);
    assert_eq!(value(&here, &acme).await.0, json!(1));
    here.compare().await;
    assert_eq!(value(&here, &acme).await.0, json!(2));
}

#[tokio::test]
async fn who_watches_hears_of_each_version_that_is_seen() {
    let world = world();
    let (here, there, acme) = (world.server(), world.server(), tenant("acme"));
    let mut watch = here.watch(&acme, Deadline::NONE).await.unwrap();
    assert_eq!(watch.id(), "0-");
    world.put(&here, &acme, 1).await;
    assert!(watch.next().await.unwrap().starts_with("1-"));
    world.put(&there, &acme, 2).await;
    world.clock.advance(SECOND);
    value(&here, &acme).await;
    assert!(watch.next().await.unwrap().starts_with("2-"));
    assert_eq!(here.watched.load(Ordering::SeqCst), 1);
    drop(watch);
    assert_eq!(here.watched.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_cannot_be_read_does_not_take_the_place_of_what_could() {
    let world = world();
    let (live, acme) = (world.server(), tenant("acme"));
    world.put(&live, &acme, 1).await;
    assert_eq!(value(&live, &acme).await.0, json!(1));
    let db = world.database.tenant(&acme);
    let broken = Command::raw(
        crate::db::Effect::Once,
        ["HSET".to_owned(), "t:{acme:00}:flagset".to_owned(), "document".to_owned(), "{\"flags\":1}".to_owned()],
    );
    db.run(broken).await.unwrap().int().unwrap();
    looks::note(&world.database.system(), &acme).await.unwrap();
    world.clock.advance(SECOND);
    assert_eq!(value(&live, &acme).await.0, json!(1));
    assert!(world.server().current(&acme, Deadline::NONE).await.is_err());
}

#[tokio::test]
async fn a_change_between_reading_and_keeping_is_not_lost() {
    let world = world();
    let (here, there, acme) = (world.server(), world.server(), tenant("acme"));
    world.put(&there, &acme, 1).await;
    // The read of this server is held until another look of it has come by.
    let (held, go_on) = world.hold(reads_a_set);
    let reading = tokio::spawn({
        let (here, acme) = (here.clone(), acme.clone());
        async move { value(&here, &acme).await.0 }
    });
    held.notified().await;
    world.put(&there, &acme, 2).await;
    world.clock.advance(SECOND);
    here.wait_for_look(world.clock.micros(), Deadline::NONE).await.unwrap();
    go_on.notify_one();
    assert_eq!(reading.await.unwrap(), json!(2));
}

#[tokio::test]
async fn who_waits_for_a_look_that_fails_does_not_look_again() {
    let world = world();
    let (live, acme) = (world.server(), tenant("acme"));
    world.put(&live, &acme, 1).await;
    value(&live, &acme).await;
    world.clock.advance(SECOND);
    world.backend.is_away.store(true, Ordering::SeqCst);
    world.asked();
    let all = (0..50).map(|_| value(&live, &acme));
    assert!(futures_util::future::join_all(all).await.iter().all(|value| value.0 == json!(1)));
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn what_was_read_before_it_was_forgotten_does_not_take_the_place_of_what_was_read_since() {
    let world = world();
    let (here, there, acme) = (world.server(), world.server(), tenant("acme"));
    world.put(&there, &acme, 1).await;
    assert_eq!(value(&here, &acme).await.0, json!(1));
    world.put(&there, &acme, 2).await;
    let (held, go_on) = world.hold(reads_a_set);
    let loading = tokio::spawn({
        let (here, acme) = (here.clone(), acme.clone());
        async move { here.changed(&acme).await }
    });
    held.notified().await;
    world.put(&there, &acme, 3).await;
    here.known.clear();
    assert_eq!(value(&here, &acme).await.0, json!(3));
    go_on.notify_one();
    loading.await.unwrap();
    assert_eq!(value(&here, &acme).await.0, json!(3));
}

#[tokio::test]
async fn another_set_of_the_same_version_is_another_one() {
    let world = world();
    let (here, there, acme) = (world.server(), world.server(), tenant("acme"));
    world.put(&there, &acme, 1).await;
    assert_eq!(value(&here, &acme).await.0, json!(1));
    // As where the backend lost what it had, or the tenant was deleted and made anew.
    let db = world.database.tenant(&acme);
    db.run(Command::del(&keys::flagset(&db))).await.unwrap().int().unwrap();
    world.put(&there, &acme, 2).await;
    world.clock.advance(SECOND);
    let current = here.current(&acme, Deadline::NONE).await.unwrap();
    assert_eq!((current.compiled().version, value(&here, &acme).await.0), (1, json!(2)));
}

#[tokio::test]
async fn a_change_is_told_although_its_writer_does_not_wait_for_that() {
    let world = world();
    let (here, there, acme) = (world.server(), world.server(), tenant("acme"));
    world.put(&there, &acme, 1).await;
    assert_eq!(value(&here, &acme).await.0, json!(1));
    let (held, go_on) = world.hold(writes_a_set);
    let mut put = Box::pin(world.put(&there, &acme, 2));
    tokio::select! {
        () = put.as_mut() => panic!("it is held"),
        () = held.notified() => {}
    }
    // As where the client goes, or the request takes too long.
    drop(put);
    go_on.notify_one();
    // It goes on by itself, where nobody sees its end.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    world.clock.advance(SECOND);
    assert_eq!(value(&here, &acme).await.0, json!(2));
}

#[tokio::test]
async fn who_was_told_of_a_configuration_by_another_server_is_given_it() {
    let world = world();
    let (here, there, acme) = (world.server(), world.server(), tenant("acme"));
    world.put(&there, &acme, 1).await;
    assert_eq!(value(&here, &acme).await.0, json!(1));
    world.clock.advance(Duration::from_millis(1));
    world.put(&there, &acme, 2).await;
    let told = there.current(&acme, Deadline::NONE).await.unwrap().compiled().id.clone();
    assert_eq!(value(&here, &acme).await.0, json!(1), "it has not looked since");
    let current = here.current_for(&told, &acme, Deadline::NONE).await.unwrap();
    assert_eq!(current.compiled().id, told);
    world.asked();
    here.current_for(&told, &acme, Deadline::NONE).await.unwrap();
    assert_eq!(world.asked(), 0, "what is known is not looked for");
    world.backend.is_away.store(true, Ordering::SeqCst);
    world.clock.advance(Duration::from_millis(1));
    let current = here.current_for("3-other", &acme, Deadline::NONE).await.unwrap();
    assert_eq!(current.compiled().id, told, "the last known is better than nothing");
}
