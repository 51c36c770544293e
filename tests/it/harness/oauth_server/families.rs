//! Refresh tokens and what became of them: each works once, and one that comes again costs its whole family (RFC 9700,
//! section 4.14.2).

use std::collections::HashMap;

#[derive(Default)]
pub(super) struct Families {
    /// Every refresh token that was ever issued, and its family.
    issued: HashMap<String, usize>,
    all: Vec<Family>,
    pub(super) refreshes: u64,
    pub(super) reuses: u64,
}

#[derive(Default)]
struct Family {
    refresh_token: String,
    access_token: String,
    revoked: bool,
}

/// What a refresh token was exchanged for.
pub(super) struct Pair {
    pub(super) access_token: String,
    pub(super) refresh_token: String,
}

impl Families {
    pub(super) fn issue(&mut self) -> String {
        self.all.push(Family::default());
        self.renew(self.all.len() - 1).refresh_token
    }

    /// Uses a refresh token up; nothing where it is unknown, used up or revoked.
    pub(super) fn refresh(&mut self, refresh_token: &str) -> Option<Pair> {
        let number = *self.issued.get(refresh_token)?;
        let family = &mut self.all[number];
        if family.refresh_token != refresh_token {
            family.revoked = true;
            self.reuses += 1;
        }
        if family.revoked {
            return None;
        }
        self.refreshes += 1;
        Some(self.renew(number))
    }

    pub(super) fn accepts(&self, access_token: &str) -> bool {
        self.all.iter().any(|family| family.access_token == access_token && !family.revoked)
    }

    fn renew(&mut self, number: usize) -> Pair {
        let generation = self.issued.len();
        let refresh_token = format!("canary-refresh {generation}+/=&");
        let access_token = format!("canary-access-{generation}");
        self.issued.insert(refresh_token.clone(), number);
        self.all[number] = Family { refresh_token, access_token, revoked: false };
        let Family { refresh_token, access_token, .. } = &self.all[number];
        Pair { access_token: access_token.clone(), refresh_token: refresh_token.clone() }
    }
}
