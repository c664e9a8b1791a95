use super::*;

/// Every operation on lanes, one result per lane and operation.
struct Probe<'a>(&'a [f32], &'a [f32]);

impl Vectorised for Probe<'_> {
    type Output = Vec<Vec<f32>>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<Vec<f32>> {
        let mut results = vec![Vec::new(); 14];
        for (a, b) in self.0.chunks(S::LANES).zip(self.1.chunks(S::LANES)) {
            let (x, y) = (simd.load_part(a), simd.load_part(b));
            let values = [
                simd.splat(2.5),
                simd.add(x, y),
                simd.sub(x, y),
                simd.mul(x, y),
                simd.div(x, y),
                simd.mul_add(x, y, x),
                simd.max(x, y),
                simd.min(x, y),
                simd.sqrt(simd.mul(x, x)),
                simd.round(x),
                simd.exp2_int(simd.round(x)),
                simd.where_less(x, y, x, y),
            ];
            for (result, value) in results.iter_mut().zip(values) {
                let mut part = vec![0.0; a.len()];
                simd.store_part(&mut part, value);
                result.extend(part);
            }
        }
        let whole = simd.load(self.0);
        let mut out = vec![0.0; S::LANES];
        simd.store(&mut out, whole);
        results[12] = vec![(out == self.0[..S::LANES]) as u8 as f32, simd.largest(simd.splat(3.0))];
        results[13] = vec![simd.sum(simd.splat(1.0)) / S::LANES as f32];
        results
    }
}

/// As [`Probe`], with several vectors as one.
struct WideProbe<'a>(Probe<'a>);

impl Vectorised for WideProbe<'_> {
    type Output = Vec<Vec<f32>>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<Vec<f32>> {
        self.0.run(Wide(simd))
    }
}

#[test]
fn all_levels_compute_the_same() {
    let a: Vec<f32> = (0..70).map(|i| (i as f32 - 17.0) * 0.75 + 0.125).collect();
    let b: Vec<f32> = (0..70).map(|i| 9.0 - i as f32 * 0.5 - 0.1).collect();
    let expected = Level::all()[0].run(Probe(&a, &b));
    assert_eq!(expected[9][..4], [-13.0, -12.0, -11.0, -10.0]);
    assert_eq!(expected[10][20], 4.0);
    for level in Level::all() {
        for found in [level.run(Probe(&a, &b)), level.run(WideProbe(Probe(&a, &b)))] {
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                // A fused product is rounded once.
                let close = found.iter().zip(expected).all(|(f, e)| (f - e).abs() <= e.abs() * 1e-6);
                assert!(close && found.len() == expected.len(), "operation {i}: {found:?} {expected:?}");
            }
        }
    }
}

#[test]
fn nan_of_the_second_operand_stays() {
    struct Clamp;
    impl Vectorised for Clamp {
        type Output = [f32; 3];
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> [f32; 3] {
            let mut out = [0.0; 3];
            let v = simd.load_part(&[f32::NAN, -0.0, 7.0]);
            simd.store_part(&mut out, simd.min(simd.splat(6.0), simd.max(simd.splat(0.0), v)));
            out
        }
    }
    for level in Level::all() {
        let out = level.run(Clamp);
        assert!(out[0].is_nan() && out[1].to_bits() == (-0.0f32).to_bits() && out[2] == 6.0, "{out:?}");
    }
}

#[test]
fn the_best_level_is_the_last() {
    let widest = Level::all().iter().map(|level| level.lanes()).max();
    assert_eq!(Some(Level::best().lanes()), widest);
}

#[test]
fn powers_of_two_round_once_at_all_levels() {
    struct Scale<'a>(&'a [f32], &'a [f32]);
    impl Vectorised for Scale<'_> {
        type Output = Vec<f32>;
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Vec<f32> {
            let mut out = vec![0.0; self.0.len()];
            for ((a, n), out) in self.0.chunks(S::LANES).zip(self.1.chunks(S::LANES)).zip(out.chunks_mut(S::LANES)) {
                simd.store_part(out, simd.scale(simd.load_part(a), simd.load_part(n)));
            }
            out
        }
    }
    let powers: Vec<f32> = (-250..=254).map(|n| n as f32).collect();
    let a: Vec<f32> = (0..powers.len()).map(|i| 0.5 + (i * 211 % 505) as f32 / 337.0).collect();
    let once = |(a, n): (&f32, &f32)| (f64::from(*a) * f64::from(*n).exp2()) as f32;
    let expected: Vec<u32> = a.iter().zip(&powers).map(|pair| once(pair).to_bits()).collect();
    for level in Level::all() {
        let found: Vec<u32> = level.run(Scale(&a, &powers)).into_iter().map(f32::to_bits).collect();
        assert_eq!(found, expected, "{} lanes", level.lanes());
    }
}
