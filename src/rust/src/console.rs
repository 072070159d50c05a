//! The terminal that R writes to.

use std::os::raw::c_ulong;

/// The number of the request for a terminal's size, where it is known.
const SIZE: Option<c_ulong> = if cfg!(target_os = "macos") {
    Some(0x4008_7468)
} else if cfg!(all(
    target_os = "linux",
    not(any(
        target_arch = "mips",
        target_arch = "mips64",
        target_arch = "powerpc",
        target_arch = "powerpc64",
        target_arch = "sparc64"
    ))
)) {
    Some(0x5413)
} else {
    None
};

/// How many characters go on a line, or 0 where that isn't known.
pub fn columns() -> i32 {
    SIZE.map_or(0, size::columns)
}

#[cfg(unix)]
mod size {
    use std::os::raw::{c_int, c_ulong, c_ushort};

    #[repr(C)]
    #[derive(Default)]
    struct Size {
        rows: c_ushort,
        columns: c_ushort,
        width: c_ushort,
        height: c_ushort,
    }

    extern "C" {
        fn ioctl(file: c_int, request: c_ulong, ...) -> c_int;
    }

    pub fn columns(request: c_ulong) -> i32 {
        let mut size = Size::default();
        // SAFETY: the request writes a `Size` to the pointer, or fails.
        match unsafe { ioctl(1, request, std::ptr::from_mut(&mut size)) } {
            0 => i32::from(size.columns),
            _ => 0,
        }
    }
}

#[cfg(not(unix))]
mod size {
    pub fn columns(_: std::os::raw::c_ulong) -> i32 {
        0
    }
}
