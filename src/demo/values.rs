//! What is filled into the holes of a template.
//!
//! Owns: the resources of each account (the same ids come back day after day) and the values made for one record only.
//! Invariant: within a record a hole has one value, so a request and its answer name the same thing.

use rand::Rng;
use rand::rngs::StdRng;

use super::catalogue::{Hole, Piece, Template};
use super::ids::{self, Alphabet};
use super::org::HOME;
use super::session::Session;

const WORDS: &[&str] = &[
    "orders", "catalog", "search", "payments", "shipping", "returns", "images", "reviews", "pricing", "stock",
    "checkout", "loyalty", "email", "invoices", "feeds", "gateway",
];
const TYPES: &[&str] = &["t3.medium", "m6i.large", "c6i.xlarge", "r6g.large", "t4g.small"];
const FILES: &[&str] =
    &["part-00000.parquet", "export.csv.gz", "index.json", "thumb.webp", "original.jpg", "data.json"];

/// The facts of one call that its values depend on.
pub struct Scene<'a> {
    /// Who calls, and in which account.
    pub session: &'a Session,
    /// Region of the call.
    pub region: &'a str,
    /// Unix time of the call in seconds.
    pub time: i64,
    /// Values fixed by the caller.
    pub bound: &'a [(Hole, &'a str)],
}

/// The values of one record.
pub struct Values {
    text: String,
    slots: [Option<(usize, usize)>; Hole::ALL.len()],
}

impl Default for Values {
    fn default() -> Self {
        Self { text: String::with_capacity(4096), slots: [None; Hole::ALL.len()] }
    }
}

impl Values {
    /// Forgets the values of the record before.
    pub fn clear(&mut self) {
        self.text.clear();
        self.slots.fill(None);
    }

    /// The value of a hole if this record has used it.
    pub fn known(&self, hole: Hole) -> Option<&str> {
        self.slots[hole as usize].map(|(from, to)| &self.text[from..to])
    }

    /// The value of a hole.
    pub fn value(&mut self, hole: Hole, scene: &Scene, rng: &mut StdRng) -> &str {
        let (from, to) = match self.slots[hole as usize] {
            Some(range) => range,
            None => {
                let from = self.text.len();
                match scene.bound.iter().find(|(bound, _)| *bound == hole) {
                    Some((_, value)) => self.text.push_str(value),
                    None => push_value(&mut self.text, hole, scene, rng),
                }
                (from, self.text.len())
            }
        };
        self.slots[hole as usize] = Some((from, to));
        &self.text[from..to]
    }

    /// Appends a template with its holes filled.
    pub fn render(&mut self, out: &mut String, template: &Template, scene: &Scene, rng: &mut StdRng) {
        for piece in template.pieces() {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Hole(hole) => out.push_str(self.value(*hole, scene, rng)),
            }
        }
    }
}

fn push_value(out: &mut String, hole: Hole, scene: &Scene, rng: &mut StdRng) {
    if push_context(out, hole, scene) || push_resource(out, hole, scene, rng) || push_named(out, hole, scene, rng) {
        return;
    }
    push_random(out, hole, rng);
}

/// Values that follow from who calls, where and when.
fn push_context(out: &mut String, hole: Hole, scene: &Scene) -> bool {
    let session = scene.session;
    match hole {
        Hole::Account => out.push_str(session.account.id),
        Hole::Region => out.push_str(scene.region),
        Hole::Home => out.push_str(HOME),
        Hole::Caller => out.push_str(&session.arn),
        Hole::Session => out.push_str(&session.name),
        Hole::Iso => ids::push_iso(out, scene.time),
        Hole::Human => ids::push_human(out, scene.time),
        Hole::Expiry => ids::push_human(out, scene.time + 3600),
        Hole::EpochMs => out.push_str(&(scene.time * 1000).to_string()),
        Hole::MfaUsed => out.push_str("No"),
        Hole::Target => out.push_str(session.account.id),
        Hole::Trail => out.push_str(&format!("{}-audit", session.account.name)),
        Hole::Detector => ids::push_spelled(out, Alphabet::Hex, 32, pool(scene, "detector", 0)),
        _ => return false,
    }
    true
}

/// Number of a resource: the same one for the same account, region, kind and index.
fn pool(scene: &Scene, kind: &str, index: u64) -> u64 {
    let place = scene.session.account.salt() ^ fnv(scene.region).rotate_left(17);
    ids::mix(place ^ fnv(kind).rotate_left(31) ^ index.wrapping_mul(0x9e37))
}

/// FNV-1a of a short text.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// An index below the size, small ones more often: a few resources get most of the calls.
fn skewed(rng: &mut StdRng, size: u64) -> u64 {
    rng.random_range(0..size).min(rng.random_range(0..size))
}

/// Values that name a resource by an id: prefix, digits, and how many of them an account has in a region.
fn push_resource(out: &mut String, hole: Hole, scene: &Scene, rng: &mut StdRng) -> bool {
    let (prefix, size) = match hole {
        Hole::Instance => ("i-0", 24),
        Hole::Volume => ("vol-0", 40),
        Hole::Snapshot => ("snap-0", 90),
        Hole::Image => ("ami-0", 9),
        Hole::Sg => ("sg-0", 18),
        Hole::Subnet => ("subnet-0", 9),
        Hole::Vpc => ("vpc-0", 3),
        Hole::Eni => ("eni-0", 60),
        _ => return false,
    };
    let index = skewed(rng, size);
    out.push_str(prefix);
    ids::push_spelled(out, Alphabet::Hex, 16, pool(scene, prefix, index));
    true
}

/// Values that name a resource by a word.
fn push_named(out: &mut String, hole: Hole, scene: &Scene, rng: &mut StdRng) -> bool {
    let (account, region) = (scene.session.account, scene.region);
    let (name, id) = (account.name, account.id);
    let word = WORDS[skewed(rng, WORDS.len() as u64) as usize];
    let text = match hole {
        Hole::Word | Hole::Word2 => word.to_owned(),
        Hole::Bucket => {
            format!("fernwood-{name}-{}", ["assets", "uploads", "analytics", "artifacts"][rng.random_range(0..4)])
        }
        Hole::Function => format!("{name}-{word}-handler"),
        Hole::Secret => {
            let tail = ids::spelled(Alphabet::Alphanumeric, 6, pool(scene, "secret", fnv(word)));
            format!("arn:aws:secretsmanager:{region}:{id}:secret:{name}/{word}/database-{tail}")
        }
        Hole::Parameter => format!("/{name}/{word}/config"),
        Hole::Role | Hole::RoleName => format!("{name}-{word}-role"),
        Hole::RoleArn => format!("arn:aws:iam::{id}:role/{name}-{word}-role"),
        Hole::Policy => format!("arn:aws:iam::{id}:policy/{name}-{word}-access"),
        Hole::Table => format!("{name}-{word}"),
        Hole::LogGroup => format!("/aws/lambda/{name}-{word}-handler"),
        Hole::Cluster => format!("{name}-main"),
        Hole::Service | Hole::Repo => format!("{word}-api"),
        Hole::Database => format!("{name}-{word}-db"),
        Hole::KmsKey => {
            let number = u128::from(pool(scene, "key", skewed(rng, 8)));
            format!("arn:aws:kms:{region}:{id}:key/{}", ids::uuid_text(number << 64 | 0x4000 << 64 | number))
        }
        Hole::Queue => format!("{name}-{word}-queue"),
        Hole::Stack => format!("{name}-{word}-stack"),
        Hole::GlueDb => format!("{name}_{word}"),
        Hole::WorkGroup => format!("{name}-analysts"),
        Hole::KeyPair => format!("{name}-ops"),
        Hole::UserName | Hole::NewUser => format!("svc-{word}"),
        Hole::PermissionSet => "ReadOnlyAccess".to_owned(),
        Hole::Prefix => format!("{word}/2026"),
        Hole::Key => {
            let number = rng.random_range(1..=28u8);
            format!("{word}/day={number:02}/{:08x}-{}", rng.random::<u32>(), ids::choose(rng, FILES))
        }
        Hole::InstanceType => (*ids::choose(rng, TYPES)).to_owned(),
        Hole::Port => ["443", "8080", "5432", "6379"][rng.random_range(0..4)].to_owned(),
        Hole::Cidr => format!("10.20.{}.0/24", rng.random_range(0..16u8)),
        Hole::PrivateIp => format!("10.20.{}.{}", rng.random_range(0..16u8), rng.random_range(4..250u8)),
        Hole::Subject => format!("repo:fernwood-outfitters/{word}-api:ref:refs/heads/main"),
        _ => return false,
    };
    out.push_str(&text);
    true
}

/// Values that are different in every record.
fn push_random(out: &mut String, hole: Hole, rng: &mut StdRng) {
    let (prefix, alphabet, length) = match hole {
        Hole::Akia | Hole::NewKey => ("AKIA", Alphabet::Base32, 16),
        Hole::Asia => ("ASIA", Alphabet::Base32, 16),
        Hole::RoleId => ("AROA", Alphabet::Base32, 17),
        Hole::B64 => ("", Alphabet::Alphanumeric, 75),
        Hole::B64Short => ("", Alphabet::Alphanumeric, 43),
        Hole::Token => ("IQoJb3JpZ2luX2VjE", Alphabet::Alphanumeric, 340),
        Hole::NewInstance => ("i-0", Alphabet::Hex, 16),
        Hole::Hex8 => ("", Alphabet::Hex, 8),
        Hole::Hex10 => ("", Alphabet::Hex, 10),
        Hole::Hex16 => ("", Alphabet::Hex, 16),
        Hole::Hex32 | Hole::NameQualifier => ("", Alphabet::Hex, 32),
        Hole::Hex64 | Hole::Fingerprint => ("", Alphabet::Hex, 64),
        Hole::Id4 => ("", Alphabet::Hex, 4),
        Hole::Id8 => ("", Alphabet::Hex, 8),
        Hole::Id10 => ("", Alphabet::Hex, 10),
        Hole::Id13 => ("", Alphabet::Base32, 13),
        Hole::Id17 => ("", Alphabet::Base32, 17),
        Hole::Id20 => ("", Alphabet::Base32, 20),
        Hole::Id32 => ("", Alphabet::Alphanumeric, 32),
        _ => return push_number(out, hole, rng),
    };
    out.push_str(prefix);
    ids::push_spelled(out, alphabet, length, rng.random());
    if matches!(hole, Hole::B64 | Hole::B64Short) {
        out.push('=');
    }
}

fn push_number(out: &mut String, hole: Hole, rng: &mut StdRng) {
    let number = match hole {
        Hole::N10 => rng.random_range(1..10),
        Hole::N100 => rng.random_range(1..100),
        Hole::N1000 => rng.random_range(5..1000),
        Hole::N100000 => rng.random_range(1_000..100_000),
        Hole::Count => 1,
        Hole::BytesIn => 0,
        Hole::BytesOut => rng.random_range(200..400_000),
        // What is left (`uuid`, `workflow`, `requestid`) is a UUID.
        _ => return ids::push_uuid(out, ids::random_uuid(rng)),
    };
    out.push_str(&number.to_string());
}
