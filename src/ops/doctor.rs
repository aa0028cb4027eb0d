//! `sbx doctor`: every capability tried for real, with the operations that a run uses.

use std::fmt::Write as _;

use sbx_child::{Op, Slot};
use serde_json::json;

use crate::cli::doctor::DoctorArgs;
use crate::error::{Error, Result};
use crate::host::dirs::{self, Dirs};
use crate::host::{HostFacts, kernel_version, prereq};
use crate::launch::trial::{self, Trial};
use crate::userns::idmap::{self, IdMap};

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    /// Missing, and sbx does without.
    Limited,
    /// Missing, and `sbx run` cannot work.
    Broken,
}

impl State {
    fn text(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Limited => "limited",
            State::Broken => "missing",
        }
    }
}

struct Row {
    capability: &'static str,
    state: State,
    /// What sbx uses, or will do instead.
    uses: String,
    error: Option<Error>,
}

impl Row {
    fn of(
        capability: &'static str,
        result: Result<String>,
        otherwise: State,
        instead: &str,
    ) -> Self {
        match result {
            Ok(uses) => Row { capability, state: State::Ok, uses, error: None },
            Err(e) => {
                Row { capability, state: otherwise, uses: instead.to_owned(), error: Some(e) }
            }
        }
    }
}

pub(crate) fn doctor(args: &DoctorArgs) -> Result<u8> {
    let dirs = Dirs::from_env()?;
    let facts = HostFacts::read(&dirs.data)?;
    let rows = rows(&facts, &dirs);
    let broken = rows.iter().any(|r| r.state == State::Broken);
    let text = if args.json { as_json(&rows, broken) } else { as_table(&rows) };
    super::output::print(&text)?;
    Ok(u8::from(broken))
}

fn rows(facts: &HostFacts, dirs: &Dirs) -> Vec<Row> {
    use State::{Broken, Limited};
    let single = idmap::single(&facts.caller);
    let store = idmap::for_store(&facts.caller, &facts.subids);
    let wide = store.as_ref().ok().filter(|m| !matches!(m, IdMap::Single { .. }));
    let map = wide.unwrap_or(&single);
    vec![
        Row::of("kernel", kernel(), Broken, "nothing"),
        Row::of("directories", directories(dirs), Broken, "nothing"),
        Row::of("user namespace", try_ops(trial::USER, &single, vec![]), Broken, "nothing"),
        Row::of("all namespaces", try_ops(trial::ALL, &single, vec![]), Broken, "nothing"),
        Row::of("procfs and sysfs", kernel_fs(&single), Broken, "nothing"),
        Row::of(
            "subordinate ids",
            subordinate(facts, &store),
            Limited,
            "one id: images with other owners cannot be unpacked",
        ),
        Row::of("native overlay", overlay(facts, dirs, map), Limited, "fuse-overlayfs"),
        Row::of("fuse-overlayfs", fuse_overlayfs(map), Limited, "native overlay only"),
        Row::of("seccomp filter", seccomp(&single, dirs), Broken, "nothing"),
        Row::of("tun device", tun(), Limited, "network none and host only"),
        Row::of("cgroup delegation", cgroups(), Limited, "no resource limits"),
        Row::of("landlock", landlock(), Limited, "profiles without Landlock rules"),
    ]
}

fn kernel() -> Result<String> {
    let (major, minor) = kernel_version();
    let (min_major, min_minor) = prereq::KERNEL_MIN;
    if (major, minor) < prereq::KERNEL_MIN {
        return Err(Error::new(
            format!("cannot run on Linux {major}.{minor}"),
            format!("mount_setattr(2) came with {min_major}.{min_minor}"),
        )
        .fix("install a newer kernel"));
    }
    Ok(format!("Linux {major}.{minor}"))
}

fn directories(dirs: &Dirs) -> Result<String> {
    for dir in dirs.all() {
        dirs::make_private(dir)?;
    }
    Ok(format!("{}, run-time {}", dirs.data.display(), dirs.runtime.display()))
}

fn try_ops(flags: u64, map: &IdMap, ops: Vec<Op<'static>>) -> Result<String> {
    trial::run(&Trial { flags, map, ops })?;
    Ok("works".to_owned())
}

fn kernel_fs(map: &IdMap) -> Result<String> {
    // With the attributes of a run: where the visible /sys is read-only, only such a one is granted.
    let fs = |fstype, attrs, slot| Op::NewFs { fstype, params: &[], attrs, out: Slot(slot) };
    let ops = vec![
        fs(c"proc", 0xe, 0),
        fs(c"sysfs", 0xf, 1),
        fs(c"cgroup2", 0xf, 2),
        fs(c"mqueue", 0xe, 3),
    ];
    try_ops(trial::ALL, map, ops)
}

fn subordinate(facts: &HostFacts, store: &Result<IdMap>) -> Result<String> {
    if let Some(e) = idmap::lack(&facts.caller, &facts.subids) {
        return Err(e);
    }
    let Ok(map) = store else { return Ok("none".to_owned()) };
    trial::run(&Trial { flags: trial::USER, map, ops: vec![] })?;
    let count: u64 = map.uids().iter().map(|r| u64::from(r.len)).sum();
    let by = match map {
        IdMap::Helpers { .. } => "newuidmap and newgidmap",
        _ => "the caller's own privilege",
    };
    Ok(format!("{count} ids, by {by}"))
}

fn overlay(facts: &HostFacts, dirs: &Dirs, map: &IdMap) -> Result<String> {
    if let Err(why) = &facts.native_overlay {
        return Err(Error::new("cannot use the kernel's overlay", why.clone()));
    }
    trial::overlay(&dirs.data, map)?;
    Ok("works, on the store's own file system".to_owned())
}

fn fuse_overlayfs(map: &IdMap) -> Result<String> {
    let program = prereq::find_program("fuse-overlayfs")
        .ok_or_else(|| prereq::program("fuse-overlayfs", "fuse-overlayfs"))?;
    open_device("/dev/fuse").map_err(prereq::fuse_device)?;
    let _ = map;
    Ok(program.display().to_string())
}

fn tun() -> Result<String> {
    open_device("/dev/net/tun").map_err(prereq::tun_device)?;
    let helpers: Vec<_> = ["pasta", "slirp4netns"]
        .into_iter()
        .filter(|p| prereq::find_program(p).is_some())
        .collect();
    Ok(if helpers.is_empty() { "no helper on PATH".into() } else { helpers.join(", ") })
}

fn open_device(path: &str) -> std::result::Result<(), i32> {
    let opened = std::fs::File::options().read(true).write(true).open(path);
    opened.map(drop).map_err(|e| e.raw_os_error().unwrap_or(libc::EIO))
}

fn seccomp(map: &IdMap, dirs: &Dirs) -> Result<String> {
    let profile = crate::profile::Profile::load(&[], dirs)?;
    let filter = profile.filter(profile.settings.capabilities, dirs)?;
    let program = crate::stage::leak(filter.program.to_vec());
    try_ops(trial::USER, map, vec![Op::NoNewPrivs, Op::Seccomp(program)])?;
    Ok(format!("{} instructions, built in", program.len() / 8))
}

/// `cgroups(7)`, "Delegation": the caller owns the directory of its own cgroup.
fn cgroups() -> Result<String> {
    let what = "cannot limit resources";
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = own.lines().find_map(|l| l.strip_prefix("0::")).ok_or_else(|| {
        Error::new(what, "this process is in no cgroup of version 2")
            .fix("boot with systemd.unified_cgroup_hierarchy=1")
    })?;
    let dir = std::path::Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/'));
    let controllers = std::fs::read_to_string(dir.join("cgroup.controllers")).map_err(|_| {
        Error::new(what, "the host has no pure cgroup v2 tree")
            .fix("boot with systemd.unified_cgroup_hierarchy=1")
    })?;
    if rustix::fs::access(dir.join("cgroup.procs"), rustix::fs::Access::WRITE_OK).is_err() {
        return Err(Error::new(what, format!("{} is not delegated to this user", dir.display()))
            .fix("run in a systemd user session, with Delegate=cpu cpuset io memory pids in user@.service.d"));
    }
    Ok(controllers.trim().to_owned())
}

fn landlock() -> Result<String> {
    match crate::sys::landlock_abi() {
        Some(abi) => Ok(format!("ABI {abi}")),
        None => Err(Error::new("cannot use Landlock", "the kernel has none, or it is not enabled")
            .fix("boot with lsm=landlock,...")),
    }
}

fn as_table(rows: &[Row]) -> String {
    let width = rows.iter().map(|r| r.capability.len()).max().unwrap_or(0);
    let mut out = String::new();
    for row in rows {
        let _ = writeln!(out, "{:width$}  {:7}  {}", row.capability, row.state.text(), row.uses);
        if let Some(error) = &row.error {
            let _ = writeln!(out, "{:width$}           {error}", "");
        }
    }
    out
}

fn as_json(rows: &[Row], broken: bool) -> String {
    let list: Vec<_> = rows
        .iter()
        .map(|r| {
            json!({
                "capability": r.capability,
                "state": r.state.text(),
                "uses": r.uses,
                "why": r.error.as_ref().map(|e| format!("{}: {}", e.what, e.why)),
                "fix": r.error.as_ref().and_then(|e| e.fix.clone()),
            })
        })
        .collect();
    format!("{:#}\n", json!({"works": !broken, "capabilities": list}))
}
