//! Who can open a stanza.
