//! Does the same to many things on several threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::secret::wipe_stack;

/// As the first thread has it nearly everywhere: what it can read, others can.
const STACK: usize = 8 << 20;

/// A thread to be, whose stack does not depend on the environment (`RUST_MIN_STACK`).
pub fn thread() -> thread::Builder {
    thread::Builder::new().stack_size(STACK)
}

/// `work` on each item, on `count` threads at most; results in the items' order. The calling thread works, too.
pub fn map<'i, T: Sync, R: Send>(items: &'i [T], count: usize, work: impl Fn(&'i T) -> R + Sync) -> Vec<R> {
    if count.min(items.len()) <= 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return done };
            done.push((index, work(item)));
        }
    };
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        // A thread that cannot be started is no reason to fail: the others do its part.
        let wiped = || {
            let done = worker();
            wipe_stack();
            done
        };
        let start = |_| thread().spawn_scoped(scope, wiped).ok();
        let threads: Vec<_> = (1..count.min(items.len())).filter_map(start).collect();
        let mut results = worker();
        for thread in threads {
            match thread.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
