//! `sbx run`: the stages in order.

use std::path::PathBuf;

use crate::cli::registry::Pull;
use crate::cli::run::RunArgs;
use crate::config::{self, ConfigFile, MountKind, Request, Root};
use crate::error::{Context, Result};
use crate::host::dirs::Dirs;
use crate::host::{HostFacts, apparmor};
use crate::image::platform::Platform;
use crate::image::{Image, view};
use crate::launch::timings::Timings;
use crate::launch::{spawn, supervise};
use crate::plan::{self, Backend, Inputs, Plan, RootFiles, RootPlan};
use crate::profile::Profile;
use crate::stage::memory::Memory;
use crate::stage::{
    Steps, Unwind, devices, files, fuse, mounts, process, root, scratch, stdio, volumes,
};
use crate::state::Container;
use crate::sys;
use crate::userns::idmap;

pub(crate) fn run(args: &RunArgs) -> Result<u8> {
    // Before anything is opened, or a descriptor of our own could be taken for one to pass on.
    stdio::check_preserved(args.preserve_fds.unwrap_or(0))?;
    let mut timings = Timings::new();
    let dirs = Dirs::from_env()?;
    let file = ConfigFile::read(&dirs)?;
    let mut profile = Profile::load(&config::profiles(args, &file), &dirs)?;
    let mut request = Request::new(args, &file, &profile)?;
    let facts = HostFacts::read(&dirs.data)?;
    if let Some(choice) = &request.security.seccomp {
        profile = profile.with_seccomp(choice, &dirs)?;
    }
    settle_apparmor(&mut request)?;
    timings.mark("arguments and profile");
    let when = args.pull.unwrap_or(Pull::Missing);
    let platform = args.platform.as_deref().map(Platform::parse).transpose()?;
    let image = match &request.root {
        Root::Image(name) => {
            Some(super::pull::for_run(name, when, platform.as_ref(), &dirs, &file)?)
        }
        _ => None,
    };
    if let Some(image) = image.as_ref().filter(|_| platform.is_none()) {
        super::pull::warn_of_platform(image);
    }
    if let Some(image) = &image {
        request.add_image_volumes(&image.config)?;
    }
    let mounted = request.mounts.iter().filter_map(|m| match &m.kind {
        MountKind::Image(name) => Some(super::pull::for_run(name, when, None, &dirs, &file)),
        _ => None,
    });
    let mounted = mounted.collect::<Result<Vec<_>>>()?;
    let root_files = root_files(&request.root, image.as_ref());
    let mut plan = plan::make(&Inputs {
        request: &request,
        profile: &profile,
        image: image.as_ref(),
        mounted: &mounted,
        root_files: &root_files,
        facts: &facts,
        dirs: &dirs,
        id: new_id()?,
    })?;
    timings.mark("plan");
    for lost in &plan.host.lost {
        eprintln!("sbx: warning: left out {}", crate::error::printable(lost));
    }
    if args.explain {
        super::output::print(&plan::explain(&plan, &request, &profile, args.json))?;
        return Ok(0);
    }
    execute(&mut plan, &dirs, &facts, timings, args.timings)
}

/// A label that this host has not is an error, or where the profile can do without, left out and named.
fn settle_apparmor(request: &mut Request) -> Result<()> {
    let Some(wanted) = &request.apparmor else { return Ok(()) };
    match apparmor::check(&wanted.value.label) {
        Err(e) if wanted.value.best_effort => {
            eprintln!("sbx: warning: left out, as the profile allows: {e}");
            request.apparmor = None;
            Ok(())
        }
        other => other,
    }
}

fn execute(
    plan: &mut Plan,
    dirs: &Dirs,
    facts: &HostFacts,
    mut timings: Timings,
    show_timings: bool,
) -> Result<u8> {
    spawn::block_signals()?;
    let mut unwind = Unwind::default();
    let mut steps = Steps::default();

    let (mut scratch, mut server) = (None, None);
    if scratch::needed(plan) {
        // Changes are written with the ids of the sandbox's map; a server writes with the store's.
        let store_map = store_map(facts)?;
        let made = scratch::make(plan, dirs, &store_map, &mut unwind)?;
        if let RootPlan::Overlay { lowers, backend: Backend::FuseOverlayfs, .. } = &plan.host.root {
            server = Some(fuse::start(plan, lowers, &made, &store_map)?);
        }
        scratch = Some(made);
    }
    if !plan.host.volumes.is_empty() {
        // Where they lie was planned; that they are there, and which directory each is, is known now.
        let shown = volumes::hold(plan, dirs, &store_map(facts)?, &mut unwind)?;
        plan.host.pinned.extend(shown);
    }
    let plan = &*plan;

    process::begin(&mut steps, plan)?;
    let early_root = root::before_map(&mut steps, plan)?;
    let host_entries = root::host_entries(&mut steps, plan)?;
    let early = mounts::before_map(&mut steps, plan)?;
    let nodes = devices::before_pivot(&mut steps, plan)?;
    // All of that went on while newuidmap and newgidmap were running.
    process::mapped(&mut steps, plan);
    let mut memory = Memory::new(&mut steps)?;
    let socket = server.as_ref().and_then(fuse::Server::socket);
    let new_root =
        root::before_pivot(&mut steps, plan, early_root, scratch.as_ref(), socket, &mut memory)?;
    let made = mounts::before_pivot(&mut steps, plan, &mut memory, scratch.as_ref(), early)?;
    let empty = mounts::empty(&mut steps, &mut memory)?;
    let supplied = files::before_pivot(&mut steps, plan, &mut memory)?;
    // From here on nothing of the host can be reached by a path.
    let pivot = sbx_child::Op::PivotRoot { root: new_root.slot, own: new_root.own };
    steps.push(pivot, "cannot change to the new root");
    root::fill_host(&mut steps, plan, new_root, &host_entries)?;
    let pts = mounts::attach(&mut steps, plan, new_root, &made, empty)?;
    devices::attach(&mut steps, new_root, &nodes)?;
    files::attach(&mut steps, plan, new_root, &supplied)?;
    mounts::restrict(&mut steps, plan, new_root, nodes.null(), empty)?;
    let mut stdio = stdio::prepare(&mut steps, plan)?;
    if let (Some(socket), Some(pts)) = (stdio.terminal_socket(), pts) {
        devices::terminal(&mut steps, new_root, pts, socket, stdio::window_size())?;
    }
    process::workdir(&mut steps, plan, new_root)?;
    root::seal(&mut steps, plan, new_root);
    process::finish(&mut steps, plan)?;

    if show_timings {
        timings.cells = sys::shared_cells(steps.ops.len());
    }
    let mut record = record(plan);
    if let (Some(record), Some(scratch)) = (&record, &scratch) {
        record.write(scratch.dir())?;
    }
    let started = spawn::spawn(plan, &steps, &mut stdio, &mut timings);
    if let Some(server) = &mut server {
        server.handed_over();
    }
    let ended = started.and_then(|mut running| {
        write_pidfile(plan, &running)?;
        let helper = server.as_mut().map(|s| s as &mut dyn supervise::Helper);
        supervise::supervise(plan, &mut running, stdio, helper)
    });
    // Where the root's server died, that is the cause of whatever the child met.
    let ended = match (ended, server) {
        (Err(e), Some(mut server)) => Err(server.cause().unwrap_or(e)),
        (ended, _) => ended,
    };
    if let (Ok(ended), Some(record), Some(scratch)) = (&ended, &mut record, &scratch) {
        scratch.keep();
        record.exit_code = Some(ended.exit_code());
        // The command's exit code is worth more than the record of it.
        if let Err(e) = record.write(scratch.dir()) {
            eprintln!("sbx: {e}");
        }
    }
    timings.mark("command");
    let failures = unwind.release();
    timings.mark("clean-up");
    if show_timings {
        eprint!("{}", timings.render(&steps.about));
    }
    let ended = ended?;
    for failure in failures {
        eprintln!("sbx: {failure}");
    }
    Ok(ended.exit_code())
}

fn store_map(facts: &HostFacts) -> Result<idmap::IdMap> {
    idmap::for_store(&facts.caller, &facts.subids)
}

/// What is written down of a container that is kept.
fn record(plan: &Plan) -> Option<Container> {
    let RootPlan::Overlay { image: Some(image), lowers, .. } = &plan.host.root else { return None };
    let args = plan.spec.process().as_ref().and_then(|p| p.args().as_ref());
    let command = args.map(Vec::as_slice).unwrap_or_default();
    let mounts = plan.spec.mounts().iter().flatten().map(|m| m.destination().clone());
    let mounts = mounts.chain(plan.host.files.iter().map(|file| file.path.clone()));
    let volumes = plan.host.volumes.iter().filter_map(|v| Some(v.name.as_ref()?.to_string()));
    (!plan.host.remove).then(|| {
        let mut container = Container::new(&plan.host.id, image, command, mounts.collect());
        container.volumes.extend(volumes);
        container.layers = lowers.iter().skip(1).cloned().collect();
        container
    })
}

/// What the root says about users.
fn root_files(root: &Root, image: Option<&Image>) -> RootFiles {
    let directory;
    let lowers: &[PathBuf] = match (root, image) {
        (Root::Host, _) => {
            let read = |path| Ok(std::fs::read_to_string(path).unwrap_or_default());
            return RootFiles { passwd: read("/etc/passwd"), group: read("/etc/group") };
        }
        (Root::Directory { dir, .. }, _) => {
            directory = dir.path().to_owned();
            std::slice::from_ref(&directory)
        }
        (Root::Image(_), Some(image)) => &image.layers,
        (Root::Image(_), None) => &[],
    };
    RootFiles { passwd: view::read(lowers, "etc/passwd"), group: view::read(lowers, "etc/group") }
}

/// 32 random bytes in hexadecimal, as podman and docker name containers.
fn new_id() -> Result<String> {
    let mut bytes = [0u8; 32];
    let flags = rustix::rand::GetRandomFlags::empty();
    rustix::rand::getrandom(&mut bytes, flags).what(|| "cannot get random bytes")?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

fn write_pidfile(plan: &Plan, running: &spawn::Running) -> Result<()> {
    // A command that has ended already has no number any more.
    let Some((path, pid)) = plan.host.pidfile.as_ref().zip(running.first_inside(plan)) else {
        return Ok(());
    };
    std::fs::write(path, format!("{pid}\n"))
        .what(|| format!("cannot write --pidfile {}", path.display()))
}
