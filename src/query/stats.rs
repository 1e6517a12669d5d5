//! What a query counts about itself.

/// How many samples a query looked at, in all and at each of its steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SampleStats {
    pub total: u64,
    pub per_step: Vec<u64>,
    /// The most that were held at once.
    pub peak: u64,
    pub series: u64,
}

impl SampleStats {
    pub fn with_steps(steps: usize) -> Self {
        Self { per_step: vec![0; steps], ..Self::default() }
    }

    pub fn add_at(&mut self, step: usize, samples: u64) {
        self.total += samples;
        if let Some(count) = self.per_step.get_mut(step) {
            *count += samples;
        }
    }

    /// Adds what a part of the query (another thread, a subquery) counted.
    pub fn merge(&mut self, other: &Self) {
        self.total += other.total;
        self.series += other.series;
        self.peak = self.peak.max(other.peak);
        if self.per_step.len() < other.per_step.len() {
            self.per_step.resize(other.per_step.len(), 0);
        }
        for (mine, theirs) in self.per_step.iter_mut().zip(&other.per_step) {
            *mine += theirs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        let mut all = SampleStats::with_steps(2);
        all.add_at(0, 3);
        let mut part = SampleStats::with_steps(2);
        part.add_at(1, 4);
        all.merge(&part);
        assert_eq!((all.total, all.per_step), (7, vec![3, 4]));
    }
}
