//! The parent's side of [`sbx_child::start`].

use std::ffi::CString;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Starts a program with these arguments, a clean environment and nothing but these descriptors; its
/// process number comes back at once. What it is given is leaked: the new process reads it from this
/// one's memory.
pub(crate) fn start(program: &Path, args: &[String], stdio: [RawFd; 3]) -> std::io::Result<i32> {
    let text = |bytes: &[u8]| {
        let text = CString::new(bytes)?;
        Ok::<_, std::io::Error>(text.into_raw().cast_const().cast::<u8>())
    };
    let mut argv = args.iter().map(|a| text(a.as_bytes())).collect::<Result<Vec<_>, _>>()?;
    argv.push(std::ptr::null());
    // Messages are read for their words.
    let envp = vec![text(b"LC_ALL=C")?, std::ptr::null()];
    let what = Box::leak(Box::new(sbx_child::Start {
        path: text(program.as_os_str().as_bytes())?,
        argv: argv.leak(),
        envp: envp.leak(),
        stdio,
    }));
    sbx_child::start(what, super::stack()?)
        .map_err(|errno| std::io::Error::from_raw_os_error(errno.0))
}
