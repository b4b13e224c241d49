//! The APIs that the synthetic organization calls, and what their requests and answers look like.
//!
//! Owns: `apis.tsv`, its reading, and the names of the holes that a record fills in.
//! Refuses: values; a template says where a value stands, `values` says which.
//! Invariant: every hole named in the file is known (a test reads all of it).

use std::collections::HashMap;

macro_rules! holes {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// A place in a template that is filled in for each record; the same hole has one value within a record.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Hole { $($variant),* }

        impl Hole {
            /// Every hole, in the order of their numbers.
            pub const ALL: &[Hole] = &[$(Hole::$variant),*];

            fn of_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

holes! {
    Account "account", Akia "akia", Asia "asia", B64 "b64", B64Short "b64short", Bucket "bucket", BytesIn "bytesin",
    BytesOut "bytesout", Caller "caller", Cidr "cidr", Cluster "cluster", Count "count", Database "database",
    Detector "detector", Eni "eni", EpochMs "epochms", Expiry "expiry", Fingerprint "fingerprint",
    Function "function", GlueDb "gluedb", Hex10 "hex10", Hex16 "hex16", Hex32 "hex32", Hex64 "hex64", Hex8 "hex8",
    Home "home", Human "human", Id10 "id10", Id13 "id13", Id17 "id17", Id20 "id20", Id32 "id32", Id4 "id4", Id8 "id8",
    Image "image", Instance "instance", InstanceType "instancetype", Iso "iso", Key "key", KeyPair "keypair",
    KmsKey "kmskey", LogGroup "loggroup", MfaUsed "mfaused", N10 "n10", N100 "n100", N1000 "n1000",
    N100000 "n100000", NameQualifier "namequalifier", NewInstance "newinstance", NewKey "newkey", NewUser "newuser",
    Parameter "parameter", PermissionSet "permissionset", Policy "policy", Port "port", Prefix "prefix",
    PrivateIp "privateip", Queue "queue", Region "region", Repo "repo", RequestId "requestid", Role "role",
    RoleArn "rolearn", RoleId "roleid", RoleName "rolename", Secret "secret", Service "service", Session "session",
    Sg "sg", Snapshot "snapshot", Stack "stack", Subject "subject", Subnet "subnet", Table "table", Target "target",
    Token "token", Trail "trail", UserName "username", Uuid "uuid", Volume "volume", Vpc "vpc", Word "word",
    Word2 "word2", Workflow "workflow", WorkGroup "workgroup",
}

/// What kind of event an API makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Management event that changes nothing.
    Read,
    /// Management event that changes something.
    Write,
    /// Data event that changes nothing.
    DataRead,
    /// Data event that changes something.
    DataWrite,
    /// `AwsServiceEvent` with `readOnly` false.
    Service,
    /// `AwsServiceEvent` with `readOnly` true.
    ServiceRead,
    /// `AwsConsoleSignIn`.
    SignIn,
}

impl Kind {
    fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "read" => Self::Read,
            "write" => Self::Write,
            "data-read" => Self::DataRead,
            "data-write" => Self::DataWrite,
            "service" => Self::Service,
            "service-read" => Self::ServiceRead,
            "signin" => Self::SignIn,
            _ => return None,
        })
    }

    /// The member `readOnly`.
    pub fn read_only(self) -> bool {
        matches!(self, Self::Read | Self::DataRead | Self::ServiceRead)
    }

    /// The member `managementEvent`.
    pub fn management(self) -> bool {
        !matches!(self, Self::DataRead | Self::DataWrite)
    }

    /// The member `eventType`.
    pub fn event_type(self) -> &'static str {
        match self {
            Self::Service | Self::ServiceRead => "AwsServiceEvent",
            Self::SignIn => "AwsConsoleSignIn",
            _ => "AwsApiCall",
        }
    }
}

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// JSON text, taken as it is.
    Text(&'static str),
    /// A value to fill in.
    Hole(Hole),
}

/// JSON text with holes; empty where the member is absent.
#[derive(Debug, Clone, Default)]
pub struct Template(Vec<Piece>);

impl Template {
    /// Reads a template: `@name@` is a hole, `@@` a plain at sign.
    fn parse(text: &'static str) -> Option<Self> {
        let mut pieces = Vec::new();
        for (index, part) in text.split('@').enumerate() {
            match (index % 2, part) {
                (0, "") => {}
                (0, text) => pieces.push(Piece::Text(text)),
                (_, "") => pieces.push(Piece::Text("@")),
                (_, name) => pieces.push(Piece::Hole(Hole::of_name(name)?)),
            }
        }
        Some(Self(pieces))
    }

    /// The pieces in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// True where the member is absent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An API as CloudTrail names it, with the templates of its members.
#[derive(Debug)]
pub struct Api {
    /// Head of `eventSource`, e.g. `ec2`.
    pub source: &'static str,
    /// `eventName`, e.g. `DescribeInstances`.
    pub name: &'static str,
    /// Kind of event.
    pub kind: Kind,
    /// `requestParameters`.
    pub request: Template,
    /// `responseElements` of a call that succeeded.
    pub response: Template,
    /// `resources`.
    pub resources: Template,
    /// `additionalEventData`.
    pub additional: Template,
    /// `serviceEventDetails`.
    pub details: Template,
}

impl Api {
    /// Reads one line of the file.
    fn parse(line: &'static str) -> Option<Self> {
        let mut columns = line.split('\t');
        let (source, name, kind) = (columns.next()?, columns.next()?, Kind::of_name(columns.next()?)?);
        let mut template = || Template::parse(columns.next().unwrap_or_default());
        Some(Self {
            source,
            name,
            kind,
            request: template()?,
            response: template()?,
            resources: template()?,
            additional: template()?,
            details: template()?,
        })
    }
}

/// All APIs, by `source:name`.
#[derive(Debug)]
pub struct Catalogue {
    apis: Vec<Api>,
    by_name: HashMap<String, usize>,
}

impl Catalogue {
    /// Reads the embedded file.
    ///
    /// # Panics
    /// Where a line of the embedded file is broken; a test reads the whole file.
    pub fn load() -> Self {
        let lines = include_str!("apis.tsv").lines().filter(|line| !line.starts_with('#'));
        let apis: Vec<Api> = lines
            .map(|line| Api::parse(line).unwrap_or_else(|| panic!("apis.tsv: cannot read the line: {line}")))
            .collect();
        let by_name = apis.iter().enumerate().map(|(i, api)| (format!("{}:{}", api.source, api.name), i)).collect();
        Self { apis, by_name }
    }

    /// Every API, in the order of the file.
    pub fn apis(&self) -> &[Api] {
        &self.apis
    }

    /// The API called `source:name`.
    ///
    /// # Panics
    /// Where there is none: names are written in this crate, and its tests make every call once.
    pub fn get(&self, name: &str) -> &Api {
        let index = self.by_name.get(name).unwrap_or_else(|| panic!("apis.tsv: no API is called {name}"));
        &self.apis[*index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_and_names_are_distinct() {
        let catalogue = Catalogue::load();
        assert!(catalogue.apis().len() > 300);
        assert_eq!(catalogue.by_name.len(), catalogue.apis().len());
    }

    #[test]
    fn at_signs_make_holes() {
        let template = Template::parse("a@word@b@@c").expect("a template");
        let pieces = [Piece::Text("a"), Piece::Hole(Hole::Word), Piece::Text("b"), Piece::Text("@"), Piece::Text("c")];
        assert_eq!(template.pieces(), pieces);
        assert!(Template::parse("@nothing@").is_none());
    }

    #[test]
    fn kinds_follow_the_rules_of_cloudtrail() {
        let catalogue = Catalogue::load();
        assert!(catalogue.get("sts:AssumeRole").kind.read_only());
        assert!(!catalogue.get("s3:PutObject").kind.management());
        assert_eq!(catalogue.get("signin:ConsoleLogin").kind.event_type(), "AwsConsoleSignIn");
    }
}
