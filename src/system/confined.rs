//! Does the same to many things on threads that can open nothing and run nothing: what reads text that others wrote.
//!
//! What cannot be done there, the thread that was there before does for them, when it is asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};

use super::sandbox::Sandbox;
use super::workers;
use crate::secret::wipe_stack;

type Act<'e> = Box<dyn FnOnce() + Send + 'e>;

/// What somebody outside is to do.
struct Errand<'e> {
    act: Act<'e>,
    /// It may take long, and others do not wait for it.
    is_long: bool,
}

/// The way to whoever is outside of the sandbox.
pub struct Outside<'e>(Option<Sender<Errand<'e>>>);

impl<'e> Outside<'e> {
    /// For who is in no sandbox.
    #[must_use]
    pub fn here() -> Self {
        Self(None)
    }

    /// What `act` returns, which is done outside.
    pub fn ask<A: Send + 'e>(&self, act: impl FnOnce() -> A + Send + 'e) -> A {
        self.answer(false, act)
    }

    /// The same for what may take long.
    pub fn ask_for_long<A: Send + 'e>(&self, act: impl FnOnce() -> A + Send + 'e) -> A {
        self.answer(true, act)
    }

    fn answer<A: Send + 'e>(&self, is_long: bool, act: impl FnOnce() -> A + Send + 'e) -> A {
        let Some(errands) = &self.0 else { return act() };
        let (answer, answered) = mpsc::sync_channel(1);
        // Who asks waits for the answer.
        let act = Box::new(move || answer.send(act()).unwrap_or_default());
        if let Err(unsent) = errands.send(Errand { act, is_long }) {
            // It is done inside, then, and fails as far as the sandbox refuses it.
            (unsent.0.act)();
        }
        // Only a panic outside leaves no answer, and it goes on in here.
        answered.recv().unwrap_or_else(|lost| std::panic::resume_unwind(Box::new(lost)))
    }
}

/// `work` on each item, on `count` threads at most that are in a sandbox in which nothing can be opened; results in the
/// items' order. The calling thread does what they ask for. Where there is no sandbox, it works, too.
pub fn map<'e, T: Sync, R: Send>(
    items: &'e [T],
    count: usize,
    work: impl Fn(&'e T, &Outside<'e>) -> R + Sync,
) -> Vec<R> {
    if items.is_empty() {
        return Vec::new();
    }
    let unconfined = || workers::map(items, count, |item| work(item, &Outside::here()));
    let sandbox = match Sandbox::for_reading() {
        Ok(sandbox) => sandbox,
        Err(error) => {
            error.tell();
            return unconfined();
        }
    };
    let next = AtomicUsize::new(0);
    let worker = |outside: &Outside<'e>| {
        sandbox.enter_if_possible();
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return done };
            done.push((index, work(item, outside)));
        }
    };
    let results = thread::scope(|scope| {
        let (ask, asked) = mpsc::channel();
        let start = |_| {
            let outside = Outside(Some(ask.clone()));
            let wiped = || {
                // It is dropped here, so that nobody waits for what this thread may ask.
                let outside = outside;
                let done = worker(&outside);
                wipe_stack();
                done
            };
            // A thread that cannot be started is no reason to fail: the others do its part.
            workers::thread().spawn_scoped(scope, wiped).ok()
        };
        let threads: Vec<_> = (0..count.clamp(1, items.len())).filter_map(start).collect();
        drop(ask);
        for errand in asked {
            run(errand, scope);
        }
        let join = |thread: ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect::<Vec<_>>()
    });
    if results.is_empty() {
        tracing::debug!("there is no sandbox: no thread can be started");
        return unconfined();
    }
    let mut results: Vec<(usize, R)> = results.into_iter().flatten().collect();
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn run<'s, 'e: 's>(errand: Errand<'e>, scope: &'s Scope<'s, '_>) {
    if !errand.is_long {
        return (errand.act)();
    }
    let place = Arc::new(Mutex::new(Some(errand.act)));
    let theirs = Arc::clone(&place);
    let thread = workers::thread().spawn_scoped(scope, move || {
        run_once(&theirs);
        wipe_stack();
    });
    if thread.is_err() {
        run_once(&place);
    }
}

fn run_once(place: &Mutex<Option<Act<'_>>>) {
    let act = place.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(act) = act {
        act();
    }
}
