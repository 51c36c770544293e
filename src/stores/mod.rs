//! Floor 3: the capabilities. One folder each, with the same file names; none imports another.

pub mod sessions;
