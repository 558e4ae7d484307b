//! Compressed layers: bytes go in as a tarball and come out as gzip (RFC 1952) or Zstandard
//! (RFC 8878), piece by piece. The same bytes give the same layer on every machine.

use crc32fast::Hasher;
use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress, create_comp_flags_from_zip_params,
};
use oci_spec::image::MediaType;
use sha2::{Digest, Sha256};
use std::io::{self, Write};

/// How an image's layer is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all: every engine loads it, and the layer is the tarball itself.
    #[default]
    None,
    /// As registries have it; every engine loads it.
    Gzip,
    /// Smaller and faster; Docker loads it from 23.0 on.
    Zstd,
}

impl Compression {
    /// What the OCI image specification calls such a layer.
    pub(super) fn media_type(self) -> MediaType {
        match self {
            Self::None => MediaType::ImageLayer,
            Self::Gzip => MediaType::ImageLayerGzip,
            Self::Zstd => MediaType::ImageLayerZstd,
        }
    }
}

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Compressed {
    pub(super) size: u64,
    pub(super) sha256: [u8; 32],
}

/// The level of gzip(1).
const GZIP_LEVEL: i32 = 6;
/// Magic, deflate, no flags, no time, no hint, no operating system: nothing that differs between
/// two runs.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// What is compressed into one frame: a decoder needs as much, and it is as far as a match reaches
/// at the level of zstd(1). A file of several frames is what `pzstd` writes too.
const FRAME: usize = 8 << 20;
const BUFFER: usize = 64 * 1024;

/// Compresses what is written to it.
pub(super) struct LayerWriter<'a> {
    out: Summed<'a>,
    method: Method,
}

enum Method {
    None,
    Gzip {
        deflate: Box<CompressorOxide>,
        sum: Hasher,
        /// Modulo 2^32, as the format has it.
        length: u32,
        buffer: Vec<u8>,
    },
    Zstd {
        compressor: Box<zstd_rs::Compressor>,
        content: Vec<u8>,
        frame: Vec<u8>,
        is_empty: bool,
    },
}

impl<'a> LayerWriter<'a> {
    /// Begins with nothing written.
    pub(super) fn new(compression: Compression, out: &'a mut dyn Write) -> io::Result<Self> {
        let mut out = Summed {
            out,
            sum: (compression != Compression::None).then(Sha256::new),
            size: 0,
        };
        let method = match compression {
            Compression::None => Method::None,
            Compression::Gzip => {
                out.write_all(&GZIP_HEADER)?;
                // Window bits below zero mean deflate without the frame of zlib.
                let flags = create_comp_flags_from_zip_params(GZIP_LEVEL, -15, 0);
                Method::Gzip {
                    deflate: Box::new(CompressorOxide::new(flags)),
                    sum: Hasher::new(),
                    length: 0,
                    buffer: vec![0; BUFFER],
                }
            }
            Compression::Zstd => {
                let config = zstd_rs::CompressionConfig {
                    checksum: true,
                    ..zstd_rs::CompressionConfig::DEFAULT
                };
                let compressor = zstd_rs::Compressor::new(config).map_err(zstd_error)?;
                Method::Zstd {
                    compressor: Box::new(compressor),
                    content: Vec::with_capacity(FRAME),
                    frame: Vec::new(),
                    is_empty: true,
                }
            }
        };
        Ok(Self { out, method })
    }

    /// Ends the layer. `None` where it is what was written.
    pub(super) fn finish(mut self) -> io::Result<Option<Compressed>> {
        match &mut self.method {
            Method::None => {}
            Method::Gzip {
                deflate,
                sum,
                length,
                buffer,
            } => {
                deflate_all(deflate, &[], TDEFLFlush::Finish, buffer, &mut self.out)?;
                self.out.write_all(&sum.clone().finalize().to_le_bytes())?;
                self.out.write_all(&length.to_le_bytes())?;
            }
            Method::Zstd {
                compressor,
                content,
                frame,
                is_empty,
            } => {
                if *is_empty || !content.is_empty() {
                    write_frame(compressor, content, frame, &mut self.out)?;
                }
            }
        }
        self.out.flush()?;
        let size = self.out.size;
        let sum = self.out.sum.map(|sum| sum.finalize().into());
        Ok(sum.map(|sha256| Compressed { size, sha256 }))
    }
}

impl Write for LayerWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.method {
            Method::None => self.out.write(bytes),
            Method::Gzip {
                deflate,
                sum,
                length,
                buffer,
            } => {
                deflate_all(deflate, bytes, TDEFLFlush::None, buffer, &mut self.out)?;
                sum.update(bytes);
                // The format keeps the low 32 bits.
                *length = length.wrapping_add(bytes.len() as u32);
                Ok(bytes.len())
            }
            Method::Zstd {
                compressor,
                content,
                frame,
                is_empty,
            } => {
                let taken = bytes.len().min(FRAME - content.len());
                content.extend_from_slice(bytes.get(..taken).unwrap_or(bytes));
                if content.len() >= FRAME {
                    write_frame(compressor, content, frame, &mut self.out)?;
                    *is_empty = false;
                }
                Ok(taken)
            }
        }
    }

    /// What makes no whole block yet waits for more.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn deflate_all(
    deflate: &mut CompressorOxide,
    mut bytes: &[u8],
    flush: TDEFLFlush,
    buffer: &mut [u8],
    out: &mut Summed,
) -> io::Result<()> {
    loop {
        let (status, taken, made) = compress(deflate, bytes, buffer, flush);
        out.write_all(buffer.get(..made).unwrap_or_default())?;
        bytes = bytes.get(taken..).unwrap_or_default();
        match status {
            TDEFLStatus::Done => return Ok(()),
            TDEFLStatus::Okay if bytes.is_empty() && flush == TDEFLFlush::None && made == 0 => {
                return Ok(());
            }
            TDEFLStatus::Okay => {}
            _ => return Err(io::Error::other("the layer cannot be compressed")),
        }
    }
}

fn write_frame(
    compressor: &mut zstd_rs::Compressor,
    content: &mut Vec<u8>,
    frame: &mut Vec<u8>,
    out: &mut Summed,
) -> io::Result<()> {
    frame.clear();
    compressor
        .compress(content, None, frame)
        .map_err(zstd_error)?;
    content.clear();
    out.write_all(frame)
}

fn zstd_error(error: zstd_rs::Error) -> io::Error {
    io::Error::other(format!("the layer cannot be compressed: {error:?}"))
}

/// Counts and hashes what comes out.
struct Summed<'a> {
    out: &'a mut dyn Write,
    /// `None` where nobody asks.
    sum: Option<Sha256>,
    size: u64,
}

impl Write for Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        if let Some(sum) = &mut self.sum {
            sum.update(bytes.get(..written).unwrap_or(bytes));
        }
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;

    fn compressed(compression: Compression, pieces: &[&[u8]]) -> (Vec<u8>, Option<Compressed>) {
        let mut out = Vec::new();
        let mut writer = LayerWriter::new(compression, &mut out).expect("begun");
        for piece in pieces {
            writer.write_all(piece).expect("written");
        }
        let summary = writer.finish().expect("finished");
        (out, summary)
    }

    /// By code that has nothing to do with what has written them.
    fn gunzipped(bytes: &[u8]) -> Vec<u8> {
        assert_eq!(&bytes[..10], &GZIP_HEADER);
        let (deflated, trailer) = bytes[10..].split_at(bytes.len() - 18);
        let content = miniz_oxide::inflate::decompress_to_vec(deflated).expect("deflated");
        let length = (content.len() as u32).to_le_bytes();
        let sum = crc32fast::hash(&content).to_le_bytes();
        assert_eq!(trailer, [sum, length].concat());
        content
    }

    fn unzstded(mut bytes: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        while !bytes.is_empty() {
            let mut decoder = ruzstd::decoding::StreamingDecoder::new(&mut bytes).expect("a frame");
            decoder.read_to_end(&mut content).expect("decoded");
        }
        content
    }

    #[test]
    fn it_comes_out_as_it_went_in_whatever_its_length() {
        let mut seed = 1u32;
        // Half of it can be compressed.
        let mut noise: Vec<u8> = (0..FRAME + 1)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8 & 0x0f
            })
            .collect();
        noise[BUFFER..3 * BUFFER].fill(0);
        for length in [0, 1, BUFFER + 1, FRAME, FRAME + 1] {
            let content = &noise[..length];
            let (gzip, summary) = compressed(Compression::Gzip, &[content]);
            assert!(gunzipped(&gzip) == content, "{length}");
            let sha256 = Sha256::digest(&gzip).into();
            let size = gzip.len() as u64;
            assert_eq!(summary, Some(Compressed { size, sha256 }));
            let (zstd, summary) = compressed(Compression::Zstd, &[content]);
            assert!(unzstded(&zstd) == content, "{length}");
            assert_eq!(summary.map(|it| it.size), Some(zstd.len() as u64));
            assert_eq!(
                compressed(Compression::None, &[content]),
                (content.to_vec(), None)
            );
        }
    }

    proptest! {
        #[test]
        fn the_pieces_in_which_it_is_written_make_no_difference(
            pieces in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..3000), 0..8),
        ) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let whole = pieces.concat();
            for compression in [Compression::Gzip, Compression::Zstd] {
                let (out, summary) = compressed(compression, &pieces);
                prop_assert_eq!(&(out.clone(), summary), &compressed(compression, &[&whole]));
                let content = match compression {
                    Compression::Gzip => gunzipped(&out),
                    _ => unzstded(&out),
                };
                prop_assert_eq!(content, whole.clone());
            }
        }
    }

    #[test]
    fn a_writer_that_is_full_is_told_of() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self
                    .0
                    .checked_sub(bytes.len())
                    .ok_or(io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let noise: Vec<u8> = (0..3u32 << 18)
            .flat_map(|at| (at.wrapping_mul(at)).to_le_bytes())
            .collect();
        for compression in [Compression::Gzip, Compression::Zstd] {
            let mut full = Full(20_000);
            let mut writer = LayerWriter::new(compression, &mut full).expect("begun");
            let written = writer
                .write_all(&noise)
                .and_then(|()| writer.finish().map(drop));
            assert_eq!(
                written.expect_err("full").kind(),
                io::ErrorKind::StorageFull
            );
        }
    }
}
