//! A new migration must make the program anew: `sqlx::migrate!` alone does not tell cargo.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
