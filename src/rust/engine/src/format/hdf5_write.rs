//! Writes HDF5: groups, and arrays of numbers in one piece.
//!
//! The file has a superblock of version 0, object headers of version 1 with
//! links in them, and contiguous little-endian data after all headers, which is
//! streamed.

use std::io::{self, Write};

use crate::tensor::{DType, Tensor};

/// A group: its datasets and its groups, by name.
#[derive(Default)]
pub struct Group<'a> {
    pub datasets: Vec<(String, &'a Tensor)>,
    pub groups: Vec<(String, Group<'a>)>,
}

const UNDEFINED: u64 = u64::MAX;
const SUPERBLOCK: usize = 96;
const ALIGN: u64 = 8;

/// Messages of object headers.
const DATASPACE: u16 = 0x1;
const LINK_INFO: u16 = 0x2;
const DATATYPE: u16 = 0x3;
const FILL_VALUE: u16 = 0x5;
const LINK: u16 = 0x6;
const LAYOUT: u16 = 0x8;
const GROUP_INFO: u16 = 0xa;
const ATTRIBUTE: u16 = 0xc;

/// Writes a file.
///
/// # Errors
/// Where the target can't be written; `InvalidInput` for strings, which have no
/// fixed size, and for a group with more members than a header can name.
pub fn write(root: &Group, out: &mut dyn Write) -> io::Result<()> {
    let mut headers = Headers::default();
    headers.bytes.resize(SUPERBLOCK, 0);
    let text = headers.heap();
    let root = headers.group(root, text)?;
    let data_start = (headers.bytes.len() as u64).next_multiple_of(ALIGN);
    let end = data_start + headers.data;
    for at in &headers.addresses {
        let place: [u8; 8] = headers.bytes[*at..*at + 8].try_into().unwrap_or_default();
        let address = u64::from_le_bytes(place) + data_start;
        headers.bytes[*at..*at + 8].copy_from_slice(&address.to_le_bytes());
    }
    headers.bytes[..SUPERBLOCK].copy_from_slice(&superblock(root, end));
    headers.bytes.resize(data_start as usize, 0);
    out.write_all(&headers.bytes)?;
    for tensor in headers.tensors {
        let bytes = tensor.bytes();
        out.write_all(bytes)?;
        let padding = (bytes.len() as u64).next_multiple_of(ALIGN) - bytes.len() as u64;
        out.write_all(&[0; ALIGN as usize][..padding as usize])?;
    }
    Ok(())
}

fn superblock(root: u64, end: u64) -> [u8; SUPERBLOCK] {
    let mut b = Vec::with_capacity(SUPERBLOCK);
    b.extend_from_slice(b"\x89HDF\r\n\x1a\n");
    b.extend_from_slice(&[0, 0, 0, 0, 0, 8, 8, 0]);
    b.extend_from_slice(&4u16.to_le_bytes());
    b.extend_from_slice(&16u16.to_le_bytes());
    b.extend_from_slice(&[0; 4]);
    for address in [0, UNDEFINED, end, UNDEFINED] {
        b.extend_from_slice(&address.to_le_bytes());
    }
    // the root's entry: name, header, nothing cached
    b.extend_from_slice(&0u64.to_le_bytes());
    b.extend_from_slice(&root.to_le_bytes());
    let mut block = [0; SUPERBLOCK];
    block[..b.len()].copy_from_slice(&b);
    block
}

#[derive(Default)]
struct Headers<'a> {
    bytes: Vec<u8>,
    /// Where addresses of data stand in the headers, counted from the data's start.
    addresses: Vec<usize>,
    tensors: Vec<&'a Tensor>,
    /// Bytes of data so far.
    data: u64,
}

/// What Keras writes beside arrays of a type that HDF5 doesn't have.
const BFLOAT16: &[u8] = b"bfloat16";

impl<'a> Headers<'a> {
    /// The heap of the one text that attributes hold; its address.
    fn heap(&mut self) -> u64 {
        const SIZE: u64 = 4096;
        let at = self.bytes.len();
        let object = 16 + BFLOAT16.len() as u64;
        self.bytes.extend_from_slice(b"GCOL\x01\0\0\0");
        self.bytes.extend_from_slice(&SIZE.to_le_bytes());
        self.bytes.extend_from_slice(&[1, 0, 1, 0, 0, 0, 0, 0]);
        self.bytes
            .extend_from_slice(&(BFLOAT16.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(BFLOAT16);
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes
            .extend_from_slice(&(SIZE - 16 - object).to_le_bytes());
        self.bytes.resize(at + SIZE as usize, 0);
        at as u64
    }

    /// Writes the headers below a group and its own; the address of the latter.
    fn group(&mut self, group: &Group<'a>, text: u64) -> io::Result<u64> {
        let mut links = Vec::new();
        for (name, tensor) in &group.datasets {
            links.push((name, self.dataset(tensor, text)?));
        }
        for (name, child) in &group.groups {
            links.push((name, self.group(child, text)?));
        }
        let mut info = vec![0, 0];
        info.extend_from_slice(&UNDEFINED.to_le_bytes());
        info.extend_from_slice(&UNDEFINED.to_le_bytes());
        let mut messages = vec![(LINK_INFO, info), (GROUP_INFO, vec![0, 0])];
        for (name, address) in links {
            // a name of UTF-8 with a length of two bytes
            let mut link = vec![1, 0x11, 1];
            let len = u16::try_from(name.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
            link.extend_from_slice(&len.to_le_bytes());
            link.extend_from_slice(name.as_bytes());
            link.extend_from_slice(&address.to_le_bytes());
            messages.push((LINK, link));
        }
        self.header(&messages, None)
    }

    fn dataset(&mut self, tensor: &'a Tensor, text: u64) -> io::Result<u64> {
        let shape = tensor.shape();
        let mut space = vec![1, shape.len() as u8, 0, 0, 0, 0, 0, 0];
        for &d in shape {
            space.extend_from_slice(&(d as u64).to_le_bytes());
        }
        let bytes = tensor.bytes().len() as u64;
        let mut layout = vec![3, 1];
        // an array without elements has no place
        let place = if bytes == 0 { UNDEFINED } else { self.data };
        layout.extend_from_slice(&place.to_le_bytes());
        layout.extend_from_slice(&bytes.to_le_bytes());
        let mut messages = vec![
            (DATASPACE, space),
            (DATATYPE, datatype(tensor.dtype())?),
            (FILL_VALUE, vec![2, 2, 2, 1, 0, 0, 0, 0]),
        ];
        if tensor.dtype() == DType::BF16 {
            messages.push((ATTRIBUTE, type_attribute(text)));
        }
        messages.push((LAYOUT, layout));
        if bytes > 0 {
            self.tensors.push(tensor);
            self.data += bytes.next_multiple_of(ALIGN);
        }
        self.header(&messages, (bytes > 0).then_some(2))
    }

    /// Writes an object header; `address` is where in the last message the
    /// place of data stands.
    fn header(&mut self, messages: &[(u16, Vec<u8>)], address: Option<usize>) -> io::Result<u64> {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = self.bytes.len();
        let count = u16::try_from(messages.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.bytes.extend_from_slice(&[1, 0]);
        self.bytes.extend_from_slice(&count.to_le_bytes());
        self.bytes.extend_from_slice(&1u32.to_le_bytes());
        self.bytes.extend_from_slice(&[0; 8]);
        let start = self.bytes.len();
        let mut last = start;
        for (kind, body) in messages {
            let size = u16::try_from(body.len().next_multiple_of(8))
                .map_err(|_| io::ErrorKind::InvalidInput)?;
            self.bytes.extend_from_slice(&kind.to_le_bytes());
            self.bytes.extend_from_slice(&size.to_le_bytes());
            self.bytes.extend_from_slice(&[0; 4]);
            last = self.bytes.len();
            self.bytes.extend_from_slice(body);
            self.bytes.resize(last + size as usize, 0);
        }
        let size = (self.bytes.len() - start) as u32;
        self.bytes[at + 8..at + 12].copy_from_slice(&size.to_le_bytes());
        self.addresses.extend(address.map(|a| last + a));
        Ok(at as u64)
    }
}

fn datatype(dtype: DType) -> io::Result<Vec<u8>> {
    let size = dtype.size() as u32;
    let bits = 8 * size as u16;
    let head = |class: u8, flags: [u8; 3]| {
        let mut b = vec![0x10 | class, flags[0], flags[1], flags[2]];
        b.extend_from_slice(&size.to_le_bytes());
        b
    };
    let integer = |signed: bool| {
        let mut b = head(0, [if signed { 8 } else { 0 }, 0, 0]);
        b.extend_from_slice(&0u16.to_le_bytes());
        b.extend_from_slice(&bits.to_le_bytes());
        b
    };
    // the sizes of exponent and mantissa, and the exponent's bias
    let float = |exponent: u8, mantissa: u8, bias: u32| {
        let mut b = head(1, [0x20, bits as u8 - 1, 0]);
        b.extend_from_slice(&0u16.to_le_bytes());
        b.extend_from_slice(&bits.to_le_bytes());
        b.extend_from_slice(&[mantissa, exponent, 0, mantissa]);
        b.extend_from_slice(&bias.to_le_bytes());
        b
    };
    Ok(match dtype {
        DType::F16 => float(5, 10, 15),
        DType::F32 => float(8, 23, 127),
        DType::F64 => float(11, 52, 1023),
        DType::U8 | DType::U16 | DType::U32 | DType::U64 => integer(false),
        DType::I8 | DType::I16 | DType::I32 | DType::I64 => integer(true),
        // as h5py keeps them: FALSE and TRUE of one byte
        DType::Bool => {
            let mut b = head(8, [2, 0, 0]);
            b.extend_from_slice(&integer(true));
            b.extend_from_slice(b"FALSE\0\0\0TRUE\0\0\0\0\0\x01");
            b
        }
        // opaque, with an empty tag
        DType::BF16 => head(5, [0, 0, 0]),
        DType::C64 | DType::C128 | DType::Str => return Err(io::ErrorKind::InvalidInput.into()),
    })
}

/// The attribute `dtype` with the text of the heap.
fn type_attribute(heap: u64) -> Vec<u8> {
    const NAME: &[u8] = b"dtype\0\0\0";
    let mut kind = vec![0x19, 0x01, 0x01, 0, 16, 0, 0, 0];
    kind.extend_from_slice(&[0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0]);
    let space = [1, 0, 0, 0, 0, 0, 0, 0];
    let mut b = vec![1, 0];
    for size in [6, kind.len(), space.len()] {
        b.extend_from_slice(&(size as u16).to_le_bytes());
    }
    b.extend_from_slice(NAME);
    kind.resize(kind.len().next_multiple_of(8), 0);
    b.extend_from_slice(&kind);
    b.extend_from_slice(&space);
    b.extend_from_slice(&(BFLOAT16.len() as u32).to_le_bytes());
    b.extend_from_slice(&heap.to_le_bytes());
    b.extend_from_slice(&1u32.to_le_bytes());
    b
}
