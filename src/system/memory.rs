//! Owns what the program asks of the kernel for its own memory: that nobody sees it, and that it is not written to a disk.

use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::{self, MlockAllFlags};
use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// Keeps the process from being dumped or looked at by others than root, and its memory out of swap where it may.
/// What is refused is done without: there is no activation that a log line about it would be worth more than.
pub fn guard() {
    // A crash must not leave secrets and private keys in a core file. It cannot fail with this argument.
    let _ = prctl::set_dumpable(false);
    // The same again for the programs that are started, which see keys, too. Less is always permitted.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    // An ordinary user may not.
    let _ = lock();
}

/// Locks what memory there is and will be, as it comes into use.
///
/// With a limit to what may be locked, memory beyond it would be refused later, in the middle of an activation. The kernel
/// is asked for the right to lock without limit: with a limit of nothing, only who has it may lock at all.
fn lock() -> Result<(), Errno> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    let limited = soft != RLIM_INFINITY;
    if limited {
        setrlimit(Resource::RLIMIT_MEMLOCK, 0, hard)?;
    }
    let on_fault = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    let locked = mman::mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault);
    if limited {
        setrlimit(Resource::RLIMIT_MEMLOCK, soft, hard)?;
    }
    locked
}
