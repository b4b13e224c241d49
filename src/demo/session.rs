//! Who calls: the `userIdentity` of each kind of principal, and where the call comes from.
//!
//! Owns: the exact members of `userIdentity` by type, and the actor that a session belongs to.
//! Invariant: benign and malicious sessions are made by the same constructors; only their origin can differ.

use serde_json::Value;

use super::ids::{self, Alphabet};
use super::org::{Account, HOME, IDENTITY_STORE, MANAGEMENT};

/// How a call reaches AWS; decides which optional members its records have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Straight to the endpoint: `tlsDetails`.
    Direct,
    /// Through the web console: `sessionCredentialFromConsole`, no `tlsDetails`.
    Console,
    /// By an AWS service: neither.
    Service,
}

/// Where a call comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// `sourceIPAddress`.
    pub address: String,
    /// `userAgent`.
    pub agent: String,
    /// How it gets to AWS.
    pub channel: Channel,
}

impl Origin {
    /// An origin that talks to the endpoints itself.
    pub fn direct(address: impl Into<String>, agent: impl Into<String>) -> Self {
        Self { address: address.into(), agent: agent.into(), channel: Channel::Direct }
    }

    /// A browser in the web console.
    pub fn console(address: impl Into<String>, agent: impl Into<String>) -> Self {
        Self { address: address.into(), agent: agent.into(), channel: Channel::Console }
    }

    /// An AWS service such as `lambda.amazonaws.com`.
    pub fn service(name: &str) -> Self {
        Self { address: name.to_owned(), agent: name.to_owned(), channel: Channel::Service }
    }
}

/// An identity with credentials at a place.
#[derive(Debug, Clone)]
pub struct Session {
    /// The account that records the calls.
    pub account: &'static Account,
    /// `userIdentity` as JSON text.
    pub identity: String,
    /// The caller's ARN, as messages name it.
    pub arn: String,
    /// The stable identity behind the session; empty where nothing identifies it.
    pub actor: String,
    /// Session or user name.
    pub name: String,
    /// `sourceIPAddress` as a JSON string.
    pub address: String,
    /// `userAgent` as a JSON string.
    pub agent: String,
    /// How calls reach AWS.
    pub channel: Channel,
}

/// A role as its sessions name it.
#[derive(Debug, Clone)]
pub struct Role {
    /// The account of the role.
    pub account: &'static Account,
    /// Path with both slashes, e.g. `/service-role/`.
    pub path: String,
    /// The role's name.
    pub name: String,
}

impl Role {
    /// A role without a path.
    pub fn plain(account: &'static Account, name: &str) -> Self {
        Self { account, path: "/".to_owned(), name: name.to_owned() }
    }

    /// The role that IAM Identity Center keeps in an account for a permission set.
    pub fn reserved_sso(account: &'static Account, permission_set: &str) -> Self {
        let tail = ids::spelled(Alphabet::Hex, 16, ids::hash64(&format!("sso {} {permission_set}", account.id)));
        Self {
            account,
            path: format!("/aws-reserved/sso.amazonaws.com/{HOME}/"),
            name: format!("AWSReservedSSO_{permission_set}_{tail}"),
        }
    }

    /// The service-linked role of a service such as `config.amazonaws.com`.
    pub fn service_linked(account: &'static Account, service: &str, name: &str) -> Self {
        Self { account, path: format!("/aws-service-role/{service}/"), name: name.to_owned() }
    }

    /// The role's ARN.
    pub fn arn(&self) -> String {
        format!("arn:aws:iam::{}:role{}{}", self.account.id, self.path, self.name)
    }

    /// The role's unique id.
    pub fn id(&self) -> String {
        ids::unique_id("AROAR", &self.arn())
    }
}

/// What a role's session has beside the members that all have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleUse {
    /// Nothing more.
    Plain,
    /// Credentials of an EC2 instance profile.
    Instance,
    /// A token of an OpenID Connect provider.
    WebIdentity,
    /// A service that acts through the role; holds its name.
    InvokedBy(&'static str),
}

/// What the sign-in page answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignIn {
    /// Come in.
    Accepted,
    /// Wrong password.
    Refused,
}

fn session(
    account: &'static Account,
    identity: String,
    arn: String,
    actor: String,
    name: &str,
    origin: &Origin,
) -> Session {
    Session {
        account,
        identity,
        arn,
        actor,
        name: name.to_owned(),
        address: Value::from(origin.address.as_str()).to_string(),
        agent: Value::from(origin.agent.as_str()).to_string(),
        channel: origin.channel,
    }
}

/// A JSON object of texts, in the order given. The values are names of this organization and need no escapes.
fn object(members: &[(&str, &str)]) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
    format!("{{{}}}", members.join(","))
}

/// Adds a member whose value is JSON text already.
fn with(mut object: String, name: &str, value: &str) -> String {
    object.pop();
    object.push_str(&format!(",\"{name}\":{value}}}"));
    object
}

fn user_members<'a>(
    account: &'a Account,
    user: &'a str,
    arn: &'a str,
    id: &'a str,
    key: &'a str,
) -> [(&'a str, &'a str); 6] {
    [
        ("type", "IAMUser"),
        ("principalId", id),
        ("arn", arn),
        ("accountId", account.id),
        ("accessKeyId", key),
        ("userName", user),
    ]
}

fn user_arn(account: &Account, user: &str) -> (String, String) {
    let arn = format!("arn:aws:iam::{}:user/{user}", account.id);
    let id = ids::unique_id("AIDAR", &arn);
    (arn, id)
}

impl Session {
    /// An IAM user with a long-term key.
    pub fn iam_user(account: &'static Account, user: &str, key: &str, origin: &Origin) -> Self {
        let (arn, id) = user_arn(account, user);
        let identity = object(&user_members(account, user, &arn, &id, key));
        session(account, identity, arn.clone(), arn, user, origin)
    }

    /// An IAM user signed in to the console since a Unix time in seconds.
    pub fn iam_user_console(account: &'static Account, user: &str, since: i64, origin: &Origin) -> Self {
        let (arn, id) = user_arn(account, user);
        let key = ids::unique_id("ASIA", &format!("{arn} {since}"));
        let attributes = object(&[("creationDate", &ids::iso(since)), ("mfaAuthenticated", "true")]);
        let context = format!("{{\"attributes\":{attributes}}}");
        let identity = with(object(&user_members(account, user, &arn, &id, &key)), "sessionContext", &context);
        session(account, identity, arn.clone(), arn, user, origin)
    }

    /// An IAM user at the sign-in page, before there are credentials; a refused one is not named by its ARN.
    pub fn iam_user_sign_in(account: &'static Account, user: &str, answer: SignIn, origin: &Origin) -> Self {
        let (arn, id) = user_arn(account, user);
        let left_out = match answer {
            SignIn::Accepted => "accessKeyId",
            SignIn::Refused => "arn",
        };
        let members = user_members(account, user, &arn, &id, "");
        let members: Vec<_> = members.into_iter().filter(|(name, _)| *name != left_out).collect();
        session(account, object(&members), arn.clone(), arn, user, origin)
    }

    /// A role's session since a Unix time in seconds.
    pub fn role(role: &Role, name: &str, since: i64, role_use: RoleUse, origin: &Origin) -> Self {
        let (id, account) = (role.id(), role.account.id);
        let arn = format!("arn:aws:sts::{account}:assumed-role/{}/{name}", role.name);
        let identity = object(&[
            ("type", "AssumedRole"),
            ("principalId", &format!("{id}:{name}")),
            ("arn", &arn),
            ("accountId", account),
            ("accessKeyId", &ids::unique_id("ASIA", &format!("{arn} {since}"))),
        ]);
        let identity = with(identity, "sessionContext", &role_context(role, since, role_use));
        let identity = match role_use {
            RoleUse::InvokedBy(service) => with(identity, "invokedBy", &format!("\"{service}\"")),
            _ => identity,
        };
        let person = role.name.starts_with("AWSReservedSSO_");
        let actor = if person { format!("{}/{name}", role.arn()) } else { role.arn() };
        session(role.account, identity, arn, actor, name, origin)
    }

    /// An AWS service on its own behalf.
    pub fn service(account: &'static Account, service: &str) -> Self {
        let identity = object(&[("type", "AWSService"), ("invokedBy", service)]);
        session(account, identity, service.to_owned(), service.to_owned(), "service", &Origin::service(service))
    }

    /// A person at the access portal of IAM Identity Center, recorded in the management account.
    pub fn portal(email: &str, since: i64, origin: &Origin) -> Self {
        let credential = ids::spelled(Alphabet::Hex, 64, ids::hash64(&format!("portal {email} {since}")));
        let person = object(&[("userId", &person_id(email)), ("identityStoreArn", IDENTITY_STORE)]);
        let identity = object(&[("type", "IdentityCenterUser"), ("accountId", MANAGEMENT.id)]);
        let identity = with(identity, "onBehalfOf", &person);
        let identity = with(identity, "credentialId", &format!("\"{credential}\""));
        session(&MANAGEMENT, identity, email.to_owned(), String::new(), email, origin)
    }

    /// The caller of `AssumeRoleWithSAML` for an Identity Center role.
    pub fn saml(account: &'static Account, email: &str) -> Self {
        let tail = ids::spelled(Alphabet::Alphanumeric, 27, ids::hash64(&format!("saml {}", account.id)));
        let identity = object(&[
            ("type", "SAMLUser"),
            ("principalId", &format!("{tail}=:{email}")),
            ("userName", email),
            ("identityProvider", &format!("{tail}=")),
        ]);
        session(account, identity, email.to_owned(), String::new(), email, &Origin::service("AWS Internal"))
    }

    /// The caller of `AssumeRoleWithWebIdentity` from GitHub Actions.
    pub fn web_identity(account: &'static Account, subject: &str, origin: &Origin) -> Self {
        let provider = github(account.id);
        let identity = object(&[
            ("type", "WebIdentityUser"),
            ("principalId", &format!("{provider}:sts.amazonaws.com:{subject}")),
            ("userName", subject),
            ("identityProvider", &provider),
        ]);
        session(account, identity, subject.to_owned(), String::new(), "GitHubActions", origin)
    }

    /// A principal of another account, as the account of the role records it.
    pub fn other_account(account: &'static Account, from: &str, name: &str, origin: &Origin) -> Self {
        let principal = format!("{}:{name}", ids::unique_id("AROAR", &format!("{from} {name}")));
        let identity = object(&[("type", "AWSAccount"), ("principalId", &principal), ("accountId", from)]);
        session(account, identity, principal, from.to_owned(), name, origin)
    }
}

fn github(account: &str) -> String {
    format!("arn:aws:iam::{account}:oidc-provider/token.actions.githubusercontent.com")
}

/// `sessionContext` of a role's session.
fn role_context(role: &Role, since: i64, role_use: RoleUse) -> String {
    let issuer = object(&[
        ("type", "Role"),
        ("principalId", &role.id()),
        ("arn", &role.arn()),
        ("accountId", role.account.id),
        ("userName", &role.name),
    ]);
    let attributes = object(&[("creationDate", &ids::iso(since)), ("mfaAuthenticated", "false")]);
    let context = format!("{{\"sessionIssuer\":{issuer}}}");
    let context = match role_use {
        RoleUse::WebIdentity => {
            let provider = with(object(&[("federatedProvider", &github(role.account.id))]), "attributes", "{}");
            with(context, "webIdFederationData", &provider)
        }
        _ => context,
    };
    let context = with(context, "attributes", &attributes);
    match role_use {
        RoleUse::Instance => with(context, "ec2RoleDelivery", "\"2.0\""),
        _ => context,
    }
}

/// The user id of a person in the identity store.
pub fn person_id(email: &str) -> String {
    let number = u128::from(ids::hash64(email));
    ids::uuid_text(number << 64 | ids::mix(number as u64) as u128)
}

#[cfg(test)]
mod tests {
    use super::super::org::PROD;
    use super::*;

    #[test]
    fn actor_of_a_person_has_the_session_name_and_of_a_workload_has_not() {
        let origin = Origin::direct("192.0.2.1", "aws-cli/2.17.0");
        let person = Role::reserved_sso(&PROD, "Developer");
        let person = Session::role(&person, "a@fernwood.example", 0, RoleUse::Plain, &origin);
        assert!(person.actor.contains("/AWSReservedSSO_Developer_") && person.actor.ends_with("/a@fernwood.example"));
        let web = Role::plain(&PROD, "web-app-role");
        let web = Session::role(&web, "i-0123456789abcdef0", 0, RoleUse::Instance, &origin);
        assert_eq!(web.actor, "arn:aws:iam::333344445555:role/web-app-role");
        let identity: Value = serde_json::from_str(&web.identity).expect("an identity is JSON");
        assert_eq!(identity["sessionContext"]["ec2RoleDelivery"], "2.0");
        assert_eq!(identity["accessKeyId"].as_str().map(str::len), Some(20));
        assert_eq!(identity["sessionContext"]["sessionIssuer"]["principalId"].as_str().map(str::len), Some(21));
    }

    #[test]
    fn refused_sign_in_has_no_arn_and_an_empty_key() {
        let origin = Origin::console("192.0.2.1", "a browser");
        let parsed = |answer| -> Value {
            let session = Session::iam_user_sign_in(&PROD, "u", answer, &origin);
            serde_json::from_str(&session.identity).expect("an identity is JSON")
        };
        let (refused, accepted) = (parsed(SignIn::Refused), parsed(SignIn::Accepted));
        assert!(refused.get("arn").is_none() && refused["accessKeyId"] == "");
        assert!(accepted.get("accessKeyId").is_none() && accepted["arn"].is_string());
    }

    #[test]
    fn agents_are_escaped() {
        let origin = Origin::direct("192.0.2.1", "say \"hi\"\n");
        let user = Session::iam_user(&PROD, "u", "AKIA", &origin);
        assert_eq!(user.agent, r#""say \"hi\"\n""#);
    }
}
