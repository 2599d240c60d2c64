//! Manifests: refused with reasons, or made into a plan in which nothing leaves the store.

use std::collections::BTreeSet;
use std::path::Component;

use sops_activate::manifest::Manifest;
use sops_activate::plan::Plan;

pub fn run(data: &[u8]) {
    for runtime_dir in [None, Some("/run/user/1000")] {
        plan(data, runtime_dir);
    }
}

/// The plan of a manifest, its promises checked.
pub fn plan(data: &[u8], runtime_dir: Option<&str>) -> Option<Plan> {
    let manifest = match Manifest::parse(data) {
        Ok(manifest) => manifest,
        Err(report) => {
            assert!(!report.0.is_empty());
            return None;
        }
    };
    assert!(serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok(), "it is no JSON");
    let plan = match Plan::new(manifest, runtime_dir) {
        Ok(plan) => plan,
        Err(report) => {
            assert!(!report.0.is_empty());
            return None;
        }
    };
    let mut names = BTreeSet::new();
    for target in plan.targets() {
        let name = std::path::Path::new(target.name.as_str());
        assert!(name.components().all(|part| matches!(part, Component::Normal(_))));
        assert!(name.components().count() == target.name.as_str().split('/').count());
        assert!(names.insert(target.name.as_str()), "two files of one name");
        assert!(target.access.mode.0 <= 0o777);
        if let Some(link) = &target.link {
            assert!(link.is_absolute() && link.components().all(|part| part != Component::ParentDir));
        }
    }
    for name in &names {
        let mut parent = *name;
        while let Some((directory, _)) = parent.rsplit_once('/') {
            assert!(!names.contains(directory), "a file in the place of a directory");
            parent = directory;
        }
    }
    for (index, secret) in plan.secrets.iter().enumerate() {
        assert!(plan.files[secret.file].secrets.contains(&index));
    }
    for path in [&plan.store.mount_point, &plan.store.symlink_path] {
        assert!(path.is_absolute() && path.components().all(|part| part != Component::ParentDir));
    }
    Some(plan)
}
