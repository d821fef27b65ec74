//! Files below a directory, without following links.
