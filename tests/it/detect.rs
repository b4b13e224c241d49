//! The detector's commands around a finding: explain, baseline, feedback, suppress, tune, backtest, train.

use std::sync::OnceLock;

use serde_json::Value;

use crate::support::schema::against_the_schema;
use crate::support::{Ended, World, real_data};

/// A demo of seven days whose last day has findings.
fn world() -> World {
    let world = World::new();
    world.run(&["demo", "--dir", "d", "--days", "7", "--seed", "3"]).expect(0);
    world
}

#[test]
fn findings_are_what_the_schema_says_and_nothing_else() {
    let mut all = findings(shared());
    assert_eq!(against_the_schema(&all), [""; 0]);
    // what the schema does not know, or knows otherwise, is refused
    all.truncate(1);
    let broken = [("severity", Value::from(11)), ("surprise", Value::from(1)), ("id", Value::from("x"))];
    for (name, value) in broken {
        let mut finding = all[0].clone();
        finding[name] = value;
        assert_eq!(against_the_schema(&[finding]).len(), 1, "{name}");
    }
    let mut factor = all[0].clone();
    factor["factors"][0]["more"] = Value::from(1);
    assert_eq!(against_the_schema(&[factor]).len(), 1);
}

/// One that all tests that only read share.
fn shared() -> &'static World {
    static SHARED: OnceLock<World> = OnceLock::new();
    SHARED.get_or_init(world)
}

fn findings(world: &World) -> Vec<Value> {
    let text = std::fs::read_to_string(world.path("d/findings.ndjson")).expect("findings");
    let findings: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(findings.len() >= 2, "{text}");
    findings
}

fn text<'v>(finding: &'v Value, name: &str) -> &'v str {
    finding[name].as_str().expect(name)
}

const DAY: [&str; 4] = ["--from", "2026-01-15", "--to", "2026-01-16"];

fn run(world: &World, command: &str, args: &[&str]) -> Ended {
    world.run(&[&[command], args, &["--lake", "d/lake"]].concat())
}

#[test]
fn a_finding_is_explained_and_its_replay_gives_the_same_numbers() {
    let world = shared();
    let all = findings(world);
    let first = &all[0];
    let ended = run(world, "explain", &[text(first, "id"), "--replay"]).expect(0);
    for word in ["baseline", "share", "next", "contain: ", "replayed: the same finding, number by number"] {
        assert!(ended.stdout.contains(word), "{word}: {}", ended.stdout);
    }
    // a story of many calls was told when it reached the bar of that run; a replay has none
    for finding in all.iter().skip(1).take(4) {
        let ended = run(world, "explain", &[text(finding, "id"), "--replay"]).expect(0);
        assert!(ended.stdout.contains("number by number"), "{}", ended.stdout);
    }
    let json = run(world, "explain", &[&text(first, "id")[..12], "--json"]).expect(0);
    let again: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(&again, first);
    let shares: f64 =
        first["factors"].as_array().expect("factors").iter().filter_map(|f| f["contribution"].as_f64()).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{shares}");
    let unknown = run(world, "explain", &["ffffffffffff"]).expect(64);
    assert!(unknown.stderr.contains("no finding has the id"), "{}", unknown.stderr);
}

#[test]
fn what_is_normal_is_shown() {
    let world = shared();
    let actor = text(&findings(world)[0], "actor").to_owned();
    let ended = run(world, "baseline", &[&actor]).expect(0);
    assert!(ended.stdout.contains("active days") && ended.stdout.contains('#'), "{}", ended.stdout);
    let nobody = run(world, "baseline", &["nobody\u{1b}[31m"]).expect(0);
    assert!(nobody.stderr.contains("nothing is known") && !nobody.stderr.contains("\u{1b}[31m"), "{}", nobody.stderr);
}

#[test]
fn a_backtest_counts_alerts_and_holds_them_against_labels() {
    let world = shared();
    let first = &findings(world)[0];
    let ids = first["event_ids"].as_array().expect("events").iter().filter_map(Value::as_str);
    let named: String = ids.map(|id| format!("{id},C1\n")).collect();
    let labels = world.put("labels.csv", format!("eventID,campaign\n{named}00000000-0000-0000-0000-000000000000,C2\n"));
    let args = [&DAY[..], &["--budget", "50/day", "--labels", labels.to_str().expect("UTF-8")]].concat();
    let ended = run(world, "backtest", &args).expect(0);
    assert!(ended.stdout.contains("alerts a day over 1 days"), "{}", ended.stdout);
    assert!(ended.stdout.contains("campaigns told of: 1 of 2"), "{}", ended.stdout);
    assert!(ended.stdout.contains("recorded in the lake for these days"), "{}", ended.stdout);
    let less = run(world, "backtest", &[&args[..], &["--without", "network,user_agent"]].concat()).expect(0);
    assert!(less.stdout.contains("alerts a day over 1 days") && less.stdout != ended.stdout, "{}", less.stdout);
    let unknown = run(world, "backtest", &[&DAY[..], &["--without", "weather"]].concat()).expect(64);
    assert!(unknown.stderr.contains("there are network, country"), "{}", unknown.stderr);
    run(world, "backtest", &[&DAY[..], &["--budget", "5/fortnight"]].concat()).expect(64);
    let nothing = world.put("nothing.csv", "a,b\n1,2\n");
    run(world, "backtest", &[&DAY[..], &["--labels", nothing.to_str().expect("UTF-8")]].concat()).expect(64);
}

/// Five days of one account, nine tenths of it AWS itself, are all the past there is: the thief, who was refused, gave
/// himself rights and made a second key, comes before the owner's own set-up and downloads.
#[test]
fn in_a_new_lake_the_stolen_key_comes_first() {
    let Some(logs) = real_data("ransomware-lab") else { return };
    let world = World::new();
    world.run(&["ingest", &logs.to_string_lossy(), "--lake", "d/lake"]).expect(0);
    let range = ["--from", "2021-07-28", "--to", "2021-08-02", "-o", "ndjson"];
    let first = |bar: [&str; 2]| -> Value {
        let found = run(&world, "detect", &[&range[..], &bar].concat()).expect(0);
        serde_json::from_str(found.stdout.lines().next().expect("a finding")).expect("JSON")
    };
    for (bar, time) in [(["--min-score", "3"], "13:06:49"), (["--budget", "5/day"], "13:12:25")] {
        let first = first(bar);
        assert!(text(&first, "actor").ends_with(":user/jmerckle"), "{first}");
        assert_eq!(text(&first, "time"), format!("2021-07-29T{time}Z"), "PutUserPolicy was called at 13:06:49");
        assert_eq!(first["factors"][0]["feature"], "denied_then_allowed");
    }
}

/// An hour of one account: what Terraform set up is no finding, what was done with it is.
#[test]
fn in_a_new_lake_attacks_come_before_what_was_set_up_for_them() {
    let Some(logs) = real_data("stratus-simulation") else { return };
    let world = World::new();
    world.run(&["ingest", &logs.to_string_lossy(), "--lake", "d/lake"]).expect(0);
    let range = ["--from", "2023-07-10", "--to", "2023-07-11", "-o", "ndjson"];
    let found = run(&world, "detect", &range).expect(0);
    let first: Value = serde_json::from_str(found.stdout.lines().next().expect("a finding")).expect("JSON");
    assert!(text(&first, "actor").ends_with(":user/bert-jan"), "{first}");
    let of = |agent: &str| {
        let sql = text(&first, "sql").split(" ORDER BY").next().expect("SQL").to_owned();
        let sql = format!("SELECT count(*) AS n FROM ({sql}) WHERE useragent LIKE '%{agent}%'");
        let count = run(&world, "query", &[&sql, "-o", "csv"]).expect(0).stdout;
        count.lines().nth(1).and_then(|line| line.parse::<u64>().ok()).expect("a count")
    };
    // what a rule names is evidence whoever did it: Terraform deleted a trail, too
    let (attacks, setting_up) = (of("stratus-red-team"), of("Terraform"));
    assert!(attacks > 80 && setting_up * 5 < attacks, "{attacks} and {setting_up}");
}

#[test]
fn training_again_finds_nothing_to_do() {
    let world = shared();
    let ended = run(world, "train", &[]).expect(0);
    assert!(ended.stderr.contains("0 of 7 dates counted anew"), "{}", ended.stderr);
}

/// Of each day there are more different calls than so little memory holds.
#[test]
fn what_does_not_fit_in_memory_is_forgotten_alike_by_any_number_of_threads_and_told() {
    let world = world();
    let train = |threads: &str, memory: &str| {
        let args = ["--anew", "--threads", threads, "--memory-limit", memory, "--report", "r.json"];
        let ended = run(&world, "train", &args).expect(0);
        let report: Value =
            serde_json::from_slice(&std::fs::read(world.path("r.json")).expect("a report")).expect("JSON");
        assert_eq!(report["dates_updated"], 7, "{report}");
        let sql = "SELECT * FROM baselines ORDER BY event_date, actor, account, feature, value, events";
        (ended.stderr, report["limits"].clone(), run(&world, "query", &[sql, "-o", "csv"]).expect(0).stdout)
    };
    let (whole_words, nothing, whole) = train("1", "512MiB");
    assert!(!whole_words.contains("--memory-limit") && nothing == serde_json::json!({}), "{nothing}");
    let (words, limits, once) = train("1", "1MiB");
    assert!(words.contains("without what they are about"), "{words}");
    assert!(limits["2026-01-15"].as_str().is_some_and(|told| told.contains("--memory-limit")), "{limits}");
    let (_, again_limits, again) = train("2", "1MiB");
    assert!(once == again && limits == again_limits);
    assert!(once.lines().count() < whole.lines().count());
}

#[test]
fn suppressions_are_governed_and_never_hide_what_was_confirmed() {
    let world = world();
    let all = findings(&world);
    let (first, second) = (&all[0], &all[1]);
    let told = |world: &World| {
        let ended = run(world, "detect", &[&DAY[..], &["-o", "ndjson"]].concat()).expect(0);
        ended.stdout.lines().count()
    };
    let before = told(&world);
    let scope = |finding: &Value| ["--actor".to_owned(), text(finding, "actor").to_owned()];
    let add = |finding: &Value, expires: &str, code: i32| {
        let scope = scope(finding);
        let args = ["add", &scope[0], &scope[1], "--owner", "ana", "--reason", "planned", "--expires", expires];
        run(&world, "suppress", &args).expect(code)
    };
    run(&world, "feedback", &[text(first, "id"), "true-positive", "--by", "ana"]).expect(0);
    assert!(add(first, "2099-01-01", 64).stderr.contains("confirmed"));
    add(second, "2000-01-01", 64);
    // it holds from now on, and the demo's findings are older: nothing of the past is hidden
    let id = add(second, "2099-01-01", 0).stdout.trim().to_owned();
    assert_eq!(told(&world), before);
    let listed = run(&world, "suppress", &["list"]).expect(0);
    assert!(listed.stdout.contains(&id) && listed.stdout.contains("holds"), "{}", listed.stdout);
    run(&world, "suppress", &["remove", &id]).expect(0);
    run(&world, "suppress", &["remove", &id]).expect(64);
    let kept = world.path("d/lake/governance/suppressions.json");
    std::fs::write(&kept, "{broken").expect("written");
    let ended = run(&world, "detect", &[&DAY[..], &["-o", "ndjson"]].concat()).expect(2);
    assert!(ended.stderr.contains("suppressions.json") && ended.stdout.lines().count() == before, "{}", ended.stderr);
    std::fs::write(&kept, "[]").expect("written");
    let none = run(&world, "tune", &[]).expect(0);
    assert!(none.stderr.contains("nothing to propose"), "{}", none.stderr);
}
