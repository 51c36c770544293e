//! Scripts: the same Lua text that Redis runs, over the same command table as everybody else.
//!
//! Each thread has one Lua state with its compiled scripts. A run lends it the locked table and takes it
//! back whatever happens, so a script that fails leaves what it wrote, as in Redis, and nothing broken.
//! A run has a budget of instructions and of memory; work inside one call of a library function (a
//! pathological pattern, say) is bounded by memory alone.

use super::commands::Specification;
use super::lua_value::{argument, from_lua, one_line, text_of, to_lua};
use super::refusal::{Answer, refuse};
use super::table::Table;
use crate::db::Refusal;
use crate::db::script::hex;
use bytes::Bytes;
use mlua::chunk::ChunkMode;
use mlua::{Function, HookTriggers, Lua, LuaOptions, LuaString, StdLib, Value, Variadic, VmState};
use sha1::{Digest, Sha1};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// How many instructions a run may take: some 50 ms.
const BUDGET: u32 = 5_000_000;
/// How many instructions pass between two looks at the budget.
const STEP: u32 = 10_000;
/// How many compiled scripts a state keeps. Each takes one of the few thousand references that it has.
const COMPILED: usize = 1000;
/// How many bytes a state may hold.
const MEMORY: usize = 64 << 20;

thread_local! {
    static ENGINE: RefCell<Option<Engine>> = const { RefCell::new(None) };
}

/// Runs the script of this text, whose SHA-1 is `digest`, over the table that holds its keys.
pub(super) fn run(table: &mut Table, digest: &[u8], text: &str, keys: &[Bytes], args: &[Bytes]) -> Answer {
    ENGINE.with_borrow_mut(|slot| {
        let engine = match slot.take() {
            Some(engine) => engine,
            None => Engine::new().or_else(|_| refuse("ERR Lua could not be started"))?,
        };
        let answer = engine.run(table, digest, text, keys, args);
        // A state that cannot free its memory is given up for a new one.
        if engine.lua.used_memory() < MEMORY / 4 || engine.lua.gc_collect().is_ok() {
            *slot = Some(engine);
        }
        answer
    })
}

/// What `redis.call` works on during a run.
struct Turn {
    table: Table,
    keys: Vec<Bytes>,
}

/// Lends a table to the scripts of this thread, until it is dropped.
struct Loan<'a> {
    turn: &'a RefCell<Option<Turn>>,
    home: &'a mut Table,
}

impl<'a> Loan<'a> {
    fn new(turn: &'a RefCell<Option<Turn>>, home: &'a mut Table, keys: &[Bytes]) -> Self {
        turn.replace(Some(Turn { table: std::mem::take(home), keys: keys.to_vec() }));
        Loan { turn, home }
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if let Some(turn) = self.turn.take() {
            *self.home = turn.table;
        }
    }
}

struct Engine {
    compiled: RefCell<HashMap<Box<[u8]>, Function>>,
    environment: mlua::Table,
    globals: mlua::Table,
    protected: Function,
    turn: Rc<RefCell<Option<Turn>>>,
    spent: Rc<Cell<u32>>,
    lua: Lua,
}

impl Engine {
    fn new() -> mlua::Result<Engine> {
        let lua = Lua::new_with(StdLib::TABLE | StdLib::STRING | StdLib::MATH, LuaOptions::default())?;
        let turn = Rc::new(RefCell::new(None));
        let spent = Rc::new(Cell::new(0_u32));

        let counted = Rc::clone(&spent);
        lua.set_hook(HookTriggers::new().every_nth_instruction(STEP), move |_, _| {
            counted.set(counted.get().saturating_add(STEP));
            if counted.get() > BUDGET { Err(mlua::Error::runtime("out of budget")) } else { Ok(VmState::Continue) }
        })?;

        let lent = Rc::clone(&turn);
        let call = lua.create_function(move |lua, args: Variadic<Value>| {
            Ok(match call(&lent, &args) {
                Ok(reply) => (to_lua(lua, &reply)?, None),
                Err(refusal) => (Value::Nil, Some(refusal.line())),
            })
        })?;
        let sha1hex = lua.create_function(|_, text: LuaString| Ok(hex(&Sha1::digest(text.as_bytes()))))?;
        // Level 0 is this function, 1 the one of the sandbox, 2 the script.
        let line = lua.create_function(|lua, ()| Ok(lua.inspect_stack(2, |frame| frame.current_line()).flatten()))?;
        let counted = Rc::clone(&spent);
        let exhausted = lua.create_function(move |_, ()| Ok(counted.get() > BUDGET))?;

        let sandbox = lua.load(include_str!("sandbox.lua")).set_name("=sandbox");
        let (environment, globals, protected) = sandbox.call((call, sha1hex, line, exhausted))?;
        // Counted only from here on: whatever is set up before a memory limit cannot fail halfway.
        lua.set_memory_limit(MEMORY)?;
        Ok(Engine { compiled: RefCell::default(), environment, globals, protected, turn, spent, lua })
    }

    fn run(&self, table: &mut Table, digest: &[u8], text: &str, keys: &[Bytes], args: &[Bytes]) -> Answer {
        let failed = |error: mlua::Error| Refusal::from_line(&format!("ERR Error running script: {error}"));
        let function = self.compile(digest, text)?;
        self.set_arguments(keys, args).map_err(failed)?;
        self.spent.set(0);
        let loan = Loan::new(&self.turn, table, keys);
        let outcome = self.protected.call::<(bool, Value)>(function);
        drop(loan);
        if self.spent.get() > BUDGET {
            return refuse(&format!("ERR Script stopped after {BUDGET} instructions"));
        }
        match outcome.map_err(failed)? {
            (true, value) => from_lua(value).map_err(failed),
            (false, error) => Err(refusal_of(&error, digest)),
        }
    }

    fn set_arguments(&self, keys: &[Bytes], args: &[Bytes]) -> mlua::Result<()> {
        let list = |items: &[Bytes]| self.lua.create_sequence_from(items.iter().cloned().map(LuaString::wrap));
        self.globals.raw_set("KEYS", list(keys)?)?;
        self.globals.raw_set("ARGV", list(args)?)
    }

    fn compile(&self, digest: &[u8], text: &str) -> Result<Function, Refusal> {
        if let Some(function) = self.compiled.borrow().get(digest) {
            return Ok(function.clone());
        }
        // The first line stays as an empty one, so that errors name the right line.
        let body = if text.starts_with("#!") { text.find('\n').and_then(|end| text.get(end..)) } else { Some(text) };
        let chunk = self.lua.load(body.unwrap_or_default()).set_name("@user_script").set_mode(ChunkMode::Text);
        match chunk.set_environment(self.environment.clone()).into_function() {
            Ok(function) => {
                let mut compiled = self.compiled.borrow_mut();
                if compiled.len() >= COMPILED {
                    compiled.clear();
                }
                compiled.insert(digest.into(), function.clone());
                Ok(function)
            }
            Err(error) => {
                let message = match &error {
                    mlua::Error::SyntaxError { message, .. } => message.clone(),
                    other => other.to_string(),
                };
                refuse(&format!("ERR Error compiling script (new function): {message}"))
            }
        }
    }
}

/// One `redis.call`.
fn call(turn: &RefCell<Option<Turn>>, args: &[Value]) -> Answer {
    if args.is_empty() {
        return refuse("ERR Please specify at least one argument for this redis.call() call");
    }
    let Some(args) = args.iter().map(argument).collect::<Option<Vec<Bytes>>>() else {
        return refuse("ERR Lua redis lib command arguments must be strings or integers");
    };
    let Some(command) = Specification::named(&args) else {
        return refuse("ERR Unknown Redis command called from script");
    };
    if !command.accepts(&args) {
        return refuse("ERR Wrong number of args calling Redis command from script");
    }
    let mut turn = turn.borrow_mut();
    let Some(turn) = turn.as_mut() else { return refuse("ERR redis.call outside of a script") };
    // Stricter than Redis on one node, the same as Upstash with allow-key-locking.
    if !command.keys(&args).iter().all(|key| turn.keys.contains(key)) {
        return refuse("ERR Script attempted to access a key that is not in KEYS");
    }
    command.run(&mut turn.table, &args)
}

/// The refusal that an error which nothing caught becomes: its own code if it has one.
fn refusal_of(error: &Value, digest: &[u8]) -> Refusal {
    let digest = String::from_utf8_lossy(digest);
    let line = match error {
        Value::Table(table) => match table.raw_get::<Value>("err").ok().as_ref().and_then(text_of) {
            Some(line) => match table.raw_get::<Option<i64>>("line") {
                Ok(Some(at)) => format!("{line} script: {digest}, on @user_script:{at}."),
                _ => format!("{line} script: {digest}"),
            },
            None => format!("ERR unknown error script: {digest}"),
        },
        other => match text_of(other) {
            Some(line) => format!("ERR {line} script: {digest}"),
            None => format!("ERR unknown error script: {digest}"),
        },
    };
    Refusal::from_line(&one_line(&line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::reply::Reply;

    fn run_text(text: &str) -> Answer {
        run(&mut Table::default(), text.as_bytes(), text, &[Bytes::from_static(b"k")], &[])
    }

    #[test]
    fn a_run_without_end_is_stopped_even_if_it_catches_every_error() {
        for text in ["while true do end", "while true do pcall(function() while true do end end) end"] {
            let refusal = run_text(text).unwrap_err();
            assert!(refusal.line().contains("stopped after"), "{}", refusal.line());
        }
        assert_eq!(run_text("return 1"), Ok(Reply::Int(1)));
    }

    #[test]
    fn a_run_that_takes_all_memory_is_refused_and_the_next_one_is_not() {
        let text = "local t = {} for i = 1, 100 do t[i] = string.rep(tostring(i), 2000000) end return #t";
        assert!(run_text(text).is_err());
        assert_eq!(run_text("return #string.rep('x', 1000000)"), Ok(Reply::Int(1_000_000)));
    }

    #[test]
    fn any_number_of_scripts_can_be_run() {
        for n in 0..20_000 {
            assert_eq!(run_text(&format!("return {n}")), Ok(Reply::Int(n)));
        }
    }

    #[test]
    fn the_table_comes_back_whatever_a_script_does() {
        let mut table = Table::default();
        let keys = [Bytes::from_static(b"k")];
        for text in ["redis.call('INCR', KEYS[1]) error('x')", "redis.call('INCR', KEYS[1]) while true do end"] {
            assert!(run(&mut table, text.as_bytes(), text, &keys, &[]).is_err());
        }
        assert_eq!(table.string(b"k").unwrap().cloned(), Some(Bytes::from_static(b"2")));
    }

    #[test]
    fn no_run_can_reach_the_outside_or_change_what_the_next_one_sees() {
        for name in
            ["io", "os", "load", "loadstring", "require", "dofile", "collectgarbage", "getfenv", "setfenv", "_G"]
        {
            assert!(run_text(&format!("return type({name})")).is_err(), "{name}");
        }
        for text in [
            "string.upper = nil",
            "redis.call = nil",
            "made = 1",
            "KEYS = nil",
            "getmetatable('').__index.upper = nil",
            "getmetatable(string).__index = {}",
            "return string.dump(function() end)",
        ] {
            assert!(run_text(text).is_err(), "{text}");
        }
        assert_eq!(run_text("return ('x'):upper()"), Ok(Reply::Bulk("X".into())));
    }

    #[test]
    fn a_first_line_for_redis_is_skipped_and_lines_keep_their_numbers() {
        assert_eq!(run_text("#!lua flags=allow-key-locking\nreturn 1"), Ok(Reply::Int(1)));
        let refusal = run_text("#!lua\n\nerror('x')").unwrap_err();
        assert!(refusal.line().starts_with("ERR user_script:3: x"), "{}", refusal.line());
    }
}
