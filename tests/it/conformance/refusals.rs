//! What every command refuses, in the words of Redis.

use super::transcript::holds;
use super::{Behaviour, does};
use crate::harness::backend::{Backend, shown};
use agentapi::db::COMMANDS;

pub async fn every_command_refuses_a_key_of_another_type(backend: Backend) {
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    holds(&backend, "SET $s v -> OK\n HSET $h f v -> 1\n ZADD $z 1 m -> 1").await;
    for (kind, commands) in [
        ("s", &["HDEL $ f", "HGET $ f", "HGETALL $", "HMGET $ f", "HSET $ f v"][..]),
        ("h", &["ZADD $ 1 m", "ZCARD $", "ZCOUNT $ 0 1", "ZRANGE $ 0 1", "ZREM $ m"]),
        ("h", &["ZREMRANGEBYSCORE $ 0 1", "ZSCORE $ m", "ZADD $ XX 1 m", "ZADD $ INCR 1 m"]),
        ("z", &["GET $", "INCR $", "SET $ v GET", "HDEL $ f", "HGET $ f"]),
    ] {
        for command in commands {
            holds(&backend, &format!("{} -> {wrong}", command.replace('$', &format!("${kind}")))).await;
        }
    }
}

pub async fn every_command_refuses_the_wrong_number_of_arguments(backend: Backend) {
    // INFO takes any number.
    for command in COMMANDS.iter().filter(|command| **command != "INFO") {
        let name = command.to_lowercase();
        let refused = format!("-ERR wrong number of arguments for '{name}' command");
        let too_few = if *command == "TIME" { vec!["TIME", "x"] } else { vec![*command] };
        assert_eq!(shown(&backend.say(too_few).await), refused);
        if [
            "GET",
            "HGET",
            "HGETALL",
            "INCR",
            "PTTL",
            "PUBLISH",
            "RENAME",
            "ZCARD",
            "ZCOUNT",
            "ZREMRANGEBYSCORE",
            "ZSCORE",
        ]
        .contains(command)
        {
            let too_many = [&[*command][..], &["k"; 9]].concat();
            assert_eq!(shown(&backend.say(too_many).await), refused);
        }
    }
}

pub async fn unknown_commands_are_refused(backend: Backend) {
    const LONG: &str = "a word of two hundred letters, which Redis quotes only the beginning of, so that a client who sends nonsense is not told all of it again: it stops after the first hundred and twenty-eight bytes here";
    for words in [vec!["FOO"], vec!["FOO", "a", "b c"], vec!["foo", LONG, "more"], vec![LONG], vec!["foo", "\r\n"]] {
        let name: String = words[0].chars().take(128).collect();
        let mut quoted = String::new();
        for word in &words[1..] {
            if quoted.len() < 128 {
                let word: String = word.replace(['\r', '\n'], " ").chars().take(128 - quoted.len()).collect();
                quoted.push_str(&format!("'{word}' "));
            }
        }
        let expected = format!("-ERR unknown command '{name}', with args beginning with: {quoted}");
        assert_eq!(shown(&backend.say(words).await).trim_end(), expected.trim_end());
    }
    let other = backend.say(vec!["STRLEN".to_owned(), backend.key("k")]).await;
    assert_eq!(shown(&other).starts_with("-ERR unknown command"), does(&backend, Behaviour::RefusesOtherCommands));
}
