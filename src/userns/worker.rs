//! Work inside the user namespace: the binary executes itself again, enters a namespace with the
//! given id map, and does one job there as its root.
//!
//! Such work allocates and starts threads, so it must not run in a forked child. The two processes
//! talk in lines of JSON over a socket that is the worker's standard output; its standard input is
//! the file that the job reads or writes.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sched::CloneFlags;
use rustix::io::Errno;
use rustix::process::Signal;
use rustix::thread::{Gid, Uid};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::write;
use crate::error::{Context, Error, Result, errno_text};
use crate::host::prereq;
use crate::sys::tree;
use crate::userns::idmap::IdMap;

/// The name that makes the binary a worker.
pub(crate) const ARGV0: &str = "sbx-worker";

const REMOVE_TREE: &str = "remove-tree";

#[derive(Serialize, Deserialize)]
struct Request {
    parent: u32,
    /// Whether a user namespace is to be made.
    namespace: bool,
    /// Whether its groups can be dropped: not where setgroups is denied.
    setgroups: bool,
    kind: String,
    job: Value,
}

/// From the worker to its parent, a line each.
#[derive(Serialize, Deserialize)]
enum Event {
    /// The namespace is made; ids can be mapped.
    Entered,
    Progress(u64),
    /// From here on another program runs in the worker's place.
    Executing,
    Done(Value),
    Failed {
        what: String,
        why: String,
        fix: Option<String>,
    },
}

type Work = Box<dyn FnOnce(&mut dyn FnMut(u64)) -> Result<Value>>;

/// A job after its files were opened; it runs as root of the namespace.
pub(crate) enum Task {
    Work(Work),
    /// The program that takes the worker's place.
    Become(Box<dyn FnOnce() -> Result<Command>>),
}

/// Runs a job in a worker and waits for it. `progress` gets what the job counts.
pub(crate) fn run<R: DeserializeOwned>(
    map: &IdMap,
    kind: &str,
    job: &impl Serialize,
    input: Stdio,
    progress: &dyn Fn(u64),
) -> Result<R> {
    let (mut worker, ours, request) = begin(map, kind, job, input, Stdio::inherit())?;
    let talked = talk(worker.id(), map, &request, &ours, progress);
    // The worker sees the end of the conversation and ends.
    drop(ours);
    let value = match talked {
        Ok(Some(value)) => value,
        Ok(None) => {
            return Err(Error::new(
                format!("cannot finish {kind}"),
                format!("the worker died: {}", worker.wait()?),
            ));
        }
        Err(e) => return Err(e),
    };
    worker.wait()?;
    serde_json::from_value(value)
        .map_err(|e| Error::new("cannot understand a worker", e.to_string()))
}

/// Starts a worker whose job is to become another program. It is running once this returns; what it
/// says on standard error can be read from the child.
pub(crate) fn start(map: &IdMap, kind: &str, job: &impl Serialize, input: Stdio) -> Result<Child> {
    let (mut worker, ours, request) = begin(map, kind, job, input, Stdio::piped())?;
    match talk(worker.id(), map, &request, &ours, &|_| ())? {
        Some(_) => worker.keep(),
        None => Err(Error::new(
            format!("cannot start {kind}"),
            format!("the worker died: {}", worker.wait()?),
        )),
    }
}

fn begin(
    map: &IdMap,
    kind: &str,
    job: &impl Serialize,
    input: Stdio,
    stderr: Stdio,
) -> Result<(Worker, UnixStream, Request)> {
    let what = || "cannot start a worker".to_owned();
    let (ours, theirs) = UnixStream::pair().what(what)?;
    let started = Command::new("/proc/self/exe")
        .arg0(ARGV0)
        .env_clear()
        .stdin(input)
        .stdout(OwnedFd::from(theirs))
        .stderr(stderr)
        .spawn();
    let worker = Worker { child: Some(prereq::started("a worker", started)?) };
    let request = Request {
        parent: std::process::id(),
        namespace: !matches!(map, IdMap::Inherit),
        setgroups: !matches!(map, IdMap::Single { .. }),
        kind: kind.to_owned(),
        job: serde_json::to_value(job).map_err(|e| Error::new(what(), e.to_string()))?,
    };
    Ok((worker, ours, request))
}

/// Ends with its owner, whatever happens.
struct Worker {
    child: Option<Child>,
}

impl Worker {
    fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        let mut child = self.child.take().ok_or_else(gone)?;
        child.wait().what(|| "cannot wait for a worker")
    }

    /// From now on the caller looks after it.
    fn keep(&mut self) -> Result<Child> {
        self.child.take().ok_or_else(gone)
    }
}

fn gone() -> Error {
    Error::new("cannot wait for a worker", "it has been waited for")
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn talk(
    pid: u32,
    map: &IdMap,
    request: &Request,
    socket: &UnixStream,
    progress: &dyn Fn(u64),
) -> Result<Option<Value>> {
    if send(socket, request).is_err() {
        return Ok(None);
    }
    for line in BufReader::new(socket).lines() {
        let Ok(line) = line else { break };
        let event = serde_json::from_str(&line)
            .map_err(|e| Error::new("cannot understand a worker", e.to_string()))?;
        match event {
            Event::Entered => {
                write::apply(pid, map)?;
                if send(socket, &()).is_err() {
                    break;
                }
            }
            Event::Progress(n) => progress(n),
            Event::Executing => return Ok(Some(Value::Null)),
            Event::Done(value) => return Ok(Some(value)),
            Event::Failed { what, why, fix } => {
                let error = Error::new(what, why);
                return Err(match fix {
                    Some(fix) => error.fix(fix),
                    None => error,
                });
            }
        }
    }
    Ok(None)
}

fn send(mut socket: &UnixStream, message: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    socket.write_all(&line)
}

/// The worker's side. `prepare` opens the files of a job, which may need the caller's groups; what it
/// returns runs inside the namespace. The value is the exit code.
pub(crate) fn serve(prepare: impl FnOnce(&str, Value) -> Result<Task>) -> u8 {
    let Ok(socket) = rustix::stdio::stdout().try_clone_to_owned().map(UnixStream::from) else {
        return 1;
    };
    let event = match serve_on(&socket, prepare) {
        Ok(value) => Event::Done(value),
        Err(Error { what, why, fix, .. }) => Event::Failed { what, why, fix },
    };
    u8::from(send(&socket, &event).is_err())
}

fn serve_on(
    socket: &UnixStream,
    prepare: impl FnOnce(&str, Value) -> Result<Task>,
) -> Result<Value> {
    die_with_parent(None)?;
    let mut lines = BufReader::new(socket);
    let mut line = String::new();
    // The end of the conversation: the parent died before its death could be a signal.
    let gone = || Error::new("cannot work", "whoever started the worker is gone");
    if lines.read_line(&mut line).what(|| "cannot read a job")? == 0 {
        return Err(gone());
    }
    let request: Request =
        serde_json::from_str(&line).map_err(|e| Error::new("cannot read a job", e.to_string()))?;
    let task = if request.kind == REMOVE_TREE {
        prepare_removal(request.job)?
    } else {
        prepare(&request.kind, request.job)?
    };
    if request.namespace {
        nix::sched::unshare(CloneFlags::CLONE_NEWUSER).map_err(namespace_error)?;
        send(socket, &Event::Entered).what(|| "cannot report")?;
        line.clear();
        if lines.read_line(&mut line).what(|| "cannot wait for the id map")? == 0 {
            return Err(gone());
        }
        become_root(request.setgroups)?;
        // A change of ids takes the signal back: prctl(2), PR_SET_PDEATHSIG.
        die_with_parent(Some(request.parent))?;
    }
    match task {
        Task::Work(work) => work(&mut |n| drop(send(socket, &Event::Progress(n)))),
        Task::Become(program) => {
            // Before what follows may wait: the parent goes on now.
            send(socket, &Event::Executing).what(|| "cannot report")?;
            let mut program = program()?;
            let name = program.get_program().display().to_string();
            Err(program.exec()).what(|| format!("cannot start {name}"))
        }
    }
}

fn die_with_parent(parent: Option<u32>) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .what(|| "cannot ask for the signal of the parent's death")?;
    let now = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().cast_unsigned());
    if parent.is_some() && parent != now {
        return Err(Error::new("cannot work", "whoever started the worker is gone"));
    }
    Ok(())
}

fn namespace_error(errno: nix::errno::Errno) -> Error {
    use nix::errno::Errno;
    let error = Error::new("cannot make a user namespace", errno_text(errno as i32));
    match errno {
        Errno::EPERM | Errno::EACCES => error.fix("sbx doctor"),
        Errno::ENOSPC | Errno::EUSERS => error.fix("sudo sysctl -w user.max_user_namespaces=28633"),
        _ => error,
    }
}

/// Groups first: without CAP_SETGID, which a change of the user id drops, they cannot go.
fn become_root(setgroups: bool) -> Result<()> {
    if setgroups {
        rustix::thread::set_thread_groups(&[]).what(|| "cannot drop the supplementary groups")?;
    }
    let gid = Gid::ROOT;
    rustix::thread::set_thread_res_gid(gid, gid, gid).what(|| "cannot become group 0")?;
    let uid = Uid::ROOT;
    rustix::thread::set_thread_res_uid(uid, uid, uid).what(|| "cannot become user 0")
}

/// Removes a directory and all below it, also what belongs to subordinate ids. By descriptor; links
/// are not followed. A directory that does not exist is fine.
pub(crate) fn remove_tree(map: &IdMap, dir: &Path) -> Result<()> {
    match tree::remove(dir) {
        Ok(()) => Ok(()),
        Err(e)
            if matches!(e.errno, Errno::ACCESS | Errno::PERM) && !matches!(map, IdMap::Inherit) =>
        {
            let dir = dir.to_owned();
            run::<()>(map, REMOVE_TREE, &dir, Stdio::null(), &|_| ())
        }
        Err(e) => Err(removal_error(dir, &e)),
    }
}

fn prepare_removal(job: Value) -> Result<Task> {
    let dir: PathBuf =
        serde_json::from_value(job).map_err(|e| Error::new("cannot read a job", e.to_string()))?;
    // Reaching the parent directory may need the caller's groups.
    let parent = dir.parent().map(File::open).transpose();
    let parent = parent.what(|| format!("cannot open the directory of {}", dir.display()))?;
    let name = dir.file_name().and_then(|n| std::ffi::CString::new(n.as_encoded_bytes()).ok());
    let (Some(parent), Some(name)) = (parent, name) else {
        return Err(Error::new(format!("cannot remove {}", dir.display()), "it has no parent"));
    };
    Ok(Task::Work(Box::new(move |_| {
        use std::os::fd::AsFd as _;
        tree::remove_at(parent.as_fd(), &name).map_err(|e| removal_error(&dir, &e))?;
        Ok(Value::Null)
    })))
}

fn removal_error(dir: &Path, e: &tree::Failed) -> Error {
    Error::new(
        format!("cannot remove {:?} in {}", e.name, dir.display()),
        errno_text(e.errno.raw_os_error()),
    )
}
