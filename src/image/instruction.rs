//! What `--change` takes: the instructions of a Dockerfile that set something of an image's configuration.
//! Variables are not expanded.

use serde_json::{Map, Value, json};

use super::words::{pairs, words};
use crate::error::{Error, Result};

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Instruction {
    Cmd(Vec<String>),
    Entrypoint(Vec<String>),
    Env(Vec<(String, String)>),
    Expose(Vec<String>),
    Label(Vec<(String, String)>),
    StopSignal(String),
    User(String),
    Volume(Vec<String>),
    Workdir(String),
}

const KNOWN: &str = "CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR";

impl Instruction {
    /// Parses `CMD …`, or `CMD=…` as podman takes it too.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let bad = |why: String| Error::new(format!("cannot take --change {text:?}"), why);
        let text = text.trim();
        let split = text.split_once(char::is_whitespace).or_else(|| text.split_once('='));
        let (name, rest) = split.unwrap_or((text, ""));
        let (name, rest) = (name.to_ascii_uppercase(), rest.trim());
        if rest.is_empty() {
            return Err(bad(format!("{name} needs a value")).fix("--change 'CMD [\"/bin/sh\"]'"));
        }
        let parsed = match name.as_str() {
            "CMD" => Ok(Instruction::Cmd(command(rest))),
            "ENTRYPOINT" => Ok(Instruction::Entrypoint(command(rest))),
            "ENV" => pairs(rest).map(Instruction::Env),
            "LABEL" => pairs(rest).map(Instruction::Label),
            "EXPOSE" => ports(rest).map(Instruction::Expose),
            "STOPSIGNAL" => signal(rest).map(Instruction::StopSignal),
            "USER" => one(rest).map(Instruction::User),
            "VOLUME" => list(rest).map(Instruction::Volume),
            "WORKDIR" => one(rest).map(Instruction::Workdir),
            "ONBUILD" => {
                Err("ONBUILD is for a build, and OCI images have no place for it".to_owned())
            }
            other => Err(format!("{other} is not known here: there are {KNOWN}")),
        };
        parsed.map_err(|why| match name.as_str() {
            "ONBUILD" => bad(why).fix("leave it out, and put what it triggers into the Dockerfile"),
            _ => bad(why).fix("see the Dockerfile reference for its form"),
        })
    }

    fn apply(&self, config: &mut Map<String, Value>) {
        match self {
            Instruction::Cmd(words) => set(config, "Cmd", json!(words)),
            Instruction::Entrypoint(words) => set(config, "Entrypoint", json!(words)),
            Instruction::StopSignal(name) => set(config, "StopSignal", json!(name)),
            Instruction::User(user) => set(config, "User", json!(user)),
            Instruction::Workdir(dir) => {
                let base = config.get("WorkingDir").and_then(Value::as_str).unwrap_or("/");
                let dir = std::path::Path::new("/").join(base).join(dir);
                set(config, "WorkingDir", json!(dir));
            }
            Instruction::Env(pairs) => {
                let mut env: Vec<String> = config
                    .get("Env")
                    .and_then(|env| serde_json::from_value(env.clone()).ok())
                    .unwrap_or_default();
                for (name, value) in pairs {
                    let line = format!("{name}={value}");
                    match env.iter_mut().find(|e| e.split('=').next() == Some(name)) {
                        Some(old) => *old = line,
                        None => env.push(line),
                    }
                }
                set(config, "Env", json!(env));
            }
            Instruction::Label(pairs) => {
                let labels = object(config, "Labels");
                labels.extend(pairs.iter().map(|(name, value)| (name.clone(), json!(value))));
            }
            Instruction::Expose(ports) => keys(object(config, "ExposedPorts"), ports),
            Instruction::Volume(paths) => keys(object(config, "Volumes"), paths),
        }
    }
}

/// Applies all in order to an image's `config` object. As in a build, a new entrypoint drops the command
/// that was meant for the old one.
pub(crate) fn apply(instructions: &[Instruction], config: &mut Map<String, Value>) {
    let is_cmd = |i: &Instruction| matches!(i, Instruction::Cmd(_));
    if instructions.iter().any(|i| matches!(i, Instruction::Entrypoint(_)))
        && !instructions.iter().any(is_cmd)
    {
        config.remove("Cmd");
    }
    for instruction in instructions {
        instruction.apply(config);
    }
}

fn set(config: &mut Map<String, Value>, key: &str, value: Value) {
    config.insert(key.to_owned(), value);
}

fn object<'a>(config: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = config.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was made one"),
    }
}

fn keys(map: &mut Map<String, Value>, names: &[String]) {
    map.extend(names.iter().map(|name| (name.clone(), json!({}))));
}

/// The JSON form, or a line for the shell.
fn command(text: &str) -> Vec<String> {
    serde_json::from_str(text)
        .unwrap_or_else(|_| vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()])
}

/// A JSON array or words.
fn list(text: &str) -> Result<Vec<String>, String> {
    let list = match serde_json::from_str(text) {
        Ok(list) => list,
        Err(_) => words(text)?,
    };
    match list.iter().find(|path| !path.starts_with('/')) {
        Some(path) => Err(format!("{path:?} is not an absolute path")),
        None => Ok(list),
    }
}

fn one(text: &str) -> Result<String, String> {
    match <[String; 1]>::try_from(words(text)?) {
        Ok([word]) => Ok(word),
        Err(_) => Err("it takes one value".to_owned()),
    }
}

fn signal(text: &str) -> Result<String, String> {
    let name = one(text)?;
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = ["RTMIN", "RTMIN+", "RTMAX", "RTMAX-"].iter().any(|prefix| {
        short.strip_prefix(prefix).is_some_and(|n| n.is_empty() || n.parse::<u8>().is_ok())
    });
    let known = format!("SIG{short}").parse::<nix::sys::signal::Signal>().is_ok();
    let number = name.parse::<u8>().is_ok_and(|n| (1..=64).contains(&n));
    if real_time || known || number { Ok(name) } else { Err(format!("{name:?} is no signal")) }
}

/// `PORT[-PORT][/tcp|/udp|/sctp]`, several of them.
fn ports(text: &str) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    for word in words(text)? {
        let bad = || format!("{word:?} is not a port, like 80 or 8000-8010/udp");
        let (range, protocol) = word.split_once('/').unwrap_or((&word, "tcp"));
        let protocol = protocol.to_ascii_lowercase();
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<u16>().ok().filter(|n| *n > 0).ok_or_else(bad);
        let (first, last) = (number(first)?, number(last)?);
        if first > last || !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
            return Err(bad());
        }
        out.extend((first..=last).map(|port| format!("{port}/{protocol}")));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(before: Value, changes: &[&str]) -> Value {
        let Value::Object(mut config) = before else { panic!("an object") };
        let list: Vec<_> = changes.iter().map(|c| Instruction::parse(c).unwrap()).collect();
        apply(&list, &mut config);
        Value::Object(config)
    }

    #[test]
    fn both_forms_of_commands() {
        for (text, cmd) in [
            (r#"CMD ["a", "b c"]"#, json!(["a", "b c"])),
            ("cmd a 'b c'", json!(["/bin/sh", "-c", "a 'b c'"])),
            ("CMD=/bin/bash", json!(["/bin/sh", "-c", "/bin/bash"])),
            (r#"CMD ["a", 1]"#, json!(["/bin/sh", "-c", r#"["a", 1]"#])),
            ("CMD []", json!([])),
        ] {
            assert_eq!(changed(json!({}), &[text]), json!({ "Cmd": cmd }), "{text}");
        }
    }

    #[test]
    fn an_entrypoint_drops_the_old_command_only() {
        let before = json!({ "Cmd": ["old"] });
        let entry = r#"ENTRYPOINT ["e"]"#;
        assert_eq!(changed(before.clone(), &[entry]), json!({ "Entrypoint": ["e"] }));
        let both = json!({ "Entrypoint": ["e"], "Cmd": ["new"] });
        assert_eq!(changed(before, &[r#"CMD ["new"]"#, entry]), both);
    }

    #[test]
    fn the_rest_is_set_or_added() {
        let before = json!({
            "Env": ["A=1", "B=2"], "WorkingDir": "/srv", "Labels": null,
            "ExposedPorts": { "1/tcp": {} },
        });
        let changes = [
            r#"ENV A=x C="two words" D=it\ is"#,
            "ENV E some text = all",
            "LABEL a=b c='d e'",
            "EXPOSE 80 53/UDP 8000-8001",
            "VOLUME /data /more",
            r#"VOLUME ["/a b"]"#,
            "WORKDIR app",
            "USER 1000:50",
            "STOPSIGNAL SIGRTMIN+3",
        ];
        assert_eq!(
            changed(before, &changes),
            json!({
                "Env": ["A=x", "B=2", "C=two words", "D=it is", "E=some text = all"],
                "Labels": { "a": "b", "c": "d e" },
                "ExposedPorts": {
                    "1/tcp": {}, "80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {},
                },
                "Volumes": { "/data": {}, "/more": {}, "/a b": {} },
                "WorkingDir": "/srv/app", "User": "1000:50", "StopSignal": "SIGRTMIN+3",
            })
        );
        assert_eq!(changed(json!({}), &["WORKDIR a"]), json!({ "WorkingDir": "/a" }));
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        for (text, part) in [
            ("ONBUILD RUN make", "ONBUILD"),
            ("RUN make", "RUN"),
            ("HEALTHCHECK NONE", "HEALTHCHECK"),
            ("CMD", "needs a value"),
            ("", "needs a value"),
            ("ENV A", "A"),
            ("ENV =b", "name"),
            ("ENV A='b", "quote"),
            ("LABEL a=b c", "c"),
            ("EXPOSE 0", "not a port"),
            ("EXPOSE 9-8", "not a port"),
            ("EXPOSE 80/xyz", "not a port"),
            ("EXPOSE 70000", "not a port"),
            ("STOPSIGNAL SIGNOPE", "no signal"),
            ("STOPSIGNAL 65", "no signal"),
            ("USER a b", "one value"),
            ("VOLUME data", "absolute"),
        ] {
            let error = Instruction::parse(text).unwrap_err();
            assert!(error.why.contains(part), "{text}: {error}");
            assert!(error.fix.is_some());
        }
    }
}
