//! The typed reader of the environment.
//!
//! Reading a variable also defines it: its default and its explanation stand where it is read, and
//! [`Env::document`] prints `.env.example` from them, [`Env::table`] `docs/configuration.md`. Mistakes
//! are collected, named by variable and never by value, and reported together by [`Env::finish`].

mod table;

use super::duration;
use super::secret::Secret;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr;
use std::time::Duration;

/// One variable: its name, other names it answers to, its default and what it means.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    name: &'static str,
    alias: Option<&'static str>,
    default: &'static str,
    meaning: &'static str,
    secret: bool,
}

impl Variable {
    /// A variable without a default.
    pub const fn new(name: &'static str, meaning: &'static str) -> Self {
        Variable { name, alias: None, default: "", meaning, secret: false }
    }

    /// A second name; the first one wins.
    pub const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    /// What holds when it is not set, as it would be written.
    pub const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }
}

/// Everything that was wrong with the environment: a line per mistake, each naming its variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is not valid:\n  {}", .0.join("\n  "))]
pub struct Mistakes(pub Vec<String>);

enum Entry {
    Section(&'static str),
    Variable(Variable),
}

/// A variable as it is told to people.
#[derive(Debug, Clone, Copy)]
pub struct Described {
    /// The section that it stands in; empty before the first.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Another name that it answers to.
    pub alias: Option<&'static str>,
    /// What holds when it is not set, as it would be written; empty where nothing does.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Whether it is a secret, which `NAME_FILE` may bring too.
    pub secret: bool,
}

/// A variable that is set.
pub struct SetVariable {
    /// Its name.
    pub name: &'static str,
    /// Its value as it was given, or the secret that it is.
    pub value: Result<String, Secret>,
}

/// The environment, while it is being read.
pub struct Env {
    values: BTreeMap<String, String>,
    entries: Vec<Entry>,
    mistakes: Vec<String>,
}

impl Env {
    /// An environment with these values. An empty value counts as not set; names are case-sensitive.
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        let values = values
            .into_iter()
            .map(|(name, value)| (name, value.trim().to_owned()))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        Env { values, entries: Vec::new(), mistakes: Vec::new() }
    }

    /// The environment of this process over a `.env` file in the working directory, and `flags` over both.
    pub fn of_process(flags: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut mistakes = Vec::new();
        let mut values: Vec<(String, String)> = Vec::new();
        if let Ok(lines) = dotenvy::from_filename_iter(".env") {
            for line in lines {
                match line {
                    Ok(pair) => values.push(pair),
                    Err(_) => mistakes.push(".env: has a line that is not NAME=value".to_owned()),
                }
            }
        }
        // Not `vars()`: it panics on a value that is not UTF-8.
        let (process, garbled): (Vec<_>, Vec<_>) = std::env::vars_os()
            .map(|(name, value)| (name.into_string(), value.into_string()))
            .partition(|(name, value)| name.is_ok() && value.is_ok());
        for (name, _) in garbled {
            mistakes.push(format!("{}: is not UTF-8", name.unwrap_or_else(|_| "a variable".into())));
        }
        let process = process.into_iter().filter_map(|(name, value)| Some((name.ok()?, value.ok()?)));
        match envy::from_iter::<_, BTreeMap<String, String>>(process) {
            Ok(map) => values.extend(map.into_iter().map(|(name, value)| (name.to_ascii_uppercase(), value))),
            Err(_) => mistakes.push("the environment cannot be read".to_owned()),
        }
        // An empty value over a set one counts as not set, so it must not hide what lies below it.
        values.retain(|(_, value)| !value.trim().is_empty());
        values.extend(flags);
        let mut env = Env::new(values);
        env.mistakes = mistakes;
        env
    }

    /// Starts a section of `.env.example`.
    pub fn section(&mut self, title: &'static str) {
        self.entries.push(Entry::Section(title));
    }

    /// Adds a mistake that concerns `name`.
    pub fn mistake(&mut self, name: &str, what: &str) {
        self.mistakes.push(format!("{name}: {what}"));
    }

    /// Whether any of the variables has a value; does not define them.
    pub fn any_set(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.values.contains_key(*name))
    }

    /// Whether a variable has a value that does not mean `off`; does not define it.
    pub fn is_set_to_other_than(&self, name: &str, off: &str) -> bool {
        self.values.get(name).is_some_and(|value| !value.eq_ignore_ascii_case(off))
    }

    fn define(&mut self, variable: Variable) -> Option<String> {
        self.entries.push(Entry::Variable(variable));
        self.value(variable).map(str::to_owned)
    }

    fn value(&self, variable: Variable) -> Option<&str> {
        let alias = || variable.alias.and_then(|alias| self.values.get(alias));
        self.values.get(variable.name).or_else(alias).map(String::as_str)
    }

    /// A text, or the default, or nothing.
    pub fn text(&mut self, variable: Variable) -> Option<String> {
        self.define(variable).or_else(|| (!variable.default.is_empty()).then(|| variable.default.to_owned()))
    }

    /// A secret, from `NAME` or from the file that `NAME_FILE` names (Docker secrets).
    pub fn secret(&mut self, variable: Variable) -> Option<Secret> {
        let given = self.define(Variable { secret: true, ..variable });
        let file_name = format!("{}_FILE", variable.name);
        let file = self.values.get(&file_name).cloned();
        match (given, file) {
            (Some(_), Some(_)) => {
                self.mistake(variable.name, &format!("is set together with {file_name}"));
                None
            }
            (None, Some(path)) => match std::fs::read_to_string(path) {
                Ok(text) if !text.trim().is_empty() => Some(Secret::new(text.trim().to_owned())),
                Ok(_) => {
                    self.mistake(&file_name, "names an empty file");
                    None
                }
                Err(_) => {
                    self.mistake(&file_name, "names a file that cannot be read as text");
                    None
                }
            },
            (given, None) => given.map(Secret::new),
        }
    }

    /// A value that `read` understands; otherwise the mistake says what it `must` be. A variable that
    /// is not set gives what `read` makes of its default, and nothing where it has none.
    pub fn parsed<T>(&mut self, variable: Variable, must: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        if let Some(text) = self.define(variable) {
            match read(&text) {
                Some(value) => return Some(value),
                None => self.mistake(variable.name, must),
            }
        }
        if variable.default.is_empty() { None } else { read(variable.default) }
    }

    /// A duration; see [`duration::parse`].
    pub fn duration(&mut self, variable: Variable) -> Duration {
        let must = "is not a duration (3600, 500ms, 30s, 5m, 1h, 7d)";
        self.parsed(variable, must, |text| duration::parse(text).ok()).unwrap_or_default()
    }

    /// A duration longer than nothing.
    pub fn positive_duration(&mut self, variable: Variable) -> Duration {
        let must = "is not a duration above zero (3600, 500ms, 30s, 5m, 1h, 7d)";
        let read = |text: &str| duration::parse(text).ok().filter(|d| !d.is_zero());
        self.parsed(variable, must, read).unwrap_or_default()
    }

    /// A whole number of the type's range.
    pub fn number<T: FromStr + Default>(&mut self, variable: Variable) -> T {
        self.parsed(variable, "is not a whole number in range", |text| text.parse().ok()).unwrap_or_default()
    }

    /// `true` or `false`, also `1`, `0`, `yes`, `no`, `on`, `off`, in any case.
    pub fn flag(&mut self, variable: Variable) -> Option<bool> {
        self.parsed(variable, "is neither true nor false", |text| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        })
    }

    /// One of a few words, in any case.
    pub fn choice<T: Copy>(&mut self, variable: Variable, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let must = format!("is not one of: {}", words.join(", "));
        self.parsed(variable, &must, |text| {
            choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value)
        })
    }

    /// A number of bytes: `1048576`, `512KiB`, `1MiB`, `1GiB`.
    pub fn bytes(&mut self, variable: Variable) -> usize {
        let read = |text: &str| {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let (number, unit) = text.split_at_checked(digits)?;
            let factor: usize = match unit.to_ascii_lowercase().as_str() {
                "" | "b" => 1,
                "kib" | "k" | "kb" => 1 << 10,
                "mib" | "m" | "mb" => 1 << 20,
                "gib" | "g" | "gb" => 1 << 30,
                _ => return None,
            };
            number.parse::<usize>().ok()?.checked_mul(factor)
        };
        self.parsed(variable, "is not a size (65536, 512KiB, 1MiB)", read).unwrap_or_default()
    }

    /// All variables that have been defined and are set, in order.
    pub fn set(&self) -> Vec<SetVariable> {
        let value = |variable: Described| {
            let Described { name, alias, secret, .. } = variable;
            let mut names = [Some(name), alias].into_iter().flatten();
            let given = names.find_map(|name| self.values.get(name).cloned());
            let file = || self.values.get(&format!("{name}_FILE")).filter(|_| secret);
            let value = match given {
                Some(value) if secret => Err(Secret::new(value)),
                Some(value) => Ok(value),
                None => Ok(format!("from the file {}", file()?)),
            };
            Some(SetVariable { name, value })
        };
        self.described().into_iter().filter_map(value).collect()
    }

    /// All mistakes together, or nothing where there are none.
    pub fn finish(self) -> Result<(), Mistakes> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(Mistakes(self.mistakes)) }
    }

    /// What has been defined so far, as the text of `.env.example`.
    pub fn document(&self) -> String {
        let mut text = String::from(
            "# Every variable with its default. Copy to .env and change what you need.\n\
             # An empty value counts as not set. A secret can also come from a file: NAME_FILE=/run/secrets/name.\n",
        );
        for entry in &self.entries {
            let written = match entry {
                Entry::Section(title) => write!(text, "\n# --- {title} ---\n"),
                Entry::Variable(v) => {
                    let alias = v.alias.map(|a| format!(" Also {a}.")).unwrap_or_default();
                    let secret = if v.secret { " Secret." } else { "" };
                    write!(text, "\n# {}{alias}{secret}\n#{}={}\n", v.meaning, v.name, v.default)
                }
            };
            debug_assert!(written.is_ok(), "writing to a string cannot fail");
        }
        text
    }

    /// All variables that have been defined so far, in order.
    pub fn described(&self) -> Vec<Described> {
        let mut section = "";
        let mut described = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            match *entry {
                Entry::Section(title) => section = title,
                Entry::Variable(Variable { name, alias, default, meaning, secret }) => {
                    described.push(Described { section, name, alias, default, meaning, secret });
                }
            }
        }
        described
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        Env::new(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn an_empty_value_counts_as_not_set() {
        let mut env = env(&[("A", ""), ("B", "   "), ("C", " 5s ")]);
        assert_eq!(env.duration(Variable::new("A", "").default("1s")), Duration::from_secs(1));
        assert_eq!(env.text(Variable::new("B", "")), None);
        assert_eq!(env.duration(Variable::new("C", "")), Duration::from_secs(5));
        assert_eq!(env.finish(), Ok(()));
    }

    #[test]
    fn all_mistakes_are_reported_together_by_name_and_without_values() {
        let mut env = env(&[
            ("A", "soon-secret"),
            ("B", "maybe-secret"),
            ("C", "-1secret"),
            ("D", "x-secret"),
            ("E", "1TiB-secret"),
        ]);
        env.duration(Variable::new("A", "").default("1s"));
        env.flag(Variable::new("B", ""));
        env.number::<u16>(Variable::new("C", ""));
        env.choice(Variable::new("D", ""), &[("one", 1), ("two", 2)]);
        env.bytes(Variable::new("E", ""));
        let said = env.finish().unwrap_err().to_string();
        for name in ["A: ", "B: ", "C: ", "D: is not one of: one, two", "E: "] {
            assert!(said.contains(name), "{said}");
        }
        assert!(!said.contains("secret"), "{said}");
    }

    #[test]
    fn a_secret_comes_from_its_variable_or_its_file_but_not_from_both() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from-file\n").unwrap();
        let path = file.path().to_str().unwrap();
        let mut env =
            env(&[("A_FILE", path), ("B", "plain"), ("C", "x"), ("C_FILE", path), ("D_FILE", "/does/not/exist")]);
        let mut read = |name| env.secret(Variable::new(name, "")).map(|s| s.expose().to_owned());
        assert_eq!(read("A").as_deref(), Some("from-file"));
        assert_eq!(read("B").as_deref(), Some("plain"));
        assert_eq!((read("C"), read("D"), read("E")), (None, None, None));
        let said = env.finish().unwrap_err();
        assert_eq!(said.0.len(), 2, "{said}");
    }

    #[test]
    fn an_alias_answers_when_the_name_itself_is_not_set() {
        let mut env = env(&[("OLD", "7"), ("BOTH", "1"), ("BOTH_OLD", "2")]);
        assert_eq!(env.number::<u8>(Variable::new("NEW", "").alias("OLD")), 7);
        assert_eq!(env.number::<u8>(Variable::new("BOTH", "").alias("BOTH_OLD")), 1);
    }
}
