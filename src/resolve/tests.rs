//! The rules of the resolver, over trees in memory.
