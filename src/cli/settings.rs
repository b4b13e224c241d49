//! Resolved settings: flag > environment (both clap's) > file > default.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use trailhound::aws::AwsOptions;
use trailhound::detect::{Bar, DetectOptions};
use trailhound::error::{Error, ErrorKind, Result};
use trailhound::finding::SeverityBand;
use trailhound::ingest::{Hashing, IngestOptions, Quarantine, Relist, Until};
use trailhound::lake::LakeOptions;
use trailhound::maintain::{MaintainOptions, OptimizeOptions, VacuumOptions};
use trailhound::network::Networks;
use trailhound::publish::PublishOptions;
use trailhound::query::QueryOptions;
use trailhound::source::{Names, Selection, SourceOptions};
use trailhound::verify::VerifyOptions;

use super::args::{
    DetectArgs, GlobalArgs, IngestArgs, LakeArgs, LogFormat, MaintenanceArgs, OptimizeArgs, PublishArgs, QueueArgs,
    SelectArgs, VacuumArgs, VerifyArgs,
};
use super::config::FileConfig;
use super::networks::NetworkFiles;

/// Memory for buffers and caches unless configured otherwise, in bytes.
const DEFAULT_MEMORY: u64 = 512 << 20;

/// How long a run goes on with maintenance before it leaves the rest to the next, in seconds.
const MAINTENANCE_SECONDS: u64 = 300;

/// Seconds that a message of a followed queue waits for others.
const DEFAULT_COMMIT_SECONDS: u64 = 60;

/// What every command knows.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who we are at AWS.
    pub aws: AwsOptions,
    /// Threads that compute.
    pub threads: usize,
    /// Bytes.
    pub memory_limit: u64,
    /// What the user's files tell of addresses.
    networks: Option<Arc<Networks>>,
    network_files: NetworkFiles,
    /// Where the run's report goes.
    pub report: Option<PathBuf>,
    /// Form of the diagnostics.
    pub log_format: LogFormat,
    /// Filter of the diagnostics.
    pub log: Option<String>,
    file: FileConfig,
}

impl Settings {
    /// Joins the flags with the configuration file.
    ///
    /// # Errors
    /// `Usage` where the file is wrong.
    pub fn resolve(args: GlobalArgs) -> Result<Self> {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let file = FileConfig::load(args.config.as_deref(), home.as_deref())?;
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let threads = args.threads.or(file.threads).unwrap_or(cores);
        if threads == 0 {
            return Err(Error::new(ErrorKind::Usage, "--threads must be at least 1"));
        }
        Ok(Self {
            aws: AwsOptions {
                endpoint_url: args.endpoint_url.or_else(|| file.endpoint_url.clone()),
                region: args.region.or_else(|| file.region.clone()),
                profile: args.profile.or_else(|| file.profile.clone()),
                assume_role_arn: args.assume_role_arn.or_else(|| file.assume_role_arn.clone()),
                request_timeout: args.request_timeout.or(file.request_timeout).map(std::time::Duration::from_secs),
            },
            threads,
            memory_limit: args.memory_limit.or(file.memory_limit).map_or(DEFAULT_MEMORY, |size| size.0),
            networks: None,
            network_files: NetworkFiles {
                asn_db: args.asn_db.or_else(|| file.asn_db.clone()),
                aws_ip_ranges: args.aws_ip_ranges.or_else(|| file.aws_ip_ranges.clone()),
                threat_list: args.threat_list.or_else(|| file.threat_list.clone()),
                tor_list: args.tor_list.or_else(|| file.tor_list.clone()),
            },
            report: args.report,
            log_format: args.log_format.or(file.log_format).unwrap_or(LogFormat::Text),
            log: args.log,
            file,
        })
    }

    /// Reads the user's files of networks, for commands that ask the lake.
    ///
    /// # Errors
    /// As [`super::networks::load`].
    pub fn load_networks(&mut self) -> Result<()> {
        self.networks = super::networks::load(&self.network_files)?;
        Ok(())
    }

    /// The lake to work on.
    ///
    /// # Errors
    /// `Usage` where none is named.
    pub fn lake(&self, args: LakeArgs) -> Result<LakeOptions> {
        self.optional_lake(args).ok_or_else(|| {
            Error::new(ErrorKind::Usage, "no lake is named").hint("add --lake FOLDER or --lake s3://bucket/prefix")
        })
    }

    /// The source to read.
    ///
    /// # Errors
    /// `Usage` where none is named.
    pub fn source(&self, source: Option<String>) -> Result<SourceOptions> {
        self.optional_source(source).ok_or_else(|| {
            Error::new(ErrorKind::Usage, "no source is named").hint("give s3://bucket/prefix, a folder or a file")
        })
    }

    /// Bounds of a query.
    pub fn query(&self) -> QueryOptions {
        QueryOptions { networks: self.networks.clone(), ..QueryOptions::new(self.threads, self.memory_limit) }
    }

    /// How long a query may run.
    pub fn timeout(&self, seconds: Option<u64>) -> Option<Duration> {
        seconds.or(self.file.timeout).map(Duration::from_secs)
    }

    /// What is scored.
    pub fn detect(&self, args: &DetectArgs) -> DetectOptions {
        let default = DetectOptions::new(self.query());
        let budget = args.budget.or(self.file.budget).map(Bar::Budget);
        let bar = args.min_score.map(Bar::Score).or(budget).unwrap_or(default.bar);
        DetectOptions { from: args.from, to: args.to, as_of: args.as_of, bar, ..default }
    }

    /// What is sent.
    pub fn publish(&self, args: &PublishArgs) -> PublishOptions {
        PublishOptions { minimum_severity: args.min_severity.unwrap_or(SeverityBand::Low), query: self.query() }
    }

    /// The topic to send to, if any.
    pub fn sns_topic_arn(&self, args: &PublishArgs) -> Option<String> {
        args.sns_topic_arn.clone().or_else(|| self.file.sns_topic_arn.clone())
    }

    /// What is verified.
    ///
    /// # Errors
    /// `Usage` where the time has no length.
    pub fn verify(&self, args: &VerifyArgs) -> Result<VerifyOptions> {
        if args.from.zip(args.to).is_some_and(|(from, to)| from >= to) {
            return Err(Error::new(ErrorKind::Usage, "--from is not before --to"));
        }
        let default = VerifyOptions::default();
        let max_object_size = args.read.max_object_size.or(self.file.max_object_size);
        Ok(VerifyOptions {
            from: args.from,
            to: args.to,
            accounts: args.trail.account.clone(),
            regions: args.trail.trail_region.clone(),
            threads: self.threads,
            concurrency: args.read.concurrency.or(self.file.concurrency).unwrap_or(default.concurrency),
            max_object_size: max_object_size.map_or(default.max_object_size, |size| size.0),
            ..default
        })
    }

    /// How files are rewritten.
    pub fn optimize(&self, args: &OptimizeArgs) -> OptimizeOptions {
        let default = OptimizeOptions::new(self.query());
        let target_size = args.target_size.or(self.file.target_size).map_or(default.target_size, |size| size.0);
        let closed_after = args.closed_after.or(self.file.closed_after).unwrap_or(default.closed_after);
        OptimizeOptions { target_size, closed_after, ..default }
    }

    /// What a vacuum keeps.
    pub fn vacuum(&self, args: &VacuumArgs) -> VacuumOptions {
        let days = args.version_days.or(self.file.version_days);
        days.map_or_else(VacuumOptions::default, |days| VacuumOptions {
            retention: chrono::Duration::days(days.into()),
        })
    }

    /// Days that are kept.
    pub fn retain_days(&self, days: Option<u32>) -> Option<u32> {
        days.or(self.file.retain_days.map(std::num::NonZeroU32::get))
    }

    /// What a run does for the lake; `None` where that is left to others.
    pub fn maintain(&self, args: &MaintenanceArgs) -> Option<MaintainOptions> {
        if args.no_maintenance || self.file.no_maintenance == Some(true) {
            return None;
        }
        let seconds = args.maintenance_seconds.or(self.file.maintenance_seconds).unwrap_or(MAINTENANCE_SECONDS);
        Some(MaintainOptions {
            optimize: self.optimize(&args.optimize),
            vacuum: self.vacuum(&args.vacuum),
            retain_days: self.retain_days(args.retain_days),
            budget: Duration::from_secs(seconds),
        })
    }

    /// Which objects are read.
    fn selection(&self, args: &SelectArgs) -> Result<Selection> {
        let either = |flag: &Vec<String>, file: &Vec<String>| if flag.is_empty() { file.clone() } else { flag.clone() };
        Ok(Selection {
            accounts: either(&args.trail.account, &self.file.account).into_iter().collect(),
            regions: either(&args.trail.trail_region, &self.file.trail_region).into_iter().collect(),
            names: Names::new(&either(&args.include, &self.file.include), &either(&args.exclude, &self.file.exclude))?,
            ..Selection::default()
        })
    }

    /// Bounds of an ingest.
    ///
    /// # Errors
    /// `Usage` where a pattern is wrong.
    pub fn ingest(&self, args: &IngestArgs) -> Result<IngestOptions> {
        let default = IngestOptions::default();
        let size = |flag: Option<super::config::Size>, file: Option<super::config::Size>, default: u64| {
            flag.or(file).map_or(default, |size| size.0)
        };
        Ok(IngestOptions {
            threads: self.threads,
            concurrency: args.read.concurrency.or(self.file.concurrency).unwrap_or(default.concurrency),
            memory_limit: self.memory_limit,
            max_object_size: size(args.read.max_object_size, self.file.max_object_size, default.max_object_size),
            max_attempts: args.max_attempts.or(self.file.max_attempts).unwrap_or(default.max_attempts).max(1),
            quarantine: if args.retry_quarantined { Quarantine::Release } else { Quarantine::Keep },
            commit_bytes: size(args.commit_bytes, self.file.commit_bytes, default.commit_bytes),
            hashing: if self.verifies(args) { Hashing::On } else { Hashing::Off },
            selection: self.selection(&args.select)?,
            relist: Relist {
                days: args.select.relist_days.or(self.file.relist_days).unwrap_or(default.relist.days),
                all: args.select.relist_all,
            },
        })
    }

    /// The queue to read, if any, and when to end.
    ///
    /// # Errors
    /// `Usage` where a queue is to be followed and none is named.
    pub fn queue(&self, args: &QueueArgs) -> Result<Option<(String, Until)>> {
        let url = args.sqs_queue_url.clone().or_else(|| self.file.sqs_queue_url.clone());
        if args.follow && url.is_none() {
            return Err(Error::new(ErrorKind::Usage, "only a queue can be followed").hint("add --sqs-queue-url URL"));
        }
        let seconds = args.commit_seconds.or(self.file.commit_seconds).unwrap_or(DEFAULT_COMMIT_SECONDS);
        let until = if args.follow { Until::Stopped(Duration::from_secs(seconds)) } else { Until::Empty };
        Ok(url.map(|url| (url, until)))
    }

    /// The source, where one is named.
    pub fn optional_source(&self, source: Option<String>) -> Option<SourceOptions> {
        let location = source.or_else(|| self.file.source.clone())?;
        Some(SourceOptions { location, aws: self.aws.clone() })
    }

    /// The lake, where one is named.
    pub fn optional_lake(&self, args: LakeArgs) -> Option<LakeOptions> {
        let location = args.lake.or_else(|| self.file.lake.clone())?;
        Some(LakeOptions { location, aws: self.aws.clone() })
    }

    /// Whether an ingest is followed by a verification.
    pub fn verifies(&self, args: &IngestArgs) -> bool {
        args.verify || self.file.verify.unwrap_or_default()
    }

    /// Bounds of the verification that follows an ingest.
    ///
    /// # Errors
    /// As [`Settings::ingest`].
    pub fn verify_after(&self, args: &IngestArgs) -> Result<VerifyOptions> {
        let IngestOptions { threads, concurrency, max_object_size, .. } = self.ingest(args)?;
        Ok(VerifyOptions { threads, concurrency, max_object_size, ..VerifyOptions::default() })
    }
}
