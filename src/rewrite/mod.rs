//! Rewrites inside a region: fewer, fatter nodes with the same meaning. The CPU and every validation run the file's
//! own nodes, so a wrong rewrite can never validate itself.

mod activation;
mod concat;
mod dilate;
mod fuse;
mod gate;
mod gelu;
mod heads;
mod links;
mod norm;
mod pad;
mod squeeze;
mod swish;

use crate::region::Region;

/// A rule: changes a region and says how many nodes it touched.
pub type Rule = (&'static str, fn(&mut Region) -> usize);

/// The rules, in order.
pub const RULES: &[Rule] = &[
    ("dilate", dilate::rewrite),
    ("activation_attributes", activation::rewrite),
    ("merge_pad", pad::rewrite),
    ("merge_norm", norm::rewrite),
    ("merge_gelu", gelu::rewrite),
    ("merge_heads", heads::rewrite),
    ("merge_swish", swish::rewrite),
    ("fuse_elementwise", fuse::rewrite),
    ("merge_hard_sigmoid", squeeze::hard_sigmoid),
    ("merge_squeeze", squeeze::rewrite),
    ("merge_gate", gate::rewrite),
    ("merge_concat", concat::rewrite),
];

/// Applies all rules once.
pub fn rewrite(region: &mut Region) {
    for (name, rule) in RULES {
        let touched = rule(region);
        if touched > 0 {
            tracing::debug!(rule = name, touched, "rewrite");
        }
    }
}
