//! The variables as a document for people: `docs/configuration.md`.

use super::{Entry, Env, Variable};
use std::fmt::Write as _;

impl Env {
    /// What has been defined so far, in Markdown: a table for each section.
    pub fn table(&self) -> String {
        let mut text = String::from(
            "# Configuration\n\nMade by `agentapi configuration`, from what the server reads. [.env.example](../.env.example) has the same as a file to\n\
             copy, and [deployment-compose.md](deployment-compose.md) the variables that only the compose file reads.\n\n\
             Everything comes from environment variables; a file `.env` in the working directory counts where the environment says\n\
             nothing, and a flag (`agentapi serve --port 8080`) wins over both. An empty value counts as not set. All mistakes are told\n\
             together at start, by name and without their values, and the exit code is 2.\n\n\
             A duration is `500ms`, `30s`, `5m`, `1h`, `7d`, or a number of seconds. A switch is `true` or `false`. A secret may stand in\n\
             a file instead, which `NAME_FILE` names (Docker and Kubernetes secrets); to give both is a mistake.\n",
        );
        for entry in &self.entries {
            match entry {
                Entry::Section(title) => {
                    text.push_str(&format!("\n## {title}\n\n| variable | default | meaning |\n|---|---|---|\n"));
                }
                Entry::Variable(variable) => row(&mut text, *variable),
            }
        }
        text
    }
}

fn row(text: &mut String, Variable { name, alias, default, meaning, secret }: Variable) {
    let alias = alias.map(|alias| format!(", also `{alias}`")).unwrap_or_default();
    let file = if secret { format!(", `{name}_FILE`") } else { String::new() };
    let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
    let secret = if secret { " Secret." } else { "" };
    // A bar would end the cell.
    let meaning = meaning.replace('|', "\\|");
    let written = writeln!(text, "| `{name}`{file}{alias} | {default} | {meaning}{secret} |");
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}
