//! Names of secrets: paths below the store that cannot leave it.

/// A relative path of normal components: not empty, no `..`, no `.`, no `//`, no NUL, not absolute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("it is empty")]
    Empty,
    #[error("it is absolute")]
    Absolute,
    #[error("it has '..' in it, which would leave the secrets directory")]
    Parent,
    #[error("it has an empty component, or '.', in it")]
    NotNormal,
    #[error("it has a NUL byte in it")]
    Nul,
    #[error("a component of it is longer than 255 bytes")]
    TooLong,
    #[error("it has more than {DEPTH_LIMIT} components, or {LENGTH_LIMIT} bytes")]
    TooDeep,
}

/// Components: each takes an open file while the tree is written or removed, of which a process has a thousand.
const DEPTH_LIMIT: usize = 128;
/// A path of more than 4095 bytes cannot be opened, and there is something before the name.
const LENGTH_LIMIT: usize = 3072;

impl Name {
    /// # Errors
    /// When the text, used as a path below the store, could name something else than one file in it.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.starts_with('/') {
            return Err(NameError::Absolute);
        }
        if text.contains('\0') {
            return Err(NameError::Nul);
        }
        if text.len() > LENGTH_LIMIT || text.split('/').nth(DEPTH_LIMIT).is_some() {
            return Err(NameError::TooDeep);
        }
        for component in text.split('/') {
            match component {
                ".." => return Err(NameError::Parent),
                "" | "." => return Err(NameError::NotNormal),
                long if long.len() > 255 => return Err(NameError::TooLong),
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directories that the name lies in, outermost first: `a` and `a/b` for `a/b/c`.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').filter_map(|(at, _)| self.0.get(..at))
    }
}
