//! What a query counts about itself.

/// How many samples a query looked at, in all and at each of its steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SampleStats {
    /// A sample counts in every window that it lies in.
    pub total: u64,
    pub per_step: Vec<u64>,
    /// Samples that a step looks at after an earlier step has read them, as those of overlapping windows.
    again: u64,
    again_per_step: Vec<u64>,
    /// The most that were held at once.
    pub peak: u64,
    pub series: u64,
}

impl SampleStats {
    pub fn with_steps(steps: usize) -> Self {
        Self { per_step: vec![0; steps], again_per_step: vec![0; steps], ..Self::default() }
    }

    /// Counts samples that a step looks at, and those of them that no earlier step has read.
    #[inline]
    pub fn add_at(&mut self, step: usize, samples: u64, read: u64) {
        self.total += samples;
        if let Some(count) = self.per_step.get_mut(step) {
            *count += samples;
        }
        if samples > read {
            self.again += samples - read;
            if let Some(count) = self.again_per_step.get_mut(step) {
                *count += samples - read;
            }
        }
    }

    /// A sample of a series counts once for each time it is read: not again where the window of the
    /// next step still has it.
    pub fn read(&self) -> u64 {
        self.total - self.again
    }

    pub fn read_at(&self, step: usize) -> u64 {
        self.per_step[step] - self.again_per_step[step]
    }

    pub fn read_per_step(&self) -> Vec<u64> {
        (0..self.per_step.len()).map(|step| self.read_at(step)).collect()
    }

    /// Adds what a part of the query (another thread) counted.
    pub fn merge(&mut self, other: &Self) {
        self.total += other.total;
        self.again += other.again;
        self.series += other.series;
        self.peak = self.peak.max(other.peak);
        add_each(&mut self.per_step, &other.per_step);
        add_each(&mut self.again_per_step, &other.again_per_step);
    }
}

fn add_each(mine: &mut Vec<u64>, theirs: &[u64]) {
    if mine.len() < theirs.len() {
        mine.resize(theirs.len(), 0);
    }
    for (mine, theirs) in mine.iter_mut().zip(theirs) {
        *mine += theirs;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        let mut all = SampleStats::with_steps(2);
        all.add_at(0, 3, 3);
        let mut part = SampleStats::with_steps(2);
        part.add_at(1, 4, 1);
        all.merge(&part);
        assert_eq!((all.read(), all.read_per_step()), (4, vec![3, 1]));
        assert_eq!((all.total, all.per_step), (7, vec![3, 4]));
    }
}
