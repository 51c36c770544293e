//! Whether the clients in other languages can run here.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;

/// What runs the clients of a language.
pub struct Runtime {
    /// Its program, as a machine has it.
    program: &'static str,
    /// The file in `tests/clients` that says what is installed for it; `./test` keeps a copy beside that.
    lock: &'static str,
    /// Where `./test` installs that, under `target/clients`.
    folder: &'static str,
    said: Once,
}

/// Node, for the clients in JavaScript.
pub static NODE: Runtime = Runtime { program: "node", lock: "package-lock.json", folder: "node", said: Once::new() };

/// Python.
pub static PYTHON: Runtime =
    Runtime { program: "python3", lock: "requirements.txt", folder: "python", said: Once::new() };

impl Runtime {
    /// The folder with what is installed for it. None where the machine has no such program: then its clients are not
    /// tested, which is said once, and which fails where `CI` is set.
    #[track_caller]
    pub fn installed(&self) -> Option<PathBuf> {
        let version = Command::new(self.program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !version.is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("CI").is_none(), "{} is missing, and CI is set", self.program);
            self.said.call_once(|| {
                // Not by a macro, whose output the runner keeps to itself where a test succeeds.
                let line = format!("not tested: the clients that need {}, which is not here\n", self.program);
                std::io::stderr().write_all(line.as_bytes()).unwrap();
            });
            return None;
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = root.join("target/clients").join(self.folder);
        let (wanted, installed) = (script(self.lock), folder.join("installed"));
        let (wanted, installed) = (std::fs::read(wanted).unwrap(), std::fs::read(installed).ok());
        let lock = self.lock;
        assert!(installed == Some(wanted), "run ./test once: what tests/clients/{lock} asks for is not installed");
        Some(folder)
    }
}

/// A file of `tests/clients`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}
