//! The command line, literally: every option is optional here, and resolved later.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use trailhound::query::output::Format;

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
    /// Threads that compute [default: all]
    #[arg(long, global = true, env = "TRAILHOUND_THREADS", value_name = "N")]
    pub threads: Option<usize>,
    /// Memory for buffers and caches, e.g. 512MiB [default: 512MiB]
    #[arg(long, global = true, env = "TRAILHOUND_MEMORY_LIMIT", value_name = "SIZE")]
    pub memory_limit: Option<Size>,
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

/// How much is read at once.
#[derive(Debug, Clone, Args)]
pub struct IngestArgs {
    /// Uncompressed size up to which an object is read [default: 1GiB]
    #[arg(long, env = "TRAILHOUND_MAX_OBJECT_SIZE", value_name = "SIZE")]
    pub max_object_size: Option<Size>,
    /// Size of the objects (as stored) that are committed together [default: 64MiB]
    #[arg(long, env = "TRAILHOUND_COMMIT_BYTES", value_name = "SIZE")]
    pub commit_bytes: Option<Size>,
    /// Objects fetched at the same time [default: 32]
    #[arg(long, env = "TRAILHOUND_CONCURRENCY", value_name = "N")]
    pub concurrency: Option<usize>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring every new event of a bucket, folder or file into the lake
    Ingest {
        /// s3://bucket/prefix, a folder or a file
        #[arg(env = "TRAILHOUND_SOURCE")]
        source: Option<String>,
        #[command(flatten)]
        lake: LakeArgs,
        #[command(flatten)]
        ingest: IngestArgs,
    },
    /// Ask the lake in SQL, or by a named query
    Query(QueryArgs),
}

/// What to ask, and how to print the answer.
#[derive(Debug, Clone, Args)]
pub struct QueryArgs {
    /// SQL, the name of a query (see --list), or - for standard input
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
            Self::Json => Format::Json,
            Self::Ndjson => Format::Ndjson,
            Self::Csv => Format::Csv,
            Self::Parquet => Format::Parquet,
        }
    }
}
