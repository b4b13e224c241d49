//! The files of `docker/` hold what they promise, as far as that can be told without a daemon or an account.

use std::path::PathBuf;

use serde_json::Value;

fn text(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docker").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Texts of a member that is one text or a list of them.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

#[test]
fn the_policy_grants_no_wildcard_and_never_a_change_of_the_logs() {
    let policy = json("iam-policy.json");
    let statements = policy["Statement"].as_array().expect("has statements");
    assert!(statements.len() >= 6);
    for statement in statements {
        let (actions, resources) = (texts(&statement["Action"]), texts(&statement["Resource"]));
        assert!(!actions.is_empty() && actions.iter().all(|action| !action.contains('*')), "{actions:?}");
        // the one action that knows no resources
        let plain = actions == ["cloudtrail:ListPublicKeys"] && resources == ["*"];
        let named = !resources.is_empty() && resources.iter().all(|arn| arn.starts_with("arn:aws:"));
        assert!(plain || named, "{resources:?}");
        if resources.iter().any(|arn| arn.contains("my-cloudtrail-bucket")) {
            assert!(actions.iter().all(|action| action.starts_with("s3:Get") || action.starts_with("s3:List")));
        }
    }
}

#[test]
fn the_task_runs_the_pipeline_as_nobody_special() {
    let task = json("ecs-task.json");
    let container = &task["containerDefinitions"][0];
    assert_eq!(container["command"][0], "run");
    assert_eq!(container["readonlyRootFilesystem"], true);
    let user = container["user"].as_str().expect("a user");
    assert!(text("Dockerfile").lines().any(|line| line == format!("USER {user}")) && !user.starts_with('0'));
    for variable in container["environment"].as_array().expect("an environment") {
        assert!(variable["name"].as_str().is_some_and(|name| name.starts_with("TRAILHOUND_")), "{variable}");
    }
    let schedule = json("ecs-schedule.json");
    let definition = schedule["Target"]["EcsParameters"]["TaskDefinitionArn"].as_str().expect("a task definition");
    assert!(definition.ends_with(&format!("/{}", task["family"].as_str().expect("a family"))));
}

#[test]
fn the_unit_is_started_by_its_timer_alone_and_not_as_root() {
    let (service, timer) = (text("trailhound.service"), text("trailhound.timer"));
    assert!(service.lines().any(|line| line == "DynamicUser=yes"));
    assert!(service.lines().any(|line| line.starts_with("ExecStart=/usr/local/bin/trailhound run ")));
    assert!(!service.contains("[Install]") && timer.contains("[Install]") && timer.contains("OnCalendar="));
}
