//! From the new root to the program: working directory, limits, ids, capabilities, filter, exec.

use std::ffi::CStr;
use std::path::Path;

use oci_spec::runtime::Process;
use sbx_child::{Arguments, Landlock, Op, Port, Rule, Segment};

use super::root::Root;
use super::{Hint, Steps, c_path, c_str, leak};
use crate::error::{Context, Error, Kind, Result};
use crate::host::apparmor;
use crate::plan::{Keyring, LandlockPlan, PathRule, Plan, WRITE_FILE, caps};
use crate::profile::Resource;
use crate::userns::idmap::{IdMap, to_outside};

/// Everything before mounts: what needs no id.
pub(crate) fn begin(steps: &mut Steps, plan: &Plan) -> Result<()> {
    use oci_spec::runtime::LinuxNamespaceType::Network;
    let later = namespaces(plan) & !FIRST;
    let what = "cannot make the sandbox's namespaces";
    steps.push_hint(Op::Unshare { flags: later }, what, Hint::Namespaces);
    steps.push(Op::NewSession, "cannot start a session");
    if !plan.host.init {
        steps.push(Op::DieWithParent, TIED);
        let (arguments, image) = memory_of_this_process();
        let nest = Op::Nest { arguments, image, stack: stack()? };
        steps.push(nest, "cannot start the program's process");
        steps.push(Op::NewSession, "cannot start a session");
    }
    // Modes are as given while the sandbox is set up; the program gets its own umask later.
    steps.push(Op::Umask(0), "cannot set the umask");
    // What the host mounts later may still come in where a bind asks for it; nothing goes out.
    let flags = super::root::SLAVE | 1 << 14;
    steps.push(Op::Propagation { flags }, "cannot detach the mount namespace");
    if let Some(name) = plan.spec.hostname() {
        steps.push(Op::SetHostname(leak(name.clone().into_bytes())), "cannot set the host name");
    }
    let namespaces = plan.spec.linux().as_ref().and_then(|l| l.namespaces().as_ref());
    if namespaces.is_some_and(|n| n.iter().any(|n| n.typ() == Network)) {
        steps.push(Op::LoopbackUp, "cannot bring up the loopback interface");
    }
    Ok(())
}

/// Those that must be there from the start: of the other kinds each belongs to the user namespace in which
/// it was made.
pub(crate) const FIRST: u64 = (libc::CLONE_NEWUSER | libc::CLONE_NEWPID) as u64;

/// `CLONE_NEW*` flags of the plan's namespaces; see `namespaces(7)`.
pub(crate) fn namespaces(plan: &Plan) -> u64 {
    let namespaces = plan.spec.linux().as_ref().and_then(|l| l.namespaces().as_ref());
    namespaces.into_iter().flatten().fold(0, |flags, n| flags | n.typ() as u64)
}

const TIED: &str = "cannot tie the process to sbx";

fn memory_of_this_process() -> (Arguments, &'static [Segment]) {
    (crate::sys::command_line(), leak(crate::sys::read_only_image()))
}

fn stack() -> Result<sbx_child::Stack> {
    crate::sys::stack().what(|| "cannot get memory for a stack")
}

/// Waits for the id map, and becomes the root of it: files made from here on are root's.
pub(crate) fn mapped(steps: &mut Steps, plan: &Plan) {
    if plan.host.idmap == IdMap::Inherit {
        steps.push(Op::NotDumpable, "cannot protect the new process");
        return;
    }
    steps.push(Op::AwaitParent, "cannot wait for the id map");
    let me = rustix::process::geteuid().as_raw();
    let root = to_outside(plan.host.idmap.uids(), 0);
    let group = to_outside(plan.host.idmap.gids(), 0);
    if root.is_some_and(|outside| outside != me) && group.is_some() {
        steps.push(Op::SetIds { uid: 0, gid: 0 }, "cannot become root inside");
    }
    // Only now: the files below /proc/PID belong to root for a process that is not dumpable, and the
    // map could not be written.
    steps.push(Op::NotDumpable, "cannot protect the new process");
}

/// While the root may still be written to: an image's working directory is made where it is missing.
pub(crate) fn workdir(steps: &mut Steps, plan: &Plan, root: Root) -> Result<()> {
    let cwd = process(plan)?.cwd();
    steps.push_hint(
        Op::Chdir { root: root.slot, path: relative(cwd)?, create: true },
        format!("cannot change to the working directory {}", cwd.display()),
        Hint::Workdir,
    );
    Ok(())
}

fn process(plan: &Plan) -> Result<&Process> {
    let process = plan.spec.process().as_ref();
    process.ok_or_else(|| Error::new("cannot run", "the configuration has no process"))
}

pub(crate) fn finish(steps: &mut Steps, plan: &Plan) -> Result<()> {
    let process = process(plan)?;
    if let Some(mask) = process.user().umask() {
        steps.push(Op::Umask(mask), "cannot set the umask");
    }
    rlimits(steps, process)?;
    if plan.host.keyring == Keyring::Own {
        steps.push(Op::NewKeyring, "cannot make a session keyring");
    }

    if let Some(label) = process.apparmor_profile() {
        // Before the filter, which may deny what this needs. From an unconfined sbx a change of label is
        // no gain of privileges, so that no_new_privs does not stand in its way.
        let line = leak(apparmor::line(label));
        let hint = Hint::AppArmor { label: label.clone() };
        steps.push_hint(Op::ExecLabel(line), "cannot confine the command", hint);
    }
    let nnp = process.no_new_privileges().unwrap_or(false);
    let filter = leak(plan.host.filter.program.to_vec());
    let filtered = !filter.is_empty();
    if !nnp {
        // As the filter below.
        landlock(steps, plan)?;
    }
    if filtered && !nnp {
        // Without no_new_privs a filter needs CAP_SYS_ADMIN (seccomp(2)), which goes below.
        steps.push(Op::Seccomp(filter), "cannot install the seccomp filter");
    }
    identity(steps, plan, process);
    if plan.host.init {
        steps.push(Op::DieWithParent, TIED);
    }
    if nnp {
        steps.push(Op::NoNewPrivs, "cannot set no_new_privs");
        // After the mounts, which it would deny, and before the filter, which may.
        landlock(steps, plan)?;
    }
    let first = 3 + plan.host.preserve_fds;
    steps.push(Op::CloseOnExec { first }, "cannot close descriptors");
    if !plan.host.init {
        steps.push(Op::ResetSignals, "cannot reset signals");
    }
    if filtered && nnp {
        steps.push(Op::Seccomp(filter), "cannot install the seccomp filter");
    }
    if plan.host.init {
        let terminal = process.terminal().unwrap_or(false);
        let (arguments, image) = memory_of_this_process();
        let init = Op::Init { terminal, arguments, image, stack: stack()? };
        steps.push(init, "cannot start the init");
        // The init keeps all signals blocked; the program must not inherit that.
        steps.push(Op::ResetSignals, "cannot reset signals");
    }
    exec(steps, plan, process)
}

fn landlock(steps: &mut Steps, plan: &Plan) -> Result<()> {
    let Some(LandlockPlan { fs, net, scoped, rules, ports }) = &plan.host.landlock else {
        return Ok(());
    };
    let rule = |rule: &PathRule| {
        // A link in an image must not lead the right to write to another place.
        let follow = rule.allowed & WRITE_FILE == 0;
        Ok(Rule { path: c_path(&rule.path)?, allowed: rule.allowed, follow })
    };
    let rules = leak(rules.iter().map(rule).collect::<Result<_>>()?);
    let port = |(port, allowed): &(u16, u64)| Port { port: *port, allowed: *allowed };
    let ports = leak(ports.iter().map(port).collect());
    let op = Op::Landlock(Landlock { fs: *fs, net: *net, scoped: *scoped, rules, ports });
    steps.push_hint(op, "cannot apply the profile's Landlock rules", Hint::Landlock);
    Ok(())
}

fn relative(path: &Path) -> Result<&'static CStr> {
    let inside = path.strip_prefix("/").unwrap_or(path);
    if inside.as_os_str().is_empty() { Ok(c".") } else { c_path(inside) }
}

fn rlimits(steps: &mut Steps, process: &Process) -> Result<()> {
    for limit in process.rlimits().iter().flatten() {
        let name = limit.typ().to_string();
        let short = name.trim_start_matches("RLIMIT_").to_ascii_lowercase();
        let resource = Resource::parse(&short)
            .ok_or_else(|| Error::new(format!("cannot set {name}"), "there is no such limit"))?;
        let op = Op::Rlimit { resource: resource.raw(), soft: limit.soft(), hard: limit.hard() };
        steps.push_hint(op, format!("cannot set the limit {short}"), Hint::Rlimit);
    }
    Ok(())
}

fn identity(steps: &mut Steps, plan: &Plan, process: &Process) {
    let (uid, gid) = (process.user().uid(), process.user().gid());
    let set = |get: fn(&oci_spec::runtime::LinuxCapabilities) -> &Option<_>| {
        let set = process.capabilities().as_ref().and_then(|c| get(c).as_ref());
        set.map_or(0, |set| caps::from_oci(set).0)
    };
    let keep = set(oci_spec::runtime::LinuxCapabilities::bounding);
    steps.push(Op::BoundingSet { keep }, "cannot drop capabilities");
    // A map of one id denies setgroups, and so does the caller's wish to keep its groups.
    let fixed = matches!(plan.host.idmap, IdMap::Single { .. }) || plan.host.keep_groups;
    if !fixed {
        let groups = leak(process.user().additional_gids().clone().unwrap_or_default());
        steps.push(Op::SetGroups(groups), "cannot set supplementary groups");
    }
    steps.push(Op::SetIds { uid, gid }, format!("cannot become user {uid}, group {gid}"));
    let caps = set(oci_spec::runtime::LinuxCapabilities::permitted);
    steps.push(Op::Capabilities { caps }, "cannot set capabilities");
}

fn exec(steps: &mut Steps, plan: &Plan, process: &Process) -> Result<()> {
    let args = process.args().as_deref().unwrap_or_default();
    let env = process.env().as_deref().unwrap_or_default();
    let command = args.first().ok_or_else(|| Error::new("cannot run", "no command was given"))?;
    let path = env.iter().rev().find_map(|v| v.strip_prefix("PATH=")).unwrap_or("/usr/bin:/bin");
    let candidates: Vec<String> = if command.contains('/') {
        vec![command.clone()]
    } else {
        path.split(':')
            .map(|dir| format!("{}/{command}", if dir.is_empty() { "." } else { dir }))
            .collect()
    };
    if command.is_empty() {
        return Err(Error::new("cannot run \"\"", "the command is empty").kind(Kind::NotFound));
    }
    let op = Op::Exec {
        paths: pointers(&candidates, false)?,
        argv: pointers(args, true)?,
        envp: pointers(env, true)?,
    };
    let hint = Hint::Exec { command: command.clone(), foreign: plan.host.foreign.clone() };
    steps.push_hint(op, format!("cannot run {command}"), hint);
    Ok(())
}

/// A table of C strings, ended by a null pointer where execve(2) wants one.
fn pointers(list: &[String], terminated: bool) -> Result<&'static [*const u8]> {
    let mut out = Vec::with_capacity(list.len() + 1);
    for text in list {
        out.push(c_str(text.as_str())?.as_ptr().cast());
    }
    if terminated {
        out.push(std::ptr::null());
    }
    Ok(leak(out))
}
