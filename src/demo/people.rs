//! The working days of the people behind IAM Identity Center.
//!
//! Owns: when somebody works, from where, what they call, and the small novelties of an ordinary life.
//! Invariant: a person's days depend on the seed and their name only, never on what others do.

use chrono::{Datelike, Weekday};
use rand::Rng;

use super::catalogue::Hole;
use super::ids::{self, choose, choose_weighted};
use super::org::{Account, BROWSERS, DEV, HOME, Habit, OFFICE, PEOPLE, Person, ROAMING, Region, SECOND, TOOLS};
use super::record::{Fate, Scribe};
use super::session::{Channel, Origin, Role, RoleUse, Session, SignIn};

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

/// A span of Unix time in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// First second.
    pub from: i64,
    /// First second after it.
    pub to: i64,
}

impl Span {
    /// The midnights (UTC) of the days that the span touches.
    pub fn days(self) -> impl Iterator<Item = i64> {
        (self.from.div_euclid(DAY)..=(self.to - 1).div_euclid(DAY)).map(|day| day * DAY)
    }
}

/// True on Saturday and Sunday.
pub fn is_weekend(midnight: i64) -> bool {
    matches!(ids::instant(midnight).weekday(), Weekday::Sat | Weekday::Sun)
}

/// What one person does, apart from what their persona does.
struct Life<'a> {
    person: &'a Person,
    habit: Vec<(&'static str, u32)>,
    tool: &'static str,
    browser: &'static str,
    /// Days of a journey, by number since `Span::from`.
    journey: std::ops::Range<usize>,
    roaming: String,
    regions: [(Region, u32); 2],
}

impl<'a> Life<'a> {
    fn new(person: &'a Person, scribe: &mut Scribe) -> Self {
        let rng = &mut scribe.rng;
        // Nobody uses all that their team uses, and everybody has favourites.
        let habit = person.persona.habit.iter();
        let habit = habit.map(|(api, weight)| (*api, weight * choose_weighted(rng, &[(0, 2), (1, 4), (3, 3), (8, 1)])));
        let habit: Vec<_> = habit.collect();
        let leaves = rng.random_range(1..40);
        Self {
            person,
            habit: if habit.iter().all(|(_, weight)| *weight == 0) { person.persona.habit.to_vec() } else { habit },
            tool: choose::<&str>(rng, &TOOLS),
            browser: choose::<&str>(rng, &BROWSERS),
            journey: leaves..leaves + 3,
            roaming: format!("{}{}", choose(rng, &ROAMING), rng.random_range(10..120)),
            regions: [(HOME, 9), (SECOND, rng.random_range(0..2))],
        }
    }

    fn address(&self, day: usize, scribe: &mut Scribe) -> String {
        if self.journey.contains(&day) {
            return self.roaming.clone();
        }
        let office = scribe.rng.random_range(0..10) < 6;
        if office { (*choose(&mut scribe.rng, &OFFICE)).to_owned() } else { self.person.home.to_owned() }
    }
}

/// Records the days of one person.
pub fn live(person: &Person, span: Span, scribe: &mut Scribe) {
    let life = Life::new(person, scribe);
    for (number, midnight) in span.days().enumerate() {
        let works = scribe.rng.random_range(0..100) < if is_weekend(midnight) { 4 } else { 92 };
        if works {
            work_a_day(&life, number, midnight, scribe);
        }
    }
    scribe.events.retain(|event| event.time >= span.from);
}

fn work_a_day(life: &Life, number: usize, midnight: i64, scribe: &mut Scribe) {
    let address = life.address(number, scribe);
    let start = midnight + (8 - life.person.offset) * HOUR + scribe.rng.random_range(0..2 * HOUR);
    let browser = Origin::direct(address.as_str(), life.browser);
    let portal = sign_in(life.person.email, start, &browser, scribe);
    let sessions = scribe.rng.random_range(2..=4);
    for index in 0..sessions {
        let time = start + 60 + i64::from(index) * (9 * HOUR / i64::from(sessions)) + scribe.rng.random_range(0..HOUR);
        let calls = life.person.persona.calls * scribe.rng.random_range(50..150) / 100 / sessions;
        work_a_session(life, &portal, &address, time, calls, scribe);
    }
}

/// The events of a sign-in to the access portal.
pub fn sign_in(email: &str, time: i64, origin: &Origin, scribe: &mut Scribe) -> Session {
    let portal = Session::portal(email, time, origin);
    let workflow = ids::uuid_text(ids::random_uuid(&mut scribe.rng));
    let bound = [(Hole::Workflow, workflow.as_str())];
    for (offset, api) in
        [(0, "signin:CredentialChallenge"), (6, "signin:CredentialVerification"), (14, "signin:UserAuthentication")]
    {
        scribe.call_as(&portal, api, HOME, time + offset, Fate::Success, &bound);
    }
    scribe.call_as(&portal, "sso:Authenticate", HOME, time + 15, Fate::Success, &[]);
    scribe.call_as(&portal, "sso:ListAccounts", HOME, time + 17, Fate::Success, &[]);
    portal
}

/// Goes from the portal into an account: the portal's event, the assumed role, and the session that results.
pub fn enter(
    portal: &Session,
    account: &'static Account,
    permission_set: &str,
    time: i64,
    origin: &Origin,
    scribe: &mut Scribe,
) -> Session {
    let role = Role::reserved_sso(account, permission_set);
    let console = origin.channel == Channel::Console;
    let chosen = [(Hole::Target, account.id), (Hole::PermissionSet, permission_set)];
    let step = if console { "sso:Federate" } else { "sso:GetRoleCredentials" };
    scribe.call_as(portal, step, HOME, time, Fate::Success, &chosen);
    let session = Session::role(&role, &portal.name, time + 1, RoleUse::Plain, origin);
    let (arn, id, key) = (role.arn(), role.id(), access_key(&session));
    let bound =
        [(Hole::RoleArn, arn.as_str()), (Hole::RoleName, &role.name), (Hole::RoleId, &id), (Hole::Asia, key.as_str())];
    scribe.call_as(
        &Session::saml(account, &portal.name),
        "sts:AssumeRoleWithSAML",
        HOME,
        time + 1,
        Fate::Success,
        &bound,
    );
    if console {
        scribe.call_as(&session, "signin:ConsoleLogin", SECOND, time + 2, Fate::Success, &[]);
    }
    session
}

/// The access key id of a session.
pub fn access_key(session: &Session) -> String {
    let identity: serde_json::Value = serde_json::from_str(&session.identity).unwrap_or_default();
    identity["accessKeyId"].as_str().unwrap_or_default().to_owned()
}

fn work_a_session(life: &Life, portal: &Session, address: &str, start: i64, calls: u32, scribe: &mut Scribe) {
    let persona = life.person.persona;
    let account = *choose_weighted(&mut scribe.rng, persona.accounts);
    let region = *choose_weighted(&mut scribe.rng, &life.regions);
    let console = scribe.rng.random_range(0..10) < persona.console;
    let origin = if console { Origin::console(address, life.browser) } else { Origin::direct(address, life.tool) };
    let session = enter(portal, account, persona.permission_set, start, &origin, scribe);
    let mut time = start + 5;
    for _ in 0..calls {
        time += pause(scribe);
        let api = *choose_weighted(&mut scribe.rng, &life.habit);
        scribe.call(&session, api, region, time);
    }
    // Somebody helps another team out, or tries what they may not do.
    match scribe.rng.random_range(0..100) {
        0..4 => lend_a_hand(&session, region, time, scribe),
        4..20 => {
            let api = *choose(&mut scribe.rng, persona.denied);
            scribe.call_as(&session, api, region, time + 30, Fate::Denied, &[]);
        }
        _ => {}
    }
}

/// The last person who signs in with an IAM user, and now and then with the wrong password.
pub fn live_the_old_way(span: Span, scribe: &mut Scribe) {
    const USER: &str = "george.old";
    const HABIT: Habit = &[("ec2:DescribeInstances", 5), ("monitoring:DescribeAlarms", 3), ("s3:ListBuckets", 2)];
    let origin = Origin::console("100.66.71.20", BROWSERS[2]);
    for midnight in span.days().filter(|midnight| !is_weekend(*midnight)) {
        let mut time = midnight + 9 * HOUR + scribe.rng.random_range(0..HOUR);
        if scribe.rng.random_range(0..4) == 0 {
            let refused = Session::iam_user_sign_in(&DEV, USER, SignIn::Refused, &origin);
            scribe.call_as(&refused, "signin:ConsoleLogin", HOME, time, Fate::SignInFailed, &[]);
        }
        let accepted = Session::iam_user_sign_in(&DEV, USER, SignIn::Accepted, &origin);
        scribe.call_as(&accepted, "signin:CheckMfa", HOME, time + 20, Fate::Success, &[]);
        scribe.call_as(&accepted, "signin:ConsoleLogin", HOME, time + 31, Fate::Success, &[(Hole::MfaUsed, "Yes")]);
        let console = Session::iam_user_console(&DEV, USER, time + 31, &origin);
        for _ in 0..scribe.rng.random_range(5..20) {
            time += 40 + pause(scribe);
            let api = *choose_weighted(&mut scribe.rng, HABIT);
            scribe.call(&console, api, HOME, time);
        }
    }
    scribe.events.retain(|event| event.time >= span.from);
}

fn lend_a_hand(session: &Session, region: Region, time: i64, scribe: &mut Scribe) {
    let other = choose(&mut scribe.rng, &PEOPLE).persona;
    for step in 0..scribe.rng.random_range(2..6) {
        let api = choose_weighted(&mut scribe.rng, other.habit);
        scribe.call(session, api, region, time + 40 * (step + 1));
    }
}

/// Seconds until the next call: bursts with pauses for thought.
pub fn pause(scribe: &mut Scribe) -> i64 {
    match scribe.rng.random_range(0..10) {
        0..7 => scribe.rng.random_range(0..6),
        7..9 => scribe.rng.random_range(6..90),
        _ => scribe.rng.random_range(90..900),
    }
}
