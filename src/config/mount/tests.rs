use super::*;

fn vol(text: &str) -> Result<MountRequest> {
    volume(OsStr::new(text), "-v")
}

#[test]
fn binds() {
    let m = vol("/usr:/x:ro,noexec").unwrap();
    assert!(m.readonly && m.noexec && m.nosuid && m.nodev);
    assert_eq!(m.target, Path::new("/x"));
    let m = vol("/usr:/x//y/:O,rslave").unwrap();
    assert_eq!(m.target, Path::new("/x/y"));
    let MountKind::Bind(b) = m.kind else { panic!() };
    assert!(b.overlay && b.propagation == Propagation::Slave);
}

#[test]
fn bad_mounts_are_refused() {
    for text in [
        "usr",
        "/usr:x",
        "/usr:/a/../b",
        "/usr:/",
        "/usr:/dev",
        "/usr:/proc/self/attr",
        "/usr:/sys",
        "/usr:/x:junk",
        "/usr:/x:lowerdir=/",
        "/usr:/x:ro:rw",
        "-name:/x",
        "na me:/x",
        "name:/x:O",
        "name:/x:copy,nocopy",
        ":/x",
        "/x/../y",
        "/nowhere:/x",
        "/etc/passwd:/x:O",
        "/usr:/x:size=1",
    ] {
        assert!(vol(text).is_err(), "{text}");
    }
}

#[test]
fn long_form() {
    let m = long(OsStr::new("type=tmpfs,dst=/t,tmpfs-size=1m,ro")).unwrap();
    assert_eq!(m.kind, MountKind::Tmpfs { size_bytes: Some(1 << 20), mode: None });
    assert!(m.readonly);
    assert!(long(OsStr::new("type=bind,source=/usr")).is_err());
    assert!(long(OsStr::new("type=volume,source=./x,target=/y")).is_err());
    assert!(long(OsStr::new("type=image,target=/y")).is_err());
    let m = long(OsStr::new("type=image,source=x:1,target=/y")).unwrap();
    assert_eq!((m.kind, m.readonly), (MountKind::Image("x:1".to_owned()), true));
    assert!(!long(OsStr::new("type=image,source=x,target=/y,rw=true")).unwrap().readonly);
    assert!(long(OsStr::new("type=image,source=x,target=/y,rw=false")).unwrap().readonly);
}

#[test]
fn a_source_without_a_slash_is_a_volume() {
    let volume = |name: Option<&str>, copy| {
        MountKind::Volume(Volume {
            name: name.map(|n| Name::parse(n).unwrap()),
            copy,
            declared: false,
        })
    };
    let m = vol("data:/x:ro,nocopy").unwrap();
    assert_eq!(m.kind, volume(Some("data"), false));
    assert!(m.readonly && m.nosuid && m.nodev && !m.noexec);
    assert_eq!(vol("/x").unwrap().kind, volume(None, true));
    let m = long(OsStr::new("type=volume,src=data,dst=/x")).unwrap();
    assert_eq!(m.kind, volume(Some("data"), true));
    let m = long(OsStr::new("type=volume,dst=/x,volume-nocopy")).unwrap();
    assert_eq!(m.kind, volume(None, false));
    assert!(matches!(vol(".:/x").unwrap().kind, MountKind::Bind(_)));
}
