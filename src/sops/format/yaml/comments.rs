//! Which entry of the tree a comment of the file belongs to, by the rules of go-yaml v3 and of sops above it.
//!
//! The place matters: the keys above an encrypted comment are part of what was authenticated, and the comment rules
//! of a file choose values by the comments in front of them.

use super::container::{Container, Role};
use crate::sops::tree::Comment;

/// Comments that wait for the next entry, and what is known of the last one.
#[derive(Default)]
pub struct Comments {
    run: Vec<Waiting>,
    last: Option<LastEntry>,
}

/// A comment with a line of its own.
struct Waiting {
    start: usize,
    line: usize,
    column: usize,
    comment: Comment,
}

struct LastEntry {
    /// The container's index in the stack of open containers.
    container: usize,
    shape: Shape,
    /// The line that the entry, as far as it has been read, ends on.
    line: usize,
}

/// What a comment has to know of the last entry's value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Not there: missing, still to come, or a block collection.
    Pending,
    Scalar(Extent),
    /// A `|` or `>` scalar.
    Block(Extent),
    Flow(Extent),
}

/// The lines of a value, and where it ends in bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub first_line: usize,
    pub last_line: usize,
    pub end: usize,
}

impl Extent {
    /// A block scalar is known with the first line of its content, which a comment on its header precedes.
    fn holds(self, line: usize, start: usize) -> bool {
        start < self.end || (self.first_line..=self.last_line).contains(&line)
    }
}

/// Where comments are to be placed.
pub struct Gap {
    /// Comments at or behind this byte are not meant.
    pub before: usize,
    /// Line and column of the entry that follows; `None` at the end of the document.
    pub next: Option<(usize, usize)>,
    /// How many containers go on behind the gap.
    pub open: usize,
}

impl Comments {
    pub fn discard(&mut self) {
        self.run.clear();
        self.last = None;
    }

    /// A comment that has its line for itself.
    pub fn full_line(&mut self, start: usize, line: usize, column: usize, comment: Comment) {
        self.run.push(Waiting { start, line, column, comment });
    }

    /// A comment behind something else. Dropped when there is nothing for it to belong to.
    pub fn same_line(&self, stack: &mut [Container], line: usize, start: usize, mut comment: Comment) {
        let Some(last) = &self.last else { return };
        let Some(container) = stack.get_mut(last.container) else { return };
        match last.shape {
            Shape::Scalar(extent) | Shape::Block(extent) if extent.holds(line, start) => {
                comment.inline = true;
                container.comment_before(comment);
            }
            Shape::Flow(extent) if extent.holds(line, start) => container.comment_on_flow_value(comment),
            _ => {
                comment.inline = container.flow;
                container.comment_before(comment);
            }
        }
    }

    /// An entry begins on `line`, in the container with index `container`.
    pub fn entry(&mut self, container: usize, line: usize) {
        self.last = Some(LastEntry { container, shape: Shape::Pending, line });
    }

    /// The value of the last entry has been read.
    pub fn value(&mut self, shape: Shape) {
        if let Some(last) = &mut self.last {
            last.shape = shape;
            if let Shape::Scalar(extent) | Shape::Block(extent) | Shape::Flow(extent) = shape {
                last.line = extent.last_line;
            }
        }
    }

    /// Takes the comments before byte `before` without placing them.
    pub fn take(&mut self, before: usize) -> Vec<Comment> {
        into_comments(self.cut(before))
    }

    /// Places the comments in a gap between entries, and returns those that belong in front of what follows.
    pub fn settle(&mut self, stack: &mut [Container], gap: &Gap) -> Vec<Comment> {
        if self.run.is_empty() {
            return Vec::new();
        }
        let run = self.cut(gap.before);
        let Some(last) = &self.last else { return into_comments(run) };
        let groups = group(run, stack, last, gap.next);
        let ended = stack.get(gap.open..).unwrap_or_default();
        let owners = owners(&groups, ended, gap.open);
        let mut heads = Vec::new();
        for (index, group) in groups.into_iter().enumerate() {
            let owner = match group.role {
                GroupRole::Head if gap.next.is_some() => {
                    heads.extend(group.comments);
                    continue;
                }
                GroupRole::Head => 0,
                GroupRole::FootOfLast => last.container,
                GroupRole::Foot => {
                    let ended = owners.iter().find(|(up_to, _)| index <= *up_to).map(|(_, owner)| *owner);
                    ended.unwrap_or(gap.open.saturating_sub(1))
                }
            };
            if let Some(container) = stack.get_mut(owner) {
                container.comments_after(group.comments);
            }
        }
        heads
    }

    fn cut(&mut self, before: usize) -> Vec<Waiting> {
        let split = self.run.partition_point(|waiting| waiting.start < before);
        let later = self.run.split_off(split);
        std::mem::replace(&mut self.run, later)
    }
}

/// Comment lines that go-yaml takes for one comment.
struct Group {
    column: usize,
    line: usize,
    role: GroupRole,
    comments: Vec<Comment>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum GroupRole {
    /// Belongs to what follows.
    Head,
    /// Belongs to the last entry, wherever that is.
    FootOfLast,
    /// Belongs to what ends here.
    Foot,
}

/// Divides a run of comments. A group ends before a line left of the current block that is in another column; and at
/// the first empty line of the run, if the group follows the last entry immediately or is left of the current block.
fn group(
    run: Vec<Waiting>,
    stack: &[Container],
    last: &LastEntry,
    next: Option<(usize, usize)>,
) -> Vec<Group> {
    let indent = stack.iter().rev().find_map(|container| container.column).unwrap_or(0);
    let first = run.first().map_or((0, 0), |waiting| (waiting.line, waiting.column));
    let mut no_empty_line = first.0.saturating_sub(last.line) <= 1;
    let follows_key = last.shape == Shape::Pending
        && stack.get(last.container).is_some_and(|container| container.next_role() != Role::Item);
    let follows_last = !follows_key
        && first.0 == last.line + 1
        // Behind a block scalar go-yaml looks from the start of a line.
        && !(matches!(last.shape, Shape::Block(_)) && first.1 == 0);
    // What a group belongs to that turns out to be a foot: at first the last entry.
    let mut foot = GroupRole::FootOfLast;
    let mut groups: Vec<Group> = Vec::new();
    let mut current: Option<Group> = None;
    let mut previous_line = 0;
    let ends = next.map_or((usize::MAX, None), |(line, column)| (line, Some(column)));
    let lines = run.into_iter().map(|waiting| (waiting.line, Some(waiting.column), Some(waiting.comment)));
    for (line, column, comment) in lines.chain([(ends.0, ends.1, None)]) {
        if let Some(mut group) = current.take() {
            let is_left = group.column < indent;
            let is_first = groups.is_empty();
            let ends_at_empty_line = line.saturating_sub(previous_line) > 1
                && std::mem::replace(&mut no_empty_line, false)
                && (is_left || (is_first && group.line == first.0 && follows_last));
            let ends_at_column = column.is_some_and(|column| column < indent && column != group.column);
            if ends_at_empty_line || ends_at_column {
                group.role = if ends_at_empty_line && is_left { GroupRole::Foot } else { foot };
                foot = GroupRole::Foot;
                groups.push(group);
            } else {
                current = Some(group);
            }
        }
        previous_line = line;
        if let (Some(column), Some(comment)) = (column, comment) {
            let role = GroupRole::Head;
            let group = current.get_or_insert_with(|| Group { column, line, role, comments: Vec::new() });
            group.comments.push(comment);
        }
    }
    groups.extend(current);
    groups
}

/// For each container that ends in the gap and has a group in its own column: the last group that is its foot, and
/// its index in the stack; from the innermost outwards. `ended` begins at index `open` of the stack.
fn owners(groups: &[Group], ended: &[Container], open: usize) -> Vec<(usize, usize)> {
    let indexed = ended.iter().enumerate().rev();
    indexed
        .filter_map(|(index, container)| {
            let first = groups.iter().position(|group| Some(group.column) == container.column)?;
            Some((first, open + index))
        })
        .collect()
}

fn into_comments(run: Vec<Waiting>) -> Vec<Comment> {
    run.into_iter().map(|waiting| waiting.comment).collect()
}
