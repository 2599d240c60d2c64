//! What the program says when something is wrong: the problem, what is known about it, and the one thing to do.
//!
//! Lower case, no final period, names in single quotes, the cause after a colon; help stands on a line of its own.
//! Nothing here may hold secret bytes or text that could not be parsed.

use std::fmt;

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub problem: String,
    /// What was found while looking at it, a line each.
    pub notes: Vec<String>,
    /// What the reader should do now.
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), notes: Vec::new(), help: None }
    }

    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)?;
        for note in &self.notes {
            write!(f, "\n  {note}")?;
        }
        match &self.help {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}

/// All that is wrong, in the order in which it was found. Never empty when it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report(pub Vec<Diagnostic>);

impl Report {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// `value` if nothing is wrong.
    ///
    /// # Errors
    /// The report itself, if something is.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<Diagnostic> for Report {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

/// Names for a message: all of a few, or the first ones and a count.
#[must_use]
pub fn enumerate(names: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("'{}'", name.as_ref())).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}
