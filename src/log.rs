//! Messages on standard error: `PROGRAM: text`, under the name that the program was called by.
//!
//! Where standard error is the journal, each line starts with its priority (`<3>`, `<4>`, …; sd-daemon(3)), which the
//! journal takes off and stores.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::diagnostic::Printable;

/// Starts the log. There is nothing below the level of information: what is not worth a line is not logged.
pub fn start(program: &str, to_journal: bool) {
    let layer = Stderr { program: program.to_owned(), to_journal };
    // It fails only when a log was started before, which then goes on.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}

struct Stderr {
    program: String,
    to_journal: bool,
}

impl<S: Subscriber> Layer<S> for Stderr {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        let (priority, label) = match *event.metadata().level() {
            Level::ERROR => ("<3>", "error: "),
            Level::WARN => ("<4>", "warning: "),
            _ => ("<6>", ""),
        };
        let text = format!("{}: {label}{}", self.program, message.0);
        let mut lines = String::with_capacity(text.len() + 8);
        for line in text.lines() {
            if self.to_journal {
                lines.push_str(priority);
            }
            // The lines are ours; what is on them may come from a file's name.
            let _ = write!(lines, "{}", Printable(line));
            lines.push('\n');
        }
        // One write, so that lines of two programs do not mix. There is nobody to tell when it fails.
        let _ = std::io::stderr().lock().write_all(lines.as_bytes());
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a String cannot fail.
            let _ = write!(self.0, "{value:?}");
        }
    }
}
