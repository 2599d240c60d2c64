//! The vectors of the file format: each opens to the expected bytes, or is refused for the expected reason.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::fixtures::{decrypt, format, keyring};

#[derive(Deserialize)]
struct Vector {
    name: String,
    file: String,
    format: String,
    keys: String,
    expect: Option<String>,
    expect_error: Option<String>,
}

#[test]
fn report() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let vectors: Vec<Vector> =
        serde_json::from_slice(&fs::read(directory.join("manifest.json")).unwrap()).unwrap();
    let mut bad = 0;
    for vector in &vectors {
        let source = fs::read(directory.join(&vector.file)).unwrap();
        let result = decrypt(format(&vector.format), &source, &keyring(&[directory.join(&vector.keys)]));
        match (&vector.expect, result) {
            (Some(plain), Ok(bytes)) if bytes == fs::read(directory.join(plain)).unwrap() => {}
            (Some(_), Ok(bytes)) => {
                bad += 1;
                println!("DIFF {}: {}", vector.name, String::from_utf8_lossy(&bytes))
            }
            (Some(_), Err(error)) => {
                bad += 1;
                println!("ERR {}: {error}", vector.name)
            }
            (None, Ok(_)) => {
                println!("OPENS {}: {}", vector.name, vector.expect_error.as_deref().unwrap_or_default())
            }
            (None, Err(error)) => println!(
                "refused {}: {error}   [{}]",
                vector.name,
                vector.expect_error.as_deref().unwrap_or_default().chars().take(100).collect::<String>()
            ),
        }
    }
    println!("{bad} bad");
    assert_eq!(bad, 0);
}
