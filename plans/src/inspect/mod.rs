//! Commands that read published objects: verify, show and preview. Only the command line
//! uses them.

pub mod objects;
pub mod preview;
pub mod show;
pub mod verify;
