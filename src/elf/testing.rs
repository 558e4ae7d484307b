//! ELF files built for tests (a header, one segment over the whole file, PT_INTERP, PT_DYNAMIC)
//! and images of them with a glibc loader.

use super::{Closure, Cpu, Loader, LoaderEnv, ObjectKind};
use crate::image_fs::MemFs;
use crate::image_path::ImagePath;
use goblin::elf::dynamic as dt;
use goblin::elf::header::{EM_386, EM_X86_64, ET_DYN};

pub(super) const LD: &str = "/lib64/ld-linux-x86-64.so.2";

pub(super) fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("absolute")
}

pub(super) fn lib() -> ElfFile {
    ElfFile::x86_64()
}

pub(super) fn program() -> ElfFile {
    ElfFile::x86_64().interpreter(LD)
}

/// An image with a loader that was built to search `/lib64` and `/usr/lib64`.
pub(super) fn image() -> MemFs {
    let mut loader = lib().soname("ld-linux-x86-64.so.2").build();
    loader.extend_from_slice(b"\0/lib64/\0/usr/lib64/\0");
    MemFs::new().program(LD, loader)
}

pub(super) fn closure_on(fs: &MemFs, level: u8, file: &str, env: &LoaderEnv) -> Closure {
    let cpu = Cpu {
        x86_64_level: level,
    };
    Loader::for_cpu(fs, cpu)
        .closure(&path(file), None, env)
        .expect("an ELF file")
}

pub(super) fn closure(fs: &MemFs, file: &str) -> Closure {
    closure_on(fs, 3, file, &LoaderEnv::default())
}

pub(super) fn paths(closure: &Closure) -> Vec<String> {
    closure
        .objects
        .iter()
        .map(|object| object.path.to_string())
        .collect()
}

pub(super) fn of_kind(closure: &Closure, kind: ObjectKind) -> Vec<String> {
    let mut closure = closure.clone();
    closure.objects.retain(|object| object.kind == kind);
    paths(&closure)
}

pub(super) fn missing(closure: &Closure) -> Vec<String> {
    closure
        .missing
        .iter()
        .map(|missing| String::from_utf8_lossy(&missing.name).into_owned())
        .collect()
}

/// What a built file holds. Methods take and give it, as a chain.
#[derive(Clone)]
pub(super) struct ElfFile {
    pub(super) machine: u16,
    pub(super) is_64: bool,
    pub(super) little: bool,
    pub(super) kind: u16,
    pub(super) flags: u32,
    pub(super) interpreter: Option<String>,
    pub(super) strings: Vec<(u64, String)>,
    pub(super) flags_1: u64,
    /// Zero bytes between the header and what it points to.
    pub(super) gap: usize,
}

impl ElfFile {
    pub(super) fn x86_64() -> Self {
        Self {
            machine: EM_X86_64,
            is_64: true,
            little: true,
            kind: ET_DYN,
            flags: 0,
            interpreter: None,
            strings: Vec::new(),
            flags_1: 0,
            gap: 0,
        }
    }

    pub(super) fn i386() -> Self {
        Self {
            machine: EM_386,
            is_64: false,
            ..Self::x86_64()
        }
    }

    pub(super) fn interpreter(mut self, path: &str) -> Self {
        self.interpreter = Some(path.into());
        self
    }

    pub(super) fn string(mut self, tag: u64, value: &str) -> Self {
        self.strings.push((tag, value.into()));
        self
    }

    pub(super) fn needs(self, name: &str) -> Self {
        self.string(dt::DT_NEEDED, name)
    }

    pub(super) fn soname(self, name: &str) -> Self {
        self.string(dt::DT_SONAME, name)
    }

    pub(super) fn rpath(self, list: &str) -> Self {
        self.string(dt::DT_RPATH, list)
    }

    pub(super) fn runpath(self, list: &str) -> Self {
        self.string(dt::DT_RUNPATH, list)
    }

    pub(super) fn flags_1(mut self, flags: u64) -> Self {
        self.flags_1 |= flags;
        self
    }

    /// The file's bytes.
    pub(super) fn build(&self) -> Vec<u8> {
        let (header_size, segment_size) = if self.is_64 { (64, 56) } else { (52, 32) };
        let segments_end = header_size + 3 * segment_size;
        let interpreter_at = segments_end + self.gap;
        let interpreter = self.interpreter.clone().unwrap_or_default();
        let strings_at = interpreter_at + interpreter.len() + 1;
        let (table, mut entries) = self.string_table();
        entries.push((dt::DT_STRTAB, strings_at as u64));
        if self.flags_1 != 0 {
            entries.push((dt::DT_FLAGS_1, self.flags_1));
        }
        entries.push((dt::DT_NULL, 0));
        let dynamic_at = strings_at + table.len();
        let word = if self.is_64 { 8 } else { 4 };
        let dynamic_size = entries.len() * 2 * word;
        let end = dynamic_at + dynamic_size;

        let mut out = Bytes {
            little: self.little,
            is_64: self.is_64,
            bytes: Vec::new(),
        };
        self.header(&mut out, header_size, segment_size);
        out.segment(1, 0, end);
        match self.interpreter {
            Some(_) => out.segment(3, interpreter_at, interpreter.len() + 1),
            None => out.segment(0, 0, 0),
        }
        out.segment(2, dynamic_at, dynamic_size);
        out.bytes.resize(interpreter_at, 0);
        out.bytes.extend_from_slice(interpreter.as_bytes());
        out.bytes.push(0);
        out.bytes.extend_from_slice(&table);
        for (tag, value) in entries {
            out.word(tag);
            out.word(value);
        }
        out.bytes
    }

    fn string_table(&self) -> (Vec<u8>, Vec<(u64, u64)>) {
        let mut table = vec![0];
        let mut entries = Vec::new();
        for (tag, value) in &self.strings {
            entries.push((*tag, table.len() as u64));
            table.extend_from_slice(value.as_bytes());
            table.push(0);
        }
        (table, entries)
    }

    fn header(&self, out: &mut Bytes, header_size: usize, segment_size: usize) {
        let class = if self.is_64 { 2 } else { 1 };
        let order = if self.little { 1 } else { 2 };
        out.bytes.extend_from_slice(b"\x7fELF");
        out.bytes.extend_from_slice(&[class, order, 1]);
        out.bytes.resize(16, 0);
        out.half(self.kind);
        out.half(self.machine);
        out.u32(1);
        out.word(0);
        out.word(header_size as u64);
        out.word(0);
        out.u32(self.flags);
        out.half(header_size as u16);
        out.half(segment_size as u16);
        out.half(3);
        out.half(0);
        out.half(0);
        out.half(0);
    }
}

struct Bytes {
    little: bool,
    is_64: bool,
    bytes: Vec<u8>,
}

impl Bytes {
    fn half(&mut self, value: u16) {
        let bytes = if self.little {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        };
        self.bytes.extend_from_slice(&bytes);
    }

    fn u32(&mut self, value: u32) {
        let bytes = if self.little {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        };
        self.bytes.extend_from_slice(&bytes);
    }

    fn word(&mut self, value: u64) {
        if !self.is_64 {
            return self.u32(value as u32);
        }
        let bytes = if self.little {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        };
        self.bytes.extend_from_slice(&bytes);
    }

    /// A program header that maps the file to its own offsets.
    fn segment(&mut self, kind: u32, at: usize, size: usize) {
        self.u32(kind);
        if self.is_64 {
            self.u32(4);
        }
        for value in [at, at, at, size, size] {
            self.word(value as u64);
        }
        if !self.is_64 {
            self.u32(4);
        }
        self.word(8);
    }
}
