//! Rows of one prediction, which threads take in chunks and tiles.
//!
//! Chunks are taken in order. A thread that finds none left takes tiles of the
//! chunks of others, smaller ones as fewer rows are left, so that no thread waits
//! long for the last one.

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use rayon::ThreadPool;

use crate::error::{Error, Result};

/// What is done with the rows.
pub(super) trait Work: Sync {
    /// What a chunk holds while it is worked on.
    type Chunk: Send + Sync;

    fn open(&self, rows: Range<usize>) -> Self::Chunk;
    fn tile(&self, chunk: &Self::Chunk, rows: Range<usize>) -> Result<()>;
    /// Called once all rows of a chunk are done.
    fn close(&self, chunk: &Self::Chunk);
}

/// Numbers of rows.
#[derive(Copy, Clone, Debug)]
pub(super) struct Sizes {
    pub chunk: usize,
    /// Of a tile, as a rule.
    pub tile: usize,
    /// Of the smallest tile that is worth a turn.
    pub least: usize,
}

impl Sizes {
    /// Rows of the next tile of a chunk with `left` rows.
    fn next(&self, left: usize, is_last: bool, threads: usize) -> usize {
        let mut size = self.tile;
        while is_last && size > self.least && size * threads > left {
            size = size.div_ceil(2);
        }
        size.min(left)
    }
}

/// Does the work with the threads of a pool, or on this one alone.
///
/// # Errors
/// That of the first tile that fails, whatever the threads.
pub(super) fn run<W: Work>(
    work: &W,
    rows: Range<usize>,
    sizes: Sizes,
    pool: Option<&ThreadPool>,
) -> Result<()> {
    let threads = pool.map_or(1, ThreadPool::current_num_threads);
    let shared = Shared {
        work,
        rows: rows.clone(),
        sizes,
        threads,
        queue: Mutex::new(Queue {
            next: rows.start,
            opening: 0,
            open: vec![],
            failed: None,
        }),
        opened: Condvar::new(),
    };
    match pool {
        Some(pool) => pool.in_place_scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|_| shared.turn());
            }
        }),
        None => shared.turn(),
    }
    let queue = shared.queue.into_inner();
    match queue.unwrap_or_else(|e| e.into_inner()).failed {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

struct Shared<'a, W: Work> {
    work: &'a W,
    rows: Range<usize>,
    sizes: Sizes,
    threads: usize,
    queue: Mutex<Queue<W::Chunk>>,
    /// A chunk was opened.
    opened: Condvar,
}

struct Queue<C> {
    /// The first row of the next chunk.
    next: usize,
    /// Chunks that are taken and not yet open.
    opening: usize,
    open: Vec<Arc<Open<C>>>,
    /// The first row of the first tile that failed, and its error.
    failed: Option<(usize, Error)>,
}

struct Open<C> {
    rows: Range<usize>,
    content: C,
    progress: Mutex<Progress>,
}

struct Progress {
    /// The first row that nobody has taken.
    next: usize,
    /// Rows that are not done.
    left: usize,
}

impl<C> Open<C> {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl<C> Queue<C> {
    /// Where rows are not worth anything any more.
    fn limit(&self) -> usize {
        self.failed.as_ref().map_or(usize::MAX, |f| f.0)
    }
}

impl<W: Work> Shared<'_, W> {
    fn queue(&self) -> MutexGuard<'_, Queue<W::Chunk>> {
        self.queue.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// What one thread does.
    fn turn(&self) {
        while let Some(rows) = self.take_chunk() {
            let opening = Opening(self);
            let chunk = Arc::new(Open {
                content: self.work.open(rows.clone()),
                progress: Mutex::new(Progress {
                    next: rows.start,
                    left: rows.len(),
                }),
                rows,
            });
            self.queue().open.push(chunk.clone());
            drop(opening);
            self.tiles(&chunk);
        }
        while let Some(chunk) = self.others_chunk() {
            self.tiles(&chunk);
        }
    }

    fn take_chunk(&self) -> Option<Range<usize>> {
        let mut queue = self.queue();
        let start = queue.next;
        if start >= self.rows.end.min(queue.limit()) {
            return None;
        }
        queue.next = (start + self.sizes.chunk).min(self.rows.end);
        queue.opening += 1;
        Some(start..queue.next)
    }

    /// A chunk with rows that nobody has taken.
    fn others_chunk(&self) -> Option<Arc<Open<W::Chunk>>> {
        let mut queue = self.queue();
        loop {
            let limit = queue.limit();
            let has_rows = |c: &&Arc<Open<W::Chunk>>| c.progress().next < c.rows.end.min(limit);
            if let Some(chunk) = queue.open.iter().find(has_rows) {
                return Some(chunk.clone());
            }
            if queue.opening == 0 {
                return None;
            }
            queue = self.opened.wait(queue).unwrap_or_else(|e| e.into_inner());
        }
    }

    /// Does tiles of a chunk until all are taken.
    fn tiles(&self, chunk: &Arc<Open<W::Chunk>>) {
        while let Some(rows) = self.take_tile(chunk) {
            if let Err(error) = self.work.tile(&chunk.content, rows.clone()) {
                let mut queue = self.queue();
                if rows.start < queue.limit() {
                    queue.failed = Some((rows.start, error));
                }
                return;
            }
            let mut progress = chunk.progress();
            progress.left -= rows.len();
            let is_done = progress.left == 0;
            drop(progress);
            if is_done {
                self.work.close(&chunk.content);
                self.queue().open.retain(|c| !Arc::ptr_eq(c, chunk));
            }
        }
    }

    fn take_tile(&self, chunk: &Open<W::Chunk>) -> Option<Range<usize>> {
        let queue = self.queue();
        let (is_last, limit) = (queue.next >= self.rows.end, queue.limit());
        drop(queue);
        let mut progress = chunk.progress();
        let start = progress.next;
        if start >= chunk.rows.end.min(limit) {
            return None;
        }
        let left = chunk.rows.end - start;
        progress.next += self
            .sizes
            .next(left, is_last && self.threads > 1, self.threads);
        Some(start..progress.next)
    }
}

/// A chunk on its way to be open; it ends with a panic, too, which others must not
/// wait for.
struct Opening<'a, 'b, W: Work>(&'a Shared<'b, W>);

impl<W: Work> Drop for Opening<'_, '_, W> {
    fn drop(&mut self) {
        self.0.queue().opening -= 1;
        self.0.opened.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::ThreadPoolBuilder;
    use std::panic::{catch_unwind, AssertUnwindSafe};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Counts how often each row is done; rows from `bad` on fail.
    struct Count {
        rows: Vec<AtomicUsize>,
        bad: usize,
        closed: AtomicUsize,
    }

    impl Count {
        fn new(rows: usize, bad: usize) -> Count {
            Count {
                rows: (0..rows).map(|_| AtomicUsize::new(0)).collect(),
                bad,
                closed: AtomicUsize::new(0),
            }
        }
    }

    impl Work for Count {
        type Chunk = (Range<usize>, AtomicUsize);

        fn open(&self, rows: Range<usize>) -> Self::Chunk {
            (rows, AtomicUsize::new(0))
        }

        fn tile(&self, chunk: &Self::Chunk, rows: Range<usize>) -> Result<()> {
            assert!(chunk.0.start <= rows.start && rows.end <= chunk.0.end);
            if rows.end > self.bad {
                return Err(Error::internal(format!("row {}", rows.start)));
            }
            for row in rows.clone() {
                self.rows[row].fetch_add(1, Ordering::Relaxed);
            }
            chunk.1.fetch_add(rows.len(), Ordering::Relaxed);
            Ok(())
        }

        fn close(&self, chunk: &Self::Chunk) {
            assert_eq!(chunk.1.load(Ordering::Relaxed), chunk.0.len());
            self.closed.fetch_add(chunk.0.len(), Ordering::Relaxed);
        }
    }

    fn sizes() -> impl Iterator<Item = (usize, Sizes)> {
        let all = [(1, 1, 1), (8, 4, 1), (8, 8, 2), (30, 7, 7), (30, 7, 3)];
        let each = |(chunk, tile, least)| Sizes { chunk, tile, least };
        all.map(each)
            .into_iter()
            .flat_map(|s| [1, 7, 8, 61, 64].map(|n| (n, s)))
    }

    #[test]
    fn every_row_is_done_once() {
        for threads in 1..4 {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.expect("threads");
            for (n, sizes) in sizes() {
                for pool in [None, Some(&pool)] {
                    let count = Count::new(n, usize::MAX);
                    run(&count, 0..n, sizes, pool).expect("no tile fails");
                    let once = |c: &AtomicUsize| c.load(Ordering::Relaxed) == 1;
                    assert!(count.rows.iter().all(once), "{n} {sizes:?}");
                    assert_eq!(count.closed.into_inner(), n);
                }
            }
        }
    }

    /// Panics when it opens the chunk of row 8.
    struct Panics;

    impl Work for Panics {
        type Chunk = ();

        fn open(&self, rows: Range<usize>) {
            assert!(rows.start != 8, "no more");
        }

        fn tile(&self, _: &(), _: Range<usize>) -> Result<()> {
            Ok(())
        }

        fn close(&self, _: &()) {}
    }

    #[test]
    fn a_panic_ends_the_run() {
        let pool = ThreadPoolBuilder::new().num_threads(3).build();
        let pool = pool.expect("threads");
        let sizes = Sizes {
            chunk: 4,
            tile: 2,
            least: 1,
        };
        let run = AssertUnwindSafe(|| run(&Panics, 0..32, sizes, Some(&pool)).is_ok());
        assert!(catch_unwind(run).is_err());
    }

    #[test]
    fn the_first_error_is_told() {
        let pool = ThreadPoolBuilder::new().num_threads(3).build();
        let pool = pool.expect("threads");
        for (n, sizes) in sizes() {
            // Equal tiles, so that the same one fails each time.
            let sizes = Sizes {
                least: sizes.tile,
                ..sizes
            };
            let told = |pool| {
                let failed = run(&Count::new(n, n / 2), 0..n, sizes, pool);
                failed.expect_err("a tile fails").to_string()
            };
            for _ in 0..20 {
                assert_eq!(told(None), told(Some(&pool)), "{n} {sizes:?}");
            }
        }
    }

    #[test]
    fn tiles_get_smaller_where_few_rows_are_left() {
        let sizes = Sizes {
            chunk: 16,
            tile: 8,
            least: 2,
        };
        let next = |left, is_last| sizes.next(left, is_last, 2);
        assert_eq!([16, 8, 3].map(|left| next(left, false)), [8, 8, 3]);
        assert_eq!(
            [16, 15, 8, 7, 3, 1].map(|left| next(left, true)),
            [8, 4, 4, 2, 2, 1]
        );
    }
}
