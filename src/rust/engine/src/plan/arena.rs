//! Offsets in the arena for buffers whose lives are known.

/// A part of the arena, in lines.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Region {
    pub start: usize,
    pub len: usize,
}

/// Regions for buffers of `(lines, first step, last step)`, so that no two that
/// live at once overlap; and the arena's size. Largest buffers first, each at
/// the lowest place that is free for its whole life.
pub fn assign(buffers: &[(usize, usize, usize)]) -> (Vec<Region>, usize) {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(buffers[i].0), buffers[i].1));
    let mut regions = vec![Region { start: 0, len: 0 }; buffers.len()];
    let mut placed: Vec<usize> = vec![];
    let mut size = 0;
    for i in order {
        let (len, first, last) = buffers[i];
        let mut taken: Vec<Region> = placed
            .iter()
            .filter(|&&j| buffers[j].1 <= last && first <= buffers[j].2)
            .map(|&j| regions[j])
            .collect();
        taken.sort_unstable();
        let mut start = 0;
        for r in taken {
            if r.start >= start + len {
                break;
            }
            start = start.max(r.start + r.len);
        }
        regions[i] = Region { start, len };
        size = size.max(start + len);
        if len > 0 {
            placed.push(i);
        }
    }
    (regions, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_that_live_at_once_do_not_overlap() {
        let mut seed = 7u64;
        let mut next = |n: usize| {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (seed >> 33) as usize % n
        };
        for _ in 0..200 {
            let buffers: Vec<_> = (0..1 + next(30))
                .map(|_| {
                    let first = next(20);
                    (next(9), first, first + next(6))
                })
                .collect();
            let (regions, size) = assign(&buffers);
            for i in 0..buffers.len() {
                assert!(regions[i].start + regions[i].len <= size);
                for j in 0..i {
                    let (a, b) = (buffers[i], buffers[j]);
                    let together = a.1 <= b.2 && b.1 <= a.2;
                    let (r, s) = (regions[i], regions[j]);
                    let apart = r.start + r.len <= s.start || s.start + s.len <= r.start;
                    assert!(!together || apart || r.len == 0 || s.len == 0);
                }
            }
        }
    }
}
