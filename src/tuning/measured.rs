//! What an adapter was measured to do best, by shape: names of shapes and choices, and the candidates that are measured.

use std::{collections::BTreeMap, fmt};

use super::{Choice, Lanes, ProductKind, ProductShape, Split, Tile, Tuning};
use crate::kernels::F16Form;

/// The name of the best choice by the name of the shape ([`Tuning::name`]). Names that no candidate has are ignored.
pub type Measured = BTreeMap<String, String>;

/// Lanes over columns and lanes that share the depth, of workgroups that are measured for one row.
const SPLITS: &[(usize, usize)] = &[(8, 8), (8, 16), (1, 32)];

impl Tuning {
    /// What may compute a shape on this adapter, the table's own choice first. All compute the same.
    pub fn candidates(&self, shape: &ProductShape) -> Vec<Choice> {
        let mut all = vec![self.rule(shape)];
        let mut add = |choice| {
            if !all.contains(&choice) {
                all.push(choice);
            }
        };
        if shape.rows == 1 && shape.kind == ProductKind::Dense {
            let splits = SPLITS.iter().map(|&(columns, lanes)| Split { columns, lanes, subgroup: false });
            splits.filter(|split| split.fits(shape.depth)).for_each(|split| add(Choice::Split(split)));
            add(Choice::Direct(self.vector));
            return all;
        }
        let (many, few) = (self.product, self.product_few);
        let tiles = [many, Tile { texels: many.texels / 2, ..many }, few, Tile { texels: few.texels * 2, ..few }];
        for tile in tiles.into_iter().filter(|tile| self.takes(tile, shape)) {
            add(Choice::Direct(tile));
        }
        if shape.has_strips(MOST_STRIP_TAPS) {
            for pixels in self.strips {
                let tile = Tile { pixels, texels: self.conv_texels, broadcast: 0, ..many };
                if self.takes(&tile, shape) && !many.has_quads() {
                    add(Choice::Strip(tile));
                }
            }
        }
        if shape.can_stage() {
            self.staged.iter().for_each(|staged| add(Choice::Staged(*staged)));
        }
        all
    }

    /// Whether a tile's output texels lie in one group of the filter's and of the weights.
    fn takes(&self, tile: &Tile, shape: &ProductShape) -> bool {
        let together = self.weight_group == 0 || tile.texels > 0 && self.weight_group.is_multiple_of(tile.texels);
        tile.texels > 0 && together && shape.keeps_groups(tile.texels)
    }

    /// What a shape is called in [`Measured`]: halves of another form have another best choice.
    pub fn name(&self, shape: &ProductShape) -> String {
        let form = match self.dialect.f16 {
            F16Form::Packed => "packed",
            F16Form::Typed => "typed",
        };
        format!("{shape}, {form}")
    }
}

/// Filter taps of a row up to which strips are measured.
const MOST_STRIP_TAPS: usize = 5;

impl fmt::Display for ProductShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, depth, width, storage, .. } = self;
        write!(f, "{rows}x{depth}x{width}")?;
        if let ProductKind::Window { taps, stride, dilation, columns, group_width } = self.kind {
            let pair = |[y, x]: [usize; 2]| format!("{y}x{x}");
            let (taps, stride, dilation) = (pair(taps), pair(stride), pair(dilation));
            write!(f, " taps {taps} stride {stride} dilation {dilation} columns {columns} group {group_width}")?;
        }
        storage.iter().try_for_each(|storage| write!(f, " {}", storage.name()))
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct(tile) => write!(f, "direct {tile}"),
            Self::Strip(tile) => write!(f, "strip {tile}"),
            Self::Staged(s) => {
                let [wx, wz] = s.workgroup;
                write!(f, "staged {}x{} lanes {wx}x{wz} depth {}", s.pixels, s.texels, s.stage)
            }
            Self::Split(s) => {
                write!(f, "split {}x{}{}", s.columns, s.lanes, if s.subgroup { " subgroup" } else { "" })
            }
        }
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = match self.lanes {
            Lanes::Pixels => "pixels",
            Lanes::Channels => "channels",
        };
        let [along, across] = self.workgroup;
        write!(f, "{}x{} lanes {along}x{across} over {over} shared {}", self.pixels, self.texels, self.broadcast)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{region::Storage, tuning::AdapterClass};
    use std::{collections::BTreeSet, sync::Arc};

    fn shapes() -> Vec<ProductShape> {
        let storage = [Storage::F16; 3];
        let dense = |rows, depth, width| ProductShape { kind: ProductKind::Dense, rows, depth, width, storage };
        let window = |taps, stride, group_width| ProductShape {
            kind: ProductKind::Window {
                taps: [taps; 2],
                stride: [stride; 2],
                dilation: [1; 2],
                columns: 14,
                group_width,
            },
            ..dense(196, 16, 12)
        };
        vec![
            dense(1, 320, 250),
            dense(49, 40, 240),
            dense(12_544, 4, 24),
            window(3, 1, 12),
            window(4, 3, 12),
            window(3, 1, 3),
        ]
    }

    #[test]
    fn candidates_have_names_of_their_own() {
        for class in [AdapterClass::Lavapipe, AdapterClass::SwiftShader, AdapterClass::Discrete, AdapterClass::Mobile] {
            let plain = Tuning::of(class, true, true);
            for tuning in [plain.clone(), plain.clone().with_subgroups(8, 8), plain.with_subgroups(4, 4)] {
                for shape in shapes() {
                    let all = tuning.candidates(&shape);
                    let names: BTreeSet<String> = all.iter().map(ToString::to_string).collect();
                    assert_eq!(names.len(), all.len(), "{class:?} {shape}");
                    assert_eq!(all.first(), Some(&tuning.choose(&shape)));
                    assert!(all.len() > 1 || !shape.keeps_groups(2), "{class:?} {shape}: nothing to choose");
                }
            }
        }
    }

    #[test]
    fn what_was_measured_is_chosen_if_it_is_a_candidate() {
        let tuning = Tuning::of(AdapterClass::Discrete, true, true);
        for shape in shapes() {
            for choice in tuning.candidates(&shape) {
                let measured = Measured::from([(tuning.name(&shape), choice.to_string())]);
                let tuned = Tuning { measured: Arc::new(measured), ..tuning.clone() };
                assert_eq!(tuned.choose(&shape), choice);
            }
            let nonsense = Measured::from([(tuning.name(&shape), "direct 900x900".to_owned())]);
            let tuned = Tuning { measured: Arc::new(nonsense), ..tuning.clone() };
            assert_eq!(tuned.choose(&shape), tuning.choose(&shape));
        }
    }
}
