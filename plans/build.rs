//! Writes the table of shipped sources. It embeds the files of every folder of
//! `sources/` as text and the samples as bytes.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

#[expect(
    clippy::disallowed_methods,
    reason = "cargo passes OUT_DIR to a build script in its environment"
)]
fn main() -> Result<(), Box<dyn Error>> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("sources");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=sources");
    let mut table = String::from("static SHIPPED: &[Shipped] = &[\n");
    for folder in sorted(&sources)?
        .iter()
        .filter(|path| path.join("source.toml").is_file())
    {
        write_source(&mut table, folder)?;
    }
    table.push_str("];\n");
    let out = std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    fs::write(Path::new(&out).join("shipped.rs"), table)?;
    Ok(())
}

fn write_source(table: &mut String, folder: &Path) -> Result<(), Box<dyn Error>> {
    let name = file_name(folder)?;
    writeln!(table, "    Shipped {{ name: {name:?}, files: &[")?;
    for file in sorted(folder)?.iter().filter(|path| is_toml(path)) {
        let shown = format!("{name}/{}", file_name(file)?);
        writeln!(table, "        ({shown:?}, include_str!({file:?})),")?;
    }
    writeln!(table, "    ], samples: &[")?;
    for file in sorted(&folder.join("samples"))?
        .iter()
        .filter(|path| path.is_file())
    {
        writeln!(
            table,
            "        ({:?}, include_bytes!({file:?})),",
            file_name(file)?
        )?;
    }
    writeln!(table, "    ] }},")?;
    Ok(())
}

fn is_toml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "toml")
}

fn file_name(path: &Path) -> Result<&str, Box<dyn Error>> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| format!("{} has no UTF-8 name", path.display()).into())
}

/// Returns the paths in a folder, sorted by name. A folder that does not exist is empty.
fn sorted(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}
