//! From steps to a plan: which tensor lives where.

pub mod step;
