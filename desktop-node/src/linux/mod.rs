//! What only Linux has: reaping with usage, process trees through `/proc`, cgroups, signals.
