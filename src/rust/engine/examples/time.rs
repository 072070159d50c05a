//! Times a model on made-up inputs: `time MODEL [ROWS] [BATCH] [THREADS] [RUNS]`.
//! Axes of varying size are 100 long. Prints milliseconds of each run, then time by layer.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use keraspredict_engine::run::pool;
use keraspredict_engine::tensor::{DType, Fact, View, ViewMut};
use keraspredict_engine::{Error, Model, RunOptions, Sink, Source};

/// Inputs that repeat one block of noise, so that reading them costs little.
struct MadeUp {
    facts: Vec<Fact>,
    noise: Vec<f32>,
}

/// Elements of the noise.
const NOISE: usize = 1 << 16;

impl MadeUp {
    fn new(facts: Vec<Fact>) -> MadeUp {
        let mut seed = 1u32;
        let mut next = || {
            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
            (seed >> 8) as f32 / (1u32 << 24) as f32
        };
        let noise = (0..NOISE).map(|_| next() * 2.0 - 1.0).collect();
        MadeUp { facts, noise }
    }
}

impl Source for MadeUp {
    fn fact(&self, input: usize) -> Option<Fact> {
        Some(self.facts[input].clone())
    }

    fn fill(&self, _: usize, _: Range<usize>, mut dst: ViewMut) {
        match dst.dtype {
            DType::F32 => {
                for part in dst.as_mut::<f32>().chunks_mut(NOISE) {
                    part.copy_from_slice(&self.noise[..part.len()]);
                }
            }
            DType::I32 => {
                for (v, noise) in dst
                    .as_mut::<i32>()
                    .iter_mut()
                    .zip(self.noise.iter().cycle())
                {
                    *v = ((noise + 1.0) * 4.0) as i32;
                }
            }
            _ => {}
        }
    }
}

struct Forget;

impl Sink for Forget {
    fn put(&self, _: usize, _: Range<usize>, _: View) {}
}

fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().collect();
    let number =
        |i: usize, default: usize| args.get(i).and_then(|a| a.parse().ok()).unwrap_or(default);
    let (rows, batch, threads, runs) = (number(2, 32), number(3, 32), number(4, 0), number(5, 5));
    pool::set_threads(threads);
    let start = Instant::now();
    let model = Model::load(Path::new(&args[1]))?;
    println!("load {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let facts: Vec<Fact> = model
        .inputs()
        .iter()
        .map(|i| {
            let mut shape: Vec<usize> = i.shape.iter().map(|d| d.unwrap_or(100)).collect();
            shape[0] = rows;
            Fact::new(i.dtype, shape)
        })
        .collect();
    let options = RunOptions::default();
    let source = MadeUp::new(facts.clone());
    for _ in 0..runs {
        let start = Instant::now();
        model.predict(&source, &Forget, 0..rows, batch, &options)?;
        println!("predict {:.3} ms", start.elapsed().as_secs_f64() * 1e3);
    }

    let rows = rows.min(8);
    let few = facts.into_iter().map(|mut f| {
        f.shape[0] = rows;
        f
    });
    let mut steps = model.profile(&MadeUp::new(few.collect()), rows, runs)?;
    let total: f64 = steps.iter().map(|s| s.seconds).sum();
    println!("{rows} rows, least times of steps: {:.3} ms", total * 1e3);
    let mut by_operation: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
    for step in &steps {
        let entry = by_operation.entry(&step.operation).or_default();
        entry.0 += step.seconds;
        entry.1 += 1;
    }
    for (operation, (seconds, n)) in by_operation {
        println!("{operation:<16} {n:>4} {:>10.3} ms", seconds * 1e3);
    }
    steps.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    for step in steps.iter().take(15) {
        let ins: Vec<String> = step.inputs.iter().map(Fact::to_string).collect();
        println!(
            "{:>10.3} ms {} {} {}",
            step.seconds * 1e3,
            step.operation,
            step.path,
            ins.join(", ")
        );
    }
    Ok(())
}
