//! `--format`: a small part of Go's text/template, on JSON values.
//!
//! What is not known is an error that names it: a template that is half understood prints something
//! that a script takes for the answer.

mod parse;
mod show;

use serde_json::Value;

use super::table;
use crate::error::{Error, Result};

/// A template that was understood.
#[derive(Debug)]
pub(super) struct Template {
    nodes: Vec<Node>,
    /// It began with the word `table`: columns are aligned below headings.
    table: bool,
}

#[derive(Debug, PartialEq)]
enum Node {
    Text(String),
    Print(Pipeline),
    If { condition: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    Range { over: Pipeline, each: Vec<Node>, otherwise: Vec<Node> },
}

/// Commands, each of which gets the value of the one before as its last argument.
#[derive(Debug, PartialEq)]
struct Pipeline(Vec<Command>);

#[derive(Debug, PartialEq)]
enum Command {
    Operand(Operand),
    Call(Function, Vec<Operand>),
}

#[derive(Debug, PartialEq)]
enum Operand {
    /// `.A.B`; the dot alone has no parts.
    Field(Vec<String>),
    Literal(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Json,
    Index,
    Len,
    Println,
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (rest, table) = match text.strip_prefix("table ") {
            Some(rest) => (rest.trim_start(), true),
            None => (text, false),
        };
        Ok(Template { nodes: parse::parse(rest)?, table })
    }

    /// The values, a line each. `headings` are those of fields whose name says it otherwise.
    pub(super) fn render(&self, values: &[Value], headings: &[(&str, &str)]) -> Result<String> {
        let lines: Vec<String> =
            values.iter().map(|value| self.line(value)).collect::<Result<_>>()?;
        if !self.table {
            return Ok(lines.concat());
        }
        let mut rows = vec![cells(&self.headings(headings))];
        rows.extend(lines.iter().map(|line| cells(line)));
        Ok(table::render(&rows))
    }

    fn line(&self, value: &Value) -> Result<String> {
        let mut out = String::new();
        show::nodes(&self.nodes, value, value, &mut out)?;
        out.push('\n');
        Ok(out)
    }

    /// Each action becomes the heading of the first field in it.
    fn headings(&self, known: &[(&str, &str)]) -> String {
        let mut out = String::new();
        for node in &self.nodes {
            match node {
                Node::Text(text) => out += text,
                Node::Print(pipeline) => {
                    out += &table::heading(pipeline.first_field().unwrap_or_default(), known);
                }
                Node::If { .. } | Node::Range { .. } => {}
            }
        }
        out
    }
}

impl Pipeline {
    fn first_field(&self) -> Option<&str> {
        self.0.iter().find_map(|command| {
            let operands = match command {
                Command::Operand(operand) => std::slice::from_ref(operand),
                Command::Call(_, operands) => operands,
            };
            operands.iter().find_map(|operand| match operand {
                Operand::Field(parts) => parts.last().map(String::as_str),
                Operand::Literal(_) => None,
            })
        })
    }
}

fn cells(line: &str) -> Vec<String> {
    line.trim_end_matches('\n').split('\t').map(str::to_owned).collect()
}

fn refused(why: impl Into<String>) -> Error {
    Error::new("cannot use --format", why).fix(
        "use {{.Field}}, {{json .Field}}, {{index .Field \"key\"}}, {{len .Field}}, {{println .Field}}, \
         {{range .Field}}, {{if .Field}}, {{else}}, {{end}}; --format json shows the fields",
    )
}

#[cfg(test)]
mod tests;
