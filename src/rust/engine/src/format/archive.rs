//! Zip archives.

use std::io::Read;

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::bytes::Bytes;
use super::source::{Cursor, Source};
use super::{damaged, io_error, unknown_format};
use crate::error::{Error, Result};

/// Deflate can't expand a byte to more than this many.
const MAX_EXPANSION: u64 = 1032;

/// No member is read that declares more than 64 GB.
const MAX_MEMBER: u64 = 64 << 30;

pub struct Archive<'a> {
    source: Source,
    zip: ZipArchive<Cursor>,
    label: &'a str,
}

impl<'a> Archive<'a> {
    pub fn open(source: Source, label: &'a str) -> Result<Self> {
        let zip = ZipArchive::new(Cursor::new(source.clone()))
            .map_err(|e| zip_error(e, "its archive", label))?;
        Ok(Archive { source, zip, label })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.zip
            .file_names_raw()
            .filter_map(|n| std::str::from_utf8(n).ok())
    }

    pub fn has(&self, name: &str) -> bool {
        self.zip.index_for_name(name).is_some()
    }

    /// The bytes of a member, checked against its CRC.
    pub fn read(&mut self, name: &str) -> Result<Bytes> {
        let member = self.member(name)?;
        member.bytes().map_err(|e| io_error(&e, self.label))
    }

    /// A member, checked against its CRC. A stored member is a part of the
    /// archive itself.
    pub fn member(&mut self, name: &str) -> Result<Source> {
        let what = format!("its member '{name}'");
        let label = self.label;
        let bad = |reason: &str| damaged(label, format!("{what} {reason}"));
        let raw = self
            .zip
            .by_name(name)
            .map_err(|e| zip_error(e, &what, label))?;
        let (size, packed, crc) = (raw.size(), raw.compressed_size(), raw.crc32());
        if size > MAX_MEMBER || size > packed.saturating_mul(MAX_EXPANSION) {
            return Err(bad("declares an impossible size"));
        }
        if raw.compression() == CompressionMethod::Stored {
            let part = raw
                .data_start()
                .filter(|_| size == packed)
                .and_then(|start| self.source.slice(start, size))
                .ok_or_else(|| bad("is cut short"))?;
            if part.crc32().map_err(|e| io_error(&e, label))? != crc {
                return Err(bad("fails its checksum"));
            }
            return Ok(part);
        }
        if raw.compression() != CompressionMethod::Deflated {
            let how = raw.compression();
            let reason = format!("{what} is compressed in a way that isn't known ({how})");
            return Err(unknown_format(label, reason));
        }
        let mut out = Vec::new();
        raw.take(size + 1)
            .read_to_end(&mut out)
            .map_err(|e| bad(&format!("can't be unpacked ({e})")))?;
        if out.len() as u64 != size {
            return Err(bad("has another size than it declares"));
        }
        if crc32fast::hash(&out) != crc {
            return Err(bad("fails its checksum"));
        }
        Ok(Source::Memory(Bytes::new(out)))
    }
}

fn zip_error(e: ZipError, what: &str, label: &str) -> Error {
    match e {
        ZipError::UnsupportedArchive(reason) if reason == ZipError::PASSWORD_REQUIRED => {
            unknown_format(label, format!("{what} is encrypted"))
        }
        ZipError::UnsupportedArchive(reason) => {
            unknown_format(label, format!("{what} is of an unknown kind ({reason})"))
        }
        ZipError::InvalidArchive(_) => damaged(label, format!("{what} has no valid directory")),
        e => damaged(label, format!("{what} can't be read ({e})")),
    }
}
