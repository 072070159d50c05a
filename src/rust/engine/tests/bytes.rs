//! Files with changed bytes: each is read or refused, at once, without a panic and
//! without more memory than its size can explain.
//!
//! KERASPREDICT_MUTATIONS: how often each file is changed. KERASPREDICT_SEED: other
//! changes.

mod dice;
mod fixtures;

use std::alloc::{GlobalAlloc, Layout, System};
use std::any::Any;
use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use dice::{setting, Dice};
use fixtures::{bytes, models, scratch, shard_list, write_shards};
use keraspredict_engine::{format, memory, Model};

/// How long a file of some kilobytes may take, optimised or not.
const SLOW: Duration = Duration::from_secs(2);

/// The largest piece of memory that reading a file of some kilobytes may ask for:
/// what deflate could make of it.
const LARGE: usize = 48 << 20;

thread_local! {
    /// The largest piece of memory that this thread has asked for.
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, watched.
struct Watched;

fn note(size: usize) {
    let _ = LARGEST.try_with(|l| l.set(l.get().max(size)));
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        System.alloc(layout)
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        System.alloc_zeroed(layout)
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        System.realloc(at, layout, size)
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        System.dealloc(at, layout);
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// Changes some bytes, cuts the end or a piece out, moves a piece or puts one in.
fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    const TELLING: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'9', b'-'];
    match dice.roll(10) {
        0 => bytes.truncate(dice.roll(bytes.len())),
        1 => {
            let (from, to) = (dice.roll(bytes.len()), dice.roll(bytes.len()));
            let n = dice.roll(16).min(bytes.len() - from.max(to));
            bytes.copy_within(from..from + n, to);
        }
        2 => {
            let at = dice.roll(bytes.len());
            let n = 8.min(bytes.len() - at);
            bytes[at..at + n].fill(0xff);
        }
        3 => {
            let at = dice.roll(bytes.len());
            let n = dice.roll(32).min(bytes.len() - at);
            bytes.drain(at..at + n);
        }
        4 => {
            let at = dice.roll(bytes.len());
            let piece: Vec<u8> = (0..dice.roll(32)).map(|_| dice.roll(256) as u8).collect();
            bytes.splice(at..at, piece);
        }
        _ => {
            for _ in 0..=dice.roll(4) {
                let at = dice.roll(bytes.len());
                bytes[at] = match dice.roll(3) {
                    0 => bytes[at] ^ (1 << dice.roll(8)),
                    1 => TELLING[dice.roll(TELLING.len())],
                    _ => dice.roll(256) as u8,
                };
            }
        }
    }
}

/// What became of many changed files.
#[derive(Default)]
struct Tally {
    tried: usize,
    read: usize,
    wrong: Vec<String>,
    slowest: Duration,
    largest: usize,
}

impl Tally {
    /// Counts a file that is read, or refused with an error of the engine.
    fn count(&mut self, what: &str, read: impl FnOnce() -> keraspredict_engine::Result<()>) {
        LARGEST.set(0);
        let start = Instant::now();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
        let (time, largest) = (start.elapsed(), LARGEST.get());
        let outcome =
            outcome.unwrap_or_else(|panic: Box<dyn Any + Send>| Err(memory::caught(panic)));
        self.tried += 1;
        match outcome {
            Ok(()) => self.read += 1,
            Err(e) if e.kind() == "internal" => self.wrong.push(format!("{what}: {e}")),
            Err(_) => {}
        }
        if time > SLOW {
            self.wrong.push(format!("{what}: takes {time:?}"));
        }
        if largest > LARGE {
            self.wrong.push(format!("{what}: asks for {largest} bytes"));
        }
        self.slowest = self.slowest.max(time);
        self.largest = self.largest.max(largest);
    }

    /// Fails where a file was neither read nor refused as it should be, or where too
    /// few of both were met to tell anything.
    fn check(self) {
        let Tally {
            tried,
            read,
            wrong,
            slowest,
            largest,
        } = self;
        println!("{tried} tried, {read} read, slowest {slowest:?}, largest piece {largest}");
        assert!(
            wrong.is_empty(),
            "{} wrong: {:#?}",
            wrong.len(),
            &wrong[..wrong.len().min(20)]
        );
        assert!((tried / 20..tried - tried / 20).contains(&read));
    }
}

#[test]
fn changed_files_are_read_or_refused() {
    let rounds = setting("KERASPREDICT_MUTATIONS", 200) as usize;
    let mut files: Vec<(String, Vec<u8>)> = [
        "small.keras",
        "deflated.keras",
        "small.h5",
        "small.weights.h5",
        "dtypes.weights.h5",
        "bfloat16.weights.h5",
        "split_names.h5",
        "chunked.weights.h5",
        "latest.h5",
        "small.json",
    ]
    .iter()
    .map(|n| (n.to_string(), bytes(n)))
    .collect();
    for (i, file) in models().iter().enumerate() {
        files.push((format!("native {i}"), format::native::write(file)));
    }
    let mut tally = Tally::default();
    for (name, whole) in &files {
        let mut dice = Dice(setting("KERASPREDICT_SEED", 1));
        for round in 0..rounds {
            let mut bytes = whole.clone();
            mutate(&mut bytes, &mut dice);
            // Most changes to data only change numbers, or fail a checksum.
            if round % 2 == 0 && !bytes.is_empty() {
                let at = dice.roll(bytes.len().min(2000));
                bytes[at] ^= 1 << dice.roll(8);
            }
            tally.count(&format!("{name}, round {round}"), || {
                let weights = format::read_weights_bytes(bytes.clone(), name);
                let model = format::read_bytes(bytes, name).and_then(|file| {
                    let written = format::native::write(&file);
                    format::read_bytes(written, name)?;
                    Model::new(file)
                });
                weights.map(|_| ()).or(model.map(|_| ()))
            });
        }
    }
    tally.check();
}

#[test]
fn changed_shards_are_read_or_refused() {
    let rounds = setting("KERASPREDICT_MUTATIONS", 200) as usize;
    let folder = scratch("mutated");
    let list = shard_list(&write_shards(&folder));
    let list_path = folder.join("m.weights.json");
    std::fs::write(&list_path, &list).expect("write");
    let shard_path = folder.join("m_00001.weights.h5");
    let shard = std::fs::read(&shard_path).expect("read");
    let mut tally = Tally::default();
    let mut dice = Dice(setting("KERASPREDICT_SEED", 2));
    for (path, whole) in [(&list_path, list.as_bytes()), (&shard_path, &shard[..])] {
        for round in 0..rounds {
            let mut bytes = whole.to_vec();
            mutate(&mut bytes, &mut dice);
            std::fs::write(path, &bytes).expect("write");
            tally.count(&format!("{}, round {round}", path.display()), || {
                format::read_weights(Path::new(&list_path)).map(|_| ())
            });
        }
        std::fs::write(path, whole).expect("write");
    }
    std::fs::remove_dir_all(&folder).expect("remove");
    tally.check();
}
