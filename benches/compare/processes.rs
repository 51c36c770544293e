//! The processes that take part: each on a free port of the loopback, ended when its handle is dropped, and asked for
//! the CPU time that it used.

use crate::Failure;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What Linux counts CPU time in, for every program: `USER_HZ`, a hundredth of a second.
const TICK: Duration = Duration::from_millis(10);

/// A running server.
pub struct Process {
    child: Child,
    port: u16,
}

impl Process {
    /// Starts a server that listens on `port`, and waits until it does.
    pub fn start(mut command: Command, port: u16) -> Result<Process, Failure> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
        let mut process = Process { child, port };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = process.child.try_wait()? {
                return Err(format!("{:?} ended: {status}", command.get_program()).into());
            }
            if Instant::now() > deadline {
                return Err(format!("{:?} does not listen", command.get_program()).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(process)
    }

    /// A Redis that keeps nothing on disk.
    pub fn redis(directory: &Path) -> Result<Process, Failure> {
        let port = free_port()?;
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string()]);
        command.arg("--dir").arg(directory);
        Process::start(command, port)
    }

    /// This program again, in another role, before that Redis.
    pub fn of_this_program(role: &str, redis: u16) -> Result<Process, Failure> {
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args([role, &port.to_string(), &redis.to_string()]);
        Process::start(command, port)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The CPU time that it has used so far, user and system.
    pub fn cpu(&self) -> Result<Duration, Failure> {
        let fields = stat_fields(&self.child.id().to_string())?;
        ticks(&fields, &[USER, SYSTEM])
    }
}

/// Lets a process, with all its threads, run on this core alone.
pub fn pin(process: u32, core: usize) -> Result<(), Failure> {
    let mut command = Command::new("taskset");
    command.args(["-a", "-c", "-p", &core.to_string(), &process.to_string()]).stdout(Stdio::null());
    let status = command.status().map_err(|error| format!("taskset: {error}"))?;
    if status.success() { Ok(()) } else { Err("taskset refused".into()) }
}

impl Process {
    /// Lets it run on this core alone.
    pub fn pin(&self, core: usize) -> Result<(), Failure> {
        pin(self.child.id(), core)
    }

    /// The most memory that it ever had, in bytes.
    pub fn peak_memory(&self) -> Result<usize, Failure> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")).ok_or("proc(5) status has another form")?;
        Ok(kib.trim().parse::<usize>()? << 10)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// The CPU time of the load: of this program, and of all that it has run and waited for.
pub fn load() -> Result<Duration, Failure> {
    ticks(&stat_fields("self")?, &[USER, SYSTEM, CHILDREN_USER, CHILDREN_SYSTEM])
}

/// The CPU time of everything on this machine.
pub fn whole_machine() -> Result<Duration, Failure> {
    let text = std::fs::read_to_string("/proc/stat")?;
    let fields: Vec<String> = text.lines().next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    // user, nice, system
    ticks(&fields, &[1, 2, 3])
}

/// A port that was free a moment ago.
pub fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

// Where proc(5) puts them, counted from the field after the command's name, which may hold spaces.
const USER: usize = 11;
const SYSTEM: usize = 12;
const CHILDREN_USER: usize = 13;
const CHILDREN_SYSTEM: usize = 14;

fn stat_fields(process: &str) -> Result<Vec<String>, Failure> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, after_name) = text.rsplit_once(')').ok_or("proc(5) stat has another form")?;
    Ok(after_name.split_whitespace().map(str::to_owned).collect())
}

fn ticks(fields: &[String], wanted: &[usize]) -> Result<Duration, Failure> {
    let mut sum = 0;
    for index in wanted {
        sum += fields.get(*index).ok_or("proc(5) stat has fewer fields")?.parse::<u32>()?;
    }
    Ok(TICK * sum)
}
