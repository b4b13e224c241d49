//! Chains of temporary credentials: who was behind a session.
//!
//! Owns: joining a session to the call that made it, that call's own session to the one before, and so on to whoever
//! held credentials that no call of STS made.
//! Refuses: to guess. A parent that the calls given do not have ends the chain there, and the chain says so (`?`).
//! Invariants: every session has one parent at most and is made before it is used, so a walk ends; the result does not
//! depend on the order of the calls given.
//!
//! A call between accounts is recorded twice, with one `sharedEventID`: the caller's copy has the caller, the other one
//! only the account. Either may be missing, and either may have lost its answer.

use std::collections::HashMap;

use crate::identity::{Caller, actor, person};

/// How much later than its use a parent may seem to be made, in microseconds: clocks of two regions.
const SKEW: i64 = 5_000_000;

/// Longest chain that is written out; the middle of a longer one is left out.
const SHOWN_HOPS: usize = 16;

/// A call that made temporary credentials, as one copy of its record has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Edge<'a> {
    /// `eventID`
    pub event_id: &'a str,
    /// `eventTime` in microseconds.
    pub time: i64,
    /// `eventName`
    pub api: &'a str,
    /// `sharedEventID`
    pub shared_id: Option<&'a str>,
    /// The access key id made: `responseElements.credentials.accessKeyId`.
    pub key: Option<&'a str>,
    /// What the session will be called: `responseElements.assumedRoleUser.assumedRoleId`, later its `principalId`.
    pub session: Option<&'a str>,
    /// ARN of the role (or user) that the session is of.
    pub role: Option<&'a str>,
    /// Its name: `requestParameters.roleSessionName`.
    pub name: Option<&'a str>,
    /// Its `sourceIdentity`.
    pub source_identity: Option<&'a str>,
    /// `userIdentity.type` of the caller.
    pub caller: Option<&'a str>,
    /// The caller as in the column `actor`.
    pub actor: Option<&'a str>,
    /// `userIdentity.accessKeyId` of the caller.
    pub parent_key: Option<&'a str>,
    /// `userIdentity.principalId` of the caller.
    pub parent_principal: Option<&'a str>,
}

/// A session as its events show it: what is left to join by where the call's answer was lost.
#[derive(Debug, Clone, Copy)]
pub struct Use<'a> {
    /// `userIdentity.accessKeyId`
    pub key: &'a str,
    /// `userIdentity.principalId`
    pub principal: Option<&'a str>,
    /// `sessionContext.sessionIssuer.arn`
    pub role: Option<&'a str>,
    /// `sessionContext.attributes.creationDate` in microseconds.
    pub created: i64,
}

/// Sessions with their chains.
#[derive(Debug)]
pub struct Sessions<'a> {
    hops: Vec<Hop<'a>>,
    keys: HashMap<&'a str, usize>,
}

/// A session with its chain.
#[derive(Debug, Clone, Copy)]
pub struct Session<'s, 'a> {
    all: &'s Sessions<'a>,
    hop: usize,
}

/// One call, put together from its copies.
#[derive(Debug)]
struct Hop<'a> {
    edge: Edge<'a>,
    /// Which edge has the caller.
    index: usize,
    parent: Option<usize>,
    /// The hop at which the chain begins.
    first: usize,
    depth: u32,
}

impl<'a> Sessions<'a> {
    /// Resolves the chains of all sessions that the calls made.
    pub fn resolve(edges: &[Edge<'a>], uses: &[Use<'a>]) -> Self {
        let mut hops = merged(edges);
        name_by_use(&mut hops, uses);
        let keys = hops.iter().enumerate().filter_map(|(at, hop)| Some((hop.edge.key?, at))).collect();
        let mut all = Self { hops, keys };
        all.link();
        all.walk();
        all
    }

    /// All sessions, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = Session<'_, 'a>> {
        (0..self.hops.len()).filter(|at| self.hops[*at].edge.key.is_some()).map(|hop| Session { all: self, hop })
    }

    /// The session of an access key.
    pub fn get(&self, key: &str) -> Option<Session<'_, 'a>> {
        self.keys.get(key).map(|hop| Session { all: self, hop: *hop })
    }

    /// Gives every hop its parent: by the key that was used, or, where the record has none (it is of the account that
    /// was called), by the name of the caller's session.
    fn link(&mut self) {
        let mut named: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, hop) in self.hops.iter().enumerate() {
            if let Some(session) = hop.edge.session {
                named.entry(session).or_default().push(at);
            }
        }
        for at in 0..self.hops.len() {
            let edge = self.hops[at].edge;
            let before = |parent: &usize| *parent != at && self.hops[*parent].edge.time <= edge.time + SKEW;
            self.hops[at].parent = match edge.parent_key {
                Some(key) => self.keys.get(key).copied().filter(before),
                // hops are in order of time, so the last one before is the one that was in force
                None => edge.parent_principal.and_then(|id| {
                    named
                        .get(id)?
                        .iter()
                        .rev()
                        .copied()
                        .find(|parent| self.hops[*parent].edge.time <= edge.time && *parent != at)
                }),
            };
        }
    }

    /// Walks up from every hop, each once: what is walked already is known.
    fn walk(&mut self) {
        let mut known = vec![false; self.hops.len()];
        let mut on_path = vec![false; self.hops.len()];
        for start in 0..self.hops.len() {
            let mut path = Vec::new();
            let mut at = start;
            while !known[at] {
                on_path[at] = true;
                path.push(at);
                match self.hops[at].parent {
                    Some(parent) if !on_path[parent] => at = parent,
                    // a circle is cut where the walk meets itself
                    Some(_) => self.hops[at].parent = None,
                    None => {}
                }
                if self.hops[at].parent.is_none() && on_path[at] {
                    break;
                }
            }
            for at in path.into_iter().rev() {
                (self.hops[at].first, self.hops[at].depth) = match self.hops[at].parent {
                    Some(parent) => (self.hops[parent].first, self.hops[parent].depth + 1),
                    None => (at, 1 + u32::from(self.hops[at].is_cut())),
                };
                known[at] = true;
                on_path[at] = false;
            }
        }
    }
}

impl Hop<'_> {
    /// Whether the caller was in a session itself, of which nothing is known: there is something before the beginning.
    fn is_cut(&self) -> bool {
        self.parent.is_none() && self.edge.caller == Some("AssumedRole")
    }

    /// Who is behind a chain that begins here. A service acts for the role's owner, so the role itself is as far as one
    /// can see; a SAML subject is the person that the session is named after.
    fn root(&self) -> Option<String> {
        let edge = &self.edge;
        match edge.caller {
            Some("AWSService") => edge.role.or(edge.actor).map(str::to_owned),
            Some("SAMLUser") => self.person().or_else(|| edge.actor.map(str::to_owned)),
            _ => edge.actor.or(edge.parent_key).or(edge.parent_principal).map(str::to_owned),
        }
    }

    /// The actor of the session's own events, where it names a person.
    fn person(&self) -> Option<String> {
        let caller = Caller {
            kind: Some("AssumedRole"),
            principal_id: self.edge.session,
            issuer_arn: self.edge.role,
            source_identity: self.edge.source_identity,
            ..Caller::default()
        };
        person(&caller, self.edge.role?)?;
        let mut text = String::new();
        actor(&caller, &mut text).then_some(text)
    }

    /// Who stands before the first arrow.
    fn beginning(&self) -> String {
        let edge = &self.edge;
        match edge.caller {
            Some("SAMLUser") => edge.name.or(edge.actor).unwrap_or("?").to_owned(),
            Some("AssumedRole") => format!("? -> {}", short(edge.actor.unwrap_or("?"))),
            _ => short(edge.actor.or(edge.parent_key).or(edge.parent_principal).unwrap_or("?")).to_owned(),
        }
    }

    /// What the session is of.
    fn became(&self) -> &str {
        self.edge.role.map(short).or(self.edge.name).unwrap_or(self.edge.api)
    }
}

impl<'a> Session<'_, 'a> {
    fn of(&self) -> &Hop<'a> {
        &self.all.hops[self.hop]
    }

    /// The access key id.
    pub fn key(&self) -> &'a str {
        self.of().edge.key.unwrap_or_default()
    }

    /// Index of the edge, among those given, that made it: the copy with the caller.
    pub fn edge(&self) -> usize {
        self.of().index
    }

    /// The call that made it, put together from its copies.
    pub fn call(&self) -> Edge<'a> {
        self.of().edge
    }

    /// The access key id of the session that made it, where it was one and is known; else the one that the call names.
    pub fn parent_key(&self) -> Option<&'a str> {
        let parent = self.of().parent.and_then(|parent| self.all.hops[parent].edge.key);
        parent.or(self.of().edge.parent_key)
    }

    /// Who is at the beginning of the chain.
    pub fn root(&self) -> Option<String> {
        self.all.hops[self.of().first].root()
    }

    /// The role (or federated user) that the session is of.
    pub fn role(&self) -> Option<&'a str> {
        self.of().edge.role
    }

    /// Calls from the beginning to this session. A beginning of which nothing is known counts as one.
    pub fn depth(&self) -> u32 {
        self.of().depth
    }

    /// Whether the chain begins with credentials that no call makes.
    pub fn is_complete(&self) -> bool {
        !self.all.hops[self.of().first].is_cut()
    }

    /// The chain in words: `111122223333:user/ana -> 444455556666:role/deploy`; `?` where it is cut.
    pub fn chain(&self) -> String {
        let mut names = Vec::new();
        let mut at = Some(self.hop);
        while let Some(hop) = at.map(|at| &self.all.hops[at]) {
            names.push(hop.became());
            at = hop.parent;
        }
        if names.len() > SHOWN_HOPS {
            names.splice(SHOWN_HOPS / 2..names.len() - SHOWN_HOPS / 2, ["…"]);
        }
        names.iter().rev().fold(self.all.hops[self.of().first].beginning(), |chain, name| chain + " -> " + name)
    }
}

/// An ARN of IAM or STS from its account on; anything else as it is.
pub fn short(arn: &str) -> &str {
    let tail = || {
        let mut parts = arn.splitn(5, ':');
        let (scheme, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let known = scheme == "arn" && partition.starts_with("aws") && matches!(service, "iam" | "sts");
        known.then(|| parts.nth(1)).flatten()
    };
    tail().unwrap_or(arn)
}

/// How well a copy knows the caller.
fn knowledge(edge: &Edge<'_>) -> u8 {
    let caller = !matches!(edge.caller, None | Some("AWSAccount"));
    2 * u8::from(edge.parent_key.is_some()) + u8::from(caller)
}

/// One hop per call, in order of time.
fn merged<'a>(edges: &[Edge<'a>]) -> Vec<Hop<'a>> {
    let mut order: Vec<usize> = (0..edges.len()).collect();
    order.sort_by_key(|index| (edges[*index].time, edges[*index].event_id));
    let mut hops: Vec<Hop<'a>> = Vec::new();
    let (mut keys, mut shared): (HashMap<&str, usize>, HashMap<&str, usize>) = Default::default();
    for index in order {
        let edge = edges[index].without_empty();
        let known = edge.key.and_then(|key| keys.get(key)).or_else(|| edge.shared_id.and_then(|id| shared.get(id)));
        let at = match known {
            Some(at) => {
                hops[*at].absorb(edge, index);
                *at
            }
            None => {
                hops.push(Hop { edge, index, parent: None, first: 0, depth: 0 });
                hops.len() - 1
            }
        };
        edge.key.map(|key| keys.entry(key).or_insert(at));
        edge.shared_id.map(|id| shared.entry(id).or_insert(at));
    }
    hops
}

impl<'a> Edge<'a> {
    /// Empty texts stand for absent ones.
    fn without_empty(mut self) -> Self {
        let some = |text: Option<&'a str>| text.filter(|text| !text.is_empty());
        self.shared_id = some(self.shared_id);
        self.key = some(self.key);
        self.session = some(self.session);
        self.role = some(self.role);
        self.name = some(self.name);
        self.source_identity = some(self.source_identity);
        self.caller = some(self.caller);
        self.actor = some(self.actor);
        self.parent_key = some(self.parent_key);
        self.parent_principal = some(self.parent_principal);
        self
    }
}

impl<'a> Hop<'a> {
    /// Takes what another copy of the call knows better.
    fn absorb(&mut self, other: Edge<'a>, index: usize) {
        let (better, worse) = match knowledge(&other) > knowledge(&self.edge) {
            true => {
                self.index = index;
                (other, self.edge)
            }
            false => (self.edge, other),
        };
        self.edge = Edge {
            time: better.time.min(worse.time),
            key: better.key.or(worse.key),
            session: better.session.or(worse.session),
            role: better.role.or(worse.role),
            name: better.name.or(worse.name),
            source_identity: better.source_identity.or(worse.source_identity),
            ..better
        };
    }
}

/// Gives hops without a key (their answer was lost) that of the one session of their role and name that was made in
/// the same second.
fn name_by_use<'a>(hops: &mut [Hop<'a>], uses: &[Use<'a>]) {
    let second = |micros: i64| micros.div_euclid(1_000_000);
    let mut made: HashMap<(&str, &str, i64), Option<&'a str>> = HashMap::new();
    for used in uses {
        let name = used.principal.and_then(|id| id.split_once(':')).map(|(_, name)| name);
        if let (Some(role), Some(name)) = (used.role, name) {
            let key = made.entry((role, name, second(used.created))).or_insert(Some(used.key));
            // two sessions of one name in one second cannot be told apart
            *key = key.filter(|key| *key == used.key);
        }
    }
    let taken: std::collections::HashSet<&str> = hops.iter().filter_map(|hop| hop.edge.key).collect();
    for hop in hops.iter_mut().filter(|hop| hop.edge.key.is_none()) {
        if let (Some(role), Some(name)) = (hop.edge.role, hop.edge.name) {
            let key = made.get(&(role, name, second(hop.edge.time))).copied().flatten();
            hop.edge.key = key.filter(|key| !taken.contains(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANA: &str = "arn:aws:iam::111122223333:user/ana";

    fn by_user<'a>(time: i64, key: &'a str, role: &'a str) -> Edge<'a> {
        Edge {
            event_id: key,
            time,
            api: "AssumeRole",
            key: Some(key),
            role: Some(role),
            caller: Some("IAMUser"),
            actor: Some(ANA),
            parent_key: Some("AKIA1"),
            ..Edge::default()
        }
    }

    fn by_session<'a>(time: i64, parent: &'a str, key: &'a str, role: &'a str) -> Edge<'a> {
        let actor = Some("arn:aws:iam::111122223333:role/middle");
        Edge { caller: Some("AssumedRole"), actor, parent_key: Some(parent), ..by_user(time, key, role) }
    }

    #[test]
    fn a_chain_leads_to_whoever_began_it_in_any_order() {
        let one = by_user(1, "ASIA1", "arn:aws:iam::111122223333:role/a");
        let two = by_session(2, "ASIA1", "ASIA2", "arn:aws:iam::444455556666:role/b");
        let three = by_session(3, "ASIA2", "ASIA3", "arn:aws:iam::444455556666:role/c");
        for edges in [[one, two, three], [three, two, one], [two, three, one]] {
            let all = Sessions::resolve(&edges, &[]);
            let last = all.get("ASIA3").unwrap();
            assert_eq!((last.root().as_deref(), last.depth(), last.is_complete()), (Some(ANA), 3, true));
            assert_eq!(last.parent_key(), Some("ASIA2"));
            assert_eq!(
                last.chain(),
                "111122223333:user/ana -> 111122223333:role/a -> 444455556666:role/b -> 444455556666:role/c"
            );
        }
    }

    #[test]
    fn a_missing_link_is_said() {
        let edge = by_session(2, "ASIA1", "ASIA2", "arn:aws:iam::444455556666:role/b");
        let all = Sessions::resolve(&[edge], &[]);
        let session = all.get("ASIA2").unwrap();
        assert_eq!(session.chain(), "? -> 111122223333:role/middle -> 444455556666:role/b");
        assert_eq!(session.root().as_deref(), Some("arn:aws:iam::111122223333:role/middle"));
        assert_eq!((session.depth(), session.is_complete()), (2, false));
        assert_eq!(session.parent_key(), Some("ASIA1"));
    }

    #[test]
    fn two_copies_of_a_call_are_one_whichever_comes_first() {
        let ours = Edge { shared_id: Some("s"), key: None, event_id: "1", ..by_user(1, "", "arn:aws:iam::9:role/x") };
        let theirs = Edge {
            caller: Some("AWSAccount"),
            actor: Some("account/111122223333"),
            parent_key: None,
            key: Some("ASIA1"),
            event_id: "2",
            ..ours
        };
        for edges in [[ours, theirs], [theirs, ours]] {
            let all = Sessions::resolve(&edges, &[]);
            assert_eq!(all.iter().count(), 1);
            let session = all.get("ASIA1").unwrap();
            assert_eq!(session.root().as_deref(), Some(ANA));
            assert_eq!(edges[session.edge()].event_id, "1");
        }
    }

    #[test]
    fn a_foreign_copy_alone_is_joined_by_the_callers_session() {
        let made = Edge { session: Some("AROA1:job"), ..by_user(1, "ASIA1", "arn:aws:iam::111122223333:role/a") };
        let later = Edge { session: Some("AROA1:job"), ..by_user(9, "ASIA9", "arn:aws:iam::111122223333:role/a") };
        let theirs = Edge {
            caller: Some("AWSAccount"),
            actor: Some("account/111122223333"),
            parent_key: None,
            parent_principal: Some("AROA1:job"),
            ..by_user(5, "ASIA2", "arn:aws:iam::444455556666:role/b")
        };
        let edges = [theirs, later, made];
        let all = Sessions::resolve(&edges, &[]);
        let session = all.get("ASIA2").unwrap();
        assert_eq!((session.root().as_deref(), session.parent_key()), (Some(ANA), Some("ASIA1")));
    }

    #[test]
    fn a_lost_answer_is_found_by_name_and_second() {
        let lost = Edge { key: None, name: Some("job"), ..by_user(5_000_000, "e", "arn:aws:iam::1:role/a") };
        let used = Use { key: "ASIA7", principal: Some("AROA1:job"), role: lost.role, created: 5_400_000 };
        let edges = [lost];
        let all = Sessions::resolve(&edges, &[used]);
        assert_eq!(all.get("ASIA7").and_then(|session| session.root()).as_deref(), Some(ANA));
        // of two that it could be, it is none
        let other = Use { key: "ASIA8", ..used };
        assert_eq!(Sessions::resolve(&edges, &[used, other]).iter().count(), 0);
    }

    #[test]
    fn services_and_federations_begin_chains_of_their_own() {
        let role =
            "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef";
        let sso = Edge {
            api: "AssumeRoleWithSAML",
            caller: Some("SAMLUser"),
            actor: Some("hash=/ana"),
            parent_key: None,
            session: Some("AROA1:ana"),
            name: Some("ana"),
            ..by_user(1, "ASIA1", role)
        };
        let machine = Edge {
            caller: Some("AWSService"),
            actor: Some("ec2.amazonaws.com"),
            parent_key: None,
            ..by_user(1, "ASIA2", "arn:aws:iam::111122223333:role/web")
        };
        let ci = Edge {
            caller: Some("WebIdentityUser"),
            actor: Some("token.actions.githubusercontent.com/repo:org/app"),
            parent_key: None,
            ..by_user(1, "ASIA3", "arn:aws:iam::111122223333:role/deploy")
        };
        let edges = [sso, machine, ci];
        let all = Sessions::resolve(&edges, &[]);
        let root = |key| all.get(key).unwrap().root().unwrap();
        assert_eq!(root("ASIA1"), format!("{role}/ana"));
        assert_eq!(root("ASIA2"), "arn:aws:iam::111122223333:role/web");
        assert_eq!(all.get("ASIA2").unwrap().chain(), "ec2.amazonaws.com -> 111122223333:role/web");
        assert_eq!(root("ASIA3"), "token.actions.githubusercontent.com/repo:org/app");
    }

    #[test]
    fn circles_and_long_chains_end() {
        let a = by_session(1, "ASIA2", "ASIA1", "arn:aws:iam::1:role/a");
        let b = by_session(1, "ASIA1", "ASIA2", "arn:aws:iam::1:role/b");
        let own = by_session(1, "ASIA3", "ASIA3", "arn:aws:iam::1:role/c");
        let edges = [a, b, own];
        let all = Sessions::resolve(&edges, &[]);
        assert_eq!(all.iter().count(), 3);
        assert!(all.iter().all(|session| session.depth() <= 3 && session.chain().len() < 200));
        let keys: Vec<String> = (0..100_000).map(|n| format!("ASIA{n}")).collect();
        let role = "arn:aws:iam::1:role/r";
        let long: Vec<_> =
            keys.windows(2).zip(0..).map(|(pair, time)| by_session(time, &pair[0], &pair[1], role)).collect();
        let all = Sessions::resolve(&long, &[]);
        let last = all.get(&keys[99_999]).unwrap();
        assert_eq!(last.depth(), 100_000);
        assert!(last.chain().contains("…"));
    }

    proptest! {
        /// Whatever the calls claim, every session ends somewhere, and the order of the calls changes nothing.
        #[test]
        fn any_calls_resolve_the_same_in_any_order(
            calls in proptest::collection::vec((0u8..12, 0u8..12, 0i64..6), 0..30), seed in any::<u64>(),
        ) {
            let names: Vec<String> = (0..12).map(|n| format!("ASIA{n}")).collect();
            let ids: Vec<String> = (0..calls.len()).map(|n| format!("event{n}")).collect();
            let edge = |(index, (parent, key, time)): (usize, &(u8, u8, i64))| Edge {
                event_id: &ids[index],
                ..by_session(time * 10_000_000, &names[*parent as usize], &names[*key as usize], "arn:aws:iam::1:role/r")
            };
            let edges: Vec<_> = calls.iter().enumerate().map(edge).collect();
            let mut mixed = edges.clone();
            mixed.sort_by_key(|edge| (edge.event_id.len() as u64 ^ seed, edge.event_id.as_bytes().last().map(|b| u64::from(*b) ^ (seed >> 8))));
            let told = |all: &Sessions<'_>| all.iter().map(|s| (s.key().to_owned(), s.root(), s.depth(), s.chain())).collect::<Vec<_>>();
            let (one, two) = (Sessions::resolve(&edges, &[]), Sessions::resolve(&mixed, &[]));
            prop_assert_eq!(told(&one), told(&two));
        }
    }
}
