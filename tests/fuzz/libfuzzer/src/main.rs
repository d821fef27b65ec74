//! libFuzzer over one target, which `MESH_FUZZ_TARGET` names. See `./run fuzz`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mesh_fuzz::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("MESH_FUZZ_TARGET").expect("MESH_FUZZ_TARGET names a target");
    mesh_fuzz::target(&name).expect("there is no such target")
});

fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
