//! A closure as text, line by line as `ld.so --list` prints it.

use super::{Closure, Object, ObjectKind};
use crate::image_path::{Escaped, ImagePath};
use std::io;

/// Writes the interpreter, then each object, then what is missing, one tab-indented line each.
/// Names of the image are escaped, so that a line stays a line.
///
/// # Errors
/// What `out` says.
pub fn describe(closure: &Closure, file: &ImagePath, out: &mut impl io::Write) -> io::Result<()> {
    let is_empty = closure.objects.is_empty() && closure.missing.is_empty();
    match &closure.interpreter {
        Some(interpreter) => writeln!(out, "\t{interpreter}")?,
        None if is_empty => writeln!(out, "\tstatically linked")?,
        None => {}
    }
    for object in &closure.objects {
        describe_object(object, out)?;
    }
    for missing in &closure.missing {
        write!(out, "\t{} => not found", Escaped(&missing.name))?;
        if missing.needed_by != *file {
            write!(out, " (needed by {})", missing.needed_by)?;
        }
        if let Some(hint) = &missing.hint {
            write!(out, " ({hint} is not in ld.so.cache: run ldconfig)")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn describe_object(object: &Object, out: &mut impl io::Write) -> io::Result<()> {
    let note = match object.kind {
        ObjectKind::Loaded => "",
        ObjectKind::SameFile => " (same file)",
        ObjectKind::Alternative => " (on other processors)",
    };
    if object.name.contains(&b'/') {
        return writeln!(out, "\t{}{note}", object.path);
    }
    writeln!(out, "\t{} => {}{note}", Escaped(&object.name), object.path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::Missing;

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text).expect("absolute")
    }

    fn described(closure: &Closure) -> String {
        let mut out = Vec::new();
        describe(closure, &path("/bin/app"), &mut out).expect("memory takes all");
        String::from_utf8(out).expect("escaped")
    }

    #[test]
    fn lines_are_those_of_the_loader_with_notes_where_it_has_none() {
        let object = |name: &str, at: &str, kind| Object {
            name: name.into(),
            path: path(at),
            needed_by: path("/bin/app"),
            kind,
        };
        let closure = Closure {
            interpreter: Some(path("/lib64/ld.so")),
            objects: vec![
                object("libc.so.6", "/lib/libc.so.6", ObjectKind::Loaded),
                object("/opt/x.so", "/opt/x.so", ObjectKind::Loaded),
                object("libv.so", "/lib/v3/libv.so", ObjectKind::Alternative),
            ],
            missing: vec![Missing {
                name: b"lib\n.so".to_vec(),
                needed_by: path("/opt/x.so"),
                hint: Some(path("/opt/lib/x")),
            }],
            consulted: Vec::new(),
        };
        assert_eq!(
            described(&closure),
            "\t/lib64/ld.so\n\
             \tlibc.so.6 => /lib/libc.so.6\n\
             \t/opt/x.so\n\
             \tlibv.so => /lib/v3/libv.so (on other processors)\n\
             \tlib\\n.so => not found (needed by /opt/x.so) \
             (/opt/lib/x is not in ld.so.cache: run ldconfig)\n"
        );
    }

    #[test]
    fn a_static_file_says_so() {
        assert_eq!(described(&Closure::default()), "\tstatically linked\n");
    }
}
