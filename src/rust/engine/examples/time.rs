//! Times a model on made-up inputs: `time MODEL [ROWS] [BATCH] [THREADS] [RUNS]`.
//! Axes of varying size are 100 long. Prints milliseconds of each run, then time by layer.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use keraspredict_engine::kernels::Par;
use keraspredict_engine::run::{pool, State};
use keraspredict_engine::tensor::{DType, Fact, View, ViewMut};
use keraspredict_engine::{Error, Model, RunOptions, Sink, Source};

struct MadeUp(Vec<Fact>);

impl Source for MadeUp {
    fn fact(&self, input: usize) -> Option<Fact> {
        Some(self.0[input].clone())
    }

    fn fill(&self, _: usize, rows: Range<usize>, mut dst: ViewMut) {
        let mut seed = rows.start as u32 + 1;
        let mut next = || {
            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
            (seed >> 8) as f32 / (1u32 << 24) as f32
        };
        match dst.dtype {
            DType::F32 => dst
                .as_mut::<f32>()
                .iter_mut()
                .for_each(|v| *v = next() * 2.0 - 1.0),
            DType::I32 => dst
                .as_mut::<i32>()
                .iter_mut()
                .for_each(|v| *v = (next() * 8.0) as i32),
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
    for _ in 0..runs {
        let start = Instant::now();
        model.predict(&MadeUp(facts.clone()), &Forget, 0..rows, batch, &options)?;
        println!("predict {:.3} ms", start.elapsed().as_secs_f64() * 1e3);
    }

    let inputs: Vec<Option<Fact>> = facts
        .into_iter()
        .map(|mut f| {
            f.shape[0] = rows.min(8);
            Some(f)
        })
        .collect();
    let start = Instant::now();
    let compiled = model.compile(&inputs, &options)?;
    println!(
        "plan {:.1} ms, arena {} kB",
        start.elapsed().as_secs_f64() * 1e3,
        compiled.plan.arena / 16
    );
    let mut state = State::default();
    state.fit(&compiled.plan);
    let mut times = vec![u64::MAX; compiled.plan.steps.len()];
    for _ in 0..runs {
        // Buffers are used again: inputs must be there for each run.
        for (i, fact) in inputs.iter().flatten().enumerate() {
            let made_up = MadeUp(vec![fact.clone(); i + 1]);
            made_up.fill(i, 0..fact.shape[0], state.input(&compiled.plan, i));
        }
        let run = compiled.plan.profile(&mut state, Par::Serial)?;
        for (least, nanos) in times.iter_mut().zip(run) {
            *least = nanos.min(*least);
        }
    }
    println!(
        "{} rows, least times of steps: {:.3} ms",
        rows.min(8),
        times.iter().sum::<u64>() as f64 / 1e6
    );
    let mut by_name: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
    let mut slowest = vec![];
    for (step, nanos) in compiled.plan.steps.iter().zip(times) {
        let entry = by_name.entry(&step.name).or_default();
        entry.0 += nanos;
        entry.1 += 1;
        slowest.push((nanos, step));
    }
    for (name, (nanos, n)) in by_name {
        println!("{name:<16} {n:>4} {:>10.3} ms", nanos as f64 / 1e6);
    }
    slowest.sort_by_key(|s| std::cmp::Reverse(s.0));
    for (nanos, step) in slowest.iter().take(15) {
        let ins: Vec<String> = step.ins.iter().map(|s| s.fact.to_string()).collect();
        println!(
            "{:>10.3} ms {} {} {}",
            *nanos as f64 / 1e6,
            step.name,
            step.path,
            ins.join(", ")
        );
    }
    Ok(())
}
