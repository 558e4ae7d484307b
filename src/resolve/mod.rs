//! Recording to manifest.
