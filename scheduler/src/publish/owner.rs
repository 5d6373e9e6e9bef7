//! The names of lease owners, and whether one is known to be gone. A process that was
//! killed on this machine leaves a lease that nobody has to wait for.

use std::fs;

use uuid::Uuid;

/// A name that no other load and no other process has. Where the system tells, it
/// says which process this is.
pub fn here() -> String {
    let unique = Uuid::new_v4().simple();
    match (place(), started(std::process::id())) {
        (Some(place), Some(started)) => {
            format!("{place}/{}/{started}/{unique}", std::process::id())
        }
        _ => unique.to_string(),
    }
}

/// Whether the process that took this name has certainly ended. False where that
/// cannot be told: another machine, another container, another system.
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

/// The boot and the process namespace, within which a process id means something.
fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let namespace = namespace.to_string_lossy().into_owned();
    let number: String = namespace.chars().filter(char::is_ascii_digit).collect();
    Some(format!("{}/{number}", boot.trim()))
}

/// When a process started, in ticks since the boot; none if it has ended.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the state follows it.
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
        let elsewhere = format!("another-boot/1/{}/1/x", child.id());
        assert!(!is_gone(&elsewhere));
    }
}
