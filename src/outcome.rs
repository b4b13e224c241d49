//! What became of a call, from its error code, its message and, for sign-in, its answer.
//!
//! Owns: the classification behind the column `outcome`.
//! Refuses: to take "no AccessDenied" for success; EC2 says `Client.UnauthorizedOperation`, sign-in says nothing at all.

use crate::event::Outcome;

/// The members of a record that decide its outcome.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answer<'a> {
    /// `errorCode`
    pub error_code: Option<&'a str>,
    /// `errorMessage`
    pub error_message: Option<&'a str>,
    /// `eventType`
    pub event_type: Option<&'a str>,
    /// `responseElements` as JSON text; read for console sign-in only.
    pub response: Option<&'a str>,
    /// `serviceEventDetails` as JSON text; read for Identity Center sign-in only.
    pub service_details: Option<&'a str>,
    /// `eventSource`
    pub event_source: Option<&'a str>,
}

/// Classifies a call.
pub fn classify(answer: &Answer<'_>) -> Outcome {
    if let Some(code) = answer.error_code.filter(|code| !code.is_empty()) {
        return of_code(code);
    }
    if is_failed_sign_in(answer) {
        return Outcome::AuthFailed;
    }
    match answer.error_message {
        Some(message) if !message.is_empty() => Outcome::Invalid,
        _ => Outcome::Success,
    }
}

/// A failed sign-in has no error code: the console says so in `responseElements` and `errorMessage`, Identity Center
/// in `serviceEventDetails`.
fn is_failed_sign_in(answer: &Answer<'_>) -> bool {
    let failure = |text: Option<&str>| text.is_some_and(|text| text.contains("\"Failure\""));
    let console = answer.event_type == Some("AwsConsoleSignIn");
    let sign_in = console || answer.event_source == Some("signin.amazonaws.com");
    sign_in && (failure(answer.response) || failure(answer.service_details) || answer.error_message.is_some())
}

/// Fragments of error codes by what they mean, the more specific first. Services spell the same thing in many ways
/// (`AccessDenied`, `AccessDeniedException`, `Client.UnauthorizedOperation`, `VpceAccessDenied`), so fragments are
/// matched, not whole codes.
const FRAGMENTS: &[(&str, Outcome)] = &[
    ("DryRunOperation", Outcome::DryRun),
    ("AuthFailure", Outcome::AuthFailed),
    ("InvalidClientTokenId", Outcome::AuthFailed),
    ("SignatureDoesNotMatch", Outcome::AuthFailed),
    ("InvalidSignature", Outcome::AuthFailed),
    ("IncompleteSignature", Outcome::AuthFailed),
    ("ExpiredToken", Outcome::AuthFailed),
    ("RequestExpired", Outcome::AuthFailed),
    ("UnrecognizedClient", Outcome::AuthFailed),
    ("InvalidAccessKeyId", Outcome::AuthFailed),
    ("MissingAuthenticationToken", Outcome::AuthFailed),
    ("Failed authentication", Outcome::AuthFailed),
    ("AccessDenied", Outcome::Denied),
    ("Unauthorized", Outcome::Denied),
    ("NotAuthorized", Outcome::Denied),
    ("AuthorizationError", Outcome::Denied),
    ("PermissionDenied", Outcome::Denied),
    ("Forbidden", Outcome::Denied),
    ("OperationNotPermitted", Outcome::Denied),
    ("Throttl", Outcome::Throttled),
    ("LimitExceeded", Outcome::Throttled),
    ("QuotaExceeded", Outcome::Throttled),
    ("TooManyRequests", Outcome::Throttled),
    ("ThroughputExceeded", Outcome::Throttled),
    ("SlowDown", Outcome::Throttled),
    ("NoSuch", Outcome::NotFound),
    ("NotFound", Outcome::NotFound),
    ("DoesNotExist", Outcome::NotFound),
    ("NonExistent", Outcome::NotFound),
    ("Server.", Outcome::ServiceError),
    ("InternalError", Outcome::ServiceError),
    ("InternalFailure", Outcome::ServiceError),
    ("InternalServ", Outcome::ServiceError),
    ("Unavailable", Outcome::ServiceError),
    ("ServiceException", Outcome::ServiceError),
    ("Timeout", Outcome::ServiceError),
    ("TimedOut", Outcome::ServiceError),
];

fn of_code(code: &str) -> Outcome {
    FRAGMENTS.iter().find(|(fragment, _)| code.contains(fragment)).map_or(Outcome::Invalid, |(_, outcome)| *outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart_however_services_spell_them() {
        for (code, outcome) in [
            ("AccessDenied", Outcome::Denied),
            ("AccessDeniedException", Outcome::Denied),
            ("Client.UnauthorizedOperation", Outcome::Denied),
            ("VpceAccessDenied", Outcome::Denied),
            ("Client.DryRunOperation", Outcome::DryRun),
            ("Client.AuthFailure", Outcome::AuthFailed),
            ("NoSuchBucketPolicy", Outcome::NotFound),
            ("ObjectLockConfigurationNotFoundError", Outcome::NotFound),
            ("Client.InvalidInstanceID.NotFound", Outcome::NotFound),
            ("Client.RequestLimitExceeded", Outcome::Throttled),
            ("ThrottlingException", Outcome::Throttled),
            ("Server.InternalError", Outcome::ServiceError),
            ("ValidationException", Outcome::Invalid),
        ] {
            assert_eq!(classify(&Answer { error_code: Some(code), ..Answer::default() }), outcome, "{code}");
        }
    }

    #[test]
    fn failed_sign_in_is_not_success() {
        let console = Answer { event_type: Some("AwsConsoleSignIn"), ..Answer::default() };
        let failed = Answer { response: Some(r#"{"ConsoleLogin":"Failure"}"#), ..console };
        assert_eq!(classify(&failed), Outcome::AuthFailed);
        assert_eq!(classify(&Answer { response: Some(r#"{"ConsoleLogin":"Success"}"#), ..console }), Outcome::Success);
        assert_eq!(classify(&Answer { error_message: Some("Failed authentication"), ..console }), Outcome::AuthFailed);
    }

    #[test]
    fn no_error_is_success() {
        assert_eq!(classify(&Answer::default()), Outcome::Success);
        assert_eq!(classify(&Answer { error_code: Some(""), ..Answer::default() }), Outcome::Success);
    }
}
