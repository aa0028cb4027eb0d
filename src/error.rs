//! The one error type: what failed, why, and a fix that can be pasted.
//!
//! Errors are made where the failing path and operation are known, passed up unchanged and rendered
//! once, in `main`.

use std::fmt;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Which exit code an error ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// sbx itself failed: exit code 125.
    Failed,
    /// The command exists and cannot be invoked: exit code 126.
    NotExecutable,
    /// The command does not exist: exit code 127.
    NotFound,
}

impl Kind {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Kind::Failed => 125,
            Kind::NotExecutable => 126,
            Kind::NotFound => 127,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Error {
    pub(crate) kind: Kind,
    /// The operation and the path or name it was about: `cannot open /a/b`.
    pub(crate) what: String,
    /// The cause: `no such file or directory`.
    pub(crate) why: String,
    /// A command or an argument that mends it on this host.
    pub(crate) fix: Option<String>,
}

impl Error {
    pub(crate) fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Error { kind: Kind::Failed, what: what.into(), why: why.into(), fix: None }
    }

    /// Of a system call. Too few descriptors, and a full disk, are mended in the same way wherever they
    /// run out.
    pub(crate) fn of_errno(what: impl Into<String>, errno: i32) -> Self {
        let error = Error::new(what, errno_text(errno));
        match errno {
            libc::EMFILE => error.fix("raise the limit of open files: ulimit -n 1024"),
            libc::ENOSPC | libc::EDQUOT => {
                error.fix("free some space: df -h shows where; sbx rm --all and sbx image prune")
            }
            _ => error,
        }
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    pub(crate) fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }
}

impl fmt::Display for Error {
    /// One line, with control characters escaped: names from images and archives end up here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", printable(&self.what), printable(&self.why))?;
        if let Some(fix) = &self.fix {
            write!(f, ". Fix: {}", printable(fix))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Escapes what a terminal would act on; everything printable stays as it is.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// The words of an errno without the number that Rust appends.
pub(crate) fn errno_text(errno: i32) -> String {
    nix::errno::Errno::from_raw(errno).desc().to_lowercase()
}

/// The cause inside an `io::Error`, in the words of [`errno_text`].
pub(crate) fn io_text(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => errno_text(errno),
        None => error.to_string(),
    }
}

/// Turns a foreign error into an [`Error`] by saying what was being done.
pub(crate) trait Context<T> {
    fn what<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T>;
}

impl<T> Context<T> for std::io::Result<T> {
    fn what<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|e| match e.raw_os_error() {
            Some(errno) => Error::of_errno(what(), errno),
            None => Error::new(what(), e.to_string()),
        })
    }
}

impl<T> Context<T> for rustix::io::Result<T> {
    fn what<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|e| Error::of_errno(what(), e.raw_os_error()))
    }
}

impl<T> Context<T> for nix::Result<T> {
    fn what<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|e| Error::of_errno(what(), e as i32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_why_and_fix_on_one_line() {
        let error = Error::new("cannot open /a", "permission denied").fix("chmod +r /a");
        assert_eq!(error.to_string(), "cannot open /a: permission denied. Fix: chmod +r /a");
    }

    #[test]
    fn escapes_terminal_controls() {
        let error = Error::new("cannot open \x1b]0;x\x07", "no");
        assert_eq!(error.to_string(), "cannot open \\u{1b}]0;x\\u{7}: no");
    }
}
