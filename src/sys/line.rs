//! A line on the terminal that goes with the process, also where a signal ends it.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT];

/// While it lives, a signal that ends the process erases the line of standard error first.
pub(crate) struct Line {
    before: Vec<(Signal, SigAction)>,
}

impl Line {
    pub(crate) fn erased_by_signals() -> Self {
        // The second time the signal does what it does by default.
        let flags = SaFlags::SA_RESETHAND;
        let action = SigAction::new(SigHandler::Handler(erase), flags, SigSet::empty());
        let mut before = Vec::new();
        for signal in SIGNALS {
            // SAFETY: the handler makes only calls that signal-safety(7) allows.
            let Ok(old) = (unsafe { sigaction(signal, &action) }) else { continue };
            before.push((signal, old));
            if !matches!(old.handler(), SigHandler::SigDfl) {
                // nohup(1) and shells ignore signals for those whom they start.
                // SAFETY: this was in place before.
                let _ = unsafe { sigaction(signal, &old) };
            }
        }
        Line { before }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        for (signal, old) in &self.before {
            // SAFETY: this was in place before.
            let _ = unsafe { sigaction(*signal, old) };
        }
    }
}

extern "C" fn erase(signal: libc::c_int) {
    const ERASE: &[u8] = b"\r\x1b[K";
    // SAFETY: the bytes are static; write(2) may be called here.
    unsafe { libc::write(libc::STDERR_FILENO, ERASE.as_ptr().cast(), ERASE.len()) };
    // SAFETY: raise(3) may be called here. The signal waits until this returns, and then ends the process.
    unsafe { libc::raise(signal) };
}
