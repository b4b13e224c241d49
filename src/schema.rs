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

    /// Arrow schema of a row inside a file: Delta keeps the partition column in the log, not in the files.
    pub fn file_schema(&self) -> SchemaRef {
        let kept = self.schema.fields().iter().filter(|field| Some(field.name().as_str()) != self.partition);
        Arc::new(Schema::new(kept.cloned().collect::<Vec<_>>()))
    }
}

/// One row per CloudTrail event.
pub static EVENTS: Table = Table {
    name: "events",
    partition: Some("event_date"),
    stats: &["eventtime", "recipientaccountid", "awsregion", "eventsource", "eventname", "actor"],
    schema: &EVENTS_SCHEMA,
};

/// One row per object read, and per attempt at one that could not be: the ledger that tells which objects need not be
/// read again. The row with the most attempts counts, and one that is `done` before any other.
pub static OBJECTS: Table =
    Table { name: "objects", partition: Some("object_date"), stats: &["key"], schema: &OBJECTS_SCHEMA };

/// One row per record (or whole object) that could not become a row of `events`.
pub static REJECTS: Table = Table { name: "rejects", partition: None, stats: &[], schema: &REJECTS_SCHEMA };

/// One row per region's prefix of a source: up to which day it need not be listed again.
pub static LISTINGS: Table = Table { name: "listings", partition: None, stats: &[], schema: &LISTINGS_SCHEMA };

/// One row per record of CloudTrail Insights: the start or the end of an unusual number of calls or errors.
pub static INSIGHTS: Table = Table {
    name: "insights",
    partition: Some("event_date"),
    stats: &["eventtime", "recipientaccountid", "awsregion", "eventsource", "eventname"],
    schema: &INSIGHTS_SCHEMA,
};

/// One row per aggregated event: the sum of five minutes of data events.
pub static AGGREGATED: Table = Table {
    name: "aggregated",
    partition: Some("event_date"),
    stats: &["eventtime", "awsregion", "eventsource"],
    schema: &AGGREGATED_SCHEMA,
};

/// Daily aggregates that the detector's baselines are summed from.
pub static BASELINES: Table =
    Table { name: "baselines", partition: Some("event_date"), stats: &["feature"], schema: &BASELINES_SCHEMA };

/// One row per version of a finding; the latest version of an id counts.
pub static FINDINGS: Table =
    Table { name: "findings", partition: None, stats: &["last_seen"], schema: &FINDINGS_SCHEMA };

/// One row per finding version that a sink took.
pub static DELIVERIES: Table =
    Table { name: "deliveries", partition: None, stats: &["delivered_at"], schema: &DELIVERIES_SCHEMA };

/// One row per trail, account, region and hour: whether all that CloudTrail delivered is there, unchanged and in the lake.
pub static COMPLETENESS: Table =
    Table { name: "completeness", partition: Some("hour_date"), stats: &["hour"], schema: &COMPLETENESS_SCHEMA };

/// Every table of a lake, in the order `\dt` shows them.
pub static TABLES: [&Table; 10] =
    [&EVENTS, &INSIGHTS, &AGGREGATED, &OBJECTS, &REJECTS, &LISTINGS, &BASELINES, &FINDINGS, &DELIVERIES, &COMPLETENESS];

/// Event time and all other instants: UTC, microseconds.
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn column(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

/// How a member of a CloudTrail record is stored.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A JSON string, as text.
    Text,
    /// Any JSON value, as its own JSON text, byte for byte.
    Json,
    /// A JSON boolean.
    Boolean,
    /// An ISO 8601 instant, as a timestamp.
    Time,
    /// A JSON object with known members, as a struct.
    Struct(&'static [Member]),
    /// A JSON array of such objects, as a list of structs.
    List(&'static [Member]),
}

/// A member of a record: its JSON name (the column's is the same in lower case) and how it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Name in the record, e.g. `userIdentity`.
    pub json: &'static str,
    /// How it is stored.
    pub kind: Kind,
}

const fn text(json: &'static str) -> Member {
    Member { json, kind: Kind::Text }
}

const fn json(name: &'static str) -> Member {
    Member { json: name, kind: Kind::Json }
}

const SESSION_CONTEXT: &[Member] = &[
    Member { json: "attributes", kind: Kind::Struct(&[text("mfaAuthenticated"), text("creationDate")]) },
    Member {
        json: "sessionIssuer",
        kind: Kind::Struct(&[text("type"), text("principalId"), text("arn"), text("accountId"), text("userName")]),
    },
    text("ec2RoleDelivery"),
    Member { json: "webIdFederationData", kind: Kind::Struct(&[text("federatedProvider"), json("attributes")]) },
    text("sourceIdentity"),
    text("assumedRoot"),
    text("ec2IssuedInVpc"),
    text("signInSessionArn"),
];

const USER_IDENTITY: &[Member] = &[
    text("type"),
    text("principalId"),
    text("arn"),
    text("accountId"),
    text("invokedBy"),
    text("accessKeyId"),
    text("userName"),
    Member { json: "onBehalfOf", kind: Kind::Struct(&[text("userId"), text("identityStoreArn")]) },
    Member { json: "sessionContext", kind: Kind::Struct(SESSION_CONTEXT) },
    Member {
        json: "inScopeOf",
        kind: Kind::Struct(&[
            text("sourceArn"),
            text("sourceAccount"),
            text("issuerType"),
            text("credentialsIssuedTo"),
        ]),
    },
    Member { json: "invokedByDelegate", kind: Kind::Struct(&[text("accountId")]) },
    text("credentialId"),
    text("identityProvider"),
];

const RESOURCE: &[Member] = &[text("ARN"), text("accountId"), text("type"), text("ARNPrefix")];

const ADDENDUM: &[Member] =
    &[text("reason"), text("updatedFields"), text("originalRequestID"), text("originalEventID")];

const TLS_DETAILS: &[Member] =
    &[text("tlsVersion"), text("cipherSuite"), text("clientProvidedHostHeader"), text("keyExchange")];

/// The members of a record that have a column, in the order of the columns of `events`: first those of AWS's
/// Athena table, then what that table lacks.
pub const RECORD: &[Member] = &[
    text("eventVersion"),
    Member { json: "userIdentity", kind: Kind::Struct(USER_IDENTITY) },
    Member { json: "eventTime", kind: Kind::Time },
    text("eventSource"),
    text("eventName"),
    text("awsRegion"),
    text("sourceIPAddress"),
    text("userAgent"),
    text("errorCode"),
    text("errorMessage"),
    json("requestParameters"),
    json("responseElements"),
    json("additionalEventData"),
    text("requestID"),
    text("eventID"),
    Member { json: "resources", kind: Kind::List(RESOURCE) },
    text("eventType"),
    text("apiVersion"),
    Member { json: "readOnly", kind: Kind::Boolean },
    text("recipientAccountId"),
    json("serviceEventDetails"),
    text("sharedEventID"),
    text("vpcEndpointId"),
    text("vpcEndpointAccountId"),
    text("eventCategory"),
    Member { json: "addendum", kind: Kind::Struct(ADDENDUM) },
    text("sessionCredentialFromConsole"),
    json("edgeDeviceDetails"),
    Member { json: "tlsDetails", kind: Kind::Struct(TLS_DETAILS) },
    Member { json: "managementEvent", kind: Kind::Boolean },
    json("insightDetails"),
    json("eventContext"),
];

/// Index in `RECORD` of the member of that name.
///
/// # Panics
/// Where there is none; meant for names written in the source.
pub fn member(json: &str) -> usize {
    RECORD.iter().position(|member| member.json == json).expect("a member of schema::RECORD")
}

impl Member {
    /// The column's field: lower-case name, nullable.
    pub fn field(&self) -> Field {
        Field::new(self.json.to_lowercase(), self.kind.data_type(), true)
    }
}

impl Kind {
    /// The column's type.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Text | Self::Json => DataType::Utf8,
            Self::Boolean => DataType::Boolean,
            Self::Time => timestamp(),
            Self::Struct(members) => DataType::Struct(fields(members)),
            Self::List(members) => {
                DataType::List(Arc::new(Field::new("item", DataType::Struct(fields(members)), true)))
            }
        }
    }
}

/// Fields of a struct column.
pub fn fields(members: &[Member]) -> Fields {
    members.iter().map(Member::field).collect()
}

/// Columns whose values hardly repeat: a dictionary of them is as large as they are, and costs a hash of each.
pub const UNIQUE_COLUMNS: [&str; 3] = ["eventid", "requestid", "sharedeventid"];

/// Columns of long texts, of which programs repeat many: a dictionary of them may become large and still pay.
pub const LONG_COLUMNS: [&str; 5] =
    ["requestparameters", "responseelements", "additionaleventdata", "serviceeventdetails", "extra"];

/// Whether a top-level column's values hardly repeat.
pub fn is_unique(column: &str) -> bool {
    UNIQUE_COLUMNS.contains(&column)
}

/// Our own columns of `events`, behind those of the record.
pub const OWN_COLUMNS: [&str; 5] = ["outcome", "actor", "source_object", "eventhash", "extra"];

static EVENTS_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let record = RECORD.iter().map(|member| {
        let field = member.field();
        // a record without a readable eventTime is a reject, so the column has no nulls
        if matches!(member.kind, Kind::Time) { field.with_nullable(false) } else { field }
    });
    let own = OWN_COLUMNS.iter().map(|name| column(name));
    let date = Field::new("event_date", DataType::Date32, false);
    Arc::new(Schema::new(record.chain(own).chain([date]).collect::<Vec<_>>()))
});

/// How a column of a flat table is filled: by the value at the end of a way through a record's objects.
#[derive(Debug, Clone, Copy)]
pub struct Flat {
    /// The column.
    pub column: &'static str,
    /// Names of the members on the way.
    pub path: &'static [&'static str],
    /// What the value is.
    pub kind: FlatKind,
}

/// What a value of a flat table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlatKind {
    /// A JSON string.
    Text,
    /// A JSON number.
    Number,
    /// Any JSON value, as JSON text.
    Json,
    /// An instant in one of the forms that CloudTrail writes.
    Time,
}

impl Flat {
    const fn new(column: &'static str, path: &'static [&'static str], kind: FlatKind) -> Self {
        Self { column, path, kind }
    }

    const fn text(column: &'static str, path: &'static [&'static str]) -> Self {
        Self::new(column, path, FlatKind::Text)
    }

    fn field(&self) -> Field {
        let data_type = match self.kind {
            FlatKind::Text | FlatKind::Json => DataType::Utf8,
            FlatKind::Number => DataType::Float64,
            FlatKind::Time => timestamp(),
        };
        // the instant that a row's day is taken from is always there
        Field::new(self.column, data_type, self.column != "eventtime")
    }
}

/// What the columns of `insights` are read from.
pub const INSIGHT: &[Flat] = &[
    Flat::text("eventversion", &["eventVersion"]),
    Flat::new("eventtime", &["eventTime"], FlatKind::Time),
    Flat::text("awsregion", &["awsRegion"]),
    Flat::text("eventid", &["eventID"]),
    Flat::text("eventtype", &["eventType"]),
    Flat::text("recipientaccountid", &["recipientAccountId"]),
    Flat::text("sharedeventid", &["sharedEventID"]),
    Flat::text("eventcategory", &["eventCategory"]),
    Flat::text("state", &["insightDetails", "state"]),
    Flat::text("eventsource", &["insightDetails", "eventSource"]),
    Flat::text("eventname", &["insightDetails", "eventName"]),
    Flat::text("insighttype", &["insightDetails", "insightType"]),
    Flat::text("errorcode", &["insightDetails", "errorCode"]),
    Flat::new(
        "baseline_average",
        &["insightDetails", "insightContext", "statistics", "baseline", "average"],
        FlatKind::Number,
    ),
    Flat::new(
        "insight_average",
        &["insightDetails", "insightContext", "statistics", "insight", "average"],
        FlatKind::Number,
    ),
    Flat::new(
        "insight_minutes",
        &["insightDetails", "insightContext", "statistics", "insightDuration"],
        FlatKind::Number,
    ),
    Flat::new(
        "baseline_minutes",
        &["insightDetails", "insightContext", "statistics", "baselineDuration"],
        FlatKind::Number,
    ),
    Flat::new("attributions", &["insightDetails", "insightContext", "attributions"], FlatKind::Json),
    Flat::new("insightdetails", &["insightDetails"], FlatKind::Json),
];

/// What the columns of `aggregated` are read from. None of the usual members are in such a record, and `eventId` is
/// spelled otherwise.
pub const AGGREGATE: &[Flat] = &[
    Flat::text("eventversion", &["eventVersion"]),
    Flat::new("eventtime", &["timeWindow", "windowStart"], FlatKind::Time),
    Flat::new("window_end", &["timeWindow", "windowEnd"], FlatKind::Time),
    Flat::text("window_size", &["timeWindow", "windowSize"]),
    Flat::text("accountid", &["accountId"]),
    Flat::text("awsregion", &["awsRegion"]),
    Flat::text("eventid", &["eventId"]),
    Flat::text("eventtype", &["eventType"]),
    Flat::text("eventcategory", &["eventCategory"]),
    Flat::text("eventsource", &["eventSource"]),
    Flat::text("dimension", &["summary", "primaryDimension", "dimension"]),
    Flat::text("aggregation_type", &["summary", "primaryDimension", "aggregationType"]),
    Flat::new("statistics", &["summary", "primaryDimension", "statistics"], FlatKind::Json),
    Flat::new("summary", &["summary"], FlatKind::Json),
    Flat::new("timewindow", &["timeWindow"], FlatKind::Json),
    Flat::new("addendum", &["addendum"], FlatKind::Json),
];

/// Our own columns of a flat table, behind those of the record.
pub const FLAT_OWN_COLUMNS: [&str; 3] = ["source_object", "eventhash", "extra"];

fn flat_schema(columns: &[Flat]) -> SchemaRef {
    let own = FLAT_OWN_COLUMNS.iter().map(|name| column(name));
    let date = Field::new("event_date", DataType::Date32, false);
    Arc::new(Schema::new(columns.iter().map(Flat::field).chain(own).chain([date]).collect::<Vec<_>>()))
}

static INSIGHTS_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| flat_schema(INSIGHT));

static AGGREGATED_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| flat_schema(AGGREGATE));

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
        column("error"),
        Field::new("ingested_at", timestamp(), false),
        column("sha256"),
        // absent from lakes of 0.1.0
        Field::new("attempts", DataType::Int64, true),
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
        column("raw"),
        Field::new("raw_bytes", DataType::Int64, false),
        Field::new("rejected_at", timestamp(), false),
        // absent from lakes of 0.1.0; a reject is open while they are NULL
        Field::new("resolved_at", timestamp(), true),
        column("resolution"),
    ]))
});

static LISTINGS_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("prefix", DataType::Utf8, false),
        Field::new("through", DataType::Date32, false),
        Field::new("listed_at", timestamp(), false),
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
        column("message_id"),
        Field::new("delivered_at", timestamp(), false),
    ]))
});

static COMPLETENESS_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let word = |name: &str| Field::new(name, DataType::Utf8, false);
    let count = |name: &str| Field::new(name, DataType::Int64, false);
    Arc::new(Schema::new(vec![
        word("account"),
        word("region"),
        word("trail"),
        word("trail_region"),
        word("organization"),
        Field::new("hour", timestamp(), false),
        word("status"),
        word("digest"),
        count("digests"),
        count("expected"),
        count("verified"),
        count("ingested"),
        count("missing"),
        count("modified"),
        count("unreadable"),
        count("late"),
        column("problems"),
        Field::new("verified_at", timestamp(), false),
        Field::new("hour_date", DataType::Date32, false),
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
