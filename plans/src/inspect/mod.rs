//! What only the command line needs: verify, show, preview and the objects they read.

pub mod objects;
pub mod preview;
pub mod show;
pub mod verify;
