//! ELF files built for tests.
