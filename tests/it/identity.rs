//! Who was behind it: the views `events_by_actor`, `sessions` and `session_origins`, and what is known of addresses.

use serde_json::{Value, json};

use crate::support::World;
use crate::support::records::{envelope, record};

const ANA: &str = "arn:aws:iam::111122223333:user/ana";
const MIDDLE: &str = "arn:aws:iam::111122223333:role/middle";
const FAR: &str = "arn:aws:iam::444455556666:role/far";

fn at(number: u32, time: &str, members: Value) -> Value {
    let mut event = record(number);
    event["eventTime"] = json!(time);
    for (name, value) in members.as_object().expect("members") {
        event[name] = value.clone();
    }
    event
}

fn session_of(role: &str, account: &str, key: &str) -> Value {
    let name = role.rsplit('/').next().unwrap_or_default();
    json!({
        "type": "AssumedRole", "principalId": format!("AROA{name}:job"), "accountId": account, "accessKeyId": key,
        "arn": format!("arn:aws:sts::{account}:assumed-role/{name}/job"),
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "arn": role, "principalId": format!("AROA{name}"), "accountId": account, "userName": name},
            "attributes": {"mfaAuthenticated": "true", "creationDate": "2026-01-01T00:00:00Z"}
        }
    })
}

fn assume(number: u32, time: &str, role: &str, key: Option<&str>, members: Value) -> Value {
    let name = role.rsplit('/').next().unwrap_or_default();
    let answer = key.map(|key| {
        json!({"credentials": {"accessKeyId": key, "expiration": "Jan 2, 2026 1:00:00 AM"},
               "assumedRoleUser": {"assumedRoleId": format!("AROA{name}:job"), "arn": format!("arn:aws:sts::444455556666:assumed-role/{name}/job")}})
    });
    let mut event = at(number, time, members);
    event["eventSource"] = json!("sts.amazonaws.com");
    event["eventName"] = json!("AssumeRole");
    event["requestParameters"] = json!({"roleArn": role, "roleSessionName": "job"});
    event["responseElements"] = answer.unwrap_or(Value::Null);
    event
}

/// ana -> middle -> far, the last step between two accounts whose copies each lack something; used days later.
fn story() -> [Vec<Value>; 3] {
    let user = json!({"type": "IAMUser", "arn": ANA, "accountId": "111122223333", "userName": "ana", "accessKeyId": "AKIAANA"});
    let first = assume(1, "2026-01-01T00:00:00Z", MIDDLE, Some("ASIAMIDDLE"), json!({"userIdentity": user}));
    let ours = json!({"userIdentity": session_of(MIDDLE, "111122223333", "ASIAMIDDLE"), "sharedEventID": "shared-1"});
    let theirs = json!({
        "userIdentity": {"type": "AWSAccount", "principalId": "AROAmiddle:job", "accountId": "111122223333"},
        "sharedEventID": "shared-1", "recipientAccountId": "444455556666"
    });
    let copies = vec![
        assume(2, "2026-01-02T00:00:00Z", FAR, None, ours),
        assume(3, "2026-01-02T00:00:00Z", FAR, Some("ASIAFAR"), theirs),
    ];
    let used = |number, time, address: &str, agent: &str| {
        let identity = session_of(FAR, "444455556666", "ASIAFAR");
        let more = json!({"userIdentity": identity, "sourceIPAddress": address, "userAgent": agent, "recipientAccountId": "444455556666"});
        at(number, time, more)
    };
    let uses = vec![
        used(4, "2026-01-03T00:00:00Z", "8.8.8.8", "aws-cli/2.15.0"),
        used(5, "2026-01-03T01:00:00Z", "10.0.0.7", "Boto3/1.26 md/pacu"),
    ];
    [vec![first], copies, uses]
}

fn asked(world: &World, sql: &str, more: &[&str]) -> Vec<Value> {
    let ended = world.run(&[&["query", sql, "--lake", "lake", "-o", "ndjson"], more].concat()).expect(0);
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_chain_is_joined_over_accounts_days_and_runs_in_any_order() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let world = World::new();
        let story = story();
        for part in order {
            world.put(&format!("{part}.json"), envelope(&story[part]));
            world.ingest(&[]).expect(0);
        }
        let rows = asked(&world, "SELECT * FROM sessions WHERE session_id = 'ASIAFAR'", &[]);
        let [session] = &rows[..] else { panic!("{order:?}: {rows:?}") };
        for (column, value) in [
            ("actor_root", json!(ANA)),
            ("actor_role", json!(FAR)),
            ("parent_id", json!("ASIAMIDDLE")),
            ("session_name", json!("job")),
            ("chain_depth", json!(2)),
            ("chain", json!("111122223333:user/ana -> 111122223333:role/middle -> 444455556666:role/far")),
            ("chain_complete", json!(true)),
            ("made_at", json!("2026-01-02T00:00:00Z")),
            ("made_by", json!(MIDDLE)),
            ("first_use", json!("2026-01-03T00:00:00Z")),
            ("last_use", json!("2026-01-03T01:00:00Z")),
            ("events", json!(2)),
            ("mfa", json!(true)),
            ("addresses", json!(["10.0.0.7", "8.8.8.8"])),
            ("networks", json!(["US", "private"])),
            ("agents", json!(["aws-cli", "pacu"])),
            ("accounts", json!(["444455556666"])),
            ("regions", json!(["eu-west-1"])),
        ] {
            assert_eq!(session[column], value, "{order:?}: {column}");
        }
        let sql = "SELECT actor_root, chain_depth, count(*) AS n FROM events_by_actor GROUP BY 1, 2 ORDER BY 2, 1";
        let told: Vec<_> =
            asked(&world, sql, &[]).iter().map(|row| (row["actor_root"].clone(), row["n"].clone())).collect();
        // the foreign copy of the second call and the first call itself; then the sessions
        let account = json!("account/111122223333");
        let expected = [(account, json!(1)), (json!(ANA), json!(1)), (json!(ANA), json!(1)), (json!(ANA), json!(2))];
        assert_eq!(told, expected, "{order:?}");
    }
}

#[test]
fn a_session_that_nobody_made_says_so() {
    let world = World::new();
    let [_, copies, uses] = story();
    world.put("a.json", envelope(&[copies, uses].concat()));
    world.ingest(&[]).expect(0);
    let sql = "SELECT e.chain, e.actor_root, e.chain_depth, s.chain_complete \
               FROM events_by_actor e JOIN sessions s ON e.session_id = s.session_id AND e.chain = s.chain \
               WHERE e.session_id = 'ASIAFAR'";
    let rows = asked(&world, sql, &[]);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["chain"], "? -> 111122223333:role/middle -> 444455556666:role/far");
    assert_eq!(
        (&rows[0]["chain_complete"], &rows[0]["actor_root"], &rows[0]["chain_depth"]),
        (&json!(false), &json!(MIDDLE), &json!(2))
    );
}

#[test]
fn the_users_files_tell_of_networks() {
    let world = World::new();
    world.put("a.json", envelope(&story()[2]));
    world.ingest(&[]).expect(0);
    let sql = "SELECT source_kind, source_country, source_asn, source_org FROM events_by_actor WHERE sourceipaddress = '8.8.8.8'";
    let told = |more: &[&str]| asked(&world, sql, more)[0].clone();
    let nothing = json!({"source_kind": "internet", "source_country": "US", "source_asn": null, "source_org": null});
    assert_eq!(told(&[]), nothing);
    std::fs::write(world.path("asn.tsv"), "8.8.8.0\t8.8.8.255\t15169\tUS\tGOOGLE\n").expect("writes");
    let ranges = r#"{"prefixes":[{"ip_prefix":"8.8.8.0/24"}],"ipv6_prefixes":[]}"#;
    std::fs::write(world.path("ranges.json"), ranges).expect("writes");
    let both = told(&["--asn-db", "asn.tsv", "--aws-ip-ranges", "ranges.json"]);
    assert_eq!(
        both,
        json!({"source_kind": "aws-ip", "source_country": "US", "source_asn": 15169, "source_org": "GOOGLE"})
    );
    std::fs::write(world.path("config.toml"), "asn-db = \"asn.tsv\"\n").expect("writes");
    assert_eq!(told(&["--config", "config.toml"])["source_org"], "GOOGLE");
    let ended = world.run(&["query", sql, "--lake", "lake", "--asn-db", "ranges.json"]).expect(2);
    assert!(ended.stderr.contains("ranges.json") && ended.stderr.contains("iptoasn.com"), "{}", ended.stderr);
    let ended = world.run(&["query", sql, "--lake", "lake", "--asn-db", "nowhere.csv"]).expect(64);
    assert!(ended.stderr.contains("--asn-db") && ended.stderr.contains("nowhere.csv"), "{}", ended.stderr);
}
