//! The actor: the stable identity behind a call.
//!
//! Owns: the column `actor`. `userIdentity.arn` of an assumed role embeds the session's name, so it is another one in
//! every session; the actor is the role, or the person behind a role that people share.
//! Refuses: to guess; NULL where nothing identifies the caller.

use std::fmt::Write;

/// The members of `userIdentity` that name the caller.
#[derive(Debug, Clone, Copy, Default)]
pub struct Caller<'a> {
    /// `type`
    pub kind: Option<&'a str>,
    /// `principalId`
    pub principal_id: Option<&'a str>,
    /// `arn`
    pub arn: Option<&'a str>,
    /// `accountId`
    pub account_id: Option<&'a str>,
    /// `userName`
    pub user_name: Option<&'a str>,
    /// `invokedBy`
    pub invoked_by: Option<&'a str>,
    /// `identityProvider`
    pub identity_provider: Option<&'a str>,
    /// `onBehalfOf.userId`
    pub on_behalf_of_user: Option<&'a str>,
    /// `onBehalfOf.identityStoreArn`
    pub on_behalf_of_store: Option<&'a str>,
    /// `sessionContext.sessionIssuer.arn`
    pub issuer_arn: Option<&'a str>,
    /// `sessionContext.sourceIdentity`
    pub source_identity: Option<&'a str>,
}

impl Caller<'_> {
    /// Empty texts stand for absent ones: CloudTrail writes `""` for some of them.
    fn without_empty(mut self) -> Self {
        let members = [
            &mut self.kind,
            &mut self.principal_id,
            &mut self.arn,
            &mut self.account_id,
            &mut self.user_name,
            &mut self.invoked_by,
            &mut self.identity_provider,
            &mut self.on_behalf_of_user,
            &mut self.on_behalf_of_store,
            &mut self.issuer_arn,
            &mut self.source_identity,
        ];
        for member in members {
            *member = member.filter(|text| !text.is_empty());
        }
        self
    }
}

/// Writes the actor into `out` (cleared first) and answers whether there is one.
pub fn actor(caller: &Caller<'_>, out: &mut String) -> bool {
    out.clear();
    let caller = &caller.without_empty();
    let written = match caller.kind.unwrap_or_default() {
        "Root" => caller.account_id.is_some_and(|account| put(out, &["arn:aws:iam::", account, ":root"])),
        "AssumedRole" => assumed_role(caller, out),
        // of the rare other types that a session can have, none may put its name into the actor
        _ if caller.arn.is_some_and(|arn| arn.contains(":assumed-role/")) => assumed_role(caller, out),
        "AWSService" => caller.invoked_by.or(caller.principal_id).is_some_and(|service| put(out, &[service])),
        "AWSAccount" => caller.account_id.or(caller.principal_id).is_some_and(|id| put(out, &["account/", id])),
        "SAMLUser" | "WebIdentityUser" => federated(caller, out),
        _ => directory_user(caller, out) || named(caller, out),
    };
    if !written {
        out.clear();
    }
    written
}

fn put(out: &mut String, parts: &[&str]) -> bool {
    if parts.iter().any(|part| part.is_empty()) {
        return false;
    }
    out.extend(parts.iter().copied());
    true
}

/// The role, with the person behind it where the session tells one.
fn assumed_role(caller: &Caller<'_>, out: &mut String) -> bool {
    let known = match caller.issuer_arn {
        Some(arn) => put(out, &[arn]),
        None => caller.arn.is_some_and(|arn| role_of_session(arn, out)),
    };
    if !known {
        return named(caller, out);
    }
    if let Some(person) = person(caller, out) {
        out.push('/');
        out.push_str(person);
    }
    true
}

/// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION` -> `arn:aws:iam::ACCOUNT:role/ROLE`.
fn role_of_session(arn: &str, out: &mut String) -> bool {
    let Some((head, tail)) = arn.split_once(":assumed-role/") else { return false };
    let role = tail.split('/').next().unwrap_or_default();
    let account = head.rsplit(':').next().unwrap_or_default();
    let partition = head.split(':').nth(1).unwrap_or("aws");
    write!(out, "arn:{partition}:iam::{account}:role/{role}").is_ok()
}

/// Identity Center names a session after the user; other federations commonly put the mail address there, and a
/// source identity always names the origin. Any other session name is chosen freely and often random. Where a person's
/// identity is passed on (trusted identity propagation) the session has the person's id in the directory.
pub fn person<'a>(caller: &Caller<'a>, role: &str) -> Option<&'a str> {
    let session = caller.principal_id.and_then(|id| id.split_once(':')).map(|(_, session)| session);
    let name = role.rsplit('/').next().unwrap_or_default();
    let personal = |session: &&str| name.starts_with("AWSReservedSSO_") || session.contains('@');
    let named = caller.source_identity.or(session.filter(personal));
    named.or(caller.on_behalf_of_user)
}

/// An Identity Center user, whose only stable name is the id in its store.
fn directory_user(caller: &Caller<'_>, out: &mut String) -> bool {
    match (caller.on_behalf_of_store, caller.on_behalf_of_user) {
        (Some(store), Some(user)) => put(out, &[store, "/", user]),
        _ => false,
    }
}

/// The subject at its identity provider (a CI repository, a SAML user).
fn federated(caller: &Caller<'_>, out: &mut String) -> bool {
    match (caller.identity_provider, caller.user_name.or(caller.principal_id)) {
        (Some(provider), Some(user)) => put(out, &[provider, "/", user]),
        (None, Some(user)) => put(out, &[user]),
        _ => false,
    }
}

fn named(caller: &Caller<'_>, out: &mut String) -> bool {
    if let Some(arn) = caller.arn {
        return put(out, &[arn]);
    }
    match (caller.account_id, caller.user_name) {
        (Some(account), Some(user)) if user != "HIDDEN_DUE_TO_SECURITY_REASONS" => {
            put(out, &["arn:aws:iam::", account, ":user/", user])
        }
        _ => caller.principal_id.or(caller.invoked_by).is_some_and(|id| put(out, &[id])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(caller: Caller<'_>) -> Option<String> {
        let mut out = "left over".to_owned();
        actor(&caller, &mut out).then_some(out)
    }

    const ROLE: Caller<'_> = Caller {
        kind: Some("AssumedRole"),
        principal_id: Some("AROAEXAMPLE:i-0123"),
        arn: Some("arn:aws:sts::111122223333:assumed-role/web/i-0123"),
        account_id: Some("111122223333"),
        user_name: None,
        invoked_by: None,
        identity_provider: None,
        on_behalf_of_user: None,
        on_behalf_of_store: None,
        issuer_arn: Some("arn:aws:iam::111122223333:role/web"),
        source_identity: None,
    };

    #[test]
    fn a_role_is_one_actor_whatever_the_session() {
        assert_eq!(named(ROLE).as_deref(), Some("arn:aws:iam::111122223333:role/web"));
        assert_eq!(named(Caller { issuer_arn: None, ..ROLE }), named(ROLE));
    }

    #[test]
    fn a_shared_role_is_as_many_actors_as_people() {
        let sso = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef";
        let ana = Caller { issuer_arn: Some(sso), principal_id: Some("AROAEXAMPLE:ana"), ..ROLE };
        assert_eq!(named(ana), Some(format!("{sso}/ana")));
        let saml = Caller { principal_id: Some("AROAEXAMPLE:ana@example.com"), ..ROLE };
        assert_eq!(named(saml).as_deref(), Some("arn:aws:iam::111122223333:role/web/ana@example.com"));
        let sourced = Caller { source_identity: Some("ana"), ..ROLE };
        assert_eq!(named(sourced).as_deref(), Some("arn:aws:iam::111122223333:role/web/ana"));
    }

    #[test]
    fn every_other_kind_has_its_own_name() {
        let of = |kind| Caller { kind: Some(kind), account_id: Some("111122223333"), ..Caller::default() };
        assert_eq!(named(of("Root")).as_deref(), Some("arn:aws:iam::111122223333:root"));
        assert_eq!(named(of("AWSAccount")).as_deref(), Some("account/111122223333"));
        let service = Caller { invoked_by: Some("config.amazonaws.com"), ..of("AWSService") };
        assert_eq!(named(service).as_deref(), Some("config.amazonaws.com"));
        let user = Caller { user_name: Some("ana"), ..of("IAMUser") };
        assert_eq!(named(user).as_deref(), Some("arn:aws:iam::111122223333:user/ana"));
        let ci = Caller {
            identity_provider: Some("token.actions.githubusercontent.com"),
            user_name: Some("repo:org/app:ref:refs/heads/main"),
            ..of("WebIdentityUser")
        };
        let subject = "token.actions.githubusercontent.com/repo:org/app:ref:refs/heads/main";
        assert_eq!(named(ci).as_deref(), Some(subject));
        let center = Caller {
            on_behalf_of_user: Some("u-1"),
            on_behalf_of_store: Some("arn:aws:identitystore::111122223333:identitystore/d-1"),
            ..of("IdentityCenterUser")
        };
        assert_eq!(named(center).as_deref(), Some("arn:aws:identitystore::111122223333:identitystore/d-1/u-1"));
    }

    #[test]
    fn a_session_never_names_the_actor() {
        let role = named(ROLE);
        for kind in [Some("Role"), Some("Unknown"), None, Some("")] {
            assert_eq!(named(Caller { kind, ..ROLE }), role, "{kind:?}");
        }
    }

    #[test]
    fn a_person_whose_identity_is_passed_on_is_seen() {
        let store = Some("arn:aws:identitystore::111122223333:identitystore/d-1");
        let passed = Caller { on_behalf_of_user: Some("u-1"), on_behalf_of_store: store, ..ROLE };
        assert_eq!(named(passed).as_deref(), Some("arn:aws:iam::111122223333:role/web/u-1"));
    }

    #[test]
    fn empty_is_absent() {
        let account =
            Caller { kind: Some("AWSAccount"), account_id: Some(""), principal_id: Some("AIDA1"), ..Caller::default() };
        assert_eq!(named(account).as_deref(), Some("account/AIDA1"));
        let service = Caller {
            kind: Some("AWSService"),
            invoked_by: Some(""),
            principal_id: Some("x.amazonaws.com"),
            ..Caller::default()
        };
        assert_eq!(named(service).as_deref(), Some("x.amazonaws.com"));
        let failed = Caller {
            kind: Some("IAMUser"),
            account_id: Some("111122223333"),
            user_name: Some("ana"),
            arn: Some(""),
            ..Caller::default()
        };
        assert_eq!(named(failed).as_deref(), Some("arn:aws:iam::111122223333:user/ana"));
    }

    #[test]
    fn nobody_is_null() {
        assert_eq!(named(Caller::default()), None);
        assert_eq!(named(Caller { user_name: Some("HIDDEN_DUE_TO_SECURITY_REASONS"), ..Caller::default() }), None);
    }
}
