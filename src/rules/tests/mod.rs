//! Cases in text files: alerts over a driven clock (`alert_cases`), rule files that are accepted and
//! refused (`file_cases`).

mod files;
mod running;
mod scene;
mod unit;

/// Every file of a folder of this crate, with its name.
#[expect(clippy::disallowed_methods, reason = "the cases are files of this crate")]
pub(crate) fn case_files(folder: &str) -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there are no cases");
    files
}
