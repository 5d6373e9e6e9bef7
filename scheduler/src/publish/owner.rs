//! The names of lease owners. A name shows whether its process has ended, so nobody waits for
//! the lease of a process that was killed on this machine.

use std::fs;

use uuid::Uuid;

/// Returns a name that no other load or process has. Where possible it identifies this
/// process.
pub fn here() -> String {
    let unique = Uuid::new_v4().simple();
    match (place(), started(std::process::id())) {
        (Some(place), Some(started)) => {
            format!("{place}/{}/{started}/{unique}", std::process::id())
        }
        _ => unique.to_string(),
    }
}

/// Returns true if the process that used this name has certainly ended. Returns false for
/// processes of another machine, container or operating system.
pub fn is_gone(owner: &str) -> bool {
    let mut parts = owner.rsplitn(4, '/');
    let (_, process, pid, owners) = (parts.next(), parts.next(), parts.next(), parts.next());
    let (Some(process), Some(pid), Some(owners)) = (process, pid, owners) else {
        return false;
    };
    let Ok(pid) = pid.parse() else {
        return false;
    };
    place().as_deref() == Some(owners) && started(pid).as_deref() != Some(process)
}

/// The boot and the process namespace in which a process id is valid.
fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let namespace = namespace.to_string_lossy().into_owned();
    let number: String = namespace.chars().filter(char::is_ascii_digit).collect();
    Some(format!("{}/{number}", boot.trim()))
}

/// Returns when a process started, in ticks since boot, or `None` if it has ended.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The process name in parentheses may contain any character. The state follows it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let ended = matches!(state, "Z" | "X");
    fields.nth(18).filter(|_| !ended).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_is_not_gone() {
        assert!(!is_gone(&here()));
        assert!(!is_gone("somebody"));
        assert!(!is_gone(""));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_ended_is_gone_at_once() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let owner = format!("{}/{}/1/x", place().unwrap(), child.id());
        child.wait().unwrap();
        assert!(is_gone(&owner));
        let foreign = format!("another-boot/1/{}/1/x", child.id());
        assert!(!is_gone(&foreign));
    }
}
