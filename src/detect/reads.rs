//! Objects read from S3: from which bucket, how many, how many bytes, and how much of that is usual.
//!
//! Owns: what is a read, and the sums of past days for an actor and a bucket. Refuses: to judge them.
//! Invariant: a bucket is named by its ARN, as an actor is: what all read from it is kept and scored as an actor's day.

use std::sync::LazyLock;

use super::effect::Member;
use super::model::Level;
use super::names::Name;

/// What the ARN of every bucket begins with.
pub const BUCKET: &str = "arn:aws:s3:::";

/// Bytes of the unit in which amounts are held against each other.
pub const MEBIBYTE: f64 = 1_048_576.0;

/// ARN of the bucket that a call reads an object from: GuardDuty counts `GetObject`, `SelectObjectContent`, and the read half of
/// `CopyObject`.
pub fn bucket(api: &str, parameters: &str) -> Option<String> {
    static NAME: LazyLock<Member> = LazyLock::new(|| Member::new("bucketName"));
    static SOURCE: LazyLock<Member> = LazyLock::new(|| Member::new("x-amz-copy-source"));
    let name = match api {
        "s3:GetObject" | "s3:SelectObjectContent" => NAME.text(parameters)?,
        // `bucket/key`; of an access point's ARN the bucket is not told
        "s3:CopyObject" | "s3:UploadPartCopy" => {
            SOURCE.text(parameters)?.trim_start_matches('/').split('/').next().filter(|name| !name.contains(':'))?
        }
        _ => return None,
    };
    Some(format!("{BUCKET}{name}"))
}

/// Bytes that a call of S3 answered with, by its `additionalEventData`; 0 where it does not tell.
pub fn bytes(additional: &str) -> i64 {
    static BYTES: LazyLock<Member> = LazyLock::new(|| Member::new("bytesTransferredOut"));
    // a number beyond what fits is the largest that does
    BYTES.number(additional).map_or(0, |bytes| bytes.max(0.0) as i64)
}

/// How much was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Objects.
    pub objects: i64,
    /// Bytes.
    pub bytes: i64,
}

impl Amount {
    /// Adds more.
    pub fn add(&mut self, objects: i64, bytes: i64) {
        self.objects = self.objects.saturating_add(objects);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Mebibytes.
    pub fn mebibytes(self) -> f64 {
        self.bytes as f64 / MEBIBYTE
    }

    /// As text in `baselines`.
    pub fn to_text(self) -> String {
        format!("{},{}", self.objects, self.bytes)
    }

    /// Reads the text; `None` where it is another one.
    pub fn from_text(text: &str) -> Option<Self> {
        let (objects, bytes) = text.split_once(',')?;
        Some(Self { objects: objects.parse().ok()?, bytes: bytes.parse().ok()? })
    }
}

/// What an actor read from a bucket on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadRow {
    /// Who.
    pub profile: Name,
    /// The bucket.
    pub bucket: Name,
    /// How much.
    pub amount: Amount,
}

/// Sums over the days on which an actor read from a bucket.
#[derive(Debug, Clone, Copy, Default)]
pub struct Habitual {
    /// Days on which it did.
    pub days: f64,
    /// Objects of a day.
    pub objects: Sums,
    /// Mebibytes of a day.
    pub mebibytes: Sums,
}

impl Habitual {
    /// Adds a day.
    pub fn add(&mut self, amount: Amount) {
        self.days += 1.0;
        self.objects.add(amount.objects as f64);
        self.mebibytes.add(amount.mebibytes());
    }
}

/// Sum, sum of squares, and the largest of some days' numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sums {
    sum: f64,
    squares: f64,
    /// The largest.
    pub most: f64,
}

impl Sums {
    fn add(&mut self, number: f64) {
        self.sum += number;
        self.squares += number * number;
        self.most = self.most.max(number);
    }

    /// The mean over so many days.
    pub fn mean(self, days: f64) -> f64 {
        self.sum / days.max(1.0)
    }

    /// The level over so many days, those on which there was nothing among them, on top of a prior.
    pub fn level(self, days: f64, prior: Level) -> Level {
        let mean = self.mean(days);
        let variance = (self.squares / days.max(1.0) - mean * mean).max(0.0);
        prior.learn_moments(days, mean, variance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_names_the_bucket_that_it_reads_from() {
        let of = |api: &str, parameters: &str| bucket(api, parameters).unwrap_or_default();
        let object = r#"{"bucketName":"payroll","key":"a/b"}"#;
        assert_eq!(of("s3:GetObject", object), "arn:aws:s3:::payroll");
        assert_eq!(of("s3:PutObject", object), "");
        let copy = |source: &str| format!(r#"{{"bucketName":"mine","x-amz-copy-source":"{source}","key":"k"}}"#);
        assert_eq!(of("s3:CopyObject", &copy("payroll/a/b")), "arn:aws:s3:::payroll");
        assert_eq!(of("s3:UploadPartCopy", &copy("/payroll/a")), "arn:aws:s3:::payroll");
        assert_eq!(of("s3:CopyObject", &copy("arn:aws:s3:us-east-1:1:accesspoint/x/object/k")), "");
        assert_eq!(of("s3:GetObject", "{}"), "");
    }

    #[test]
    fn bytes_are_those_that_went_out() {
        let told =
            |number: &str| bytes(&format!(r#"{{"bytesTransferredIn":7,"bytesTransferredOut": {number},"x":1}}"#));
        assert_eq!(["8192", "8192.0", "1.5e3", "-4", "\"9\"", "1e99"].map(told), [8192, 8192, 1500, 0, 0, i64::MAX]);
        assert_eq!(bytes("{}"), 0);
    }

    #[test]
    fn sums_give_the_level_that_the_days_give() {
        let prior = Level { mean: 2.0, dispersion: 1.0 };
        let days = [4.0, 0.0, 9.0, 5.0, 0.0, 0.0];
        let mut sums = Sums::default();
        days.into_iter().filter(|number| *number > 0.0).for_each(|number| sums.add(number));
        let (sums, series) = (sums.level(6.0, prior), prior.learn(&days));
        assert!((sums.mean - series.mean).abs() < 1e-9 && (sums.dispersion - series.dispersion).abs() < 1e-9);
    }

    #[test]
    fn the_text_of_an_amount_gives_it_back() {
        let amount = Amount { objects: 3, bytes: 1 << 40 };
        assert_eq!(Amount::from_text(&amount.to_text()), Some(amount));
        assert_eq!(Amount::from_text("3"), None);
    }
}
