//! What do the tests of decoders share? The files of a corpus, damaged in every way that is cheap, and random bytes. Included by path,
//! because the crates have no test code in common.

use std::path::PathBuf;

use proptest::prelude::*;

/// The longest stretch of a file that is cut and damaged byte by byte.
const CLOSELY: usize = 2_048;

/// Gives the decoder everything made of the files of `fuzz/corpus/<target>`, and random bytes. It must not panic.
pub(crate) fn decode_everything(target: &str, decode: impl Fn(&[u8])) {
    let root = package();
    let places = ["fuzz", "../fuzz"].map(|fuzz| root.join(fuzz).join("corpus").join(target));
    let folder = places
        .iter()
        .find(|place| place.is_dir())
        .unwrap_or_else(|| panic!("there is no corpus {target}"));
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        files += 1;
        damaged(&bytes, &decode);
    }
    assert!(files > 0, "the corpus {target} is empty");
    proptest!(ProptestConfig::with_cases(2_000), |(bytes in proptest::collection::vec(any::<u8>(), 0..160))| {
        decode(&bytes);
    });
}

/// Asked while the test runs: a build that two clones share has the directory of either in it.
fn package() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").unwrap().into()
}

fn damaged(bytes: &[u8], decode: &impl Fn(&[u8])) {
    decode(bytes);
    let closely = bytes.len().min(CLOSELY);
    for cut in 0..closely {
        decode(&bytes[..cut]);
        decode(&bytes[cut..]);
    }
    let mut copy = bytes.to_vec();
    for at in 0..closely {
        for damage in [0x00, 0x01, 0x7f, 0x80, 0xff, bytes[at] ^ 1, bytes[at] ^ 0x80] {
            copy[at] = damage;
            decode(&copy);
        }
        copy[at] = bytes[at];
    }
    for more in [&[0][..], &[0xff], &[0; 8], &[0x7f; 16]] {
        decode(&[bytes, more].concat());
    }
}
