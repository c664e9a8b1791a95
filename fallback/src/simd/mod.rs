//! Vector instructions, the only place of this crate with `unsafe`.
//!
//! Safe functions stand before them: they check lengths, and a level of instructions can only be named where the
//! machine has it.

pub(crate) mod int8;
