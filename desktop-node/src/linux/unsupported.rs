//! Stands in on systems that have no module of their own yet: the supervisor refuses to start.
