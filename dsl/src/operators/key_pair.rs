//! Do the old and the new value of a row lead to the same key? The bytes that tell are passed on: a sink need not write them
//! again.
use crate::serde::{Serde, SerdeError, write};

/// Bytes of the keys that a row had and has now.
#[derive(Default)]
pub(super) struct KeyPair {
    old: Vec<u8>,
    new: Vec<u8>,
    written: bool,
}

impl KeyPair {
    /// Nothing is known of the keys of the next update.
    pub(super) fn clear(&mut self) {
        self.written = false;
    }

    /// Whether the keys have the same bytes, which is what decides where they go.
    pub(super) fn same<K>(&mut self, serde: &dyn Serde<K>, old: &K, new: &K) -> Result<bool, SerdeError> {
        self.clear();
        write(serde, new, &mut self.new)?;
        write(serde, old, &mut self.old)?;
        self.written = true;
        Ok(self.old == self.new)
    }

    /// Bytes of the old and of the new key, if they were compared.
    pub(super) fn bytes(&self) -> [Option<&[u8]>; 2] {
        [&self.old, &self.new].map(|bytes| self.written.then_some(bytes.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serde::I64Serde;

    #[test]
    fn bytes_are_those_of_the_keys_that_were_compared() {
        let mut keys = KeyPair::default();
        assert_eq!(keys.bytes(), [None, None]);
        assert_eq!(keys.same(&I64Serde, &1, &1).ok(), Some(true));
        assert_eq!(keys.same(&I64Serde, &1, &2).ok(), Some(false));
        let (old, new) = (1i64.to_be_bytes(), 2i64.to_be_bytes());
        assert_eq!(keys.bytes(), [Some(&old[..]), Some(&new[..])]);
        keys.clear();
        assert_eq!(keys.bytes(), [None, None]);
    }
}
