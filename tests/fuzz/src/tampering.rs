//! Changes that somebody who knows the format would try: values swapped, parts of ciphertexts exchanged, lines moved
//! and renamed, metadata taken from another file. The oracle is that of [`documents`].

use std::ops::Range;

use super::documents;
use super::input::Input;
use super::originals::{self, Original};

const HEAD: &[u8] = b"ENC[AES256_GCM,";
const TYPES: [&[u8]; 8] = [b"str", b"int", b"float", b"bool", b"time", b"comment", b"bytes", b"x"];
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// What is put between the lines of a file.
const LINES: [&[u8]; 20] = [
    b"# a comment",
    b"#ENC[AES256_GCM,data:,iv:,tag:,type:comment]",
    b"empty: \"\"",
    b"nothing: null",
    b"map: {}",
    b"---",
    b"<<: {a: b}",
    b"    mac_only_encrypted: true",
    b"    unencrypted_suffix: _unencrypted",
    b"    encrypted_regex: ^a",
    b"    unencrypted_comment_regex: sops",
    b"    shamir_threshold: 2",
    b"sops_mac_only_encrypted=true",
    b"mac_only_encrypted = true",
    b"\"data\": \"\",",
    b"\"empty\": {\"a\": null},",
    b"\"mac_only_encrypted\": true,",
    b"\"encrypted_regex\": \"^a\",",
    b"sops_unencrypted_suffix=a",
    b"encrypted_suffix = a",
];

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let originals = originals::all();
    let original = &originals[input.below(originals.len())];
    let mut file = original.source.clone();
    for _ in 0..24 {
        if input.is_empty() {
            break;
        }
        edit(&mut file, &mut input, original);
    }
    documents::check(original.format, &file, original.key);
}

fn edit(file: &mut Vec<u8>, input: &mut Input, original: &Original) {
    let kind = input.byte() % 14;
    match kind {
        0 => {
            let values = values(file);
            let (a, b) = (input.below(values.len()), input.below(values.len()));
            swap(file, values.get(a), values.get(b));
        }
        1 | 2 => {
            let field = usize::from(input.byte()) % 4;
            let fields = fields(file, field);
            let (a, b) = (input.below(fields.len()), input.below(fields.len()));
            if kind == 1 {
                swap(file, fields.get(a), fields.get(b));
            } else if let (Some(from), Some(to)) = (fields.get(a), fields.get(b)) {
                let copy = file[from.clone()].to_vec();
                file.splice(to.clone(), copy);
            }
        }
        3 => {
            let field = usize::from(input.byte()) % 4;
            let fields = fields(file, field);
            if let Some(field) = fields.get(input.below(fields.len())) {
                let at = field.start + input.below(field.len());
                file[at] = BASE64[usize::from(input.byte()) % BASE64.len()];
            }
        }
        4 => {
            let fields = fields(file, 3);
            if let Some(field) = fields.get(input.below(fields.len())) {
                file.splice(field.clone(), TYPES[usize::from(input.byte()) % TYPES.len()].iter().copied());
            }
        }
        5 => {
            let lines = lines(file);
            if let Some(line) = lines.get(input.below(lines.len())) {
                file.drain(line.clone());
            }
        }
        6 | 7 => {
            let lines = lines(file);
            let (a, b) = (input.below(lines.len()), input.below(lines.len()));
            if kind == 6 {
                swap(file, lines.get(a), lines.get(b));
            } else if let (Some(from), Some(to)) = (lines.get(a), lines.get(b)) {
                let copy = file[from.clone()].to_vec();
                file.splice(to.start..to.start, copy);
            }
        }
        8 => {
            let lines = lines(file);
            if let Some(line) = lines.get(input.below(lines.len())) {
                let mut text = LINES[usize::from(input.byte()) % LINES.len()].to_vec();
                text.push(b'\n');
                file.splice(line.start..line.start, text);
            }
        }
        9 => {
            let at = input.below(file.len());
            let byte = input.byte();
            if let Some(place) = file.get_mut(at) {
                *place = byte;
            }
        }
        10 => {
            let at = input.below(file.len());
            if at < file.len() {
                file.remove(at);
            }
        }
        11 => {
            let at = input.below(file.len() + 1);
            file.insert(at.min(file.len()), input.byte());
        }
        12 => {
            // A value, its name and all, of another file under the same key.
            let others: Vec<&Original> = originals::of(original.format).collect();
            let other = others[input.below(others.len())];
            let (ours, theirs) = (lines(file), lines(&other.source));
            let (a, b) = (input.below(ours.len()), input.below(theirs.len()));
            if let (Some(at), Some(line)) = (ours.get(a), theirs.get(b)) {
                file.splice(at.clone(), other.source[line.clone()].to_vec());
            }
        }
        _ => {
            // Deeper or less deep: a YAML value under another key.
            let lines = lines(file);
            if let Some(line) = lines.get(input.below(lines.len())) {
                let blanks = file[line.clone()].iter().take_while(|byte| **byte == b' ').count();
                let wanted = usize::from(input.byte()) % 12;
                file.splice(line.start..line.start + blanks, vec![b' '; wanted]);
            }
        }
    }
}

fn swap(file: &mut Vec<u8>, a: Option<&Range<usize>>, b: Option<&Range<usize>>) {
    let (Some(a), Some(b)) = (a, b) else { return };
    let (first, second) = if a.start <= b.start { (a, b) } else { (b, a) };
    if first.end > second.start {
        return;
    }
    let (one, two) = (file[first.clone()].to_vec(), file[second.clone()].to_vec());
    file.splice(second.clone(), one);
    file.splice(first.clone(), two);
}

/// Where the encrypted values stand, the MAC among them.
fn values(file: &[u8]) -> Vec<Range<usize>> {
    let mut values = Vec::new();
    let mut at = 0;
    while let Some(start) = find(file, HEAD, at) {
        let Some(end) = find(file, b"]", start) else { break };
        values.push(start..end + 1);
        at = end + 1;
    }
    values
}

/// Where one field of each encrypted value stands.
fn fields(file: &[u8], field: usize) -> Vec<Range<usize>> {
    let labels: [(&[u8], &[u8]); 4] =
        [(b"data:", b",iv:"), (b"iv:", b",tag:"), (b"tag:", b",type:"), (b"type:", b"]")];
    let (label, end) = labels[field];
    let inside = |value: Range<usize>| {
        let text = &file[value.clone()];
        let from = find(text, label, 0)? + label.len();
        let to = find(text, end, from)?;
        Some(value.start + from..value.start + to)
    };
    values(file).into_iter().filter_map(inside).collect()
}

fn lines(file: &[u8]) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut lines = Vec::new();
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        lines.push(start..start + line.len());
        start += line.len();
    }
    lines
}

fn find(text: &[u8], part: &[u8], from: usize) -> Option<usize> {
    text.get(from..)?.windows(part.len()).position(|window| window == part).map(|at| from + at)
}
