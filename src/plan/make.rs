//! Request, profile, image and host facts become a [`Plan`].

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use oci_spec::runtime::{
    Capabilities, LinuxBuilder, LinuxCapabilitiesBuilder, LinuxIdMapping, LinuxIdMappingBuilder,
    LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType, PosixRlimit, PosixRlimitBuilder,
    PosixRlimitType, ProcessBuilder, RootBuilder, Spec, SpecBuilder, UserBuilder,
};

use super::own::Power;
use super::users::{self, Resolved, RootFiles};
use super::{
    Backend, HostEntry, HostPlan, Keyring, Plan, RootPlan, command, files, images, mounts, userns,
    volumes,
};
use crate::cli::run::{Storage, Upper};
use crate::config::{Id, Keep, Network, Request, Root, UserSpec, Userns};
use crate::error::{Context, Error, Result};
use crate::host::HostFacts;
use crate::host::dirs::{self, Dirs};
use crate::image::Image;
use crate::image::platform::Platform;
use crate::profile::Profile;
use crate::userns::idmap::{IdMap, Range};

/// Everything a plan is made from.
pub(crate) struct Inputs<'a> {
    pub(crate) request: &'a Request,
    pub(crate) profile: &'a Profile,
    pub(crate) image: Option<&'a Image>,
    /// Those that are mounted beside the root, in the order of the request.
    pub(crate) mounted: &'a [Image],
    pub(crate) root_files: &'a RootFiles,
    pub(crate) facts: &'a HostFacts,
    pub(crate) dirs: &'a Dirs,
    pub(crate) id: String,
}

pub(crate) fn make(inputs: &Inputs<'_>) -> Result<Plan> {
    let Inputs { request, profile, image, root_files, dirs, id, .. } = inputs;
    let id = id.clone();
    let image_config = image.map(|i| &i.config);
    let user = user(inputs)?;
    let mut groups = user.groups.clone();
    for group in &request.groups {
        groups.push(users::group_id(group, root_files)?);
    }
    let idmap = idmap(inputs, &user, &groups)?;
    check_mapped(&idmap, &user, &groups)?;
    if !groups.is_empty() && matches!(idmap, IdMap::Single { .. }) {
        return Err(Error::new(
            "cannot set supplementary groups",
            "a map of one id denies setgroups (user_namespaces(7))",
        )
        .fix("leave --group-add out, or add subordinate ids: see sbx doctor"));
    }

    let hostname = request.hostname.clone().unwrap_or_else(|| id[..12].to_owned());
    let home = user.home.clone().unwrap_or_else(|| "/".to_owned());
    let caps =
        super::caps::granted(profile.settings.capabilities, &request.cap_add, &request.cap_drop)?;
    let args = command::args(request, image_config)?;
    let env = command::env(request, image_config, &home, &hostname);
    let image_workdir = image_config
        .and_then(|i| i.config().as_ref())
        .and_then(|c| c.working_dir().clone())
        .filter(|d| !d.is_empty());
    let workdir = match (&request.workdir, &image_workdir) {
        (Some(dir), _) => dir.clone(),
        (None, Some(dir)) => Path::new("/").join(dir),
        (None, None) => PathBuf::from("/"),
    };

    let set = super::caps::to_oci(caps);
    let none = Capabilities::new();
    let mut process = ProcessBuilder::default()
        .terminal(request.tty)
        .user(
            UserBuilder::default()
                .uid(user.uid)
                .gid(user.gid)
                .umask(request.umask)
                .additional_gids(groups)
                .build()
                .map_err(internal)?,
        )
        .args(args)
        .env(env)
        .cwd(workdir)
        .capabilities(
            LinuxCapabilitiesBuilder::default()
                .bounding(set.clone())
                .effective(if user.uid == 0 { set.clone() } else { none.clone() })
                .permitted(if user.uid == 0 { set } else { none.clone() })
                .inheritable(none.clone())
                .ambient(none.clone())
                .build()
                .map_err(internal)?,
        )
        .rlimits(rlimits(request, profile)?)
        .no_new_privileges(
            request.security.no_new_privileges.unwrap_or(profile.settings.no_new_privileges),
        )
        .build()
        .map_err(internal)?;
    process.set_apparmor_profile(request.apparmor.as_ref().map(|a| a.value.label.clone()));

    let (masked, readonly) = paths(request, profile);
    let linux = LinuxBuilder::default()
        .uid_mappings(mappings(idmap.uids())?)
        .gid_mappings(mappings(idmap.gids())?)
        .namespaces(namespaces(request, &idmap)?)
        .sysctl(request.sysctls.iter().cloned().collect::<std::collections::HashMap<_, _>>())
        .masked_paths(masked)
        .readonly_paths(readonly)
        .build()
        .map_err(internal)?;

    let root = root(inputs, &idmap)?;
    let remove = request.keep == Keep::Remove || !matches!(request.root, Root::Image(_));
    let volumes = volumes::all(&request.mounts, &dirs::container(dirs, &id, remove), dirs);
    let filter = profile.filter(caps, dirs)?;
    let power = Power { caps, filter: &filter, map: &idmap };
    let mounts = mounts::all(request, &volumes, &idmap, &user, &home, dirs, &power)?;
    let spec: Spec = SpecBuilder::default()
        .version("1.2.0")
        .process(process)
        .root(
            RootBuilder::default()
                .path(root_path(&root))
                .readonly(request.read_only.value || request.root == Root::Host)
                .build()
                .map_err(internal)?,
        )
        .hostname(hostname.clone())
        .mounts(mounts.list)
        .linux(linux)
        .build()
        .map_err(internal)?;

    let (landlock, lost) = super::landlock::make(request, profile, inputs.facts.landlock_abi)?;
    let image_mounts = images::all(&request.mounts, inputs.mounted, inputs.facts, &idmap)?;
    let keyring = if filter.allows_keyctl { Keyring::Own } else { Keyring::Denied };
    let image_signal = image_config
        .and_then(|i| i.config().as_ref())
        .and_then(|c| c.stop_signal().clone())
        .and_then(|s| s.parse().ok());
    Ok(Plan {
        spec,
        host: HostPlan {
            id,
            idmap,
            root,
            foreign: image_config.and_then(Platform::of).filter(|is| !Platform::host().takes(is)),
            remove,
            filter,
            landlock,
            lost: lost.into_iter().collect(),
            keyring,
            pinned: mounts.pinned,
            covers: mounts.covers,
            image_mounts,
            volumes,
            files: files::supplied(request, &hostname)?,
            keep_groups: request.keep_groups,
            init: request.init.value,
            interactive: request.interactive,
            timeout: request.timeout.value,
            stop_signal: request.stop_signal.or(image_signal).unwrap_or(Signal::SIGTERM),
            stop_timeout: request.stop_timeout,
            preserve_fds: request.preserve_fds,
            pidfile: request.pidfile.clone(),
        },
    })
}

/// The builders of oci-spec fail on a missing mandatory field only.
#[allow(clippy::needless_pass_by_value, reason = "the signature that map_err calls")]
fn internal(e: oci_spec::OciSpecError) -> Error {
    Error::new("cannot build the runtime configuration", e.to_string())
}

fn user(inputs: &Inputs<'_>) -> Result<Resolved> {
    let Inputs { request, image, root_files, facts, .. } = inputs;
    if let Some(spec) = &request.user {
        return users::resolve(spec, root_files);
    }
    let image_user = image
        .and_then(|i| i.config.config().as_ref())
        .and_then(|c| c.user().clone())
        .filter(|u| !u.is_empty());
    if let Some(text) = image_user {
        return users::resolve(&UserSpec::parse(&text, "the image's USER")?, root_files);
    }
    let numbers = |uid, gid| UserSpec { user: Id::Number(uid), group: Some(Id::Number(gid)) };
    let spec = match &request.userns.value {
        Userns::KeepId { uid, gid } => {
            numbers(uid.unwrap_or(facts.caller.uid), gid.unwrap_or(facts.caller.gid))
        }
        Userns::Host => numbers(facts.caller.uid, facts.caller.gid),
        _ => numbers(0, 0),
    };
    users::resolve(&spec, root_files)
}

fn idmap(inputs: &Inputs<'_>, user: &Resolved, groups: &[u32]) -> Result<IdMap> {
    let Inputs { request, facts, .. } = inputs;
    let mode = &request.userns.value;
    // The host's own files carry ids that no map of an unprivileged user reaches, so that one id is
    // as good as 65536 there, and needs no helper.
    let narrow =
        userns::resolve(mode, &facts.caller, &crate::userns::idmap::single(&facts.caller), false)
            .ok();
    let enough = narrow
        .as_ref()
        .is_some_and(|map| map.maps_uid(user.uid) && map.maps_gid(user.gid) && groups.is_empty());
    if request.root == Root::Host && enough {
        return narrow.ok_or_else(|| Error::new("cannot map ids", "no map"));
    }
    // Ids that the caller has and no helper to map them with: layers that were unpacked with them
    // would show the wrong owners.
    if !facts.subids.uids.is_empty()
        && let Some(e) = crate::userns::idmap::lack(&facts.caller, &facts.subids)
    {
        return Err(e);
    }
    let store = crate::userns::idmap::for_store(&facts.caller, &facts.subids)?;
    userns::resolve(mode, &facts.caller, &store, true)
}

/// A name for an id that has none inside cannot be had: the kernel answers EINVAL.
fn check_mapped(map: &IdMap, user: &Resolved, groups: &[u32]) -> Result<()> {
    let missing = (!map.maps_uid(user.uid))
        .then_some(("user", user.uid))
        .or_else(|| (!map.maps_gid(user.gid)).then_some(("group", user.gid)))
        .or_else(|| groups.iter().find(|g| !map.maps_gid(**g)).map(|g| ("group", *g)));
    match missing {
        None => Ok(()),
        Some((kind, id)) => Err(Error::new(
            format!("cannot run with {kind} id {id}"),
            format!("the id map of this sandbox has no {kind} {id}"),
        )
        .fix("use an id inside the map (sbx run --explain shows it), or add subordinate ids: see sbx doctor")),
    }
}

fn rlimits(request: &Request, profile: &Profile) -> Result<Vec<PosixRlimit>> {
    let unlimited = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    let own = |kind| request.ulimits.iter().any(|u| u.kind == kind);
    profile
        .settings
        .limits
        .iter()
        .filter(|limit| !own(limit.kind))
        .chain(&request.ulimits)
        .map(|limit| {
            let quoted = format!("\"RLIMIT_{}\"", limit.kind.name().to_ascii_uppercase());
            let kind: PosixRlimitType = serde_json::from_str(&quoted)
                .map_err(|e| Error::new(format!("limit {quoted}"), e.to_string()))?;
            PosixRlimitBuilder::default()
                .typ(kind)
                .soft(unlimited(limit.soft))
                .hard(unlimited(limit.hard))
                .build()
                .map_err(internal)
        })
        .collect()
}

fn paths(request: &Request, profile: &Profile) -> (Vec<String>, Vec<String>) {
    if request.security.unmask_all {
        return (request.security.mask.clone(), Vec::new());
    }
    let shown = |p: &String| !request.security.unmask.contains(p);
    let masked = profile.settings.masked.iter().filter(|p| shown(p));
    let masked = masked.chain(&request.security.mask).cloned().collect();
    let readonly = profile.settings.read_only.iter().filter(|p| shown(p)).cloned().collect();
    (masked, readonly)
}

fn mappings(ranges: &[Range]) -> Result<Vec<LinuxIdMapping>> {
    ranges
        .iter()
        .map(|r| {
            LinuxIdMappingBuilder::default()
                .container_id(r.inside)
                .host_id(r.outside)
                .size(r.len)
                .build()
                .map_err(internal)
        })
        .collect()
}

fn namespaces(request: &Request, map: &IdMap) -> Result<Vec<LinuxNamespace>> {
    use LinuxNamespaceType::{Cgroup, Ipc, Mount, Network as Net, Pid, User, Uts};
    let mut kinds = vec![Mount, Pid, Ipc, Uts, Cgroup];
    if *map != IdMap::Inherit {
        kinds.push(User);
    }
    if request.network.value == Network::None {
        kinds.push(Net);
    }
    kinds
        .into_iter()
        .map(|kind| LinuxNamespaceBuilder::default().typ(kind).build().map_err(internal))
        .collect()
}

fn root(inputs: &Inputs<'_>, map: &IdMap) -> Result<RootPlan> {
    let Inputs { request, image, facts, .. } = inputs;
    match (&request.root, image) {
        (Root::Host, _) => Ok(RootPlan::Host(host_entries()?)),
        (Root::Directory { dir, overlay: false }, _) => {
            Ok(RootPlan::Directory(dir.path().to_owned()))
        }
        (Root::Directory { dir, .. }, _) => {
            let lowers = vec![dir.path().to_owned()];
            let backend = backend(request, facts, &lowers, false)?;
            Ok(RootPlan::Overlay { lowers, backend, image: None })
        }
        (Root::Image(_), Some(image)) => {
            // Layers hold the ids of the store's map. Another map shows them shifted, which only a
            // server in the store's own namespace can undo without copying every file.
            let store = crate::userns::idmap::for_store(&facts.caller, &facts.subids)?;
            let shifted = *map != store;
            let lowers = [&image.mountpoints].into_iter().chain(&image.layers);
            Ok(RootPlan::Overlay {
                lowers: lowers.cloned().collect(),
                backend: backend(request, facts, &image.layers, shifted)?,
                image: Some(format!("{} {}", image.name, image.digest.as_str())),
            })
        }
        (Root::Image(name), None) => Err(Error::new(format!("cannot run {name}"), "no such image")),
    }
}

fn backend(
    request: &Request,
    facts: &HostFacts,
    lowers: &[PathBuf],
    shifted: bool,
) -> Result<Backend> {
    let native = if shifted {
        Err("the kernel's overlay cannot show an image's ids through another id map".to_owned())
    } else {
        facts.native_overlay.clone()
    };
    if request.upper.value == Upper::Tmpfs {
        return in_memory(request, lowers, native);
    }
    match (request.storage.value, native) {
        (Some(Storage::FuseOverlayfs), _) | (None, Err(_)) => Ok(Backend::FuseOverlayfs),
        (Some(Storage::Native) | None, Ok(())) => Ok(Backend::Native),
        (Some(Storage::Native), Err(why)) => {
            Err(Error::new("--storage native", why).fix("--storage fuse-overlayfs"))
        }
    }
}

/// tmpfs(5) has had user extended attributes, which an overlay needs, since Linux 6.6.
fn in_memory(request: &Request, lowers: &[PathBuf], native: Result<(), String>) -> Result<Backend> {
    use std::os::unix::fs::MetadataExt as _;
    let refuse = |why: &str| Err(Error::new("--upper tmpfs", why).fix("--upper disk"));
    let (major, minor) = crate::host::kernel_version();
    if (major, minor) < (6, 6) {
        return refuse("a tmpfs has no user attributes before Linux 6.6");
    }
    if request.storage.value == Some(Storage::FuseOverlayfs) {
        return refuse("fuse-overlayfs writes to disk");
    }
    if let Err(why) = native {
        return refuse(&why);
    }
    if request.keep == Keep::Keep && matches!(request.root, Root::Image(_)) {
        return refuse("what is in memory cannot be kept: it needs --rm");
    }
    let mode = match lowers.last() {
        Some(top) => {
            std::fs::metadata(top).what(|| format!("cannot look at {}", top.display()))?.mode()
        }
        None => 0o755,
    };
    Ok(Backend::Memory { mode: mode & 0o7777 })
}

fn root_path(root: &RootPlan) -> PathBuf {
    match root {
        RootPlan::Host(_) => PathBuf::from("/"),
        RootPlan::Directory(dir) => dir.clone(),
        RootPlan::Overlay { .. } => PathBuf::from("merged"),
    }
}

/// The host's top-level directories that `--host` shows. The kernel's file systems, devices and
/// everything personal or live is left out; what is unreadable is nobody's loss.
fn host_entries() -> Result<Vec<HostEntry>> {
    const HIDDEN: [&str; 9] =
        ["proc", "sys", "dev", "tmp", "run", "home", "root", "lost+found", "boot"];
    let mut out = Vec::new();
    for entry in std::fs::read_dir("/").what(|| "cannot list /")? {
        let entry = entry.what(|| "cannot list /")?;
        if HIDDEN.iter().any(|h| entry.file_name() == *h) {
            continue;
        }
        let kind =
            entry.file_type().what(|| format!("cannot look at {}", entry.path().display()))?;
        if kind.is_dir() {
            out.push(HostEntry::Directory(entry.path()));
        } else if kind.is_symlink() {
            let text = std::fs::read_link(entry.path())
                .what(|| format!("cannot read link {}", entry.path().display()))?;
            out.push(HostEntry::Symlink { path: entry.path(), text });
        }
    }
    Ok(out)
}
