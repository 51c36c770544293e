//! Enough of PromQL to read the expressions that come with this project, and to refuse what is none: the metrics that an
//! expression asks for, with the labels that it looks at.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::vec::IntoIter;

const FUNCTIONS: &[&str] =
    &["rate", "increase", "histogram_quantile", "time", "clamp_min", "vector", "changes", "absent", "max_over_time"];
const AGGREGATIONS: &[&str] = &["sum", "max", "min", "avg", "count", "topk"];
const OPERATORS: &[&str] = &["+", "-", "*", "/", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless"];

/// The labels by which a metric is chosen, and the values of those that must be equal to one.
pub type ChosenBy = Vec<(String, Option<String>)>;

/// What an expression asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Each metric, and how it is chosen.
    pub metrics: Vec<(String, ChosenBy)>,
    /// The labels by which results are grouped or joined.
    pub grouped_by: BTreeSet<String>,
}

/// Reads an expression.
///
/// # Errors
/// Where it is none, or says what this reader does not know.
pub fn read(text: &str) -> Result<Asked, String> {
    let mut reader = Reader { tokens: tokens(text)?.into_iter().peekable(), asked: Asked::default() };
    reader.expression()?;
    match reader.tokens.next() {
        None => Ok(reader.asked),
        Some(token) => Err(format!("{token} is too much")),
    }
}

fn tokens(text: &str) -> Result<Vec<String>, String> {
    let (mut tokens, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let end_of = |wanted: fn(char) -> bool| rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        let length = match first {
            '"' => 2 + rest[1..].find('"').ok_or("a text without an end")?,
            'a'..='z' | 'A'..='Z' | '_' => end_of(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':'),
            '0'..='9' => end_of(|c| c.is_ascii_alphanumeric() || c == '.'),
            _ if ["==", "!=", ">=", "<=", "=~", "!~"].iter().any(|two| rest.starts_with(two)) => 2,
            '+' | '-' | '*' | '/' | '>' | '<' | '=' | '(' | ')' | '{' | '}' | '[' | ']' | ',' => 1,
            other => return Err(format!("{other:?} begins nothing")),
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

struct Reader {
    tokens: Peekable<IntoIter<String>>,
    asked: Asked,
}

impl Reader {
    fn is_next(&mut self, wanted: &str) -> bool {
        self.tokens.next_if(|token| token == wanted).is_some()
    }

    fn must(&mut self, wanted: &str) -> Result<(), String> {
        if self.is_next(wanted) { Ok(()) } else { Err(format!("{:?} in place of {wanted}", self.tokens.peek())) }
    }

    fn expression(&mut self) -> Result<(), String> {
        self.operand()?;
        while self.tokens.next_if(|token| OPERATORS.contains(&token.as_str())).is_some() {
            self.is_next("bool");
            if self.is_next("on") || self.is_next("ignoring") {
                self.labels()?;
                if self.is_next("group_left") || self.is_next("group_right") {
                    self.labels()?;
                }
            }
            self.operand()?;
        }
        Ok(())
    }

    fn operand(&mut self) -> Result<(), String> {
        self.is_next("-");
        let token = self.tokens.next().ok_or("the end in place of an operand")?;
        match token.as_str() {
            "(" => {
                self.expression()?;
                self.must(")")
            }
            name if AGGREGATIONS.contains(&name) => {
                self.grouping()?;
                self.arguments()?;
                self.grouping()
            }
            name if FUNCTIONS.contains(&name) => self.arguments(),
            name if name.starts_with(|c: char| c.is_ascii_alphabetic()) => self.selector(name),
            number => number.parse::<f64>().map(drop).map_err(|_| format!("{number} is no operand")),
        }
    }

    fn arguments(&mut self) -> Result<(), String> {
        self.must("(")?;
        if self.is_next(")") {
            return Ok(());
        }
        loop {
            self.expression()?;
            if !self.is_next(",") {
                return self.must(")");
            }
        }
    }

    fn grouping(&mut self) -> Result<(), String> {
        if self.is_next("by") || self.is_next("without") { self.labels() } else { Ok(()) }
    }

    fn labels(&mut self) -> Result<(), String> {
        self.must("(")?;
        loop {
            let label = self.tokens.next().ok_or("the end in place of a label")?;
            self.asked.grouped_by.insert(label);
            if !self.is_next(",") {
                return self.must(")");
            }
        }
    }

    fn selector(&mut self, name: &str) -> Result<(), String> {
        let mut chosen_by = Vec::new();
        if self.is_next("{") {
            while !self.is_next("}") {
                let label = self.tokens.next().ok_or("the end in place of a label")?;
                let operator = self.tokens.next().filter(|token| ["=", "!=", "=~", "!~"].contains(&token.as_str()));
                let operator = operator.ok_or_else(|| format!("{label} is not compared"))?;
                let value = self.tokens.next().ok_or("the end in place of a value")?;
                let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
                let value = value.ok_or_else(|| format!("{label} is not compared with a text"))?;
                chosen_by.push((label, (operator == "=").then(|| value.to_owned())));
                self.is_next(",");
            }
        }
        if self.is_next("[") {
            let time = self.tokens.next().unwrap_or_default();
            let units = time.trim_start_matches(|c: char| c.is_ascii_digit());
            if !["s", "m", "h", "d"].contains(&units) || units.len() == time.len() {
                return Err(format!("{time} is no time"));
            }
            self.must("]")?;
        }
        self.asked.metrics.push((name.to_owned(), chosen_by));
        Ok(())
    }
}

#[test]
fn an_expression_is_read_to_its_end() {
    let asked = read(r#"sum by (job, le) (rate(a_bucket{x="1",y!~"z|w"}[5m])) / on (job) group_left (v) b > bool 0.5"#);
    let asked = asked.expect("an expression");
    let chosen_by = vec![("x".to_owned(), Some("1".to_owned())), ("y".to_owned(), None)];
    assert_eq!(asked.metrics, [("a_bucket".to_owned(), chosen_by), ("b".to_owned(), Vec::new())]);
    assert_eq!(asked.grouped_by.into_iter().collect::<Vec<_>>(), ["job", "le", "v"]);
}

#[test]
fn what_is_no_expression_is_refused() {
    for text in [
        "",
        "a +",
        "rate(a[5m]",
        "rat(a[5m])",
        "a{x}",
        "a{x=1}",
        "a[5]",
        "a[m]",
        "a b",
        "sum by job (a)",
        "a > > b",
        "#",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}
