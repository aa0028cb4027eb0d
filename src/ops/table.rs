//! Aligned columns, as podman and docker print them.

use serde_json::Value;

use crate::error::printable;

/// Columns are at least as wide as podman's.
const MIN_WIDTH: usize = 10;

/// The first row is the headings.
pub(super) fn render(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|text| cell(text)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(MIN_WIDTH)
    };
    let widths: Vec<usize> = (0..rows.iter().map(Vec::len).max().unwrap_or(0)).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line += &format!("{cell:width$}  ");
        }
        out += line.trim_end();
        out.push('\n');
    }
    out
}

/// A table of some fields of the values.
pub(super) fn of_fields(fields: &[&str], headings: &[(&str, &str)], values: &[Value]) -> String {
    let mut rows = vec![fields.iter().map(|field| heading(field, headings)).collect()];
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let row = |value: &Value| fields.iter().map(|field| text(&value[*field])).collect();
    rows.extend(values.iter().map(row));
    render(&rows)
}

/// `CreatedBy` is headed by `CREATED BY`, unless `known` says something else.
pub(super) fn heading(field: &str, known: &[(&str, &str)]) -> String {
    if let Some((_, text)) = known.iter().find(|(name, _)| *name == field) {
        return (*text).to_owned();
    }
    let mut out = String::new();
    let mut lower = false;
    for c in field.chars() {
        if c.is_uppercase() && lower {
            out.push(' ');
        }
        lower = c.is_lowercase();
        out.extend(c.to_uppercase());
    }
    out
}

/// What comes from an image stays in its own cell.
fn cell(text: &str) -> String {
    printable(&text.replace(['\n', '\t'], " "))
}
