//! Holes of a file, written as GNU tar's sparse format 1.0: a map in front of the data.

use super::pax::Records;
use super::stream::BLOCK;

/// Fewer bytes of holes than this are written as zeros: every reader takes those, and Docker
/// cannot push what it imported from an archive with sparse entries.
const WORTHWHILE: u64 = 1 << 20;
/// Holes shorter than this do not interrupt a run of data.
const SHORTEST_HOLE: u64 = 4096;
/// Go's archive/tar takes a map of at most 1 MiB; this many runs stay well below it.
const MAX_RUNS: usize = 16 * 1024;

/// Where a file's data lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparseMap {
    size: u64,
    runs: Vec<(u64, u64)>,
}

impl SparseMap {
    /// The map of a file of `size` bytes with these runs of data, as `ReadAt::data_runs` gives
    /// them; `None` where the holes are not worth it.
    pub fn new(size: u64, runs: &[(u64, u64)]) -> Option<Self> {
        let mut shortest = SHORTEST_HOLE;
        let mut merged = merge(size, runs, shortest);
        while merged.len() > MAX_RUNS {
            shortest = shortest.checked_mul(2)?;
            merged = merge(size, runs, shortest);
        }
        let map = Self { size, runs: merged };
        (size - map.data() >= WORTHWHILE).then_some(map)
    }

    /// The runs of data as (offset, length), in order.
    pub fn runs(&self) -> &[(u64, u64)] {
        &self.runs
    }

    fn data(&self) -> u64 {
        self.runs.iter().map(|(_, length)| length).sum()
    }

    /// Bytes that follow the header: the map and the data.
    pub fn stored(&self) -> u64 {
        self.encode().len() as u64 + self.data()
    }

    /// The map: the number of runs, then offset and length of each, a line each, in whole
    /// blocks. A last run without bytes marks the end of a file that ends in a hole.
    pub fn encode(&self) -> Vec<u8> {
        let end = self.runs.last().map_or(0, |(at, length)| at + length);
        let marker = (end < self.size).then_some((self.size, 0));
        let count = self.runs.len() + usize::from(marker.is_some());
        let mut text = format!("{count}\n");
        for (offset, length) in self.runs.iter().copied().chain(marker) {
            text.push_str(&format!("{offset}\n{length}\n"));
        }
        let mut map = text.into_bytes();
        map.resize(map.len().next_multiple_of(BLOCK as usize), 0);
        map
    }

    /// Says in the extended header that a map follows.
    pub fn announce(&self, name: &[u8], records: &mut Records) {
        records.push(b"GNU.sparse.major", b"1");
        records.push(b"GNU.sparse.minor", b"0");
        records.push_path(b"GNU.sparse.name", name);
        records.push(b"GNU.sparse.realsize", self.size.to_string().as_bytes());
    }
}

/// The name that readers without the format shall see, so that they do not take the map for
/// the file.
pub fn stand_in(name: &[u8]) -> Vec<u8> {
    let base = super::header::base(name);
    let directory = &name[..name.len() - base.len()];
    let mut stand_in = directory.to_vec();
    stand_in.extend_from_slice(b"GNUSparseFile.0/");
    stand_in.extend_from_slice(base);
    stand_in
}

/// The runs cut to the file's size, in order, without overlaps and without short holes. Each
/// takes whole blocks, but for one at the end of the file: GNU tar pads the data of each run,
/// others do not.
fn merge(size: u64, runs: &[(u64, u64)], shortest: u64) -> Vec<(u64, u64)> {
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for (offset, length) in runs {
        let end = offset.saturating_add(*length).min(size);
        let mut start = (*offset).min(end);
        if start == end {
            continue;
        }
        start -= start % BLOCK;
        let end = end
            .checked_next_multiple_of(BLOCK)
            .map_or(size, |end| end.min(size));
        let Some((last_start, last_length)) = merged.last_mut() else {
            start = if start < shortest { 0 } else { start };
            if start < end {
                merged.push((start, end - start));
            }
            continue;
        };
        let last_end = *last_start + *last_length;
        if start < last_end.saturating_add(shortest) {
            *last_length = end.max(last_end) - *last_start;
        } else if start < end {
            merged.push((start, end - start));
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_file_without_holes_worth_it_is_not_sparse() {
        assert_eq!(SparseMap::new(MIB, &[(0, MIB)]), None);
        assert_eq!(SparseMap::new(2 * MIB, &[(0, MIB + 1)]), None);
        assert_eq!(SparseMap::new(0, &[]), None);
    }

    #[test]
    fn the_map_names_each_run_and_the_end() {
        let map = SparseMap::new(2 * MIB, &[(8192, 100), (65536, 10)]).expect("sparse");
        let encoded = map.encode();
        assert_eq!(encoded.len(), 512);
        assert!(encoded.starts_with(b"3\n8192\n512\n65536\n512\n2097152\n0\n\0"));
        assert_eq!(map.stored(), 512 + 2 * 512);
    }

    #[test]
    fn a_file_that_is_one_hole_has_only_its_end() {
        let map = SparseMap::new(MIB, &[]).expect("sparse");
        assert!(map.encode().starts_with(b"1\n1048576\n0\n\0"));
    }

    #[test]
    fn very_many_runs_are_joined_over_the_shortest_holes() {
        let runs: Vec<_> = (0..100_000).map(|at| (at * 8192, 10)).collect();
        let map = SparseMap::new(100_000 * 8192 + 10 * MIB, &runs).expect("sparse");
        assert!(map.runs().len() <= MAX_RUNS);
        assert!(map.encode().len() < 1 << 20);
    }

    proptest! {
        #[test]
        fn every_byte_of_data_is_in_a_run(
            size in 0u64..4_000_000,
            steps in proptest::collection::vec((0u64..200_000, 1u64..50_000), 0..40),
        ) {
            let mut position = 0;
            let mut runs = Vec::new();
            for (gap, length) in steps {
                runs.push((position + gap, length));
                position += gap + length;
            }
            let merged = merge(size, &runs, SHORTEST_HOLE);
            let mut last_end = 0;
            for (at, length) in &merged {
                prop_assert!(*at >= last_end && *length > 0 && at + length <= size);
                last_end = at + length;
            }
            for (at, length) in &runs {
                let end = (at + length).min(size);
                prop_assert!(*at >= end || merged.iter().any(|(start, run)|
                    start <= at && end <= start + run));
            }
        }
    }
}
