//! `mesh-ideas`.
fn main() {}
