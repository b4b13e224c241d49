//! `trailhound investigate`: the story of a subject, in every form, and what it says where there is none.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::records::{envelope, record};
use crate::support::suspects;
use crate::support::{World, real_data};

const ANA: &str = "arn:aws:iam::111122223333:user/ana";
const ROLE: &str = "arn:aws:iam::111122223333:role/admin";

/// What a name in a log may try: a terminal, a page, a spreadsheet.
const HOSTILE: &str = "=cmd|'/c calc'!A1<script>document.title='owned'</script><img src=x onerror=document.title='owned'>\u{1b}[31m\u{202e}";

fn call(number: u32, time: &str, source: &str, name: &str, members: Value) -> Value {
    let mut event = record(number);
    event["eventTime"] = json!(time);
    event["eventSource"] = json!(format!("{source}.amazonaws.com"));
    event["eventName"] = json!(name);
    event["readOnly"] = json!(name.starts_with("Get") || name.starts_with("List") || name.starts_with("AssumeRole"));
    for (name, value) in members.as_object().expect("members") {
        event[name] = value.clone();
    }
    event
}

fn admin(key: &str) -> Value {
    json!({
        "type": "AssumedRole", "principalId": "AROAADMIN:job", "accountId": "111122223333", "accessKeyId": key,
        "arn": "arn:aws:sts::111122223333:assumed-role/admin/job",
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": ROLE, "principalId": "AROAADMIN", "userName": "admin"},
                           "attributes": {"mfaAuthenticated": "false", "creationDate": "2026-01-10T10:00:00Z"}}
    })
}

/// A week of ordinary life, then: ana's key takes a role from a new network, is refused, finds a way, and leaves a key.
fn attack() -> Vec<Value> {
    let mut events: Vec<Value> = (0..7)
        .map(|day| call(day, &format!("2026-01-0{}T09:00:00Z", day + 1), "s3", "ListBuckets", json!({})))
        .collect();
    let away = |more: Value| {
        let mut members = json!({"sourceIPAddress": "8.8.8.8", "userAgent": "Boto3/1.26 Pacu/1.5"});
        more.as_object().expect("members").iter().for_each(|(name, value)| members[name] = value.clone());
        members
    };
    let answer =
        json!({"credentials": {"accessKeyId": "ASIAADMIN"}, "assumedRoleUser": {"assumedRoleId": "AROAADMIN:job"}});
    events.extend([
        call(100, "2026-01-10T10:00:00Z", "sts", "AssumeRole", away(json!({
            "requestParameters": {"roleArn": ROLE, "roleSessionName": "job"}, "responseElements": answer}))),
        call(101, "2026-01-10T10:01:00Z", "iam", "CreateAccessKey", away(json!({"userIdentity": admin("ASIAADMIN"),
            "errorCode": "AccessDenied", "errorMessage": "User: x is not authorized to perform: iam:CreateAccessKey because no identity-based policy allows the iam:CreateAccessKey action",
            "requestParameters": {"userName": HOSTILE}}))),
        call(102, "2026-01-10T10:02:00Z", "iam", "AttachRolePolicy", away(json!({"userIdentity": admin("ASIAADMIN"),
            "requestParameters": {"roleName": "admin", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}}))),
        call(103, "2026-01-10T10:03:00Z", "iam", "CreateAccessKey", away(json!({"userIdentity": admin("ASIAADMIN"),
            "requestParameters": {"userName": HOSTILE},
            "responseElements": {"accessKey": {"accessKeyId": "AKIALEFT", "userName": HOSTILE}}}))),
        call(104, "2026-01-10T10:04:00Z", "s3", "GetObject", away(json!({"userIdentity": admin("ASIAADMIN"),
            "requestParameters": {"bucketName": "payroll", "key": "2026.csv"}, "managementEvent": false, "eventCategory": "Data",
            "additionalEventData": {"bytesTransferredOut": 4096.0}}))),
        call(105, "2026-01-10T11:00:00Z", "s3", "ListBuckets", json!({"sourceIPAddress": "8.8.8.8", "userIdentity": {
            "type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/eve", "accountId": "111122223333", "accessKeyId": "AKIALEFT", "userName": "eve"}})),
    ]);
    events
}

fn world() -> World {
    let world = World::new();
    world.put("a.json", envelope(&attack()));
    world.ingest(&[]).expect(0);
    world
}

fn told(world: &World, args: &[&str]) -> Value {
    let all = [&["investigate", "--lake", "lake", "-o", "json"], args].concat();
    serde_json::from_str(&world.run(&all).expect(0).stdout).expect("JSON")
}

fn column<'v>(found: &'v Value, section: &str, name: &str) -> Vec<&'v Value> {
    found["sections"][section].as_array().expect("a section").iter().map(|row| &row[name]).collect()
}

#[test]
fn a_key_has_its_story() {
    let world = world();
    let found = told(&world, &["--key", "ASIAADMIN"]);
    assert_eq!(column(&found, "sessions", "session"), ["AKIAEXAMPLE", "ASIAADMIN", "AKIALEFT"]);
    assert_eq!(column(&found, "sessions", "relation"), ["before", "subject", "after"]);
    assert_eq!(column(&found, "sessions", "depth"), [0, 1, 2]);
    let apis = ["iam:CreateAccessKey", "iam:AttachRolePolicy", "iam:CreateAccessKey", "s3:GetObject", "s3:ListBuckets"];
    assert_eq!(column(&found, "timeline", "api"), apis);
    let reasons = column(&found, "timeline", "reasons");
    assert_eq!(reasons[0].as_array().expect("reasons")[..2], ["tried: persistence", "denied"]);
    assert_eq!(reasons[1][0], "privilege escalation");
    let new = column(&found, "first-seen", "value");
    for value in ["iam:CreateAccessKey", "8.8.8.0/24", "pacu"] {
        assert!(new.contains(&&json!(value)), "{value}: {new:?}");
    }
    assert_eq!(column(&found, "denied-then-allowed", "eventname"), ["CreateAccessKey"]);
    assert_eq!(column(&found, "persistence", "resource"), ["AKIALEFT", "admin"]);
    assert_eq!(column(&found, "data", "bytes"), [4096]);
    assert_eq!(column(&found, "data", "store"), ["payroll"]);
    // from the same address, with the same attack program, with the same version of the usual one
    assert_eq!(column(&found, "others", "actor"), [ANA; 3]);
    assert_eq!(column(&found, "others", "shared"), ["address", "agent", "agent"]);
    assert!(found["facts"]["Who was behind it"].as_str().expect("a fact").starts_with(&format!("{ANA} (4)")));
}

#[test]
fn every_subject_finds_the_same_attack() {
    let world = world();
    for (subject, expected) in [
        (["--ip", "8.8.8.8"], 6),
        (["--actor", "ana"], 6),
        (["--actor", ANA], 6),
        (["--role", "admin"], 5),
        (["--role", ROLE], 5),
        (["--resource", "arn:aws:s3:::payroll"], 1),
        (["--resource", "arn:aws:s3:::payroll/2026.csv"], 1),
        (["--event", "00000000-0000-4000-8000-000000000067"], 4),
    ] {
        let found = told(&world, &subject);
        let counted: i64 = column(&found, "calls", "events").iter().filter_map(|count| count.as_i64()).sum();
        let from_the_attack = found["facts"]["First and last"].as_str().expect("a fact").contains("2026-01-10");
        assert!(from_the_attack && counted >= expected, "{subject:?}: {counted}\n{found:#}");
    }
    let found = told(&world, &["--event", "00000000-0000-4000-8000-000000000067"]);
    let marked = found["sections"]["timeline"].as_array().expect("rows");
    let marked = marked.iter().find(|row| row["reasons"][0] == "the event asked about").expect("is marked");
    assert_eq!(marked["event_id"], "00000000-0000-4000-8000-000000000067");
}

#[test]
fn a_finding_is_the_beginning_of_a_story() {
    let world = World::new();
    world.put("a.json.gz", suspects::object());
    world.ingest(&[]).expect(0);
    let args = ["detect", "--lake", "lake", "--to", "2026-02-01", "--from", "2026-01-01", "-o", "ndjson"];
    let findings = world.run(&args).expect(0).stdout;
    let finding: Value = serde_json::from_str(findings.lines().next().expect("a finding")).expect("JSON");
    let id = finding["id"].as_str().expect("an id");
    let found = told(&world, &["--finding", &id[..id.len() - 1]]);
    assert_eq!(found["facts"]["Finding"], finding["title"]);
    assert!(!found["sections"]["timeline"].as_array().expect("rows").is_empty());
}

#[test]
fn where_there_is_nothing_the_answer_helps() {
    let world = world();
    for (subject, words) in [
        (
            &["--key", "ASIANOBODY"][..],
            "Nothing is known of the access key ASIANOBODY. The lake has 13 events of 1 accounts from 2026-01-01",
        ),
        (&["--key", "ASIAADMIM"], "Spelt alike: ASIAADMIN"),
        (&["--ip", "203.0.113.9"], "Nothing is known of the address"),
        (&["--actor", "anna"], "Nothing is known of the identity anna"),
        (&["--actor", "an"], "Spelt alike: "),
        (&["--role", "nobody"], "Nothing is known of the role"),
        (&["--resource", "arn:aws:s3:::nowhere"], "Nothing is known of the resource"),
        (&["--event", "' OR 1=1 --"], "Nothing is known of the event"),
        (&["--finding", "none"], "`trailhound query latest-findings` lists findings"),
        (&["--key", "ASIAADMIN", "--from", "2027-01-01", "--to", "2027-01-02"], "ask for that with --from and --to"),
        (&["--key", HOSTILE], "Nothing is known"),
    ] {
        for output in ["table", "json", "html"] {
            let ended = world.run(&[&["investigate", "--lake", "lake", "-o", output], subject].concat()).expect(0);
            let words = if output == "html" { words.replace('\'', "&#39;") } else { words.to_owned() };
            assert!(ended.stdout.contains(&words), "{subject:?} {output}: {}", ended.stdout);
            assert_inert(&ended.stdout);
        }
    }
    let csv = world.run(&["investigate", "--lake", "lake", "-o", "csv", "--key", "ASIANOBODY"]).expect(0);
    assert!(csv.stdout.is_empty() && csv.stderr.contains("Nothing is known"), "{}", csv.stderr);
    world.run(&["investigate", "--lake", "lake", "--key", ""]).expect(64);
    world.run(&["investigate", "--lake", "lake"]).expect(64);
    world.run(&["investigate", "--lake", "lake", "--key", "A", "--ip", "B"]).expect(64);
    world
        .run(&["investigate", "--lake", "lake", "--key", "ASIAADMIN", "--from", "2026-02-01", "--to", "2026-01-01"])
        .expect(64);
}

#[test]
fn an_empty_lake_says_so() {
    let world = World::new();
    world.put("a.json", "{\"Records\":[]}");
    world.ingest(&[]).expect(0);
    for subject in ["--key", "--ip", "--actor", "--role", "--resource", "--event", "--finding"] {
        let ended = world.run(&["investigate", "--lake", "lake", subject, "x"]).expect(0);
        assert!(ended.stdout.contains("The lake has no events yet"), "{subject}: {}", ended.stdout);
    }
}

/// Nothing acts on a terminal, and nothing on a page.
fn assert_inert(text: &str) {
    for c in ['\u{1b}', '\u{202e}', '\u{9b}'] {
        assert!(!text.contains(c), "{c:?} in {text}");
    }
}

#[test]
fn hostile_text_is_inert_in_every_form() {
    let world = world();
    let run = |more: &[&str]| {
        let stdout =
            world.run(&[&["investigate", "--lake", "lake", "--key", "ASIAADMIN"], more].concat()).expect(0).stdout;
        assert_inert(&stdout);
        assert!(stdout.contains("cmd|"), "the text itself is told");
        stdout
    };
    run(&["-o", "table"]);
    run(&["-o", "json"]);
    let html = run(&["-o", "html"]);
    assert!(!html.contains("<script") && !html.contains("<img"), "markup of a log");
    assert!(html.contains("&lt;script&gt;"));
    let csv = run(&["-o", "csv"]);
    assert!(!csv.contains(",=cmd") && !csv.contains("\n=cmd") && csv.contains("'=cmd"), "{csv}");
}

#[test]
fn one_section_can_be_had_alone() {
    let world = world();
    let args = ["investigate", "--lake", "lake", "--key", "ASIAADMIN", "--section", "persistence"];
    let csv = world.run(&[&args[..], &["-o", "csv"]].concat()).expect(0).stdout;
    assert!(csv.starts_with("done,kind,eventtime,") && csv.contains("deactivate it"), "{csv}");
    let json = world.run(&[&args[..], &["-o", "json"]].concat()).expect(0).stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["sections"].as_object().expect("sections").len(), 1);
    let ended = world.run(&["investigate", "--lake", "lake", "--key", "A", "--section", "nonsense"]).expect(64);
    assert!(ended.stderr.contains("timeline"), "{}", ended.stderr);
}

/// The browser, where there is one.
fn browser() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    });
    if found.is_none() {
        eprintln!("SKIPPED: no Chromium is here; on Debian: apt-get install chromium");
    }
    found
}

fn browse(browser: &str, home: &Path, args: &[&str], page: &Path) -> String {
    let mut command = Command::new(browser);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--window-size=1300,2000",
    ]);
    command.arg(format!("--user-data-dir={}", home.join("profile").display())).args(args);
    let output =
        command.env("HOME", home).arg(format!("file://{}", page.display())).output().expect("the browser starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_browser_shows_the_page_and_runs_nothing() {
    let Some(browser) = browser() else { return };
    let world = world();
    world
        .run(&["investigate", "--lake", "lake", "--key", "ASIAADMIN", "-o", "html", "--to-file", "story.html"])
        .expect(0);
    let page = world.path("story.html");
    let dom = browse(browser, &world.path("home"), &["--dump-dom"], &page);
    // what a script of the log would have changed
    assert!(dom.contains("<title>Investigation of the access key ASIAADMIN</title>"), "{dom}");
    assert!(!dom.contains("<script") && !dom.contains("<img"), "{dom}");
    for part in
        ["<svg", "role=\"img\"", "<caption>", "sessions-figure", "timeline-figure", "activity-figure", "AKIALEFT"]
    {
        assert!(dom.contains(part), "{part}");
    }
    let shot = world.path("shot.png");
    browse(browser, &world.path("home"), &[&format!("--screenshot={}", shot.display())], &page);
    let empty = world.path("empty.html");
    std::fs::write(&empty, "<!DOCTYPE html><title>x</title>").expect("writes");
    let blank = world.path("blank.png");
    browse(browser, &world.path("home"), &[&format!("--screenshot={}", blank.display())], &empty);
    let size = |path: &Path| std::fs::metadata(path).expect("a picture").len();
    assert!(size(&shot) > 4 * size(&blank), "{} against {} bytes", size(&shot), size(&blank));
    let paper = world.path("story.pdf");
    browse(browser, &world.path("home"), &[&format!("--print-to-pdf={}", paper.display())], &page);
    assert!(std::fs::read(&paper).expect("a PDF").starts_with(b"%PDF"));
}

#[test]
fn a_policy_covers_what_was_used_and_no_more() {
    let world = world();
    let run = |args: &[&str]| world.run(&[&["policy", "--lake", "lake"], args].concat());
    let policy: Value = serde_json::from_str(&run(&["ana"]).expect(0).stdout).expect("JSON");
    let statements = policy["Statement"].as_array().expect("statements");
    let actions: Vec<&str> =
        statements.iter().flat_map(|s| s["Action"].as_array().expect("actions")).filter_map(Value::as_str).collect();
    // ListBuckets is s3:ListAllMyBuckets to IAM; what its sessions did is ana's
    for action in
        ["s3:ListAllMyBuckets", "sts:AssumeRole", "iam:AttachRolePolicy", "iam:CreateAccessKey", "s3:GetObject"]
    {
        assert!(actions.contains(&action), "{action}: {actions:?}");
    }
    assert!(!actions.contains(&"s3:ListBuckets"));
    let objects = statements.iter().find(|s| s["Action"] == json!(["s3:GetObject"])).expect("a statement");
    assert_eq!(objects["Resource"], json!(["arn:aws:s3:::payroll/*"]));
    let granted = r#"{"Statement":[{"Effect":"Allow","Action":["s3:*","ec2:RunInstances"],"Resource":"*"}]}"#;
    std::fs::write(world.path("granted.json"), granted).expect("writes");
    let csv = run(&["ana", "--granted", "granted.json", "-o", "csv"]).expect(0).stdout;
    for line in [
        "s3:GetObject,1,",
        "s3:*,\"used, granted by a pattern\"",
        "iam:AttachRolePolicy,1,",
        "ec2:RunInstances,0,,,ec2:RunInstances,\"granted, never used\"",
    ] {
        assert!(csv.contains(line), "{line}: {csv}");
    }
    let ended = run(&["nobody"]).expect(0);
    assert!(ended.stderr.contains("Nothing is known of the identity nobody"), "{}", ended.stderr);
    std::fs::write(world.path("granted.json"), "{}").expect("writes");
    assert!(run(&["ana", "--granted", "granted.json"]).expect(64).stderr.contains("no IAM policy document"));
}

#[test]
fn every_denial_has_its_reason() {
    let world = World::new();
    let message = |rest: &str| {
        format!(
            "User: arn:aws:sts::1:assumed-role/a/b is not authorized to perform: ec2:RunInstances on resource: * {rest}"
        )
    };
    let cases = [
        (
            "with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-1/service_control_policy/p-1",
            "SCP,explicit",
        ),
        ("with an explicit deny in a resource control policy", "RCP,explicit"),
        ("with an explicit deny in a permissions boundary", "permission boundary,explicit"),
        ("with an explicit deny in a VPC endpoint policy", "VPC endpoint policy,explicit"),
        ("with an explicit deny in a session policy", "session policy,explicit"),
        ("with an explicit deny in a resource-based policy", "resource policy,explicit"),
        ("with an explicit deny in an identity-based policy", "identity policy,explicit"),
        ("with an explicit deny in the role trust policy", "role trust policy,explicit"),
        ("because no service control policy allows the ec2:RunInstances action", "SCP,implicit"),
        ("because no permissions boundary allows the ec2:RunInstances action", "permission boundary,implicit"),
        ("because no session policy allows the ec2:RunInstances action", "session policy,implicit"),
        ("because no identity-based policy allows the ec2:RunInstances action", "identity policy,implicit"),
        ("Encoded authorization failure message: abc", "encoded: aws sts decode-authorization-message,not said"),
        ("", "not said,not said"),
    ];
    let events = cases.iter().zip(0..).map(|((text, _), number)| {
        let code = json!({"errorCode": "Client.UnauthorizedOperation", "errorMessage": message(text)});
        call(number, "2026-01-01T00:00:00Z", "ec2", "RunInstances", code)
    });
    world.put("a.json", envelope(&events.collect::<Vec<_>>()));
    world.ingest(&[]).expect(0);
    let csv = world.run(&["query", "denied", "--lake", "lake", "-o", "csv"]).expect(0).stdout;
    for (_, reason) in cases {
        assert!(csv.contains(&format!("ec2:RunInstances,{reason},1,")), "{reason}: {csv}");
    }
    assert!(csv.contains("arn:aws:organizations::1:policy/o-1/service_control_policy/p-1"), "{csv}");
}

/// The lab's ransomware attack: a stolen key is refused, its user gives itself rights, and leaves a second key.
#[test]
fn a_real_attack_is_told() {
    let Some(logs) = real_data("ransomware-lab") else { return };
    let world = World::new();
    world.run(&["ingest", &logs.to_string_lossy(), "--lake", "lake"]).expect(0);
    let found = told(&world, &["--actor", "jmerckle"]);
    assert_eq!(column(&found, "sessions", "session"), ["AKIAU7JNXC7K7XNL3F6J", "AKIAU7JNXC7KZLY6XYHJ"]);
    let story: Vec<(&str, &str)> = found["sections"]["timeline"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| (row["api"].as_str().expect("an API"), row["reasons"][0].as_str().expect("a reason")))
        .collect();
    let expected = [
        ("sts:GetCallerIdentity", "first use of AKIAU7JNXC7K7XNL3F6J"),
        ("s3:ListBuckets", "denied"),
        ("ec2:DescribeInstances", "denied"),
        ("lambda:ListFunctions20150331", "denied"),
        ("logs:DescribeLogGroups", "denied"),
        ("iam:PutUserPolicy", "privilege escalation"),
        ("iam:CreateAccessKey", "persistence"),
        ("sts:GetCallerIdentity", "first use of AKIAU7JNXC7KZLY6XYHJ"),
    ];
    assert_eq!(story, expected);
    assert_eq!(column(&found, "denied-then-allowed", "eventname"), ["ListBuckets", "DescribeInstances"]);
    assert_eq!(column(&found, "persistence", "resource"), ["AKIAU7JNXC7KZLY6XYHJ", "jmerckle"]);
}
