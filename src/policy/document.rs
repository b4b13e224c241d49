//! IAM policy documents: the one that covers what was used, and what a given one grants.
//!
//! Refuses: deciding what a policy allows in full (conditions, boundaries, other policies). Of a given document it reads
//! which actions it allows at all.
//! Invariant: a document of ours allows nothing that was not used, at resources that were not used.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::action::matches;
use crate::error::{Error, ErrorKind, Result};

/// Resources that are named one by one; an action with more gets `*`.
const NAMED: usize = 20;

/// What somebody used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Used {
    /// IAM action.
    pub action: String,
    /// ARN; `None` where an event does not say.
    pub resource: Option<String>,
}

/// The policy that allows just that. Actions with the same resources share a statement.
pub fn least(used: &[Used]) -> Value {
    let mut resources: BTreeMap<&str, BTreeSet<Option<&str>>> = BTreeMap::new();
    for used in used {
        resources.entry(&used.action).or_default().insert(used.resource.as_deref());
    }
    let mut statements: BTreeMap<(&str, BTreeSet<&str>), BTreeSet<&str>> = BTreeMap::new();
    for (action, arns) in resources {
        let service = action.split(':').next().unwrap_or_default();
        let all = arns.contains(&None) || arns.len() > NAMED;
        let arns = if all { BTreeSet::from(["*"]) } else { arns.into_iter().flatten().collect() };
        statements.entry((service, arns)).or_default().insert(action);
    }
    let statements = statements
        .into_iter()
        .map(|((_, resources), actions)| json!({"Effect": "Allow", "Action": actions, "Resource": resources}));
    json!({"Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>()})
}

/// Which actions a document allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Patterns of `Action`.
    pub allowed: Vec<String>,
    /// Patterns of `NotAction`, by statement: all but these are allowed.
    pub all_but: Vec<Vec<String>>,
    /// Patterns that are denied.
    pub denied: Vec<String>,
}

impl Grants {
    /// Reads a policy document, or what `aws iam get-policy-version` and its like print around it.
    ///
    /// # Errors
    /// `Usage` where it is no policy.
    pub fn read(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::Usage, "this is no IAM policy document")
                .hint("give JSON with Statement, Effect and Action, as `aws iam get-policy-version` prints it")
        };
        let whole: Value = serde_json::from_str(text).map_err(|error| wrong().source(error))?;
        let paths = ["", "/Document", "/PolicyDocument", "/PolicyVersion/Document", "/Policy"];
        let statements = paths.iter().find_map(|path| whole.pointer(path)?.get("Statement")).ok_or_else(wrong)?;
        let one = std::slice::from_ref(statements);
        let mut grants = Self::default();
        for statement in statements.as_array().map_or(one, Vec::as_slice) {
            let (actions, others) = (texts(&statement["Action"]), texts(&statement["NotAction"]));
            match statement["Effect"].as_str() {
                Some("Allow") if statement.get("NotAction").is_some() => grants.all_but.push(others),
                Some("Allow") => grants.allowed.extend(actions),
                Some("Deny") => grants.denied.extend(actions),
                _ => return Err(wrong()),
            }
        }
        grants.allowed.sort();
        grants.allowed.dedup();
        Ok(grants)
    }

    /// What grants an action: the pattern, or `None` where nothing does.
    pub fn by(&self, action: &str) -> Option<String> {
        if self.denied.iter().any(|pattern| matches(pattern, action)) {
            return None;
        }
        let pattern =
            self.allowed.iter().filter(|pattern| matches(pattern, action)).max_by_key(|pattern| pattern.len());
        let others = || self.all_but.iter().find(|not| !not.iter().any(|pattern| matches(pattern, action)));
        pattern.cloned().or_else(|| others().map(|not| format!("all but {}", not.join(" "))))
    }

    /// Patterns under which nothing was used.
    pub fn unused<'g>(&'g self, used: &BTreeSet<&str>) -> Vec<&'g str> {
        let idle = self.allowed.iter().filter(|pattern| !used.iter().any(|action| matches(pattern, action)));
        idle.map(String::as_str).collect()
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(action: &str, resource: Option<&str>) -> Used {
        Used { action: action.to_owned(), resource: resource.map(str::to_owned) }
    }

    #[test]
    fn a_policy_allows_what_was_used_where_it_was_used() {
        let policy = least(&[
            used("s3:GetObject", Some("arn:aws:s3:::b/*")),
            used("s3:PutObject", Some("arn:aws:s3:::b/*")),
            used("s3:ListAllMyBuckets", None),
            used("s3:GetObject", Some("arn:aws:s3:::b/*")),
        ]);
        assert_eq!(
            policy["Statement"],
            json!([
                {"Effect": "Allow", "Action": ["s3:ListAllMyBuckets"], "Resource": ["*"]},
                {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": ["arn:aws:s3:::b/*"]},
            ])
        );
        let many: Vec<_> =
            (0..30).map(|n| used("ec2:StopInstances", Some(&format!("arn:aws:ec2:::instance/{n}")))).collect();
        assert_eq!(least(&many)["Statement"][0]["Resource"], json!(["*"]));
        assert_eq!(least(&[])["Statement"], json!([]));
    }

    #[test]
    fn grants_are_read_from_any_wrapping() {
        let document = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["s3:Get*", "iam:*"], "Resource": "*"},
            {"Effect": "Deny", "Action": "iam:CreateUser", "Resource": "*"},
        ]});
        for text in [document.to_string(), json!({"PolicyVersion": {"Document": document}}).to_string()] {
            let grants = Grants::read(&text).unwrap();
            assert_eq!(grants.by("s3:GetObject").as_deref(), Some("s3:Get*"));
            assert_eq!(grants.by("iam:CreateUser"), None);
            assert_eq!(grants.by("ec2:RunInstances"), None);
            assert_eq!(grants.unused(&BTreeSet::from(["s3:GetObject"])), ["iam:*"]);
        }
        let all_but = json!({"Statement": {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}}).to_string();
        let grants = Grants::read(&all_but).unwrap();
        assert_eq!(grants.by("s3:GetObject").as_deref(), Some("all but iam:*"));
        assert_eq!(grants.by("iam:GetUser"), None);
        for text in ["", "[]", "{}", "{\"Statement\":[{\"Action\":\"s3:*\"}]}"] {
            assert_eq!(Grants::read(text).unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
    }
}
