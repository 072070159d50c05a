//! Memory is asked for before it is used, where there may be too little: what Rust
//! can't allocate ends the process, and what Linux has promised without having it
//! ends it later.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::OnceLock;

use crate::error::{Error, Result};

/// What is asked for without a look at what there is: looking takes longer than
/// small models do.
const SMALL: usize = 64 << 20;

/// What is never given at once, whatever a machine says of itself.
static MOST: AtomicUsize = AtomicUsize::new(1 << 40);

/// Sets how much is given at once at most, for tests.
pub fn set_most(bytes: usize) {
    MOST.store(bytes, Ordering::Relaxed);
}

fn most() -> usize {
    MOST.load(Ordering::Relaxed)
}

/// What memory is for: the path of the layer, empty where it is of none, and words
/// for it, such as `a tensor of shape (2, 3)`.
type What = (String, String);

/// Whether this machine has so much memory, used or not: what is in use may be what
/// is asked for.
///
/// # Errors
/// [`Error::Memory`] where it doesn't.
pub fn check(bytes: usize, what: impl FnOnce() -> What) -> Result<()> {
    static ALL: OnceLock<Option<usize>> = OnceLock::new();
    if bytes <= SMALL {
        return Ok(());
    }
    let all = *ALL.get_or_init(|| room(Room::All));
    match bytes <= all.map_or(most(), |n| n.min(most())) {
        true => Ok(()),
        false => Err(refused(bytes, None, what())),
    }
}

/// Whether `bytes` more can be had now.
///
/// # Errors
/// [`Error::Memory`] where they can't.
pub fn ask(bytes: usize, what: impl FnOnce() -> What) -> Result<()> {
    if bytes <= SMALL {
        return Ok(());
    }
    let available = room(Room::Left);
    match bytes <= available.map_or(most(), |n| n.min(most())) {
        true => Ok(()),
        false => Err(refused(bytes, available, what())),
    }
}

fn refused(bytes: usize, available: Option<usize>, (layer, what): What) -> Error {
    Error::Memory {
        layer,
        what,
        bytes,
        available,
    }
}

/// `n` copies of a value. Where there is no memory for them, it unwinds with the
/// error that [`caught`] gives.
pub fn filled<T: Clone>(value: T, n: usize) -> Vec<T> {
    let mut all = Vec::new();
    let bytes = n.saturating_mul(size_of::<T>());
    let what = || (String::new(), "a buffer".to_string());
    let had = ask(bytes, what).and_then(|()| {
        let reserved = all.try_reserve_exact(n);
        reserved.map_err(|_| refused(bytes, None, what()))
    });
    if let Err(error) = had {
        // It is no defect: the hook for panics has nothing to say of it.
        std::panic::resume_unwind(Box::new(error));
    }
    all.resize(n, value);
    all
}

/// The error of a panic that was caught: a defect, if it is none of [`filled`].
pub fn caught(panic: Box<dyn Any + Send>) -> Error {
    let panic = match panic.downcast::<Error>() {
        Ok(error) => return *error,
        Err(panic) => panic,
    };
    let text = panic.downcast_ref::<&str>().map(|s| s.to_string());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    Error::internal(text.unwrap_or_else(|| "panic".to_string()))
}

/// Bytes of memory.
#[derive(Copy, Clone, PartialEq)]
enum Room {
    /// Those that can still be had.
    Left,
    /// With those in use.
    All,
}

/// How much memory there is, as far as the system tells.
#[cfg(target_os = "linux")]
fn room(which: Room) -> Option<usize> {
    let [memory, swap] = match which {
        Room::Left => ["MemAvailable:", "SwapFree:"],
        Room::All => ["MemTotal:", "SwapTotal:"],
    };
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| {
        let swap = field(&text, swap).unwrap_or(0);
        Some((field(&text, memory)? + swap) << 10)
    });
    let process = read("/proc/self/limits").and_then(|limits| {
        let most = field(&limits, "Max address space")?;
        let used = match which {
            Room::Left => field(&read("/proc/self/status")?, "VmSize:")? << 10,
            Room::All => 0,
        };
        Some(most.saturating_sub(used))
    });
    let groups = read("/proc/self/cgroup");
    let groups = groups.iter().flat_map(|text| text.lines());
    let groups = groups.filter_map(|line| room_of_group(line, which, &read));
    groups.chain(machine).chain(process).min()
}

#[cfg(not(target_os = "linux"))]
fn room(_: Room) -> Option<usize> {
    None
}

/// The number behind a name at the start of a line.
#[cfg(target_os = "linux")]
fn field(text: &str, name: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The limits of the control group of a line of `/proc/self/cgroup`, and of those
/// around it, or what they leave.
#[cfg(target_os = "linux")]
fn room_of_group(line: &str, which: Room, read: &dyn Fn(&str) -> Option<String>) -> Option<usize> {
    let (controllers, mut group) = line.split_once(':')?.1.split_once(':')?;
    let (root, limit, used) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max", "memory.current"),
        c if c.split(',').any(|c| c == "memory") => (
            "/sys/fs/cgroup/memory",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
        ),
        _ => return None,
    };
    let mut least = None;
    loop {
        let folder = format!("{root}{}", group.trim_end_matches('/'));
        let number = |name: &str| read(&format!("{folder}/{name}"))?.trim().parse().ok();
        let room = |limit: usize| {
            if which == Room::All {
                return Some(limit);
            }
            // Pages of files that were read are given back.
            let files = read(&format!("{folder}/memory.stat"));
            let files = files.and_then(|text| field(&text, "inactive_file "));
            let used: usize = number(used)?;
            Some(limit.saturating_sub(used.saturating_sub(files.unwrap_or(0))))
        };
        least = number(limit).and_then(room).into_iter().chain(least).min();
        match group.rsplit_once('/') {
            Some((outer, _)) => group = outer,
            None => return least,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_machine_has_is_refused_with_its_layer() {
        let what = || ("dense".to_string(), "a tensor".to_string());
        assert_eq!(ask(SMALL, what), Ok(()));
        assert_eq!(check(SMALL, what), Ok(()));
        for refused in [ask(most() + 1, what), check(most() + 1, what)] {
            match refused {
                Err(Error::Memory { layer, bytes, .. }) => {
                    assert_eq!((layer.as_str(), bytes), ("dense", most() + 1));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_buffer_too_large_unwinds_with_its_error() {
        for n in [usize::MAX, usize::MAX / 8, most()] {
            let panic = std::panic::catch_unwind(|| filled(0u64, n)).expect_err("too large");
            assert_eq!(caught(panic).kind(), "memory");
        }
        assert_eq!(filled(7u8, 3), [7, 7, 7]);
        assert_eq!(filled(7u8, 0), [0u8; 0]);
    }

    #[test]
    fn other_panics_are_defects() {
        assert_eq!(caught(Box::new("a text")), Error::internal("a text"));
        assert_eq!(caught(Box::new(1)), Error::internal("panic"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn limits_of_groups_are_seen() {
        let files = |path: &str| {
            let text = match path {
                "/sys/fs/cgroup/a/b/memory.max" => "max",
                "/sys/fs/cgroup/a/memory.max" => "1000",
                "/sys/fs/cgroup/a/memory.current" => "700",
                "/sys/fs/cgroup/a/memory.stat" => "anon 5\ninactive_file 100",
                "/sys/fs/cgroup/memory/c/memory.limit_in_bytes" => "50",
                "/sys/fs/cgroup/memory/c/memory.usage_in_bytes" => "60",
                _ => return None,
            };
            Some(format!("{text}\n"))
        };
        assert_eq!(room_of_group("0::/a/b", Room::Left, &files), Some(400));
        assert_eq!(room_of_group("0::/a/b", Room::All, &files), Some(1000));
        assert_eq!(room_of_group("4:memory:/c", Room::Left, &files), Some(0));
        assert_eq!(room_of_group("5:cpu,cpuset:/c", Room::Left, &files), None);
        assert_eq!(room_of_group("0::/", Room::Left, &files), None);
        let (left, all) = (room(Room::Left), room(Room::All));
        assert!(left.is_some_and(|n| n > 0) && left <= all);
    }
}
