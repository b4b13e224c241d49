//! The edge: the only home of the command line, the environment, the clock and the standard streams.
//!
//! Owns: literal arguments -> resolved settings -> a pipeline -> printed results and an exit status.

mod args;
mod config;
mod demo;
mod detect;
mod dry;
mod exit;
mod findings;
mod govern;
mod ingest;
mod investigate;
mod lake;
mod memory;
mod networks;
mod policy;
mod progress;
mod publish;
mod query;
mod report;
mod run;
mod settings;
mod shell;
mod signal;
mod tell;
mod verify;

use std::io::Write;

use clap::{CommandFactory, Parser};

use args::{Cli, Command, LogFormat};
pub use exit::ExitStatus;
use settings::Settings;

/// Parses, runs and reports; everything but the exit itself.
pub fn main() -> ExitStatus {
    end_on_panic();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let status = if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Fine };
            let _ = error.print();
            return status;
        }
    };
    match start(cli) {
        Ok(status) => status,
        Err(error) if is_broken_pipe(&error) => ExitStatus::Fine,
        Err(error) => {
            eprintln!("trailhound: {error:#}");
            ExitStatus::of(&error)
        }
    }
}

/// A panic anywhere is a bug: it is told, and the process ends with the exit code of a failure. The lake is safe, as a
/// commit is all or nothing.
fn end_on_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        tell(info);
        eprintln!("trailhound: this is a bug; please report it with the lines above");
        std::process::exit(2);
    }));
}

/// Whoever reads our output may stop reading; that is no failure of ours.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn start(cli: Cli) -> anyhow::Result<ExitStatus> {
    let mut settings = Settings::resolve(cli.global)?;
    start_logging(&settings);
    if matches!(
        cli.command,
        Command::Query(_)
            | Command::Investigate(_)
            | Command::Policy(_)
            | Command::Detect { .. }
            | Command::Run { .. }
            | Command::Train { .. }
            | Command::Explain(_)
            | Command::Backtest(_)
    ) {
        settings.load_networks()?;
    }
    if matches!(cli.command, Command::Lake(_) | Command::Run { .. }) {
        memory::give_back_soon();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(settings.threads).enable_all().build()?;
    runtime.block_on(dispatch(cli.command, &settings))
}

async fn dispatch(command: Command, settings: &Settings) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Verify { source, verify } => verify::run(settings, source, verify).await,
        Command::Ingest { source, lake, ingest, period, queue, dry, replay_rejects } => {
            let args = ingest::Args { source, lake, ingest, period, queue, dry };
            if replay_rejects {
                ingest::replay_rejects(settings, args).await
            } else {
                ingest::run(settings, args).await
            }
        }
        Command::Query(args) => query::run(settings, args).await,
        Command::Policy(args) => policy::run(settings, args).await,
        Command::Investigate(args) => investigate::run(settings, *args).await,
        Command::Detect { lake, detect, output } => detect::run(settings, lake, detect, output).await,
        Command::Train { lake, anew } => detect::train(settings, lake, anew).await,
        Command::Explain(args) => tell::explain(settings, args).await,
        Command::Baseline { actor, lake } => tell::baseline(settings, &actor, lake).await,
        Command::Backtest(args) => tell::backtest(settings, args).await,
        Command::Feedback(args) => govern::feedback(settings, args).await,
        Command::Suppress(command) => govern::suppress(settings, command).await,
        Command::Tune { lake } => govern::tune(settings, lake).await,
        Command::Publish { lake, publish } => publish::run(settings, lake, publish).await,
        Command::Run { source, lake, ingest, detect, publish, maintenance } => {
            run::run(settings, run::RunArgs { source, lake, ingest, detect, publish, maintenance }).await
        }
        Command::Lake(command) => lake::run(settings, command).await,
        Command::Demo(args) => demo::run(settings, args).await,
        Command::Schema => {
            std::io::stdout().write_all(trailhound::finding::SCHEMA.as_bytes())?;
            Ok(ExitStatus::Fine)
        }
        Command::Completions { shell } => {
            completions(shell, &mut std::io::stdout())?;
            Ok(ExitStatus::Fine)
        }
    }
}

/// Through memory, as the generator panics where it cannot write.
fn completions(shell: clap_complete::Shell, out: &mut dyn Write) -> std::io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "trailhound", &mut script);
    out.write_all(&script)?;
    out.flush()
}

/// Libraries that log an error before they return it: we say it once, with what to do about it.
const QUIET: &str = "deltalake_core=off,delta_kernel=off,buoyant_kernel=off,buoyant_kernel_engine=off";

fn start_logging(settings: &Settings) {
    let filter = match settings.log.as_deref() {
        None => format!("error,trailhound=info,{QUIET}"),
        Some(level) if !level.contains('=') => format!("error,trailhound={level},{QUIET}"),
        Some(filter) => filter.to_owned(),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    match settings.log_format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.with_ansi(ansi).init(),
    }
}
