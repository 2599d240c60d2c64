//! The machine behind one door.
