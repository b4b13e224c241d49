//! Findings to SNS topics, as they arrive in SQS queues, on both emulators.

use serde_json::json;
use trailhound::error::ErrorKind;
use trailhound::finding::Finding;
use trailhound::sink::{Outcome, Sent, Shape, Sink, SnsSink};

use crate::support::aws::{Aws, NO_FILTER, Order, Received};
use crate::support::canned::Canned;
use crate::support::emulator::{Emulator, Kind};
use crate::support::findings::{finding, huge, ids, ids_of, set, topic_sink, with_severity};

async fn send(sink: &Sink, findings: &[Finding]) -> Vec<Sent> {
    let plan = sink.plan(findings);
    let mut all = plan.refused;
    for batch in &plan.batches {
        all.extend(sink.deliver(batch).await.expect("the topic answers"));
    }
    all
}

fn all_delivered(sent: &[Sent]) -> bool {
    sent.iter().all(|sent| matches!(sent.outcome, Outcome::Delivered { message_id: Some(_) }))
}

#[tokio::test]
async fn a_standard_topic_gets_every_finding_once() {
    for kind in Kind::ALL {
        let Some(emulator) = Emulator::shared(kind) else { return };
        let aws = Aws::of(emulator);
        let topic = aws.topic("standard", Order::Standard).await;
        let queue = aws.queue("standard", &topic, NO_FILTER).await;
        let findings: Vec<_> = (0..25).map(finding).collect();
        let sent = send(&topic_sink(&aws, &topic).await, &findings).await;
        assert!(sent.len() == 25 && all_delivered(&sent), "{kind:?}: {sent:?}");
        let received = aws.receive_all(&queue).await;
        assert_eq!(received.len(), 25, "{kind:?}");
        assert_eq!(set(ids(&received)), set(ids_of(&findings)), "{kind:?}");
        let message = &received[0];
        assert_eq!(
            message.subject.as_deref(),
            Some("MEDIUM Discovery:IAMUser/AnomalousBehavior in 111122223333 eu-west-1")
        );
        assert_eq!(message.attributes["severity"], ("Number".to_owned(), "5.5".to_owned()));
        assert_eq!(message.attributes["account"], ("String".to_owned(), "111122223333".to_owned()));
        assert_eq!(message.json()["detail-type"], "GuardDuty Finding");
        assert_eq!(message.json()["detail"]["service"]["action"]["awsApiCallAction"]["api"], "ListBuckets");
    }
}

#[tokio::test]
async fn a_fifo_topic_keeps_order_and_drops_a_repeat() {
    for kind in Kind::ALL {
        let Some(emulator) = Emulator::shared(kind) else { return };
        let aws = Aws::of(emulator);
        let topic = aws.topic("ordered", Order::Fifo).await;
        let queue = aws.queue("ordered", &topic, NO_FILTER).await;
        let sink = topic_sink(&aws, &topic).await;
        let findings: Vec<_> = (0..12).map(finding).collect();
        assert!(all_delivered(&send(&sink, &findings).await), "{kind:?}");
        let repeat = finding(3);
        let changed = Finding { count: 2, ..finding(4) };
        assert!(all_delivered(&send(&sink, &[repeat, changed.clone()]).await), "{kind:?}");
        let expected = [ids_of(&findings), ids_of(&[changed])].concat();
        assert_eq!(ids(&aws.receive_all(&queue).await), expected, "{kind:?}");
    }
}

#[tokio::test]
async fn a_finding_over_the_limit_arrives_shortened_and_says_so() {
    for kind in Kind::ALL {
        let Some(emulator) = Emulator::shared(kind) else { return };
        let aws = Aws::of(emulator);
        let topic = aws.topic("large", Order::Standard).await;
        let queue = aws.queue("large", &topic, NO_FILTER).await;
        let sent = send(&topic_sink(&aws, &topic).await, &[huge(1), huge(2)]).await;
        assert!(all_delivered(&sent), "{kind:?}: {sent:?}");
        let received = aws.receive_all(&queue).await;
        assert_eq!(received.len(), 2);
        for message in received {
            assert!(message.body.len() <= 262_144);
            let ours = &message.json()["detail"]["service"]["additionalInfo"]["trailhound"];
            assert_eq!(ours["truncated"], true);
            assert_eq!(ours["left_out"]["event_ids"], 9_900);
            assert_eq!(ours["event_ids"].as_array().map(Vec::len), Some(100));
        }
    }
}

#[tokio::test]
async fn a_topic_that_takes_less_gets_less() {
    // moto drops the attribute
    let Some(emulator) = Emulator::shared(Kind::Ministack) else { return };
    let aws = Aws::of(emulator);
    let topic = aws.topic("narrow", Order::Standard).await;
    aws.topic_attribute(&topic, "MaximumMessageSize", "4096").await;
    let queue = aws.queue("narrow", &topic, NO_FILTER).await;
    assert!(all_delivered(&send(&topic_sink(&aws, &topic).await, &[finding(1), huge(2)]).await));
    let received = aws.receive_all(&queue).await;
    assert_eq!(received.len(), 2);
    assert!(received.iter().all(|message| message.body.len() < 4_096));
    let truncated =
        |message: &&Received| message.json()["detail"]["service"]["additionalInfo"]["trailhound"]["truncated"] == true;
    assert_eq!(received.iter().filter(truncated).count(), 1, "only the huge one");
}

#[tokio::test]
async fn a_filter_policy_on_severity_selects() {
    for kind in Kind::ALL {
        let Some(emulator) = Emulator::shared(kind) else { return };
        let aws = Aws::of(emulator);
        let topic = aws.topic("filtered", Order::Standard).await;
        let number = aws.queue("by-number", &topic, Some(r#"{"severity":[{"numeric":[">=",7]}]}"#)).await;
        let label = aws.queue("by-label", &topic, Some(r#"{"severity_label":["LOW"],"region":["eu-west-1"]}"#)).await;
        let findings = [with_severity(1, 2.0), with_severity(2, 7.0), with_severity(3, 9.5)];
        assert!(all_delivered(&send(&topic_sink(&aws, &topic).await, &findings).await));
        assert_eq!(set(ids(&aws.receive_all(&number).await)), set(ids_of(&findings[1..])), "{kind:?}");
        assert_eq!(ids(&aws.receive_all(&label).await), ids_of(&findings[..1]), "{kind:?}");
    }
}

#[tokio::test]
async fn hostile_text_is_delivered_and_comes_back_as_it_was() {
    for kind in Kind::ALL {
        let Some(emulator) = Emulator::shared(kind) else { return };
        let aws = Aws::of(emulator);
        let topic = aws.topic("hostile", Order::Standard).await;
        let queue = aws.queue("hostile", &topic, NO_FILTER).await;
        let agent = "</script>\u{0}\r\n\u{1b}[31m\"}]'; DROP TABLE findings --\u{ffff}🦀".to_owned();
        let hostile = Finding {
            finding_type: "x".repeat(300),
            region: "eu\n-west-1\u{7}".into(),
            user_agents: vec![agent.clone()],
            ..finding(1)
        };
        assert!(all_delivered(&send(&topic_sink(&aws, &topic).await, &[hostile]).await), "{kind:?}");
        let received = aws.receive_all(&queue).await;
        assert_eq!(received.len(), 1, "{kind:?}");
        let ours = &received[0].json()["detail"]["service"]["additionalInfo"]["trailhound"];
        assert_eq!(ours["user_agents"], json!([agent]), "{kind:?}");
        assert!(received[0].subject.as_ref().is_some_and(|subject| subject.len() < 100));
    }
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_said() {
    let Some(emulator) = Emulator::shared(Kind::Ministack) else { return };
    let arn = "arn:aws:sns:us-east-1:000000000000:nowhere".parse().expect("an arn");
    let error = SnsSink::with_client(Aws::of(emulator).sns(), arn, Shape::default()).await.expect_err("no such topic");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("nowhere") && error.to_string().contains("--sns-topic-arn"), "{error}");
}

const NARROW_RIGHTS: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code>\
    <Message>not authorized to perform SNS:GetTopicAttributes</Message></Error></ErrorResponse>";

fn batch_answer(successful: &str, failed: &str) -> (u16, String) {
    let result = format!("<Successful>{successful}</Successful><Failed>{failed}</Failed>");
    let meta = "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>";
    let answer = format!("<PublishBatchResult>{result}</PublishBatchResult>{meta}");
    (200, format!("<PublishBatchResponse>{answer}</PublishBatchResponse>"))
}

fn taken(id: &str) -> String {
    format!("<member><Id>{id}</Id><MessageId>message-{id}</MessageId></member>")
}

fn failed(id: &str, sender_fault: &str) -> String {
    let why = format!("<Code>Trouble</Code><Message>for {id}</Message><SenderFault>{sender_fault}</SenderFault>");
    format!("<member><Id>{id}</Id>{why}</member>")
}

async fn answered(answers: Vec<(u16, String)>, findings: &[Finding]) -> (Vec<Outcome>, Vec<String>) {
    let server = Canned::start([vec![(403, NARROW_RIGHTS.to_owned())], answers].concat());
    let sink = topic_sink(&Aws::at(&server.endpoint), "arn:aws:sns:us-east-1:111122223333:alerts").await;
    let sent = send(&sink, findings).await;
    assert_eq!(sent.iter().map(|sent| sent.id.to_string()).collect::<Vec<_>>(), ids_of(findings));
    (sent.into_iter().map(|sent| sent.outcome).collect(), server.requests())
}

#[tokio::test]
async fn an_entry_that_the_service_failed_is_tried_again_alone() {
    let mixed = batch_answer(&taken("0"), &(failed("1", "false") + &failed("2", "true")));
    let answers = vec![mixed, batch_answer(&taken("1"), "")];
    let (outcomes, requests) = answered(answers, &[finding(0), finding(1), finding(2)]).await;
    let delivered = |id: &str| Outcome::Delivered { message_id: Some(format!("message-{id}")) };
    let refused = Outcome::Failed { reason: "sns answered Trouble: for 2".into() };
    assert_eq!(outcomes, [delivered("0"), delivered("1"), refused]);
    assert_eq!(requests.len(), 3, "attributes, which may not be read, then two batches");
    assert!(requests[2].contains("member.1.Id=1&") && !requests[2].contains("member.2."), "{}", requests[2]);
}

#[tokio::test]
async fn trying_again_has_an_end() {
    let (outcomes, requests) = answered(vec![batch_answer("", &failed("0", "false"))], &[finding(0)]).await;
    assert_eq!(outcomes, [Outcome::Failed { reason: "sns answered Trouble: for 0".into() }]);
    assert_eq!(requests.len(), 6, "attributes, a first try and four more");
}

#[tokio::test]
async fn an_entry_that_the_answer_forgets_is_not_taken_for_delivered() {
    let (outcomes, _) = answered(vec![batch_answer(&taken("0"), "")], &[finding(0), finding(1)]).await;
    assert!(matches!(&outcomes[1], Outcome::Failed { reason } if reason.contains("answered nothing")));
}
