//! What the compiler says to a topology that makes no sense. The texts are those of Rust 1.95 (`rust-version` of the
//! workspace); `TRYBUILD=overwrite cargo test -p millstream-dsl --test messages` writes those of another one.

#[test]
fn wrong_topologies_do_not_compile_and_say_why() {
    trybuild::TestCases::new().compile_fail("tests/messages/*.rs");
}
