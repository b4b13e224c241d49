//! Statistics of surprise: probabilities in, bits out.
//!
//! Owns: bits, trust in a short past, and the distribution of daily counts; nothing about CloudTrail.
//! Refuses: state and I/O. Invariant: every function answers a finite number of bits, 0 or more, for any input.

/// Days of an actor's past at which its own habits and its surroundings weigh the same.
const TRUST_DAYS: f64 = 3.0;

/// -log2 of a probability, finite for 0.
pub fn bits(probability: f64) -> f64 {
    -probability.clamp(1e-300, 1.0).log2()
}

/// Weight of an actor's own past, 0 (none) to nearly 1: a new actor is not an attack by itself.
pub fn trust(days: f64) -> f64 {
    days / (days + TRUST_DAYS)
}

/// Daily counts of something: mean and dispersion (variance = mean + dispersion * mean²).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Level {
    /// Mean per active day.
    pub mean: f64,
    /// 1/shape of the Gamma over the daily rate.
    pub dispersion: f64,
}

impl Level {
    /// Posterior of a series of days on top of a prior, by moments: the prior counts for two days of the mean and six
    /// of the dispersion (a handful of similar days does not prove that all days are similar).
    pub fn learn(self, days: &[f64]) -> Self {
        let n = days.len() as f64;
        let own_mean = if days.is_empty() { self.mean } else { days.iter().sum::<f64>() / n };
        let variance = days.iter().map(|x| (x - own_mean).powi(2)).sum::<f64>() / n.max(1.0);
        self.learn_moments(n, own_mean, variance)
    }

    /// As [`Level::learn`], of `n` days with this mean and variance.
    pub fn learn_moments(self, n: f64, own_mean: f64, variance: f64) -> Self {
        let mean = ((n * own_mean + 2.0 * self.mean) / (n + 2.0)).max(1e-3);
        let own = if own_mean > 0.0 { ((variance - own_mean) / own_mean.powi(2)).max(0.0) } else { self.dispersion };
        let dispersion = (n * own + 6.0 * self.dispersion) / (n + 6.0);
        Self { mean, dispersion: dispersion.max(0.1) }
    }

    /// The least count that at most `p` of the days reach.
    pub fn quantile(self, p: f64) -> f64 {
        let rare = |count: f64| self.tail_bits(count) >= bits(p);
        let mut high = 1.0;
        while !rare(high) && high < 1e12 {
            high *= 2.0;
        }
        let mut low = 0.0;
        while high - low > 1.0 {
            let middle = f64::floor((low + high) / 2.0);
            if rare(middle) { high = middle } else { low = middle }
        }
        high
    }

    /// -log2 P(X >= count) under the Gamma-Poisson (negative binomial) predictive.
    pub fn tail_bits(self, count: f64) -> f64 {
        if count < 1.0 {
            return 0.0;
        }
        let shape = 1.0 / self.dispersion.max(1e-6);
        let odds = self.mean / (self.mean + shape);
        bits(incomplete_beta(count, shape, odds))
    }
}

/// Days of a usual one that a weekday's own are pulled by: a pattern is believed when it has come back a few times.
const WEEKDAY_PULL: f64 = 4.0;

/// How far a weekday may be from a usual day.
const MOST_FACTOR: f64 = 8.0;

/// How busy the days of the week are: factors of a usual day, from Monday on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Week([f64; 7]);

impl Week {
    /// Of days' counts with the number of their weekday, from Monday on.
    pub fn of(days: impl Iterator<Item = (usize, f64)> + Clone) -> Self {
        let (mut sums, mut numbers) = ([0.0; 7], [0.0; 7]);
        for (weekday, count) in days {
            sums[weekday] += count;
            numbers[weekday] += 1.0;
        }
        let mean = sums.iter().sum::<f64>() / numbers.iter().sum::<f64>().max(1.0);
        if mean <= 0.0 {
            return Self([1.0; 7]);
        }
        let factor = |at: usize| {
            let pulled = (sums[at] + WEEKDAY_PULL * mean) / (numbers[at] + WEEKDAY_PULL) / mean;
            pulled.clamp(1.0 / MOST_FACTOR, MOST_FACTOR)
        };
        Self(std::array::from_fn(factor))
    }

    /// What a day of a weekday is of a usual one.
    pub fn factor(self, weekday: usize) -> f64 {
        self.0[weekday]
    }
}

/// ln Γ(x), x > 0 (Lanczos, g = 7, n = 9; relative error below 1e-13).
fn ln_gamma(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let t = x + 7.5;
    let sum = (1..9).fold(COEFFICIENTS[0], |sum, i| sum + COEFFICIENTS[i] / (x + i as f64));
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// Regularized incomplete beta I_x(a, b): P(X >= a) of a negative binomial with shape b and odds x.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        (front * fraction(a, b, x) / a).clamp(0.0, 1.0)
    } else {
        (1.0 - front * fraction(b, a, 1.0 - x) / b).clamp(0.0, 1.0)
    }
}

/// Continued fraction of the incomplete beta function (modified Lentz).
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guard = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut out = d;
    for step in 1..500 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        out *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let change = d * c;
        out *= change;
        if (change - 1.0).abs() < 1e-12 {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn trust_grows_with_days() {
        assert_eq!(trust(0.0), 0.0);
        assert!(trust(3.0) == 0.5 && trust(30.0) > 0.9);
    }

    #[test]
    fn tail_matches_a_geometric_distribution() {
        // Shape 1 is geometric: P(X >= k) = odds^k.
        let level = Level { mean: 3.0, dispersion: 1.0 };
        for count in [1.0, 5.0, 40.0] {
            let exact = bits((3.0f64 / 4.0).powf(count));
            assert!((level.tail_bits(count) - exact).abs() < 1e-9, "{count}");
        }
    }

    #[test]
    fn steady_days_make_a_burst_surprising() {
        let prior = Level { mean: 50.0, dispersion: 1.0 };
        let steady = prior.learn(&[100.0; 30]);
        assert!(steady.tail_bits(120.0) < 3.0);
        assert!(steady.tail_bits(2000.0) > 20.0);
        assert!(prior.learn(&[]).tail_bits(100.0) < 5.0);
    }

    #[test]
    fn a_quantile_is_where_the_tail_falls_below() {
        let level = Level { mean: 3.0, dispersion: 1.0 };
        let high = level.quantile(0.025);
        assert!(level.tail_bits(high) >= bits(0.025) && level.tail_bits(high - 1.0) < bits(0.025));
    }

    proptest! {
        #[test]
        fn bits_are_finite_and_grow_with_the_count(mean in 0.0f64..1e7, dispersion in 0.0f64..50.0, count in 0.0f64..1e8) {
            let level = Level { mean, dispersion };
            let (here, there) = (level.tail_bits(count), level.tail_bits(count * 2.0 + 1.0));
            prop_assert!(here.is_finite() && here >= 0.0);
            prop_assert!(there + 1e-6 >= here, "{here} {there}");
        }
    }
}
