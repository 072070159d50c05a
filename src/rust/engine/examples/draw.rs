//! Draws what training does: `draw PACK TIMES TARGET` calls each model of a pack of golden
//! cases TIMES times, each time with another seed, and writes the outputs one after another,
//! as float64, to files of TARGET.

#[allow(dead_code)]
#[path = "../tests/golden/pack.rs"]
mod pack;

use std::path::Path;

use keraspredict_engine::RunOptions;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, source, times, target] = args.as_slice() else {
        return Err("draw PACK TIMES TARGET".into());
    };
    let mut archive = pack::open(Path::new(source));
    for name in pack::names(&archive) {
        let mut case = pack::read_case(&mut archive, "draw", &name);
        let model = case.load()?;
        let mut all: Vec<u8> = vec![];
        for seed in 0..times.parse()? {
            case.seed = seed;
            match pack::predict(
                &model,
                &case,
                case.rows(),
                case.rows(),
                RunOptions::default(),
            ) {
                Ok(outputs) => {
                    let values = outputs.iter().flat_map(|output| output.to_f64());
                    all.extend(values.flat_map(f64::to_le_bytes));
                }
                Err(e) => {
                    println!("{name}: {e}");
                    break;
                }
            }
        }
        std::fs::write(Path::new(target).join(name), all)?;
    }
    Ok(())
}
