//! Sorted sets: scores, options, ranges.

use super::transcript::{holds, words};
use super::{Behaviour, does};
use crate::harness::backend::{Backend, shown};

pub async fn scores_are_read_and_written_as_redis_does(backend: Backend) {
    holds(
        &backend,
        r#"
        ZADD $z 1 a 1.5 b -2 c 0.1 d 1e3 e inf f -INF g 3.0 h -0 i +7 j .5 k 5. l -> 12
        ZSCORE $z a -> "1"
        ZSCORE $z b -> "1.5"
        ZSCORE $z c -> "-2"
        ZSCORE $z d -> "0.10000000000000001"
        ZSCORE $z e -> "1000"
        ZSCORE $z f -> "inf"
        ZSCORE $z g -> "-inf"
        ZSCORE $z h -> "3"
        ZSCORE $z i -> "0"
        ZSCORE $z j -> "7"
        ZSCORE $z k -> "0.5"
        ZSCORE $z l -> "5"
        ZSCORE $z none -> nil
        ZSCORE $none m -> nil
        ZADD $z 1800000000000123 a 1e17 b 1e-5 c 12345678901234567890 d 1.7976931348623157e308 e 5e-324 f -> 0
        ZSCORE $z a -> "1800000000000123"
        ZSCORE $z b -> "1e+17"
        ZSCORE $z c -> "1.0000000000000001e-05"
        ZSCORE $z d -> "1.2345678901234567e+19"
        ZSCORE $z e -> "1.7976931348623157e+308"
        ZSCORE $z f -> "4.9406564584124654e-324"
        ZADD $z x a -> -ERR value is not a valid float
        ZADD $z nan a -> -ERR value is not a valid float
        ZADD $z "" a -> -ERR value is not a valid float
        ZADD $z " 1" a -> -ERR value is not a valid float
        ZADD $z "1 " a -> -ERR value is not a valid float
        ZADD $z 1e999 a -> -ERR value is not a valid float
        ZADD $z 1 new x newer -> -ERR value is not a valid float
        ZSCORE $z new -> nil
        "#,
    )
    .await;
    let hexadecimal = shown(&backend.say(words(&backend, "ZADD $z 0x10 hexadecimal")).await);
    let expected =
        if does(&backend, Behaviour::ReadsHexadecimalScores) { "1" } else { "-ERR value is not a valid float" };
    assert_eq!(hexadecimal, expected);
}

pub async fn zadd_takes_every_option(backend: Backend) {
    holds(
        &backend,
        r#"
        ZADD $z XX 1 a -> 0
        EXISTS $z -> 0
        ZADD $z XX INCR 1 a -> nil
        ZADD $z NX 1 a 1 b -> 2
        ZADD $z NX 2 a 3 c -> 1
        ZSCORE $z a -> "1"
        ZADD $z XX CH 5 a 5 none -> 1
        ZADD $z CH 5 a 6 b 7 d -> 2
        ZADD $z GT CH 4 a -> 0
        ZADD $z GT CH 6 a 1 new -> 2
        ZADD $z LT CH 7 a -> 0
        ZADD $z lt ch 2 a -> 1
        ZADD $z XX GT 3 a 1 other -> 0
        ZSCORE $z a -> "3"
        ZADD $z INCR 1.5 a -> "4.5"
        ZADD $z GT INCR -1 a -> nil
        ZADD $z NX INCR 1 a -> nil
        ZADD $z NX INCR 1 fresh -> "1"
        ZADD $z XX LT INCR -1 a -> "3.5"
        ZADD $z LT INCR 0 a -> nil
        ZADD $z GT INCR 0 a -> nil
        ZADD $z INCR inf a -> "inf"
        ZADD $z INCR -inf a -> -ERR resulting score is not a number (NaN)
        ZADD $z 8 twice 9 twice -> 1
        ZSCORE $z twice -> "9"
        ZADD $z NX XX 1 a -> -ERR XX and NX options at the same time are not compatible
        ZADD $z NX GT 1 a -> -ERR GT, LT, and/or NX options at the same time are not compatible
        ZADD $z GT LT 1 a -> -ERR GT, LT, and/or NX options at the same time are not compatible
        ZADD $z INCR 1 a 2 b -> -ERR INCR option supports a single increment-element pair
        ZADD $z NX CH -> -ERR syntax error
        ZADD $z 1 a 2 -> -ERR syntax error
        "#,
    )
    .await;
}

pub async fn zrem_and_zcard(backend: Backend) {
    holds(
        &backend,
        r#"
        ZCARD $z -> 0
        ZREM $z a -> 0
        ZADD $z 1 a 2 b 3 c -> 3
        ZCARD $z -> 3
        ZREM $z a none a -> 1
        ZREM $z b c -> 2
        EXISTS $z -> 0
        "#,
    )
    .await;
}

pub async fn ranges_by_index(backend: Backend) {
    holds(
        &backend,
        r#"
        ZRANGE $z 0 -1 -> []
        ZADD $z 1 b 1 a 2 c 3 d -> 4
        ZRANGE $z 0 -1 -> ["a", "b", "c", "d"]
        ZRANGE $z 0 0 WITHSCORES -> ["a", "1"]
        ZRANGE $z -2 -1 withscores -> ["c", "2", "d", "3"]
        ZRANGE $z 0 1 REV -> ["d", "c"]
        ZRANGE $z 2 1 -> []
        ZRANGE $z 4 9 -> []
        ZRANGE $z -9 9 -> ["a", "b", "c", "d"]
        ZRANGE $z 0 -9 -> []
        ZRANGE $z 0 9223372036854775807 -> ["a", "b", "c", "d"]
        ZRANGE $z -9223372036854775808 0 -> ["a"]
        ZRANGE $z 0 x -> -ERR value is not an integer or out of range
        ZRANGE $z 0 1 REV REV -> -ERR syntax error
        ZRANGE $z 0 1 FOO -> -ERR syntax error
        ZRANGE $z 0 1 LIMIT 0 -> -ERR syntax error
        ZRANGE $z 0 -1 LIMIT 0 -1 -> ["a", "b", "c", "d"]
        ZRANGE $z 0 1 LIMIT 0 1 -> -ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX
        "#,
    )
    .await;
}

pub async fn ranges_by_score(backend: Backend) {
    holds(
        &backend,
        r#"
        ZADD $z 1 a 2 b 2 c 3 d inf e -inf f -> 6
        ZRANGE $z 1 2 BYSCORE -> ["a", "b", "c"]
        ZRANGE $z (1 (3 BYSCORE -> ["b", "c"]
        ZRANGE $z -inf +inf BYSCORE -> ["f", "a", "b", "c", "d", "e"]
        ZRANGE $z (-inf (inf BYSCORE WITHSCORES -> ["a", "1", "b", "2", "c", "2", "d", "3"]
        ZRANGE $z (inf inf BYSCORE -> []
        ZRANGE $z 3 1 BYSCORE -> []
        ZRANGE $z 3 1 BYSCORE REV -> ["d", "c", "b", "a"]
        ZRANGE $z +inf (2 BYSCORE REV LIMIT 1 1 -> ["d"]
        ZRANGE $z 1 3 BYSCORE LIMIT 1 2 -> ["b", "c"]
        ZRANGE $z 1 3 BYSCORE LIMIT 1 -5 -> ["b", "c", "d"]
        ZRANGE $z 1 3 BYSCORE LIMIT -1 2 -> []
        ZRANGE $z 1 3 BYSCORE LIMIT 9 2 -> []
        ZRANGE $z 1 3 BYSCORE LIMIT 0 0 -> []
        ZRANGE $z 1 3 BYSCORE LIMIT x 0 -> -ERR value is not an integer or out of range
        ZRANGE $z 2 (2 BYSCORE -> []
        ZRANGE $z 2 2 BYSCORE -> ["b", "c"]
        ZRANGE $none 1 2 BYSCORE -> []
        ZCOUNT $z 1 2 -> 3
        ZCOUNT $z (1 +inf -> 4
        ZCOUNT $z -inf (-inf -> 0
        ZCOUNT $z 3 1 -> 0
        ZCOUNT $none 0 1 -> 0
        ZADD $zero -0 minus 0 plus -> 2
        ZCOUNT $zero 0 0 -> 2
        ZCOUNT $zero (-0 1 -> 0
        "#,
    )
    .await;
}

pub async fn ranges_by_bytes(backend: Backend) {
    holds(
        &backend,
        r#"
        ZADD $z 0 a 0 b 0 bb 0 c 0 "" 0 "\xc3\xa9" -> 6
        ZRANGE $z - + BYLEX -> ["", "a", "b", "bb", "c", "\xc3\xa9"]
        ZRANGE $z [a (c BYLEX -> ["a", "b", "bb"]
        ZRANGE $z (a + BYLEX LIMIT 0 2 -> ["b", "bb"]
        ZRANGE $z + (bb BYLEX REV -> ["\xc3\xa9", "c"]
        ZRANGE $z (c - BYLEX REV LIMIT 1 2 -> ["b", "a"]
        ZRANGE $z + - BYLEX -> []
        ZRANGE $z (a (a BYLEX -> []
        ZRANGE $z [a [a BYLEX -> ["a"]
        ZRANGE $z [ (a BYLEX -> [""]
        ZRANGE $z [x [y BYLEX -> []
        ZRANGE $none - + BYLEX -> []
        ZRANGE $z - + BYLEX WITHSCORES -> -ERR syntax error, WITHSCORES not supported in combination with BYLEX
        ZRANGE $z - + BYLEX BYSCORE -> -ERR syntax error
        "#,
    )
    .await;
}

pub async fn bounds_that_are_no_bounds_are_refused(backend: Backend) {
    holds(
        &backend,
        r#"
        ZRANGE $z a + BYLEX -> -ERR min or max not valid string range item
        ZRANGE $z "" + BYLEX -> -ERR min or max not valid string range item
        ZRANGE $z -- + BYLEX -> -ERR min or max not valid string range item
        ZRANGE $z x 1 BYSCORE -> -ERR min or max is not a float
        ZRANGE $z 1 nan BYSCORE -> -ERR min or max is not a float
        ZCOUNT $z 1 [2 -> -ERR min or max is not a float
        ZCOUNT $z ((1 2 -> -ERR min or max is not a float
        ZREMRANGEBYSCORE $z - + -> -ERR min or max is not a float
        ZADD $z 0 a 1 b 1e308 c -> 3
        ZCOUNT $z "" 1 -> 2
        ZCOUNT $z " 1" 1e999 -> 2
        ZCOUNT $z ( 1 -> 1
        "#,
    )
    .await;
}

pub async fn zremrangebyscore(backend: Backend) {
    holds(
        &backend,
        r#"
        ZREMRANGEBYSCORE $z 0 1 -> 0
        ZADD $z 1 a 2 b 3 c 4 d -> 4
        ZREMRANGEBYSCORE $z (1 3 -> 2
        ZRANGE $z 0 -1 -> ["a", "d"]
        ZREMRANGEBYSCORE $z 9 1 -> 0
        ZREMRANGEBYSCORE $z -inf +inf -> 2
        EXISTS $z -> 0
        "#,
    )
    .await;
}
