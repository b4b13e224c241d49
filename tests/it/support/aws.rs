//! Short words for what tests do to an emulated AWS.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName;

use super::emulator::Emulator;

/// Region of everything made here.
pub const REGION: &str = "us-east-1";

/// For a subscription that gets everything.
pub const NO_FILTER: Option<&str> = None;

/// Clients of one emulator.
#[derive(Debug, Clone)]
pub struct Aws {
    s3: aws_sdk_s3::Client,
    sns: aws_sdk_sns::Client,
    sqs: aws_sdk_sqs::Client,
}

/// Whether a topic and its queues keep order and drop repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A standard topic.
    Standard,
    /// A `.fifo` topic.
    Fifo,
}

/// A queue, and the attributes that its subscription got.
#[derive(Debug, Clone)]
pub struct Queue(String);

/// What arrived in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The message of SNS, not its envelope.
    pub body: String,
    /// Subject, where there was one.
    pub subject: Option<String>,
    /// Message attributes: type and value by name.
    pub attributes: BTreeMap<String, (String, String)>,
}

impl Aws {
    /// Clients that sign with a key every emulator takes.
    pub fn of(emulator: &Emulator) -> Self {
        Self::at(emulator.endpoint())
    }

    /// The same for any endpoint.
    pub fn at(endpoint: &str) -> Self {
        let credentials = Credentials::new("test", "test", None, None, "tests");
        let config = aws_config::SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(endpoint)
            .credentials_provider(aws_sdk_s3::config::SharedCredentialsProvider::new(credentials))
            .build();
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            sns: aws_sdk_sns::Client::new(&config),
            sqs: aws_sdk_sqs::Client::new(&config),
        }
    }

    /// The client that a sink under test is given; the environment's credentials are the developer's.
    pub fn sns(&self) -> aws_sdk_sns::Client {
        self.sns.clone()
    }

    /// Makes a bucket.
    pub async fn bucket(&self, name: &str) {
        self.s3.create_bucket().bucket(name).send().await.expect("makes a bucket");
    }

    /// Puts an object.
    pub async fn put(&self, bucket: &str, key: &str, bytes: impl Into<Vec<u8>>) {
        let body = aws_sdk_s3::primitives::ByteStream::from(bytes.into());
        self.s3.put_object().bucket(bucket).key(key).body(body).send().await.expect("puts an object");
    }

    /// Puts an object with user metadata.
    pub async fn put_described(&self, bucket: &str, key: &str, bytes: Vec<u8>, metadata: &[(String, String)]) {
        let body = aws_sdk_s3::primitives::ByteStream::from(bytes);
        let metadata = metadata.iter().cloned().collect();
        let request = self.s3.put_object().bucket(bucket).key(key).body(body).set_metadata(Some(metadata));
        request.send().await.expect("puts an object");
    }

    /// Deletes an object.
    pub async fn delete(&self, bucket: &str, key: &str) {
        self.s3.delete_object().bucket(bucket).key(key).send().await.expect("deletes an object");
    }

    /// Gets an object.
    pub async fn get(&self, bucket: &str, key: &str) -> Vec<u8> {
        let answer = self.s3.get_object().bucket(bucket).key(key).send().await.expect("gets an object");
        answer.body.collect().await.expect("gets its bytes").to_vec()
    }

    /// Makes a topic and returns its ARN.
    pub async fn topic(&self, name: &str, order: Order) -> String {
        let request = self.sns.create_topic();
        let request = match order {
            Order::Standard => request.name(name),
            Order::Fifo => request.name(format!("{name}.fifo")).attributes("FifoTopic", "true"),
        };
        request.send().await.expect("makes a topic").topic_arn.expect("has an arn")
    }

    /// Sets an attribute of a topic, e.g. `MaximumMessageSize`.
    pub async fn topic_attribute(&self, topic: &str, name: &str, value: &str) {
        let request = self.sns.set_topic_attributes().topic_arn(topic);
        request.attribute_name(name).attribute_value(value).send().await.expect("sets an attribute");
    }

    /// Makes a queue and subscribes it to a topic, with a filter policy if given.
    pub async fn queue(&self, name: &str, topic: &str, filter_policy: Option<&str>) -> Queue {
        let request = self.sqs.create_queue();
        let request = match topic.ends_with(".fifo") {
            false => request.queue_name(name),
            true => request.queue_name(format!("{name}.fifo")).attributes(QueueAttributeName::FifoQueue, "true"),
        };
        let url = request.send().await.expect("makes a queue").queue_url.expect("has a url");
        let arn = self.queue_arn(&url).await;
        let mut request = self.sns.subscribe().topic_arn(topic).protocol("sqs").endpoint(arn);
        if let Some(policy) = filter_policy {
            request = request.set_attributes(Some(HashMap::from([("FilterPolicy".to_owned(), policy.to_owned())])));
        }
        request.send().await.expect("subscribes");
        Queue(url)
    }

    async fn queue_arn(&self, url: &str) -> String {
        let name = QueueAttributeName::QueueArn;
        let answer = self.sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone()).send().await;
        let attributes = answer.expect("reads attributes").attributes.expect("has attributes");
        attributes.get(&name).expect("has an arn").clone()
    }

    /// Takes everything out of a queue, waiting until a second passes without a message.
    pub async fn receive_all(&self, Queue(url): &Queue) -> Vec<Received> {
        let mut all = Vec::new();
        loop {
            let request = self.sqs.receive_message().queue_url(url).max_number_of_messages(10).wait_time_seconds(1);
            let messages = request.send().await.expect("receives").messages.unwrap_or_default();
            if messages.is_empty() {
                return all;
            }
            for message in messages {
                let receipt = message.receipt_handle.expect("has a receipt");
                self.sqs.delete_message().queue_url(url).receipt_handle(receipt).send().await.expect("deletes");
                all.push(Received::read(&message.body.expect("has a body")));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// How a bucket's notices get into a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By S3 itself.
    Direct,
    /// By a topic that puts them into its envelope.
    Topic,
    /// By a topic that delivers them as they are.
    RawTopic,
    /// By EventBridge.
    Bridge,
}

/// A queue of notices.
#[derive(Debug, Clone)]
pub struct Notices {
    pub url: String,
    pub arn: String,
}

impl Aws {
    /// Makes a queue with some attributes.
    pub async fn notices(&self, name: &str, attributes: &[(QueueAttributeName, &str)]) -> Notices {
        let mut request = self.sqs.create_queue().queue_name(name);
        for (attribute, value) in attributes {
            request = request.attributes(attribute.clone(), *value);
        }
        let url = request.send().await.expect("makes a queue").queue_url.expect("has a url");
        let arn = self.queue_arn(&url).await;
        Notices { url, arn }
    }

    /// Makes a bucket tell a queue of its objects.
    pub async fn notify(&self, endpoint: &str, bucket: &str, queue: &Notices, way: Way) {
        use aws_sdk_s3::types::{
            Event, EventBridgeConfiguration, NotificationConfiguration, QueueConfiguration, TopicConfiguration,
        };
        let made = Event::from("s3:ObjectCreated:*");
        let configuration = NotificationConfiguration::builder();
        let configuration = match way {
            Way::Direct => configuration.queue_configurations(
                QueueConfiguration::builder().queue_arn(&queue.arn).events(made).build().expect("is whole"),
            ),
            Way::Topic | Way::RawTopic => {
                let topic = self.topic(bucket, Order::Standard).await;
                let subscription = self.sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(&queue.arn);
                let raw = (way == Way::RawTopic).to_string();
                subscription.attributes("RawMessageDelivery", raw).send().await.expect("subscribes");
                configuration.topic_configurations(
                    TopicConfiguration::builder().topic_arn(topic).events(made).build().expect("is whole"),
                )
            }
            Way::Bridge => {
                let pattern = format!(r#"{{"source":["aws.s3"],"detail":{{"bucket":{{"name":["{bucket}"]}}}}}}"#);
                events(endpoint, "PutRule", &serde_json::json!({"Name": bucket, "EventPattern": pattern}));
                let targets = serde_json::json!([{"Id": "1", "Arn": queue.arn}]);
                events(endpoint, "PutTargets", &serde_json::json!({"Rule": bucket, "Targets": targets}));
                configuration.event_bridge_configuration(EventBridgeConfiguration::builder().build())
            }
        };
        let request = self.s3.put_bucket_notification_configuration().bucket(bucket);
        request.notification_configuration(configuration.build()).send().await.expect("notifies");
    }

    /// Puts a message into a queue.
    pub async fn send(&self, queue: &Notices, body: &str) {
        self.sqs.send_message().queue_url(&queue.url).message_body(body).send().await.expect("sends");
    }

    /// Messages of a queue, in sight and out of sight.
    pub async fn count(&self, queue: &Notices) -> [u32; 2] {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let request = self.sqs.get_queue_attributes().queue_url(&queue.url);
        let answer = request.set_attribute_names(Some(names.to_vec())).send().await.expect("reads attributes");
        let attributes = answer.attributes.expect("has attributes");
        names.map(|name| attributes[&name].parse().expect("a number"))
    }

    /// Waits until a queue has so many messages, in sight or not.
    pub async fn wait_for(&self, queue: &Notices, messages: u32) {
        for _ in 0..600 {
            if self.count(queue).await.iter().sum::<u32>() == messages {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} has {:?} messages, not {messages}", queue.url, self.count(queue).await);
    }
}

/// A call of EventBridge, of which there is no client here.
fn events(endpoint: &str, action: &str, body: &serde_json::Value) {
    use std::io::{Read, Write};
    let (host, body) = (endpoint.trim_start_matches("http://"), body.to_string());
    let mut server = std::net::TcpStream::connect(host).expect("connects");
    let credential = "Credential=test/20260101/us-east-1/events/aws4_request, SignedHeaders=host, Signature=0";
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/x-amz-json-1.1\r\nX-Amz-Date: 20260101T000000Z\r\n\
         X-Amz-Target: AWSEvents.{action}\r\nAuthorization: AWS4-HMAC-SHA256 {credential}\r\n\r\n",
        body.len()
    );
    server.write_all(&[head.as_bytes(), body.as_bytes()].concat()).expect("asks");
    let mut answer = String::new();
    server.read_to_string(&mut answer).expect("answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{action}: {answer}");
}

impl Received {
    fn read(envelope: &str) -> Self {
        let envelope: serde_json::Value = serde_json::from_str(envelope).expect("sns's envelope is json");
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let attributes = envelope["MessageAttributes"].as_object().into_iter().flatten().map(|(name, value)| {
            (name.clone(), (text(&value["Type"]).unwrap_or_default(), text(&value["Value"]).unwrap_or_default()))
        });
        Self {
            body: text(&envelope["Message"]).expect("has a message"),
            subject: text(&envelope["Subject"]),
            attributes: attributes.collect(),
        }
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("the body is valid json")
    }
}

#[tokio::test]
async fn objects_come_back_under_their_keys() {
    let Some(emulator) = Emulator::shared(super::emulator::Kind::Ministack) else { return };
    let aws = Aws::of(emulator);
    aws.bucket("support").await;
    let key = "AWSLogs/o-1/a b+c=\u{fc}.json.gz";
    aws.put("support", key, *b"bytes").await;
    assert_eq!(aws.get("support", key).await, b"bytes");
}
