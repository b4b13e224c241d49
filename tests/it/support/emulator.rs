//! Emulators of S3, SNS and SQS as child processes.
//!
//! Invariant: no server outlives the test binary, however that ends: each runs under `emulator.py`, which ends it when
//! its standard input, our pipe, is closed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// Which emulator: the two differ in what they check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Fast, and its events are the truer ones: the one to use.
    Ministack,
    /// Checks what ministack lets pass (length of a subject, filter policies).
    Moto,
}

impl Kind {
    /// Both, for tests that must hold on either.
    pub const ALL: [Self; 2] = [Self::Ministack, Self::Moto];

    fn name(self) -> &'static str {
        match self {
            Self::Ministack => "ministack",
            Self::Moto => "moto",
        }
    }
}

/// A server on a free port of 127.0.0.1; dropping it ends it.
#[derive(Debug)]
pub struct Emulator {
    endpoint: String,
    process: Child,
}

impl Emulator {
    /// Starts a server of the test's own. `None` only where `TRAILHOUND_SKIP_EMULATOR=1` asks for skipping.
    ///
    /// # Panics
    /// Where the emulators are not installed, or do not start.
    pub fn start(kind: Kind) -> Option<Self> {
        Self::run(kind.name(), None)
    }

    /// Starts what stands under a name in `emulator.py`, in front of another server where one is given.
    ///
    /// # Panics
    /// As [`Emulator::start`].
    pub fn run(name: &str, upstream: Option<&str>) -> Option<Self> {
        if std::env::var_os("TRAILHOUND_SKIP_EMULATOR").is_some_and(|value| value == "1") {
            eprintln!("SKIPPED: this test needs {name}, and TRAILHOUND_SKIP_EMULATOR=1 is set");
            return None;
        }
        let python = python();
        let mut process = Command::new(&python)
            .arg(repository().join("tests/it/support/emulator.py"))
            .arg(name)
            .args(upstream)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}; run tests/run", python.display()));
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("is piped")).read_line(&mut line).expect("reads");
        let Some(port) = line.trim().strip_prefix("ready ") else {
            panic!("{name} did not start (its log is above); run tests/run, which installs what it needs");
        };
        Some(Self { endpoint: format!("http://127.0.0.1:{port}"), process })
    }

    /// The server that all tests of this binary share; use names of your own for what you make in it.
    pub fn shared(kind: Kind) -> Option<&'static Self> {
        static MINISTACK: OnceLock<Option<Emulator>> = OnceLock::new();
        static MOTO: OnceLock<Option<Emulator>> = OnceLock::new();
        let cell = match kind {
            Kind::Ministack => &MINISTACK,
            Kind::Moto => &MOTO,
        };
        cell.get_or_init(|| Self::start(kind)).as_ref()
    }

    /// The URL for `--endpoint-url`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Environment for the binary under test: credentials that an emulator takes, and nothing of the developer's own.
    #[allow(dead_code, reason = "used by the tests of the binary")]
    pub fn environment(&self) -> [(&'static str, String); 7] {
        let nowhere = "/nonexistent".to_owned();
        [
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_CONFIG_FILE", nowhere.clone()),
            ("AWS_SHARED_CREDENTIALS_FILE", nowhere),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
        ]
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // it ends by the closed pipe; waiting leaves no zombie and no folder behind
        let _ = self.process.wait();
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Python of the virtual environment that `tests/run` makes.
pub fn python() -> PathBuf {
    let venv = std::env::var_os("TRAILHOUND_TEST_VENV").map_or_else(|| repository().join(".venv"), PathBuf::from);
    let python = venv.join("bin/python");
    assert!(
        python.exists(),
        "the emulators are not installed in {}: run tests/run, which installs them and runs all tests \
         (or set TRAILHOUND_SKIP_EMULATOR=1 to skip the tests that need them)",
        venv.display()
    );
    python
}

#[test]
fn an_emulator_ends_with_its_handle() {
    let Some(emulator) = Emulator::start(Kind::Ministack) else { return };
    let address = emulator.endpoint().trim_start_matches("http://").to_owned();
    std::net::TcpStream::connect(&address).expect("the server answers");
    drop(emulator);
    std::net::TcpStream::connect(&address).expect_err("the server is gone");
}
