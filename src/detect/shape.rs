//! The shape of an actor-day: how its counts stand to each other, as a principal component model (`linfa`).
//!
//! Owns: the vector of an actor-day, the fit, the error of reconstruction, and the file the model is kept in.
//! Refuses: a file of another version, cut short or altered; scoring with it would be a silent guess.
//! Invariant: the same training rows give the same file, byte by byte.

use chrono::NaiveDate;
use linfa::traits::Predict;
use linfa_linalg::eigh::{EigSort, Eigh};
use linfa_reduction::Pca;
use ndarray::{Array1, Array2, Axis, s};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::counts::{Count, DayCounts};
use super::model::bits;
use crate::error::{Error, ErrorKind, Result};

/// Version of the file's layout and of the vector's meaning.
const SCHEMA_VERSION: u32 = 1;

/// Version of the crate whose model is inside; it promises nothing between versions.
const LINFA_VERSION: &str = "0.8";

/// How components are found; a model that was fitted in another way is fitted anew.
const FIT: &str = "exact";

/// Components kept: volume, breadth, failure, writing; what they do not explain is the shape's surprise.
const COMPONENTS: usize = 4;

/// Actor-days below which no model is fitted: the reference model serves.
pub const LEAST_ROWS: usize = 100;

/// Quantiles of the training errors kept: enough to tell 1 in 1,000.
const QUANTILES: usize = 1000;

/// Names of the vector's members, in order: natural logarithms of one plus the count.
const NAMES: [&str; 11] =
    ["calls", "apis", "services", "regions", "networks", "agents", "accounts", "hours", "denied", "failed", "writes"];

/// A fitted model and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShapeModel {
    schema_version: u32,
    linfa_version: String,
    feature_names: Vec<String>,
    scaler: Scaler,
    model: Pca<f64>,
    /// Errors of the training rows at evenly spaced ranks, ascending.
    errors: Vec<f64>,
    /// First date of the training rows.
    pub trained_from: NaiveDate,
    /// First date after the training rows.
    pub trained_to: NaiveDate,
    /// Number of training rows.
    pub rows: usize,
    /// [`Training::digest`]: the same rows need no second fit.
    pub training_digest: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scaler {
    mean: Array1<f64>,
    deviation: Array1<f64>,
}

/// The file: the model and the SHA-256 of its JSON text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    checksum: String,
    shape: ShapeModel,
}

/// Training rows: one per actor-day, in the order given.
pub struct Training {
    rows: Array2<f64>,
    from: NaiveDate,
    to: NaiveDate,
}

impl Training {
    /// Takes the days of all actors; `to` is the first date that was not read. `None` below [`LEAST_ROWS`].
    pub fn new<'a>(days: impl Iterator<Item = &'a DayCounts>, to: NaiveDate) -> Option<Self> {
        let mut flat = Vec::new();
        let mut from = to;
        for day in days {
            flat.extend(vector(day));
            from = from.min(day.date);
        }
        let count = flat.len() / NAMES.len();
        let rows = Array2::from_shape_vec((count, NAMES.len()), flat).ok()?;
        (count >= LEAST_ROWS).then_some(Self { rows, from, to })
    }

    /// SHA-256 of the rows and of the way they are fitted.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new_with_prefix(FIT);
        self.rows.iter().for_each(|value| hash.update(value.to_le_bytes()));
        hex(&hash.finalize())
    }
}

/// The vector of an actor-day.
fn vector(day: &DayCounts) -> [f64; NAMES.len()] {
    let members: [Count; NAMES.len()] = std::array::from_fn(|at| Count::ALL[at]);
    members.map(|count| (day.get(count).max(0) as f64).ln_1p())
}

impl ShapeModel {
    /// Fits scaler and components.
    ///
    /// # Errors
    /// `Internal` where the decomposition fails.
    pub fn fit(training: &Training) -> Result<Self> {
        let scaler = Scaler::fit(&training.rows);
        let scaled = scaler.apply(&training.rows);
        let model = principal(&scaled)?;
        let mut errors = residuals(&model, scaled).to_vec();
        errors.sort_by(f64::total_cmp);
        Ok(Self {
            schema_version: SCHEMA_VERSION,
            linfa_version: LINFA_VERSION.to_owned(),
            feature_names: NAMES.map(str::to_owned).to_vec(),
            scaler,
            model,
            errors: thin(&errors),
            trained_from: training.from,
            trained_to: training.to,
            rows: training.rows.nrows(),
            training_digest: training.digest(),
        })
    }

    /// Reconstruction error of an actor-day, in standard deviations, and its surprise against the errors of the
    /// training rows: a conformal p-value, (1 + rows with at least this error) / (rows + 1), in bits.
    pub fn surprise(&self, day: &DayCounts) -> (f64, f64) {
        let row = Array2::from_shape_vec((1, NAMES.len()), vector(day).to_vec()).expect("a vector has its length");
        let error = residuals(&self.model, self.scaler.apply(&row))[0];
        let above = self.errors.len() - self.errors.partition_point(|other| *other < error);
        (error, bits((above as f64 + 1.0) / (self.errors.len() as f64 + 1.0)))
    }

    /// The error that 99 of 100 training rows stay below.
    pub fn usual_error(&self) -> f64 {
        self.errors.get(self.errors.len() * 99 / 100).copied().unwrap_or_default()
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        let envelope = Envelope { checksum: self.checksum(), shape: self.clone() };
        serde_json::to_string_pretty(&envelope).expect("a model is plain numbers") + "\n"
    }

    /// Reads a file's text; `path` is for the message only.
    ///
    /// # Errors
    /// `BadInput` where it is not the whole, unaltered text of this version.
    pub fn from_json(path: &str, text: &[u8]) -> Result<Self> {
        let refuse = |why: String| {
            Error::new(ErrorKind::BadInput, format!("cannot use the model file {path}: {why}"))
                .hint("remove the file; the next detect fits it anew")
        };
        check_version(text).map_err(refuse)?;
        let envelope: Envelope =
            serde_json::from_slice(text).map_err(|error| refuse(format!("it is cut short or altered: {error}")))?;
        if envelope.checksum != envelope.shape.checksum() {
            return Err(refuse("its checksum does not match its content, it was altered".to_owned()));
        }
        let names = envelope.shape.feature_names.iter().map(String::as_str);
        if !names.eq(NAMES) || !envelope.shape.fits_together() {
            return Err(refuse("its features are not those of this program".to_owned()));
        }
        Ok(envelope.shape)
    }

    fn checksum(&self) -> String {
        let text = serde_json::to_vec(self).expect("a model is plain numbers");
        hex(&Sha256::digest(text))
    }

    fn fits_together(&self) -> bool {
        let width = NAMES.len();
        self.scaler.mean.len() == width
            && self.scaler.deviation.len() == width
            && self.model.mean().len() == width
            && self.model.components().ncols() == width
            && !self.errors.is_empty()
    }
}

/// The versions are read first: a file of another version fails with that word, not with a missing member.
fn check_version(text: &[u8]) -> std::result::Result<(), String> {
    #[derive(Deserialize)]
    struct Versions {
        schema_version: u32,
        linfa_version: String,
    }
    #[derive(Deserialize)]
    struct Head {
        shape: Versions,
    }
    let head: Head = serde_json::from_slice(text).map_err(|error| format!("it is cut short or altered: {error}"))?;
    let Versions { schema_version, linfa_version } = head.shape;
    if schema_version != SCHEMA_VERSION || linfa_version != LINFA_VERSION {
        return Err(format!(
            "it has schema version {schema_version} of linfa {linfa_version}, this program reads \
             {SCHEMA_VERSION} of {LINFA_VERSION}"
        ));
    }
    Ok(())
}

impl Scaler {
    fn fit(rows: &Array2<f64>) -> Self {
        let mean = rows.mean_axis(Axis(0)).expect("there are rows");
        // A count that never varied has no scale of its own; one keeps it finite.
        let deviation = rows.std_axis(Axis(0), 0.0).mapv(|value| if value > 1e-6 { value } else { 1.0 });
        Self { mean, deviation }
    }

    fn apply(&self, rows: &Array2<f64>) -> Array2<f64> {
        (rows - &self.mean) / &self.deviation
    }
}

/// Euclidean distance of each row from its projection.
/// The principal components of rows: the first eigenvectors of their scatter matrix. linfa's own fit approaches them step by
/// step, does not always come near, and panics where its steps degenerate (a lake of 1,900 identities had it do so); a matrix of
/// this width is solved exactly in less time.
fn principal(rows: &Array2<f64>) -> Result<Pca<f64>> {
    let failed = || Error::new(ErrorKind::Internal, "cannot fit the shape model");
    let mean = rows.mean_axis(Axis(0)).ok_or_else(failed)?;
    let centred = rows - &mean;
    let (values, vectors) = centred.t().dot(&centred).eigh().map_err(|error| failed().source(error))?.sort_eig_desc();
    let embedding = vectors.slice(s![.., ..COMPONENTS]).t().to_owned();
    let sigma = values.slice(s![..COMPONENTS]).mapv(|value| value.max(0.0).sqrt().max(1e-8));
    // linfa's model can be made of its parts as serde reads them, and in no other way
    let parts = serde_json::json!({ "embedding": embedding, "sigma": sigma, "mean": mean });
    serde_json::from_value(parts).map_err(|error| failed().source(error))
}

fn residuals(model: &Pca<f64>, rows: Array2<f64>) -> Array1<f64> {
    let projected = model.inverse_transform(model.predict(&rows));
    (rows - projected).mapv(|value| value * value).sum_axis(Axis(1)).mapv(f64::sqrt)
}

/// At most [`QUANTILES`] values at evenly spaced ranks, the largest among them.
fn thin(sorted: &[f64]) -> Vec<f64> {
    if sorted.len() <= QUANTILES {
        return sorted.to_vec();
    }
    (1..=QUANTILES).map(|rank| sorted[rank * sorted.len() / QUANTILES - 1]).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn day(calls: i64, apis: i64, denied: i64) -> DayCounts {
        let date = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        let mut counts = DayCounts::empty(date);
        let numbers = [
            (Count::Calls, calls),
            (Count::Apis, apis),
            (Count::Denied, denied),
            (Count::Failed, denied),
            (Count::Services, 3),
            (Count::Hours, 8),
        ];
        numbers.into_iter().for_each(|(count, number)| counts.set(count, number));
        counts
    }

    fn model() -> ShapeModel {
        let days: Vec<DayCounts> = (0..300).map(|i| day(100 + i % 37, 10 + i % 5, i % 3)).collect();
        let to = NaiveDate::from_ymd_opt(2026, 1, 2).unwrap();
        ShapeModel::fit(&Training::new(days.iter(), to).unwrap()).unwrap()
    }

    #[test]
    fn an_odd_day_is_more_surprising_than_a_usual_one() {
        let model = model();
        let (_, usual) = model.surprise(&day(110, 12, 1));
        let (_, odd) = model.surprise(&day(5, 5, 500));
        assert!(odd > 7.0 && usual < 4.0, "{usual} {odd}");
    }

    /// Rows that lie on a line, rows that are all one, and counts that never vary: an iteration has nothing to go by there.
    #[test]
    fn degenerate_days_have_a_model() {
        let to = NaiveDate::from_ymd_opt(2026, 1, 2).unwrap();
        let kinds: [fn(i64) -> DayCounts; 3] = [|i| day(i, i, i), |_| day(7, 7, 7), |_| day(0, 0, 0)];
        for kind in kinds {
            let days: Vec<DayCounts> = (0..20_000).map(kind).collect();
            let model = ShapeModel::fit(&Training::new(days.iter(), to).unwrap()).unwrap();
            assert!(model.errors.iter().all(|error| error.is_finite()));
            assert!(model.surprise(&kind(9)).1.is_finite());
        }
    }

    /// Against linfa's own fit, where that comes to an end.
    #[test]
    fn components_are_those_of_linfa() {
        use linfa::{DatasetBase, traits::Fit};
        let number = |at: usize| ((at * at * 31 + at * 17) % 101) as f64;
        let rows = Array2::from_shape_fn((500, NAMES.len()), |(row, at)| number(row + 7 * at) * (at + 1) as f64);
        let theirs = Pca::params(COMPONENTS).fit(&DatasetBase::from(rows.clone())).unwrap();
        let (ours, theirs) = (residuals(&principal(&rows).unwrap(), rows.clone()), residuals(&theirs, rows));
        let apart = (&ours - &theirs).mapv(f64::abs).fold(0.0, |a: f64, b| a.max(*b));
        assert!(apart < 1e-3 * ours.fold(0.0, |a: f64, b| a.max(*b)), "{apart}");
    }

    #[test]
    fn file_round_trips_exactly() {
        let model = model();
        let text = model.to_json();
        let back = ShapeModel::from_json("models/x/shape.json", text.as_bytes()).unwrap();
        assert_eq!(back, model);
        assert_eq!(back.to_json(), text);
    }

    #[test]
    fn broken_files_are_refused_with_their_reason() {
        let text = model().to_json();
        let read = |text: &str| ShapeModel::from_json("models/x/shape.json", text.as_bytes()).unwrap_err().to_string();
        assert!(read(&text[..text.len() / 2]).contains("cut short"));
        assert!(read("").contains("cut short"));
        assert!(read(&text.replace("\"rows\": 300", "\"rows\": 301")).contains("altered"));
        assert!(read(&text.replace("\"schema_version\": 1", "\"schema_version\": 2")).contains("schema version 2"));
        assert!(read(&text[1..]).contains("models/x/shape.json"));
    }

    #[test]
    fn too_few_rows_make_no_model() {
        let to = NaiveDate::from_ymd_opt(2026, 1, 2).unwrap();
        assert!(Training::new([day(1, 1, 1)].iter(), to).is_none());
        assert!(Training::new([].iter(), to).is_none());
    }
}
