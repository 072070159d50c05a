//! Chains of kernels over images, some rows at a time: what lies between two of
//! them is a band of one image, which the caches hold, and never a whole tensor.

mod schedule;

use std::ops::Range;

use smallvec::SmallVec;

use super::gemm::with_buffer;
use super::{prepare, Kernel, Operand, PackCache, Par, Request};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::tensor::{lines, DType, Fact, Line, Shape, View, ViewMut, LINE};
use schedule::{schedule, Piece, Reach};

/// Parts of an image, for threads to share where there are fewer images than threads:
/// more of them differ less, and make the rows twice that two of them read.
const PARTS: usize = 8;

/// One node of a chain.
pub struct Stage<'a> {
    pub op: &'a Op,
    pub ins: Vec<Operand<'a>>,
    pub out: &'a Fact,
    /// The input that the stage before makes.
    pub main: usize,
    pub path: &'a str,
}

/// How an operand goes along with the rows of a stage's output.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Along {
    /// All of it is for each row.
    Whole,
    /// It has a part for each image.
    Images,
    /// It has a part for each row of each image.
    Rows,
}

impl Stage<'_> {
    /// Whether it can be computed in bands: its rows follow from rows of its
    /// operands.
    pub fn fits(&self) -> bool {
        self.reach().is_some() && (0..self.ins.len()).all(|i| self.along(i).is_some())
    }

    /// Whether rows are read that belong to other rows of the output too.
    pub fn is_windowed(&self) -> bool {
        self.reach().is_some_and(|r| r.span > 1)
    }

    fn reach(&self) -> Option<Reach> {
        let (x, out) = (self.ins.get(self.main)?.fact, self.out);
        let images = x.rank() >= 3 && x.rank() == out.rank() && x.shape[0] == out.shape[0];
        if !images || x.dtype != DType::F32 || out.dtype != DType::F32 {
            return None;
        }
        match self.op {
            Op::Conv(attrs, _) | Op::DepthwiseConv(attrs, _) if self.main == 0 => {
                let (before, after) = attrs.padding[0];
                let size = self.ins[1].fact.shape[0].max(1);
                let span = (size - 1) * attrs.dilation[0] + 1;
                // Each window meets the image.
                let meets = before < span && after < span && span <= x.shape[1];
                meets.then_some(Reach {
                    stride: attrs.strides[0],
                    before,
                    span,
                })
            }
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Map(_) if x.shape == out.shape => {
                Some(Reach::ROW)
            }
            _ => None,
        }
    }

    /// How an input goes along with the output's rows; `None` if in another way.
    fn along(&self, i: usize) -> Option<Along> {
        if i == self.main {
            return Some(Along::Rows);
        }
        let (shape, out) = (&self.ins[i].fact.shape, &self.out.shape);
        let constant = self.ins[i].constant.is_some();
        if i == 1 && matches!(self.op, Op::Conv(..) | Op::DepthwiseConv(..)) {
            return constant.then_some(Along::Whole);
        }
        let many = |axis: usize| shape[axis] > 1;
        if shape.len() != out.len() {
            let reaches_rows = shape.len() + 1 == out.len() && many(0);
            return (!reaches_rows).then_some(Along::Whole);
        }
        if !many(0) && !many(1) {
            return Some(Along::Whole);
        }
        if constant || shape[0] != out[0] {
            return None;
        }
        match many(1) {
            true => Some(Along::Rows),
            false => Some(Along::Images),
        }
    }

    /// Rows of the output.
    pub fn height(&self) -> usize {
        self.out.shape[1]
    }

    /// Bytes of a row of the output.
    pub fn row_bytes(&self) -> usize {
        self.out.bytes() / (self.out.shape[0] * self.height()).max(1)
    }

    fn input_height(&self) -> usize {
        self.ins[self.main].fact.shape[1]
    }
}

/// A kernel for so many rows, with the shapes it works on.
struct Variant {
    kernel: Box<dyn Kernel>,
    ins: Vec<Shape>,
    out: Shape,
}

/// A stage made ready.
struct Link {
    main: usize,
    /// The chain's input that each of the stage's is, and how it goes along. The
    /// main one of all stages but the first is none of the chain's.
    operands: Vec<(usize, Along)>,
    variants: Vec<Variant>,
    row_bytes: usize,
    height: usize,
    /// Bytes of the buffer of its output, in whole lines: none of the last.
    buffer: usize,
}

/// A piece and the variant of the kernel that makes it.
struct Turn {
    piece: Piece,
    variant: usize,
}

/// How some rows of an image's output are made.
struct Schedule {
    rows: Range<usize>,
    bands: Vec<Vec<Turn>>,
}

/// The kernel of a chain. Its inputs are those of the first stage, then those of
/// each other one but the main.
struct Bands {
    links: Vec<Link>,
    images: usize,
    whole: Schedule,
    /// The same rows in parts that don't wait for each other.
    parts: Vec<Schedule>,
    /// Bytes of scratch memory of the kernels, in whole lines.
    scratch: usize,
}

fn reaches(stages: &[Stage]) -> Result<Vec<Reach>> {
    let reach = stages.iter().map(Stage::reach);
    let all: Option<Vec<Reach>> = reach.collect();
    all.ok_or_else(|| Error::internal("a stage that can't be computed in bands"))
}

/// Heights of the first image and of each stage's output.
fn heights(stages: &[Stage]) -> Vec<usize> {
    let first = stages.first().map(Stage::input_height);
    first
        .into_iter()
        .chain(stages.iter().map(Stage::height))
        .collect()
}

/// Bytes that the buffers between stages take, with bands of `band` rows of the
/// last output.
///
/// # Errors
/// [`Error::Internal`] for stages that don't [fit](Stage::fits).
pub fn buffer_bytes(stages: &[Stage], band: usize) -> Result<usize> {
    let reach = reaches(stages)?;
    let rows = 0..stages.last().map_or(0, Stage::height);
    let bands = schedule(&reach, &heights(stages), rows, band);
    let bytes = |(j, stage): (usize, &Stage)| capacity(&bands, j) * stage.row_bytes();
    let between = &stages[..stages.len().saturating_sub(1)];
    Ok(between.iter().enumerate().map(bytes).sum())
}

/// Rows that are held of a stage's output at most.
fn capacity(bands: &[Vec<Piece>], stage: usize) -> usize {
    let held = bands
        .iter()
        .map(|b| b[stage].made.end.saturating_sub(b[stage].start));
    held.max().unwrap_or(0)
}

/// Prepares a chain for bands of `band` rows of its last output.
///
/// # Errors
/// As [`prepare`], and [`Error::Internal`] for stages that don't [fit](Stage::fits).
pub fn prepare_bands(stages: &[Stage], band: usize, packs: &PackCache) -> Result<Box<dyn Kernel>> {
    let reach = reaches(stages)?;
    let heights = heights(stages);
    let height = stages.last().map_or(0, Stage::height);
    let images = stages.first().map_or(0, |s| s.out.shape[0]);
    let mut links: Vec<Link> = vec![];
    let mut next = 0;
    for (j, stage) in stages.iter().enumerate() {
        let mut operands = vec![];
        for i in 0..stage.ins.len() {
            let along = stage
                .along(i)
                .ok_or_else(|| Error::internal("an operand that has no part for each band"))?;
            operands.push((next, along));
            if j == 0 || i != stage.main {
                next += 1;
            }
        }
        links.push(Link {
            main: stage.main,
            operands,
            variants: vec![],
            row_bytes: stage.row_bytes(),
            height: stage.height(),
            buffer: 0,
        });
    }
    let mut made: Vec<Vec<(usize, usize, schedule::Padding)>> = vec![vec![]; stages.len()];
    let mut plan = |rows: Range<usize>| -> Result<Schedule> {
        let bands = schedule(&reach, &heights, rows.clone(), band);
        for (j, link) in links.iter_mut().enumerate() {
            let bytes = capacity(&bands, j) * link.row_bytes;
            if j + 1 < stages.len() {
                link.buffer = link.buffer.max(lines(bytes) * LINE);
            }
        }
        let mut turn = |(j, piece): (usize, Piece)| -> Result<Turn> {
            let key = (piece.read.len(), piece.made.len(), piece.padding);
            let known = made[j].iter().position(|k| *k == key);
            let variant = match known {
                _ if piece.made.is_empty() => 0,
                Some(at) => at,
                None => {
                    links[j].variants.push(variant(&stages[j], &piece, packs)?);
                    made[j].push(key);
                    made[j].len() - 1
                }
            };
            Ok(Turn { piece, variant })
        };
        let bands = bands
            .into_iter()
            .map(|pieces| pieces.into_iter().enumerate().map(&mut turn).collect())
            .collect::<Result<_>>()?;
        Ok(Schedule { rows, bands })
    };
    let whole = plan(0..height)?;
    // Parts begin where bands do, so that kernels see the same rows together.
    let bands = height.div_ceil(band);
    let parts = PARTS.min(bands);
    let first = |part: usize| (bands * part / parts * band).min(height);
    let parts = (0..parts)
        .map(|part| plan(first(part)..first(part + 1)))
        .collect::<Result<_>>()?;
    let scratch = links.iter().flat_map(|l| &l.variants);
    let scratch = scratch.map(|v| lines(v.kernel.scratch()) * LINE).max();
    Ok(Box::new(Bands {
        images,
        whole,
        parts,
        scratch: scratch.unwrap_or(0),
        links,
    }))
}

/// A shape with so many images and rows.
fn cut(shape: &[usize], along: Along, rows: usize) -> Shape {
    let mut shape = shape.to_vec();
    if along != Along::Whole {
        shape[0] = 1;
    }
    if along == Along::Rows {
        shape[1] = rows;
    }
    shape
}

/// A stage's kernel for the rows of a piece.
fn variant(stage: &Stage, piece: &Piece, packs: &PackCache) -> Result<Variant> {
    let mut op = stage.op.clone();
    if let Op::Conv(attrs, _) | Op::DepthwiseConv(attrs, _) = &mut op {
        attrs.padding[0] = piece.padding;
    }
    let mut facts = vec![];
    for (i, operand) in stage.ins.iter().enumerate() {
        let along = stage.along(i).unwrap_or(Along::Whole);
        let rows = match i == stage.main {
            true => piece.read.len(),
            false => piece.made.len(),
        };
        let shape = cut(&operand.fact.shape, along, rows);
        facts.push(Fact::new(operand.fact.dtype, shape));
    }
    let out = Fact::new(
        stage.out.dtype,
        cut(&stage.out.shape, Along::Rows, piece.made.len()),
    );
    let ins: Vec<Operand> = stage
        .ins
        .iter()
        .zip(&facts)
        .map(|(operand, fact)| Operand {
            fact,
            constant: operand.constant,
        })
        .collect();
    let kernel = prepare(&Request {
        op: &op,
        ins: &ins,
        outs: std::slice::from_ref(&out),
        path: stage.path,
        packs,
    })?;
    Ok(Variant {
        kernel,
        ins: facts.into_iter().map(|f| f.shape).collect(),
        out: out.shape,
    })
}

impl Bands {
    /// Makes the rows of a schedule of one image, which are all of `out`.
    fn image(
        &self,
        ins: &[View],
        image: usize,
        schedule: &Schedule,
        out: &mut [u8],
        buffer: &mut [Line],
    ) -> Result<()> {
        let (scratch, buffer) = buffer.split_at_mut(self.scratch / LINE);
        let mut rest: &mut [u8] = bytemuck::cast_slice_mut(buffer);
        let mut buffers: Vec<&mut [u8]> = vec![];
        for link in &self.links {
            let (buffer, tail) = rest.split_at_mut(link.buffer);
            buffers.push(buffer);
            rest = tail;
        }
        let last = self.links.len() - 1;
        for turns in &schedule.bands {
            for (j, (link, turn)) in self.links.iter().zip(turns).enumerate() {
                let Turn { piece, variant } = turn;
                let (before, here) = buffers.split_at_mut(j);
                let size = link.row_bytes;
                if j < last && piece.kept.start > piece.was && !piece.kept.is_empty() {
                    let from = piece.kept.start - piece.was..piece.kept.end - piece.was;
                    here[0].copy_within(from.start * size..from.end * size, 0);
                }
                if piece.made.is_empty() {
                    continue;
                }
                let variant = &link.variants[*variant];
                // Rows of a whole tensor.
                let part = |i: usize, along: Along, rows: &Range<usize>, height: usize| {
                    let bytes = ins[i].bytes();
                    let image_bytes = bytes.len() / self.images;
                    let row = image_bytes / height.max(1);
                    match along {
                        Along::Whole => bytes,
                        Along::Images => &bytes[image * image_bytes..][..image_bytes],
                        Along::Rows => {
                            &bytes[image * image_bytes + rows.start * row..][..rows.len() * row]
                        }
                    }
                };
                let mut views: SmallVec<[View; 8]> = SmallVec::new();
                for (i, &(input, along)) in link.operands.iter().enumerate() {
                    let shape = &variant.ins[i];
                    let bytes = if i != link.main {
                        part(input, along, &piece.made, link.height)
                    } else if j == 0 {
                        part(input, along, &piece.read, self.input_height(ins))
                    } else {
                        let row = self.links[j - 1].row_bytes;
                        let start = (piece.read.start - turns[j - 1].piece.start) * row;
                        &before[j - 1][start..start + piece.read.len() * row]
                    };
                    let dtype = match i == link.main {
                        true => DType::F32,
                        false => ins[input].dtype,
                    };
                    views.push(View::new(dtype, shape, bytes));
                }
                let first = match j == last {
                    true => piece.made.start - schedule.rows.start,
                    false => piece.made.start - piece.start,
                };
                let whole = match j == last {
                    true => &mut *out,
                    false => &mut *here[0],
                };
                let made = &mut whole[first * size..(first + piece.made.len()) * size];
                let mut outs = [ViewMut::new(DType::F32, &variant.out, made)];
                variant
                    .kernel
                    .run(&views, &mut outs, scratch, None, Par::Serial)?;
            }
        }
        Ok(())
    }

    fn input_height(&self, ins: &[View]) -> usize {
        let link = &self.links[0];
        ins[link.operands[link.main].0].shape[1]
    }
}

impl Kernel for Bands {
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let link = &self.links[self.links.len() - 1];
        let image_bytes = link.row_bytes * link.height;
        let few = par.threads() > self.images;
        let schedules = match few {
            true => self.parts.as_slice(),
            false => std::slice::from_ref(&self.whole),
        };
        let mut tasks = vec![];
        let images = outs[0].bytes().chunks_mut(image_bytes.max(1));
        for (image, mut rest) in images.enumerate() {
            for schedule in schedules {
                let (part, tail) = rest.split_at_mut(schedule.rows.len() * link.row_bytes);
                tasks.push((image, schedule, part, Ok(())));
                rest = tail;
            }
        }
        let bytes = self.scratch + self.links.iter().map(|l| l.buffer).sum::<usize>();
        par.pieces(&mut tasks, 1, |_, tasks| {
            for (image, schedule, out, done) in tasks {
                *done = with_buffer(bytes, |buffer| {
                    self.image(ins, *image, schedule, out, buffer)
                });
            }
        });
        tasks.into_iter().try_for_each(|(.., done)| done)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::testing::*;
    use super::*;
    use crate::graph::{Binary, Const, ConvAttrs};
    use crate::kernels::with_crew;
    use crate::tensor::{buffer, Tensor};

    /// A value and its id, where it is constant.
    struct Value {
        tensor: Tensor,
        constant: Option<Arc<Const>>,
    }

    impl Value {
        fn image(tensor: Tensor) -> Value {
            Value {
                tensor,
                constant: None,
            }
        }

        fn constant(id: u64, tensor: Tensor) -> Value {
            Value {
                constant: Some(Const::new(id, tensor.clone())),
                tensor,
            }
        }

        fn operand(&self) -> Operand<'_> {
            Operand {
                fact: self.tensor.fact(),
                constant: self.constant.as_ref(),
            }
        }
    }

    fn conv(strides: usize, padding: (usize, usize)) -> ConvAttrs {
        ConvAttrs {
            strides: vec![strides; 2],
            padding: vec![padding; 2],
            dilation: vec![1; 2],
            groups: 1,
        }
    }

    fn run(kernel: &dyn Kernel, ins: &[View], out: &Fact, par: Par) -> Tensor {
        let mut made = Tensor::zeros(out.clone());
        made.bytes_mut().fill(0xff);
        let mut scratch = buffer(kernel.scratch());
        let mut outs = [made.view_mut()];
        kernel
            .run(ins, &mut outs, &mut scratch, None, par)
            .expect("run");
        made
    }

    /// A product, a depthwise convolution, a factor for each image and channel, and a
    /// product whose bias is there for each row: in bands and whole, in every bit.
    #[test]
    fn bands_give_the_bits_of_whole_images() {
        let mut rng = Rng::new(3);
        for (height, stride, padding) in [
            (13, 1, (1, 1)),
            (14, 2, (0, 1)),
            (9, 2, (1, 1)),
            (3, 1, (1, 1)),
        ] {
            let images = 2;
            let f32s = |rng: &mut Rng, shape: &[usize]| rng.tensor(DType::F32, shape);
            let places = |n: usize| (n + padding.0 + padding.1 - 3) / stride + 1;
            let (rows, cols) = (places(height), places(7));
            let x = Value::image(f32s(&mut rng, &[images, height, 7, 5]));
            let expand = Value::constant(1, f32s(&mut rng, &[1, 1, 5, 19]));
            let window = Value::constant(2, f32s(&mut rng, &[3, 3, 19, 1]));
            let factor = Value::image(f32s(&mut rng, &[images, 1, 1, 19]));
            let project = Value::constant(3, f32s(&mut rng, &[1, 1, 19, 4]));
            let rest = Value::image(f32s(&mut rng, &[images, rows, cols, 4]));
            let facts = [
                Fact::f32([images, height, 7, 19]),
                Fact::f32([images, rows, cols, 19]),
                Fact::f32([images, rows, cols, 19]),
                Fact::f32([images, rows, cols, 4]),
                Fact::f32([images, rows, cols, 4]),
            ];
            let ops = [
                Op::Conv(conv(1, (0, 0)), None),
                Op::DepthwiseConv(conv(stride, padding), None),
                Op::Binary(Binary::Mul),
                Op::Conv(conv(1, (0, 0)), None),
                Op::Binary(Binary::Sub),
            ];
            // The operands besides the main one, and where that is.
            let others: [(&Value, usize); 5] = [
                (&expand, 0),
                (&window, 0),
                (&factor, 1),
                (&project, 0),
                (&rest, 1),
            ];
            let packs = PackCache::default();
            let mut whole = x.tensor.clone();
            let mut stages = vec![];
            for ((op, out), (other, main)) in ops.iter().zip(&facts).zip(others) {
                let before = Value::image(whole.clone());
                let mut ins = [&before, other];
                ins.rotate_left(main);
                let operands: Vec<Operand> = ins.iter().map(|v| v.operand()).collect();
                let kernel = prepare(&Request {
                    op,
                    ins: &operands,
                    outs: std::slice::from_ref(out),
                    path: "test",
                    packs: &packs,
                });
                let views: Vec<View> = ins.iter().map(|v| v.tensor.view()).collect();
                whole = run(&*kernel.expect("prepared"), &views, out, Par::Serial);
            }
            let inner = [x.tensor.fact(), &facts[0], &facts[1], &facts[2], &facts[3]];
            for ((op, out), ((other, main), fact)) in
                ops.iter().zip(&facts).zip(others.into_iter().zip(inner))
            {
                let mut ins = vec![
                    Operand {
                        fact,
                        constant: None,
                    },
                    other.operand(),
                ];
                ins.rotate_left(main);
                stages.push(Stage {
                    op,
                    ins,
                    out,
                    main,
                    path: "test",
                });
            }
            assert!(stages.iter().all(Stage::fits));
            let chain = [&x, &expand, &window, &factor, &project, &rest];
            let views: Vec<View> = chain.iter().map(|v| v.tensor.view()).collect();
            for band in [1, 2, 3, 50] {
                let kernel = prepare_bands(&stages, band, &packs).expect("prepared");
                let out = &facts[4];
                let serial = run(&*kernel, &views, out, Par::Serial);
                let parallel = with_crew(pool(), || run(&*kernel, &views, out, Par::Crew));
                assert_eq!(serial.bytes(), whole.bytes(), "{height} {stride} {band}");
                assert_eq!(serial.bytes(), parallel.bytes(), "{height} {stride} {band}");
            }
        }
    }
}
