//! The front page: the state of the server on one page without scripts, in English or Korean as the
//! browser asks. Callers who are bound to tenants see what is stored of these tenants, and nothing of the
//! machine.

use crate::app::{App, VERSION};
use crate::http::{Call, reply};
use crate::lifecycle::Phase;
use crate::web_ui;
use axum::http::{StatusCode, header};
use axum::response::Response;
use engine::{Engine, EngineStats};
use protocols::Principal;
use std::fmt::Write as _;
use std::sync::Arc;
use wal::Health;

const STYLE: &str = include_str!("front.css");
const POLICY: &str =
    "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The page's words in one language.
struct Words {
    lang: &'static str,
    what: &'static str,
    up: &'static str,
    ready: &'static str,
    starting: &'static str,
    stopping: &'static str,
    degraded: &'static str,
    server: &'static str,
    version: &'static str,
    listeners: &'static str,
    data: &'static str,
    taken: &'static str,
    wal: &'static str,
    stored: &'static str,
    columns: [&'static str; 5],
    nothing: &'static str,
    grafana: &'static str,
    grafana_how: &'static str,
    more: &'static str,
    signals: fn(model::Signal) -> &'static str,
}

const ENGLISH: Words = Words {
    lang: "en",
    what: "A lookout over your systems: metrics, logs and traces in one server.",
    up: "up for",
    ready: "ready",
    starting: "starting",
    stopping: "stopping",
    degraded: "writes are refused: the write-ahead log can't be written",
    server: "This server",
    version: "Version",
    listeners: "Listens on",
    data: "Data folder",
    taken: "Batches taken since the start",
    wal: "Write-ahead log on disk",
    stored: "What is stored",
    columns: ["Signal", "Tenants", "In memory (rows)", "In parts (rows)", "Size of parts"],
    nothing: "This version stores no signal yet: see “What is not there yet” in the README.",
    grafana: "Grafana",
    grafana_how: "Copy this to /etc/grafana/provisioning/datasources/mirador.yaml:",
    more: "More",
    signals: |signal| match signal {
        model::Signal::Metrics => "Metrics",
        model::Signal::Logs => "Logs",
        model::Signal::Traces => "Traces",
        model::Signal::Probe => "Probe (testing)",
    },
};

const KOREAN: Words = Words {
    lang: "ko",
    what: "시스템을 내려다보는 전망대: 메트릭, 로그, 트레이스를 하나의 서버에서.",
    up: "가동 시간",
    ready: "준비됨",
    starting: "시작하는 중",
    stopping: "종료하는 중",
    degraded: "로그에 쓸 수 없어 쓰기 요청을 거부하고 있습니다",
    server: "이 서버",
    version: "버전",
    listeners: "수신 주소",
    data: "데이터 폴더",
    taken: "시작 이후 받은 묶음",
    wal: "디스크의 선행 기록 로그(WAL)",
    stored: "저장된 데이터",
    columns: ["신호", "테넌트", "메모리 (행)", "파트 (행)", "파트 크기"],
    nothing: "이 버전은 아직 저장하는 신호가 없습니다. README.ko.md의 “아직 없는 것”을 보세요.",
    grafana: "Grafana",
    grafana_how: "아래 내용을 /etc/grafana/provisioning/datasources/mirador.yaml 로 복사하세요:",
    more: "더 보기",
    signals: |signal| match signal {
        model::Signal::Metrics => "메트릭",
        model::Signal::Logs => "로그",
        model::Signal::Traces => "트레이스",
        model::Signal::Probe => "프로브 (테스트용)",
    },
};

/// `/`: browsers want the web UI; everybody else gets the front page, as `/front` does.
pub(crate) async fn root(app: Arc<App>, call: Call) -> Response {
    let wants_html = call.header(header::ACCEPT.as_str()).contains("text/html");
    let response = match wants_html {
        true => web_ui::redirect(StatusCode::SEE_OTHER, "ui/"),
        false => front(app, call).await,
    };
    reply::with_header(response, header::VARY, "accept, accept-language")
}

pub(crate) async fn front(app: Arc<App>, call: Call) -> Response {
    let words = if prefers_korean(call.header("accept-language")) { &KOREAN } else { &ENGLISH };
    page_of(render(&app, &call.principal, words))
}

/// A page without scripts, in the language that the browser asks for.
pub(super) fn page_of(page: String) -> Response {
    let response = reply::of(StatusCode::OK, "text/html; charset=utf-8", page);
    let response = reply::with_header(response, header::CONTENT_SECURITY_POLICY, POLICY);
    let response = reply::with_header(response, header::REFERRER_POLICY, "no-referrer");
    reply::with_header(response, header::VARY, "accept-language")
}

pub(crate) async fn style(_: Arc<App>, _: Call) -> Response {
    let response = reply::of(StatusCode::OK, "text/css; charset=utf-8", STYLE);
    reply::with_header(response, header::CACHE_CONTROL, "max-age=3600")
}

/// The language that stands first in the list; browsers sort it by preference.
pub(super) fn prefers_korean(accept_language: &str) -> bool {
    let first = accept_language.split(',').map(str::trim).find(|lang| {
        let lang = lang.to_ascii_lowercase();
        lang.starts_with("ko") || lang.starts_with("en")
    });
    first.is_some_and(|lang| lang.to_ascii_lowercase().starts_with("ko"))
}

fn render(app: &App, reader: &Principal, words: &Words) -> String {
    let mut page = String::with_capacity(4_096);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Mirador</title><link rel=\"stylesheet\" href=\"/front.css\"></head><body>\n\
         <h1>Mirador</h1>\n<p>{}</p>\n",
        words.lang, words.what
    );
    write_state(&mut page, app, words);
    if reader.is_unbound() {
        write_server(&mut page, app, words);
    }
    write_stored(&mut page, app, reader, words);
    write_grafana(&mut page, app, words);
    let objects = match app.objects.path() {
        Some(_) if reader.is_unbound() => " · <a href=\"/objects\">/objects</a>",
        _ => "",
    };
    let _ = write!(
        page,
        "<h2>{}</h2>\n<p><a href=\"ui/\">/ui/</a> · <a href=\"/metrics\">/metrics</a> · <a href=\"/ready\">/ready</a> · \
         <a href=\"/healthy\">/healthy</a> · <a href=\"/version\">/version</a>{objects}</p>\n</body></html>\n",
        words.more
    );
    page
}

fn write_state(page: &mut String, app: &App, words: &Words) {
    let state = match app.lifecycle.phase() {
        Phase::Starting => words.starting,
        Phase::Ready => words.ready,
        Phase::Stopping => words.stopping,
    };
    let uptime = uptime(app.clock.now().0.as_secs());
    let _ = writeln!(page, "<p><span class=\"state\">● {state}</span> · {} {uptime}</p>", words.up);
    let health = app.stores().map(|stores| stores.gateway.wal().health());
    if let Some(Health::Failed { reason, .. }) = health {
        let reason = escape(&reason);
        let _ = writeln!(page, "<p class=\"state bad\">● {}: {reason}</p>", words.degraded);
    }
}

fn write_server(page: &mut String, app: &App, words: &Words) {
    let addresses: Vec<String> = app.addresses.iter().map(ToString::to_string).collect();
    let wal = app.stores().map_or(0, |stores| stores.gateway.wal().size_bytes());
    let data = app.config.server.data.display().to_string();
    let _ = writeln!(page, "<h2>{}</h2>\n<table>", words.server);
    for (name, value) in [
        (words.version, VERSION.to_owned()),
        (words.listeners, addresses.join(", ")),
        (words.data, data),
        (words.taken, grouped(ingest::batches_taken())),
        (words.wal, size(wal)),
    ] {
        let _ = writeln!(page, "<tr><th>{name}</th><td>{}</td></tr>", escape(&value));
    }
    page.push_str("</table>\n");
}

/// What an engine holds of the tenants that the reader may act for.
fn stats_for(reader: &Principal, engine: &dyn Engine) -> EngineStats {
    if reader.is_unbound() {
        return engine.stats();
    }
    let mut stats = EngineStats::default();
    for status in engine.tenants().iter().filter(|status| reader.may_act_for(&status.tenant)) {
        stats.tenants += 1;
        stats.head = stats.head + status.head;
    }
    let manifests = engine.manifests();
    let own = manifests.iter().filter(|manifest| reader.may_act_for(&manifest.tenant));
    for part in own.flat_map(|manifest| &manifest.parts) {
        stats.parts += 1;
        stats.part_rows += part.rows;
        stats.part_bytes += part.bytes;
    }
    stats
}

fn write_stored(page: &mut String, app: &App, reader: &Principal, words: &Words) {
    let _ = writeln!(page, "<h2>{}</h2>", words.stored);
    let engines: Vec<(model::Signal, EngineStats)> = app
        .stores()
        .into_iter()
        .flat_map(|stores| stores.maintenance.engines())
        .map(|engine| (engine.signal(), stats_for(reader, &**engine)))
        .collect();
    if engines.is_empty() {
        let _ = writeln!(page, "<p>{}</p>", words.nothing);
        return;
    }
    let [signal, rest @ ..] = words.columns;
    let _ = write!(page, "<table>\n<tr><th>{signal}</th>");
    for column in rest {
        let _ = write!(page, "<th class=\"number\">{column}</th>");
    }
    page.push_str("</tr>\n");
    for (signal, stats) in engines {
        let _ = write!(page, "<tr><td>{}</td>", (words.signals)(signal));
        for value in [
            grouped(stats.tenants),
            grouped(stats.head.rows),
            grouped(stats.part_rows),
            size(stats.part_bytes),
        ] {
            let _ = write!(page, "<td class=\"number\">{value}</td>");
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
}

fn write_grafana(page: &mut String, app: &App, words: &Words) {
    let file = grafana_file(&app.url());
    let (title, how) = (words.grafana, words.grafana_how);
    let _ =
        writeln!(page, "<h2>{title}</h2>\n<p>{how}</p>\n<pre><code>{}</code></pre>", escape(&file));
}

/// Data sources for the APIs that Grafana's plugins of Prometheus, Loki and Tempo speak.
fn grafana_file(url: &str) -> String {
    format!(
        "apiVersion: 1\n\
         datasources:\n\
         \x20 - name: Mirador metrics\n\
         \x20   uid: mirador-metrics\n\
         \x20   type: prometheus\n\
         \x20   access: proxy\n\
         \x20   url: {url}prometheus\n\
         \x20   isDefault: true\n\
         \x20   jsonData:\n\
         \x20     httpMethod: POST\n\
         \x20     prometheusType: Prometheus\n\
         \x20 - name: Mirador logs\n\
         \x20   uid: mirador-logs\n\
         \x20   type: loki\n\
         \x20   access: proxy\n\
         \x20   url: {url}\n\
         \x20 - name: Mirador traces\n\
         \x20   uid: mirador-traces\n\
         \x20   type: tempo\n\
         \x20   access: proxy\n\
         \x20   url: {url}\n\
         \x20   jsonData:\n\
         \x20     streamingEnabled:\n\
         \x20       search: true\n\
         \x20       metrics: true\n\
         \x20     tracesToLogsV2:\n\
         \x20       datasourceUid: mirador-logs\n\
         \x20       filterByTraceID: true\n"
    )
}

/// Escapes text for HTML, so that what users named is never markup.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_that_we_speak_wins() {
        assert!(prefers_korean("ko-KR,ko;q=0.9,en-US;q=0.8"));
        assert!(prefers_korean("fr, ko"));
        assert!(!prefers_korean("en-US,ko;q=0.5"));
        assert!(!prefers_korean(""));
    }

    #[test]
    fn figures_read_well() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(12), "12");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(uptime(59), "59s");
        assert_eq!(uptime(90_061), "1d 1h");
    }

    #[test]
    fn markup_in_values_stays_text() {
        assert_eq!(escape("<img onerror=\"x\">&"), "&lt;img onerror=&quot;x&quot;&gt;&amp;");
    }
}
