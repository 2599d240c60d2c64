//! The module's golden files in `tests/nix` from this side: what the program makes of the manifests, and whether all that
//! differs from sops-nix's module is what was reviewed. `tests/nix/run` holds that they are what the module makes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Map, Value};

use sops_activate::manifest::Manifest;
use sops_activate::plan::Plan;

use crate::machine::{repository, text};

/// By name without `.json`.
fn golden(directory: &str) -> BTreeMap<String, Value> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(repository("tests/nix").join(directory)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        files.insert(name, serde_json::from_slice(&fs::read(path).unwrap()).unwrap());
    }
    files
}

#[test]
fn every_manifest_of_the_module_can_be_used() {
    let mut manifests = 0;
    for (name, output) in golden("golden/configurations") {
        for kind in ["manifest", "usersManifest"] {
            let Some(manifest) = output[kind].get("content") else { continue };
            manifests += 1;
            let manifest = Manifest::parse(manifest.to_string().as_bytes())
                .unwrap_or_else(|report| panic!("{name}: {kind}: {report:?}"));
            let plan = Plan::new(manifest, Some("/run/user/1000"))
                .unwrap_or_else(|report| panic!("{name}: {kind}: {report:?}"));
            assert_eq!(plan.warnings, [""; 0], "{name}: {kind}");
            assert_eq!(plan.user_mode, name.starts_with("home-"), "{name}");
        }
    }
    assert!(manifests > 50, "{manifests} manifests");
}

#[test]
fn the_module_differs_from_that_of_sops_nix_only_where_it_was_reviewed() {
    let reviewed = reviewed();
    let mut used = BTreeSet::new();
    let mut unexpected: BTreeMap<Difference, Vec<String>> = BTreeMap::new();
    let mut count = 0;
    for kind in ["configurations", "options"] {
        let theirs = golden(&format!("golden-sops-nix/{kind}"));
        let ours = golden(&format!("golden/{kind}"));
        let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
        for name in names {
            let absent = Value::Null;
            let [theirs, ours] = [&theirs, &ours].map(|files| by_name(files.get(name).unwrap_or(&absent)));
            let mut differences = Vec::new();
            compare("", &theirs, &ours, &mut differences);
            for difference in differences {
                count += 1;
                let rows = reviewed.iter().enumerate().filter(|(_, row)| row.explains(name, &difference));
                let rows: Vec<usize> = rows.map(|(index, _)| index).collect();
                if rows.is_empty() {
                    unexpected.entry(difference).or_default().push(name.clone());
                }
                used.extend(rows);
            }
        }
    }
    println!("{count} differences, {} reviewed kinds of them", reviewed.len());

    let mut complaints = Vec::new();
    for (Difference { place, theirs, ours }, names) in unexpected {
        complaints.push(format!("not reviewed: | {} | {place} | {theirs} | {ours} |", names.join(", ")));
    }
    for (index, row) in reviewed.iter().enumerate() {
        if !used.contains(&index) {
            complaints.push(format!("no longer so: {row:?}"));
        }
    }
    assert!(complaints.is_empty(), "tests/nix/differences.md:\n{}", complaints.join("\n"));
}

/// One thing that is so there and otherwise here. Empty where there is nothing on that side.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Difference {
    place: String,
    theirs: String,
    ours: String,
}

/// A row of `tests/nix/differences.md`: patterns for all of a difference, and why it is.
#[derive(Debug)]
struct Row {
    configurations: Vec<String>,
    difference: Difference,
}

impl Row {
    fn explains(&self, configuration: &str, difference: &Difference) -> bool {
        self.configurations.iter().any(|pattern| matches(pattern, configuration))
            && matches(&self.difference.place, &difference.place)
            && matches(&self.difference.theirs, &difference.theirs)
            && matches(&self.difference.ours, &difference.ours)
    }
}

fn reviewed() -> Vec<Row> {
    let text = text("nix/differences.md");
    let rows = text.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    let rows = rows.map(|line| -> Vec<&str> {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('`')).collect()
    });
    let rows = rows.filter(|cells| cells[0] != "configurations");
    rows.map(|cells| {
        let [configurations, place, theirs, ours, why] = cells[..] else {
            panic!("not five cells: {cells:?}")
        };
        assert!(!why.is_empty(), "no reason: {cells:?}");
        Row {
            configurations: configurations.split(", ").map(str::to_owned).collect(),
            difference: Difference {
                place: place.to_owned(),
                theirs: theirs.to_owned(),
                ours: ours.to_owned(),
            },
        }
    })
    .collect()
}

/// `*` stands for anything, also for nothing.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Lists of objects with names as objects, so that one more among them is one difference.
fn by_name(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), by_name(field))).collect(),
        Value::Array(elements) => {
            let named: Option<Map<String, Value>> = elements
                .iter()
                .map(|element| Some((element.get("name")?.as_str()?.to_owned(), by_name(element))))
                .collect();
            named.filter(|named| !named.is_empty()).map_or_else(|| value.clone(), Value::Object)
        }
        _ => value.clone(),
    }
}

fn compare(place: &str, theirs: &Value, ours: &Value, differences: &mut Vec<Difference>) {
    let mut differ = |theirs: String, ours: String| {
        differences.push(Difference { place: place.to_owned(), theirs, ours });
    };
    match (theirs, ours) {
        _ if theirs == ours => {}
        // Where they refuse there is nothing to compare.
        (Value::Object(theirs), _) if place.is_empty() && theirs.contains_key("error") => {
            differ(format!("error: {}", theirs["error"][0].as_str().unwrap()), String::new());
        }
        // An absent object is one without fields, so that each of the other's fields is a difference of its own.
        (Value::Object(_) | Value::Null, Value::Object(_)) | (Value::Object(_), Value::Null) => {
            let none = Map::new();
            let [theirs, ours] = [theirs, ours].map(|object| object.as_object().unwrap_or(&none));
            let fields: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
            for field in fields {
                let place = if place.is_empty() { field.clone() } else { format!("{place}/{field}") };
                let [theirs, ours] = [theirs, ours].map(|object| object.get(field).unwrap_or(&Value::Null));
                compare(&place, theirs, ours, differences);
            }
        }
        (Value::Array(_) | Value::Null, Value::Array(_)) | (Value::Array(_), Value::Null) => {
            let [theirs, ours] = [theirs, ours].map(|list| list.as_array().map_or(&[][..], Vec::as_slice));
            for (theirs, ours) in changes(theirs, ours) {
                let [theirs, ours] = [theirs, ours].map(|element| element.map_or_else(String::new, shown));
                // An empty line more or less.
                if theirs != ours {
                    differ(theirs, ours);
                }
            }
        }
        _ => differ(shown(theirs), shown(ours)),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.replace('|', "¦").replace('\n', " ").trim().to_owned(),
        _ => value.to_string(),
    }
}

/// What has to be taken from one list and put into it to make the other, in order.
fn changes<'v>(theirs: &'v [Value], ours: &'v [Value]) -> Vec<(Option<&'v Value>, Option<&'v Value>)> {
    // The length of the longest common subsequence of what is left of both.
    let mut common = vec![vec![0_usize; ours.len() + 1]; theirs.len() + 1];
    for (i, there) in theirs.iter().enumerate().rev() {
        for (j, here) in ours.iter().enumerate().rev() {
            common[i][j] =
                if there == here { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut changes = Vec::new();
    while i < theirs.len() || j < ours.len() {
        if i < theirs.len() && j < ours.len() && theirs[i] == ours[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == ours.len() || i < theirs.len() && common[i + 1][j] >= common[i][j + 1] {
            changes.push((Some(&theirs[i]), None));
            i += 1;
        } else {
            changes.push((None, Some(&ours[j])));
            j += 1;
        }
    }
    changes
}

#[test]
fn a_pattern_covers_what_it_says() {
    assert!(matches("*", ""));
    assert!(matches("a*c*", "abc"));
    assert!(!matches("a*c", "abcd"));
    assert!(!matches("a", "ab"));
    assert!(!matches("ab*ba", "aba"));
}

#[test]
fn an_added_and_a_moved_line_are_seen() {
    let [theirs, ours] = [["a", "b", "c"], ["b", "a", "d"]].map(|lines| lines.map(Value::from));
    let changed = changes(&theirs, &ours).into_iter().map(|(out, into)| (out.map(shown), into.map(shown)));
    let text = |text: &str| Some(text.to_owned());
    let expected = [(text("a"), None), (None, text("a")), (text("c"), None), (None, text("d"))];
    assert_eq!(changed.collect::<BTreeSet<_>>(), BTreeSet::from(expected));
}
