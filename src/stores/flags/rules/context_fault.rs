//! What may be wrong with an evaluation context.

/// Why a context cannot be used. Says nothing of what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextFault {
    /// It is longer than 1 MiB.
    #[error("the context is longer than 1 MiB")]
    TooLong,
    /// Objects and arrays in it nest too deep.
    #[error("the context nests deeper than 64")]
    TooDeep,
    /// It is JSON, and no object.
    #[error("the context must be a JSON object")]
    NotAnObject,
    /// It is no JSON, or has a number beyond a double.
    #[error("the context is no JSON that can be read, at line {line} column {column}")]
    Malformed {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
}
