//! `sbx profile`, and what the profiles do to a sandbox.

mod common;

use std::path::PathBuf;

use common::{Sbx, World};

const BUILTINS: [&str; 6] = ["default", "strict", "dev", "ci", "nested", "unconfined"];

/// A profile of the user's, without its version line.
fn mine(world: &World, name: &str, text: &str) -> PathBuf {
    let dir = world.path("config/sbx/profiles");
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(format!("{name}.toml"));
    std::fs::write(&path, format!("version = 1\n{text}")).unwrap();
    path
}

fn under<'w>(world: &'w World, profiles: &[&str], script: &str) -> Sbx<'w> {
    let flags = profiles.iter().flat_map(|name| ["--profile", name]);
    world.sbx(["run", "--host"]).args(flags).args(["--", "sh", "-c", script])
}

#[test]
fn the_built_in_and_the_users_are_listed() {
    let world = World::new();
    mine(&world, "build", "description = \"mine\"\nextends = \"strict\"\n");
    mine(&world, "broken", "what = 1\n");
    mine(&world, "default", "description = \"not what default means\"\n");
    let names = world.sbx(["profile", "ls", "-q"]).ok();
    let mut expected = BUILTINS.to_vec();
    expected.extend(["broken", "build"]);
    assert_eq!(names.lines().collect::<Vec<_>>(), expected);
    let json = world.sbx(["profile", "ls", "--json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let find = |name: &str| json.as_array().unwrap().iter().find(|p| p["Name"] == name).unwrap();
    assert_eq!(
        (&find("build")["Description"], &find("build")["Extends"]),
        (&"mine".into(), &"strict".into())
    );
    assert_eq!(find("strict")["BuiltIn"], true);
    assert!(find("broken")["Damaged"].as_str().unwrap().contains("line 2"));
    let table = world.sbx(["profile", "ls"]).ok();
    assert!(table.starts_with("NAME") && table.contains("damaged"), "{table}");
}

#[test]
fn a_profile_is_shown_as_it_was_written() {
    let world = World::new();
    for name in BUILTINS {
        let file = common::source_tree().join(format!("profiles/{name}.toml"));
        let shown = world.sbx(["profile", "show", name]).ok();
        assert_eq!(shown.trim_end(), std::fs::read_to_string(file).unwrap().trim_end());
    }
    let said = world.sbx(["profile", "show", "strict", "dev"]).fails(125);
    assert!(said.contains("--resolved"), "{said}");
}

#[test]
fn every_value_is_shown_with_the_file_that_brought_it_in() {
    let world = World::new();
    mine(&world, "more", "extends = \"strict\"\n[paths]\nmasked = [\"...\", \"/proc/uptime\"]\n");
    let shown = world.sbx(["profile", "show", "--resolved", "more"]).ok();
    let has = |key: &str, value: &str, by: &str| {
        shown.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words == [key, value, &format!("[{by}]")]
        })
    };
    for (key, value, by) in [
        ("paths.masked", "/proc/kcore", "default"),
        ("paths.masked", "/proc/loadavg", "strict"),
        ("paths.masked", "/proc/uptime", "more"),
        ("network.mode", "none", "strict"),
        ("seccomp.read", "allow", "default"),
    ] {
        assert!(has(key, value, by), "{key} {value} {by} in {shown}");
    }
    assert!(!shown.contains("capabilities.keep"), "{shown}");
    let json = world.sbx(["profile", "show", "--resolved", "--json", "more"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json.as_array().unwrap().iter().any(|row| {
        row["key"] == "mounts.read-only-root" && row["value"] == "true" && row["origin"] == "strict"
    }));
}

#[test]
fn two_profiles_are_compared() {
    let world = World::new();
    let diff = world.sbx(["profile", "diff", "default", "dev"]).run().expect_code(1).text();
    for line in [
        "+ capabilities.keep = SYS_PTRACE",
        "- seccomp.perf_event_open = errno EPERM",
        "+ seccomp.perf_event_open = allow",
    ] {
        assert!(diff.lines().any(|l| l == line), "{line} in {diff}");
    }
    assert_eq!(world.sbx(["profile", "diff", "strict", "strict"]).ok(), "");
    let json =
        world.sbx(["profile", "diff", "--json", "default", "strict"]).run().expect_code(1).text();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json.as_array().unwrap().iter().any(|c| c["key"] == "network.mode" && c["in"] == "to"));
}

#[test]
fn mistakes_are_found_before_a_start() {
    let world = World::new();
    world.sbx(["profile", "check"]).args(BUILTINS).ok();
    let group = |rest: &str| {
        format!("[seccomp]\n[[seccomp.group]]\nname = \"g\"\naction = \"allow\"\n{rest}")
    };
    let two = group(
        "syscalls = [\"read\"]\n[[seccomp.group]]\nname = \"h\"\naction = \"kill\"\nsyscalls = [\"read\"]\n",
    );
    for (text, expected) in [
        (group("syscalls = [\"opnat\"]\n"), &["line 6, column 13", "opnat", "`openat`"][..]),
        ("[limts]\n".into(), &["line 2", "limts", "`limits`"]),
        (two, &["\"g\"", "\"h\"", "read"]),
        ("extends = \"./wrong.toml\"\n".into(), &["extends itself", "wrong.toml"]),
        ("[network]\nmode = \"carrier-pigeon\"\n".into(), &["network.mode", "carrier-pigeon"]),
        ("[process]\ntimeout = \"soon\"\n".into(), &["process.timeout", "soon"]),
        ("[namespaces]\nuser = \"who\"\n".into(), &["namespaces.user", "who"]),
        ("[mounts]\ntmpfs = [\"tmp\"]\n".into(), &["tmp", "absolute"]),
        ("[mounts]\nvolumes = [\"./here:/there\"]\n".into(), &["line 3", "relative"]),
    ] {
        mine(&world, "wrong", &text);
        let said = world.sbx(["profile", "check", "strict", "wrong"]).fails(1);
        for word in expected {
            assert!(said.contains(word), "{word} in {said} of {text}");
        }
        // And at the start, with the same words.
        let at_start = under(&world, &["wrong"], "true").fails(125);
        assert!(at_start.contains(expected[0]), "{at_start}");
    }
}

#[test]
fn editors_get_a_schema() {
    let world = World::new();
    let printed = world.sbx(["profile", "schema"]).ok();
    let schema: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let calls = schema.pointer("/properties/seccomp/properties/group/items/properties/syscalls");
    assert!(calls.unwrap().to_string().contains("\"openat2\""));
}

#[test]
fn a_call_is_tried_without_being_made() {
    let world = World::new();
    let test = |args: &[&str]| world.sbx(["profile", "test"]).args(args).ok();
    let said = test(&["strict", "--", "socket", "AF_INET", "SOCK_STREAM", "0"]);
    assert!(
        said.starts_with("socket(0x2, 0x1, 0x0) on x86_64: errno EAFNOSUPPORT, by group"),
        "{said}"
    );
    assert!(said.contains("\"socket: nothing else\" (built-in profile strict:"), "{said}");
    let said = test(&["default", "--arch", "x86", "--", "unshare", "CLONE_NEWUSER"]);
    assert!(said.starts_with("unshare(0x10000000) on x86: errno EPERM"), "{said}");
    assert!(
        test(&["--cap-add", "SYS_ADMIN", "default", "--", "mount"]).contains(": allow, by group")
    );
    let calls = "mount\n\n# families\nsocket AF_ALG # not here\n";
    let json = world.sbx(["profile", "test", "--json", "default"]).input(calls).ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json[0]["Errno"], &json[1]["Errno"]), (&"EPERM".into(), &"EPERM".into()));
    assert_eq!(json[1]["Args"], serde_json::json!([38]));
    assert!(json[1]["Place"].as_str().unwrap().starts_with("built-in profile default:"));
    let said = world.sbx(["profile", "test", "default", "--", "mont"]).fails(125);
    assert!(said.contains("did you mean `mount`"), "{said}");
}

#[test]
fn strict_leaves_nothing_but_computing() {
    let world = World::new();
    let script = "grep -c 'Cap.*0000000000000000' /proc/self/status; \
                  touch /etc/x 2>/dev/null || echo read-only; touch /tmp/x && echo private; \
                  cat /proc/loadavg | wc -c; cat /proc/net/dev | grep -c :";
    assert_eq!(under(&world, &["strict"], script).ok(), "5\nread-only\nprivate\n0\n1");
    // The user's configuration does not weaken it, the command line does.
    std::fs::write(world.path("config/sbx/config.toml"), "[run]\nnetwork = \"host\"\n")
        .or_else(|_| {
            std::fs::create_dir_all(world.path("config/sbx"))?;
            std::fs::write(world.path("config/sbx/config.toml"), "[run]\nnetwork = \"host\"\n")
        })
        .unwrap();
    let explained = |flags: &[&str]| {
        world.sbx(["run", "--host", "--explain"]).args(flags).args(["--", "true"]).ok()
    };
    let network = |text: &str| text.lines().find(|l| l.starts_with("network")).unwrap().to_owned();
    assert!(network(&explained(&[])).contains("host"));
    assert!(network(&explained(&["--profile", "strict"])).contains("none  [profile strict]"));
    let flags = ["--profile", "strict", "--network", "host"];
    assert!(network(&explained(&flags)).contains("host  [--network]"));
}

#[test]
fn dev_lets_debuggers_work() {
    let world = World::new();
    common::need!("setarch");
    under(&world, &["default"], "setarch -R true").fails(1);
    under(&world, &["dev"], "setarch -R true").ok();
    let printed = under(&world, &["dev"], "echo $TZ").env("TZ", "UTC").ok();
    assert_eq!(printed, "UTC");
}

#[test]
fn a_profiles_time_is_up() {
    let world = World::new();
    mine(&world, "short", "extends = \"ci\"\n[process]\ntimeout = \"100ms\"\n");
    let said = under(&world, &["short"], "sleep 1000").fails(143);
    assert!(said.contains("100ms"), "{said}");
    world.sbx(["run", "--host", "--profile", "short", "--timeout", "0", "--", "true"]).ok();
}

#[test]
fn profiles_bring_variables_and_mounts() {
    let world = World::new();
    let dir = world.folder();
    std::fs::write(dir.join("file"), "from outside").unwrap();
    let text = format!(
        "[env]\nset = {{ A = \"profile\", B = \"profile\" }}\npass = [\"C\", \"UNSET\"]\n\
         [mounts]\ntmpfs = [\"/opt\"]\nvolumes = [\"{}:/mnt:ro\"]\n",
        dir.display()
    );
    mine(&world, "full", &text);
    let script = "echo $A $B $C $UNSET; cat /mnt/file; touch /opt/x && ls /opt";
    let printed = world
        .sbx(["run", "--host", "--profile", "full", "-e", "B=flag", "--", "sh", "-c", script])
        .env("C", "caller")
        .env("D", "not passed")
        .ok();
    assert_eq!(printed, "profile flag caller\nfrom outsidex");
    // Where the command line mounts something, the profile does not.
    let other = world.folder();
    std::fs::write(other.join("file"), "the flag's").unwrap();
    let volume = format!("{}:/mnt", other.display());
    let printed = world
        .sbx(["run", "--host", "--profile", "full", "-v", &volume, "--", "cat", "/mnt/file"])
        .ok();
    assert_eq!(printed, "the flag's");
}

#[test]
fn sbx_runs_inside_nested() {
    let world = World::new();
    let sbx = format!("{}:/opt/sbx:ro", common::world::binary().display());
    let inside = "HOME=/tmp/home /opt/sbx run --host -- sh -c 'echo inside; id -u'";
    let run = |profile: &str| {
        world
            .sbx(["run", "--host", "--profile", profile, "--tmpfs", "/opt", "-v", &sbx, "--"])
            .args(["sh", "-c", &format!("mkdir /tmp/home; {inside}")])
    };
    assert_eq!(run("nested").ok(), "inside\n0");
    run("default").fails(125);
}

/// A profile with Landlock rules and the words of the probe-free shell: what is allowed, what is denied.
fn landlocked(world: &World, rules: &str, script: &str) -> String {
    mine(world, "locked", &format!("[landlock]\n{rules}\n"));
    under(world, &["locked"], script).run().expect_code(0).text()
}

#[test]
fn landlock_takes_rights_to_files() {
    let world = World::new();
    let script = "cat /etc/hosts >/dev/null 2>&1 && echo read hosts; \
                  cat /etc/passwd >/dev/null 2>&1 && echo read passwd; \
                  ls /usr >/dev/null 2>&1 && echo list usr; \
                  echo x 2>/dev/null >/tmp/x && echo write tmp; \
                  echo x 2>/dev/null >/run/x && echo write run; \
                  mkdir /run/d 2>/dev/null && echo make run; \
                  cp /bin/true /tmp/true 2>/dev/null && /tmp/true 2>/dev/null && echo execute tmp; \
                  echo end";
    let all = "read hosts read passwd list usr write tmp write run make run execute tmp end";
    let said = |rules: &str| landlocked(&world, rules, script).replace('\n', " ");
    assert_eq!(under(&world, &["default"], script).ok().replace('\n', " "), all);
    let paths = "[\"/usr\", \"/bin\", \"/lib\", \"/lib64\", \"/etc/hosts\", \"/dev\"]";
    let read = said(&format!("read = {paths}"));
    assert_eq!(read, "read hosts list usr write tmp write run make run end");
    let write = said("write = [\"/tmp\", \"/dev\", \"/nowhere\"]");
    assert_eq!(write, "read hosts read passwd list usr write tmp execute tmp end");
    let execute = said("execute = [\"/usr\", \"/bin\", \"/lib\", \"/lib64\"]");
    assert_eq!(execute, all.replace(" execute tmp", ""));
}

#[test]
fn what_is_mounted_on_purpose_is_usable_under_landlock() {
    let world = World::new();
    let dir = world.folder();
    let (rw, ro) = (format!("{}:/run/rw", dir.display()), format!("{}:/run/ro:ro", dir.display()));
    mine(
        &world,
        "locked",
        "[landlock]\nread = [\"/usr\", \"/lib\", \"/lib64\"]\nwrite = [\"/dev\"]\n",
    );
    let script = "echo x >/run/rw/x && cat /run/ro/x; ls /run 2>/dev/null || echo closed";
    let run =
        ["run", "--host", "--profile", "locked", "-v", &rw, "-v", &ro, "--", "sh", "-c", script];
    assert_eq!(world.sbx(run).ok(), "x\nclosed");
}

#[test]
fn landlock_takes_ports_and_scopes() {
    let world = World::new();
    common::need!("python3");
    let script = "exec python3 -c '
import socket
def attempt(name, what):
    try:
        what()
        print(name, \"ok\")
    except OSError as e:
        print(name, e.errno)
for port in (8001, 8002):
    attempt(f\"bind {port}\", lambda: socket.socket().bind((\"127.0.0.1\", port)))
for port in (8001, 8002):
    attempt(f\"connect {port}\", lambda: socket.socket().connect((\"127.0.0.1\", port)))
'";
    let said = landlocked(&world, "bind-ports = [8001]\nconnect-ports = [8002]", script);
    // EACCES 13, ECONNREFUSED 111.
    assert_eq!(said, "bind 8001 ok\nbind 8002 13\nconnect 8001 13\nconnect 8002 111");
}

/// Row S18: with the host's network, an abstract socket of the host.
#[test]
fn abstract_sockets_of_the_host_are_out_of_reach() {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener};
    common::need!("python3");
    let world = World::new();
    let name = format!("sbx-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let script = format!(
        "exec python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"\\0{name}\")'"
    );
    let run = |flags: &[&str]| {
        let sbx = world.sbx(["run", "--host"]).args(flags);
        sbx.args(["--", "sh", "-c", &script]).run()
    };
    assert!(run(&["--network", "host"]).expect_code(1).stderr.contains("PermissionError"));
    assert!(run(&[]).expect_code(1).stderr.contains("ConnectionRefusedError"));
    run(&["--network", "host", "--profile", "unconfined"]).expect_code(0);
}

#[test]
fn a_link_does_not_lead_the_right_to_write() {
    let world = World::new();
    world.image();
    mine(&world, "locked", "[landlock]\nwrite = [\"/var/run\"]\n");
    let said = world.sbx(["run", "--rm", "--profile", "locked", "busybox", "true"]).fails(125);
    assert!(said.contains("symbolic link") && said.contains("[landlock]"), "{said}");
}
