//! The table of metrics in the documentation is what running servers show.

use super::everything;
use crate::generated::assert_current;
use std::fmt::Write;

/// Where the table begins in the document; all before it is written by hand.
const TABLE: &str = "\n<!-- What follows is generated from what running servers show. -->\n";

#[tokio::test]
async fn the_generated_table_of_metrics_is_what_running_servers_show() {
    let committed = include_str!("../../../docs/metrics.md");
    let (by_hand, _) = committed.split_once(TABLE).expect("the beginning of the table");
    let mut now = format!("{by_hand}{TABLE}\n| metric | type | labels | what |\n|---|---|---|---|\n");
    for (name, metric) in everything().await.0 {
        let labels: Vec<String> = metric.labels().into_iter().map(|label| format!("`{label}`")).collect();
        writeln!(now, "| `{name}` | {} | {} | {} |", metric.kind, labels.join(" "), metric.help.trim_end_matches('.'))
            .expect("a line");
    }
    // Redis tells of its limit only where it has one.
    let used = now.find("| `agentapi_redis_memory_used_bytes`").expect("its row");
    now.insert_str(
        used,
        "| `agentapi_redis_memory_limit_bytes` | gauge |  | Memory that the backend may take; absent without a limit |\n",
    );
    assert_current("docs/metrics.md", &now, "UPDATE_DOCS=1 cargo test --test it -- generated");
}
