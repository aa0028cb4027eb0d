use serde_json::json;

use super::*;

fn one(template: &str) -> String {
    let value = json!({
        "ID": "abc", "Size": 7, "None": null, "Empty": [],
        "Names": ["a", "b"],
        "Config": { "Labels": { "k.x": "v" }, "User": "" },
    });
    Template::parse(template).unwrap().render(&[value], &[]).unwrap()
}

fn why(template: &str) -> String {
    let value = json!({ "ID": "abc", "Names": ["a"] });
    let rendered = Template::parse(template).and_then(|t| t.render(&[value], &[]));
    rendered.unwrap_err().to_string()
}

#[test]
fn prints_fields_and_functions() {
    for (template, text) in [
        ("{{.ID}}", "abc\n"),
        ("{{ .id }}-{{.Size}}", "abc-7\n"),
        (r"{{.ID}}\t{{.Size}}\n", "abc\t7\n\n"),
        ("{{.Names}}", "[a b]\n"),
        ("{{json .Names}}", "[\"a\",\"b\"]\n"),
        ("{{.Names | json}}", "[\"a\",\"b\"]\n"),
        ("{{.Config.Labels}}", "map[k.x:v]\n"),
        ("{{index .Config.Labels \"k.x\"}}", "v\n"),
        ("{{index .Config.Labels `none`}}", "\n"),
        ("{{index .Names 1}}", "b\n"),
        ("{{len .Names}}{{len .None}}{{.ID | len}}", "203\n"),
        ("{{println .ID .Size}}", "abc 7\n\n"),
        ("{{.None}} {{.Config.Nothing.More}}", "<no value> <no value>\n"),
        ("{{json \"}}\"}}", "\"}}\"\n"),
        ("plain", "plain\n"),
    ] {
        assert_eq!(one(template), text, "{template}");
    }
}

#[test]
fn branches_and_loops() {
    for (template, text) in [
        ("{{range .Names}}<{{.}}>{{end}}", "<a><b>\n"),
        ("{{range .Empty}}x{{else}}none{{end}}", "none\n"),
        ("{{range .Config.Labels}}{{.}}{{end}}", "v\n"),
        ("{{if .Config.User}}{{.Config.User}}{{else}}root{{end}}", "root\n"),
        ("{{if .Names}}{{range .Names}}{{if .}}y{{end}}{{end}}{{end}}", "yy\n"),
    ] {
        assert_eq!(one(template), text, "{template}");
    }
}

#[test]
fn names_what_it_does_not_know() {
    for (template, word) in [
        ("{{with .ID}}{{end}}", "with"),
        ("{{.ID | upper}}", "upper"),
        ("{{range $i, $n := .Names}}{{end}}", "$i,"),
        ("{{else if .ID}}", "else if"),
        ("{{.Nothing}}", ".Nothing"),
        ("{{.ID.X}}", ".X"),
        ("{{.ID", "lacks its end"),
        ("{{if .ID}}", "{{end}}"),
        ("{{end}}", "end"),
        ("{{}}", "{{}}"),
        ("{{json}}", "arguments"),
        ("{{.ID .ID}}", "arguments"),
        ("{{index .Names 5}}", "5"),
        ("{{.ID | .ID}}", "arguments"),
        ("{{json \"a}}", "lacks"),
        ("{{- .ID -}}", "-"),
    ] {
        let error = why(template);
        assert!(error.contains(word) && error.contains("Fix: "), "{template}: {error}");
    }
}

#[test]
fn aligns_tables_below_headings() {
    let rows =
        [json!({"ID": "a", "CreatedBy": "x"}), json!({"ID": "abcdefghijklmnop", "CreatedBy": ""})];
    let template = Template::parse(r"table {{.ID}}\t{{.CreatedBy}}").unwrap();
    let text = template.render(&rows, &[("ID", "IMAGE ID")]).unwrap();
    assert_eq!(text, "IMAGE ID          CREATED BY\na                 x\nabcdefghijklmnop\n");
}
