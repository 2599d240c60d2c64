//! Our words for what the parser refuses. Its own messages may quote the file, which may hold a secret.

use granit_parser::{ErrorKind, ScanError};

use super::super::{MAX_DEPTH, SyntaxError};
use super::compose::place;

pub fn from_parser(error: &ScanError) -> SyntaxError {
    SyntaxError::new(place(error.marker()), describe(error.kind()))
}

pub fn too_deep() -> String {
    format!("more than {MAX_DEPTH} levels of nesting")
}

fn describe(kind: &ErrorKind) -> String {
    let words = match kind {
        ErrorKind::RecursionLimitExceeded => return too_deep(),
        ErrorKind::UnexpectedEof
        | ErrorKind::UnexpectedEofBlockMapping
        | ErrorKind::UnexpectedEofBlockSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofImplicitFlowMapping => "the file ends too early",
        ErrorKind::UnclosedFlowCollection { .. } => "a '[' or '{' that is never closed",
        ErrorKind::UnclosedQuotedScalar => "a quoted string that is never closed",
        ErrorKind::DocumentIndicatorInQuotedScalar => "a quoted string that runs into a '---' or '...' line",
        ErrorKind::MismatchedFlowCollectionEnd { .. } | ErrorKind::MisplacedFlowCollectionEnd => {
            "a ']' or '}' without its opening bracket"
        }
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator => {
            "a ',' or the closing bracket is missing"
        }
        ErrorKind::UnknownAnchor | ErrorKind::MissingAnchorOrAliasName => "an alias without its anchor",
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar
        | ErrorKind::InvalidBlockEntryWhitespace
        | ErrorKind::InvalidMappingValueWhitespace => "a tab where only blanks may indent",
        ErrorKind::InvalidIndentation
        | ErrorKind::InvalidBlockScalarIndent
        | ErrorKind::InvalidQuotedScalarIndent
        | ErrorKind::InvalidFlowScalarIndent => "wrong indentation",
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            "a ': ' where no value can stand; a string that holds one needs quotes"
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => "a key without its ':'",
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::MappingKeyNotAllowed => {
            "a key was expected; is the line indented as its neighbours are?"
        }
        ErrorKind::ExpectedBlockSequenceEntry | ErrorKind::BlockSequenceEntryNotAllowed => {
            "a list item in the wrong place; is the line indented as its neighbours are?"
        }
        ErrorKind::CommentNotSeparated => {
            "a '#' that does not follow a blank; a string that holds one needs quotes"
        }
        ErrorKind::CommentInterceptedScalar => "a comment inside of a string",
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            "text behind a quoted string"
        }
        ErrorKind::UnknownQuotedScalarEscape
        | ErrorKind::InvalidQuotedScalarHexEscape
        | ErrorKind::InvalidLowSurrogateHexEscape
        | ErrorKind::InvalidLowSurrogate
        | ErrorKind::MissingLowSurrogate
        | ErrorKind::UnpairedLowSurrogate
        | ErrorKind::InvalidUnicodeEscape => "a '\\' in a quoted string that begins no escape sequence",
        ErrorKind::ZeroBlockScalarIndent | ErrorKind::InvalidBlockScalarHeader => "text behind a '|' or '>'",
        ErrorKind::UnexpectedCharacter { .. } => {
            "a character that no value can start with; a string needs quotes"
        }
        ErrorKind::BomInsideDocument => "a byte-order mark inside of the document",
        ErrorKind::InvalidDocumentEnd => "text behind a '...'",
        ErrorKind::MissingDocumentEndBeforeDirective => "a '%' directive inside of a document",
        ErrorKind::UnsupportedYamlMajorVersion
        | ErrorKind::DuplicateVersionDirective
        | ErrorKind::DuplicateTagDirective
        | ErrorKind::InvalidDirectiveTerminator
        | ErrorKind::MissingDirectiveName
        | ErrorKind::InvalidDirectiveName
        | ErrorKind::DirectiveByteLimitExceeded { .. }
        | ErrorKind::TooManyReservedDirectiveParams { .. }
        | ErrorKind::YamlVersionTooLong
        | ErrorKind::MissingYamlVersion
        | ErrorKind::MissingYamlVersionSeparator
        | ErrorKind::InvalidTagDirectiveTerminator
        | ErrorKind::ExpectedTagDirectiveBang => "a '%' directive that is not understood",
        ErrorKind::UndeclaredTagHandle
        | ErrorKind::ExpectedTagBang
        | ErrorKind::InvalidGlobalTagCharacter
        | ErrorKind::InvalidTagTerminator
        | ErrorKind::MissingTagUri
        | ErrorKind::UnclosedVerbatimTag
        | ErrorKind::InvalidTagEscape
        | ErrorKind::InvalidTagUtf8LeadingByte
        | ErrorKind::InvalidTagUtf8TrailingByte
        | ErrorKind::InvalidTagUtf8 => "a malformed '!' tag",
        _ => "not valid YAML",
    };
    words.to_owned()
}

/// Adds to an error that a merge conflict has left its marks at or before the line that failed.
pub fn explain_conflict(text: &str, mut error: SyntaxError) -> SyntaxError {
    let lines = usize::try_from(error.place.line).unwrap_or(usize::MAX);
    let marked = text.lines().take(lines).position(is_conflict_marker);
    if let Some(index) = marked {
        let line = index + 1;
        error.problem =
            format!("{} (a merge conflict? line {line} looks like a conflict marker)", error.problem);
    }
    error
}

fn is_conflict_marker(line: &str) -> bool {
    ["<<<<<<<", "=======", ">>>>>>>"]
        .iter()
        .any(|marker| line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))
}
