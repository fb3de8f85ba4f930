//! Hashes, checksums of nothing but values, and new UUIDs.

use super::super::{Kernel, Overload, ScalarFunction};
use super::{aliased, entry};
use crate::types::{DataType, parse::uuid_from_bits};
use crate::vector::{Validity, hash_vector};

pub const TABLE: &[ScalarFunction] =
    &[entry("hash", hash), aliased("gen_random_uuid", &["randomUUID", "uuid_generate_v4"], random_uuid)];

fn hash(types: &[DataType]) -> Option<Overload> {
    let [only] = types else { return None };
    let kernel: Kernel = |_, call, out| {
        let mut hashes = Vec::new();
        hash_vector(&call.arguments[0], &call.function.arguments[0], call.length, &mut hashes);
        let write = |to: &mut Vec<u64>| {
            to.extend_from_slice(&hashes);
            Ok(())
        };
        let written = out.fill(call.length, Validity::AllValid, write);
        written.unwrap_or_else(|| Err(super::super::kernel::mistyped(call.function.name)))
    };
    Some(Overload::new([only.clone()], DataType::UInt64, kernel).seeing_nulls())
}

/// Version 4, from the operating system's randomness.
fn random_uuid(types: &[DataType]) -> Option<Overload> {
    let kernel: Kernel = |_, call, out| {
        (0..call.length).for_each(|_| out.push(uuid_from_bits(uuid::Uuid::new_v4().as_u128())));
        Ok(())
    };
    types.is_empty().then(|| Overload::new([], DataType::Uuid, kernel).volatile())
}
