//! The lake's tables: names, columns, partitions.
//!
//! Owns: every column name and type that is stored. Columns of `events` are those of AWS's Athena table for
//! CloudTrail (lower case), then what that table lacks, then our own.
//! Refuses: any knowledge of how rows are made or read.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

/// One table of the lake: a Delta table in the folder of its name.
#[derive(Debug)]
pub struct Table {
    /// Folder and SQL name.
    pub name: &'static str,
    /// The `Date` column that it is partitioned by.
    pub partition: Option<&'static str>,
    /// Columns whose minimum and maximum are kept in the log, for skipping files.
    pub stats: &'static [&'static str],
    schema: &'static LazyLock<SchemaRef>,
}

impl Table {
    /// Arrow schema of a row, the partition column included.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema)
    }
}

/// One row per CloudTrail event.
pub static EVENTS: Table = Table {
    name: "events",
    partition: Some("event_date"),
    stats: &["eventtime", "recipientaccountid", "awsregion", "eventsource", "eventname", "actor"],
    schema: &EVENTS_SCHEMA,
};

/// One row per object read: the ledger that tells which objects need not be read again.
pub static OBJECTS: Table =
    Table { name: "objects", partition: Some("object_date"), stats: &["key"], schema: &OBJECTS_SCHEMA };

/// One row per record (or whole object) that could not become a row of `events`.
pub static REJECTS: Table = Table { name: "rejects", partition: None, stats: &[], schema: &REJECTS_SCHEMA };

/// Daily aggregates that the detector's baselines are summed from.
pub static BASELINES: Table =
    Table { name: "baselines", partition: Some("event_date"), stats: &["feature"], schema: &BASELINES_SCHEMA };

/// One row per version of a finding; the latest version of an id counts.
pub static FINDINGS: Table =
    Table { name: "findings", partition: None, stats: &["last_seen"], schema: &FINDINGS_SCHEMA };

/// One row per finding version that a sink took.
pub static DELIVERIES: Table =
    Table { name: "deliveries", partition: None, stats: &["delivered_at"], schema: &DELIVERIES_SCHEMA };

/// Every table of a lake, in the order `\dt` shows them.
pub static TABLES: [&Table; 6] = [&EVENTS, &OBJECTS, &REJECTS, &BASELINES, &FINDINGS, &DELIVERIES];

/// Event time and all other instants: UTC, microseconds.
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn structure(name: &str, fields: Vec<Field>) -> Field {
    Field::new(name, DataType::Struct(Fields::from(fields)), true)
}

fn texts(names: &[&str]) -> Vec<Field> {
    names.iter().map(|name| text(name)).collect()
}

/// Members of `useridentity.sessioncontext.sessionissuer`, and the JSON names they come from.
fn session_context() -> Field {
    structure(
        "sessioncontext",
        vec![
            structure("attributes", texts(&["mfaauthenticated", "creationdate"])),
            structure("sessionissuer", texts(&["type", "principalid", "arn", "accountid", "username"])),
            text("ec2roledelivery"),
            structure("webidfederationdata", texts(&["federatedprovider", "attributes"])),
            text("sourceidentity"),
            text("assumedroot"),
            text("ec2issuedinvpc"),
            text("signinsessionarn"),
        ],
    )
}

fn user_identity() -> Field {
    let mut fields = texts(&["type", "principalid", "arn", "accountid", "invokedby", "accesskeyid", "username"]);
    fields.push(structure("onbehalfof", texts(&["userid", "identitystorearn"])));
    fields.push(session_context());
    fields.push(structure("inscopeof", texts(&["sourcearn", "sourceaccount", "issuertype", "credentialsissuedto"])));
    fields.push(structure("invokedbydelegate", texts(&["accountid"])));
    fields.extend(texts(&["credentialid", "identityprovider"]));
    structure("useridentity", fields)
}

fn resources() -> Field {
    let item =
        Field::new("item", DataType::Struct(Fields::from(texts(&["arn", "accountid", "type", "arnprefix"]))), true);
    Field::new("resources", DataType::List(Arc::new(item)), true)
}

static EVENTS_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        text("eventversion"),
        user_identity(),
        Field::new("eventtime", timestamp(), false),
        text("eventsource"),
        text("eventname"),
        text("awsregion"),
        text("sourceipaddress"),
        text("useragent"),
        text("errorcode"),
        text("errormessage"),
        text("requestparameters"),
        text("responseelements"),
        text("additionaleventdata"),
        text("requestid"),
        text("eventid"),
        resources(),
        text("eventtype"),
        text("apiversion"),
        Field::new("readonly", DataType::Boolean, true),
        text("recipientaccountid"),
        text("serviceeventdetails"),
        text("sharedeventid"),
        text("vpcendpointid"),
        text("vpcendpointaccountid"),
        text("eventcategory"),
        structure("addendum", texts(&["reason", "updatedfields", "originalrequestid", "originaleventid"])),
        text("sessioncredentialfromconsole"),
        text("edgedevicedetails"),
        structure("tlsdetails", texts(&["tlsversion", "ciphersuite", "clientprovidedhostheader", "keyexchange"])),
        // what AWS's table lacks
        Field::new("managementevent", DataType::Boolean, true),
        text("insightdetails"),
        text("eventcontext"),
        // our own
        text("outcome"),
        text("actor"),
        text("source_object"),
        text("eventhash"),
        text("extra"),
        Field::new("event_date", DataType::Date32, false),
    ]))
});

static OBJECTS_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let count = |name: &str| Field::new(name, DataType::Int64, false);
    Arc::new(Schema::new(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("version", DataType::Utf8, false),
        count("bytes"),
        count("records"),
        count("rows"),
        count("duplicates"),
        count("rejects"),
        Field::new("status", DataType::Utf8, false),
        text("error"),
        Field::new("ingested_at", timestamp(), false),
        Field::new("object_date", DataType::Date32, false),
    ]))
});

static REJECTS_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("object", DataType::Utf8, false),
        Field::new("version", DataType::Utf8, false),
        Field::new("position", DataType::Int64, true),
        Field::new("reason", DataType::Utf8, false),
        Field::new("detail", DataType::Utf8, false),
        text("raw"),
        Field::new("raw_bytes", DataType::Int64, false),
        Field::new("rejected_at", timestamp(), false),
    ]))
});

// A long table (one row per actor, feature and value) instead of a column per feature: a new feature is new rows,
// not a migration.
static BASELINES_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("actor", DataType::Utf8, false),
        Field::new("account", DataType::Utf8, false),
        Field::new("feature", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, false),
        Field::new("events", DataType::Int64, false),
        Field::new("event_date", DataType::Date32, false),
    ]))
});

static FINDINGS_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("content_hash", DataType::Utf8, false),
        Field::new("type", DataType::Utf8, false),
        Field::new("severity", DataType::Float64, false),
        Field::new("severity_label", DataType::Utf8, false),
        Field::new("score", DataType::Float64, false),
        Field::new("actor", DataType::Utf8, false),
        Field::new("account", DataType::Utf8, false),
        Field::new("region", DataType::Utf8, false),
        Field::new("time", timestamp(), false),
        Field::new("first_seen", timestamp(), false),
        Field::new("last_seen", timestamp(), false),
        Field::new("events", DataType::Int64, false),
        Field::new("title", DataType::Utf8, false),
        Field::new("finding", DataType::Utf8, false),
        Field::new("detected_at", timestamp(), false),
    ]))
});

static DELIVERIES_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("finding_id", DataType::Utf8, false),
        Field::new("content_hash", DataType::Utf8, false),
        Field::new("destination", DataType::Utf8, false),
        text("message_id"),
        Field::new("delivered_at", timestamp(), false),
    ]))
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_and_stats_columns_exist() {
        for table in TABLES {
            let schema = table.schema();
            for name in table.partition.iter().chain(table.stats) {
                assert!(schema.field_with_name(name).is_ok(), "{}.{name}", table.name);
            }
        }
    }

    #[test]
    fn column_names_are_lower_case_so_that_unquoted_sql_finds_them() {
        for table in TABLES {
            for field in table.schema().fields() {
                assert_eq!(field.name(), &field.name().to_lowercase());
            }
        }
    }
}
