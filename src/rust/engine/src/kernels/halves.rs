//! Between float16 and float32, by the processor's own conversion where it has one.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Runs `$wide` with F16C, else `$plain`.
macro_rules! with_f16c {
    ($wide:expr, $plain:expr) => {{
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("f16c") {
            // SAFETY: the processor has it.
            return unsafe { $wide };
        }
        $plain
    }};
}

/// float16 as float32.
pub(super) fn to_f32(src: &[f16], dst: &mut [f32]) {
    with_f16c!(x86::to_f32(src, dst), src.convert_to_f32_slice(dst))
}

/// The nearest float16, ties to even.
pub(super) fn from_f32(src: &[f32], dst: &mut [f16]) {
    with_f16c!(x86::from_f32(src, dst), dst.convert_from_f32_slice(src))
}

/// Rounds to what a float16 would hold.
pub(super) fn round(values: &mut [f32]) {
    with_f16c!(x86::round(values), {
        for v in values {
            *v = f16::from_f32(*v).to_f32();
        }
    })
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use half::f16;
    use std::arch::x86_64::*;

    const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT;

    #[target_feature(enable = "avx,f16c")]
    pub fn to_f32(src: &[f16], dst: &mut [f32]) {
        let ((src, rest), (dst, last)) = (src.as_chunks::<8>(), dst.as_chunks_mut::<8>());
        for (s, d) in src.iter().zip(dst) {
            // SAFETY: both are eight elements.
            unsafe {
                let v = _mm256_cvtph_ps(_mm_loadu_si128(s.as_ptr().cast()));
                _mm256_storeu_ps(d.as_mut_ptr(), v);
            }
        }
        for (s, d) in rest.iter().zip(last) {
            *d = s.to_f32();
        }
    }

    #[target_feature(enable = "avx,f16c")]
    pub fn from_f32(src: &[f32], dst: &mut [f16]) {
        let ((src, rest), (dst, last)) = (src.as_chunks::<8>(), dst.as_chunks_mut::<8>());
        for (s, d) in src.iter().zip(dst) {
            // SAFETY: as above.
            unsafe {
                let v = _mm256_cvtps_ph::<NEAREST>(_mm256_loadu_ps(s.as_ptr()));
                _mm_storeu_si128(d.as_mut_ptr().cast(), v);
            }
        }
        for (s, d) in rest.iter().zip(last) {
            *d = f16::from_f32(*s);
        }
    }

    #[target_feature(enable = "avx,f16c")]
    pub fn round(values: &mut [f32]) {
        let (values, rest) = values.as_chunks_mut::<8>();
        for v in values {
            // SAFETY: these are eight elements.
            unsafe {
                let half = _mm256_cvtps_ph::<NEAREST>(_mm256_loadu_ps(v.as_ptr()));
                _mm256_storeu_ps(v.as_mut_ptr(), _mm256_cvtph_ps(half));
            }
        }
        for v in rest {
            *v = f16::from_f32(*v).to_f32();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_float16_and_what_lies_between() {
        let all: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
        let mut wide = vec![0.0; all.len()];
        to_f32(&all, &mut wide);
        let plain: Vec<u32> = all.iter().map(|v| v.to_f32().to_bits()).collect();
        assert!(wide.iter().map(|v| v.to_bits()).eq(plain));
        let mut between: Vec<f32> = (0..u32::MAX).step_by(4099).map(f32::from_bits).collect();
        let nearest: Vec<f16> = between.iter().map(|&v| f16::from_f32(v)).collect();
        let mut back = vec![f16::ZERO; between.len()];
        from_f32(&between, &mut back);
        assert!(back
            .iter()
            .map(|v| v.to_bits())
            .eq(nearest.iter().map(|v| v.to_bits())));
        round(&mut between);
        let rounded = nearest.iter().map(|v| v.to_f32().to_bits());
        assert!(between.iter().map(|v| v.to_bits()).eq(rounded));
    }
}
