//! The engine's threads.
//!
//! A rayon pool does not survive `fork()`: its threads are not in the child.
//! So the pool goes with its process id, and a child makes one of its own (the
//! old one is leaked, since joining its threads would hang).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use rayon::{ThreadPool, ThreadPoolBuilder};

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// A pool with the process and the number of threads it was made for.
type Held = (u32, usize, &'static ThreadPool);

static POOLS: Mutex<Vec<Held>> = Mutex::new(Vec::new());

/// Sets the number of threads of runs that start from now on; 0 is one per core.
pub fn set_threads(n: usize) {
    THREADS.store(n, Ordering::Relaxed);
}

/// The number of threads that runs use: what was set, else the environment
/// variable `KERASPREDICT_THREADS`, else one per core (two where `R CMD check`
/// limits them).
pub fn threads() -> usize {
    match THREADS.load(Ordering::Relaxed) {
        0 => *DEFAULT.get_or_init(default_threads),
        n => n,
    }
}

static DEFAULT: OnceLock<usize> = OnceLock::new();

fn default_threads() -> usize {
    let wanted = std::env::var("KERASPREDICT_THREADS").ok();
    if let Some(n) = wanted
        .and_then(|v| v.trim().parse::<usize>().ok())
        .filter(|&n| n > 0)
    {
        return n;
    }
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    match std::env::var_os("_R_CHECK_LIMIT_CORES_") {
        Some(limit) if !limit.eq_ignore_ascii_case("false") => cores.min(2),
        _ => cores,
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
