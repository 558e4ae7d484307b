//! One ELF file's facts, and the search of the dynamic loader, without running it.
