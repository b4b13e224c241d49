//! What every test of the binary needs: a folder of its own, the program, and a look into the lake.

pub mod aws;
pub mod burst;
pub mod canned;
pub mod emulator;
pub mod findings;
pub mod forge;
pub mod proxy;
pub mod records;
pub mod schema;
pub mod shaky;
pub mod suspects;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use trailhound::aws::AwsOptions;
use trailhound::lake::{Lake, LakeOptions};
use trailhound::schema::Table;

/// A test's own folder with a source and a lake in it.
pub struct World {
    folder: TempDir,
}

/// How the program ended.
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Reads what a program that has ended left.
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        }
    }

    /// Fails the test, with all that was printed, where the exit code is another one.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

impl World {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn lake(&self) -> PathBuf {
        self.path("lake")
    }

    /// Puts an object into the source.
    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path("source").join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the source's folder");
        std::fs::write(&path, bytes).expect("the source's object");
        path
    }

    /// The program, in the test's folder, with nothing of the user's environment that could matter.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trailhound"));
        command.args(args).current_dir(self.folder.path()).env_clear();
        command.env("HOME", self.folder.path()).env("PATH", "/usr/bin:/bin").env("RUST_BACKTRACE", "1");
        command
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(args).output().expect("the program starts"))
    }

    /// The program with credentials that an emulator takes, talking to this endpoint and nobody else.
    pub fn at(&self, endpoint: &str, args: &[&str]) -> Command {
        let mut command = self.command(&[args, &["--endpoint-url", endpoint]].concat());
        command.envs(NO_CREDENTIALS).env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command
    }

    pub fn run_at(&self, endpoint: &str, args: &[&str]) -> Ended {
        Ended::of(self.at(endpoint, args).output().expect("the program starts"))
    }

    /// What `--report report.json` left.
    pub fn report(&self) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.path("report.json")).expect("a report")).expect("JSON")
    }

    /// Ingests the source into the lake.
    pub fn ingest(&self, more: &[&str]) -> Ended {
        self.run(&[&["ingest", "source", "--lake", "lake"], more].concat())
    }

    /// Rows of a table of the lake, as its log has them.
    pub fn rows(&self, table: &'static Table) -> u64 {
        rows_at(&self.lake(), table)
    }
}

/// Environment in which AWS's chain finds nothing and asks no server for it.
pub const NO_CREDENTIALS: [(&str, &str); 4] = [
    ("AWS_REGION", "us-east-1"),
    ("AWS_CONFIG_FILE", "/nonexistent"),
    ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

/// Rows of a table of a lake in a folder.
pub fn rows_at(lake: &Path, table: &'static Table) -> u64 {
    let options = LakeOptions { location: lake.to_string_lossy().into_owned(), aws: AwsOptions::default() };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let lake = Lake::open(&options).await.expect("a lake");
        let snapshot = lake.snapshot(table).await.expect("a snapshot");
        snapshot.files.iter().map(|file| file.rows.expect("rows in the log")).sum()
    })
}

/// The folder of real logs, where this checkout has it.
pub fn real_data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: the real logs {} are not here", path.display());
    None
}
