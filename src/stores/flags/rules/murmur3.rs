//! MurmurHash3, the 32-bit variant for x86, with seed 0: what flagd puts people into buckets with. Ours, because the
//! crates for it read blocks through pointers or are no longer kept.

const FIRST: u32 = 0xcc9e_2d51;
const SECOND: u32 = 0x1b87_3593;

/// The hash of the bytes.
pub(super) fn hash(bytes: &[u8]) -> u32 {
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut state = blocks.iter().fold(0_u32, |state, block| {
        (state ^ scramble(u32::from_le_bytes(*block))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    // The bytes that fill no block count as the low ones of a block of zeros; with none of them this changes nothing.
    state ^= scramble(tail.iter().rev().fold(0, |block, byte| (block << 8) | u32::from(*byte)));
    // The algorithm counts the length in 32 bits.
    state ^= bytes.len() as u32;
    state = (state ^ (state >> 16)).wrapping_mul(0x85eb_ca6b);
    state = (state ^ (state >> 13)).wrapping_mul(0xc2b2_ae35);
    state ^ (state >> 16)
}

fn scramble(block: u32) -> u32 {
    block.wrapping_mul(FIRST).rotate_left(15).wrapping_mul(SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_published_hash() {
        for (text, expected) in [
            ("", 0),
            ("a", 0x3c25_69b2),
            ("ab", 0x9bbf_d75f),
            ("abc", 0xb3dd_93fa),
            ("test", 0xba6b_d213),
            ("Hello, world!", 0xc036_3e43),
            ("The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
            ("headerColorrachel@faas.com", 0x6b9f_c846),
            ("headerColormonica@faas.com", 0xc592_0f6f),
            ("headerColorjoey@faas.com", 0x1273_db27),
            ("headerColorross@faas.com", 0x5f1c_730d),
        ] {
            assert_eq!(hash(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(hash(&[0xff; 4]), 0x7629_3b50);
        assert_eq!(hash(&[0x21, 0x43, 0x65, 0x87]), 0xf55b_516b);
        assert_eq!(hash(&[0x21, 0x43, 0x65]), 0x7e4a_8634);
        assert_eq!(hash(&[0; 4]), 0x2362_f9de);
    }
}
