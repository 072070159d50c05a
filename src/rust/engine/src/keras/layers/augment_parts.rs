//! What random augmentation does in training to what belongs to images.

use crate::error::Result;
use crate::graph::ValueId;
use crate::keras::layers::augment::{
    between, chained, chosen, mixture, patches, smooth_noise, some, Training,
};
use crate::keras::ops::warp::Warp;
use crate::keras::Cx;

impl Training {
    /// The same by the nearest pixels.
    fn nearest(&self) -> Training {
        let mut nearest = self.clone();
        if let Training::Translation { warp, .. }
        | Training::Rotation { warp, .. }
        | Training::Zoom { warp, .. }
        | Training::Shear { warp, .. }
        | Training::Perspective { warp, .. } = &mut nearest
        {
            *warp = Warp {
                bilinear: false,
                ..*warp
            };
        }
        nearest
    }

    /// Labels (n, ...) of images of a shape, from what the images were drawn from.
    pub fn labels(&self, cx: &mut Cx, shape: &[usize], x: ValueId) -> Result<ValueId> {
        match self {
            Training::MixUp { alpha } => mixture(cx, *alpha, shape[0])?.of(cx, x),
            Training::CutMix { factor } => patches(cx, *factor, shape)?.1.of(cx, x),
            _ => Ok(x),
        }
    }

    /// Segmentation masks (n, height, width, channels) of images, from what the images
    /// were drawn from; `fresh` streams of random numbers were in use after these.
    pub fn masks(
        &self,
        cx: &mut Cx,
        class: &str,
        images: ValueId,
        x: ValueId,
        fresh: u32,
    ) -> Result<ValueId> {
        let shape = cx.shape(images);
        match self {
            Training::Flip { .. } => self.images(cx, class, x),
            Training::Translation { .. }
            | Training::Rotation { .. }
            | Training::Zoom { .. }
            | Training::Shear { .. }
            | Training::Perspective { .. } => self.nearest().images(cx, class, x),
            Training::Elastic { factor, scale, .. } if factor[1] == 0.0 || scale[1] == 0.0 => Ok(x),
            Training::Elastic {
                factor,
                scale,
                warp,
                range,
            } => {
                let dtype = cx.dtype(x);
                let changed = some(cx, *factor, shape[0])?;
                let strength = between(cx, *scale, &[])?;
                // Keras moves masks by noise of their own.
                let size = [shape[0], shape[1], shape[2]];
                let moved = cx.redraw(fresh, |cx| smooth_noise(cx, strength, size, scale[1]))?;
                let moved = cx.cast(moved, dtype)?;
                let y = warp.nearest().apply(cx, x, moved)?;
                let y = cx.select(changed, y, x)?;
                cx.clip(y, Some(range.0), Some(range.1))
            }
            Training::CutMix { factor } => {
                // Boxes have the channels of images.
                let (boxes, mixture) = patches(cx, *factor, &shape)?;
                let boxes = cx.broadcast_to(boxes, &shape)?;
                let others = cx.gather(x, mixture.order, 0, 0)?;
                cx.select(boxes, others, x)
            }
            Training::MixUp { alpha } => {
                // Keras takes the first pixels of all masks in place of other masks.
                let mixture = mixture(cx, *alpha, shape[0])?;
                let count = cx.shape(x).iter().product();
                let pixels = cx.reshape(x, &[count])?;
                let others = cx.gather(pixels, mixture.order, 0, 0)?;
                mixture.with(cx, x, others)
            }
            Training::Choice { steps, count } => chosen(cx, steps, *count, x, |cx, step, x| {
                step.masks(cx, class, images, x, fresh)
            }),
            Training::Mix {
                steps,
                chains,
                depth,
                alpha,
                ..
            } => {
                let size = [*chains, *depth];
                chained(cx, steps, size, *alpha, x, |cx, step, x| {
                    step.masks(cx, class, images, x, fresh)
                })
            }
            // What is drawn after this must be what is drawn for images.
            _ => self.images(cx, class, images).map(|_| x),
        }
    }

    /// Whether bounding boxes stay as they are.
    pub fn leaves_boxes(&self) -> bool {
        use Training as A;
        matches!(
            self,
            A::Brightness { .. }
                | A::Contrast { .. }
                | A::Invert { .. }
                | A::Hue { .. }
                | A::Saturation { .. }
                | A::Grayscale { .. }
                | A::Degeneration { .. }
                | A::Posterization { .. }
                | A::Sharpness { .. }
                | A::Solarization { .. }
                | A::Erasing { .. }
                | A::Blur { .. }
                | A::Equalization { .. }
                | A::AutoContrast { .. }
                | A::Mix { .. }
                | A::Chain(_)
        )
    }
}
