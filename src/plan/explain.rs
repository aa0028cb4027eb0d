//! `sbx run --explain`: the plan with the source of each value.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Backend, Keyring, LandlockPlan, Plan, RootPlan};
use crate::config::{MountKind, Request, Root, Source, Volume};
use crate::profile::Profile;
use crate::userns::idmap::IdMap;

/// Rows of setting, value and source.
fn rows(plan: &Plan, request: &Request, profile: &Profile) -> Vec<(String, String, String)> {
    let mut rows: Vec<(String, String, String)> = Vec::new();
    let mut row = |name: &str, value: String, source: &Source| {
        rows.push((name.to_owned(), value, source.to_string()));
    };
    let default = Source::Default;
    let profile_source = Source::Profile(profile.name.clone());
    let given = |set: bool, flag: &'static str, otherwise: &Source| {
        if set { Source::Flag(flag) } else { otherwise.clone() }
    };
    let image = matches!(request.root, Root::Image(_));
    let from_image = if image { Source::Image } else { Source::Default };

    let (root, source) = match (&plan.host.root, &request.root) {
        (RootPlan::Host(entries), _) => {
            (format!("host, read-only ({} entries)", entries.len()), Source::Flag("--host"))
        }
        (RootPlan::Directory(dir), _) => (dir.display().to_string(), Source::Flag("--rootfs")),
        (RootPlan::Overlay { lowers, image: Some(image), .. }, _) => {
            (format!("image {image} ({} layers)", lowers.len() - 1), Source::Flag("IMAGE"))
        }
        (RootPlan::Overlay { lowers, .. }, _) => {
            (format!("overlay over {}", lowers[0].display()), Source::Flag("--rootfs"))
        }
    };
    row("root", root, &source);
    if let RootPlan::Overlay { backend, .. } = &plan.host.root {
        let name = match backend {
            Backend::Native => "native overlay",
            Backend::FuseOverlayfs => "fuse-overlayfs",
            Backend::Memory { .. } => "native overlay, changes in memory",
        };
        row("storage", name.to_owned(), &request.storage.source);
    }
    let readonly = plan.spec.root().as_ref().and_then(oci_spec::runtime::Root::readonly);
    row("root read-only", readonly.unwrap_or(false).to_string(), &request.read_only.source);
    let map = match &plan.host.idmap {
        IdMap::Inherit => "none (the caller's user namespace)".to_owned(),
        map => {
            let text = |ranges| crate::userns::idmap::lines(ranges).trim_end().replace('\n', ", ");
            format!("uids {} | gids {}", text(map.uids()), text(map.gids()))
        }
    };
    row("id map", format!("{}: {map}", request.userns.value), &request.userns.source);
    if let Some(p) = plan.spec.process() {
        row(
            "command",
            format!("{:?}", p.args().as_deref().unwrap_or_default()),
            &given(!request.command.is_empty(), "COMMAND", &from_image),
        );
        let groups = p.user().additional_gids().clone().unwrap_or_default();
        row(
            "user",
            format!("{}:{} groups {groups:?}", p.user().uid(), p.user().gid()),
            &given(request.user.is_some(), "--user", &from_image),
        );
        row(
            "workdir",
            p.cwd().display().to_string(),
            &given(request.workdir.is_some(), "--workdir", &from_image),
        );
        row("environment", p.env().clone().unwrap_or_default().join(" "), &default);
        row(
            "terminal",
            p.terminal().unwrap_or(false).to_string(),
            &given(request.tty, "--tty", &default),
        );
        let caps = p.capabilities().as_ref().and_then(|c| c.bounding().clone()).unwrap_or_default();
        let mut caps: Vec<String> = caps.iter().map(ToString::to_string).collect();
        caps.sort();
        let source = given(
            !request.cap_add.is_empty() || !request.cap_drop.is_empty(),
            "--cap-add/--cap-drop",
            &profile_source,
        );
        row("capabilities", caps.join(" "), &source);
        row(
            "no new privileges",
            p.no_new_privileges().unwrap_or(false).to_string(),
            &given(request.security.no_new_privileges.is_some(), "--security-opt", &profile_source),
        );
        if let Some((label, wanted)) = p.apparmor_profile().as_ref().zip(request.apparmor.as_ref())
        {
            row("AppArmor label", label.clone(), &wanted.source);
        }
        for limit in p.rlimits().iter().flatten() {
            let own = request.ulimits.iter().any(|u| {
                limit.typ().to_string().eq_ignore_ascii_case(&format!("RLIMIT_{}", u.kind.name()))
            });
            row(
                &limit.typ().to_string(),
                format!("{}:{}", limit.soft(), limit.hard()),
                &given(own, "--ulimit", &profile_source),
            );
        }
    }
    let instructions = plan.host.filter.program.len() / 8;
    row(
        "seccomp",
        if instructions == 0 { "none".into() } else { format!("{instructions} BPF instructions") },
        &given(request.security.seccomp.is_some(), "--security-opt", &profile_source),
    );
    if let Some(landlock) = &plan.host.landlock {
        let LandlockPlan { fs, net, scoped, rules, ports } = landlock;
        let value = format!(
            "rights taken: files {fs:#x}, ports {net:#x}, scopes {scoped:#x}; left at {} paths and {} ports",
            rules.len(),
            ports.len()
        );
        row("landlock", value, &profile_source);
    }
    let keyring = match plan.host.keyring {
        Keyring::Denied => "out of reach (keyctl is denied)",
        Keyring::Own => "its own",
    };
    row("session keyring", keyring.to_owned(), &default);
    row("network", format!("{:?}", request.network.value).to_lowercase(), &request.network.source);
    row("init", plan.host.init.to_string(), &request.init.source);
    if let Some(t) = plan.host.timeout {
        row("timeout", format!("{t:?}"), &request.timeout.source);
    }
    if let Some(linux) = plan.spec.linux() {
        let names = linux.namespaces().iter().flatten().map(|n| n.typ().to_string());
        row("namespaces", names.collect::<Vec<_>>().join(" "), &default);
        let join = |list: &Option<Vec<String>>| list.clone().unwrap_or_default().join(" ");
        row("masked paths", join(linux.masked_paths()), &profile_source);
        row("read-only paths", join(linux.readonly_paths()), &profile_source);
    }
    for mount in plan.spec.mounts().iter().flatten() {
        let asked = request.mounts.iter().find(|m| m.target == *mount.destination());
        let source = match asked.map(|m| &m.kind) {
            Some(MountKind::Volume(Volume { declared: true, .. })) => Source::Image,
            asked => given(asked.is_some(), "--volume/--mount", &default),
        };
        let from = mount.source().as_deref().unwrap_or(std::path::Path::new("")).display();
        let volume = plan.host.volumes.iter().find(|v| v.target == *mount.destination());
        let kind = match volume.map(|v| (&v.name, v.data.is_dir())) {
            Some((Some(name), true)) => format!("volume {name}"),
            Some((Some(name), false)) => format!("volume {name} (new)"),
            Some((None, _)) => "volume of the container's own".to_owned(),
            None if is_image(plan, mount) => "image".to_owned(),
            None => mount.typ().clone().unwrap_or_else(|| "bind".to_owned()),
        };
        let options = mount.options().as_deref().unwrap_or_default().join(",");
        let value = format!("{kind} {from} {options}");
        let name = format!("mount {}", mount.destination().display());
        row(&name, value, &source);
    }
    rows
}

fn is_image(plan: &Plan, mount: &oci_spec::runtime::Mount) -> bool {
    plan.host.image_mounts.iter().any(|i| i.target == *mount.destination())
}

/// As text or as JSON.
pub(crate) fn explain(plan: &Plan, request: &Request, profile: &Profile, as_json: bool) -> String {
    let rows = rows(plan, request, profile);
    if as_json {
        let settings: Vec<Value> = rows
            .iter()
            .map(|(name, value, source)| json!({"setting": name, "value": value, "source": source}))
            .collect();
        let spec = serde_json::to_value(&plan.spec).unwrap_or(Value::Null);
        return format!("{:#}\n", json!({"id": plan.host.id, "settings": settings, "spec": spec}));
    }
    let width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    rows.iter().fold(String::new(), |mut out, (name, value, source)| {
        let _ = writeln!(out, "{name:width$}  {}  [{source}]", crate::error::printable(value));
        out
    })
}
