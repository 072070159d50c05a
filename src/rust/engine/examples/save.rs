//! Writes models as Keras 3 saves them: `save FOLDER TARGET` reads every file of a folder.

use std::path::Path;

use keraspredict_engine::{format, Model};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, folder, target] = args.as_slice() else {
        return Err("save FOLDER TARGET".into());
    };
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let to = Path::new(target).join(format!("{name}.keras"));
        let written = Model::load(&path).and_then(|m| format::write_keras(&m.modern()?, &to, true));
        if let Err(e) = written {
            println!("{name}: {e}");
        }
    }
    Ok(())
}
