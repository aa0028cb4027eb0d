//! Starts sbx and waits for it, always with a limit.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::process;
use super::world::{World, binary};

/// The path that sbx and its helpers are found on.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
/// No start takes nearly as long; a hang becomes a failure that names the command.
const LIMIT: Duration = Duration::from_secs(120);
/// How long the ends of its output may take to close once sbx has ended.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

pub(crate) struct Sbx<'w> {
    world: &'w World,
    command: Command,
    input: Option<Vec<u8>>,
    words: Vec<OsString>,
}

impl<'w> Sbx<'w> {
    pub(crate) fn new<S: AsRef<OsStr>>(
        world: &'w World,
        args: impl IntoIterator<Item = S>,
    ) -> Self {
        Self::through(world, Command::new(binary())).args(args)
    }

    /// sbx started by another program, whose last argument is the path of sbx.
    pub(crate) fn through(world: &'w World, mut command: Command) -> Self {
        command
            .env_clear()
            .env("PATH", PATH)
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm")
            .env("HOME", world.path("home"))
            .env("XDG_DATA_HOME", world.path("data"))
            .env("XDG_CONFIG_HOME", world.path("config"))
            .env("XDG_CACHE_HOME", world.path("cache"))
            .env("XDG_RUNTIME_DIR", world.path("run"))
            .env("TMPDIR", world.path("tmp"))
            .current_dir(world.path("work"));
        Sbx { world, command, input: None, words: Vec::new() }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.words.push(arg.as_ref().to_owned());
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(self, args: impl IntoIterator<Item = S>) -> Self {
        args.into_iter().fold(self, Sbx::arg)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn cwd(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Bytes for standard input; without this it is /dev/null.
    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    pub(crate) fn stdio(
        mut self,
        stdin: impl Into<Stdio>,
        stdout: impl Into<Stdio>,
        stderr: impl Into<Stdio>,
    ) -> Attached<'w> {
        self.command.stdin(stdin).stdout(stdout).stderr(stderr);
        Attached(self)
    }

    /// Starts with pipes.
    pub(crate) fn spawn(mut self) -> Running<'w> {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("start sbx");
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().map(Pipe::reading);
        let stderr = child.stderr.take().map(Pipe::reading);
        let mut running =
            Running { world: self.world, child, stdin, stdout, stderr, words: self.words };
        match self.input {
            None => drop(running.stdin.take()),
            Some(bytes) => {
                // From a thread: sbx may write before it has read everything.
                let mut stdin = running.stdin.take().expect("a pipe");
                std::thread::spawn(move || {
                    let _ = stdin.write_all(&bytes);
                });
            }
        }
        running
    }

    /// Starts with pipes and leaves standard input open, for [`Running::say`].
    pub(crate) fn spawn_open(mut self) -> Running<'w> {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("start sbx");
        Running {
            world: self.world,
            stdin: child.stdin.take(),
            stdout: child.stdout.take().map(Pipe::reading),
            stderr: child.stderr.take().map(Pipe::reading),
            child,
            words: self.words,
        }
    }

    pub(crate) fn run(self) -> Finished {
        self.spawn().wait()
    }

    /// Runs, expects success, and returns what was printed, without the last newline.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        self.run().expect_code(0).text()
    }

    /// Runs, expects this exit code, and returns what sbx or the command said on standard error.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        self.run().expect_code(code).stderr
    }
}

/// Stdio was given: there is nothing to read.
pub(crate) struct Attached<'w>(Sbx<'w>);

impl<'w> Attached<'w> {
    pub(crate) fn spawn(mut self) -> Running<'w> {
        let child = self.0.command.spawn().expect("start sbx");
        // The command keeps its copies of the descriptors: a terminal would never hang up.
        drop(self.0.command);
        Running {
            world: self.0.world,
            child,
            stdin: None,
            stdout: None,
            stderr: None,
            words: self.0.words,
        }
    }
}

/// Reads a pipe in a thread, so that neither side waits for the other.
struct Pipe {
    chunks: mpsc::Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

impl Pipe {
    fn reading(mut from: impl Read + Send + 'static) -> Self {
        let (send, chunks) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(n @ 1..) = from.read(&mut buffer) {
                if send.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Pipe { chunks, seen: Vec::new() }
    }

    /// Everything up to the end of file; `false` when the pipe stays open.
    fn drain(&mut self) -> bool {
        loop {
            match self.chunks.recv_timeout(CLOSE_LIMIT) {
                Ok(chunk) => self.seen.extend(chunk),
                Err(mpsc::RecvTimeoutError::Disconnected) => return true,
                Err(mpsc::RecvTimeoutError::Timeout) => return false,
            }
        }
    }

    fn wait_for(&mut self, needle: &str) -> bool {
        let deadline = std::time::Instant::now() + LIMIT;
        while !contains(&self.seen, needle.as_bytes()) {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            match self.chunks.recv_timeout(left) {
                Ok(chunk) => self.seen.extend(chunk),
                Err(_) => return false,
            }
        }
        true
    }
}

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|w| w == needle)
}

pub(crate) struct Running<'w> {
    world: &'w World,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<Pipe>,
    stderr: Option<Pipe>,
    words: Vec<OsString>,
}

impl Running<'_> {
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// Waits until the command has printed `needle`.
    #[track_caller]
    pub(crate) fn until(&mut self, needle: &str) -> &mut Self {
        let seen = self.stdout.as_mut().expect("a pipe").wait_for(needle);
        if !seen {
            let _ = self.child.kill();
            let said = self.stderr.as_mut().map(|p| {
                p.drain();
                String::from_utf8_lossy(&p.seen).into_owned()
            });
            panic!("{:?} never printed {needle:?}; standard error: {said:?}", self.words);
        }
        self
    }

    /// What the command has printed so far.
    pub(crate) fn printed(&self) -> String {
        self.stdout.as_ref().map_or_else(String::new, |p| text_of(&p.seen))
    }

    pub(crate) fn say(&mut self, line: &str) -> &mut Self {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        writeln!(stdin, "{line}").expect("write to standard input");
        self
    }

    pub(crate) fn close_input(&mut self) -> &mut Self {
        self.stdin = None;
        self
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        process::signal(self.pid(), signal);
    }

    /// The process that is PID 1 inside.
    #[track_caller]
    pub(crate) fn init(&self) -> i32 {
        process::init_below(self.pid()).expect("a PID 1 below sbx")
    }

    /// The process whose death ends the sandbox.
    #[track_caller]
    pub(crate) fn outer_init(&self) -> i32 {
        process::outer_init_below(self.pid()).expect("a PID 1 below sbx")
    }

    #[track_caller]
    pub(crate) fn wait(mut self) -> Finished {
        self.stdin = None;
        if !process::ends(self.pid(), LIMIT) {
            let _ = self.child.kill();
            let _ = self.child.wait();
            panic!("{:?} did not end within {LIMIT:?}", self.words);
        }
        let status = self.child.wait().expect("wait for sbx");
        let end = |pipe: &mut Option<Pipe>, name| {
            pipe.take().map_or_else(Vec::new, |mut p| {
                assert!(
                    p.drain(),
                    "{:?}: something keeps its {name} open after sbx has ended",
                    self.words
                );
                p.seen
            })
        };
        let stdout = end(&mut self.stdout, "standard output");
        let stderr = text_of(&end(&mut self.stderr, "standard error"));
        Finished { status, stdout, stderr, words: std::mem::take(&mut self.words) }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // After a wait this is an error that means nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
pub(crate) struct Finished {
    status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    words: Vec<OsString>,
}

impl Finished {
    /// The exit code; `None` when a signal ended sbx itself.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    pub(crate) fn text(&self) -> String {
        let text = text_of(&self.stdout);
        text.strip_suffix('\n').map_or(text.clone(), str::to_owned)
    }

    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code(),
            Some(code),
            "sbx {:?}\n{}\nstdout: {}\nstderr: {}",
            self.words,
            self.status,
            text_of(&self.stdout[..self.stdout.len().min(4000)]),
            self.stderr
        );
        self
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
