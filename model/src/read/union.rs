//! A more lenient check of unions than the flatbuffers crate's.

use flatbuffers::{Follow, InvalidFlatbuffer, TableVerifier, VOffsetT, Verifiable, Verifier};

/// What the generated bindings call for unions in place of `visit_union`.
pub(crate) trait LenientUnion<'buf>: Sized {
    /// As `visit_union`, but a type without a value, or a value without a type, is taken for an absent union: some
    /// writers leave the table out where all of it would be defaults, and TFLite does not mind. Nothing reads the
    /// value of a union by itself, without its type.
    fn visit_lenient_union<Key, Check>(
        self,
        key_name: &'static str,
        key: VOffsetT,
        value_name: &'static str,
        value: VOffsetT,
        required: bool,
        check: Check,
    ) -> Result<Self, InvalidFlatbuffer>
    where
        Key: Follow<'buf> + Verifiable,
        Check: FnOnce(<Key as Follow<'buf>>::Inner, &mut Verifier<'_, '_>, usize) -> Result<(), InvalidFlatbuffer>;
}

impl<'buf> LenientUnion<'buf> for TableVerifier<'_, '_, 'buf> {
    fn visit_lenient_union<Key, Check>(
        mut self,
        key_name: &'static str,
        key: VOffsetT,
        value_name: &'static str,
        value: VOffsetT,
        required: bool,
        check: Check,
    ) -> Result<Self, InvalidFlatbuffer>
    where
        Key: Follow<'buf> + Verifiable,
        Check: FnOnce(<Key as Follow<'buf>>::Inner, &mut Verifier<'_, '_>, usize) -> Result<(), InvalidFlatbuffer>,
    {
        match (self.deref(key)?, self.deref(value)?) {
            (Some(place), None) => {
                Key::run_verifier(self.verifier(), place)?;
                Ok(self)
            }
            (None, Some(_)) => Ok(self),
            _ => self.visit_union::<Key, Check>(key_name, key, value_name, value, required, check),
        }
    }
}
