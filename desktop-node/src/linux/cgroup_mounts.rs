//! Where this process stands in the system's cgroup hierarchies.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Directories of the cgroups that this process is in, where they are mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// The unified hierarchy.
    pub unified: Option<PathBuf>,
    /// The memory controller of version 1.
    pub memory_v1: Option<PathBuf>,
    /// The processor controller of version 1.
    pub cpu_v1: Option<PathBuf>,
}

impl Places {
    /// Reads where we are; what is not mounted or not visible is absent.
    pub(super) fn read() -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let existing = |place: PathBuf| place.is_dir().then_some(place);
        let found = Self::parse(&mounts, &own);
        Self {
            unified: found.unified.and_then(existing),
            memory_v1: found.memory_v1.and_then(existing),
            cpu_v1: found.cpu_v1.and_then(existing),
        }
    }

    fn parse(mounts: &str, own: &str) -> Self {
        let place = |controller: &str| {
            let mount = mount_point(mounts, controller)?;
            let path = own_path(own, controller)?;
            Some(Path::new(mount).join(path.trim_start_matches('/')))
        };
        Self { unified: place(""), memory_v1: place("memory"), cpu_v1: place("cpu") }
    }
}

/// Mount point of a version 1 controller, or of the unified hierarchy for the empty name.
fn mount_point<'a>(mounts: &'a str, controller: &str) -> Option<&'a str> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
        let found = match (kind, controller) {
            ("cgroup2", "") => true,
            ("cgroup", name) if !name.is_empty() => options.split(',').any(|option| option == name),
            _ => false,
        };
        found.then_some(point)
    })
}

/// Our path in the hierarchy of a controller, as `/proc/self/cgroup` has it: `id:controllers:path`.
fn own_path<'a>(own: &'a str, controller: &str) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers.split(',').any(|name| name == controller).then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_with_both_versions_is_understood() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
            cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n\
            cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n\
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n";
        let own = "4:memory:/jobs/a:b\n1:cpu,cpuacct:/\n0::/user\n";
        let places = Places::parse(mounts, own);
        assert_eq!(places.unified, Some("/sys/fs/cgroup/unified/user".into()));
        assert_eq!(places.memory_v1, Some("/sys/fs/cgroup/memory/jobs/a:b".into()));
        assert_eq!(places.cpu_v1, Some("/sys/fs/cgroup/cpu,cpuacct/".into()));
    }
}
