//! Packs the web UI, `web/dist`, and writes a table of its files, so that the binary has them in itself.
//! `web/dist` is committed: building the server needs no Node.

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

const DIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/dist");
/// As `web/build.mjs` names a version of a file.
const HASH_DIGITS: usize = 12;

#[allow(clippy::print_stdout, reason = "a build script speaks to cargo on its output")]
#[expect(clippy::disallowed_methods, reason = "a build script has no platform")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={DIST}");
    let out = std::env::var("OUT_DIR")?;
    let listed = std::fs::read_dir(DIST).map_err(|error| {
        format!("{DIST} is missing ({error}); make it: cd web && npm ci && npm run build")
    })?;
    let mut paths =
        listed.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    paths.sort();
    let mut table = String::from("pub(super) static FILES: &[File] = &[\n");
    for path in paths {
        let name =
            path.file_name().and_then(|name| name.to_str()).ok_or("a name that is no text")?;
        let plain = std::fs::read(&path)?;
        let packed = Path::new(&out).join(format!("{name}.gz"));
        std::fs::write(&packed, pack(&plain)?)?;
        let version = version(&plain);
        writeln!(
            table,
            "    File {{ name: {name:?}, version: {version:?}, plain: include_bytes!({path:?}), packed: include_bytes!({packed:?}) }},"
        )?;
    }
    table.push_str("];\n");
    std::fs::write(Path::new(&out).join("web_ui_files.rs"), table)?;
    Ok(())
}

fn pack(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain)?;
    encoder.finish()
}

fn version(plain: &[u8]) -> String {
    let digest = Sha256::digest(plain);
    let mut text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(HASH_DIGITS);
    text
}
