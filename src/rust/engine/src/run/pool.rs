//! The engine's threads.
//!
//! A rayon pool does not survive `fork()`: its threads are not in the child.
//! So the pool goes with its process id, and a child makes one of its own (the
//! old one is leaked, since joining its threads would hang).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use rayon::{ThreadPool, ThreadPoolBuilder};

static THREADS: AtomicUsize = AtomicUsize::new(0);
static CORES: AtomicUsize = AtomicUsize::new(0);

/// A pool with the process and the number of threads it was made for.
type Held = (u32, usize, &'static ThreadPool);

static POOLS: Mutex<Vec<Held>> = Mutex::new(Vec::new());

/// Sets the number of threads of runs that start from now on; 0 is one per core.
pub fn set_threads(n: usize) {
    THREADS.store(n, Ordering::Relaxed);
}

/// Sets how many cores there are for this process; 0 is all of the machine.
pub fn set_cores(n: usize) {
    CORES.store(n, Ordering::Relaxed);
}

/// The number of threads that runs use: what was set, else the environment
/// variable `KERASPREDICT_THREADS`, else one per core (two where `R CMD check`
/// limits them, one in a process that was forked since the first call).
pub fn threads() -> usize {
    let default = DEFAULT.get_or_init(Start::new);
    match (THREADS.load(Ordering::Relaxed), default.wanted) {
        (0, Some(n)) => n,
        (0, None) if std::process::id() != default.process => 1,
        (0, None) => match CORES.load(Ordering::Relaxed) {
            0 => default.cores,
            n => n.min(default.cores),
        },
        (n, _) => n,
    }
}

static DEFAULT: OnceLock<Start> = OnceLock::new();

/// What is known at the first call.
struct Start {
    /// What the environment asks for.
    wanted: Option<usize>,
    cores: usize,
    /// A fork of it is one of many as a rule.
    process: u32,
}

impl Start {
    fn new() -> Start {
        let wanted = std::env::var("KERASPREDICT_THREADS").ok();
        let wanted = wanted.and_then(|v| v.trim().parse().ok());
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        Start {
            wanted: wanted.filter(|&n| n > 0),
            cores: match std::env::var_os("_R_CHECK_LIMIT_CORES_") {
                Some(limit) if !limit.eq_ignore_ascii_case("false") => cores.min(2),
                _ => cores,
            },
            process: std::process::id(),
        }
    }
}

/// The pool of this process; `None` where one thread is all there is.
pub fn pool() -> Option<&'static ThreadPool> {
    let n = threads();
    if n < 2 {
        return None;
    }
    let mut held = POOLS.lock().unwrap_or_else(|e| e.into_inner());
    let id = std::process::id();
    if let Some((.., pool)) = held
        .iter()
        .find(|(pid, threads, _)| (*pid, *threads) == (id, n))
    {
        return Some(pool);
    }
    let made = ThreadPoolBuilder::new()
        .num_threads(n)
        .thread_name(|i| format!("keraspredict-{i}"))
        .build()
        .ok()?;
    let pool: &'static ThreadPool = Box::leak(Box::new(made));
    held.push((id, n, pool));
    Some(pool)
}
