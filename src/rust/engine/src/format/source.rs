//! Where bytes are read from: memory, or a file of which only what is needed
//! is held at a time.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use hdf5_reader::error::Error as H5Error;
use hdf5_reader::storage::{Storage, StorageBuffer};

use super::bytes::Bytes;

/// How much of a file is read at a time where all of it is looked at.
const BLOCK: usize = 1 << 18;

#[derive(Clone)]
pub enum Source {
    Memory(Bytes),
    /// A part of a file.
    File {
        file: Arc<File>,
        start: u64,
        len: u64,
    },
}

impl Source {
    pub fn file(file: File) -> io::Result<Source> {
        Ok(Source::File {
            start: 0,
            len: file.metadata()?.len(),
            file: Arc::new(file),
        })
    }

    pub fn size(&self) -> u64 {
        match self {
            Source::Memory(bytes) => bytes.len() as u64,
            Source::File { len, .. } => *len,
        }
    }

    /// A part of this one, or `None` where it is out of bounds.
    pub fn slice(&self, at: u64, part: u64) -> Option<Source> {
        if at.checked_add(part)? > self.size() {
            return None;
        }
        Some(match self {
            Source::Memory(bytes) => {
                Source::Memory(bytes.slice(usize::try_from(at).ok()?, usize::try_from(part).ok()?)?)
            }
            Source::File { file, start, .. } => Source::File {
                file: file.clone(),
                start: start + at,
                len: part,
            },
        })
    }

    /// Fills the buffer with the bytes from a place on.
    pub fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        let inside = at
            .checked_add(out.len() as u64)
            .is_some_and(|end| end <= self.size());
        if !inside {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match self {
            Source::Memory(bytes) => {
                let at = at as usize;
                out.copy_from_slice(&bytes[at..at + out.len()]);
                Ok(())
            }
            Source::File { file, start, .. } => read_exact_at(file, out, start + at),
        }
    }

    /// All of it in memory.
    pub fn bytes(&self) -> io::Result<Bytes> {
        match self {
            Source::Memory(bytes) => Ok(bytes.clone()),
            Source::File { len, .. } => {
                let len = usize::try_from(*len).map_err(|_| io::ErrorKind::OutOfMemory)?;
                let mut all = vec![0; len];
                self.read_at(0, &mut all)?;
                Ok(Bytes::new(all))
            }
        }
    }

    /// The checksum that zip archives keep of it.
    pub fn crc32(&self) -> io::Result<u32> {
        let Source::File { len, .. } = self else {
            return Ok(crc32fast::hash(&self.bytes()?));
        };
        let mut hasher = crc32fast::Hasher::new();
        let mut block = vec![0; BLOCK.min(*len as usize)];
        let mut at = 0;
        while at < *len {
            let n = (*len - at).min(BLOCK as u64) as usize;
            self.read_at(at, &mut block[..n])?;
            hasher.update(&block[..n]);
            at += n as u64;
        }
        Ok(hasher.finalize())
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, out: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut out: &mut [u8], mut at: u64) -> io::Result<()> {
    while !out.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, out, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                out = &mut out[n..];
                at += n as u64;
            }
        }
    }
    Ok(())
}

impl Storage for Source {
    fn len(&self) -> u64 {
        self.size()
    }

    fn read_range(&self, offset: u64, len: usize) -> hdf5_reader::error::Result<StorageBuffer> {
        let part = self
            .slice(offset, len as u64)
            .ok_or(H5Error::UnexpectedEof {
                offset,
                needed: len as u64,
                available: self.size().saturating_sub(offset),
            })?;
        match part {
            Source::Memory(bytes) => StorageBuffer::from_shared_owner(Arc::new(bytes), 0, len),
            Source::File { .. } => {
                let mut out = vec![0; len];
                part.read_at(0, &mut out)?;
                Ok(StorageBuffer::from_vec(out))
            }
        }
    }
}

/// Reads a source from a place that moves.
pub struct Cursor {
    source: Source,
    at: u64,
}

impl Cursor {
    pub fn new(source: Source) -> Cursor {
        Cursor { source, at: 0 }
    }
}

impl Read for Cursor {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let rest = self.source.size().saturating_sub(self.at);
        let n = rest.min(out.len() as u64) as usize;
        self.source.read_at(self.at, &mut out[..n])?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.source.size().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
