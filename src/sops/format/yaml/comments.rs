//! Which entry of the tree a comment of the file belongs to, by the rules of go-yaml v3 and of sops above it.
//!
//! The place matters: the keys above an encrypted comment are part of what was authenticated, and the comment rules
//! of a file choose values by the comments in front of them.

use super::container::Container;
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
    column: usize,
    comment: Comment,
}

struct LastEntry {
    /// The container's index in the stack of open containers.
    container: usize,
    shape: Shape,
}

/// What a comment on the same line has to know of an entry's value.
#[derive(Clone, Copy)]
pub enum Shape {
    /// Not there yet, or a block collection.
    Pending,
    Scalar(Extent),
    Flow(Extent),
}

/// The lines of a value, and where it ends in bytes.
#[derive(Clone, Copy)]
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

impl Comments {
    /// A new document begins. Comments above the first one are its own.
    pub fn forget_entries(&mut self) {
        self.last = None;
    }

    pub fn discard(&mut self) {
        self.run.clear();
        self.last = None;
    }

    /// A comment that has its line for itself.
    pub fn full_line(&mut self, start: usize, column: usize, comment: Comment) {
        self.run.push(Waiting { start, column, comment });
    }

    /// A comment behind something else. Dropped when there is nothing for it to belong to.
    pub fn same_line(&self, stack: &mut [Container], line: usize, start: usize, mut comment: Comment) {
        let Some(last) = &self.last else { return };
        let Some(container) = stack.get_mut(last.container) else { return };
        match last.shape {
            Shape::Scalar(extent) if extent.holds(line, start) => {
                comment.inline = true;
                container.comment_before(comment);
            }
            Shape::Flow(extent) if extent.holds(line, start) => container.comment_on_flow_value(comment),
            _ => container.comment_before(comment),
        }
    }

    /// An entry begins in the container with index `container`.
    pub fn entry(&mut self, container: usize) {
        self.last = Some(LastEntry { container, shape: Shape::Pending });
    }

    /// The value of the last entry has been read.
    pub fn value(&mut self, shape: Shape) {
        if let Some(last) = &mut self.last {
            last.shape = shape;
        }
    }

    /// Places the comments that stand before byte `before`, and returns those that belong in front of the entry
    /// that begins there at column `next` (`None`: the document ends).
    ///
    /// The comments form groups of equal column. The last group is the next entry's unless it is indented deeper.
    /// Of the others, the first follows the last entry wherever that is (a peculiarity of go-yaml), and the rest
    /// follow the last entry of the innermost container that is not indented deeper.
    pub fn settle(&mut self, stack: &mut [Container], before: usize, next: Option<usize>) -> Vec<Comment> {
        if self.run.is_empty() {
            return Vec::new();
        }
        let split = self.run.partition_point(|waiting| waiting.start < before);
        let later = self.run.split_off(split);
        let mut run = std::mem::replace(&mut self.run, later);
        let Some(last) = &self.last else { return into_comments(run) };
        let mut heads = Vec::new();
        if let Some((next, column)) = next.zip(run.last().map(|waiting| waiting.column))
            && column <= next
        {
            let others = run.iter().rposition(|waiting| waiting.column != column).map_or(0, |at| at + 1);
            heads = into_comments(run.split_off(others));
        }
        let mut group = None;
        let mut is_first = next.is_some();
        for Waiting { column, comment, .. } in run {
            is_first &= group.is_none_or(|group| group == column);
            group = Some(column);
            let target = if is_first { last.container } else { innermost(stack, column) };
            if let Some(container) = stack.get_mut(target) {
                container.comment_after(comment);
            }
        }
        heads
    }
}

fn into_comments(run: Vec<Waiting>) -> Vec<Comment> {
    run.into_iter().map(|waiting| waiting.comment).collect()
}

/// The innermost container with an entry at or left of `column`.
fn innermost(stack: &[Container], column: usize) -> usize {
    stack.iter().rposition(|container| container.column.is_some_and(|own| own <= column)).unwrap_or(0)
}
