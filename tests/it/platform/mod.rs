//! What holds for every endpoint, whatever it does.

mod bodies;
mod cors;
mod documents;
mod operations;
mod refusals;
mod requests;
mod serving;
mod streams;
mod tails;
mod tokens;
