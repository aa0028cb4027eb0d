//! A terminal for `-t`, with the test on its other end.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::pty::openpty;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use super::command::{Running, Sbx};
use super::world::{World, binary};

const LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct Terminal {
    master: File,
    /// Kept open: the settings are read through it, and the master gets no hang-up between two programs.
    slave: OwnedFd,
    seen: String,
}

impl Terminal {
    pub(crate) fn open(rows: u16, cols: u16) -> Self {
        let pair = openpty(None, None).expect("open a terminal");
        // Otherwise sbx would start with descriptors that a user's sbx never has.
        for fd in [&pair.master, &pair.slave] {
            rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC).expect("set close-on-exec");
        }
        let terminal =
            Terminal { master: File::from(pair.master), slave: pair.slave, seen: String::new() };
        terminal.resize(rows, cols);
        terminal
    }

    pub(crate) fn resize(&self, rows: u16, cols: u16) {
        let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).expect("set the window size");
    }

    /// Starts sbx as the leader of a session whose controlling terminal this is.
    pub(crate) fn spawn<'w>(&self, world: &'w World, args: &[&str]) -> Running<'w> {
        self.spawn_program(world, binary(), args)
    }

    /// The same with another program, whose part it is to start sbx.
    pub(crate) fn spawn_program<'w>(
        &self,
        world: &'w World,
        program: impl AsRef<std::ffi::OsStr>,
        args: &[&str],
    ) -> Running<'w> {
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(program);
        let end = || Stdio::from(self.slave.try_clone().expect("copy a descriptor"));
        Sbx::through(world, command).args(args).stdio(end(), end(), end()).spawn()
    }

    pub(crate) fn write(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("write to the terminal");
    }

    /// Waits until the terminal shows `needle`, and forgets what came up to it.
    #[track_caller]
    pub(crate) fn expect(&mut self, needle: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(at) = self.seen.find(needle) {
                let rest = self.seen.split_off(at + needle.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = rustix::event::Timespec::try_from(left).expect("a short time");
            let ready = poll(
                &mut [PollFd::from_borrowed_fd(self.master.as_fd(), PollFlags::IN)],
                Some(&timeout),
            );
            assert!(
                ready.is_ok_and(|n| n > 0),
                "the terminal never showed {needle:?}; it shows {:?}",
                self.seen
            );
            let mut buffer = [0; 4096];
            let n = self.master.read(&mut buffer).expect("read the terminal");
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings::of(&tcgetattr(&self.slave).expect("read the terminal's settings"))
    }
}

/// What raw mode changes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    input: u32,
    output: u32,
    local: u32,
}

impl Settings {
    fn of(termios: &Termios) -> Self {
        Settings {
            input: termios.input_modes.bits(),
            output: termios.output_modes.bits(),
            local: termios.local_modes.bits(),
        }
    }

    /// Whether typed lines are echoed and edited.
    pub(crate) fn is_raw(&self) -> bool {
        let cooked = rustix::termios::LocalModes::ICANON | rustix::termios::LocalModes::ECHO;
        self.local & cooked.bits() == 0
    }
}
