//! Products of float16 that TensorFlow's kernels add up in float16, so that the
//! order of the terms decides about the last digit.

use super::*;
use crate::error::Result;
use crate::tensor::{numel, DType, Tensor};

/// Lanes of Eigen's packets.
const PACKET: usize = 8;

/// Rows that a block of Eigen's product has.
const ROWS: usize = 4;

/// Smaller products (the sum of the three sizes) are no blocks to Eigen.
const SMALL: usize = 20;

/// Sums of more terms are taken at once: each one is a node of the graph.
const LONGEST: usize = 256;

/// Products of a matrix, or of a row of the batch, from which on the same holds:
/// one node for each term would take many times as long as one for all.
const LARGEST: usize = 1 << 18;

/// How a term is added: the product rounded before, or the sum alone.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Round {
    Both,
    Sum,
}

impl Builder {
    /// The product of matrices (batch, m, k) and (batch, k, n) as Eigen computes it,
    /// in its own steps for float16. `odd` rows are left at the end when blocks are
    /// taken off.
    fn eigen_product(&mut self, a: ValueId, b: ValueId, odd: usize) -> Result<ValueId> {
        let (m, k, n) = (self.dim(a, 1)?, self.dim(a, 2)?, self.dim(b, 2)?);
        let vector = m == 1 || n == 1;
        if self.dtype(a) != DType::F16 || k == 0 || k > LONGEST || m * n == 0 {
            return self.matmul(a, b, false, false);
        }
        if m + n + k < SMALL && n > 1 {
            return self.add_terms(None, a, b, 0..k, Round::Both);
        }
        if vector {
            return self.matmul(a, b, false, false);
        }
        // Two packets at a time, one more, and columns alone.
        let pairs = n / (2 * PACKET) * (2 * PACKET);
        let packets = n / PACKET * PACKET;
        let mut parts = vec![];
        if pairs > 0 {
            let b = self.slice_axis(b, 2, 0, pairs)?;
            parts.push(self.add_terms(None, a, b, 0..k, Round::Both)?);
        }
        if packets > pairs {
            let b = self.slice_axis(b, 2, pairs, packets)?;
            parts.push(self.one_packet(a, b, m - odd)?);
        }
        if n > packets {
            let b = self.slice_axis(b, 2, packets, n)?;
            parts.push(self.add_terms(None, a, b, 0..k, Round::Sum)?);
        }
        self.concat(&parts, 2)
    }

    /// The same for windows of a convolution, where a single column is summed otherwise.
    fn eigen_windows(&mut self, a: ValueId, b: ValueId) -> Result<ValueId> {
        let (m, k, n) = (self.dim(a, 1)?, self.dim(a, 2)?, self.dim(b, 2)?);
        match n == 1 && m > 1 && k > 0 {
            true => self.add_terms(None, a, b, 0..k, Round::Sum),
            false => self.eigen_product(a, b, 0),
        }
    }

    /// Columns of one packet: in the first `blocks` rows even and odd terms are
    /// summed apart, as far as there are eight together.
    fn one_packet(&mut self, a: ValueId, b: ValueId, blocks: usize) -> Result<ValueId> {
        let (m, k) = (self.dim(a, 1)?, self.dim(a, 2)?);
        let whole = k / PACKET * PACKET;
        let mut parts = vec![];
        if blocks > 0 {
            let a = self.slice_axis(a, 1, 0, blocks)?;
            let mut sum = None;
            if whole > 0 {
                let even = self.add_terms(None, a, b, (0..whole).step_by(2), Round::Both)?;
                let odd = self.add_terms(None, a, b, (1..whole).step_by(2), Round::Both)?;
                sum = Some(self.add(even, odd)?);
            }
            parts.push(self.add_terms(sum, a, b, whole..k, Round::Both)?);
        }
        if blocks < m {
            let a = self.slice_axis(a, 1, blocks, m)?;
            parts.push(self.add_terms(None, a, b, 0..k, Round::Both)?);
        }
        self.concat(&parts, 1)
    }

    /// A sum, and the products of some columns of `a` with the same rows of `b`
    /// added to it one after another.
    fn add_terms(
        &mut self,
        sum: Option<ValueId>,
        a: ValueId,
        b: ValueId,
        terms: impl Iterator<Item = usize>,
        round: Round,
    ) -> Result<ValueId> {
        let mut sum = sum;
        for i in terms {
            let x = self.slice_axis(a, 2, i, i + 1)?;
            let y = self.slice_axis(b, 1, i, i + 1)?;
            sum = Some(self.add_term(sum, x, y, round)?);
        }
        sum.ok_or_else(|| self.defect("a product of no terms"))
    }

    fn add_term(
        &mut self,
        sum: Option<ValueId>,
        x: ValueId,
        y: ValueId,
        round: Round,
    ) -> Result<ValueId> {
        let Some(sum) = sum else {
            return self.mul(x, y);
        };
        if round == Round::Both {
            let term = self.mul(x, y)?;
            return self.add(sum, term);
        }
        let x = self.cast(x, DType::F32)?;
        let y = self.cast(y, DType::F32)?;
        let term = self.mul(x, y)?;
        let sum = self.cast(sum, DType::F32)?;
        let sum = self.add(sum, term)?;
        self.cast(sum, DType::F16)
    }

    /// Products of matrices (batch.., m, k) and (batch.., k, n) as `tf.einsum` gives them.
    pub fn einsum_product(&mut self, a: ValueId, b: ValueId) -> Result<ValueId> {
        let (sa, sb) = (self.shape(a), self.shape(b));
        let lead = sa.len() - 2;
        let products = numel(&sa[lead..]) * sb[lead + 1];
        if self.dtype(a) != DType::F16 || sa[..lead] != sb[..lead] || products > LARGEST {
            return self.matmul(a, b, false, false);
        }
        let batch = numel(&sa[..lead]);
        let a = self.reshape(a, &[batch, sa[lead], sa[lead + 1]])?;
        let b = self.reshape(b, &[batch, sb[lead], sb[lead + 1]])?;
        let y = self.eigen_product(a, b, sa[lead] % ROWS)?;
        let shape = [&sa[..lead], &[sa[lead], sb[lead + 1]]].concat();
        self.reshape(y, &shape)
    }

    /// The input at one place of all windows: (n, spatial of the output.., channels).
    fn tap(
        &mut self,
        x: ValueId,
        at: &[usize],
        strides: &[usize],
        dilation: &[usize],
        output: &[usize],
    ) -> Result<ValueId> {
        let shape = self.shape(x);
        let mut dims: Vec<SliceDim> = shape
            .iter()
            .map(|&len| SliceDim {
                start: 0,
                step: 1,
                len,
            })
            .collect();
        for (i, dim) in dims[1..=at.len()].iter_mut().enumerate() {
            *dim = SliceDim {
                start: at[i] * dilation[i],
                step: strides[i] as isize,
                len: output[i],
            };
        }
        self.slice(x, &dims)
    }

    /// An image with zeros around it.
    fn with_zeros(&mut self, x: ValueId, padding: &[(usize, usize)]) -> Result<ValueId> {
        let pads = [&[(0, 0)], padding, &[(0, 0)]].concat();
        self.pad(x, &pads, PadMode::Constant, 0.0)
    }

    /// A convolution over three axes of float16, of which `output` is the size;
    /// `None` where it is too large.
    pub(super) fn conv3_in_steps(
        &mut self,
        x: ValueId,
        kernel: ValueId,
        attrs: &ConvAttrs,
        output: &[usize],
    ) -> Result<Option<ValueId>> {
        let shape = self.shape(kernel);
        let (size, channels) = (&shape[..3], shape[4]);
        let terms = numel(&shape[..4]);
        if attrs.groups != 1 || terms > LONGEST || numel(&output[1..]) * terms > LARGEST {
            return Ok(None);
        }
        let x = self.with_zeros(x, &attrs.padding)?;
        let taps = places(size)
            .iter()
            .map(|at| self.tap(x, at, &attrs.strides, &attrs.dilation, &output[1..4]))
            .collect::<Result<Vec<_>>>()?;
        let windows = self.concat(&taps, -1)?;
        let windows = self.reshape(windows, &[1, numel(&output[..4]), terms])?;
        let kernel = self.reshape(kernel, &[1, terms, channels])?;
        let y = self.eigen_windows(windows, kernel)?;
        self.reshape(y, output).map(Some)
    }

    /// A depthwise convolution of float16, of which `output` is the size; `None` where
    /// it is too large.
    pub(super) fn depthwise_in_steps(
        &mut self,
        x: ValueId,
        kernel: ValueId,
        attrs: &ConvAttrs,
        output: &[usize],
    ) -> Result<Option<ValueId>> {
        let shape = self.shape(kernel);
        let spatial = shape.len() - 2;
        let (channels, multiplier) = (shape[spatial], shape[spatial + 1]);
        let places = places(&shape[..spatial]);
        if numel(&output[1..]) * places.len() > LARGEST {
            return Ok(None);
        }
        let x = self.with_zeros(x, &attrs.padding)?;
        let kernel = self.reshape(kernel, &[places.len(), channels, multiplier])?;
        let mut sum = None;
        for (i, at) in places.iter().enumerate() {
            let inside = &output[1..=spatial];
            let x = self.tap(x, at, &attrs.strides, &attrs.dilation, inside)?;
            let x = self.expand_dims(x, -1)?;
            let k = self.index_axis(kernel, 0, i)?;
            sum = Some(self.add_term(sum, x, k, Round::Sum)?);
        }
        let y = sum.ok_or_else(|| self.defect("a kernel of no size"))?;
        self.reshape(y, output).map(Some)
    }

    /// A transposed convolution of float16, of which `output` is the size. Over one or
    /// two axes: the products of each place, added where they overlap. `None` where
    /// TensorFlow has no such kernel, or it is too large.
    pub(super) fn transpose_in_steps(
        &mut self,
        x: ValueId,
        kernel: ValueId,
        attrs: &ConvTransposeAttrs,
        output: &[usize],
    ) -> Result<Option<ValueId>> {
        let (input, shape) = (self.shape(x), self.shape(kernel));
        let n = attrs.strides.len();
        let (taps, channels, terms) = (numel(&shape[..n]), shape[n], shape[n + 1]);
        let products = numel(&input[1..=n]) * numel(&shape);
        if attrs.dilation.iter().any(|&d| d != 1)
            || terms > LONGEST
            || products > LARGEST
            || numel(output) == 0
        {
            return Ok(None);
        }
        if n == 3 {
            return self.transpose3_in_steps(x, kernel, attrs, output);
        }
        let places_in = numel(&input[1..=n]);
        let x = self.reshape(x, &[input[0], places_in, terms])?;
        let kernel = self.reshape(kernel, &[1, taps * channels, terms])?;
        let kernel = self.transpose(kernel, &[0, 2, 1])?;
        let products = self.eigen_product(x, kernel, places_in % ROWS)?;
        let products = self.reshape(products, &[input[0], places_in, taps, channels])?;
        let mut sum: Option<ValueId> = None;
        // The first of the places that overlap has the last tap.
        for (i, at) in places(&shape[..n]).iter().enumerate().rev() {
            let tap = self.index_axis(products, 2, i)?;
            let spread = [&input[..=n], &[channels]].concat();
            let mut y = self.reshape(tap, &spread)?;
            for axis in 0..n {
                let range = attrs.crop[axis].0..attrs.crop[axis].0 + output[axis + 1];
                y = self.spread_axis(y, axis + 1, attrs.strides[axis], at[axis], range)?;
            }
            sum = Some(match sum {
                Some(sum) => self.add(sum, y)?,
                None => y,
            });
        }
        Ok(sum)
    }

    /// A transposed convolution over three axes is to TensorFlow a convolution, by the
    /// reversed kernel, of what has zeros between its elements.
    fn transpose3_in_steps(
        &mut self,
        x: ValueId,
        kernel: ValueId,
        attrs: &ConvTransposeAttrs,
        output: &[usize],
    ) -> Result<Option<ValueId>> {
        let mut y = x;
        let mut kernel = self.transpose(kernel, &[0, 1, 2, 4, 3])?;
        let mut padding = vec![];
        for axis in 0..3 {
            let (size, stride) = (self.dim(kernel, axis as isize)?, attrs.strides[axis]);
            let count = self.dim(x, axis as isize + 1)?;
            let spread = count.saturating_sub(1) * stride + 1;
            let before = (size - 1).checked_sub(attrs.crop[axis].0);
            let all = (output[axis + 1] + size - 1).checked_sub(spread);
            let (Some(before), Some(all)) = (before, all) else {
                return Ok(None);
            };
            let Some(after) = all.checked_sub(before) else {
                return Ok(None);
            };
            padding.push((before, after));
            y = self.spread_axis(y, axis + 1, stride, 0, 0..spread)?;
            kernel = self.reverse(kernel, axis as isize)?;
        }
        let attrs = ConvAttrs {
            strides: vec![1; 3],
            padding,
            dilation: vec![1; 3],
            groups: 1,
        };
        self.conv3_in_steps(y, kernel, &attrs, output)
    }

    /// Elements of an axis `stride` apart, zeros between them, the first one at
    /// `start`; of this the range.
    fn spread_axis(
        &mut self,
        x: ValueId,
        axis: usize,
        stride: usize,
        start: usize,
        range: std::ops::Range<usize>,
    ) -> Result<ValueId> {
        let mut shape = self.shape(x);
        shape.insert(axis + 1, 1);
        let y = self.reshape(x, &shape)?;
        let mut pads = vec![(0, 0); shape.len()];
        pads[axis + 1].1 = stride - 1;
        let y = self.pad(y, &pads, PadMode::Constant, 0.0)?;
        shape.remove(axis + 1);
        shape[axis] *= stride;
        let y = self.reshape(y, &shape)?;
        let end = range.end.max(start + shape[axis]);
        let mut pads = vec![(0, 0); shape.len()];
        pads[axis] = (start, end - start - shape[axis]);
        let y = self.pad(y, &pads, PadMode::Constant, 0.0)?;
        self.slice_axis(y, axis as isize, range.start, range.end)
    }

    /// Averages over windows of float16, of which `output` is the size.
    pub(super) fn average_in_steps(
        &mut self,
        x: ValueId,
        attrs: &PoolAttrs,
        output: &[usize],
    ) -> Result<ValueId> {
        let input = self.shape(x);
        let n = attrs.size.len();
        let ones = vec![1; n];
        let padded = self.with_zeros(x, &attrs.padding)?;
        let mut sum: Option<ValueId> = None;
        for at in places(&attrs.size) {
            let x = self.tap(padded, &at, &attrs.strides, &ones, &output[1..=n])?;
            sum = Some(match sum {
                Some(sum) => self.add(sum, x)?,
                None => x,
            });
        }
        let sum = sum.ok_or_else(|| self.defect("a window of no size"))?;
        // Pixels of the input under each window.
        let under = |axis: usize, place: usize| -> usize {
            let start = place * attrs.strides[axis];
            let before = attrs.padding[axis].0;
            let inside = before..before + input[axis + 1];
            (start..start + attrs.size[axis])
                .filter(|p| inside.contains(p))
                .count()
        };
        let counts: Vec<f32> = places(&output[1..=n])
            .iter()
            .map(|at| (0..n).map(|i| under(i, at[i])).product::<usize>() as f32)
            .collect();
        let shape = [&[1], &output[1..=n], &[1]].concat();
        let counts = self.constant(Tensor::from_slice(shape, &counts));
        let counts = self.cast(counts, DType::F16)?;
        self.div(sum, counts)
    }
}

/// All places of a box, the last axis fastest.
fn places(size: &[usize]) -> Vec<Vec<usize>> {
    size.iter().fold(vec![vec![]], |all, &n| {
        all.iter()
            .flat_map(|at| (0..n).map(move |i| [at.as_slice(), &[i]].concat()))
            .collect()
    })
}
