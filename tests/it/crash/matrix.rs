//! The matrix: each kind of run, killed at each system call, and refused by each error that the call can give, and cut
//! short at each of its writes.
//!
//! A point counts only if strace's log, or our own debugger, shows that it happened; one that did not is tried again. Each
//! history has a machine of its own ([`world`]), made by a second process of this test binary, which judges there
//! ([`judge`]). `cargo test` takes a part of the points; `tests/matrix/run` takes all of them, does the same to another
//! program if it is named, and writes `docs/reference/crash-matrix.md` ([`page`]).

mod bench;
mod calls;
mod history;
mod judge;
mod page;
mod short;
mod tally;
mod world;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use serde::{Deserialize, Serialize};

use crate::machine::{PROGRAM, repository};
use crate::namespace::Namespace;
use history::History;
use tally::Tally;

/// One in so many points is taken by `cargo test`.
const SAMPLE: u64 = 60;
/// Processes that share the points of one history in the full matrix.
const SHARDS: u64 = 4;

/// One in so many points is taken of the program that ours is compared with.
const OTHERS_PART: u64 = 8;

/// What a second process is to do.
#[derive(Serialize, Deserialize)]
pub struct Job {
    program: PathBuf,
    history: String,
    /// The points whose number divided by `of` leaves `shard`.
    shard: u64,
    of: u64,
}

/// The counts of each history.
type Tallies = Vec<(String, Tally)>;

fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one who runs the tests says so in the environment")]
    let value = std::env::var(name);
    value.ok().filter(|value| !value.is_empty())
}

/// Does the job on a machine of its own. None where that cannot be, with the reason printed.
fn perform(job: &Job) -> Option<Tally> {
    let inside = Namespace::new()?;
    if !inside.shell("command -v strace taskset").contains("strace") {
        eprintln!("skipped: no strace");
        return None;
    }
    let mut command = inside.command(std::env::current_exe().unwrap().to_str().unwrap());
    command.args(["--exact", "crash::matrix::inside", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env("MATRIX_JOB", serde_json::to_string(job).unwrap()).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let name = &job.history;
    assert!(status.success(), "{name}: {}", String::from_utf8_lossy(&stderr));
    let stdout = String::from_utf8(stdout).unwrap();
    let answer = stdout.lines().find_map(|line| line.strip_prefix("@ ")).unwrap();
    Some(serde_json::from_str(answer).unwrap())
}

/// All jobs, `workers` at a time; the tallies in the order of the histories. `is_told` says that each is told when it is done.
fn perform_all(jobs: &[Job], workers: usize, is_told: bool) -> Option<Tallies> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let one = vec![(job.history.clone(), perform(job)?)];
            if is_told {
                println!("{} {}: {} points\n{}", job.history, job.shard, one[0].1.fired, faults(&one));
            }
            done.extend(one);
        }
        Some(done)
    };
    let done: Option<Vec<_>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let mut of_each: Tallies =
        history::all().into_iter().map(|history| (history.name.to_owned(), Tally::default())).collect();
    for (name, tally) in done?.into_iter().flatten() {
        let (_, sum) = of_each.iter_mut().find(|(history, _)| *history == name).unwrap();
        sum.add(tally);
    }
    Some(of_each)
}

fn jobs(program: &Path, is_wanted: impl Fn(&History) -> bool, shards: &[u64], of: u64) -> Vec<Job> {
    let histories = history::all().into_iter().filter(is_wanted);
    let program = fs::canonicalize(program).unwrap();
    let job = |history: &History, shard| Job {
        program: program.clone(),
        history: history.name.to_owned(),
        shard,
        of,
    };
    histories
        .flat_map(|history| shards.iter().map(move |shard| (history.clone(), *shard)))
        .map(|(history, shard)| job(&history, shard))
        .collect()
}

/// What went wrong anywhere; nothing is an empty text.
fn faults(tallies: &[(String, Tally)]) -> String {
    let faults = tallies.iter().flat_map(|(name, tally)| {
        let missed = tally.missed.iter().map(move |point| format!("{name}: missed: {point}"));
        missed.chain(tally.faults.iter().map(move |(fault, at)| format!("{name}: {fault}: {at}")))
    });
    faults.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_part_of_the_matrix_leaves_nothing_broken_and_heals() {
    let part = variable("MATRIX_SAMPLE").map_or(SAMPLE, |sample| sample.parse().unwrap());
    let jobs = jobs(Path::new(PROGRAM), |_| true, &[part / 2], part);
    let Some(tallies) = perform_all(&jobs, 2, false) else { return };
    let faults = faults(&tallies);
    assert!(faults.is_empty(), "{faults}");
    let fired: usize = tallies.iter().map(|(_, tally)| tally.fired).sum();
    eprintln!("{fired} points");
    assert!(tallies.iter().all(|(_, tally)| tally.fired > 0 && tally.calls > 50), "{tallies:?}");
}

/// All points of ours; some of those of the program that `OTHER` names, which makes many more calls. `MATRIX_ONLY` takes the
/// histories whose name holds it. The record is made of the last whole run of each
/// history with each program.
#[test]
#[ignore = "takes half an hour: tests/matrix/run"]
fn whole() {
    let only = variable("MATRIX_ONLY").unwrap_or_default();
    let is_wanted = |history: &History| history.name.contains(&only);
    let workers = thread::available_parallelism().map_or(1, usize::from) + 1;
    let run = |program: &Path, name: &str, shards: &[u64], of| {
        let tallies =
            perform_all(&jobs(program, is_wanted, shards, of), workers, true).expect("root and strace");
        println!("{}", page::table(&tallies));
        keep(name, &tallies, is_wanted);
        tallies
    };
    if let Some(other) = variable("OTHER") {
        // By as many processes as ours.
        let shards: Vec<u64> = (0..SHARDS).map(|shard| shard * OTHERS_PART).collect();
        run(Path::new(&other), "other", &shards, SHARDS * OTHERS_PART);
    }
    let faults = if variable("MATRIX_SKIP_OURS").is_none() {
        let program = variable("MATRIX_PROGRAM").map_or(PathBuf::from(PROGRAM), PathBuf::from);
        let shards: Vec<u64> = (0..SHARDS).collect();
        faults(&run(&program, "ours", &shards, SHARDS))
    } else {
        String::new()
    };
    if let (Some(ours), Some(others)) = (last("ours"), last("other")) {
        fs::write(repository(page::PAGE), page::page(&ours, &others)).unwrap();
    }
    assert!(faults.is_empty(), "{faults}");
}

/// Keeps the counts of the histories that are wanted, beside what is kept of the others.
fn keep(name: &str, tallies: &Tallies, is_wanted: impl Fn(&History) -> bool) {
    let mut all = last(name).unwrap_or_default();
    for history in history::all().iter().filter(|history| is_wanted(history)) {
        all.retain(|(name, _)| name != history.name);
        all.extend(tallies.iter().filter(|(name, _)| name == history.name).cloned());
    }
    let place = |name: &str| history::all().iter().position(|history| history.name == name);
    all.sort_by_key(|(name, _)| place(name));
    fs::write(kept(name), serde_json::to_string(&all).unwrap()).unwrap();
}

fn last(name: &str) -> Option<Tallies> {
    fs::read(kept(name)).ok().map(|text| serde_json::from_slice(&text).unwrap())
}

/// Where the counts of the last whole runs are.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-matrix-{name}.json"))
}

#[test]
#[ignore = "a part of the matrix, which the other tests start inside a namespace"]
fn inside() {
    let job: Job = serde_json::from_str(&variable("MATRIX_JOB").unwrap()).unwrap();
    let history = history::all().into_iter().find(|history| history.name == job.history).unwrap();
    let tally = bench::Bench::new(history, &job.program).judge_all(job.shard, job.of);
    print!("\n@ {}\n", serde_json::to_string(&tally).unwrap());
}
