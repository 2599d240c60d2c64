//! Takes an input apart into the small numbers and texts that a target is made of.

/// Bytes that are used up from the front. When there are none left, numbers are 0 and texts empty, so that every
/// input means something.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Two bytes as an index below `count`; 0 when there is nothing to choose from.
    pub fn below(&mut self, count: usize) -> usize {
        let number = usize::from(self.byte()) << 8 | usize::from(self.byte());
        if count == 0 { 0 } else { number % count }
    }

    /// Everything up to the next NUL byte, which is used up, too.
    pub fn text(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        text
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
