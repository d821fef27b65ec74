//! A supervisor without an agent; the tests speak to it in the agent's place.
fn main() {}
