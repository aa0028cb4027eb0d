//! Arguments of system calls, as numbers and by the names that filters look at.

/// From `include/linux/socket.h`, `include/uapi/linux/sched.h`, `personality.h` and
/// `include/uapi/asm-generic/ioctls.h`.
const NAMES: &[(&str, u64)] = &[
    ("AF_UNSPEC", 0),
    ("AF_UNIX", 1),
    ("AF_INET", 2),
    ("AF_AX25", 3),
    ("AF_IPX", 4),
    ("AF_APPLETALK", 5),
    ("AF_X25", 9),
    ("AF_INET6", 10),
    ("AF_KEY", 15),
    ("AF_NETLINK", 16),
    ("AF_PACKET", 17),
    ("AF_RDS", 21),
    ("AF_PPPOX", 24),
    ("AF_CAN", 29),
    ("AF_TIPC", 30),
    ("AF_BLUETOOTH", 31),
    ("AF_RXRPC", 33),
    ("AF_ALG", 38),
    ("AF_NFC", 39),
    ("AF_VSOCK", 40),
    ("AF_KCM", 41),
    ("AF_QIPCRTR", 42),
    ("AF_SMC", 43),
    ("AF_XDP", 44),
    ("SOCK_STREAM", 1),
    ("SOCK_DGRAM", 2),
    ("SOCK_RAW", 3),
    ("SOCK_SEQPACKET", 5),
    ("NETLINK_ROUTE", 0),
    ("NETLINK_AUDIT", 9),
    ("SIGCHLD", 17),
    ("CLONE_VM", 0x100),
    ("CLONE_FS", 0x200),
    ("CLONE_FILES", 0x400),
    ("CLONE_SIGHAND", 0x800),
    ("CLONE_VFORK", 0x4000),
    ("CLONE_THREAD", 0x1_0000),
    ("CLONE_NEWNS", 0x2_0000),
    ("CLONE_SYSVSEM", 0x4_0000),
    ("CLONE_NEWCGROUP", 0x200_0000),
    ("CLONE_NEWUTS", 0x400_0000),
    ("CLONE_NEWIPC", 0x800_0000),
    ("CLONE_NEWUSER", 0x1000_0000),
    ("CLONE_NEWPID", 0x2000_0000),
    ("CLONE_NEWNET", 0x4000_0000),
    ("CLONE_NEWTIME", 0x80),
    ("TIOCSTI", 0x5412),
    ("TIOCLINUX", 0x541c),
    ("TCGETS", 0x5401),
    ("TIOCGWINSZ", 0x5413),
    ("PER_LINUX", 0),
    ("PER_LINUX32", 8),
    ("UNAME26", 0x2_0000),
    ("ADDR_NO_RANDOMIZE", 0x4_0000),
    ("READ_IMPLIES_EXEC", 0x40_0000),
];

/// A number (decimal, `0x`, or octal with a leading zero), a name, or several with `|`. Calls of
/// 32-bit programs have `narrow` arguments.
pub(super) fn parse(word: &str, narrow: bool) -> Result<u64, String> {
    let all = word.split('|').map(|part| one(part, narrow));
    all.reduce(|a, b| Ok(a? | b?)).unwrap_or_else(|| one("", narrow))
}

fn one(word: &str, narrow: bool) -> Result<u64, String> {
    let value = match word.strip_prefix('-') {
        Some(digits) => {
            i64::try_from(number(digits).unwrap_or(u64::MAX)).ok().map(|n| (-n).cast_unsigned())
        }
        None => number(word).or_else(|| NAMES.iter().find(|(n, _)| *n == word).map(|(_, v)| *v)),
    };
    let value = value.ok_or_else(|| {
        format!("`{word}` is neither a number nor a name that is known here, such as AF_INET or CLONE_NEWUSER")
    })?;
    match u32::try_from(value) {
        Err(_) if narrow && !word.starts_with('-') => {
            Err(format!("`{word}` does not fit: 32-bit calls have arguments of 32 bits"))
        }
        _ if narrow => Ok(value & 0xffff_ffff),
        _ => Ok(value),
    }
}

fn number(word: &str) -> Option<u64> {
    let digits = word.replace('_', "");
    let begins = word.starts_with(|c: char| c.is_ascii_digit());
    let (digits, radix) = match &digits {
        d if d.starts_with("0x") => (&d[2..], 16),
        d if d.len() > 1 && d.starts_with('0') => (&d[1..], 8),
        d => (&d[..], 10),
    };
    u64::from_str_radix(digits, radix).ok().filter(|_| begins)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn numbers_names_and_both() {
        for (word, value) in [
            ("0", 0),
            ("10", 10),
            ("010", 8),
            ("0x1_0000_0000", 1 << 32),
            ("-1", u64::MAX),
            ("AF_ALG", 38),
            ("CLONE_NEWUSER|CLONE_NEWNET|17", 0x5000_0011),
        ] {
            assert_eq!(parse(word, false), Ok(value), "{word}");
        }
        assert_eq!(parse("-1", true), Ok(0xffff_ffff));
        assert!(parse("0x100000000", true).is_err());
        for word in ["", "AF_NONE", "1|", "0x", "+1", "1e3", "--1", "_1"] {
            assert!(parse(word, false).is_err(), "{word}");
        }
    }
}
