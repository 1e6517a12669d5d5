//! The objects of the Prometheus Operator, and what became of each: as a page without scripts, in English or
//! Korean, and as JSON.

use super::front::{escape, page_of, prefers_korean};
use crate::app::App;
use crate::http::{Call, reply};
use crate::objects::Taken;
use axum::http::StatusCode;
use axum::response::Response;
use kubernetes::{Outcome, Verdict};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

/// `GET /api/ui/v1/objects`
pub(crate) async fn api(app: Arc<App>, _: Call) -> Response {
    let Taken { outcomes, mistakes, wrong, .. } = app.objects.shown();
    let body = json!({
        "folder": app.objects.path().map(|path| path.display().to_string()),
        "targets_from": targets_from(&app),
        "mistakes": mistakes,
        "last_reload_wrong": wrong,
        "objects": outcomes.iter().map(outcome).collect::<Vec<_>>(),
    });
    reply::json(StatusCode::OK, &body)
}

fn targets_from(app: &App) -> &'static str {
    if app.objects.local().is_some() { "files" } else { "cluster" }
}

fn outcome(outcome: &Outcome) -> Value {
    let Outcome { kind, namespace, name, file, line, verdict, warnings } = outcome;
    let (state, why) = match verdict {
        Verdict::Became(_) => ("used", None),
        Verdict::Refused(why) => ("refused", Some(why)),
        Verdict::Discovered => ("discovered", None),
        Verdict::Values => ("values", None),
        Verdict::Unused => ("unused", None),
    };
    let mut shown = json!({
        "kind": kind, "namespace": namespace, "name": name, "file": file, "line": line,
        "state": state, "why": why, "warnings": warnings,
        "jobs": [], "rule_groups": [], "receivers": [],
    });
    if let Verdict::Became(names) = verdict {
        let list = match kind.as_str() {
            "PrometheusRule" => "rule_groups",
            "AlertmanagerConfig" => "receivers",
            _ => "jobs",
        };
        shown[list] = json!(names);
    }
    shown
}

/// The page's words in one language.
struct Words {
    lang: &'static str,
    title: &'static str,
    no_folder: &'static str,
    folder: &'static str,
    from_files: &'static str,
    from_cluster: &'static str,
    wrong: &'static str,
    mistakes: &'static str,
    columns: [&'static str; 5],
    jobs: &'static str,
    groups: &'static str,
    receivers: &'static str,
    nothing: &'static str,
    refused: &'static str,
    discovered: &'static str,
    not_discovered: &'static str,
    values: &'static str,
    unused: &'static str,
    warning: &'static str,
}

const ENGLISH: Words = Words {
    lang: "en",
    title: "Objects of the Prometheus Operator",
    no_folder: "No folder of objects is named: start with --kubernetes-objects DIR.",
    folder: "Folder",
    from_files: "Targets are looked for among the objects of the folder.",
    from_cluster: "Targets are looked for in the cluster in which this server runs.",
    wrong: "The last reload did not take everything over; what was there before goes on",
    mistakes: "Files that can't be read, or parts of them",
    columns: ["Kind", "Namespace", "Name", "Where", "What became of it"],
    jobs: "became jobs",
    groups: "became rule groups",
    receivers: "became receivers",
    nothing: "is right and empty: it became nothing",
    refused: "can't be used",
    discovered: "targets may be found in it",
    not_discovered: "is not looked at: targets come from the cluster",
    values: "others may refer to its values",
    unused: "nothing is made of objects of this kind",
    warning: "note",
};

const KOREAN: Words = Words {
    lang: "ko",
    title: "Prometheus Operator 오브젝트",
    no_folder: "오브젝트 폴더가 지정되지 않았습니다. --kubernetes-objects DIR 로 시작하세요.",
    folder: "폴더",
    from_files: "대상(target)은 이 폴더의 오브젝트에서 찾습니다.",
    from_cluster: "대상(target)은 이 서버가 실행 중인 클러스터에서 찾습니다.",
    wrong: "마지막 다시 읽기에서 일부를 적용하지 못했습니다. 이전 설정이 계속 유지됩니다",
    mistakes: "읽을 수 없는 파일 또는 그 일부",
    columns: ["종류", "네임스페이스", "이름", "위치", "결과"],
    jobs: "만들어진 job",
    groups: "만들어진 규칙 그룹",
    receivers: "만들어진 수신자(receiver)",
    nothing: "올바르지만 비어 있어 아무것도 만들어지지 않았습니다",
    refused: "사용할 수 없습니다",
    discovered: "대상을 찾는 데 쓰입니다",
    not_discovered: "클러스터에서 대상을 찾으므로 쓰이지 않습니다",
    values: "다른 오브젝트가 값을 참조할 수 있습니다",
    unused: "이 종류의 오브젝트는 사용하지 않습니다",
    warning: "참고",
};

/// `GET /objects`
pub(crate) async fn page(app: Arc<App>, call: Call) -> Response {
    let words = if prefers_korean(call.header("accept-language")) { &KOREAN } else { &ENGLISH };
    page_of(render(&app.objects.shown(), app.objects.path(), targets_from(&app), words))
}

fn render(taken: &Taken, folder: Option<&Path>, targets_from: &str, words: &Words) -> String {
    let mut page = String::with_capacity(4_096);
    let (lang, title) = (words.lang, words.title);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Mirador: {title}</title><link rel=\"stylesheet\" href=\"/front.css\"></head><body>\n\
         <h1>{title}</h1>\n"
    );
    match folder {
        Some(folder) => write_objects(&mut page, taken, (folder, targets_from), words),
        None => {
            let _ = writeln!(page, "<p>{}</p>", words.no_folder);
        }
    }
    page.push_str("<p><a href=\"/\">Mirador</a> · <a href=\"/api/ui/v1/objects\">JSON</a></p>\n");
    page.push_str("</body></html>\n");
    page
}

fn write_objects(
    page: &mut String,
    taken: &Taken,
    (folder, targets_from): (&Path, &str),
    words: &Words,
) {
    let source = if targets_from == "files" { words.from_files } else { words.from_cluster };
    let shown = escape(&folder.display().to_string());
    let _ = writeln!(page, "<p>{}: <code>{shown}</code>. {source}</p>", words.folder);
    for (title, lines) in [(words.wrong, &taken.wrong), (words.mistakes, &taken.mistakes)] {
        if !lines.is_empty() {
            let _ = writeln!(page, "<p class=\"state bad\">● {title}:</p>");
        }
        for line in lines {
            let _ = writeln!(page, "<p>{}</p>", escape(line));
        }
    }
    page.push_str("<table>\n<tr>");
    for column in words.columns {
        let _ = write!(page, "<th>{column}</th>");
    }
    page.push_str("</tr>\n");
    for outcome in &taken.outcomes {
        write_row(page, outcome, targets_from, words);
    }
    page.push_str("</table>\n");
}

fn write_row(page: &mut String, outcome: &Outcome, targets_from: &str, words: &Words) {
    let place = format!("{}:{}", outcome.file, outcome.line);
    page.push_str("<tr>");
    for text in [&outcome.kind, &outcome.namespace, &outcome.name, &place] {
        let _ = write!(page, "<td>{}</td>", escape(text));
    }
    let is_refused = matches!(outcome.verdict, Verdict::Refused(_));
    let class = if is_refused { " class=\"state bad\"" } else { "" };
    let _ = write!(page, "<td{class}>{}", escape(&said(outcome, targets_from, words)));
    for warning in &outcome.warnings {
        let _ = write!(page, "<br>{}: {}", words.warning, escape(warning));
    }
    page.push_str("</td></tr>\n");
}

fn said(outcome: &Outcome, targets_from: &str, words: &Words) -> String {
    let what = match &outcome.verdict {
        Verdict::Became(names) if names.is_empty() => words.nothing,
        Verdict::Became(names) => {
            let what = match outcome.kind.as_str() {
                "PrometheusRule" => words.groups,
                "AlertmanagerConfig" => words.receivers,
                _ => words.jobs,
            };
            return format!("{what}: {}", names.join(", "));
        }
        Verdict::Refused(why) => return format!("{}: {why}", words.refused),
        Verdict::Discovered if targets_from == "files" => words.discovered,
        Verdict::Discovered => words.not_discovered,
        Verdict::Values => words.values,
        Verdict::Unused => words.unused,
    };
    what.to_owned()
}
