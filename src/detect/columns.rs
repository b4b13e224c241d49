//! A batch of a day's events as typed columns (`sql/day.sql`).
//!
//! Owns: what stands for a value that is absent. Refuses: any meaning of the values.
//! Invariant: a column that is missing is an error of ours.

use arrow::array::{Array, AsArray, RecordBatch, StringArray, StringArrayType, StringViewArray};
use arrow::datatypes::DataType;

use super::feature::NONE;
use super::rows::{Numbers, column};
use crate::error::Result;

/// What became of a call that does not say.
pub const SUCCESS: &str = "success";

/// The columns as the engine gives them: texts as views, members of structs as texts.
pub struct Columns {
    /// The actor; NULL where there is none.
    pub actor: StringViewArray,
    /// Access key.
    pub key: StringArray,
    /// Account the call was recorded in.
    pub account: StringViewArray,
    /// `eventSource`.
    pub source: StringViewArray,
    /// `eventName`.
    pub operation: StringViewArray,
    /// Region.
    pub region: StringViewArray,
    /// Source address, as it was written.
    pub address: StringViewArray,
    /// User agent.
    pub agent: StringViewArray,
    /// What became of the call.
    pub outcome: StringViewArray,
    /// `requestParameters`, JSON.
    pub parameters: StringViewArray,
    /// `additionalEventData` of a sign-in, JSON.
    pub additional: StringViewArray,
    /// `additionalEventData` of a call that reads an object from S3, JSON.
    pub transferred: StringViewArray,
    /// `userIdentity.type`.
    pub identity_type: StringArray,
    /// `userIdentity.principalId`.
    pub principal: StringArray,
    /// `userIdentity.accountId`.
    pub home: StringArray,
    /// `userIdentity.invokedBy`.
    pub invoked_by: StringArray,
    /// `userIdentity.sessionContext.ec2RoleDelivery`.
    pub delivery: StringArray,
    /// VPC endpoint.
    pub endpoint: StringViewArray,
    /// Account of the VPC endpoint.
    pub endpoint_account: StringViewArray,
    /// 0 where the call writes, or does not say.
    pub readonly: Numbers,
    /// Microseconds since 1970.
    pub time: Numbers,
}

impl Columns {
    /// Takes a batch's columns.
    ///
    /// # Errors
    /// `Internal` where one is missing.
    pub fn of(batch: &RecordBatch) -> Result<Self> {
        let view = |name| views(batch, name);
        let member = |name| members(batch, name);
        Ok(Self {
            actor: view("actor")?,
            key: member("access_key")?,
            account: view("recipientaccountid")?,
            source: view("eventsource")?,
            operation: view("eventname")?,
            region: view("awsregion")?,
            address: view("sourceipaddress")?,
            agent: view("useragent")?,
            outcome: view("outcome")?,
            parameters: view("requestparameters")?,
            additional: view("additional")?,
            transferred: view("transferred")?,
            identity_type: member("identity_type")?,
            principal: member("principal_id")?,
            home: member("identity_account")?,
            invoked_by: member("invoked_by")?,
            delivery: member("role_delivery")?,
            endpoint: view("vpcendpointid")?,
            endpoint_account: view("vpcendpointaccountid")?,
            readonly: Numbers::of(batch, "readonly")?,
            time: Numbers::of_instants(batch, "eventtime")?,
        })
    }

    /// The rows.
    pub fn rows(&self) -> std::ops::Range<usize> {
        0..self.actor.len()
    }

    /// The actor of a row.
    pub fn actor(&self, row: usize) -> Option<&str> {
        text(&self.actor, row)
    }

    /// The access key, empty where there is none.
    pub fn key(&self, row: usize) -> &str {
        text(&self.key, row).unwrap_or_default()
    }

    /// The account that the call was recorded in.
    pub fn account(&self, row: usize) -> &str {
        text(&self.account, row).unwrap_or(NONE)
    }

    /// The source address.
    pub fn address(&self, row: usize) -> &str {
        text(&self.address, row).unwrap_or(NONE)
    }

    /// What became of the call.
    pub fn outcome(&self, row: usize) -> &str {
        text(&self.outcome, row).unwrap_or(SUCCESS)
    }
}

/// A column of text as views, which costs nothing where it is one already.
fn views(batch: &RecordBatch, name: &str) -> Result<StringViewArray> {
    Ok(column(batch, name, &DataType::Utf8View)?.as_string_view().clone())
}

/// A member of a struct, which costs nothing where it is no view.
fn members(batch: &RecordBatch, name: &str) -> Result<StringArray> {
    Ok(column(batch, name, &DataType::Utf8)?.as_string().clone())
}

/// A text, `None` for NULL.
pub fn text<'t>(column: impl StringArrayType<'t>, row: usize) -> Option<&'t str> {
    (!column.is_null(row)).then(|| column.value(row))
}

/// A text that there is none of where it is empty.
pub fn filled(column: &StringViewArray, row: usize) -> &str {
    or_none(text(column, row))
}

/// See [`filled`].
pub fn or_none(text: Option<&str>) -> &str {
    text.filter(|text| !text.is_empty()).unwrap_or(NONE)
}

/// A batch of a user's calls for tests: (operation, parameters, second of the day); other texts by column.
#[cfg(test)]
pub(super) fn batch(calls: &[(&str, Option<&str>, i64)], others: &[(&str, &str)]) -> RecordBatch {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, StringArray, TimestampMicrosecondArray};

    let same = |text: Option<&str>| -> ArrayRef { Arc::new(StringArray::from(vec![text; calls.len()])) };
    let usual = [
        ("actor", "arn:aws:iam::111111111111:user/ana"),
        ("recipientaccountid", "111111111111"),
        ("eventsource", "s3.amazonaws.com"),
        ("sourceipaddress", "198.51.100.7"),
        ("useragent", "aws-cli/2.15"),
    ];
    let names = [
        "actor",
        "access_key",
        "recipientaccountid",
        "eventsource",
        "awsregion",
        "sourceipaddress",
        "useragent",
        "outcome",
        "additional",
        "transferred",
        "identity_type",
        "principal_id",
        "identity_account",
        "invoked_by",
        "role_delivery",
        "vpcendpointid",
        "vpcendpointaccountid",
    ];
    let of = |name: &str| {
        let all = others.iter().chain(&usual);
        same(all.clone().find(|(other, _)| *other == name).map(|(_, text)| *text))
    };
    let mut columns: Vec<(&str, ArrayRef)> = names.iter().map(|name| (*name, of(name))).collect();
    columns.push(("eventname", Arc::new(calls.iter().map(|call| Some(call.0)).collect::<StringArray>())));
    columns.push(("requestparameters", Arc::new(calls.iter().map(|call| call.1).collect::<StringArray>())));
    columns.push(("readonly", Arc::new(BooleanArray::from(vec![true; calls.len()]))));
    let times = TimestampMicrosecondArray::from_iter_values(calls.iter().map(|call| call.2 * 1_000_000));
    columns.push(("eventtime", Arc::new(times.with_timezone("UTC"))));
    RecordBatch::try_from_iter(columns).unwrap()
}
