//! The plan nodes of our own. Each file holds node, execution and wire form.

pub mod publish;
pub mod scan;
