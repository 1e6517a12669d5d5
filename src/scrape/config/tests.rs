//! Configurations by the cases of `cases/config.txt`, which says how they are written.

use super::*;

const CASES: &str = include_str!("../cases/config.txt");

/// What a configuration says of its jobs, one line each.
fn jobs_text(config: &Config) -> String {
    let line = |job: &Arc<Job>| {
        let protocols: Vec<&str> = job.protocols.iter().map(|one| one.name()).collect();
        let kinds: Vec<&str> = job.discoveries.iter().map(|one| one.kind()).collect();
        let pages = &job.pages;
        format!(
            "{} every {} within {} {}{} of {} by {} as {}; samples {} body {} targets {}\n",
            job.name,
            job.interval,
            job.timeout,
            job.scheme,
            job.metrics_path,
            kinds.join("+"),
            protocols.join("+"),
            job.escaping,
            pages.sample_limit,
            job.body_size_limit,
            job.target_limit,
        )
    };
    config.jobs.iter().map(line).collect()
}

/// What a configuration sends on, one line for each destination.
fn remote_write_text(config: &Config) -> String {
    let line = |one: &RemoteWrite| {
        let queue = &one.queue;
        let mut text = format!(
            "{} {} {:?} within {}; queue {} shards {} to {} of {};",
            one.name,
            one.url,
            one.version,
            one.timeout,
            queue.capacity,
            queue.min_shards,
            queue.max_shards,
            queue.max_samples_per_send,
        );
        for (is_so, word) in [
            (!one.relabel.is_empty(), " relabeled".to_owned()),
            (one.send_exemplars, " exemplars".to_owned()),
            (one.send_native_histograms, " histograms".to_owned()),
            (queue.retry_on_http_429, " 429".to_owned()),
            (queue.sample_age_limit.ms > 0, format!(" not older than {}", queue.sample_age_limit)),
            (!one.headers.is_empty(), " headers".to_owned()),
        ] {
            text.push_str(if is_so { &word } else { "" });
        }
        text.trim_end_matches(';').to_owned() + "\n"
    };
    config.remote_write.iter().map(line).collect()
}

fn warnings_text(config: &Config) -> String {
    config.warnings.iter().map(|warning| format!("{warning}\n")).collect()
}

fn check(outcome: &Result<Config, yaml::Error>, word: &str, body: &str, place: &str) {
    let config = || outcome.as_ref().unwrap_or_else(|error| panic!("{place}: {error}"));
    match word {
        "jobs" => assert_eq!(jobs_text(config()).trim_end(), body, "{place}"),
        "remote_write" => {
            assert_eq!(remote_write_text(config()).trim_end(), body, "{place}");
        }
        "warnings" => assert_eq!(warnings_text(config()).trim_end(), body, "{place}"),
        "refused" => {
            let error = outcome.as_ref().err().unwrap_or_else(|| panic!("{place}: accepted"));
            assert_eq!(error.to_string(), body, "{place}");
        }
        _ => panic!("{place}: {word:?} is no step"),
    }
}

#[test]
fn cases() {
    let mut outcome = None;
    let mut steps: Vec<(&str, String, usize)> = Vec::new();
    for (index, line) in CASES.lines().enumerate() {
        if let Some(word) = line.strip_prefix("--- ") {
            steps.push((word, String::new(), index + 1));
        } else if line.starts_with("=== ") {
            steps.push(("", String::new(), index + 1));
        } else if let Some((_, body, _)) = steps.last_mut() {
            body.push_str(line);
            body.push('\n');
        }
    }
    let place = Place::new(Path::new("prom.yml"));
    for (word, body, line) in steps {
        // A blank line stands before the next case.
        let body = body.trim_end().to_owned();
        match word {
            "" => outcome = None,
            "config" => outcome = Some(Config::read(&body, &place).map(|(config, _)| config)),
            word => {
                let outcome = outcome.as_ref().expect("a case begins with a configuration");
                check(outcome, word, &body, &format!("cases/config.txt:{line}"));
            }
        }
    }
}

/// Writes files into a folder of their own.
fn folder(files: &[(&str, &str)]) -> PathBuf {
    use platform::{Disk, Random};
    let name = format!("mirador-scrape-{:x}", platform::OsRandom.next_u64());
    let folder = std::env::temp_dir().join(name);
    let disk = platform::RealDisk::open(&folder).unwrap();
    for (name, text) in files {
        disk.replace(name, text.as_bytes()).unwrap();
    }
    folder
}

fn load(files: &[(&str, &str)]) -> Result<Config, String> {
    let folder = folder(files);
    let shown = folder.display().to_string();
    let outcome = Config::load(&folder.join("prometheus.yml"));
    outcome.map_err(|error| error.to_string().replace(&shown, "DIR"))
}

#[test]
fn jobs_of_other_files_are_added() {
    let main = "global: {scrape_interval: 20s}\nscrape_config_files: [jobs_*.yml]\n\
                scrape_configs: [{job_name: a}]\nrule_files: [rules/*.yml]\n";
    let one = ("jobs_1.yml", "scrape_configs:\n- job_name: b\n- job_name: c\n");
    let config = load(&[("prometheus.yml", main), one]).unwrap();
    let jobs: Vec<String> =
        config.jobs.iter().map(|job| format!("{} {}", job.name, job.interval)).collect();
    assert_eq!(jobs, ["a 20s", "b 20s", "c 20s"]);
    assert!(config.rule_files[0].is_absolute() && config.rule_files[0].ends_with("rules/*.yml"));

    let again = ("jobs_2.yml", "scrape_configs:\n- job_name: d\n- job_name: b\n");
    assert_eq!(
        load(&[("prometheus.yml", main), one, again]).unwrap_err(),
        "DIR/jobs_2.yml, line 3: found multiple scrape configs with job name \"b\", first found in \
         \"DIR/jobs_1.yml\""
    );
    let unknown = ("jobs_1.yml", "global: {}\n");
    assert!(load(&[("prometheus.yml", main), unknown]).unwrap_err().contains("`global` is not"));
    assert!(load(&[]).unwrap_err().starts_with("can't read DIR/prometheus.yml: "));
}

#[test]
fn a_job_is_the_same_only_with_the_same_secrets_and_defaults() {
    let read = |text: &str| Config::read(text, &Place::new(Path::new("p.yml"))).unwrap().0;
    let job = |text: &str| read(text).jobs[0].fingerprint.clone();
    let with = |password: &str, interval: &str| {
        job(&format!(
            "global: {{scrape_interval: {interval}}}\nscrape_configs:\n- job_name: a\n  \
             basic_auth: {{username: u, password: {password}}}\n"
        ))
    };
    assert_eq!(with("x", "10s"), with("x", "10s"));
    assert_ne!(with("x", "10s"), with("y", "10s"));
    assert_ne!(with("x", "10s"), with("x", "11s"));
    let shown =
        read("scrape_configs:\n- job_name: a\n  basic_auth: {username: u, password: pass}\n");
    assert!(!shown.text.contains("pass\n") && shown.text.contains("<secret>"), "{}", shown.text);
}

#[test]
fn jobs_that_stand_elsewhere_are_added_all_or_none() {
    let mut config = load(&[("prometheus.yml", "scrape_configs: [{job_name: a}]")]).unwrap();
    let nodes = Node::parse("[{job_name: b},\n {job_name: c},\n {job_name: a},\n {job_name: d}]");
    let nodes = nodes.unwrap();
    let [b, c, a, d] = nodes.items().unwrap() else { panic!("four") };
    let mut add = |jobs: &[&Node]| {
        let outcome = config.add_jobs(Path::new("o.yml"), jobs, None);
        let names: Vec<_> = config.jobs.iter().map(|job| job.name.clone()).collect();
        (outcome.map_err(|error| error.to_string()), names.join(" "))
    };
    assert_eq!(add(&[b, c]), (Ok(Vec::new()), "a b c".to_owned()));
    let twice = "line 3: found multiple scrape configs with job name \"a\"".to_owned();
    assert_eq!(add(&[a]), (Err(twice), "a b c".to_owned()));
    let both = "line 4: found multiple scrape configs with job name \"d\"".to_owned();
    assert_eq!(add(&[d, d]), (Err(both), "a b c".to_owned()));
}

#[test]
fn a_kubeconfig_says_how_a_cluster_is_reached() {
    let kubeconfig = "current-context: a\ncontexts: [{name: a, context: {cluster: c, namespace: shop}}]\n\
                      clusters: [{name: c, cluster: {server: 'https://k.test'}}]\n";
    let with = |fields: &str| {
        let main = format!(
            "scrape_configs:\n- job_name: a\n  kubernetes_sd_configs: [{{role: pod, kubeconfig_file: k.yml{fields}}}]\n"
        );
        load(&[("prometheus.yml", &main), ("k.yml", kubeconfig)])
    };
    let config = with(", namespaces: {own_namespace: true}").unwrap();
    let shown = format!("{:?}", config.jobs[0].discoveries[0]);
    assert!(shown.contains("https://k.test") && shown.contains("[\"shop\"]"), "{shown}");
    assert!(config.warnings.is_empty());
    assert!(with(", api_server: 'http://x'").unwrap_err().contains("leave out api_server"));
    let missing = "scrape_configs: [{job_name: a, kubernetes_sd_configs: [{role: pod, kubeconfig_file: no.yml}]}]";
    let error = load(&[("prometheus.yml", missing)]).unwrap_err();
    assert!(error.contains("line 1: kubeconfig_file: DIR/no.yml: "), "{error}");
}
