//! Text to nodes.

use serde_json::Value;

use super::{Command, Function, Node, Operand, Pipeline, refused};
use crate::error::Result;

pub(super) fn parse(text: &str) -> Result<Vec<Node>> {
    let mut parser = Parser { rest: text };
    match parser.nodes(false)? {
        (nodes, Stop::End) => Ok(nodes),
        (_, Stop::Word(word)) => Err(refused(format!("{{{{{word}}}}} has nothing to end"))),
    }
}

struct Parser<'a> {
    rest: &'a str,
}

/// Why a list of nodes is over.
#[derive(PartialEq)]
enum Stop {
    End,
    /// `else` or `end`.
    Word(&'static str),
}

impl<'a> Parser<'a> {
    fn nodes(&mut self, inside: bool) -> Result<(Vec<Node>, Stop)> {
        let mut nodes = Vec::new();
        loop {
            let (text, action) = match self.rest.split_once("{{") {
                Some((text, rest)) => {
                    self.rest = rest;
                    (text, true)
                }
                None => (std::mem::take(&mut self.rest), false),
            };
            if !text.is_empty() {
                nodes.push(Node::Text(unescape(text)));
            }
            if !action {
                return match inside {
                    true => Err(refused("{{if}} or {{range}} lacks its {{end}}")),
                    false => Ok((nodes, Stop::End)),
                };
            }
            let action = self.action()?;
            let (word, arguments) = action.split_once([' ', '\t']).unwrap_or((action, ""));
            match word {
                "end" | "else" if !arguments.trim().is_empty() => {
                    return Err(refused(format!("{{{{{action}}}}} is not known")));
                }
                "end" => return Ok((nodes, Stop::Word("end"))),
                "else" => return Ok((nodes, Stop::Word("else"))),
                "if" => {
                    let condition = pipeline(arguments)?;
                    let (then, otherwise) = self.branches()?;
                    nodes.push(Node::If { condition, then, otherwise });
                }
                "range" => {
                    let over = pipeline(arguments)?;
                    let (each, otherwise) = self.branches()?;
                    nodes.push(Node::Range { over, each, otherwise });
                }
                _ => nodes.push(Node::Print(pipeline(action)?)),
            }
        }
    }

    fn branches(&mut self) -> Result<(Vec<Node>, Vec<Node>)> {
        let (then, stop) = self.nodes(true)?;
        if stop == Stop::Word("end") {
            return Ok((then, Vec::new()));
        }
        let (otherwise, stop) = self.nodes(true)?;
        match stop {
            Stop::Word("end") => Ok((then, otherwise)),
            _ => Err(refused("{{else}} is there twice")),
        }
    }

    /// Up to the `}}` that is not part of a string.
    fn action(&mut self) -> Result<&'a str> {
        let mut quote = None;
        let mut escaped = false;
        for (at, c) in self.rest.char_indices() {
            match (quote, c) {
                (Some(_), _) if escaped => escaped = false,
                (Some('"'), '\\') => escaped = true,
                (Some(q), c) if q == c => quote = None,
                (Some(_), _) => {}
                (None, '"' | '`') => quote = Some(c),
                (None, '}') if self.rest[at..].starts_with("}}") => {
                    let action = self.rest[..at].trim();
                    self.rest = &self.rest[at + 2..];
                    return match action {
                        "" => Err(refused("{{}} says nothing")),
                        _ => Ok(action),
                    };
                }
                (None, _) => {}
            }
        }
        Err(refused(format!("{{{{{} lacks its end", self.rest)))
    }
}

/// Between actions: what a shell's single quotes let nobody type.
fn unescape(text: &str) -> String {
    text.replace(r"\t", "\t").replace(r"\n", "\n")
}

fn pipeline(text: &str) -> Result<Pipeline> {
    let mut commands = vec![Vec::new()];
    for token in tokens(text)? {
        match token {
            Token::Bar => commands.push(Vec::new()),
            other => commands.last_mut().expect("never empty").push(other),
        }
    }
    let commands = commands.into_iter().enumerate();
    let commands = commands.map(|(n, tokens)| command(text, tokens, n > 0));
    Ok(Pipeline(commands.collect::<Result<_>>()?))
}

#[derive(Debug)]
enum Token {
    Bar,
    Word(String),
    Operand(Operand),
}

fn command(action: &str, tokens: Vec<Token>, piped: bool) -> Result<Command> {
    let unknown = |what: &str| refused(format!("{what:?} in {{{{{action}}}}} is not known"));
    let mut tokens = tokens.into_iter();
    let function = match tokens.next() {
        None => return Err(refused(format!("{{{{{action}}}}} lacks a value"))),
        Some(Token::Operand(operand)) => {
            return match tokens.next() {
                None if !piped => Ok(Command::Operand(operand)),
                _ => Err(refused(format!("{{{{{action}}}}} gives arguments to a value"))),
            };
        }
        Some(Token::Word(word)) => match word.as_str() {
            "json" => Function::Json,
            "index" => Function::Index,
            "len" => Function::Len,
            "println" => Function::Println,
            other => return Err(unknown(other)),
        },
        Some(Token::Bar) => return Err(unknown("|")),
    };
    let mut operands = Vec::new();
    for token in tokens {
        match token {
            Token::Operand(operand) => operands.push(operand),
            Token::Word(word) => return Err(unknown(&word)),
            Token::Bar => return Err(unknown("|")),
        }
    }
    let count = operands.len() + usize::from(piped);
    let fits = match function {
        Function::Json | Function::Len => count == 1,
        Function::Index => count >= 2,
        Function::Println => true,
    };
    if !fits {
        return Err(refused(format!("{{{{{action}}}}} has the wrong number of arguments")));
    }
    Ok(Command::Call(function, operands))
}

fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '|' => 1,
            '"' => string_length(rest, text)?,
            '`' => {
                let inner = rest[1..].find('`');
                inner.ok_or_else(|| refused(format!("{text:?} lacks a quote")))? + 2
            }
            _ => rest.find([' ', '\t', '\n', '|', '"', '`']).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        out.push(match first {
            '|' => Token::Bar,
            '"' => Token::Operand(Operand::Literal(
                serde_json::from_str(token)
                    .map_err(|e| refused(format!("{token} is not a string: {e}")))?,
            )),
            '`' => Token::Operand(Operand::Literal(token.trim_matches('`').into())),
            '.' => Token::Operand(Operand::Field(field(token, text)?)),
            _ => match token.parse::<i64>() {
                Ok(number) => Token::Operand(Operand::Literal(number.into())),
                Err(_) => match token {
                    "true" | "false" => {
                        Token::Operand(Operand::Literal(Value::Bool(token == "true")))
                    }
                    word => Token::Word(word.to_owned()),
                },
            },
        });
        rest = after.trim_start();
    }
    Ok(out)
}

/// How long the string at the beginning of `rest` is, with its quotes.
fn string_length(rest: &str, text: &str) -> Result<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Ok(at + 1),
            _ => {}
        }
    }
    Err(refused(format!("{text:?} lacks a quote")))
}

fn field(token: &str, text: &str) -> Result<Vec<String>> {
    if token == "." {
        return Ok(Vec::new());
    }
    let parts: Vec<String> = token[1..].split('.').map(str::to_owned).collect();
    let is_name =
        |part: &String| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
    if parts.iter().all(is_name) {
        Ok(parts)
    } else {
        Err(refused(format!("{token:?} in {{{{{text}}}}} is not a field")))
    }
}
