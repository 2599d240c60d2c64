//! Who may read an installed file: its mode, owner and group, as the manifest asks and as this machine knows them.

/// Permission bits, at most 0777.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

/// An owner or group as the manifest asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// To be looked up in the user or group database.
    Named(String),
    /// Used as it is; need not exist.
    Id(u32),
}

/// What the manifest asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub mode: Mode,
    pub owner: Account,
    pub group: Account,
}

/// Numeric owner and group: what the kernel is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    pub uid: u32,
    pub gid: u32,
}
