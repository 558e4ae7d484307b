//! Writers: manifest to files.
