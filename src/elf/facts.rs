//! The facts of one ELF file that the dynamic loader acts on, read from the few ranges that hold
//! them: a library of 150 MB costs some kilobytes.

use crate::image_fs::ReadAt;
use goblin::container::{Container, Ctx, Endian};
use goblin::elf::{self, Elf, ProgramHeader, dynamic as dt, header, program_header};
use std::io;

/// Enough for the header and, in nearly every file, all program headers.
const HEAD: usize = 4096;
/// A dynamic section beyond this is no real one; the largest seen are of a few kilobytes.
const MAX_DYNAMIC: u64 = 1 << 20;
/// The longest string that is followed to its NUL: an RPATH may list many directories.
const MAX_STRING: usize = 64 << 10;
/// Strings of one file lie close together, so they are read through a window of this size.
const WINDOW: usize = 4096;
/// EF_ARM_ABI_FLOAT_HARD and EF_ARM_ABI_FLOAT_SOFT of ELF for the Arm Architecture.
const EF_ARM_FLOAT: u32 = 0x600;
/// EF_RISCV_FLOAT_ABI of the RISC-V ELF psABI.
const EF_RISCV_FLOAT: u32 = 0x6;
/// EF_MIPS_ABI2: the n32 ABI.
const EF_MIPS_ABI2: u32 = 0x20;

/// Libraries that go before or beside this one (elf.h); goblin does not name them.
const DT_AUXILIARY: u64 = 0x7fff_fffd;
const DT_FILTER: u64 = 0x7fff_ffff;

/// Why a file that begins like ELF gave no facts.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// It could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Its bytes contradict elf(5).
    #[error("{0}")]
    Malformed(&'static str),
}

/// What must agree before two files can be loaded into one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// `e_machine` of elf(5).
    pub machine: u16,
    /// ELFCLASS64; otherwise ELFCLASS32.
    pub is_64: bool,
    /// ELFDATA2LSB; otherwise ELFDATA2MSB.
    pub little_endian: bool,
    /// The bits of `e_flags` that tell ABIs of one machine apart; 0 where there are none.
    pub abi: u32,
}

impl Target {
    fn new(header: &elf::Header, ctx: Ctx) -> Self {
        let mask = match header.e_machine {
            header::EM_ARM => EF_ARM_FLOAT,
            header::EM_RISCV => EF_RISCV_FLOAT,
            header::EM_MIPS => EF_MIPS_ABI2,
            _ => 0,
        };
        Self {
            machine: header.e_machine,
            is_64: ctx.container.is_big(),
            little_endian: ctx.is_little_endian(),
            abi: header.e_flags & mask,
        }
    }

    /// Whether a loader that runs `self` takes a file of `other`. Arm files of old toolchains
    /// name no float ABI and are taken by both.
    pub fn accepts(self, other: Target) -> bool {
        let unmarked = self.machine == header::EM_ARM && (self.abi == 0 || other.abi == 0);
        self == other || (unmarked && Target { abi: 0, ..self } == Target { abi: 0, ..other })
    }
}

/// `e_type` of elf(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElfKind {
    /// ET_EXEC: a program linked to fixed addresses.
    Executable,
    /// ET_DYN: a shared library or a position-independent program.
    Shared,
    /// ET_REL, ET_CORE and others, which no loader maps.
    Other,
}

/// How the loader treats a file that another one names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tag {
    /// DT_NEEDED: must be there.
    Needed,
    /// DT_FILTER: must be there, its symbols go first.
    Filter,
    /// DT_AUXILIARY: as a filter, but may be missing.
    Auxiliary,
}

/// What one ELF file tells the loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The machine and ABI it is for.
    pub target: Target,
    /// What kind of file it is.
    pub kind: ElfKind,
    /// PT_INTERP, the path of the loader that the kernel starts.
    pub interpreter: Option<Vec<u8>>,
    /// DT_SONAME.
    pub soname: Option<Vec<u8>>,
    /// DT_NEEDED, DT_FILTER and DT_AUXILIARY in the order of the file, tokens not expanded.
    pub wants: Vec<(Tag, Vec<u8>)>,
    /// DT_RPATH, tokens not expanded.
    pub rpath: Option<Vec<u8>>,
    /// DT_RUNPATH, tokens not expanded.
    pub runpath: Option<Vec<u8>>,
    /// DT_AUDIT: auditors that a program asks for, colon-separated (rtld-audit(7)).
    pub audit: Option<Vec<u8>>,
    /// DF_1_NODEFLIB: neither the default directories nor what the cache has of them.
    pub nodeflib: bool,
    /// DF_1_PIE: a position-independent program, also a static one.
    pub pie: bool,
}

impl Facts {
    /// Reads the facts. `None`: the file is not ELF.
    pub fn read(file: &dyn ReadAt) -> Result<Option<Self>, FactsError> {
        let head = file.bytes_at(0, HEAD)?;
        if !head.starts_with(header::ELFMAG) {
            return Ok(None);
        }
        let header = Elf::parse_header(&head).map_err(|_| malformed("bad ELF header"))?;
        let ctx = context(&header)?;
        let segments = segments(file, &head, &header, ctx)?;
        let mut facts = Self {
            target: Target::new(&header, ctx),
            kind: match header.e_type {
                header::ET_EXEC => ElfKind::Executable,
                header::ET_DYN => ElfKind::Shared,
                _ => ElfKind::Other,
            },
            interpreter: interpreter(file, &segments)?,
            soname: None,
            wants: Vec::new(),
            rpath: None,
            runpath: None,
            audit: None,
            nodeflib: false,
            pie: false,
        };
        if facts.kind != ElfKind::Other {
            facts.read_dynamic(file, &segments, ctx)?;
        }
        Ok(Some(facts))
    }

    /// The DT_NEEDED strings in order.
    pub fn needed(&self) -> impl Iterator<Item = &[u8]> {
        self.wants
            .iter()
            .filter(|(tag, _)| *tag == Tag::Needed)
            .map(|(_, name)| name.as_slice())
    }

    fn read_dynamic(
        &mut self,
        file: &dyn ReadAt,
        segments: &[ProgramHeader],
        ctx: Ctx,
    ) -> Result<(), FactsError> {
        let entries = dynamic(file, segments, ctx)?;
        let value = |tag| entries.iter().find(|(t, _)| *t == tag).map(|(_, v)| *v);
        let flags = value(dt::DT_FLAGS_1).unwrap_or(0);
        self.nodeflib = flags & dt::DF_1_NODEFLIB != 0;
        self.pie = flags & dt::DF_1_PIE != 0;
        let names_strings = entries.iter().any(|(tag, _)| {
            matches!(
                *tag,
                dt::DT_NEEDED
                    | dt::DT_SONAME
                    | dt::DT_RPATH
                    | dt::DT_RUNPATH
                    | DT_FILTER
                    | DT_AUXILIARY
                    | dt::DT_AUDIT
            )
        });
        if !names_strings {
            return Ok(());
        }
        let address = value(dt::DT_STRTAB).ok_or_else(|| malformed("no DT_STRTAB"))?;
        let table = file_offset(segments, address)
            .ok_or_else(|| malformed("DT_STRTAB outside the segments"))?;
        let mut strings = Strings::new(file, table);
        for (tag, value) in &entries {
            match *tag {
                dt::DT_NEEDED => self.wants.push((Tag::Needed, strings.at(*value)?)),
                DT_FILTER => self.wants.push((Tag::Filter, strings.at(*value)?)),
                DT_AUXILIARY => self.wants.push((Tag::Auxiliary, strings.at(*value)?)),
                dt::DT_SONAME => self.soname = Some(strings.at(*value)?),
                dt::DT_RPATH => self.rpath = Some(strings.at(*value)?),
                dt::DT_RUNPATH => self.runpath = Some(strings.at(*value)?),
                dt::DT_AUDIT => self.audit = Some(strings.at(*value)?),
                _ => {}
            }
        }
        Ok(())
    }
}

fn malformed(what: &'static str) -> FactsError {
    FactsError::Malformed(what)
}

fn context(header: &elf::Header) -> Result<Ctx, FactsError> {
    let container = match header.e_ident[header::EI_CLASS] {
        header::ELFCLASS32 => Container::Little,
        header::ELFCLASS64 => Container::Big,
        _ => return Err(malformed("bad ELF class")),
    };
    let endian = match header.e_ident[header::EI_DATA] {
        header::ELFDATA2LSB => Endian::Little,
        header::ELFDATA2MSB => Endian::Big,
        _ => return Err(malformed("bad ELF data encoding")),
    };
    Ok(Ctx::new(container, endian))
}

fn segments(
    file: &dyn ReadAt,
    head: &[u8],
    header: &elf::Header,
    ctx: Ctx,
) -> Result<Vec<ProgramHeader>, FactsError> {
    let count = usize::from(header.e_phnum);
    if count == 0 {
        return Ok(Vec::new());
    }
    let size = ProgramHeader::size(ctx);
    if usize::from(header.e_phentsize) != size {
        return Err(malformed("bad size of a program header"));
    }
    let length = count * size;
    let start = usize::try_from(header.e_phoff).unwrap_or(usize::MAX);
    let in_head = start
        .checked_add(length)
        .and_then(|end| head.get(start..end));
    let table = match in_head {
        Some(table) => table.to_vec(),
        None => file.bytes_at(header.e_phoff, length)?,
    };
    ProgramHeader::parse(&table, 0, count, ctx)
        .map_err(|_| malformed("program headers beyond the end of the file"))
}

fn interpreter(
    file: &dyn ReadAt,
    segments: &[ProgramHeader],
) -> Result<Option<Vec<u8>>, FactsError> {
    let Some(segment) = find(segments, program_header::PT_INTERP) else {
        return Ok(None);
    };
    let length = usize::try_from(segment.p_filesz)
        .unwrap_or(usize::MAX)
        .min(crate::image_path::PATH_MAX + 1);
    let mut path = file.bytes_at(segment.p_offset, length)?;
    let end = path.iter().position(|byte| *byte == 0);
    path.truncate(end.unwrap_or(path.len()));
    if path.is_empty() {
        return Err(malformed("empty PT_INTERP"));
    }
    Ok(Some(path))
}

fn find(segments: &[ProgramHeader], kind: u32) -> Option<&ProgramHeader> {
    segments.iter().find(|segment| segment.p_type == kind)
}

/// The entries of PT_DYNAMIC up to DT_NULL, as (tag, value).
fn dynamic(
    file: &dyn ReadAt,
    segments: &[ProgramHeader],
    ctx: Ctx,
) -> Result<Vec<(u64, u64)>, FactsError> {
    let Some(segment) = find(segments, program_header::PT_DYNAMIC) else {
        return Ok(Vec::new());
    };
    if segment.p_filesz > MAX_DYNAMIC {
        return Err(malformed("dynamic section too large"));
    }
    let length = usize::try_from(segment.p_filesz).unwrap_or(0);
    let bytes = file.bytes_at(segment.p_offset, length)?;
    // goblin looks the section up in the bytes of a whole file: these bytes begin with it.
    let mut alone = segment.clone();
    alone.p_offset = 0;
    alone.p_filesz = bytes.len() as u64;
    let parsed =
        elf::Dynamic::parse(&bytes, &[alone], ctx).map_err(|_| malformed("bad dynamic section"))?;
    Ok(parsed
        .map(|dynamic| dynamic.dyns)
        .unwrap_or_default()
        .into_iter()
        .take_while(|entry| entry.d_tag != dt::DT_NULL)
        .map(|entry| (entry.d_tag, entry.d_val))
        .collect())
}

/// Where the byte at a virtual address lies in the file.
fn file_offset(segments: &[ProgramHeader], address: u64) -> Option<u64> {
    segments
        .iter()
        .filter(|segment| segment.p_type == program_header::PT_LOAD)
        .find_map(|segment| {
            let inside = address.checked_sub(segment.p_vaddr)?;
            (inside < segment.p_filesz).then(|| segment.p_offset.checked_add(inside))?
        })
}

/// NUL-terminated strings of a table in the file.
struct Strings<'a> {
    file: &'a dyn ReadAt,
    table: u64,
    window: Vec<u8>,
    window_start: u64,
}

impl<'a> Strings<'a> {
    fn new(file: &'a dyn ReadAt, table: u64) -> Self {
        Self {
            file,
            table,
            window: Vec::new(),
            window_start: 0,
        }
    }

    fn at(&mut self, offset: u64) -> Result<Vec<u8>, FactsError> {
        let start = self
            .table
            .checked_add(offset)
            .ok_or_else(|| malformed("string outside the file"))?;
        if let Some(string) = self.in_window(start) {
            return Ok(string);
        }
        // Half the window before it: linkers sort strings by their ends, not by their use.
        self.window_start = start.saturating_sub(WINDOW as u64 / 2);
        self.window = self.file.bytes_at(self.window_start, WINDOW)?;
        if let Some(string) = self.in_window(start) {
            return Ok(string);
        }
        let mut bytes = self.file.bytes_at(start, MAX_STRING)?;
        let end = bytes
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(|| malformed("string without an end"))?;
        bytes.truncate(end);
        Ok(bytes)
    }

    fn in_window(&self, start: u64) -> Option<Vec<u8>> {
        let skip = usize::try_from(start.checked_sub(self.window_start)?).ok()?;
        let rest = self.window.get(skip..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        Some(rest[..end].to_vec())
    }
}

#[cfg(test)]
mod tests;
