//! Where findings go: an SNS topic or a file.
//!
//! Owns: the shapes a finding is sent in, and the contract of every sink: findings are first planned into batches
//! (pure), then each batch is delivered and answers for every finding in it.
//! Refuses: deciding which findings to send and remembering what was sent; that is `publish`.
//! Invariant: a planned finding is in exactly one batch or among the refused.

mod file;
pub mod guardduty;
mod message;
mod pack;
#[cfg(test)]
pub(crate) mod sample;
pub mod shorten;
mod sns;

use serde_json::Value;

pub use file::{FileMode, FileOptions, FileSink};
pub use sns::{SnsOptions, SnsSink, TopicArn};

use crate::error::Result;
use crate::finding::{Finding, FindingId};
use guardduty::EventSource;
use shorten::LeftOut;

/// The JSON that a finding is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// GuardDuty's finding in EventBridge's envelope, `source` being `trailhound`: what a topic fed by GuardDuty
    /// through EventBridge carries, so consumers that read `detail` keep working. The default of a topic.
    #[default]
    Event,
    /// The same with the `source` `aws.guardduty`, for consumers that look at it (AWS's chat integration, rules
    /// copied from EventBridge). Nobody can then tell our findings from AWS's by the envelope; hence only on request.
    GuardDutyEvent,
    /// GuardDuty's finding alone, as in its export to S3. The default of a file.
    Finding,
    /// The line that `detect -o ndjson` prints.
    Native,
}

impl Shape {
    /// Every shape, in the order the documentation lists them.
    pub const ALL: [Self; 4] = [Self::Event, Self::GuardDutyEvent, Self::Finding, Self::Native];

    /// The name used on the command line and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::GuardDutyEvent => "guardduty-event",
            Self::Finding => "finding",
            Self::Native => "native",
        }
    }

    /// Renders a finding; `content_hash` is that of the whole finding, whatever was left out of this one.
    fn render(self, finding: &Finding, left_out: &LeftOut, content_hash: &str) -> Value {
        let event = |source| guardduty::event(guardduty::finding(finding, left_out), finding, content_hash, source);
        match self {
            Self::Event => event(EventSource::Trailhound),
            Self::GuardDutyEvent => event(EventSource::GuardDuty),
            Self::Finding => guardduty::finding(finding, left_out),
            Self::Native => native(finding, left_out),
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let names = || Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|shape| shape.as_str() == text);
        found.ok_or_else(|| format!("unknown shape \"{text}\"; use one of {}", names()))
    }
}

fn native(finding: &Finding, left_out: &LeftOut) -> Value {
    let mut value = serde_json::to_value(finding).expect("a finding is plain data and always serializes");
    if let (Value::Object(members), false) = (&mut value, left_out.is_empty()) {
        members.insert("truncated".into(), true.into());
        members.insert("left_out".into(), serde_json::to_value(left_out).expect("counts always serialize"));
    }
    value
}

/// What became of one finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The finding.
    pub id: FindingId,
    /// Whether the sink took it.
    pub outcome: Outcome,
}

/// Whether a sink took a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did; a topic answers with the message's id.
    Delivered {
        /// The service's id of the message.
        message_id: Option<String>,
    },
    /// It did not, and why; the next run sends it again.
    Failed {
        /// For a person.
        reason: String,
    },
}

/// One request's worth of findings, rendered.
#[derive(Debug)]
pub struct Batch(Vec<message::Message>);

impl Batch {
    /// The findings of the batch, in order.
    pub fn ids(&self) -> impl Iterator<Item = &FindingId> {
        self.0.iter().map(|message| &message.id)
    }
}

/// Findings cut into batches.
#[derive(Debug, Default)]
pub struct Plan {
    /// To be delivered in this order.
    pub batches: Vec<Batch>,
    /// Findings that no shortening makes small enough; each outcome is [`Outcome::Failed`].
    pub refused: Vec<Sent>,
    /// Findings that were shortened, and by how much.
    pub shortened: Vec<(FindingId, LeftOut)>,
}

/// Somewhere findings go.
#[derive(Debug)]
pub enum Sink {
    /// An SNS topic.
    Sns(SnsSink),
    /// A file of one JSON object a line.
    File(FileSink),
}

impl Sink {
    /// Stable name of the destination, under which deliveries are remembered: the topic's ARN or `file:` and the path.
    pub fn destination(&self) -> &str {
        match self {
            Self::Sns(sink) => sink.destination(),
            Self::File(sink) => sink.destination(),
        }
    }

    /// Cuts findings into batches, keeping their order; no I/O.
    pub fn plan(&self, findings: &[Finding]) -> Plan {
        match self {
            Self::Sns(sink) => sink.plan(findings),
            Self::File(sink) => sink.plan(findings),
        }
    }

    /// Delivers a batch: one answer per finding, in order.
    ///
    /// # Errors
    /// Where the destination itself fails (missing, denied, unreachable); nothing of this batch was then taken, as far
    /// as can be known, and the batches after it would fare no better.
    pub async fn deliver(&self, batch: &Batch) -> Result<Vec<Sent>> {
        match self {
            Self::Sns(sink) => sink.deliver(batch).await,
            Self::File(sink) => sink.deliver(batch).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_names_that_read_back() {
        for shape in Shape::ALL {
            assert_eq!(shape.as_str().parse(), Ok(shape));
        }
        assert!("guardduty".parse::<Shape>().is_err());
    }

    #[test]
    fn only_the_shape_asked_for_says_that_it_is_guarddutys() {
        let finding = sample::finding(1);
        let render = |shape: Shape| shape.render(&finding, &LeftOut::default(), "hash");
        assert_eq!(render(Shape::Event)["source"], "trailhound");
        assert_eq!(render(Shape::GuardDutyEvent)["source"], "aws.guardduty");
        assert_eq!(render(Shape::Event)["detail"], render(Shape::Finding));
        assert_eq!(render(Shape::Native)["event_ids"], serde_json::json!(["e-1", "e-2", "e-3"]));
    }
}
