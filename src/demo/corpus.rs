//! The corpus of the benchmarks: as many objects and events as asked for, quickly.
//!
//! Owns: the two shapes that speed is measured on (few large objects, many small ones).
//! Refuses: a story; calls are drawn from the whole catalogue, and recorded as the demo records them.
//! Invariant: an object depends on the seed and its number only, so the corpus does not depend on the threads.

use std::ops::Range;
use std::path::Path;

use rand::Rng;
use rand::rngs::StdRng;

use super::catalogue::{Catalogue, Kind};
use super::ids::{self, Alphabet, choose, choose_weighted, stream};
use super::layout::{self, Place, Written};
use super::org::{ACCOUNTS, Account, BROWSERS, HOME, PEOPLE, Region, SECOND, TOOLS};
use super::record::{Call, Fate, Recorder, everyday_fate};
use super::session::{Origin, Role, RoleUse, Session};
use crate::error::{Error, ErrorKind, Result};

/// Midnight of 2026-01-05 UTC, day 0 of every corpus.
const FIRST_DAY: i64 = 1_767_571_200;
const REGIONS: [(Region, u32); 4] = [(HOME, 6), (SECOND, 3), ("eu-central-1", 2), ("us-west-2", 1)];

const SERVICE_ROLES: [(&str, &str); 2] = [
    ("config.amazonaws.com", "AWSServiceRoleForConfig"),
    ("autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling"),
];
const SERVICES: [&str; 6] = [
    "cloudtrail.amazonaws.com",
    "config.amazonaws.com",
    "delivery.logs.amazonaws.com",
    "lambda.amazonaws.com",
    "ec2.amazonaws.com",
    "ecs-tasks.amazonaws.com",
];
const SERVICE_SESSIONS: usize = 37;

/// What to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorpusOptions {
    /// Log objects.
    pub objects: usize,
    /// Events in all of them.
    pub events: usize,
    /// Days that they are spread over, counted from 2026-01-05.
    pub days: Range<usize>,
    /// Decides every byte.
    pub seed: u64,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CorpusSummary {
    /// Log objects.
    pub objects: u64,
    /// Events, all distinct.
    pub events: u64,
    /// Bytes of JSON before compression.
    pub json_bytes: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

/// Everything that the objects are made from.
struct Stock {
    apis: Catalogue,
    /// Indices of APIs with how often each is called in comparison.
    popularity: Vec<(usize, u32)>,
    /// Sessions of each account, in the order of `ACCOUNTS`.
    sessions: Vec<Vec<Session>>,
}

impl Stock {
    fn new() -> Self {
        let apis = Catalogue::load();
        // Not from the seed: which APIs are called how often decides the mean size of an event.
        let mut rng = stream(0, "stock");
        let callable = apis
            .apis()
            .iter()
            .enumerate()
            .filter(|(_, api)| matches!(api.kind, Kind::Read | Kind::Write | Kind::DataRead | Kind::DataWrite));
        // A few APIs make most of the calls, as in life: the weights fall off like a power law.
        let popularity = callable.map(|(index, _)| (index, 200_000 / rng.random_range(40..20_000))).collect();
        let sessions = ACCOUNTS.iter().map(|account| sessions(account, &mut rng)).collect();
        Self { apis, popularity, sessions }
    }
}

/// Sessions of people, workloads, services and users in an account.
fn sessions(account: &'static Account, rng: &mut StdRng) -> Vec<Session> {
    let mut all = Vec::new();
    for person in &PEOPLE {
        let role = Role::reserved_sso(account, person.persona.permission_set);
        for origin in
            [Origin::console(person.home, *choose(rng, &BROWSERS)), Origin::direct(person.home, *choose(rng, &TOOLS))]
        {
            all.push(Session::role(&role, person.email, FIRST_DAY, RoleUse::Plain, &origin));
        }
    }
    for number in 0..60 {
        let name = format!("workload-{}-role", number % 12);
        let origin = Origin::direct(
            format!("100.100.{}.{}", number % 7, 10 + number),
            format!("app/{number} (\"build\\{number}\") {}", choose(rng, &TOOLS)),
        );
        let instance = format!("i-0{}", ids::spelled(Alphabet::Hex, 16, rng.random()));
        all.push(Session::role(&Role::plain(account, &name), &instance, FIRST_DAY, RoleUse::Instance, &origin));
    }
    for (service, name) in SERVICE_ROLES {
        let role = Role::service_linked(account, service, name);
        all.push(Session::role(&role, "session", FIRST_DAY, RoleUse::InvokedBy(service), &Origin::service(service)));
    }
    // AWS services make most of the calls of a quiet account, and their records are the smallest.
    for number in 0..SERVICE_SESSIONS {
        all.push(Session::service(account, SERVICES[number % SERVICES.len()]));
    }
    for name in ["reporting", "backup", "jenkins", "monitor"] {
        let key = format!("AKIA{}", ids::spelled(Alphabet::Base32, 16, rng.random()));
        all.push(Session::iam_user(account, name, &key, &Origin::direct("192.0.2.50", *choose(rng, &TOOLS))));
    }
    all
}

/// Events of an object: the total is spread evenly, the first objects get what is left over.
fn share(index: usize, objects: usize, events: usize) -> usize {
    events / objects + usize::from(index < events % objects)
}

/// Key and text of one object.
fn object(stock: &Stock, index: usize, options: &CorpusOptions) -> (String, String) {
    let CorpusOptions { objects, events, days, seed } = options;
    let mut rng = stream(*seed, &format!("object {index}"));
    let account = rng.random_range(0..ACCOUNTS.len());
    let region = *choose_weighted(&mut rng, &REGIONS);
    let midnight = FIRST_DAY + (days.start + index * days.len() / objects) as i64 * 86_400;
    let start = midnight + rng.random_range(0..287) * 300;
    let count = share(index, *objects, *events);
    let mut recorder = Recorder::default();
    let records: Vec<String> = (0..count)
        .map(|_| {
            let api = &stock.apis.apis()[*choose_weighted(&mut rng, &stock.popularity)];
            let denied = rng.random_range(0..50) == 0;
            let fate = if denied { Fate::Denied } else { everyday_fate(api, &mut rng) };
            let session = choose(&mut rng, &stock.sessions[account]);
            let time = start + rng.random_range(0..300);
            recorder.record(&Call { api, session, region, time, fate, bound: &[], shared: None }, &mut rng).record
        })
        .collect();
    let place = Place { account: ACCOUNTS[account].id, region, delivered: start + 300 };
    (layout::log_key(&place, rng.random()), layout::log_text(records.iter().map(String::as_str)))
}

/// Writes a corpus below a folder.
///
/// # Errors
/// `Usage` where there are fewer events than objects, no objects or no days, `Unavailable` where the folder cannot be written to.
pub fn write(folder: &Path, options: &CorpusOptions) -> Result<CorpusSummary> {
    let CorpusOptions { objects, events, days, .. } = options;
    if *objects == 0 || events < objects || days.is_empty() {
        let what = format!("cannot make a corpus of {objects} objects with {events} events on {} days", days.len());
        return Err(Error::new(ErrorKind::Usage, what)
            .hint("ask for at least one object, at least one event in each, and at least one day"));
    }
    let stock = Stock::new();
    let Written { json_bytes, bytes } = layout::in_parallel(*objects, |index| {
        let (key, text) = object(&stock, index, options);
        layout::write_gzip(folder, &key, &text)
    })?;
    Ok(CorpusSummary { objects: *objects as u64, events: *events as u64, json_bytes, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        let sum: usize = (0..7).map(|index| share(index, 7, 100)).sum();
        assert_eq!(sum, 100);
    }

    #[test]
    fn an_object_is_the_same_every_time_and_has_varied_records() {
        let stock = Stock::new();
        let options = CorpusOptions { objects: 4, events: 2000, days: 0..10, seed: 3 };
        let (key, text) = object(&stock, 1, &options);
        assert_eq!((key.clone(), text.clone()), object(&stock, 1, &options));
        assert!(key.contains("/2026/01/07/"), "the second of four objects is of the third of ten days: {key}");
        let parsed: serde_json::Value = serde_json::from_str(&text).expect("an object is JSON");
        let records = parsed["Records"].as_array().expect("records");
        let names: std::collections::BTreeSet<String> =
            records.iter().map(|record| format!("{}{}", record["eventSource"], record["eventName"])).collect();
        assert_eq!(records.len(), 500);
        assert!(names.len() > 100, "{} APIs", names.len());
        let mean = text.len() / records.len();
        assert!((1150..1400).contains(&mean), "{mean} bytes an event");
    }

    #[test]
    fn impossible_shapes_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        for (objects, events, days) in [(3, 2, 0..1), (0, 2, 0..1), (1, 2, 1..1)] {
            let options = CorpusOptions { objects, events, days, seed: 1 };
            assert_eq!(write(folder.path(), &options).expect_err("nothing to write").kind(), ErrorKind::Usage);
        }
    }
}
