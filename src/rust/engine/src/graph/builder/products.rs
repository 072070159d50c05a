//! Matrix products, convolutions and pooling.

use super::*;

impl Builder {
    fn no_product(&self, a: &Fact, b: &Fact) -> Error {
        let (a, b) = (a.dtype, b.dtype);
        self.call_error(format!("can't multiply {a} by {b} tensors"))
    }

    /// Whether the elements of two tensors can be multiplied and added up.
    fn check_product(&self, a: &Fact, b: &Fact) -> Result<()> {
        match a.dtype == b.dtype && !matches!(a.dtype, DType::Str | DType::Bool) {
            true => Ok(()),
            false => Err(self.no_product(a, b)),
        }
    }

    /// Matrix product over the last two axes, leading axes broadcast.
    pub fn matmul(&mut self, a: ValueId, b: ValueId, ta: bool, tb: bool) -> Result<ValueId> {
        let (fa, fb) = (self.fact(a).clone(), self.fact(b).clone());
        let bad = |s: &Self| Err(s.error(format!("can't multiply {fa} by {fb}")));
        if fa.dtype != fb.dtype || fa.dtype == DType::Str {
            return Err(self.no_product(&fa, &fb));
        }
        if fa.rank() < 2 || fb.rank() < 2 {
            return bad(self);
        }
        let (la, lb) = (fa.rank() - 2, fb.rank() - 2);
        let pick = |f: &Fact, l: usize, t: bool| {
            if t {
                (f.shape[l + 1], f.shape[l])
            } else {
                (f.shape[l], f.shape[l + 1])
            }
        };
        let ((m, k), (k2, n)) = (pick(&fa, la, ta), pick(&fb, lb, tb));
        if k != k2 {
            return bad(self);
        }
        let Some(lead) = broadcast_shapes(&fa.shape[..la], &fb.shape[..lb]) else {
            return bad(self);
        };
        let widen = |s: &mut Self, v: ValueId, f: &Fact| {
            let mut shape = lead.clone();
            shape.extend(&f.shape[f.rank() - 2..]);
            s.broadcast_to(v, &shape)
        };
        let a = widen(self, a, &fa)?;
        let b = if lb == 0 { b } else { widen(self, b, &fb)? };
        let mut shape = lead.clone();
        shape.extend([m, n]);
        let op = Op::MatMul {
            ta,
            tb,
            epilogue: None,
        };
        Ok(self.push(op, vec![a, b], Fact::new(fa.dtype, shape)))
    }

    /// `x (..., k)` times `w (k, n)`, for x of any rank from 1.
    pub fn dense(&mut self, x: ValueId, w: ValueId) -> Result<ValueId> {
        let xs = self.shape(x);
        let ws = self.shape(w);
        let (Some(&k), 2) = (xs.last(), ws.len()) else {
            return Err(self.error(format!(
                "can't multiply {} by {}",
                show_shape(&xs),
                show_shape(&ws)
            )));
        };
        let rows = numel(&xs[..xs.len() - 1]);
        let flat = self.reshape(x, &[rows, k])?;
        let y = self.matmul(flat, w, false, false)?;
        let mut shape = xs[..xs.len() - 1].to_vec();
        shape.push(ws[1]);
        self.reshape(y, &shape)
    }

    /// Output size of a window over a padded axis; `None` if it does not fit.
    fn windows(
        size: usize,
        pad: (usize, usize),
        window: usize,
        dilation: usize,
        stride: usize,
    ) -> Option<usize> {
        let span = (window.checked_sub(1)?) * dilation + 1;
        Some((size + pad.0 + pad.1).checked_sub(span)? / stride.max(1) + 1)
    }

    /// Convolution; see [`Op::Conv`] for the layouts.
    pub fn conv(&mut self, x: ValueId, kernel: ValueId, attrs: ConvAttrs) -> Result<ValueId> {
        let (fx, fk) = (self.fact(x).clone(), self.fact(kernel).clone());
        let n = attrs.strides.len();
        let fits = fx.rank() == n + 2
            && fk.rank() == n + 2
            && attrs.groups > 0
            && fx.shape[n + 1] == fk.shape[n] * attrs.groups
            && fk.shape[n + 1].is_multiple_of(attrs.groups);
        self.check_product(&fx, &fk)?;
        if !fits {
            return Err(self.defect(format!(
                "can't convolve {fx} with a kernel of {fk} in {} groups",
                attrs.groups
            )));
        }
        let channels = fk.shape[n + 1];
        let shape = self.conv_shape(&fx, &fk, &attrs, channels)?;
        if fx.dtype == DType::F16 && n == 3 {
            if let Some(y) = self.conv3_in_steps(x, kernel, &attrs, &shape)? {
                return Ok(y);
            }
        }
        Ok(self.push(
            Op::Conv(attrs, None),
            vec![x, kernel],
            Fact::new(fx.dtype, shape),
        ))
    }

    fn conv_shape(&self, fx: &Fact, fk: &Fact, a: &ConvAttrs, channels: usize) -> Result<Shape> {
        let mut shape = vec![fx.shape[0]];
        for i in 0..a.strides.len() {
            let size = Self::windows(
                fx.shape[i + 1],
                a.padding[i],
                fk.shape[i],
                a.dilation[i],
                a.strides[i],
            );
            shape.push(size.ok_or_else(|| {
                self.error(format!(
                    "a window of {} doesn't fit into {}",
                    show_shape(&fk.shape[..a.strides.len()]),
                    show_shape(&fx.shape)
                ))
            })?);
        }
        shape.push(channels);
        Ok(shape)
    }

    /// Depthwise convolution; see [`Op::DepthwiseConv`]. `attrs.groups` is ignored.
    pub fn depthwise_conv(
        &mut self,
        x: ValueId,
        kernel: ValueId,
        mut attrs: ConvAttrs,
    ) -> Result<ValueId> {
        let (fx, fk) = (self.fact(x).clone(), self.fact(kernel).clone());
        let n = attrs.strides.len();
        self.check_product(&fx, &fk)?;
        if fx.rank() != n + 2 || fk.rank() != n + 2 || fx.shape[n + 1] != fk.shape[n] {
            return Err(self.error(format!(
                "can't convolve {fx} depthwise with a kernel of {fk}"
            )));
        }
        attrs.groups = fk.shape[n];
        let channels = fk.shape[n] * fk.shape[n + 1];
        let shape = self.conv_shape(&fx, &fk, &attrs, channels)?;
        if fx.dtype == DType::F16 && fk.numel() > 0 {
            if let Some(y) = self.depthwise_in_steps(x, kernel, &attrs, &shape)? {
                return Ok(y);
            }
        }
        Ok(self.push(
            Op::DepthwiseConv(attrs, None),
            vec![x, kernel],
            Fact::new(fx.dtype, shape),
        ))
    }

    /// Transposed convolution; see [`Op::ConvTranspose`].
    pub fn conv_transpose(
        &mut self,
        x: ValueId,
        kernel: ValueId,
        attrs: ConvTransposeAttrs,
    ) -> Result<ValueId> {
        let (fx, fk) = (self.fact(x).clone(), self.fact(kernel).clone());
        let n = attrs.strides.len();
        self.check_product(&fx, &fk)?;
        if fx.rank() != n + 2 || fk.rank() != n + 2 || fx.shape[n + 1] != fk.shape[n + 1] {
            return Err(self.error(format!(
                "can't convolve {fx} transposed with a kernel of {fk}"
            )));
        }
        let mut shape = vec![fx.shape[0]];
        shape.extend(&attrs.output);
        shape.push(fk.shape[n]);
        if fx.dtype == DType::F16 {
            if let Some(y) = self.transpose_in_steps(x, kernel, &attrs, &shape)? {
                return Ok(y);
            }
        }
        Ok(self.push(
            Op::ConvTranspose(attrs, None),
            vec![x, kernel],
            Fact::new(fx.dtype, shape),
        ))
    }

    pub fn pool(&mut self, x: ValueId, attrs: PoolAttrs) -> Result<ValueId> {
        let fx = self.fact(x).clone();
        let n = attrs.size.len();
        if fx.rank() != n + 2 {
            return Err(self.defect(format!("can't pool {n} spatial axes of {fx}")));
        }
        if matches!(fx.dtype, DType::Str | DType::Bool) {
            return Err(self.call_error(format!("can't pool {} tensors", fx.dtype)));
        }
        let mut shape = vec![fx.shape[0]];
        for i in 0..n {
            let size = Self::windows(
                fx.shape[i + 1],
                attrs.padding[i],
                attrs.size[i],
                1,
                attrs.strides[i],
            );
            shape.push(size.ok_or_else(|| {
                self.error(format!(
                    "a pool of {} doesn't fit into {}",
                    show_shape(&attrs.size),
                    show_shape(&fx.shape)
                ))
            })?);
        }
        shape.push(fx.shape[n + 1]);
        if fx.dtype == DType::F16 && attrs.kind == PoolKind::Average {
            return self.average_in_steps(x, &attrs, &shape);
        }
        Ok(self.push(Op::Pool(attrs), vec![x], Fact::new(fx.dtype, shape)))
    }
}
