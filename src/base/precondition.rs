//! Conditions on the version of what is to be read or changed (RFC 9110, section 13), free of HTTP: stores
//! judge them where they know the version.

/// A set of versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Versions {
    /// Any.
    Any,
    /// One of these.
    These(Vec<u64>),
}

impl Versions {
    fn has(&self, version: u64) -> bool {
        match self {
            Versions::Any => true,
            Versions::These(versions) => versions.contains(&version),
        }
    }
}

/// What a request demands of the resource before it is touched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    /// `If-Match`: it must be there, at one of these.
    pub matches: Option<Versions>,
    /// `If-None-Match`: it must not be at one of these.
    pub differs: Option<Versions>,
}

impl Precondition {
    /// Whether a resource at this version, or an absent one, is what was demanded.
    pub fn holds(&self, version: Option<u64>) -> bool {
        let has = |versions: &Versions| version.is_some_and(|version| versions.has(version));
        self.matches.as_ref().is_none_or(has) && !self.differs.as_ref().is_some_and(has)
    }

    /// For a read: whether the client already has this version.
    pub fn is_known(&self, version: u64) -> bool {
        self.differs.as_ref().is_some_and(|versions| versions.has(version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_judged_against_the_version_or_its_absence() {
        let these = |versions: &[u64]| Some(Versions::These(versions.to_vec()));
        let cases = [
            (None, None, None, true),
            (None, None, Some(3), true),
            (these(&[1, 3]), None, Some(3), true),
            (these(&[1]), None, Some(3), false),
            (these(&[]), None, Some(3), false),
            (these(&[3]), None, None, false),
            (Some(Versions::Any), None, Some(3), true),
            (Some(Versions::Any), None, None, false),
            (None, Some(Versions::Any), None, true),
            (None, Some(Versions::Any), Some(3), false),
            (None, these(&[2]), Some(3), true),
            (None, these(&[3]), Some(3), false),
        ];
        for (matches, differs, version, holds) in cases {
            let condition = Precondition { matches, differs };
            assert_eq!(condition.holds(version), holds, "{condition:?} {version:?}");
        }
    }
}
