/// What the detector keeps to, beside schemas and rules.
#[derive(Clone, Copy, Debug)]
pub struct DetectorLimits {
    /// Bytes of documents kept in memory.
    pub cache_bytes: usize,
    /// Replaced versions kept of each row.
    pub history_per_row: usize,
    /// Entities woken in one micro-batch.
    pub wakes_per_batch: usize,
    /// Whether rules that the state knows may be missing, which closes their findings. Otherwise that is an
    /// error.
    pub rules_may_retire: bool,
    /// Whether entities that are at rest leave state.
    pub forget: bool,
    /// Whether what stable rules that trip suspect is told at once. A state that told it once goes on telling it.
    pub suspicions: bool,
}

impl Default for DetectorLimits {
    fn default() -> DetectorLimits {
        DetectorLimits {
            cache_bytes: 512 << 20,
            history_per_row: 16,
            wakes_per_batch: 20_000,
            rules_may_retire: true,
            forget: false,
            suspicions: false,
        }
    }
}
