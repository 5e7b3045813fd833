//! Plays the specification: every section of `cases/*.md` against the real binary.
//!
//! `RELAIS_CASES=words` plays those whose file, title or column holds the words.

#[path = "cases/case.rs"]
mod case;
#[path = "cases/compare.rs"]
mod compare;
#[path = "cases/grammar.rs"]
mod grammar;
#[path = "cases/markdown.rs"]
mod markdown;
#[path = "cases/play.rs"]
mod play;
#[path = "cases/stage.rs"]
mod stage;

use std::{
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use case::Case;
use markdown::Page;
use play::Play;
use stage::Stage;

/// What is locked here is not left half done.
const UNHARMED: &str = "nobody panics with the lock";

/// Cases played at once. Most of them wait.
const ACTORS: usize = 12;

#[test]
fn everything_is_as_the_cases_say() {
    let pages = wanted();
    let all: usize = pages.iter().map(Vec::len).sum();
    let mut complaints: Vec<String> = pages.into_iter().flat_map(play).collect();
    complaints.sort();
    assert!(complaints.is_empty(), "{} of {all} cases:\n\n{}", complaints.len(), complaints.join("\n\n"));
    println!("{all} cases hold");
}

/// Plays the cases of a page; returns what does not hold.
fn play(page: Vec<Case>) -> Vec<String> {
    let (alone, together): (Vec<Case>, Vec<Case>) = page.into_iter().partition(Case::is_alone);
    let complaints = Mutex::new(Vec::new());
    let complain = |verdict: Result<(), String>| complaints.lock().expect(UNHARMED).extend(verdict.err());
    for_each(&alone, |case| complain(play_alone(case)));
    play_together(&together, complain);
    complaints.into_inner().expect(UNHARMED)
}

/// A case that ends the server, or sets it up, has a project of its own.
fn play_alone(case: &Case) -> Result<(), String> {
    let (stage, mut sets) = Stage::build(&[case]);
    stage.start();
    Play::new(case, &stage, sets.remove(0)).run()
}

/// All others share one server: each has a channel there.
fn play_together(cases: &[Case], complain: impl Fn(Result<(), String>) + Sync) {
    if cases.is_empty() {
        return;
    }
    let (stage, sets) = Stage::build(&cases.iter().collect::<Vec<_>>());
    stage.start();
    let plays: Vec<_> =
        cases.iter().zip(sets).map(|(case, set)| Mutex::new(Some(Play::new(case, &stage, set)))).collect();
    for_each(&plays, |play| {
        if let Some(play) = play.lock().expect(UNHARMED).take() {
            complain(play.run());
        }
    });
}

/// Does it for each, several at once.
fn for_each<T: Sync>(all: &[T], act: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..ACTORS {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::SeqCst)) {
                    act(one);
                }
            });
        }
    });
}

/// The cases of every page, or those that were asked for.
fn wanted() -> Vec<Vec<Case>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the cases lie beside the runner")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "md") && !path.ends_with("README.md"))
        .collect();
    files.sort();
    let asked = std::env::var("RELAIS_CASES").unwrap_or_default();
    let pages = files.iter().map(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Page::read(&name, &fs::read_to_string(path).expect("a page can be read"))
    });
    pages
        .map(|page| case::cases(&page).unwrap_or_else(|why| panic!("{why}")))
        .map(|cases| cases.into_iter().filter(|case| case.title.contains(&asked)).collect())
        .collect()
}
