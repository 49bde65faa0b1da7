//! The README as it is written.

use std::path::Path;

/// The shell blocks of a section, in order.
pub fn blocks(section: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let from = readme.split_once(&format!("\n## {section}\n")).unwrap().1;
    let section = from.split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}
