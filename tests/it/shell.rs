//! `trailhound query` as a program: many statements, limits, errors that point, the shell on a terminal.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{Ended, World, records};

/// A lake with a few events.
fn world() -> World {
    let world = World::new();
    world.put("a.json", records::envelope(&records::records(0..5)));
    world.ingest(&[]).expect(0);
    world
}

fn piped(world: &World, args: &[&str], input: &str) -> Ended {
    let mut child = world
        .command(&[&["query", "--lake", "lake"], args].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    Ended::of(child.wait_with_output().expect("it ends"))
}

#[test]
fn many_statements_run_one_after_the_other() {
    let world = world();
    let ended =
        piped(&world, &["-o", "csv"], "SELECT count(*) AS n FROM events; -- then\nSELECT ';' AS x;\n").expect(0);
    assert_eq!(ended.stdout, "n\n5\nx\n\";\"\n");
    let ended = piped(&world, &["-o", "csv"], "SELECT 1 AS a; SELECT nme FROM events; SELECT 2 AS b").expect(64);
    assert_eq!(ended.stdout, "a\n1\n");
}

#[test]
fn commands_of_the_shell_come_from_a_pipe_too() {
    let world = world();
    let script = "\\o csv\nSELECT count(*)\n  AS n FROM events;\n\\timing\nSELECT 1 AS a;\n\\d events\n\\q\nSELECT nme";
    let ended = piped(&world, &[], script).expect(0);
    assert!(ended.stdout.starts_with("n\n5\na\n1\ncolumn_name,"), "{}", ended.stdout);
    assert!(ended.stdout.contains("\neventname,"), "{}", ended.stdout);
    assert!(ended.stderr.contains("1 rows, "), "{}", ended.stderr);
    let ended = piped(&world, &[], "\\o csv\nSELECT 1 AS a;\n\\nonsense\nSELECT 2 AS b;").expect(64);
    assert_eq!(ended.stdout, "a\n1\n");
    assert!(ended.stderr.contains("there is no command \\nonsense"), "{}", ended.stderr);
}

#[test]
fn an_error_points_at_the_place_and_guesses() {
    let world = world();
    for (sql, expected) in [
        (
            "SELECT eventname,\n       eventsorce FROM events",
            "no column is named eventsorce: line 2, column 8\n  |        eventsorce FROM events\n  |        ^^^^^^^^^^ (did you mean eventsource?)",
        ),
        (
            "SELECT json_extrat_scalar(requestparameters, '$.a') FROM events",
            "no function is named json_extrat_scalar: line 1, column 8\n  | SELECT json_extrat_scalar(requestparameters, '$.a') FROM events\n  |        ^^^^^^^^^^^^^^^^^^ (did you mean json_extract_scalar?)",
        ),
        (
            "SELECT 1 FROM event",
            "no table is named event: line 1, column 15\n  | SELECT 1 FROM event\n  |               ^^^^^ (did you mean events?)",
        ),
        ("SELECT userIdentity.acountId FROM events", "  |                     ^^^^^^^^ (did you mean accountid?)"),
        (
            "SELECT eventName FROM events WHER eventName = 'a' AND",
            "cannot read the SQL: Expected: end of statement, found: eventName: line 1, column 35",
        ),
        ("SELECT eventJson FROM cloudtrail_logs", "(the record's text is not kept as a whole"),
        ("SELECT 'a\u{1b}[31m' x, nme FROM events", "| SELECT 'a\\u{1b}[31m' x, nme FROM events"),
    ] {
        let ended = world.run(&["query", "--lake", "lake", sql]).expect(64);
        assert!(ended.stderr.contains(expected), "{sql}\n{}", ended.stderr);
        assert!(!ended.stderr.contains('\u{1b}'));
    }
}

#[test]
fn a_limit_says_which_it_is() {
    let world = world();
    let endless = "SELECT count(*) FROM generate_series(1, 100000000000) AS a(x) WHERE x % 7 = 3";
    let ended = world.run(&["query", "--lake", "lake", "--timeout", "1", endless]).expect(2);
    assert!(ended.stderr.contains("the query ran longer than its limit of 1 s (raise --timeout"), "{}", ended.stderr);
    let large = "SELECT array_agg(repeat('x', 1000)) FROM generate_series(1, 1000000) AS a(x)";
    let ended = world.run(&["--memory-limit", "16MiB", "query", "--lake", "lake", large]).expect(2);
    assert!(ended.stderr.contains("the query needs more than --memory-limit allows"), "{}", ended.stderr);
}

#[test]
fn explain_tells_in_words_what_was_read() {
    let world = world();
    let ended = world
        .run(&["query", "--lake", "lake", "--explain", "SELECT * FROM events WHERE event_date = DATE '1999-01-01'"])
        .expect(0);
    assert!(ended.stdout.contains("0 files of 0 bytes were opened, 1 were ruled out"), "{}", ended.stdout);
    let ended = world.run(&["query", "--lake", "lake", "--explain", "top-apis"]).expect(0);
    assert!(ended.stdout.contains("The answer has "), "{}", ended.stdout);
}

/// The program on a terminal of its own.
struct Terminal {
    child: Child,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    fn open(world: &World) -> Option<Self> {
        if Command::new("script").arg("--version").output().is_err() {
            eprintln!("SKIPPED: there is no program `script` to make a terminal with");
            return None;
        }
        let program = env!("CARGO_BIN_EXE_trailhound");
        let mut child = Command::new("script")
            .args(["-qec", &format!("{program} query --lake lake"), "/dev/null"])
            .current_dir(world.path(""))
            .env_clear()
            .envs([
                ("HOME", world.path("home")),
                ("PATH", "/usr/bin:/bin".into()),
                ("TERM", "xterm".into()),
                ("PAGER", "cat".into()),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script starts");
        let screen = Arc::new(Mutex::new(String::new()));
        let (seen, mut stdout) = (Arc::clone(&screen), child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut bytes) {
                seen.lock().expect("no panic").push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Some(Self { child, screen })
    }

    fn screen(&self) -> String {
        self.screen.lock().expect("no panic").clone()
    }

    /// Waits until a text has been shown so often.
    fn until(&self, text: &str, times: usize) {
        let started = Instant::now();
        while self.screen().matches(text).count() < times {
            assert!(started.elapsed() < Duration::from_secs(60), "no {text:?}\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn type_in(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("a pipe");
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).expect("it reads");
    }

    /// Types lines, each after something of the one before was shown.
    fn dialogue(&mut self, lines: &[(&str, &str)]) {
        for (line, answer) in lines {
            let before = self.screen().matches(answer).count();
            self.type_in(&format!("{line}\n"));
            self.until(answer, before + 1);
        }
    }

    fn leave(mut self) -> String {
        self.type_in("\\q\n");
        self.child.wait().expect("it ends");
        self.screen()
    }
}

#[test]
fn the_shell_runs_statements_and_commands_and_keeps_a_history() {
    let world = world();
    let Some(mut shell) = Terminal::open(&world) else { return };
    shell.until("trailhound>", 1);
    shell.dialogue(&[
        ("SELECT count(*) AS how_many\nFROM events;", " 5 "),
        ("\\timing", "timing is on"),
        ("\\o csv", "trailhound>"),
        ("SELECT nme FROM events;", "no column is named nme"),
        ("SELECT 40 + 2 AS answer;", "\n42"),
        ("\\d events", "useridentity,"),
        ("\\n top-apis limit=1", "GetBucketAcl"),
        ("\\nonsense", "there is no command"),
        ("SET x = 1;", "a query may only read"),
        ("\\explain SELECT * FROM events", "The answer has 5 rows"),
    ]);
    shell.leave();
    let history = std::fs::read_to_string(world.path("home/.local/state/trailhound/history")).expect("a history");
    assert!(history.contains("40 + 2"), "{history}");
}

#[test]
fn ctrl_c_stops_the_query_and_not_the_shell() {
    let world = world();
    let Some(mut shell) = Terminal::open(&world) else { return };
    shell.until("trailhound>", 1);
    shell.type_in("SELECT count(*) FROM generate_series(1, 100000000000) AS a(x) WHERE x % 7 = 3;\n");
    // the key acts once the line editor has given the terminal back; before, it is one more line that is given up
    let stopped = |shell: &Terminal| {
        (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            shell.screen().contains("the query is stopped")
        })
    };
    for _ in 0..30 {
        shell.type_in("\u{3}");
        if stopped(&shell) {
            break;
        }
    }
    shell.until("the query is stopped", 1);
    shell.dialogue(&[("SELECT 'still ' || 'here' AS x;", "still here")]);
    shell.leave();
}
