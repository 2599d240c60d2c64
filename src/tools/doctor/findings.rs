//! What the doctor found, in the order in which it is told.

use std::fmt::Write as _;

use serde::Serialize;

use crate::diagnostic::{Diagnostic, Printable};

/// What a finding is about: the headings of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    Manifest,
    Machine,
    Keys,
    Files,
    Secrets,
    Owners,
    Store,
    Generation,
    Links,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ok,
    /// Worth knowing, and no reason to do anything.
    Note,
    Problem,
}

#[derive(Serialize)]
pub struct Finding {
    area: Area,
    state: State,
    text: String,
    notes: Vec<String>,
    help: Option<String>,
    /// What the help is about: it may speak of "it", and stand alone in the last line.
    #[serde(skip)]
    subject: String,
}

#[derive(Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    pub fn ok(&mut self, area: Area, text: String) {
        self.ok_with(area, text, Vec::new());
    }

    pub fn ok_with(&mut self, area: Area, text: String, notes: Vec<String>) {
        self.0.push(Finding { area, state: State::Ok, text, notes, help: None, subject: String::new() });
    }

    pub fn note(&mut self, area: Area, text: String) {
        self.note_with(area, text, Vec::new());
    }

    pub fn note_with(&mut self, area: Area, text: String, notes: Vec<String>) {
        self.0.push(Finding { area, state: State::Note, text, notes, help: None, subject: String::new() });
    }

    pub fn problem(&mut self, area: Area, diagnostic: Diagnostic) {
        self.problem_of(area, "", diagnostic);
    }

    /// `subject` is named with the help where that does not name it itself.
    pub fn problem_of(&mut self, area: Area, subject: &str, diagnostic: Diagnostic) {
        let Diagnostic { problem, mut notes, help, location } = diagnostic;
        if let Some(place) = location {
            notes.insert(0, format!("at {}:{}:{}", place.path, place.line, place.column));
        }
        let subject = subject.to_owned();
        self.0.push(Finding { area, state: State::Problem, text: problem, notes, help, subject });
    }

    pub fn all(&self) -> &[Finding] {
        &self.0
    }

    /// What to do about the first problem: the others may be its consequences.
    pub fn todo(&self) -> Option<String> {
        let first = self.0.iter().find(|finding| finding.state == State::Problem)?;
        Some(match &first.help {
            Some(help) if help.contains(&first.subject) => help.clone(),
            Some(help) => format!("{help} ({})", first.subject),
            None => format!("see to this: {}", first.text),
        })
    }

    /// For people. Every line but the last.
    pub fn layout(&self) -> String {
        let mut text = String::new();
        let mut area = None;
        // Writing to a String cannot fail.
        for finding in &self.0 {
            if area != Some(finding.area) {
                let _ = writeln!(text, "{}", finding.area.title());
                area = Some(finding.area);
            }
            let state = match finding.state {
                State::Ok => "ok",
                State::Note => "note",
                State::Problem => "problem",
            };
            let _ = writeln!(text, "  {state}: {}", Printable(&finding.text));
            for note in &finding.notes {
                let _ = writeln!(text, "    {}", Printable(note));
            }
            if let Some(help) = &finding.help {
                let _ = writeln!(text, "    help: {}", Printable(help));
            }
        }
        text
    }
}

impl Area {
    fn title(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Machine => "machine",
            Self::Keys => "keys",
            Self::Files => "files",
            Self::Secrets => "secrets",
            Self::Owners => "owners",
            Self::Store => "store",
            Self::Generation => "generation",
            Self::Links => "links",
        }
    }
}
