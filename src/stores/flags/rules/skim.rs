//! Goes over JSON text (RFC 8259) without making anything of it: a request for one flag brings a context of which its rule
//! looks at a member or two, and of the others it has only to be known that they are JSON. What is taken is what serde_json
//! takes when it ignores a value, which costs several times as much.

/// A place in a text.
pub(super) struct Skimmer<'a> {
    text: &'a str,
    rest: &'a [u8],
}

/// A string as it is written between its quotes.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    pub(super) text: &'a str,
    /// Whether it means something else than it says.
    pub(super) has_escapes: bool,
}

impl<'a> Skimmer<'a> {
    /// The beginning of the text.
    pub(super) fn new(text: &'a str) -> Skimmer<'a> {
        let mut skimmer = Skimmer { text, rest: text.as_bytes() };
        skimmer.skip_space();
        skimmer
    }

    /// The byte that comes next.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Goes to the end, where there must be nothing more.
    pub(super) fn end(mut self) -> Option<()> {
        self.skip_space();
        self.rest.is_empty().then_some(())
    }

    /// Goes over an object, and calls `member` with each name at the beginning of its value, over which it has to go.
    pub(super) fn members(&mut self, mut member: impl FnMut(&mut Self, Written<'a>) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        self.skip_space();
        if self.peek()? == b'}' {
            return self.expect(b'}');
        }
        loop {
            let name = self.name()?;
            member(self, name)?;
            self.skip_space();
            match self.next()? {
                b',' => self.skip_space(),
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Goes over a value: its text.
    pub(super) fn value(&mut self) -> Option<&'a str> {
        let (start, mut open) = (self.at(), Vec::new());
        loop {
            match self.next()? {
                b'"' => drop(self.string()?),
                b'-' => self.number()?,
                b'0' => self.fraction()?,
                b'1'..=b'9' => {
                    self.skip_digits();
                    self.fraction()?;
                }
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'n' => self.word(b"ull")?,
                bracket @ (b'{' | b'[') => {
                    // Each closes two places after it in ASCII.
                    let closing = bracket + 2;
                    self.skip_space();
                    if self.peek()? != closing {
                        open.push(closing);
                        self.enter(closing)?;
                        continue;
                    }
                    self.next()?;
                }
                _ => return None,
            }
            // A value ends here, and with it whatever closes.
            loop {
                let Some(closing) = open.last().copied() else { return self.text.get(start..self.at()) };
                self.skip_space();
                match self.next()? {
                    b',' => {
                        self.skip_space();
                        self.enter(closing)?;
                        break;
                    }
                    byte if byte == closing => drop(open.pop()),
                    _ => return None,
                }
            }
        }
    }

    fn at(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    /// Goes to the next value in an array, or in an object, where its name comes first.
    fn enter(&mut self, closing: u8) -> Option<()> {
        if closing == b'}' { self.name().map(drop) } else { Some(()) }
    }

    fn name(&mut self) -> Option<Written<'a>> {
        self.expect(b'"')?;
        let name = self.string()?;
        self.skip_space();
        self.expect(b':')?;
        self.skip_space();
        Some(name)
    }

    fn skip_space(&mut self) {
        while let [b' ' | b'\n' | b'\t' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (next, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*next)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    /// A string whose first quote is behind.
    fn string(&mut self) -> Option<Written<'a>> {
        let (start, mut has_escapes) = (self.at(), false);
        loop {
            self.skip_plain();
            match self.next()? {
                b'"' => return Some(Written { text: self.text.get(start..self.at() - 1)?, has_escapes }),
                b'\\' => {
                    has_escapes = true;
                    self.escape()?;
                }
                0..=0x1F => return None,
                _ => {}
            }
        }
    }

    /// Goes to whatever means something in a string, eight bytes at a time while there are so many.
    fn skip_plain(&mut self) {
        while let Some((eight, rest)) = self.rest.split_first_chunk() {
            let plain = plain(u64::from_le_bytes(*eight));
            if plain < 8 {
                self.rest = self.rest.get(plain..).unwrap_or_default();
                return;
            }
            self.rest = rest;
        }
    }

    /// What comes after a backslash.
    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let (digits, rest) = self.rest.split_first_chunk::<4>()?;
                self.rest = rest;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    /// A number after its sign.
    fn number(&mut self) -> Option<()> {
        match self.next()? {
            b'0' => {}
            b'1'..=b'9' => self.skip_digits(),
            _ => return None,
        }
        self.fraction()
    }

    /// What may come after the whole part of a number.
    fn fraction(&mut self) -> Option<()> {
        if let [b'.', rest @ ..] = self.rest {
            self.rest = rest;
            self.digits()?;
        }
        if let [b'e' | b'E', b'+' | b'-', rest @ ..] | [b'e' | b'E', rest @ ..] = self.rest {
            self.rest = rest;
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let before = self.rest.len();
        self.skip_digits();
        (self.rest.len() < before).then_some(())
    }

    fn skip_digits(&mut self) {
        while let [b'0'..=b'9', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }
}

/// How many of these eight bytes, the lowest first, come before a quote, a backslash or a control character.
fn plain(eight: u64) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    // The lowest byte that is below `limit` has its high bit set in this; of those above it, any may have.
    let below = |bytes: u64, limit: u8| bytes.wrapping_sub(ONES * u64::from(limit)) & !bytes;
    let is = |byte: u8| below(eight ^ (ONES * u64::from(byte)), 1);
    let found = (below(eight, b' ') | is(b'"') | is(b'\\')) & HIGH;
    found.trailing_zeros() as usize / 8
}
