//! Rules that name something: a member of the context, or another rule.

use super::{Arguments, OwnedDataValue, Pass, Place, Scope, Value, call, literal_of, ours};
use crate::stores::flags::rules::fault::quoted;
use crate::stores::flags::rules::operators::{FLAG_KEY, TIMESTAMP, part};

/// Of more members than these, the whole context is read: each that comes is looked for among them.
const MOST_READ: usize = 16;

impl<'d> Pass<'d, '_> {
    /// `var`: by the engine where the path is known and stands for something in the scope.
    pub(super) fn variable(&mut self, arguments: Arguments<'d>, place: Place<'_>) -> OwnedDataValue {
        let instead = arguments.list.get(1).map(|_| self.argument(arguments, 1, place, false));
        let path = match arguments.list.first() {
            None | Some(Value::Null) => return self.whole(place.scope),
            Some(Value::String(path)) if path.is_empty() => return self.whole(place.scope),
            Some(Value::String(path)) if path == FLAG_KEY => return self.flag_key(),
            Some(Value::String(path)) if path == TIMESTAMP => {
                self.reads_clock = true;
                return ours(part::TIME, Vec::new());
            }
            Some(Value::String(path)) if path.split('.').next() == Some("$flagd") => {
                return self.fault(place.at, "of $flagd there are flagKey and timestamp");
            }
            Some(Value::Object(_)) => {
                self.reads_clock = true;
                let path = self.argument(arguments, 0, place, false);
                let instead = instead.unwrap_or(OwnedDataValue::Null);
                return ours(part::LOOKUP, vec![self.flag_key(), self.whole(place.scope), path, instead]);
            }
            Some(path @ (Value::String(_) | Value::Number(_))) => path,
            Some(_) => return self.fault(place.at, "must have a text or a number as its path, or a rule for one"),
        };
        let first = path.as_str().and_then(|path| path.split('.').next());
        if place.scope == Scope::Reduction && !matches!(first, Some("current" | "accumulator")) {
            return instead.unwrap_or(OwnedDataValue::Null);
        }
        match first {
            Some(name) => self.looks_at(name),
            None => self.looks_at(&path.to_string()),
        }
        call("var", [literal_of(path)].into_iter().chain(instead).collect())
    }

    /// Takes note of a member of the context, or of an element of an iteration: from here that is not told apart.
    pub(super) fn looks_at(&mut self, member: &str) {
        let Some(reads) = &mut self.reads else { return };
        if !reads.iter().any(|known| **known == *member) {
            reads.push(member.into());
        }
        if reads.len() > MOST_READ {
            self.reads = None;
        }
    }

    /// All of the data in a scope.
    pub(super) fn whole(&mut self, scope: Scope) -> OwnedDataValue {
        let member = |name: &str| call("var", vec![OwnedDataValue::String(name.to_owned())]);
        match scope {
            Scope::Data => {
                self.reads = None;
                call("var", Vec::new())
            }
            Scope::Reduction => ours(part::FRAME, vec![member("current"), member("accumulator")]),
        }
    }

    /// `$ref`: the evaluator in its place.
    pub(super) fn refer(&mut self, arguments: Arguments<'d>, place: Place<'_>) -> OwnedDataValue {
        let Some(Value::String(name)) = arguments.list.first().filter(|_| arguments.single) else {
            return self.fault(place.at, "must be the name of an evaluator");
        };
        let Some((name, rule)) = self.evaluators.get_key_value(name) else {
            return self.fault(place.at, format!("there is no evaluator {}", quoted(name)));
        };
        if self.within.contains(&name.as_str()) {
            // Each evaluator on the circle is told so, where it sets out on it.
            if self.within.first() == Some(&name.as_str()) {
                let at = self.reference.clone().unwrap_or_else(|| place.at.pointer());
                self.faults.push_at(at, format!("the evaluator {} refers back to itself", quoted(name)));
            }
            return OwnedDataValue::Null;
        }
        let outermost = self.reference.is_none();
        if outermost {
            self.reference = Some(place.at.pointer());
        }
        self.within.push(name);
        let resolved = self.any(rule, place);
        self.within.pop();
        if outermost {
            self.reference = None;
        }
        resolved
    }
}
