//! Chains made and signed here, then harmed in every way that there is.

#[path = "../../tests/it/support/forge.rs"]
#[allow(dead_code, reason = "shared with the tests that drive the binary")]
mod forge;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::chain::{Content, Fault, Found, Hole, Read, Signature, State, walk};
use super::signature::{KeyRing, parse_keys, string_to_sign};
use super::{Location, key, parse};
use forge::{Forged, SIGNERS, Trail, pem, public_keys};

fn keys() -> KeyRing {
    parse_keys(public_keys(&[SIGNERS[0].pkcs1(), SIGNERS[1].spki()]).to_string().as_bytes()).unwrap()
}

fn trail() -> Trail {
    Trail::new("111122223333", "eu-west-1", "2026-01-31T10:01:31Z")
}

/// `hours` digests, from the oldest to the newest.
fn chain(hours: usize) -> Vec<Forged> {
    let mut trail = trail();
    (0..hours).map(|_| trail.hour(vec![trail.log(5, "{}")])).collect()
}

fn found(forged: &Forged) -> Found {
    let signature = Some(Signature { value: forged.signature.clone(), algorithm: "SHA256withRSA".to_owned() });
    let content = match parse(forged.text.as_bytes()) {
        Ok(digest) => {
            let hash = super::hash(forged.text.as_bytes());
            Content::Read(Read { digest: Box::new(digest), hash, signature })
        }
        Err(why) => Content::Malformed(why),
    };
    let location = Location::new(&forged.bucket, &forged.key);
    Found { location, ends: key::parse(&forged.key).unwrap().ends, content }
}

/// As a walk takes them: the newest first.
fn descending(chain: &[Forged]) -> Vec<Found> {
    chain.iter().rev().map(found).collect()
}

fn without_metadata(mut chain: Vec<Found>) -> Vec<Found> {
    for found in &mut chain {
        if let Content::Read(read) = &mut found.content {
            read.signature = None;
        }
    }
    chain
}

/// States from the newest to the oldest, and all holes in order.
fn walked(chain: &[Found]) -> (Vec<State>, Vec<Hole>) {
    let (steps, rest) = walk(chain, &keys(), None);
    let holes = steps.iter().flat_map(|step| step.holes.clone()).chain(rest).collect();
    (steps.into_iter().map(|step| step.state).collect(), holes)
}

fn missing(forged: &Forged) -> Hole {
    let location = Some(Location::new(&forged.bucket, &forged.key));
    Hole::Missing { location, from: forged.ends - TimeDelta::hours(1), to: forged.ends }
}

fn unnamed(from: DateTime<Utc>, to: DateTime<Utc>) -> Hole {
    Hole::Missing { location: None, from, to }
}

const VALID: State = State::Valid;

#[test]
fn a_digest_is_read() {
    let forged = &chain(2)[1];
    let digest = parse(forged.text.as_bytes()).unwrap();
    assert_eq!((digest.starts, digest.ends), (forged.starts, forged.ends));
    assert_eq!(digest.ends_text, "2026-01-31T12:01:31Z");
    assert_eq!(digest.log_files[0].location.key, forged.logs[0].key);
    assert!(digest.previous_signature.is_some());
    let text = string_to_sign(&digest, "HASH");
    let lines: Vec<&str> = text.split('\n').collect();
    assert_eq!(lines[0], "2026-01-31T12:01:31Z");
    assert_eq!(lines[1], format!("trail-bucket/{}", forged.key));
    assert_eq!(lines[2], "HASH");
    assert_eq!(lines[3], digest.previous_signature.unwrap());
    let first = parse(chain(1)[0].text.as_bytes()).unwrap();
    assert!(string_to_sign(&first, "HASH").ends_with("\nHASH\nnull"), "no line feed at the end");
}

#[test]
fn what_lacks_a_member_is_malformed() {
    let text = chain(1).remove(0).text;
    assert!(parse(text.as_bytes()).is_ok());
    for member in [
        "digestPublicKeyFingerprint",
        "digestS3Bucket",
        "digestS3Object",
        "previousDigestSignature",
        "digestEndTime",
        "digestStartTime",
    ] {
        let broken = text.replace(&format!("\"{member}\""), "\"x\"");
        assert!(parse(broken.as_bytes()).unwrap_err().contains(member), "{member}");
    }
    for (from, to) in [("2026-01-31T11:01:31Z", "soon"), ("\"SHA-256\"", "\"MD5\""), ("{", "[")] {
        assert!(parse(text.replace(from, to).as_bytes()).is_err(), "{to}");
    }
}

#[test]
fn keys_come_in_both_forms_and_files() {
    let (pkcs1, spki) = (SIGNERS[0].pkcs1(), SIGNERS[0].spki());
    let message = "a\nb";
    let signature = SIGNERS[0].sign(message);
    for file in [
        public_keys(std::slice::from_ref(&pkcs1)).to_string(),
        public_keys(std::slice::from_ref(&spki)).to_string(),
        format!("{}\n{}", public_keys(&[SIGNERS[1].pkcs1()]), public_keys(std::slice::from_ref(&spki))),
        pem("PUBLIC KEY", &spki),
        pem("RSA PUBLIC KEY", &pkcs1) + &pem("PUBLIC KEY", &SIGNERS[1].spki()),
    ] {
        let ring = parse_keys(file.as_bytes()).unwrap();
        for der in [&pkcs1, &spki] {
            let name = super::signature::fingerprint(der);
            assert_eq!(ring.verify(&name, message, &signature), Some(true), "{file}");
            assert_eq!(ring.verify(&name.to_uppercase(), message, &signature.to_uppercase()), Some(true));
            assert_eq!(ring.verify(&name, "a\nb\n", &signature), Some(false));
            assert_eq!(ring.verify(&name, message, "not hexadecimal"), Some(false));
            assert_eq!(ring.verify(&name, message, ""), Some(false));
        }
        assert_eq!(ring.verify("00", message, &signature), None);
    }
    assert_eq!(SIGNERS[0].fingerprint(), super::signature::fingerprint(&pkcs1));
    for broken in [
        "",
        "{}",
        "{\"PublicKeyList\":[]}",
        "{\"PublicKeyList\":[{\"Value\":\"AAAA\"}]}",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n",
    ] {
        assert!(parse_keys(broken.as_bytes()).is_err(), "{broken}");
    }
    assert!(parse_keys(pem("PRIVATE KEY", &spki).as_bytes()).unwrap_err().contains("PRIVATE KEY"));
}

#[test]
fn a_whole_chain_is_valid_with_and_without_metadata() {
    let chain = descending(&chain(4));
    assert_eq!(walked(&chain), (vec![VALID; 4], vec![]));
    let (states, holes) = walked(&without_metadata(chain));
    assert_eq!(states, [State::Faulty(Fault::NoSignature), VALID, VALID, VALID], "only the newest has no successor");
    assert_eq!(holes, []);
}

#[test]
fn a_deleted_digest_is_named_by_its_successor() {
    let all = chain(5);
    let rest = [&all[..2], &all[3..]].concat();
    assert_eq!(walked(&descending(&rest)), (vec![VALID; 4], vec![missing(&all[2])]));
}

#[test]
fn digests_deleted_in_a_row_are_told_one_by_one() {
    let all = chain(6);
    let rest = [&all[..1], &all[4..]].concat();
    let expected = vec![missing(&all[3]), unnamed(all[2].starts, all[2].ends), unnamed(all[1].starts, all[1].ends)];
    assert_eq!(walked(&descending(&rest)), (vec![VALID; 3], expected));
}

#[test]
fn the_oldest_ones_deleted() {
    let all = chain(4);
    let (steps, rest) = walk(&descending(&all[2..]), &keys(), None);
    assert!(steps.iter().all(|step| step.holes.is_empty() && step.state == VALID));
    assert_eq!(rest, [missing(&all[1])]);
    // what is before the time that was asked for is not missed
    assert_eq!(walk(&descending(&all[2..]), &keys(), Some(all[1].ends)).1, []);
    assert_eq!(walk(&descending(&all[2..]), &keys(), Some(all[0].starts)).1, [missing(&all[1])]);
}

#[test]
fn a_changed_digest_is_found_and_what_is_before_it_still_checked() {
    let mut all = chain(4);
    all[1].text = all[1].text.replace("\"awsAccountId\":\"1", "\"awsAccountId\":\"2");
    let (states, holes) = walked(&descending(&all));
    assert_eq!(states, [VALID, VALID, State::Faulty(Fault::BadSignature), VALID]);
    assert_eq!(holes, []);
    // in a copy without metadata, the signature that the changed digest gives for the one before it proves itself
    let (states, _) = walked(&without_metadata(descending(&all)));
    assert_eq!(states[2..], [State::Faulty(Fault::BadSignature), VALID]);
    // a change that hides a deletion
    let rest = [&all[1..2], &all[3..]].concat();
    let (states, holes) = walked(&descending(&rest));
    assert_eq!(states, [VALID, State::Faulty(Fault::BadSignature)]);
    assert_eq!(holes[0], missing(&all[2]));
}

#[test]
fn a_tampered_signature_is_found() {
    let mut all = chain(3);
    all[1].signature = all[2].signature.clone();
    assert_eq!(walked(&descending(&all)).0, [VALID, State::Faulty(Fault::BadSignature), VALID]);
    let mut chain = descending(&all);
    if let Content::Read(read) = &mut chain[0].content {
        read.signature.as_mut().unwrap().algorithm = "SHA1withRSA".to_owned();
    }
    assert_eq!(walked(&chain).0[0], State::Faulty(Fault::UnknownAlgorithm("SHA1withRSA".to_owned())));
}

#[test]
fn an_older_version_of_a_digest_is_not_the_one_that_is_linked() {
    let mut trail = trail();
    let mut other = trail.clone();
    let (old, new) = (other.hour(vec![]), trail.hour(vec![trail.log(1, "{}")]));
    let next = trail.hour(vec![]);
    assert_eq!(old.key, new.key);
    assert_eq!(walked(&descending(&[old, next])).0, [VALID, State::Faulty(Fault::HashMismatch)]);
}

#[test]
fn a_moved_digest_is_found() {
    let mut all = chain(3);
    let original = Location::new(&all[1].bucket, &all[1].key);
    all[1].key = all[1].key.replace("o-abc", "o-xyz");
    let (states, holes) = walked(&descending(&all));
    assert_eq!(states, [VALID, State::Faulty(Fault::Moved(original)), VALID]);
    assert_eq!(holes, [missing(&chain(3)[1])], "and is missing where it was");
}

#[test]
fn rotated_and_unknown_keys() {
    let mut trail = trail();
    let mut all = vec![trail.hour(vec![])];
    trail.signer = 1;
    all.push(trail.hour(vec![]));
    assert_eq!(walked(&descending(&all)).0, [VALID, VALID]);
    let one = parse_keys(public_keys(&[SIGNERS[0].pkcs1()]).to_string().as_bytes()).unwrap();
    let (steps, _) = walk(&descending(&all), &one, None);
    assert_eq!(steps[0].state, State::Faulty(Fault::NoKey(SIGNERS[1].fingerprint())));
    assert_eq!(steps[1].state, VALID);
}

#[test]
fn a_wrong_key_of_the_right_name_proves_nothing() {
    let mut ring = KeyRing::default();
    ring.add(&SIGNERS[1].pkcs1(), Some(&SIGNERS[0].fingerprint())).unwrap();
    let (steps, _) = walk(&descending(&chain(1)), &ring, None);
    assert_eq!(steps[0].state, State::Faulty(Fault::BadSignature));
}

#[test]
fn a_pause_is_a_gap() {
    let mut trail = trail();
    let mut all = vec![trail.hour(vec![]), trail.digest(vec![], TimeDelta::minutes(20))];
    trail.pause(5);
    all.push(trail.hour(vec![]));
    all.push(trail.hour(vec![]));
    let gap = Hole::Gap { from: all[1].ends, to: all[2].starts };
    assert_eq!(walked(&descending(&all)), (vec![VALID; 4], vec![gap]));
    let (_, holes) = walked(&descending(&all[2..]));
    assert_eq!(holes, [], "the first digest of all has nothing before it");
}

#[test]
fn a_trail_that_moves_to_another_bucket_or_prefix() {
    let mut trail = trail();
    let first = trail.hour(vec![]);
    trail.prefix = format!("new/{}", trail.prefix);
    let all = [first, trail.hour(vec![]), trail.hour(vec![])];
    assert_eq!(walked(&descending(&all)), (vec![VALID; 3], vec![]));
    trail.bucket = "other-bucket".to_owned();
    let moved = trail.hour(vec![]);
    let last = Location::new(&all[2].bucket, &all[2].key);
    let (states, holes) = walked(&descending(std::slice::from_ref(&moved)));
    assert_eq!((states, holes), (vec![VALID], vec![Hole::Elsewhere(last)]));
    let both = [all.to_vec(), vec![moved]].concat();
    assert_eq!(walked(&descending(&both)), (vec![VALID; 4], vec![]), "where both are at hand");
}

#[test]
fn a_backfill_chain_stands_by_itself() {
    let mut trail = trail();
    trail.backfill = true;
    let all: Vec<Forged> = (0..3).map(|_| trail.hour(vec![])).collect();
    assert!(all[0].key.ends_with("_backfill.json.gz"));
    assert_eq!(walked(&descending(&all)), (vec![VALID; 3], vec![]));
}

#[test]
fn an_authentic_digest_that_is_not_linked_breaks_nothing() {
    let mut trail = trail();
    let first = trail.hour(vec![]);
    let mut beside = trail.clone();
    let unlinked = beside.hour(vec![]);
    trail.clock += TimeDelta::hours(1);
    let last = trail.hour(vec![]);
    assert_eq!(walked(&descending(&[first, unlinked, last])), (vec![VALID; 3], vec![]));
}

#[test]
fn what_was_checked_before_counts_as_met() {
    let all = chain(4);
    let mut chain = descending(&all);
    chain[2].content = Content::Known;
    chain[3].content = Content::Known;
    assert_eq!(walked(&chain), (vec![VALID, VALID, State::Known, State::Known], vec![]));
}

#[test]
fn unreadable_and_vanished_digests_are_told_of() {
    let all = chain(3);
    let mut chain = descending(&all);
    chain[0].content = Content::Gone;
    chain[1].content = Content::Unreadable("no".to_owned());
    let (states, holes) = walked(&chain);
    assert_eq!(states, [State::Faulty(Fault::Gone), State::Faulty(Fault::Unreadable("no".to_owned())), VALID]);
    assert_eq!(holes, []);
}

/// What can be done to a digest of a chain.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Harm {
    None,
    Delete,
    Change,
    Resign,
    Move,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_to_a_chain_shows(harms in proptest::collection::vec(
        prop_oneof![4 => Just(Harm::None), 1 => Just(Harm::Delete), 1 => Just(Harm::Change), 1 => Just(Harm::Resign), 1 => Just(Harm::Move)],
        2..12,
    )) {
        let all = chain(harms.len());
        let mut rest = Vec::new();
        for (forged, harm) in all.iter().zip(&harms) {
            let mut forged = forged.clone();
            match harm {
                Harm::None => {}
                Harm::Delete => continue,
                Harm::Change => forged.text = forged.text.replace("2026-01-31T", "2026-01-30T"),
                Harm::Resign => forged.signature = all[0].signature.replace('1', "2"),
                Harm::Move => forged.key = forged.key.replace("o-abc", "o-xyz"),
            }
            rest.push((forged, *harm));
        }
        let chain: Vec<Found> = rest.iter().rev().map(|(forged, _)| found(forged)).collect();
        let (steps, holes) = walk(&chain, &keys(), Some(all[0].starts));
        for (step, (_, harm)) in steps.iter().zip(rest.iter().rev()) {
            prop_assert_eq!(step.state == State::Valid, *harm == Harm::None);
        }
        // every deleted digest between two that are left is told of, each once, with its time; of those before all that are
        // left, the one that is linked to
        let left = |harm: &Harm| *harm != Harm::Delete;
        let (oldest, newest) = (harms.iter().position(left).unwrap_or(0), harms.iter().rposition(left).unwrap_or(0));
        let between = harms[oldest..=newest].iter().filter(|harm| !left(harm)).count();
        let linked = oldest > 0 && harms[oldest] == Harm::None;
        let deleted = if harms.iter().any(left) { (between + usize::from(linked)) as i64 } else { 0 };
        let moved = harms.iter().enumerate().filter(|(at, harm)| {
            // a moved digest is missing at its place where a valid successor says so
            **harm == Harm::Move && harms.get(at + 1) == Some(&Harm::None)
        }).count() as i64;
        let hours: i64 = steps.iter().flat_map(|step| &step.holes).chain(&holes).map(|hole| match hole {
            Hole::Missing { from, to, .. } => (*to - *from).num_hours(),
            _ => 100,
        }).sum();
        prop_assert_eq!(hours, deleted + moved);
    }

    #[test]
    fn no_bytes_are_too_much(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
        let _ = parse_keys(&bytes);
    }
}
