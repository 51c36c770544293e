//! Variables as flags: `--redis-url X` for `REDIS_URL`, in the words in which the variables are defined.

use crate::base::env::{Described, Env, Mistakes};
use clap::{Arg, ArgMatches};

/// Variables of the command line alone begin with this, which their flags leave out: `TENANT` means something else in
/// many an environment, `--tenant` does not.
const OWN: &str = "AGENTAPI_";
/// The variable that is a switch: its flag needs no value.
const SWITCH: &str = "AGENTAPI_JSON";

/// The flag of a variable.
fn long(name: &str) -> String {
    name.strip_prefix(OWN).unwrap_or(name).to_ascii_lowercase().replace('_', "-")
}

fn flags(variable: &Described) -> Vec<Arg> {
    let Described { name, alias, default, meaning, secret, section } = *variable;
    let default = if default.is_empty() { String::new() } else { format!(" Default: {default}.") };
    let help = format!("{meaning}{default} [{name}]");
    let flag = Arg::new(name).long(long(name)).help(help);
    let flag = match name == SWITCH {
        true => flag.num_args(0..=1).require_equals(true).default_missing_value("true").hide_possible_values(true),
        false => flag.num_args(1).value_name(if secret { "SECRET" } else { "VALUE" }).allow_hyphen_values(true),
    };
    // What a server is told fills pages: those are for `--help`.
    let flag = if !section.is_empty() { flag.help_heading(section).hide_short_help(true) } else { flag };
    let flag = match alias {
        Some(alias) => flag.alias(long(alias)),
        None => flag,
    };
    let file = secret.then(|| format!("{name}_FILE"));
    let file = file.map(|file| Arg::new(file.clone()).long(long(&file)).num_args(1).hide(true));
    std::iter::once(flag).chain(file).collect()
}

/// A flag for each variable that `settings` reads, under headings where it has sections.
pub(super) fn of<T>(settings: impl Fn(&mut Env) -> T) -> Vec<Arg> {
    let mut env = Env::new([]);
    settings(&mut env);
    env.described().iter().flat_map(flags).collect()
}

/// The environment of this process with the flags that were given over it; `settings` says which there are.
pub(super) fn environment<T>(given: &ArgMatches, settings: impl Fn(&mut Env) -> T) -> Env {
    let mut known = Env::new([]);
    settings(&mut known);
    let value = |name: String| given.get_one::<String>(&name).cloned().map(|value| (name, value));
    let names = known.described().into_iter().flat_map(|variable| {
        let file = variable.secret.then(|| format!("{}_FILE", variable.name));
        std::iter::once(variable.name.to_owned()).chain(file)
    });
    Env::of_process(names.filter_map(value))
}

/// Reads what a command is told, from the environment and from flags.
pub(super) fn read<T>(given: &ArgMatches, settings: impl Fn(&mut Env) -> T) -> Result<T, Mistakes> {
    let mut env = environment(given, &settings);
    let settings = settings(&mut env);
    env.finish().map(|()| settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use clap::Command;

    fn given(arguments: &[&str]) -> Result<ArgMatches, clap::Error> {
        let command = Command::new("x").args_override_self(true).args(of(Config::read));
        command.try_get_matches_from(std::iter::once(&"x").chain(arguments))
    }

    #[test]
    fn every_variable_is_a_flag_that_wins() {
        let mut env = Env::new([]);
        Config::read(&mut env);
        for variable in env.described() {
            let flag = format!("--{}=v", long(variable.name));
            let matches = given(&[&flag]).unwrap();
            assert_eq!(matches.get_one::<String>(variable.name).map(String::as_str), Some("v"), "{flag}");
            let aliased = variable.alias.map(|alias| given(&[&format!("--{}=v", long(alias))]).unwrap());
            assert!(aliased.is_none_or(|matches| matches.contains_id(variable.name)), "{flag}");
            if variable.secret {
                let file = given(&[&format!("--{}-file", long(variable.name)), "-"]).unwrap();
                assert!(file.contains_id(&format!("{}_FILE", variable.name)), "{flag}");
            }
        }
    }

    #[test]
    fn the_last_of_several_wins_and_a_flag_that_is_no_variable_is_refused_without_its_value() {
        let config = read(&given(&["--port", "1", "--port=2"]).unwrap(), Config::read).unwrap();
        assert_eq!(config.address.1, 2);
        for arguments in [["--no-such-thing", "secret-value"], ["--no-such-thing=secret-value", "--port=1"]] {
            let said = given(&arguments).unwrap_err().to_string();
            assert!(said.contains("--no-such-thing") && !said.contains("secret-value"), "{said}");
        }
    }
}
