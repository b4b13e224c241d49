//! The command line, literally: every option is optional here, and resolved later.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use trailhound::detect::signal::Signal;
use trailhound::finding::SeverityBand;

use trailhound::query::output::Format;
use trailhound::sink::Shape;

use super::config::Size;

/// CloudTrail of a whole AWS Organization into a queryable lake, with scored and explained findings.
#[derive(Debug, Parser)]
#[command(name = "trailhound", version, max_term_width = 110, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options that every command has.
    #[command(flatten)]
    pub global: GlobalArgs,
}

const AFTER_HELP: &str = "\
Exit codes: 0 fine, 1 findings at or above --fail-on (only when asked), 2 failed or partly failed, 64 wrong usage.
Every option can be set as TRAILHOUND_OPTION in the environment, and the lasting ones in a configuration file.
New here? `trailhound demo` needs no AWS.";

/// Options that every command has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct GlobalArgs {
    /// Another endpoint than AWS's (emulators, VPC endpoints)
    #[arg(long, global = true, env = "TRAILHOUND_ENDPOINT_URL", value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// AWS region
    #[arg(long, global = true, env = "TRAILHOUND_REGION")]
    pub region: Option<String>,
    /// Profile of the AWS configuration files
    #[arg(long, global = true, env = "TRAILHOUND_PROFILE")]
    pub profile: Option<String>,
    /// Role to assume before the first call to AWS
    #[arg(long, global = true, env = "TRAILHOUND_ASSUME_ROLE_ARN", value_name = "ARN")]
    pub assume_role_arn: Option<String>,
    /// Seconds that a service may take to begin an answer, and that an answer may stand still [default: 30]
    #[arg(long, global = true, env = "TRAILHOUND_REQUEST_TIMEOUT", value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub request_timeout: Option<u64>,
    /// Threads that compute [default: all]
    #[arg(long, global = true, env = "TRAILHOUND_THREADS", value_name = "N")]
    pub threads: Option<usize>,
    /// Memory for buffers and caches, e.g. 512MiB [default: 512MiB]
    #[arg(long, global = true, env = "TRAILHOUND_MEMORY_LIMIT", value_name = "SIZE")]
    pub memory_limit: Option<Size>,
    /// AS numbers of addresses, for source_asn and source_org: MMDB, CSV or TSV, gzipped or not (iptoasn.com, DB-IP ASN Lite,
    /// IPinfo Lite, GeoLite2 ASN)
    #[arg(long, global = true, env = "TRAILHOUND_ASN_DB", value_name = "FILE")]
    pub asn_db: Option<PathBuf>,
    /// AWS's networks, for source_kind: its ip-ranges.json
    #[arg(long, global = true, env = "TRAILHOUND_AWS_IP_RANGES", value_name = "FILE")]
    pub aws_ip_ranges: Option<PathBuf>,
    /// Addresses of attackers, for source_list and the MaliciousIPCaller findings: one address or network a line, # comments
    #[arg(long, global = true, env = "TRAILHOUND_THREAT_LIST", value_name = "FILE")]
    pub threat_list: Option<PathBuf>,
    /// Exits of Tor, for source_list and the TorIPCaller findings; the same form (check.torproject.org/torbulkexitlist)
    #[arg(long, global = true, env = "TRAILHOUND_TOR_LIST", value_name = "FILE")]
    pub tor_list: Option<PathBuf>,
    /// Write the run's report there, as JSON
    #[arg(long, global = true, env = "TRAILHOUND_REPORT", value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Form of the diagnostics on stderr [default: text]
    #[arg(long, global = true, env = "TRAILHOUND_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Which diagnostics, e.g. debug or trailhound=trace [default: info]
    #[arg(long, global = true, env = "TRAILHOUND_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Configuration file [default: ~/.config/trailhound/config.toml, where it exists]
    #[arg(long, global = true, env = "TRAILHOUND_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Form of the diagnostics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object per line.
    Json,
}

/// The lake a command works on.
#[derive(Debug, Clone, Args)]
pub struct LakeArgs {
    /// The lake: a folder or s3://bucket/prefix
    #[arg(long, env = "TRAILHOUND_LAKE", value_name = "LAKE")]
    pub lake: Option<String>,
}

/// How objects are read.
#[derive(Debug, Clone, Default, Args)]
pub struct ReadArgs {
    /// Uncompressed size up to which an object is read [default: 1GiB]
    #[arg(long, env = "TRAILHOUND_MAX_OBJECT_SIZE", value_name = "SIZE")]
    pub max_object_size: Option<Size>,
    /// Requests to the source at the same time [default: 32]
    #[arg(long, env = "TRAILHOUND_CONCURRENCY", value_name = "N")]
    pub concurrency: Option<usize>,
    /// Verify with CloudTrail's public keys from files (what `aws cloudtrail list-public-keys` prints, or PEM) instead of its API
    #[arg(long, env = "TRAILHOUND_PUBLIC_KEYS", value_name = "FILE")]
    pub public_keys: Vec<PathBuf>,
}

/// Whose logs are read.
#[derive(Debug, Clone, Default, Args)]
pub struct TrailArgs {
    /// Only logs of this account; may be given several times, or separated by commas [default: all]
    #[arg(long, env = "TRAILHOUND_ACCOUNT", value_name = "ID", value_delimiter = ',')]
    pub account: Vec<String>,
    /// Only logs of this region, as the trail's folders have it (--region is where AWS is called); may be given several
    /// times, or separated by commas [default: all]
    #[arg(long, env = "TRAILHOUND_TRAIL_REGION", value_name = "REGION", value_delimiter = ',')]
    pub trail_region: Vec<String>,
}

/// How much is read at once.
#[derive(Debug, Clone, Default, Args)]
pub struct IngestArgs {
    #[command(flatten)]
    pub read: ReadArgs,
    /// Size of the objects (as stored) that are committed together [default: 64MiB]
    #[arg(long, env = "TRAILHOUND_COMMIT_BYTES", value_name = "SIZE")]
    pub commit_bytes: Option<Size>,
    /// Attempts (one a run) at an object that cannot be read, before it is put into quarantine [default: 5]
    #[arg(long, env = "TRAILHOUND_MAX_ATTEMPTS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_attempts: Option<u32>,
    /// Read the objects in quarantine again
    #[arg(long, env = "TRAILHOUND_RETRY_QUARANTINED")]
    pub retry_quarantined: bool,
    /// Verify new digests and log files afterwards, as `trailhound verify` does, and keep the table completeness current
    #[arg(long, env = "TRAILHOUND_VERIFY")]
    pub verify: bool,
    #[command(flatten)]
    pub select: SelectArgs,
}

/// Which objects are read.
#[derive(Debug, Clone, Default, Args)]
pub struct SelectArgs {
    #[command(flatten)]
    pub trail: TrailArgs,
    /// Only objects whose key (in a folder: path below it) matches this pattern, in which * stands for any text; may be
    /// given several times
    #[arg(long, env = "TRAILHOUND_INCLUDE", value_name = "PATTERN")]
    pub include: Vec<String>,
    /// No objects whose key matches this pattern; may be given several times
    #[arg(long, env = "TRAILHOUND_EXCLUDE", value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Days before today that are always listed again, for objects that come late [default: 3]
    #[arg(long, env = "TRAILHOUND_RELIST_DAYS", value_name = "N")]
    pub relist_days: Option<u32>,
    /// List everything, also what was found complete before
    #[arg(long, env = "TRAILHOUND_RELIST_ALL")]
    pub relist_all: bool,
}

/// Which deliveries are read.
#[derive(Debug, Clone, Args)]
pub struct PeriodArgs {
    /// Only logs delivered (by their key) from this time on, e.g. 2026-01-31 or 2026-01-31T12:00:00Z
    #[arg(long, env = "TRAILHOUND_INGEST_FROM", value_name = "TIME", value_parser = instant)]
    pub from: Option<DateTime<Utc>>,
    /// Only logs delivered before this time
    #[arg(long, env = "TRAILHOUND_INGEST_TO", value_name = "TIME", value_parser = instant)]
    pub to: Option<DateTime<Utc>>,
}

/// A queue that tells of new objects.
#[derive(Debug, Clone, Args)]
pub struct QueueArgs {
    /// Read the objects that an SQS queue tells of, instead of listing; with a SOURCE only those under it
    #[arg(long, env = "TRAILHOUND_SQS_QUEUE_URL", value_name = "URL", conflicts_with_all = ["dry_run", "from", "to"])]
    pub sqs_queue_url: Option<String>,
    /// Go on when the queue is empty, until SIGTERM
    #[arg(long, env = "TRAILHOUND_FOLLOW")]
    pub follow: bool,
    /// With --follow: seconds that a message waits for others to be committed with it [default: 60]
    #[arg(long, env = "TRAILHOUND_COMMIT_SECONDS", value_name = "N")]
    pub commit_seconds: Option<u64>,
}

/// What an ingest does instead of reading.
#[derive(Debug, Clone, Args)]
pub struct DryArgs {
    /// Say what would be read, by account and region, and write nothing
    #[arg(long, env = "TRAILHOUND_DRY_RUN")]
    pub dry_run: bool,
    /// Form of what --dry-run says
    #[arg(short, long, value_name = "FORMAT", default_value = "table", env = "TRAILHOUND_OUTPUT")]
    pub output: FindingFormat,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring every new event of a bucket, folder, file or queue into the lake
    Ingest {
        /// s3://bucket/prefix, a folder or a file
        #[arg(env = "TRAILHOUND_SOURCE")]
        source: Option<String>,
        #[command(flatten)]
        lake: LakeArgs,
        #[command(flatten)]
        ingest: IngestArgs,
        #[command(flatten)]
        period: PeriodArgs,
        #[command(flatten)]
        queue: QueueArgs,
        #[command(flatten)]
        dry: DryArgs,
        /// Try what is in the table rejects again, and nothing else: after an upgrade, or with a higher limit
        #[arg(long, env = "TRAILHOUND_REPLAY_REJECTS", conflicts_with_all = ["retry_quarantined", "sqs_queue_url", "dry_run"])]
        replay_rejects: bool,
    },
    /// Check that nothing CloudTrail delivered is missing or changed: digests, their signatures and chains, log files
    Verify {
        /// s3://bucket/prefix or a folder
        #[arg(env = "TRAILHOUND_SOURCE")]
        source: Option<String>,
        #[command(flatten)]
        verify: VerifyArgs,
    },
    /// Ask the lake in SQL, or by a named query
    Query(QueryArgs),
    /// Tell the story of an access key, address, identity, role, resource, event or finding
    Investigate(Box<InvestigateArgs>),
    /// Print the least IAM policy that covers what an identity did, or compare it with what is granted
    Policy(PolicyArgs),
    /// Score what the identities of the lake did, against their own past
    Detect {
        #[command(flatten)]
        lake: LakeArgs,
        #[command(flatten)]
        detect: DetectArgs,
        /// Form of the findings
        #[arg(short, long, value_name = "FORMAT", default_value = "table", env = "TRAILHOUND_OUTPUT")]
        output: FindingFormat,
    },
    /// Bring the baselines up to date; detect does this, too
    Train {
        /// Count all dates anew from their events, whatever was kept of them: where baselines are damaged
        #[arg(long)]
        anew: bool,
        #[command(flatten)]
        lake: LakeArgs,
    },
    /// Every number behind a finding, and whether scoring its day again gives the same
    Explain(ExplainArgs),
    /// What is normal for an actor
    Baseline {
        /// The actor, as in the column of that name
        actor: String,
        #[command(flatten)]
        lake: LakeArgs,
    },
    /// Walk over past days as if each were today: alerts a day, thresholds, and, with labels, precision and recall
    Backtest(BacktestArgs),
    /// Say what a finding was
    Feedback(FeedbackArgs),
    /// What is not told for a while: list, add, remove
    #[command(subcommand)]
    Suppress(SuppressCommand),
    /// Propose suppressions after the feedback, and show what they would have hidden
    Tune {
        #[command(flatten)]
        lake: LakeArgs,
    },
    /// Send new and changed findings to SNS or a file
    Publish {
        #[command(flatten)]
        lake: LakeArgs,
        #[command(flatten)]
        publish: PublishArgs,
    },
    /// Ingest, detect and publish once, for a scheduler; two runs on one lake do not overlap
    Run {
        /// s3://bucket/prefix, a folder or a file
        #[arg(env = "TRAILHOUND_SOURCE")]
        source: Option<String>,
        #[command(flatten)]
        lake: LakeArgs,
        #[command(flatten)]
        ingest: IngestArgs,
        #[command(flatten)]
        detect: DetectArgs,
        #[command(flatten)]
        publish: PublishArgs,
        #[command(flatten)]
        maintenance: MaintenanceArgs,
    },
    /// Look after the lake: its state, compaction, vacuum, retention
    #[command(subcommand)]
    Lake(LakeCommand),
    /// Make a synthetic organization and take it through the whole pipeline; no AWS needed
    Demo(DemoArgs),
    /// Print the JSON schema of a finding, with the unit of every number
    Schema,
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What is verified.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub lake: LakeArgs,
    /// First instant, e.g. 2026-01-31 or 2026-01-31T12:00:00Z [default: that of the oldest digest]
    #[arg(long, env = "TRAILHOUND_FROM", value_name = "TIME", value_parser = instant)]
    pub from: Option<DateTime<Utc>>,
    /// First instant not to verify [default: now; of a folder, its newest digest]
    #[arg(long, env = "TRAILHOUND_TO", value_name = "TIME", value_parser = instant)]
    pub to: Option<DateTime<Utc>>,
    #[command(flatten)]
    pub trail: TrailArgs,
    #[command(flatten)]
    pub read: ReadArgs,
    /// Form of the result
    #[arg(short, long, value_name = "FORMAT", default_value = "table", env = "TRAILHOUND_OUTPUT")]
    pub output: FindingFormat,
}

/// What is done for a lake.
#[derive(Debug, Subcommand)]
pub enum LakeCommand {
    /// Every table's version, files, rows, days, log, and what is due
    Status {
        #[command(flatten)]
        lake: LakeArgs,
        #[command(flatten)]
        optimize: OptimizeArgs,
        #[command(flatten)]
        vacuum: VacuumArgs,
        /// Form of the answer
        #[arg(short, long, value_name = "FORMAT", default_value = "table", env = "TRAILHOUND_OUTPUT")]
        output: FindingFormat,
    },
    /// Rewrite the files of closed days into few, sorted ones; no row changes
    Optimize {
        #[command(flatten)]
        lake: LakeArgs,
        #[command(flatten)]
        optimize: OptimizeArgs,
        /// Rewrite all files of closed days, not only where it is worth it
        #[arg(long, env = "TRAILHOUND_FULL")]
        full: bool,
    },
    /// Delete files that no version within the retention needs, and what dead writers left
    Vacuum {
        #[command(flatten)]
        lake: LakeArgs,
        #[command(flatten)]
        vacuum: VacuumArgs,
        /// Only name what would be deleted
        #[arg(long)]
        dry_run: bool,
    },
    /// Drop whole days of events, baselines and ledger, and never ingest them again
    Retain {
        #[command(flatten)]
        lake: LakeArgs,
        /// Days that are kept, today included
        #[arg(long, env = "TRAILHOUND_RETAIN_DAYS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        days: Option<u32>,
        /// Only tell what would be dropped
        #[arg(long)]
        dry_run: bool,
    },
    /// Take out files that are lost or damaged, so that the next ingest reads their events again
    Repair {
        #[command(flatten)]
        lake: LakeArgs,
        /// Read every page of every file, not only the footers
        #[arg(long, env = "TRAILHOUND_DEEP")]
        deep: bool,
        /// Only tell what is lost or damaged; exit code 2 where something is
        #[arg(long)]
        dry_run: bool,
    },
}

/// How files are rewritten.
#[derive(Debug, Clone, Args)]
pub struct OptimizeArgs {
    /// Size that a file should have [default: 128MiB]
    #[arg(long, env = "TRAILHOUND_TARGET_SIZE", value_name = "SIZE")]
    pub target_size: Option<Size>,
    /// A day is closed once it is this many days ago; 0 closes today, too [default: 2]
    #[arg(long, env = "TRAILHOUND_CLOSED_AFTER", value_name = "DAYS")]
    pub closed_after: Option<u32>,
}

/// How long old versions of the tables can be read.
#[derive(Debug, Clone, Args)]
pub struct VacuumArgs {
    /// Days that old versions of the tables stay readable [default: 7]
    #[arg(long, env = "TRAILHOUND_VERSION_DAYS", value_name = "N")]
    pub version_days: Option<u32>,
}

/// What a run does for the lake after its work.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Maintenance")]
pub struct MaintenanceArgs {
    /// Leave the lake's maintenance to `trailhound lake`
    #[arg(long, env = "TRAILHOUND_NO_MAINTENANCE")]
    pub no_maintenance: bool,
    #[command(flatten)]
    pub optimize: OptimizeArgs,
    #[command(flatten)]
    pub vacuum: VacuumArgs,
    /// Days of events that are kept; older ones are dropped [default: all]
    #[arg(long, env = "TRAILHOUND_RETAIN_DAYS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub retain_days: Option<u32>,
    /// Seconds after which no further rewrite is begun [default: 300]
    #[arg(long, env = "TRAILHOUND_MAINTENANCE_SECONDS", value_name = "N")]
    pub maintenance_seconds: Option<u64>,
}

/// What is scored, and what counts.
#[derive(Debug, Clone, Args)]
pub struct DetectArgs {
    /// First instant to score, e.g. 2026-01-31 or 2026-01-31T12:00:00Z [default: 24 hours before --to]
    #[arg(long, env = "TRAILHOUND_FROM", value_name = "TIME", value_parser = instant)]
    pub from: Option<DateTime<Utc>>,
    /// First instant not to score [default: now, or the end of the lake's newest day where that is older]
    #[arg(long, env = "TRAILHOUND_TO", value_name = "TIME", value_parser = instant)]
    pub to: Option<DateTime<Utc>>,
    /// Only events that had been delivered by then, as the objects' names tell [default: all]
    #[arg(long, env = "TRAILHOUND_AS_OF", value_name = "TIME", value_parser = instant)]
    pub as_of: Option<DateTime<Utc>>,
    /// Alerts that may be raised, e.g. 5/day or 20/week; the threshold is taken from the past weeks; where they had fewer
    /// stories, all are told [default: 5/day, and 18 bits where they had fewer]
    #[arg(long, env = "TRAILHOUND_BUDGET", value_name = "N/PERIOD", value_parser = budget)]
    pub budget: Option<f64>,
    /// Bits from which a story is a finding, instead of a budget
    #[arg(long, env = "TRAILHOUND_MIN_SCORE", value_name = "BITS", conflicts_with = "budget")]
    pub min_score: Option<f64>,
    /// Exit with 1 where a finding has this severity or a higher one: low, medium, high or critical
    #[arg(long, env = "TRAILHOUND_FAIL_ON", value_name = "SEVERITY")]
    pub fail_on: Option<SeverityBand>,
}

/// A finding to explain.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// The finding's id, or its beginning
    pub finding: String,
    #[command(flatten)]
    pub lake: LakeArgs,
    /// Score the finding's day again, by what is in the lake now, and compare
    #[arg(long)]
    pub replay: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// A range to walk over.
#[derive(Debug, Clone, Args)]
pub struct BacktestArgs {
    #[command(flatten)]
    pub lake: LakeArgs,
    #[command(flatten)]
    pub detect: DetectArgs,
    /// CSV with a column eventID (and, if there is one, campaign) of what was malicious
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Signals that shall count for nothing, e.g. network,hour: what the others are worth alone. Every day is counted
    /// anew for it, in memory
    #[arg(long, value_name = "SIGNAL", value_delimiter = ',', value_parser = signal)]
    pub without: Vec<Signal>,
}

/// What a finding was.
#[derive(Debug, Clone, Args)]
pub struct FeedbackArgs {
    /// The finding's id, or its beginning
    pub finding: String,
    /// What it was
    #[arg(value_enum)]
    pub judgement: JudgementArg,
    /// Who says so
    #[arg(long, env = "USER", value_name = "NAME")]
    pub by: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    #[command(flatten)]
    pub lake: LakeArgs,
}

/// What a finding was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum JudgementArg {
    /// An attack, or a violation.
    TruePositive,
    /// Nothing of concern.
    Benign,
    /// Unusual, and planned.
    Expected,
}

/// Suppressions.
#[derive(Debug, Subcommand)]
pub enum SuppressCommand {
    /// Show them, also those that are over
    List {
        #[command(flatten)]
        lake: LakeArgs,
    },
    /// Make one
    Add(SuppressArgs),
    /// End one
    Remove {
        /// Its id
        id: String,
        #[command(flatten)]
        lake: LakeArgs,
    },
}

/// A suppression.
#[derive(Debug, Clone, Args)]
pub struct SuppressArgs {
    #[command(flatten)]
    pub lake: LakeArgs,
    /// Only findings of this actor
    #[arg(long, value_name = "ACTOR")]
    pub actor: Option<String>,
    /// Only findings of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub finding_type: Option<String>,
    /// Only findings of this account
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
    /// Who answers for it
    #[arg(long, value_name = "NAME")]
    pub owner: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Until when, e.g. 2026-03-31
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub expires: DateTime<Utc>,
}

/// Where findings go.
#[derive(Debug, Clone, Args)]
pub struct PublishArgs {
    /// SNS topic (standard or FIFO)
    #[arg(long, env = "TRAILHOUND_SNS_TOPIC_ARN", value_name = "ARN")]
    pub sns_topic_arn: Option<String>,
    /// File to append findings to, one JSON object a line
    #[arg(long, env = "TRAILHOUND_FINDINGS_FILE", value_name = "FILE")]
    pub findings_file: Option<PathBuf>,
    /// Lowest severity that is sent [default: low]
    #[arg(long, env = "TRAILHOUND_MIN_SEVERITY", value_name = "SEVERITY")]
    pub min_severity: Option<SeverityBand>,
    /// Shape of a message: event (EventBridge's envelope, source "trailhound"), guardduty-event (the same, source
    /// "aws.guardduty"), finding (GuardDuty's finding alone) or native [default: event; native in a file]
    #[arg(long, env = "TRAILHOUND_SHAPE", value_name = "SHAPE")]
    pub shape: Option<Shape>,
}

/// What is investigated.
#[derive(Debug, Clone, Args)]
pub struct InvestigateArgs {
    #[command(flatten)]
    pub subject: SubjectArgs,
    #[command(flatten)]
    pub lake: LakeArgs,
    /// First instant [default: of an identity, role or resource 7 days before its last event; an hour around an event or
    /// finding; otherwise the first event]
    #[arg(long, env = "TRAILHOUND_FROM", value_name = "TIME", value_parser = instant)]
    pub from: Option<DateTime<Utc>>,
    /// First instant that is too late [default: after the last event]
    #[arg(long, env = "TRAILHOUND_TO", value_name = "TIME", value_parser = instant)]
    pub to: Option<DateTime<Utc>>,
    /// Form of the answer
    #[arg(short, long, value_name = "FORMAT", default_value = "table", env = "TRAILHOUND_OUTPUT")]
    pub output: StoryFormat,
    /// Only this section [default: all; with csv: timeline]
    #[arg(long, value_name = "NAME", value_parser = trailhound::investigate::section_names())]
    pub section: Option<String>,
    /// Write the answer there instead of to standard output
    #[arg(id = "file", long = "to-file", value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// The one thing that is investigated.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct SubjectArgs {
    /// An access key id, AKIA… or ASIA…, and what was made with it
    #[arg(long, value_name = "ID")]
    pub key: Option<String>,
    /// An address
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// An identity as in the column actor, or its name
    #[arg(long, value_name = "ARN")]
    pub actor: Option<String>,
    /// A role, by ARN or name: its sessions, and the calls that took it
    #[arg(long, value_name = "ARN")]
    pub role: Option<String>,
    /// A resource, by ARN, name or id
    #[arg(long, value_name = "ARN")]
    pub resource: Option<String>,
    /// An event, by its eventID: the session that it is of, around it
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// A finding, by its id or the beginning of it
    #[arg(long, value_name = "ID")]
    pub finding: Option<String>,
}

/// Whose permissions, and against what.
#[derive(Debug, Clone, Args)]
pub struct PolicyArgs {
    /// An identity as in the column actor, or its name
    pub actor: String,
    #[command(flatten)]
    pub lake: LakeArgs,
    /// First instant [default: all of the lake]
    #[arg(long, env = "TRAILHOUND_FROM", value_name = "TIME", value_parser = instant)]
    pub from: Option<DateTime<Utc>>,
    /// First instant that is too late [default: after the last event]
    #[arg(long, env = "TRAILHOUND_TO", value_name = "TIME", value_parser = instant)]
    pub to: Option<DateTime<Utc>>,
    /// A policy document, to hold what was used against it
    #[arg(long, value_name = "FILE")]
    pub granted: Option<PathBuf>,
    /// Form of the answer [default: policy; with --granted: table]
    #[arg(short, long, value_name = "FORMAT", env = "TRAILHOUND_OUTPUT")]
    pub output: Option<PolicyFormat>,
}

/// Forms of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyFormat {
    /// A policy document.
    Policy,
    /// The actions, for people.
    Table,
    /// The actions, as an array.
    Json,
    /// The actions, one a line.
    Ndjson,
    /// The actions, with a header.
    Csv,
}

/// Forms of an investigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StoryFormat {
    /// Tables for people.
    Table,
    /// One object.
    Json,
    /// An object per row, which says of which section it is.
    Ndjson,
    /// One section, with a header.
    Csv,
    /// A page that stands alone, with figures.
    Html,
}

/// The synthetic organization.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Folder to make
    #[arg(long, env = "TRAILHOUND_DEMO_DIR", value_name = "DIR", default_value = "trailhound-demo")]
    pub dir: PathBuf,
    /// Decides everything that is left to chance
    #[arg(long, env = "TRAILHOUND_DEMO_SEED", value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Days of life; the attacks are in the last one
    #[arg(long, env = "TRAILHOUND_DEMO_DAYS", value_name = "N", default_value_t = 14)]
    pub days: u32,
    /// The logs end here [default: the last midnight, UTC]
    #[arg(long, env = "TRAILHOUND_DEMO_END", value_name = "TIME", value_parser = instant)]
    pub end: Option<DateTime<Utc>>,
}

/// `5`, `5/day`, `20/week`, `60/month` -> alerts a day.
fn budget(text: &str) -> Result<f64, String> {
    let (number, period) = text.split_once('/').unwrap_or((text, "day"));
    let days = match period.trim() {
        "day" | "d" => 1.0,
        "week" | "w" => 7.0,
        "month" => 30.0,
        other => return Err(format!("unknown period \"{other}\"; use day, week or month")),
    };
    match number.trim().parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1e6 => Ok(number / days),
        _ => Err(format!("\"{number}\" is no number of alerts; give e.g. 5/day")),
    }
}

/// A signal's name.
fn signal(text: &str) -> Result<Signal, String> {
    Signal::of(text.trim()).ok_or_else(|| {
        let names: Vec<&str> = Signal::all().map(Signal::as_str).collect();
        format!("there is no signal \"{text}\"; there are {}", names.join(", "))
    })
}

/// An instant: RFC 3339, or a day (its beginning in UTC).
fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let day = || text.parse::<NaiveDate>().ok().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .ok()
        .or_else(day)
        .ok_or_else(|| format!("\"{text}\" is not a time; write 2026-01-31 or 2026-01-31T12:00:00Z"))
}

/// Forms of findings, and of other rows that are not a query's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FindingFormat {
    /// For people.
    Table,
    /// One array.
    Json,
    /// An object per line.
    Ndjson,
    /// The main columns, with a header.
    Csv,
}

/// What to ask, and how to print the answer.
#[derive(Debug, Clone, Args)]
pub struct QueryArgs {
    /// SQL, the name of a query (see --list), or - for standard input; nothing on a terminal starts a shell
    pub query: Option<String>,
    #[command(flatten)]
    pub lake: LakeArgs,
    /// Read the SQL from a file
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Value of a query's parameter; in SQL of your own, of the placeholder $NAME (as text)
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = name_value)]
    pub param: Vec<(String, String)>,
    /// Form of the answer
    #[arg(short, long, value_name = "FORMAT", default_value = "table", env = "TRAILHOUND_OUTPUT")]
    pub output: OutputFormat,
    /// Write the answer there instead of to standard output
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// Allow COPY … TO 'file'; otherwise a query can only read
    #[arg(long)]
    pub allow_write: bool,
    /// Stop a query that runs longer [default: no limit]
    #[arg(long, env = "TRAILHOUND_TIMEOUT", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,
    /// Run the query and tell in words what it read and what it could leave out, instead of its answer
    #[arg(long)]
    pub explain: bool,
    /// List the named queries
    #[arg(long, conflicts_with_all = ["query", "file"])]
    pub list: bool,
    /// Show a named query: its question, its parameters, its SQL
    #[arg(long, value_name = "NAME", conflicts_with_all = ["query", "file"])]
    pub describe: Option<String>,
}

fn name_value(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("\"{text}\" is not NAME=VALUE"))
}

/// Forms of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people; the first 10,000 rows.
    Table,
    /// For people: a line for each value.
    Vertical,
    /// One array.
    Json,
    /// An object per line.
    Ndjson,
    /// With a header; texts that a spreadsheet would take for formulas are made inert.
    Csv,
    /// Columns with their types.
    Parquet,
}

impl OutputFormat {
    /// The library's word for it.
    pub fn format(self) -> Format {
        match self {
            Self::Table => Format::Table,
            Self::Vertical => Format::Vertical,
            Self::Json => Format::Json,
            Self::Ndjson => Format::Ndjson,
            Self::Csv => Format::Csv,
            Self::Parquet => Format::Parquet,
        }
    }
}
