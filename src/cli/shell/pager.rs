//! Results on a terminal go through a pager, which shows short ones as they are and lets wide ones be moved.

use std::io::{self, IsTerminal, Write};
use std::process::{Child, Command, Stdio};

use trailhound::query::output::Format;

/// Where a result goes.
pub enum Out {
    Plain(io::BufWriter<io::Stdout>),
    Paged(Child),
}

/// Opens the pager for what is for people on a terminal, standard output for anything else, or where there is no pager.
pub fn open(format: Format) -> io::Result<Out> {
    let plain = || Out::Plain(io::BufWriter::new(io::stdout()));
    if !matches!(format, Format::Table | Format::Vertical) || !io::stdout().is_terminal() {
        return Ok(plain());
    }
    let pager = std::env::var("PAGER").ok().filter(|pager| !pager.trim().is_empty()).unwrap_or_else(|| "less".into());
    let mut words = pager.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("less"));
    command.args(words).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        // end at once where all fits, do not clear the screen, do not wrap
        command.env("LESS", "FXS");
    }
    Ok(command.spawn().map_or_else(|_| plain(), Out::Paged))
}

impl Out {
    /// Waits until the reader has seen enough.
    pub fn close(mut self) {
        let _ = self.flush();
        if let Self::Paged(child) = &mut self {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }

    fn inner(&mut self) -> io::Result<&mut dyn Write> {
        match self {
            Self::Plain(out) => Ok(out),
            Self::Paged(child) => match &mut child.stdin {
                Some(stdin) => Ok(stdin),
                None => Err(io::ErrorKind::BrokenPipe.into()),
            },
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner()?.flush()
    }
}
