//! Nodes and a value to text.

use serde_json::Value;

use super::{Command, Function, Node, Operand, Pipeline, refused};
use crate::error::Result;

/// `top` is the value that the template was given, whose fields are all known: another one is a typing
/// error. Further down are maps from images, where a name may well be missing.
pub(super) fn nodes(nodes: &[Node], dot: &Value, top: &Value, out: &mut String) -> Result<()> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Print(pipeline) => out.push_str(&text(&value(pipeline, dot, top)?)),
            Node::If { condition, then, otherwise } => {
                let branch = if is_true(&value(condition, dot, top)?) { then } else { otherwise };
                self::nodes(branch, dot, top, out)?;
            }
            Node::Range { over, each, otherwise } => {
                let items: Vec<Value> = match value(over, dot, top)? {
                    Value::Array(items) => items,
                    Value::Object(map) => map.into_iter().map(|(_, item)| item).collect(),
                    Value::Null => Vec::new(),
                    other => {
                        return Err(refused(format!("{{{{range}}}} cannot go over {other}")));
                    }
                };
                if items.is_empty() {
                    self::nodes(otherwise, dot, top, out)?;
                }
                for item in &items {
                    self::nodes(each, item, top, out)?;
                }
            }
        }
    }
    Ok(())
}

fn value(pipeline: &Pipeline, dot: &Value, top: &Value) -> Result<Value> {
    let mut last: Option<Value> = None;
    for command in &pipeline.0 {
        last = Some(match command {
            Command::Operand(operand) => resolve(operand, dot, top)?,
            Command::Call(function, operands) => {
                let mut arguments: Vec<Value> =
                    operands.iter().map(|o| resolve(o, dot, top)).collect::<Result<_>>()?;
                arguments.extend(last);
                call(*function, &arguments)?
            }
        });
    }
    Ok(last.unwrap_or_default())
}

fn resolve(operand: &Operand, dot: &Value, top: &Value) -> Result<Value> {
    let parts = match operand {
        Operand::Literal(value) => return Ok(value.clone()),
        Operand::Field(parts) => parts,
    };
    let mut at = dot;
    for part in parts {
        at = match at {
            Value::Object(map) => match map.get(part).or_else(|| {
                // podman and docker differ: .Id here, .ID there.
                map.iter().find(|(name, _)| name.eq_ignore_ascii_case(part)).map(|(_, v)| v)
            }) {
                Some(value) => value,
                None if std::ptr::eq(at, top) => {
                    let known: Vec<&str> = map.keys().map(String::as_str).collect();
                    let why = format!("there is no field .{part}, only {}", known.join(", "));
                    return Err(refused(why));
                }
                None => return Ok(Value::Null),
            },
            Value::Null => return Ok(Value::Null),
            other => return Err(refused(format!("there is no field .{part} in {other}"))),
        };
    }
    Ok(at.clone())
}

fn call(function: Function, arguments: &[Value]) -> Result<Value> {
    match (function, arguments) {
        (Function::Json, [value]) => Ok(value.to_string().into()),
        (Function::Len, [value]) => match value {
            Value::Array(items) => Ok(items.len().into()),
            Value::Object(map) => Ok(map.len().into()),
            Value::String(text) => Ok(text.len().into()),
            Value::Null => Ok(0.into()),
            other => Err(refused(format!("len of {other} means nothing"))),
        },
        (Function::Index, [value, keys @ ..]) => {
            keys.iter().try_fold(value.clone(), |value, key| index(&value, key))
        }
        (Function::Println, values) => {
            let words: Vec<String> = values.iter().map(text).collect();
            Ok(format!("{}\n", words.join(" ")).into())
        }
        _ => Err(refused("a function has the wrong number of arguments")),
    }
}

fn index(value: &Value, key: &Value) -> Result<Value> {
    match (value, key) {
        (Value::Array(items), Value::Number(n)) => {
            let at = n.as_u64().and_then(|n| usize::try_from(n).ok());
            let item = at.and_then(|at| items.get(at)).cloned();
            item.ok_or_else(|| {
                refused(format!("index {n} is beyond the {} there are", items.len()))
            })
        }
        // As in Go, the value of a key that is not there is empty.
        (Value::Object(map), Value::String(key)) => {
            Ok(map.get(key).cloned().unwrap_or_else(|| "".into()))
        }
        (Value::Null, Value::String(_)) => Ok("".into()),
        (value, key) => Err(refused(format!("index {key} of {value} means nothing"))),
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// As Go's fmt prints it.
fn text(value: &Value) -> String {
    let join = |parts: Vec<String>| parts.join(" ");
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", join(items.iter().map(text).collect())),
        Value::Object(map) => {
            format!("map[{}]", join(map.iter().map(|(k, v)| format!("{k}:{}", text(v))).collect()))
        }
        other => other.to_string(),
    }
}
