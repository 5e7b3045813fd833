//! How the bytes of resources are packed. The room that zstd works in is kept: to make it takes longer than to use it once.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};

/// Resources are short and alike; more effort packs them little better.
const EFFORT: i32 = 1;

/// The longest resource, unpacked.
const LONGEST: usize = 256 << 20;

/// So many of each kind are kept at most.
const KEPT: usize = 4;

static PACKERS: Mutex<Vec<Compressor<'static>>> = Mutex::new(Vec::new());
static UNPACKERS: Mutex<Vec<Decompressor<'static>>> = Mutex::new(Vec::new());

pub(super) fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    with(&PACKERS, || Compressor::new(EFFORT), |packer| packer.compress(bytes))
}

pub(super) fn unpack(packed: &[u8]) -> io::Result<Bytes> {
    let length = Decompressor::upper_bound(packed).unwrap_or(LONGEST).min(LONGEST);
    with(&UNPACKERS, Decompressor::new, |unpacker| unpacker.decompress(packed, length)).map(Bytes::from)
}

/// Works with one that is kept, or with a new one. What failed is not kept.
fn with<P, T>(
    kept: &Mutex<Vec<P>>,
    new: impl FnOnce() -> io::Result<P>,
    work: impl FnOnce(&mut P) -> io::Result<T>,
) -> io::Result<T> {
    let known = lock(kept).pop();
    let mut packer = known.map_or_else(new, Ok)?;
    let done = work(&mut packer)?;
    let mut kept = lock(kept);
    if kept.len() < KEPT {
        kept.push(packer);
    }
    Ok(done)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_also_after_something_that_cannot_be_unpacked() {
        for bytes in [&b""[..], b"{}", &[7; 10_000]] {
            let packed = pack(bytes).unwrap();
            assert_eq!(unpack(&packed).unwrap(), bytes);
            assert!(unpack(&packed[..packed.len() - 1]).is_err(), "cut");
            assert_eq!(unpack(&packed).unwrap(), bytes);
        }
    }
}
