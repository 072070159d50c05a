//! Masking and EinsumDense.

use crate::error::Result;
use crate::graph::{Binary, Reduce};
use crate::keras::activations::Activation;
use crate::keras::ops::sum;
use crate::keras::quant::{By, Quant};
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, Out, Policy, T};
use crate::tensor::{show_shape, DType};

struct Masking {
    value: f64,
}

/// Masks steps whose features all equal `mask_value`, and sets them to 0.
pub fn masking(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let value = cfg.f64_or("mask_value", 0.0)?;
    Ok(Built::new(Masking { value }))
}

impl Layer for Masking {
    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        // Beside numbers, booleans become numbers.
        let x = match cx.dtype(x) {
            DType::Bool => cx.cast(x, DType::I32)?,
            _ => x,
        };
        let last = cx.axis(-1, cx.rank(x))?;
        let differs = cx.binary_s(Binary::Ne, x, self.value)?;
        let keep = cx.reduce(Reduce::Any, differs, &[last], true)?;
        let dtype = cx.dtype(x);
        let zero = cx.scalar(dtype, 0.0);
        let value = cx.select(keep, x, zero)?;
        let mask = Some(cx.squeeze(keep, -1)?);
        Ok(T { value, mask }.into())
    }
}

struct EinsumDense {
    equation: Equation,
    /// Without the batch; `None` is taken from the input.
    output: Vec<Option<usize>>,
    bias_axes: Option<String>,
    activation: Activation,
    quant: Quant,
}

/// `activation(einsum(equation, x, kernel) + bias)`. The mask is lost.
pub fn einsum_dense(cfg: &Cfg, nested: &dyn Nested) -> Result<Built> {
    let equation = Equation::parse(cfg.str("equation")?)
        .ok_or_else(|| cfg.bad("equation", "an equation such as 'abc,cd->abd'"))?;
    let output = match cfg.opt_usize("output_shape") {
        Ok(Some(one)) => vec![Some(one)],
        _ => cfg
            .opt_dims("output_shape")?
            .ok_or_else(|| cfg.bad("output_shape", "a list of sizes"))?,
    };
    let bias_axes = cfg.opt_str("bias_axes")?.map(str::to_string);
    let axes = bias_axes.as_deref().unwrap_or_default();
    if axes.chars().any(|c| !equation.output.contains(c)) {
        return Err(cfg.bad("bias_axes", "axes of the output"));
    }
    let layer = EinsumDense {
        equation,
        output,
        activation: Activation::with_layers(cfg, "activation", nested)?,
        bias_axes,
        quant: Quant::of_kernel(cfg, Policy::of(cfg)?)?,
    };
    // Follows from the kernel's shape.
    cfg.pass_over(&["gptq_unpacked_column_size"]);
    let (bias, quant) = (layer.bias_axes.is_some(), layer.quant.clone());
    let activation = layer.activation.clone();
    Ok(activation.child_of("activation", quant.kernel_vars(Built::new(layer), bias)))
}

impl Layer for EinsumDense {
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        let x = cx.one(call)?.value;
        let equation = &self.equation;
        let Some((kernel, output)) = equation.shapes(&cx.shape(x), &self.output) else {
            return Err(cx.error(format!(
                "equation '{}' doesn't fit an input of shape {}",
                equation.text,
                show_shape(&cx.shape(x))
            )));
        };
        let by = By {
            equation: &equation.text,
            kernel,
            dense: false,
        };
        let mut y = self.quant.project(cx, me, x, &by)?;
        if cx.shape(y) != output {
            return Err(cx.error(format!(
                "equation '{}' gives {}, not {}",
                equation.text,
                show_shape(&cx.shape(y)),
                show_shape(&output)
            )));
        }
        if let Some(axes) = &self.bias_axes {
            let shape = equation.bias_shape(axes, &output);
            let bias = self.quant.bias(cx, me, &shape)?;
            y = sum(cx, y, bias)?;
        }
        Ok(self.activation.apply(cx, y)?.into())
    }
}

/// `input,kernel->output`, where dots may stand at the same side of input and output.
struct Equation {
    text: String,
    input: String,
    kernel: String,
    output: String,
    /// Dots stand before the letters of the output.
    elided_left: bool,
}

impl Equation {
    fn parse(text: &str) -> Option<Equation> {
        let (operands, output) = text.split_once("->")?;
        let (input, kernel) = operands.split_once(',')?;
        let letters = |s: &str| s.replace("...", "");
        let equation = Equation {
            text: text.to_string(),
            input: letters(input),
            kernel: kernel.to_string(),
            output: letters(output),
            elided_left: output.starts_with("..."),
        };
        let all = [&equation.input, &equation.kernel, &equation.output];
        let plain = |s: &&String| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphabetic());
        all.iter().all(plain).then_some(equation)
    }

    /// Shapes of the kernel and of the output for an input's shape.
    fn shapes(&self, x: &[usize], output: &[Option<usize>]) -> Option<(Vec<usize>, Vec<usize>)> {
        let elided = x.len().checked_sub(self.input.len())?;
        let mut full: Vec<Option<usize>> = vec![x.first().copied()];
        match self.elided_left {
            true => {
                full.extend(x.get(1..elided)?.iter().map(|&d| Some(d)));
                full.extend(output);
            }
            false => {
                full.extend(output);
                full.extend(x[x.len() - elided..].iter().map(|&d| Some(d)));
            }
        }
        let dots = if self.elided_left { elided } else { 0 };
        let size_in = |c: char| x.get(dots + self.input.find(c)?).copied();
        let size = |c: char| match self.output.find(c) {
            Some(i) => (*full.get(dots + i)?).or_else(|| size_in(c)),
            None => size_in(c),
        };
        let kernel = self.kernel.chars().map(size).collect::<Option<_>>()?;
        let letters: Option<Vec<usize>> = self.output.chars().map(size).collect();
        let mut shape: Vec<usize> = full.iter().map(|d| d.unwrap_or(0)).collect();
        shape
            .get_mut(dots..dots + self.output.len())?
            .copy_from_slice(&letters?);
        Some((kernel, shape))
    }

    /// The bias spans the output from its first axis on that has one.
    fn bias_shape(&self, axes: &str, output: &[usize]) -> Vec<usize> {
        let dots = output.len() - self.output.len();
        let first = self.output.find(|c| axes.contains(c)).unwrap_or(0);
        let (before, after) = if self.elided_left {
            (dots, 0)
        } else {
            (0, dots)
        };
        let letters = self.output.char_indices().skip(first);
        let mut shape: Vec<usize> = letters
            .map(|(i, c)| {
                if axes.contains(c) {
                    output[before + i]
                } else {
                    1
                }
            })
            .collect();
        shape.extend(vec![1; after]);
        shape
    }
}
