//! One owner for a file or folder. The kernel lets go of the lock when the process ends, however
//! it ends.

use std::{fs::File, thread::sleep, time::Duration};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

/// An agent that was killed a moment ago may still be giving its memory back.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Takes the lock, or says after five seconds that somebody else has it.
pub(crate) fn take(file: File) -> Result<Flock<File>, Errno> {
    let mut file = file;
    let mut left = TRIES;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((_, errno)) if left == 0 || errno != Errno::EWOULDBLOCK => return Err(errno),
            Err((back, _)) => file = back,
        }
        left -= 1;
        sleep(PAUSE);
    }
}
