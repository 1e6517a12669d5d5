//! Runs the cases of `alert_cases`.

use super::case_files;
use super::scene::Scene;

#[test]
fn alerts_go_through_their_states() {
    let (mut count, mut failures) = (0, String::new());
    for (file, text) in case_files("alert_cases") {
        let mut scene = Scene::default();
        let mut lines = text.lines().enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let mut block = Vec::new();
            while let Some((_, line)) = lines.next_if(|(_, next)| next.starts_with("  ")) {
                block.push(line.strip_prefix("  ").unwrap().to_owned());
            }
            count += 1;
            if let Err(failure) = scene.run(line, &block) {
                failures.push_str(&format!("{file}:{}: {line}\n{failure}\n", number + 1));
            }
        }
    }
    assert!(count > 60, "only {count} commands were found");
    assert!(failures.is_empty(), "{failures}");
}
