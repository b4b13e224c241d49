//! Who a policy document is about.
//!
//! Owns: reading statements of an IAM or resource policy: one or many, principals as `*`, as a text, a list, by kind.
//! Invariant: a document that cannot be read has no principals.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, ListBuilder, StringViewBuilder};
use datafusion::common::Result;
use serde_json::Value;

use super::super::udf::Call;

/// AWS principals of a policy's statements with an effect, each once.
fn of(policy: &str, effect: &str) -> Vec<String> {
    let Ok(document) = serde_json::from_str::<Value>(policy) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for statement in many(&document["Statement"]) {
        if statement["Effect"].as_str().is_none_or(|found| !found.eq_ignore_ascii_case(effect)) {
            continue;
        }
        let principal = &statement["Principal"];
        let names = if principal.is_object() { many(&principal["AWS"]) } else { many(principal) };
        for name in names.iter().filter_map(|name| name.as_str()) {
            if !found.iter().any(|other| other == name) {
                found.push(name.to_owned());
            }
        }
    }
    found
}

/// Where a policy allows one value or a list of them.
fn many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(all) => all.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// `get_aws_principal`
pub(super) fn principals(call: &Call) -> Result<ArrayRef> {
    let (policy, effect) = (call.text(0)?, call.text(1)?);
    let mut out = ListBuilder::new(StringViewBuilder::new());
    for row in 0..call.rows {
        let found = policy.get(row).zip(effect.get(row)).map(|(policy, effect)| of(policy, effect));
        found.iter().flatten().for_each(|name| out.values().append_value(name));
        out.append(found.is_some());
    }
    Ok(Arc::new(out.finish()))
}

/// `policy_has_public_principal`
pub(super) fn is_public(call: &Call) -> Result<ArrayRef> {
    let (policy, effect) = (call.text(0)?, call.text(1)?);
    let public = |row| {
        let (policy, effect) = policy.get(row).zip(effect.get(row))?;
        Some(of(policy, effect).iter().any(|name| name == "*"))
    };
    Ok(Arc::new((0..call.rows).map(public).collect::<BooleanArray>()))
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn principals_in_every_form() {
        let policy = r#"{"Statement":[
            {"Effect":"Allow","Principal":{"AWS":["arn:a","arn:b"],"Service":"ec2.amazonaws.com"}},
            {"Effect":"Allow","Principal":{"AWS":"arn:a"}},
            {"Effect":"Deny","Principal":"*"}]}"#;
        assert_eq!(of(policy, "Allow"), ["arn:a", "arn:b"]);
        assert_eq!(of(policy, "deny"), ["*"]);
        assert_eq!(of(r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"*"}}}"#, "Allow"), ["*"]);
        for broken in ["", "[]", "{\"Statement\":7}", "{\"Statement\":[{\"Principal\":\"*\"}]}"] {
            assert!(of(broken, "Allow").is_empty(), "{broken}");
        }
    }
}
