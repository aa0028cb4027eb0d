//! The layers of the source: an import points down, or to the same layer's own module.

mod common;

use std::path::{Path, PathBuf};

/// From the top. Modules of one row may import each other. The order is that in which data flows, backwards:
/// flags become a request, a request becomes a plan, and a plan is carried out.
const LAYERS: [&[&str]; 13] = [
    &["main"],
    &["ops"],
    &["launch", "stage"],
    &["plan"],
    &["config"],
    &["profile"],
    &["volume"],
    &["image"],
    &["userns"],
    &["host", "state"],
    // Plain data that clap fills: it imports nothing.
    &["cli"],
    &["sys"],
    &["error"],
];

fn layer(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|row| row.contains(&module))
        .unwrap_or_else(|| panic!("src/{module} is in no layer: add it to tests/layers.rs"))
}

struct Edge {
    file: PathBuf,
    line: usize,
    from: String,
    /// The path after `crate::`.
    to: String,
}

fn edges() -> Vec<Edge> {
    let src = common::source_tree().join("src");
    let mut todo = vec![src.clone()];
    let mut edges = Vec::new();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        } else if path.extension().is_some_and(|e| e == "rs") {
            edges_of(&src, &path, &mut edges);
        }
    }
    assert!(!edges.is_empty(), "no source found in {}", src.display());
    edges
}

fn edges_of(src: &Path, path: &Path, edges: &mut Vec<Edge>) {
    let file = path.strip_prefix(src).unwrap().to_owned();
    let first = file.components().next().unwrap().as_os_str().to_str().unwrap();
    let from = first.trim_end_matches(".rs").to_owned();
    let text = std::fs::read_to_string(path).unwrap();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for (at, _) in code.match_indices("crate::") {
            // `$crate::` of a macro is the same crate; `some_crate::` is not.
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &code[at + "crate::".len()..];
            let end = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
                .unwrap_or(rest.len());
            edges.push(Edge {
                file: file.clone(),
                line: number + 1,
                from: from.clone(),
                to: rest[..end].to_owned(),
            });
        }
    }
}

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for edge in edges() {
        let to = edge.to.split("::").next().unwrap();
        if to.is_empty() {
            wrong.push(format!(
                "{}:{}: name the module: crate::MODULE",
                edge.file.display(),
                edge.line
            ));
        } else if layer(to) < layer(&edge.from) {
            wrong.push(format!(
                "{}:{}: {} imports {} from above",
                edge.file.display(),
                edge.line,
                edge.from,
                edge.to
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn stages_do_not_import_each_other() {
    let wrong: Vec<String> = edges()
        .iter()
        .filter(|e| e.from == "stage" && e.to.starts_with("stage::"))
        .filter(|e| {
            let own = e.file.components().nth(1).unwrap().as_os_str().to_str().unwrap();
            let own = own.trim_end_matches(".rs");
            e.to.split("::").nth(1).is_some_and(|other| other != own)
        })
        .map(|e| format!("{}:{}: crate::{}", e.file.display(), e.line, e.to))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_command_line_is_clap_only() {
    let wrong: Vec<String> = edges()
        .iter()
        .filter(|e| e.from == "cli" && !e.to.starts_with("cli"))
        .map(|e| format!("{}:{}: crate::{}", e.file.display(), e.line, e.to))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_is_in_sys_only() {
    let src = common::source_tree().join("src");
    let mut todo = vec![src.clone()];
    let mut wrong = Vec::new();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        if path.extension().is_none_or(|e| e != "rs") || path.starts_with(src.join("sys")) {
            continue;
        }
        for (number, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains("unsafe {")
                || code.contains("unsafe fn")
                || code.contains("unsafe impl")
            {
                wrong.push(format!(
                    "{}:{}",
                    path.strip_prefix(&src).unwrap().display(),
                    number + 1
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "unsafe outside src/sys:\n{}", wrong.join("\n"));
}
