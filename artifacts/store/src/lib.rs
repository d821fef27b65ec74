//! mesh-store: an S3-compatible object store on one local directory.
//!
//! Promises: an object is acknowledged after its bytes and its name are on the disk (fsync of file
//! and directory); an object is there whole or not at all; `If-None-Match: *` is decided by the
//! file system, once; nobody is anonymous. Bodies are streamed, so memory does not grow with
//! objects. It does not replicate, version, expire or check rights per bucket: one key may do all.

pub mod credentials;
pub mod disk;
mod s3;
pub mod server;
