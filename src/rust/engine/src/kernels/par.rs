//! Work that one run shares among threads.
//!
//! A run of one batch forks and joins some hundred times within milliseconds, and
//! waking a thread takes longer than many of its steps do. So the threads that help
//! stay awake from step to step: a [`Crew`] of them is called together for a run,
//! and wait for its next step with open eyes.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::ops::Range;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};

use rayon::ThreadPool;

use super::Shared;

/// How a kernel may spread its work. Results don't depend on it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Par {
    /// This thread only: whole batches run in parallel.
    Serial,
    /// The crew of this thread: see [`with_crew`].
    Crew,
}

impl Par {
    /// The threads that work is spread over.
    pub fn threads(self) -> usize {
        match self {
            Par::Serial => 1,
            // SAFETY: a crew is there as long as it is this thread's.
            Par::Crew => CREW
                .get()
                .map_or(1, |crew| unsafe { (*crew).waiting.len() }),
        }
    }

    /// The same, or this thread only where work is too little to be spread.
    pub fn worth(self, it_is: bool) -> Par {
        match it_is {
            true => self,
            false => Par::Serial,
        }
    }

    /// Whether each thread has some of `n` parts.
    pub(super) fn has_enough(self, n: usize) -> bool {
        self.threads() > 1 && n >= self.threads()
    }

    /// Does each of `n` tasks.
    pub fn each(self, n: usize, task: impl Fn(usize) + Sync) {
        let crew = match self {
            Par::Crew if n > 1 && u32::try_from(n).is_ok() => CREW.take(),
            _ => None,
        };
        let Some(crew) = crew else {
            return (0..n).for_each(task);
        };
        // What a task forks stays on its thread.
        let _back = Restored(crew);
        // SAFETY: a crew is there as long as it is this thread's.
        unsafe { (*crew).share(n, &task) };
    }

    /// Does `work` for pieces of `size` elements, the last one maybe shorter: it gets
    /// the piece's position among them, and the piece.
    pub fn pieces<T: Send>(
        self,
        all: &mut [T],
        size: usize,
        work: impl Fn(usize, &mut [T]) + Sync,
    ) {
        let (len, start) = (all.len(), Shared(all.as_mut_ptr()));
        self.each(len.div_ceil(size.max(1)), |i| {
            let first = i * size;
            // SAFETY: pieces don't overlap, and each is given once.
            let piece = unsafe {
                let piece = start.get().add(first);
                std::slice::from_raw_parts_mut(piece, size.min(len - first))
            };
            work(i, piece);
        });
    }
}

/// Gives the thread its crew back.
struct Restored(*const Crew);

impl Drop for Restored {
    fn drop(&mut self) {
        CREW.set(Some(self.0));
    }
}

thread_local! {
    /// The crew that this thread leads and that is free.
    static CREW: Cell<Option<*const Crew>> = const { Cell::new(None) };
}

/// Does `work`, whose kernels may share theirs with the threads of a pool (all but
/// one, which this thread stands for).
pub fn with_crew<R>(pool: &ThreadPool, work: impl FnOnce() -> R) -> R {
    if CREW.get().is_some() {
        return work();
    }
    let crew = Crew::new(pool.current_num_threads().saturating_sub(1));
    pool.in_place_scope(|scope| {
        for me in 1..crew.waiting.len() {
            let crew = &crew;
            scope.spawn(move |_| crew.serve(me));
        }
        let _end = Dismissed(&crew, CREW.replace(Some(&crew)));
        work()
    })
}

/// Sends the crew home, however the work ended.
struct Dismissed<'a>(&'a Crew, Option<*const Crew>);

impl Drop for Dismissed<'_> {
    fn drop(&mut self) {
        CREW.set(self.1);
        self.0.gate.fetch_or(OVER, Ordering::SeqCst);
        self.0.wake();
    }
}

type Task<'a> = &'a (dyn Fn(usize) + Sync);

/// Tasks of one step that wait for a thread: those from `first` to before `end`.
#[derive(Copy, Clone)]
struct Waiting {
    first: u32,
    end: u32,
}

impl Waiting {
    fn of(bits: u64) -> Waiting {
        Waiting {
            first: (bits >> 32) as u32,
            end: bits as u32,
        }
    }

    fn bits(self) -> u64 {
        u64::from(self.first) << 32 | u64::from(self.end)
    }

    /// Takes some: the owner from the front, others from the end, so that a thread
    /// meets the same part of the data again in the next step. Many at once while
    /// there are many.
    fn take(from: &AtomicU64, own: bool) -> Option<Range<usize>> {
        let mut bits = from.load(Ordering::Relaxed);
        loop {
            let Waiting { first, end } = Waiting::of(bits);
            if first >= end {
                return None;
            }
            let n = (end - first).div_ceil(8);
            let (taken, left) = match own {
                true => (
                    first..first + n,
                    Waiting {
                        first: first + n,
                        end,
                    },
                ),
                false => (
                    end - n..end,
                    Waiting {
                        first,
                        end: end - n,
                    },
                ),
            };
            let swapped =
                from.compare_exchange_weak(bits, left.bits(), Ordering::Relaxed, Ordering::Relaxed);
            match swapped {
                Ok(_) => return Some(taken.start as usize..taken.end as usize),
                Err(now) => bits = now,
            }
        }
    }
}

/// One step's work may be joined.
const OPEN: u64 = 1 << 16;
/// There will be no more of it.
const OVER: u64 = 1 << 17;
/// Counts the steps; below the flags is the number of helpers at work.
const STEP: u64 = 1 << 18;

/// What is written by one thread while others spin lies in lines of its own.
#[repr(align(128))]
struct Apart<T>(T);

/// Threads that share the work of one run, step by step.
struct Crew {
    gate: Apart<AtomicU64>,
    /// What waits for each thread, the leader's first.
    waiting: Vec<Apart<AtomicU64>>,
    /// Written, as `waiting`, while the gate is shut and nobody is inside.
    task: UnsafeCell<Option<Task<'static>>>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    sleepers: AtomicUsize,
    bed: Mutex<()>,
    bell: Condvar,
}

// SAFETY: the task is written only while nobody can read it.
unsafe impl Sync for Crew {}

impl std::ops::Deref for Apart<AtomicU64> {
    type Target = AtomicU64;
    fn deref(&self) -> &AtomicU64 {
        &self.0
    }
}

impl Crew {
    fn new(helpers: usize) -> Crew {
        Crew {
            gate: Apart(AtomicU64::new(0)),
            waiting: (0..=helpers).map(|_| Apart(AtomicU64::new(0))).collect(),
            task: UnsafeCell::new(None),
            panic: Mutex::new(None),
            sleepers: AtomicUsize::new(0),
            bed: Mutex::new(()),
            bell: Condvar::new(),
        }
    }

    /// Does the tasks together with the helpers that come. Only the leader calls it,
    /// once at a time.
    fn share(&self, n: usize, task: Task) {
        // SAFETY: no helper has the task any more when this returns or unwinds.
        let task = unsafe { std::mem::transmute::<Task<'_>, Task<'static>>(task) };
        let threads = self.waiting.len();
        for (i, waiting) in self.waiting.iter().enumerate() {
            let at = |i: usize| (n * i / threads) as u32;
            let part = Waiting {
                first: at(i),
                end: at(i + 1),
            };
            waiting.store(part.bits(), Ordering::Relaxed);
        }
        // SAFETY: the gate is shut and nobody inside.
        unsafe { *self.task.get() = Some(task) };
        self.gate.fetch_add(STEP + OPEN, Ordering::SeqCst);
        self.wake();
        let joined = Joined(self);
        self.work(0, task);
        drop(joined);
        let panic = self.panic.lock().unwrap_or_else(|e| e.into_inner()).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Does what waits for a thread, then what waits for others.
    fn work(&self, me: usize, task: Task) {
        let threads = self.waiting.len();
        for i in 0..threads {
            let from = &self.waiting[(me + i) % threads];
            while let Some(tasks) = Waiting::take(from, i == 0) {
                tasks.for_each(task);
            }
        }
    }

    /// What a helper does until the run is over.
    fn serve(&self, me: usize) {
        let mut seen = 0;
        let mut pause = Pause::default();
        loop {
            let gate = self.gate.load(Ordering::Acquire);
            if gate & OVER != 0 {
                return;
            }
            if gate & OPEN == 0 || gate / STEP == seen {
                if pause.is_long() {
                    self.sleep(gate);
                    pause = Pause::default();
                }
                continue;
            }
            let enter =
                self.gate
                    .compare_exchange(gate, gate + 1, Ordering::AcqRel, Ordering::Relaxed);
            if enter.is_err() {
                continue;
            }
            seen = gate / STEP;
            // SAFETY: the leader doesn't write while somebody is inside.
            if let Some(task) = unsafe { *self.task.get() } {
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.work(me, task))) {
                    *self.panic.lock().unwrap_or_else(|e| e.into_inner()) = Some(panic);
                }
            }
            self.gate.fetch_sub(1, Ordering::Release);
            pause = Pause::default();
        }
    }

    /// Sleeps while the gate is as it was.
    fn sleep(&self, gate: u64) {
        let mut bed: MutexGuard<()> = self.bed.lock().unwrap_or_else(|e| e.into_inner());
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        while self.gate.load(Ordering::SeqCst) == gate {
            bed = self.bell.wait(bed).unwrap_or_else(|e| e.into_inner());
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    fn wake(&self) {
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            drop(self.bed.lock().unwrap_or_else(|e| e.into_inner()));
            self.bell.notify_all();
        }
    }
}

/// Shuts the gate and waits for those inside.
struct Joined<'a>(&'a Crew);

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        let crew = self.0;
        let mut gate = crew.gate.fetch_and(!OPEN, Ordering::AcqRel);
        let mut pause = Pause::default();
        while gate & (OPEN - 1) != 0 {
            pause.is_long();
            gate = crew.gate.load(Ordering::Acquire);
        }
    }
}

/// How long somebody has waited.
#[derive(Default)]
struct Pause(u32);

impl Pause {
    /// Waits a little; whether it has been long by now. The processor is kept for
    /// some microseconds, then offered to others.
    fn is_long(&mut self) -> bool {
        const SPINS: u32 = 2000;
        const OFFERS: u32 = 200;
        self.0 = self.0.saturating_add(1);
        match self.0 {
            0..=SPINS => std::hint::spin_loop(),
            _ => std::thread::yield_now(),
        }
        self.0 > SPINS + OFFERS
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::super::testing::pool;
    use super::*;

    /// How often each of `n` tasks is done.
    fn times(n: usize) -> Vec<usize> {
        let done: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
        Par::Crew.each(n, |i| {
            done[i].fetch_add(1, Ordering::Relaxed);
        });
        done.into_iter().map(AtomicUsize::into_inner).collect()
    }

    #[test]
    fn every_task_is_done_once() {
        with_crew(pool(), || {
            assert_eq!(Par::Crew.threads(), pool().current_num_threads());
            for round in 0..2000 {
                let n = round % 40;
                assert_eq!(times(n), vec![1; n]);
            }
            assert_eq!(times(100_000), vec![1; 100_000]);
        });
        assert_eq!(Par::Crew.threads(), 1);
        assert_eq!(times(5), [1; 5]);
    }

    #[test]
    fn all_threads_take_part_also_after_a_long_pause() {
        with_crew(pool(), || {
            for pause in [0, 30, 0] {
                std::thread::sleep(Duration::from_millis(pause));
                // Each waits for the others, so that none can do the work of two.
                let there = AtomicUsize::new(0);
                Par::Crew.each(3, |_| {
                    there.fetch_add(1, Ordering::SeqCst);
                    while there.load(Ordering::SeqCst) < 3 {
                        std::thread::yield_now();
                    }
                });
            }
        });
    }

    #[test]
    fn pieces_are_the_whole() {
        let mut all = vec![0usize; 1003];
        with_crew(pool(), || {
            Par::Crew.pieces(&mut all, 10, |i, piece| {
                for (k, v) in piece.iter_mut().enumerate() {
                    *v = 10 * i + k;
                }
            });
            Par::Crew.pieces(&mut [0u8; 0], 0, |_, _| unreachable!());
        });
        assert!(all.iter().enumerate().all(|(i, &v)| i == v));
    }

    #[test]
    fn what_a_task_forks_stays_on_its_thread() {
        with_crew(pool(), || {
            Par::Crew.each(30, |_| {
                let here = std::thread::current().id();
                Par::Crew.each(5, |_| assert_eq!(std::thread::current().id(), here));
            });
        });
    }

    #[test]
    fn panics_reach_the_leader_and_leave_the_crew_whole() {
        with_crew(pool(), || {
            for bad in 0..30 {
                let run = || Par::Crew.each(30, |i| assert_ne!(i, bad, "task {i}"));
                let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("a panic");
                let text = panic.downcast_ref::<String>().expect("a text");
                assert!(text.contains(&format!("task {bad}")), "{text}");
                assert_eq!(times(30), [1; 30]);
            }
        });
    }
}
